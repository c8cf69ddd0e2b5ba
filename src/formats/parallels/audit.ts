// The block allocation table of a Parallels image. Reference: docs/interop/parallels.rst in the QEMU sources.
import { readStruct, type Source } from "../../source/source.js";
import { hex } from "../../util/text.js";
import type { Audit } from "../audit.js";
import { findOverlaps } from "../places.js";
import { createTableReader } from "../table-reader.js";
import { header, IN_USE, SECTOR, signatures } from "./layout.js";

export function auditExpandable(source: Source, audit: Audit): void {
  const { magic, tracks, batEntries, inUse, dataOffset, sectorsLow, sectorsHigh } = readStruct(source, 0, header);
  const clusterSize = tracks * SECTOR;
  const inClusters = Object.entries(signatures).some(([signature, unit]) => signature === magic && unit === "clusters");
  const unit = inClusters ? clusterSize : SECTOR;
  const size = (sectorsLow + (inClusters ? sectorsHigh * 2 ** 32 : 0)) * SECTOR;
  const entryOf = createTableReader(source, header.size, batEntries, "little");
  if (inUse === IN_USE) {
    const message = "It is in use, or was not closed properly: what was being written then may be missing";
    audit.found({ kind: "not closed", severity: "error", message, position: 44 });
  }
  const tableEnd = header.size + batEntries * 4;
  let end = dataOffset > 0 ? dataOffset * SECTOR : Math.ceil(tableEnd / clusterSize) * clusterSize;
  let any = false;
  for (let index = 0; index < batEntries; index += 1) {
    const place = entryOf(index) * unit;
    if (place === 0) continue;
    const position = header.size + 4 * index;
    const wrong = (kind: string, what: string) =>
      audit.found({ kind, severity: "error", message: `cluster ${index}, at ${hex(place)}, ${what}`, position });
    if (place < tableEnd) wrong("overlap", "lies in the block allocation table");
    if (place >= source.size) {
      wrong("behind the end", `is behind the end of the file, which has ${source.size} bytes`);
      continue;
    }
    end = any ? Math.max(end, place + clusterSize) : place + clusterSize;
    any = true;
    if (index % 65536 === 0) audit.progress(index, batEntries);
  }
  const places = { count: batEntries, length: clusterSize, end: source.size, placeOf: (index: number) => entryOf(index) * unit || -1 };
  findOverlaps(places, (index, other) => {
    const message = `clusters ${other} and ${index} of the disk lie over each other in the file, at ${hex(entryOf(index) * unit)}`;
    audit.found({ kind: "overlap", severity: "error", message, position: header.size + 4 * index });
    for (const each of [other, index]) {
      const start = each * clusterSize;
      if (start < size) audit.doubtful({ start, length: Math.min(clusterSize, size - start) }, message);
    }
  });
  if (source.size <= end) return;
  const count = Math.ceil((source.size - end) / clusterSize);
  const message = `${source.size - end} bytes behind the last cluster, from ${hex(end)} on, belong to nothing`;
  audit.found({ kind: "leaked cluster", severity: "warning", message, position: end, ...(count > 1 && { count }) });
}
