import { readBytes, type Source } from "../source/source.js";

/** Bytes read at once: small headers that stand close together cost one read. */
const AHEAD = 4096;

/** Reads a few bytes at a time, most of them out of what was read before. What it gives is good until the next call. */
export function windowOf(source: Source): (position: number, length: number) => Buffer {
  let start = 0;
  let window: Buffer = Buffer.alloc(0);
  return (position, length) => {
    if (position < start || position + length > start + window.length) {
      start = position;
      // A read that leaves the file fails as it would without the window.
      window = readBytes(source, position, Math.max(length, Math.min(AHEAD, source.size - position)));
    }
    return window.subarray(position - start, position - start + length);
  };
}
