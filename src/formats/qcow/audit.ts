// Version 1 keeps no counts: every cluster of the disk has a place of its own.
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import type { Audit } from "../audit.js";
import { findOverlaps } from "../places.js";
import { createTableCache, loadTable64 } from "../tables.js";
import type { QcowHeader } from "./header.js";

const TABLES_LIMIT = 8 * 2 ** 20;
const COMPRESSED = 0x80000000;

export function auditQcow(source: Source, { size, clusterBits, l2Bits, l1TableOffset, l1Size }: QcowHeader, audit: Audit): void {
  const clusterSize = 2 ** clusterBits;
  const entries = 2 ** l2Bits;
  const l1 = loadTable64(source, l1TableOffset, l1Size);
  const tableAt = (index: number) => l1[2 * index]! * 2 ** 32 + l1[2 * index + 1]!;
  const load = createTableCache(TABLES_LIMIT, (position) => loadTable64(source, position, entries));
  const tables = new Map<number, number>();
  for (let index = 0; index < l1Size; index += 1) {
    const position = tableAt(index);
    if (position === 0) continue;
    const found = (kind: string, problem: string) =>
      audit.found({
        kind,
        severity: "error",
        message: `L2 table ${index}, at ${hex(position)}, ${problem}`,
        position: l1TableOffset + 8 * index,
      });
    if (position + entries * 8 > source.size) found("behind the end", `is behind the end of the file, which has ${source.size} bytes`);
    const other = tables.get(position);
    if (other !== undefined) found("overlap", `is L2 table ${other}, too`);
    else tables.set(position, index);
    audit.progress(index, l1Size);
  }

  /** Of a cluster that is stored plainly. */
  const placeOf = (cluster: number): number => {
    const position = tableAt(Math.floor(cluster / entries));
    if (position === 0 || position + entries * 8 > source.size) return -1;
    const table = loadOr(() => load(position));
    const at = 2 * (cluster % entries);
    const [high, low] = table ? [table[at]!, table[at + 1]!] : [0, 0];
    return (high & COMPRESSED) !== 0 || (high === 0 && low === 0) ? -1 : high * 2 ** 32 + low;
  };
  const count = Math.ceil(size / clusterSize);
  const found = (kind: string, cluster: number, problem: string) => {
    const message = `the cluster at offset ${hex(cluster * clusterSize)} of the disk, at ${hex(placeOf(cluster))}, ${problem}`;
    audit.found({ kind, severity: "error", message, position: tableAt(Math.floor(cluster / entries)) + 8 * (cluster % entries) });
    return message;
  };
  const doubtful = (cluster: number, reason: string) => {
    const start = cluster * clusterSize;
    audit.doubtful({ start, length: Math.min(clusterSize, size - start) }, reason);
  };
  const taken = [...tables.keys()].toSorted((a, b) => a - b);
  for (let cluster = 0; cluster < count; cluster += 1) {
    if (cluster % entries === 0) {
      // Most of a large disk has no tables at all.
      while (cluster < count && tableAt(Math.floor(cluster / entries)) === 0) cluster += entries;
      if (cluster >= count) break;
    }
    const place = placeOf(cluster);
    if (place < 0) continue;
    if (place >= source.size) found("behind the end", cluster, `is behind the end of the file, which has ${source.size} bytes`);
    else if (overlapsTable(place)) doubtful(cluster, found("overlap", cluster, "lies over a table or the header"));
  }
  findOverlaps({ count, length: clusterSize, end: source.size, placeOf }, (cluster, other) => {
    const reason = found("overlap", cluster, `lies over the one at offset ${hex(other * clusterSize)}`);
    doubtful(other, reason);
    doubtful(cluster, reason);
  });

  function overlapsTable(place: number): boolean {
    if (place < l1TableOffset + l1Size * 8 && place + clusterSize > l1TableOffset) return true;
    let low = 0;
    let high = taken.length;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (taken[middle]! + entries * 8 > place) high = middle;
      else low = middle + 1;
    }
    const table = taken[low];
    return place < 48 || (table !== undefined && table < place + clusterSize);
  }
}

function loadOr<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}
