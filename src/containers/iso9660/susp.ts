// SUSP (IEEE P1281, System Use Sharing Protocol): how System Use fields are divided into entries, and continued elsewhere.
import type { Source } from "../../source/source.js";
import { readThere } from "./shifted.js";

/** Continuation areas of one record; a chain of them may loop. */
export const CONTINUATION_LIMIT = 64;

/** Bytes of one continuation area; the fields' lengths allow more than anyone needs. */
const AREA_LIMIT = 64 * 1024;

/** Whether System Use fields are divided as SUSP says, and how many bytes of each are left out: from the "SP" entry of the root's "." (5.3). */
export function suspSkip(rootUse: Uint8Array): number | undefined {
  // CD-ROM XA puts 14 bytes of its own in front.
  for (const start of [0, 14]) {
    const entry = rootUse.subarray(start);
    if (entry[0] === 0x53 && entry[1] === 0x50 && entry[4] === 0xbe && entry[5] === 0xef) return entry[6] ?? 0;
  }
  return undefined;
}

/** Where System Use entries go on: a "CE" entry (5.1) says so at `at` of `area`. Undefined if that cannot be. */
export function continuation(disk: Source, area: Buffer, at: number, blockSize: number): Buffer | undefined {
  // Block, offset in it, and length, each in both byte orders.
  const position = area.readUInt32LE(at) * blockSize + area.readUInt32LE(at + 8);
  const length = Math.min(area.readUInt32LE(at + 16), AREA_LIMIT);
  return length > 0 && position + length <= disk.size ? readThere(disk, position, length) : undefined;
}
