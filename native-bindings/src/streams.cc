// Decoders that stop anywhere and go on: each step takes some packed bytes and gives some decoded ones.
#include <bzlib.h>
#include <dlfcn.h>
#include <lzma.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <memory>

#include "errors.h"
#include "topics.h"

namespace {

/// As `StreamState` of src/native/streams.ts.
enum State { GOES_ON = 0, ENDED = 1, DAMAGED = 2, UNKNOWN = 3, TOO_LARGE = 4, NO_MEMORY = 5 };

struct Step {
  State state;
  size_t consumed;
  size_t produced;
};

class Stream {
 public:
  virtual ~Stream() = default;
  virtual Step run(const uint8_t* input, size_t input_size, uint8_t* target, size_t target_size) = 0;
  /// Where it could not be set up.
  State refused = GOES_ON;
  /// Bytes that it takes, about.
  uint64_t memory = 0;
};

State state_of(lzma_ret result) {
  switch (result) {
    case LZMA_OK:
    case LZMA_BUF_ERROR:  // Nothing could be done without more input, or more room.
      return GOES_ON;
    case LZMA_STREAM_END:
      return ENDED;
    case LZMA_OPTIONS_ERROR:
      return UNKNOWN;
    case LZMA_MEMLIMIT_ERROR:
      return TOO_LARGE;
    case LZMA_MEM_ERROR:
      return NO_MEMORY;
    default:
      return DAMAGED;
  }
}

class LzmaStream : public Stream {
 public:
  ~LzmaStream() override { lzma_end(&stream_); }

  Step run(const uint8_t* input, size_t input_size, uint8_t* target, size_t target_size) override {
    stream_.next_in = input;
    stream_.avail_in = input_size;
    stream_.next_out = target;
    stream_.avail_out = target_size;
    const State state = state_of(lzma_code(&stream_, LZMA_RUN));
    memory = std::max(memory, lzma_memusage(&stream_));
    return {state, input_size - stream_.avail_in, target_size - stream_.avail_out};
  }

 protected:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

/// One block of an .xz stream, behind its header: data, padding and check.
class XzBlock : public LzmaStream {
 public:
  XzBlock(const uint8_t* header, size_t size, uint32_t check, uint64_t limit) {
    for (lzma_filter& filter : filters_) filter = {LZMA_VLI_UNKNOWN, nullptr};
    if (size == 0) {
      refused = DAMAGED;
      return;
    }
    block_.version = 1;
    block_.filters = filters_;
    block_.check = static_cast<lzma_check>(check);
    block_.header_size = lzma_block_header_size_decode(header[0]);
    if (header[0] == 0 || block_.header_size != size) {
      refused = DAMAGED;
      return;
    }
    refused = state_of(lzma_block_header_decode(&block_, nullptr, header));
    if (refused != GOES_ON) return;
    memory = lzma_raw_decoder_memusage(filters_);
    // UINT64_MAX: there is a filter that is not known.
    refused = memory == UINT64_MAX ? UNKNOWN : memory > limit ? TOO_LARGE : state_of(lzma_block_decoder(&stream_, &block_));
  }

  ~XzBlock() override {
    for (lzma_filter& filter : filters_) std::free(filter.options);
  }

 private:
  lzma_block block_{};
  lzma_filter filters_[LZMA_FILTERS_MAX + 1];
};

class LzmaAlone : public LzmaStream {
 public:
  explicit LzmaAlone(uint64_t limit) { refused = state_of(lzma_alone_decoder(&stream_, limit)); }
};

/// One member of an .lz file; its trailer is checked.
class Lzip : public LzmaStream {
 public:
  explicit Lzip(uint64_t limit) {
#if LZMA_VERSION >= UINT32_C(50040002)
    refused = state_of(lzma_lzip_decoder(&stream_, limit, 0));
#else
    refused = limit == 0 ? TOO_LARGE : UNKNOWN;
#endif
  }
};

/// Frames, one after the other: each ends the stream, and the next step begins another.
class Zstd : public Stream {
 public:
  explicit Zstd(uint32_t window_log) : context_(ZSTD_createDCtx()) {
    if (context_ == nullptr) {
      refused = NO_MEMORY;
    } else if (ZSTD_isError(ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, static_cast<int>(window_log)))) {
      refused = UNKNOWN;
    }
  }

  ~Zstd() override { ZSTD_freeDCtx(context_); }

  Step run(const uint8_t* input, size_t input_size, uint8_t* target, size_t target_size) override {
    ZSTD_inBuffer in{input, 0, 0};
    ZSTD_outBuffer out{target, target_size, 0};
    // An error would hide what the same call has written before: so each call gets one block at most, and none before all of the last one is out.
    size_t result;
    do {
      in.size = full_ ? in.pos : in.pos + std::min(wanted_, input_size - in.pos);
      const size_t taken = in.pos;
      const size_t written = out.pos;
      result = ZSTD_decompressStream(context_, &out, &in);
      if (ZSTD_isError(result)) break;
      const bool flushed = full_ && out.pos < out.size;
      full_ = out.pos == out.size;
      wanted_ = std::max<size_t>(1, result);
      if (result == 0 || (in.pos == taken && out.pos == written && !flushed)) break;
    } while (out.pos < out.size && in.pos < input_size);
    memory = ZSTD_sizeof_DCtx(context_);
    return {state_of_result(result), in.pos, out.pos};
  }

 private:
  static State state_of_result(size_t result) {
    if (!ZSTD_isError(result)) return result == 0 ? ENDED : GOES_ON;
    switch (ZSTD_getErrorCode(result)) {
      case ZSTD_error_frameParameter_windowTooLarge:
        return TOO_LARGE;
      case ZSTD_error_dictionary_wrong:
      case ZSTD_error_version_unsupported:
      case ZSTD_error_frameParameter_unsupported:
        return UNKNOWN;
      case ZSTD_error_memory_allocation:
        return NO_MEMORY;
      default:
        return DAMAGED;
    }
  }

