// Gzip streams (RFC 1952) decoded from any place where decoding was stopped once: between two deflate blocks (RFC 1951), inside one, or between two members.
// That inflate can be taken up inside a block is what inflateMark(), inflatePrime() and Z_TREES of zlib.h are for.
#include <libdeflate.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>

#include "errors.h"
#include "topics.h"

namespace {

/// Where a stream can be taken up. The same numbers are in src/native/gzip.ts.
enum Kind {
  MEMBER = 0,   // before a member's header, or what stands between members
  BLOCK = 1,    // before the header of a deflate block
  CODE = 2,     // inside a compressed block, before a code
  STORED = 3,   // inside a stored block
  TRAILER = 4,  // behind the last block of a member
};

/// Why decoding has stopped. The same numbers are in src/native/gzip.ts.
enum Status {
  HUNGRY = 0,   // all input is used up
  FULL = 1,     // the target is full
  ENDED = 2,    // at a member's end, as was asked for
  BETWEEN = 3,  // between two blocks, as was asked for
  GARBAGE = 4,  // what follows a member is no gzip
  DAMAGED = 5,
};

constexpr uint8_t signature[] = {0x1f, 0x8b, 8};
constexpr unsigned trailer_size = 8;
/// Values of z_stream.data_type, beside the number of bits that wait.
constexpr int waiting_bits = 63;
constexpr int last_block = 64;
constexpr int between_blocks = 128;
constexpr int behind_tables = 256;

struct Decoder {
  z_stream stream{};
  enum { SIGNATURE, BODY, TRAILING } phase = SIGNATURE;
  /// Whether this member is decoded from its start, so that its trailer can be checked.
  bool checked = false;
  uint32_t checksum = 0;
  uint8_t trailer[trailer_size] = {};
  /// Whether it was never taken up elsewhere and no member has ended: nothing but a member may come.
  bool fresh = true;
  /// Bytes that are seen of a signature, of a trailer.
  unsigned matched = 0;
  unsigned trailing = 0;
  /// Bits of the next input byte that are used already.
  unsigned used_bits = 0;
  /// Decoded bytes to be thrown away: a code was taken up that had given them before.
  unsigned skip = 0;
  /// Byte of the file that comes next, bit of the file where the current block starts, decoded bytes of this member.
  uint64_t position = 0;
  uint64_t header = 0;
  uint64_t written = 0;
  const char* message = "";

