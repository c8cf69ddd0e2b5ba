// SUSP (IEEE P1281, System Use Sharing Protocol): how System Use fields are divided into entries, and continued elsewhere.
import { readBytes, type Source } from "../../source/source.js";

export interface SystemUseEntry {
  /** Two letters. */
  readonly name: string;
  /** What follows the four bytes of name, length and version. */
  readonly data: Buffer;
}

/** Continuation areas of one record; a chain of them may loop. */
const CONTINUATION_LIMIT = 64;

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

/** The entries of a System Use field, those of its continuation areas (CE, 5.1) included. Rubbish ends it. */
export function* systemUseEntries(disk: Source, use: Uint8Array, skip: number, blockSize: number): Generator<SystemUseEntry> {
  let area = Buffer.from(use.buffer, use.byteOffset, use.length).subarray(skip);
  for (let round = 0; round <= CONTINUATION_LIMIT; round += 1) {
    let next: Buffer | undefined;
    for (let at = 0; at + 4 <= area.length; ) {
      const length = area[at + 2] ?? 0;
      if (length < 4 || at + length > area.length) break;
      const name = area.toString("latin1", at, at + 2);
      const data = area.subarray(at + 4, at + length);
      at += length;
      if (name === "ST") break;
      if (name === "CE" && data.length >= 24) next = continuation(disk, data, blockSize);
      else yield { name, data };
    }
    if (!next) return;
    area = next;
  }
}

/** Block, offset in it, and length, each in both byte orders. */
function continuation(disk: Source, data: Buffer, blockSize: number): Buffer | undefined {
  const position = data.readUInt32LE(0) * blockSize + data.readUInt32LE(8);
  const length = Math.min(data.readUInt32LE(16), AREA_LIMIT);
  return length > 0 && position + length <= disk.size ? readBytes(disk, position, length) : undefined;
}
