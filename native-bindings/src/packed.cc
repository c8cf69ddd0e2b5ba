// Decoders that Node lacks or is slow at. Each fills `target` exactly, or says no.
#include <libdeflate.h>
#include <zstd.h>

#include <memory>

#include "errors.h"
#include "topics.h"

namespace {

template <auto release>
struct Release {
  template <typename T>
  void operator()(T* thing) const {
    release(thing);
  }
};

/// (packed, target) → whether a deflate stream at the start of `packed` decodes to exactly `target`. Bytes behind the stream are ignored.
template <auto decompress>
Napi::Value inflate(const Napi::CallbackInfo& info) {
  thread_local const std::unique_ptr<libdeflate_decompressor, Release<libdeflate_free_decompressor>> decoder(
      libdeflate_alloc_decompressor());
  const auto packed = info[0].As<Napi::Uint8Array>();
  auto target = info[1].As<Napi::Uint8Array>();
  size_t consumed = 0;
  size_t written = 0;
  const libdeflate_result result =
      decompress(decoder.get(), packed.Data(), packed.ByteLength(), target.Data(),
                                       target.ByteLength(), &consumed, &written);
  return Napi::Boolean::New(info.Env(), result == LIBDEFLATE_SUCCESS && written == target.ByteLength());
}

/// (packed, target) → whether one or more whole zstd frames at the start of `packed` decode to exactly `target`. Bytes behind them are ignored.
Napi::Value zstd(const Napi::CallbackInfo& info) {
  thread_local const std::unique_ptr<ZSTD_DCtx, Release<ZSTD_freeDCtx>> decoder(ZSTD_createDCtx());
  const auto packed = info[0].As<Napi::Uint8Array>();
  auto target = info[1].As<Napi::Uint8Array>();
  ZSTD_inBuffer input{packed.Data(), packed.ByteLength(), 0};
  ZSTD_outBuffer output{target.Data(), target.ByteLength(), 0};
  ZSTD_DCtx_reset(decoder.get(), ZSTD_reset_session_only);
  size_t pending = 1;
  while (output.pos < output.size) {
    const size_t consumed = input.pos;
    const size_t written = output.pos;
    pending = ZSTD_decompressStream(decoder.get(), &output, &input);
    if (ZSTD_isError(pending) || (input.pos == consumed && output.pos == written)) {
      return Napi::Boolean::New(info.Env(), false);
    }
  }
  return Napi::Boolean::New(info.Env(), pending == 0);
}

}  // namespace

void export_packed(Napi::Env env, Napi::Object exports) {
  exports.Set("inflateRaw", Napi::Function::New(env, inflate<libdeflate_deflate_decompress_ex>, "inflateRaw"));
  exports.Set("inflateZlib", Napi::Function::New(env, inflate<libdeflate_zlib_decompress_ex>, "inflateZlib"));
  exports.Set("zstd", Napi::Function::New(env, zstd, "zstd"));
}
