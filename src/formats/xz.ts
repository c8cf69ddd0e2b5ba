// xz files. Reference: "The .xz File Format", version 1.2.1 (tukaani.org); section numbers are its.
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { unpackLzma2 } from "./lzma2.js";

const MAGIC = Buffer.from("\xfd7zXZ\0", "latin1");
const LZMA2 = 0x21;
/** Bytes of the check behind each block, by its number (2.1.1.2). */
const checkSizes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const;
const checks = { none: 0, crc32: 1, crc64: 4, sha256: 10 } as const;

/**
 * Decodes the xz stream at the start of `packed` into `target`: true if its blocks give exactly that many bytes, and their checks are right.
 * Only the filter LZMA2 is known. What follows the last block (the index) is not looked at.
 */
export function unpackXz(packed: Buffer, target: Uint8Array): boolean {
  try {
    return decode(packed, target) === target.length;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** Bytes written. Reading past the end of a `Buffer` throws a `RangeError`, like everything that is no xz stream. */
function decode(packed: Buffer, target: Uint8Array): number {
  if (!packed.subarray(0, 6).equals(MAGIC) || packed.readUInt32LE(8) !== crc32(packed.subarray(6, 8))) throw new RangeError("no xz stream");
  const check = packed.readUInt16BE(6);
  const checkSize = checkSizes[check];
  if (checkSize === undefined) throw new RangeError("unknown flags");

  let at = 12;
  let done = 0;
  // A header size of zero is where the index begins.
  while (packed.readUInt8(at) !== 0) {
    const start = at + readBlockHeader(packed, at);
    const block = unpackLzma2(packed, start, target, done);
    // Blocks are padded to four bytes (3.3).
    const checkAt = start + Math.ceil((block.at - start) / 4) * 4;
    const stored = packed.subarray(checkAt, checkAt + checkSize);
    if (stored.length < checkSize || !isRight(check, target.subarray(done, block.done), stored)) throw new RangeError("a check is wrong");
    at = checkAt + checkSize;
    done = block.done;
  }
  return done;
}

/** Bytes of the block header at `at` (3.1). */
function readBlockHeader(packed: Buffer, at: number): number {
  const size = (packed.readUInt8(at) + 1) * 4;
  if (packed.readUInt32LE(at + size - 4) !== crc32(packed.subarray(at, at + size - 4))) throw new RangeError("a block header is damaged");
  const flags = packed.readUInt8(at + 1);
  if ((flags & 0x3f) !== 0) throw new RangeError("more than one filter, or unknown flags");
  let field = at + 2;
  // The compressed and the uncompressed size, which the chunks tell as well.
  for (const present of [flags & 0x40, flags & 0x80]) if (present !== 0) field = behindNumber(packed, field);
  if (packed.readUInt8(field) !== LZMA2 || packed.readUInt8(field + 1) !== 1) throw new RangeError("a filter other than LZMA2");
  return size;
}

/** Where the number of variable length at `at` ends (1.2). */
function behindNumber(packed: Buffer, at: number): number {
  let end = at;
  while (packed.readUInt8(end) >= 0x80) end += 1;
  return end + 1;
}

function isRight(check: number, content: Uint8Array, stored: Buffer): boolean {
  switch (check) {
    case checks.crc32:
      return stored.readUInt32LE(0) === crc32(content);
    case checks.crc64: {
      const [low, high] = crc64(content);
      return stored.readUInt32LE(0) === low && stored.readUInt32LE(4) === high;
    }
    case checks.sha256:
      return stored.equals(createHash("sha256").update(content).digest());
    default:
      return check === checks.none;
  }
}

/** CRC-64 of ECMA-182, bits reversed, its table as halves. */
const lowTable = new Uint32Array(256);
const highTable = new Uint32Array(256);
for (let value = 0; value < 256; value += 1) {
  let low = value;
  let high = 0;
  for (let bit = 0; bit < 8; bit += 1) {
    const odd = low & 1;
    low = ((low >>> 1) | (high << 31)) >>> 0;
    high >>>= 1;
    if (odd !== 0) {
      low = (low ^ 0xd7870f42) >>> 0;
      high = (high ^ 0xc96c5795) >>> 0;
    }
  }
  lowTable[value] = low;
  highTable[value] = high;
}

function crc64(content: Uint8Array): readonly [low: number, high: number] {
  let low = -1;
  let high = -1;
  for (let index = 0; index < content.length; index += 1) {
    const entry = (low ^ content[index]!) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ lowTable[entry]!;
    high = (high >>> 8) ^ highTable[entry]!;
  }
  return [~low >>> 0, ~high >>> 0];
}
