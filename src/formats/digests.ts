// Checksums over long runs of a file, a piece at a time.
import { crc32 } from "node:zlib";
import type { Source } from "../source/source.js";

const PIECE = 4 * 2 ** 20;
const PATTERN_PIECE = 2 ** 16;

/** Calls `use` with all of the `length` bytes at `position`, in order. A piece is good until the next one. */
export function eachPiece(source: Source, position: number, length: number, use: (piece: Uint8Array, done: number) => void): void {
  const buffer = Buffer.allocUnsafeSlow(Math.min(PIECE, length));
  for (let done = 0; done < length; ) {
    const piece = buffer.subarray(0, Math.min(buffer.length, length - done));
    source.read(piece, position + done);
    done += piece.length;
    use(piece, done);
  }
}

/** CRC-32 (IEEE 802.3) of `length` times the bytes of `pattern`, continued from `value`; `length` is a multiple of the pattern's. */
export function crcOfPattern(pattern: Uint8Array, length: number, value: number): number {
  if (length === 0) return value;
  const piece = Buffer.alloc(Math.min(PATTERN_PIECE, length), pattern);
  let crc = value;
  // A run may have any length, whatever the file has: pieces are put together, each time twice as many.
  let [sum, size] = [crc32(piece), piece.length];
  for (let left = Math.floor(length / piece.length); left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) crc = combined(crc, sum, size);
    sum = combined(sum, sum, size);
    size *= 2;
  }
  return crc32(piece.subarray(0, length % piece.length), crc);
}

/** The polynomial, the lowest power in the highest bit. */
const POLYNOMIAL = 0xedb88320;

/** The CRC-32 of one content behind another, from those of both; `size` of the second in bytes. */
function combined(first: number, second: number, size: number): number {
  // The first one is moved on by as many bits as the second has: multiplied by that power of x.
  let power = 0x80000000;
  let square = 0x00800000;
  for (let left = size; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = product(power, square);
    square = product(square, square);
  }
  return (product(power, first) ^ second) >>> 0;
}

/** The product of two polynomials over GF(2), modulo that of the CRC. */
function product(a: number, b: number): number {
  let result = 0;
  let shifted = b;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) result ^= shifted;
    shifted = (shifted & 1) === 0 ? shifted >>> 1 : (shifted >>> 1) ^ POLYNOMIAL;
  }
  return result >>> 0;
}

export { crc32 };