  bool initialised = inflateInit2(&stream, -MAX_WBITS) == Z_OK;

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() {
    if (initialised) inflateEnd(&stream);
  }
};

/// Gives zlib bytes that need no room for output; its answer.
int give(Decoder& decoder, const uint8_t* bytes, size_t length, int flush) {
  uint8_t nothing = 0;
  decoder.stream.next_in = const_cast<uint8_t*>(bytes);
  decoder.stream.avail_in = static_cast<uInt>(length);
  decoder.stream.next_out = &nothing;
  decoder.stream.avail_out = 0;
  return inflate(&decoder.stream, flush);
}

/// The upper bits of `byte` behind the first `used`.
void prime(Decoder& decoder, uint8_t byte, unsigned used) {
  inflatePrime(&decoder.stream, static_cast<int>(8 - used), byte >> used);
}

Decoder& decoder_of(const Napi::CallbackInfo& info) { return *info[0].As<Napi::External<Decoder>>().Data(); }

uint64_t whole(const Napi::Value& value) { return static_cast<uint64_t>(value.As<Napi::Number>().DoubleValue()); }

/// () → decoder, at the start of a file
Napi::Value create(const Napi::CallbackInfo& info) {
  auto decoder = std::make_unique<Decoder>();
  if (!decoder->initialised) throw system_error(info.Env(), "inflateInit", ENOMEM);
  return Napi::External<Decoder>::New(info.Env(), decoder.release(), [](Napi::Env, Decoder* done) { delete done; });
}

/// Takes up a block whose tables are in `start`, which begins with the byte that holds bit `decoder.header`.
bool take_up_code(Decoder& decoder, const Napi::Uint8Array& start) {
  const auto used = static_cast<unsigned>(decoder.header % 8);
  if (start.ByteLength() == 0) return false;
  if (used > 0) prime(decoder, start.Data()[0], used);
  const size_t from = used > 0 ? 1 : 0;
  give(decoder, start.Data() + from, start.ByteLength() - from, Z_TREES);
  return (decoder.stream.data_type & behind_tables) != 0 && inflatePrime(&decoder.stream, -1, 0) == Z_OK;
}

/// Takes up a stored block of which `remaining` bytes are left: zlib is given the header of such a block.
bool take_up_stored(Decoder& decoder, unsigned remaining, bool last) {
  const auto low = static_cast<uint8_t>(remaining & 0xff);
  const auto high = static_cast<uint8_t>(remaining >> 8);
  const uint8_t header[] = {static_cast<uint8_t>(last), low, high, static_cast<uint8_t>(~low), static_cast<uint8_t>(~high)};
  give(decoder, header, sizeof header, Z_NO_FLUSH);
  return decoder.stream.avail_in == 0;
}

/// (decoder, kind, bit, header bit, extra, last, window, block start) → whether it can go on at `bit` of the file.
/// The next input has to begin with the byte that holds it.
Napi::Value restart(const Napi::CallbackInfo& info) {
  Decoder& decoder = decoder_of(info);
  const auto kind = static_cast<Kind>(whole(info[1]));
  const uint64_t bit = whole(info[2]);
  decoder.header = whole(info[3]);
  const auto extra = static_cast<unsigned>(whole(info[4]));
  const bool last = info[5].As<Napi::Boolean>();
  const auto window = info[6].As<Napi::Uint8Array>();
  decoder.position = bit / 8;
  decoder.matched = 0;
  decoder.written = window.ByteLength();
  decoder.checked = false;
  decoder.fresh = false;
  decoder.used_bits = 0;
  decoder.skip = 0;
  decoder.phase = kind == MEMBER ? Decoder::SIGNATURE : kind == TRAILER ? Decoder::TRAILING : Decoder::BODY;
  decoder.trailing = 0;
  if (decoder.phase != Decoder::BODY) return Napi::Boolean::New(info.Env(), true);

  bool done = inflateReset2(&decoder.stream, -MAX_WBITS) == Z_OK;
  if (kind == CODE) done = done && take_up_code(decoder, info[7].As<Napi::Uint8Array>());
  if (kind == STORED) done = done && take_up_stored(decoder, extra, last);
  if (kind == CODE) decoder.skip = extra;
  if (window.ByteLength() > 0) {
    done = done && inflateSetDictionary(&decoder.stream, window.Data(), static_cast<uInt>(window.ByteLength())) == Z_OK;
  }
  decoder.used_bits = static_cast<unsigned>(bit % 8);
  return Napi::Boolean::New(info.Env(), done);
}

/// One call's input and output.
struct Run {
  const uint8_t* packed;
  size_t packed_size;
  uint8_t* target;
  size_t target_size;
  size_t consumed = 0;
  size_t produced = 0;
};

/// Bytes between members: a signature, or zeros that fill up a tape's block. `HUNGRY` if it is to go on.
Status find_signature(Decoder& decoder, Run& run) {
  while (run.consumed < run.packed_size) {
    const uint8_t byte = run.packed[run.consumed];
    const bool padding = byte == 0 && decoder.matched == 0 && !decoder.fresh;
    if (!padding && byte != signature[decoder.matched]) {
      decoder.message = "not a gzip file";
      return decoder.fresh ? DAMAGED : GARBAGE;
    }
    run.consumed += 1;
    decoder.position += 1;
    if (padding) continue;
    decoder.matched += 1;
    if (decoder.matched < std::size(signature)) continue;
    decoder.matched = 0;
    decoder.checked = true;
    decoder.checksum = 0;
    decoder.written = 0;
    // zlib reads the header, and checks it.
    inflateReset2(&decoder.stream, MAX_WBITS + 16);
    give(decoder, signature, std::size(signature), Z_BLOCK);
    decoder.phase = Decoder::BODY;
    break;
  }
  return HUNGRY;
}

uint32_t little_endian(const uint8_t* bytes) {
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

/// CRC-32 and size of what was decoded.
Status read_trailer(Decoder& decoder, Run& run, size_t member_from) {
  while (decoder.trailing < trailer_size) {
    if (run.consumed == run.packed_size) return HUNGRY;
    decoder.trailer[decoder.trailing++] = run.packed[run.consumed++];
    decoder.position += 1;
  }
  if (decoder.checked && little_endian(decoder.trailer) != decoder.checksum) {
    decoder.message = "the CRC-32 of a member is another";
    return DAMAGED;
  }
  if (decoder.checked && little_endian(decoder.trailer + 4) != static_cast<uint32_t>(decoder.written)) {
    decoder.message = "the size of a member is another";
    return DAMAGED;
  }
  decoder.fresh = false;
  decoder.phase = Decoder::SIGNATURE;
  return run.produced >= member_from ? ENDED : HUNGRY;
}

/// Decodes up to the end of a block, of the input or of the target. zlib's answer.
int inflate_some(Decoder& decoder, Run& run) {
  z_stream& stream = decoder.stream;
  if (decoder.used_bits > 0 && run.consumed < run.packed_size) {
    prime(decoder, run.packed[run.consumed], decoder.used_bits);
    decoder.used_bits = 0;
    run.consumed += 1;
    decoder.position += 1;
  }
  uint8_t thrown_away[512];
  const bool skipping = decoder.skip > 0;
  stream.next_in = const_cast<uint8_t*>(run.packed) + run.consumed;
  stream.avail_in = static_cast<uInt>(run.packed_size - run.consumed);
  stream.next_out = skipping ? thrown_away : run.target + run.produced;
  const size_t room = skipping ? std::min<size_t>(decoder.skip, sizeof thrown_away) : run.target_size - run.produced;
  stream.avail_out = static_cast<uInt>(room);
  const int result = inflate(&stream, Z_BLOCK);
  const size_t taken = run.packed_size - run.consumed - stream.avail_in;
  const size_t given = room - stream.avail_out;
  run.consumed += taken;
  decoder.position += taken;
  if (skipping) {
    decoder.skip -= static_cast<unsigned>(given);
  } else {
    if (decoder.checked) decoder.checksum = libdeflate_crc32(decoder.checksum, run.target + run.produced, given);
    run.produced += given;
    decoder.written += given;
  }
  if ((stream.data_type & between_blocks) != 0) {
    // Behind a member's header: from here on the check is ours, which is several times as fast.
    inflateValidate(&stream, 0);
    decoder.header = decoder.position * 8 - static_cast<unsigned>(stream.data_type & waiting_bits);
  }
  return result;
}

/// The body of a member: one step. `HUNGRY` if it is to go on, or there is nothing left to go on with.
Status decode_body(Decoder& decoder, Run& run, size_t block_from) {
  const int result = inflate_some(decoder, run);
  if (result != Z_OK && result != Z_BUF_ERROR) {
    // Memory for the window is taken once, when there is output first.
    decoder.message = decoder.stream.msg != nullptr ? decoder.stream.msg : result == Z_MEM_ERROR ? "out of memory" : "no deflate data";
    return DAMAGED;
  }
  const int type = decoder.stream.data_type;
  if ((type & between_blocks) == 0) return HUNGRY;
  if ((type & last_block) != 0) {
    // Fewer than eight bits wait: the rest of a byte.
    decoder.phase = Decoder::TRAILING;
    decoder.trailing = 0;
    return HUNGRY;
  }
  return run.produced >= block_from ? BETWEEN : HUNGRY;
}

Status decode(Decoder& decoder, Run& run, size_t member_from, size_t block_from) {
  for (;;) {
    if (run.produced == run.target_size) return FULL;
    if (run.consumed == run.packed_size) return HUNGRY;
    Status status = HUNGRY;
    if (decoder.phase == Decoder::SIGNATURE) {
      status = find_signature(decoder, run);
    } else if (decoder.phase == Decoder::TRAILING) {
      status = read_trailer(decoder, run, member_from);
    } else {
      status = decode_body(decoder, run, block_from);
    }
    if (status != HUNGRY) return status;
  }
}

/// (decoder, packed, target, member from, block from, counts) → status. `counts` becomes: bytes consumed, bytes produced. With as many bytes in
/// `target` as the two numbers say, it stops at a member's end, or between two blocks.
Napi::Value feed(const Napi::CallbackInfo& info) {
  const auto packed = info[1].As<Napi::Uint8Array>();
  auto target = info[2].As<Napi::Uint8Array>();
  auto counts = info[5].As<Napi::Float64Array>();
  Run run{packed.Data(), packed.ByteLength(), target.Data(), target.ByteLength()};
  const Status status = decode(decoder_of(info), run, whole(info[3]), whole(info[4]));
  counts[0] = static_cast<double>(run.consumed);
  counts[1] = static_cast<double>(run.produced);
  return Napi::Number::New(info.Env(), status);
}

/// (decoder, mark): where it stands. `mark` becomes: kind, bit, bit of the block's header, extra, last block, decoded bytes of this member.
Napi::Value mark(const Napi::CallbackInfo& info) {
  Decoder& decoder = decoder_of(info);
  auto result = info[1].As<Napi::Float64Array>();
  const int type = decoder.stream.data_type;
  const bool last = (type & last_block) != 0;
  const long place = inflateMark(&decoder.stream);
  uint64_t bit = decoder.position * 8;
  uint64_t extra = 0;
  Kind kind = MEMBER;
  if (decoder.phase == Decoder::SIGNATURE) {
    extra = decoder.matched;
  } else if (decoder.phase == Decoder::TRAILING) {
    kind = TRAILER;
  } else {
    bit -= static_cast<unsigned>(type & waiting_bits);
    if ((type & between_blocks) != 0) {
      kind = BLOCK;
    } else {
      kind = place >> 16 < 0 ? STORED : CODE;
      extra = static_cast<uint64_t>(place & 0xffff);
      if (kind == CODE) bit -= static_cast<uint64_t>(place >> 16);
    }
  }
  result[0] = kind;
  result[1] = static_cast<double>(bit);
  result[2] = static_cast<double>(decoder.header);
  result[3] = static_cast<double>(extra);
  result[4] = last ? 1 : 0;
  result[5] = static_cast<double>(decoder.written);
  return info.Env().Undefined();
}

/// (content) → its CRC-32
Napi::Value checksum(const Napi::CallbackInfo& info) {
  const auto content = info[0].As<Napi::Uint8Array>();
  return Napi::Number::New(info.Env(), libdeflate_crc32(0, content.Data(), content.ByteLength()));
}

/// (first, second, length of the second) → the CRC-32 of both, one behind the other
Napi::Value combine(const Napi::CallbackInfo& info) {
  const auto first = static_cast<uLong>(whole(info[0]));
  const auto second = static_cast<uLong>(whole(info[1]));
  const uLong result = crc32_combine(first, second, static_cast<z_off_t>(whole(info[2])));
  return Napi::Number::New(info.Env(), static_cast<double>(result));
}

/// (decoder) → what is wrong with the data, after DAMAGED
Napi::Value fault(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), decoder_of(info).message); }

}  // namespace

void export_gzip(Napi::Env env, Napi::Object exports) {
  exports.Set("gzipDecoder", Napi::Function::New(env, create, "gzipDecoder"));
  exports.Set("gzipRestart", Napi::Function::New(env, restart, "gzipRestart"));
  exports.Set("gzipFeed", Napi::Function::New(env, feed, "gzipFeed"));
  exports.Set("gzipMark", Napi::Function::New(env, mark, "gzipMark"));
  exports.Set("crc32", Napi::Function::New(env, checksum, "crc32"));
  exports.Set("combineCrc32", Napi::Function::New(env, combine, "combineCrc32"));
  exports.Set("gzipFault", Napi::Function::New(env, fault, "gzipFault"));
}