  ZSTD_DCtx* context_;
  /// Bytes of input that the next call should get.
  size_t wanted_ = 5;
  /// The last call may have kept some of what it decoded.
  bool full_ = false;
};

/// libbz2, where it is installed: its static library cannot become a part of the addon (Debian compiles it without -fPIC).
struct Bzip2Library {
  decltype(&BZ2_bzDecompressInit) init = nullptr;
  decltype(&BZ2_bzDecompress) run = nullptr;
  decltype(&BZ2_bzDecompressEnd) end = nullptr;

  static const Bzip2Library& get() {
    static const Bzip2Library library = load();
    return library;
  }

 private:
  static Bzip2Library load() {
    // Debian's name, and that of others.
    for (const char* name : {"libbz2.so.1.0", "libbz2.so.1"}) {
      void* file = dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (file == nullptr) continue;
      const Bzip2Library found{reinterpret_cast<decltype(init)>(dlsym(file, "BZ2_bzDecompressInit")),
                               reinterpret_cast<decltype(run)>(dlsym(file, "BZ2_bzDecompress")),
                               reinterpret_cast<decltype(end)>(dlsym(file, "BZ2_bzDecompressEnd"))};
      if (found.init != nullptr && found.run != nullptr && found.end != nullptr) return found;
    }
    return {};
  }
};

class Bzip2 : public Stream {
 public:
  Bzip2() {
    if (library_.init == nullptr) {
      refused = UNKNOWN;
    } else if (library_.init(&stream_, 0, 0) != BZ_OK) {
      refused = NO_MEMORY;
    }
    memory = 4 * 900'000 + 100'000;
  }

  ~Bzip2() override {
    if (library_.end != nullptr) library_.end(&stream_);
  }

  Step run(const uint8_t* input, size_t input_size, uint8_t* target, size_t target_size) override {
    const auto given = static_cast<unsigned>(std::min<size_t>(input_size, UINT_MAX));
    const auto wanted = static_cast<unsigned>(std::min<size_t>(target_size, UINT_MAX));
    stream_.next_in = reinterpret_cast<char*>(const_cast<uint8_t*>(input));
    stream_.avail_in = given;
    stream_.next_out = reinterpret_cast<char*>(target);
    stream_.avail_out = wanted;
    const int result = library_.run(&stream_);
    const State state = result == BZ_OK ? GOES_ON : result == BZ_STREAM_END ? ENDED : result == BZ_MEM_ERROR ? NO_MEMORY : DAMAGED;
    return {state, given - stream_.avail_in, wanted - stream_.avail_out};
  }

 private:
  const Bzip2Library& library_ = Bzip2Library::get();
  bz_stream stream_{};
};

/// What JavaScript holds. Closed at once where it is told to: the collector does not see how much memory hangs on it.
struct Handle {
  std::unique_ptr<Stream> stream;
};

std::unique_ptr<Stream> make(uint32_t kind, const Napi::Uint8Array& header, uint32_t check, uint64_t limit) {
  switch (kind) {
    case 0:
      return std::make_unique<XzBlock>(header.Data(), header.ByteLength(), check, limit);
    case 1:
      return std::make_unique<LzmaAlone>(limit);
    case 2:
      return std::make_unique<Lzip>(limit);
    case 3:
      return std::make_unique<Zstd>(static_cast<uint32_t>(limit));
    default:
      return std::make_unique<Bzip2>();
  }
}

/// (kind, header, check, limit) → the stream, or why not as a State.
Napi::Value open_stream(const Napi::CallbackInfo& info) {
  auto handle = std::make_unique<Handle>();
  handle->stream = make(info[0].As<Napi::Number>(), info[1].As<Napi::Uint8Array>(), info[2].As<Napi::Number>(),
                        static_cast<uint64_t>(info[3].As<Napi::Number>().Int64Value()));
  if (handle->stream->refused != GOES_ON) return Napi::Number::New(info.Env(), handle->stream->refused);
  Handle* given = handle.release();
  return Napi::External<Handle>::New(info.Env(), given, [](Napi::Env, Handle* done) { delete done; });
}

/// (stream, input, target, counts) → State; counts[0] bytes of input were taken, counts[1] of target filled, counts[2] are held.
Napi::Value run_stream(const Napi::CallbackInfo& info) {
  Handle* handle = info[0].As<Napi::External<Handle>>().Data();
  const auto input = info[1].As<Napi::Uint8Array>();
  auto target = info[2].As<Napi::Uint8Array>();
  auto counts = info[3].As<Napi::Float64Array>();
  if (!handle->stream) throw Napi::Error::New(info.Env(), "the stream is closed");
  const Step step = handle->stream->run(input.Data(), input.ByteLength(), target.Data(), target.ByteLength());
  counts.Data()[0] = static_cast<double>(step.consumed);
  counts.Data()[1] = static_cast<double>(step.produced);
  counts.Data()[2] = static_cast<double>(handle->stream->memory);
  return Napi::Number::New(info.Env(), step.state);
}

/// (stream) frees it.
Napi::Value close_stream(const Napi::CallbackInfo& info) {
  info[0].As<Napi::External<Handle>>().Data()->stream.reset();
  return info.Env().Undefined();
}

}  // namespace

void export_streams(Napi::Env env, Napi::Object exports) {
  exports.Set("openStream", Napi::Function::New(env, open_stream, "openStream"));
  exports.Set("runStream", Napi::Function::New(env, run_stream, "runStream"));
  exports.Set("closeStream", Napi::Function::New(env, close_stream, "closeStream"));
}
