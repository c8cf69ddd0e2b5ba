// Checksums, the two footers, and the block allocation table. Reference: Microsoft "Virtual Hard Disk Image Format Specification" 1.0.
import { readBytes, type Source } from "../../source/source.js";
import { hex } from "../../util/text.js";
import type { Audit } from "../audit.js";
import { findOverlaps } from "../places.js";
import { createTableReader } from "../table-reader.js";
import { findFooter } from "./footer.js";
import type { DynamicHeader, VhdHeader } from "./header.js";
import { diskTypes, dynamicHeader, footer as footerLayout, SECTOR_SIZE, UNUSED_ENTRY } from "./layout.js";

export function auditVhd(source: Source, header: VhdHeader, audit: Audit): void {
  auditFooters(source, header, audit);
  if (!header.dynamic) return;
  const { position, valid } = header.dynamic;
  if (!valid) {
    const message = "the checksum of the dynamic disk header is wrong";
    audit.found({ kind: "checksum wrong", severity: "error", message, position: position + 36 });
  }
  auditTable(source, header, header.dynamic, audit);
}

function auditFooters(source: Source, { type }: VhdHeader, audit: Audit): void {
  const { all } = findFooter(source);
  const found = (kind: string, message: string, position: number) => audit.found({ kind, severity: "error", message, position });
  const last = all.find(({ place }) => place === "end");
  const first = all.find(({ place }) => place === "beginning");
  const end = last?.position ?? source.size - footerLayout.size;
  if (!last) found("footer missing", "there is no footer at the end of the file", end);
  else if (!last.valid) found("checksum wrong", "the checksum of the footer is wrong", end + 64);
  if (type === diskTypes.fixed) return;
  if (!first) found("footer missing", "there is no copy of the footer at the beginning of the file", 0);
  else if (!first.valid) found("checksum wrong", "the checksum of the footer's copy is wrong", 64);
  if (!last || !first) return;
  const size = Math.min(last.size, first.size);
  if (!readBytes(source, end, size).equals(readBytes(source, 0, size))) {
    found("copies differ", "the footer and its copy at the beginning of the file differ", 0);
  }
}

function auditTable(source: Source, { size, dataEnd }: VhdHeader, dynamic: DynamicHeader, audit: Audit): void {
  const { position: headerPosition, tableOffset, maxTableEntries, blockSize } = dynamic;
  const entries = Math.min(maxTableEntries, Math.floor((source.size - tableOffset) / 4));
  const stored = Math.ceil(blockSize / SECTOR_SIZE / 8 / SECTOR_SIZE) * SECTOR_SIZE + blockSize;
  const entryOf = createTableReader(source, tableOffset, entries, "big");
  const placeOf = (block: number) => (entryOf(block) === UNUSED_ENTRY ? -1 : entryOf(block) * SECTOR_SIZE);
  const taken = [
    { what: "the copy of the footer", start: 0, end: footerLayout.size },
    { what: "the dynamic disk header", start: headerPosition, end: headerPosition + dynamicHeader.size },
    { what: "the block allocation table", start: tableOffset, end: tableOffset + Math.ceil(size / blockSize) * 4 },
  ];
  const found = (kind: string, block: number, what: string) => {
    const message = `block ${block}, at ${hex(placeOf(block))}, ${what}`;
    audit.found({ kind, severity: "error", message, position: tableOffset + 4 * block });
    return message;
  };
  if (entries < maxTableEntries) {
    const message = `the block allocation table has room for ${entries} of ${maxTableEntries} entries before the file ends`;
    audit.found({ kind: "behind the end", severity: "warning", message, position: headerPosition + 28 });
  }
  for (let block = 0; block < entries; block += 1) {
    const place = placeOf(block);
    if (place < 0) continue;
    if (block * blockSize >= size) {
      found("block behind the disk", block, `is none of the disk, which has ${size} bytes`);
      continue;
    }
    const area = taken.find(({ start, end }) => place < end && place + stored > start);
    if (area) found("overlap", block, `lies over ${area.what}`);
    const needed = stored - blockSize + Math.min(blockSize, size - block * blockSize);
    if (place + needed > dataEnd) found("behind the end", block, `is not whole: the data of the file end at ${hex(dataEnd)}`);
    if (block % 65536 === 0) audit.progress(block, entries);
  }
  const doubtful = (block: number, reason: string) => {
    const start = block * blockSize;
    if (start < size) audit.doubtful({ start, length: Math.min(blockSize, size - start) }, reason);
  };
  findOverlaps({ count: entries, length: stored, end: source.size, placeOf }, (block, other) => {
    const reason = found("overlap", block, `lies over block ${other}`);
    doubtful(other, reason);
    doubtful(block, reason);
  });
}
