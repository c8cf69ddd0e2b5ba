// Checksums over long runs of a file, a piece at a time.
import { crc32 } from "node:zlib";
import type { Source } from "../source/source.js";

const PIECE = 4 * 2 ** 20;

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
  const piece = Buffer.alloc(Math.min(PIECE, length), pattern);
  let crc = value;
  for (let left = length; left > 0; left -= piece.length) crc = crc32(piece.subarray(0, Math.min(left, piece.length)), crc);
  return crc;
}

export { crc32 };
