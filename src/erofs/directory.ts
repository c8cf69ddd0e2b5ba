import type { Node } from "../tree/node.js";
import { dirent, entryTypes } from "./layout.js";

export interface DirectoryEntry {
  readonly name: Buffer;
  /** Of its inode. */
  readonly number: number;
  readonly kind: Node["kind"];
}

/**
 * The blocks of a directory: each holds entries and behind them their names, as many as fit; the last one ends with its last name.
 * `entries` are sorted by their names, bytewise, over all blocks: the kernel looks them up by bisection.
 */
export function directoryBlocks(entries: readonly DirectoryEntry[], blockSize: number): Buffer {
  const blocks: Buffer[] = [];
  for (let first = 0; first < entries.length; ) {
    let used = 0;
    let last = first;
    for (; last < entries.length; last += 1) {
      const size = dirent.size + (entries[last]?.name.length ?? 0);
      if (used + size > blockSize) break;
      used += size;
    }
    blocks.push(block(entries.slice(first, last), last === entries.length ? used : blockSize));
    first = last;
  }
  return Buffer.concat(blocks);
}

function block(entries: readonly DirectoryEntry[], size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let nameOffset = entries.length * dirent.size;
  for (const [index, { name, number, kind }] of entries.entries()) {
    const at = index * dirent.size;
    bytes.writeBigUInt64LE(BigInt(number), at + dirent.nid);
    bytes.writeUInt16LE(nameOffset, at + dirent.nameOffset);
    bytes.writeUInt8(entryTypes[kind], at + dirent.type);
    name.copy(bytes, nameOffset);
    nameOffset += name.length;
  }
  return bytes;
}
