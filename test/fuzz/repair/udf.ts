import type { Input } from "../input.js";
import { byteSum, crc16, patch, peek } from "./sums.js";

const ids = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 256, 257, 258, 259, 260, 261, 262, 263, 264, 265, 266]);

/** CRC and checksum of every tag: at the start of a sector, and of what follows a tag inside one (entries of directories). */
export function repairUdf(input: Input): void {
  for (const { position, length } of input.files[0]?.pieces.slice(0, 200) ?? []) {
    const first = position & -512;
    for (let at = first; at < position + length; at += 512) {
      let next = at;
      // Entries of a directory follow each other.
      for (let count = 0; count < 40; count += 1) {
        const size = retag(input, next);
        if (size === 0) break;
        next += size;
      }
    }
  }
}

/** Bytes to the next tag, for those that others follow; 0 where there is none. */
function retag(input: Input, at: number): number {
  const tag = peek(input, 0, at, 16);
  if (!tag || !ids.has(tag.readUInt16LE(0)) || (tag[2] !== 2 && tag[2] !== 3)) return 0;
  const length = tag.readUInt16LE(10);
  const body = peek(input, 0, at + 16, length);
  patch(input, 0, at, 16, (bytes) => {
    if (body) bytes.writeUInt16LE(crc16(body), 8);
    bytes[4] = 0;
    bytes[4] = byteSum(bytes) & 255;
  });
  if (tag.readUInt16LE(0) !== 257) return 0;
  const fixed = peek(input, 0, at, 38);
  return fixed ? Math.ceil((38 + (fixed[19] ?? 0) + fixed.readUInt16LE(36)) / 4) * 4 : 0;
}
