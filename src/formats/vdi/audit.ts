// The block map and the header's own count of blocks, as VBoxManage and "qemu-img check" compare them.
import { readStruct, type Source } from "../../source/source.js";
import { hex } from "../../util/text.js";
import type { Audit } from "../audit.js";
import { findOverlaps } from "../places.js";
import { createTableReader } from "../table-reader.js";
import type { VdiHeader } from "./header.js";
import { blockMap, header0, header1, preHeader } from "./layout.js";

export function auditVdi(source: Source, header: VdiHeader, audit: Audit): void {
  const { tablePosition, dataPosition, blockSize, blockExtra, blocksAllocated, size } = header;
  const major = readStruct(source, 0, preHeader).version >>> 16;
  const { blockCount } = readStruct(source, 0, major === 0 ? header0 : header1);
  const entryOf = createTableReader(source, tablePosition, blockCount, "little");
  const stored = blockExtra + blockSize;
  const isBlock = (entry: number) => entry < blockMap.zero;
  let allocated = 0;
  for (let block = 0; block < blockCount; block += 1) {
    const entry = entryOf(block);
    if (!isBlock(entry)) continue;
    const position = tablePosition + 4 * block;
    if (entry < blockCount) allocated += 1;
    else {
      const message = `block ${block} is said to be number ${entry} of the file; there are ${blockCount}`;
      audit.found({ kind: "block map", severity: "error", message, position });
    }
    const start = dataPosition + entry * stored;
    if (entry < blockCount && start + stored > source.size && block * blockSize < size) {
      const needed = start + blockExtra + Math.min(blockSize, size - block * blockSize);
      const message = `block ${block}, at ${hex(start)}, is behind the end of the file, which has ${source.size} bytes`;
      // A last block that is cut where the disk ends lacks nothing.
      if (needed > source.size) audit.found({ kind: "behind the end", severity: "warning", message, position });
    }
    if (block % 65536 === 0) audit.progress(block, blockCount);
  }
  const places = {
    count: blockCount,
    length: 1,
    end: blockCount,
    placeOf: (block: number) => (isBlock(entryOf(block)) ? entryOf(block) : -1),
  };
  findOverlaps(places, (block, other) => {
    const message = `blocks ${other} and ${block} of the disk are the same block of the file, number ${entryOf(block)}`;
    audit.found({ kind: "overlap", severity: "error", message, position: tablePosition + 4 * block });
    for (const each of [other, block]) doubtfulBlock(audit, each, blockSize, size, message);
  });
  if (allocated === blocksAllocated) return;
  const message = `the header counts ${blocksAllocated} allocated blocks, the block map has ${allocated}`;
  audit.found({ kind: "block count", severity: "error", message, position: major === 0 ? 368 : 388 });
}

function doubtfulBlock(audit: Audit, block: number, blockSize: number, size: number, reason: string): void {
  const start = block * blockSize;
  if (start < size) audit.doubtful({ start, length: Math.min(blockSize, size - start) }, reason);
}
