// Every cluster of a QED image is used once: there are no snapshots. Reference: docs/interop/qed_spec.rst in the QEMU sources.
import type { Source } from "../../source/source.js";
import { hex } from "../../util/text.js";
import type { Audit } from "../audit.js";
import { createRunTeller } from "../audit.js";
import { createCounts, WINDOW, windows } from "../counts.js";
import { loadTable64 } from "../tables.js";
import type { QedHeader } from "./header.js";
import { offsets } from "./layout.js";

export function auditQed(source: Source, header: QedHeader, audit: Audit, span = WINDOW): void {
  const { clusterSize, tableEntries, l1TableOffset, headerBytes, size, needCheck } = header;
  if (needCheck) {
    const message = "It was not closed properly and needs a check: clusters that were being written then may be missing";
    audit.found({ kind: "not closed", severity: "warning", message, position: 16 });
  }
  const clusters = Math.floor(source.size / clusterSize);
  const tableClusters = (tableEntries * 8) / clusterSize;
  const words = readTable(source, l1TableOffset, Math.min(tableEntries, Math.floor((source.size - l1TableOffset) / 8)));
  const isPlace = (position: number) => position % clusterSize === 0 && position >= headerBytes && position < clusters * clusterSize;
  const isTable = (position: number) => isPlace(position) && isPlace(position + (tableClusters - 1) * clusterSize);
  const tell = (what: string, position: number, problem: string, kind: string) =>
    audit.found({ kind, severity: "error", message: `${what} ${problem}`, position });

  for (const window of windows(clusters, span)) {
    const first = window.first === 0;
    const counts = createCounts(window.first, window.end);
    /** Who came first at a place that is taken again is not known any more: both are looked for afterwards. */
    const shared = new Set<number>();
    const take = (what: string, start: number, length: number, position: number): boolean => {
      let free = true;
      for (let cluster = start / clusterSize; cluster < (start + length) / clusterSize; cluster += 1) {
        if (cluster < window.first || cluster >= window.end) continue;
        if (counts.add(cluster, 1) === 1) continue;
        free = false;
        shared.add(cluster);
        tell(what, position, `uses the cluster at ${hex(cluster * clusterSize)}, which something else uses, too`, "overlap");
      }
      return free;
    };
    take("the L1 table", l1TableOffset, tableClusters * clusterSize, 40);
    for (let index = 0; index < words.length / 2; index += 1) {
      const table = valueOf(words, index);
      if (table === offsets.unallocated) continue;
      const at = l1TableOffset + 8 * index;
      if (!isTable(table)) {
        if (first) tell(`the L2 table ${index}, at ${hex(table)},`, at, "does not lie in the clusters of the file", "table entry");
        continue;
      }
      if (!take(`the L2 table ${index}`, table, tableClusters * clusterSize, at)) continue;
      eachCluster(source, table, tableEntries, (entry, place) => {
        const what = `entry ${entry} of the L2 table at ${hex(table)}`;
        if (isPlace(place)) take(what, place, clusterSize, table + 8 * entry);
        else if (first) tell(what, table + 8 * entry, `names ${hex(place)}, which is no cluster of the file`, "table entry");
      });
      audit.progress(window.first + ((window.end - window.first) * (index + 1)) / tableEntries, clusters);
    }
    const leaked = createRunTeller((from, last) => {
      const message = `${from === last ? `cluster ${from} is` : `clusters ${from} to ${last} are`} used by nothing`;
      const count = last - from + 1;
      audit.found({ kind: "leaked cluster", severity: "warning", message, position: from * clusterSize, ...(count > 1 && { count }) });
    });
    for (let cluster = Math.max(window.first, headerBytes / clusterSize); cluster < window.end; cluster += 1) {
      if (counts.get(cluster) === 0) leaked.add(cluster, "");
    }
    leaked.end();
    if (shared.size > 0) tellShared();

    function tellShared(): void {
      const span = tableEntries * clusterSize;
      const doubtful = (start: number, length: number) => {
        if (start < size) audit.doubtful({ start, length: Math.min(length, size - start) }, "its cluster is used by something else, too");
      };
      for (let index = 0; index < words.length / 2; index += 1) {
        const table = valueOf(words, index);
        if (table === offsets.unallocated || !isTable(table)) continue;
        const own = Array.from({ length: tableClusters }, (_, number) => table / clusterSize + number);
        if (own.some((cluster) => shared.has(cluster))) {
          doubtful(index * span, span);
          continue;
        }
        eachCluster(source, table, tableEntries, (entry, place) => {
          if (shared.has(place / clusterSize)) doubtful(index * span + entry * clusterSize, clusterSize);
        });
      }
    }
  }
}

function eachCluster(source: Source, table: number, entries: number, use: (entry: number, place: number) => void): void {
  const words = readTable(source, table, entries);
  for (let entry = 0; entry < entries; entry += 1) {
    const place = valueOf(words, entry);
    if (place !== offsets.unallocated && place !== offsets.zero) use(entry, place);
  }
}

function readTable(source: Source, position: number, entries: number): Uint32Array {
  return loadTable64(source, position, entries, "little");
}

function valueOf(table: Uint32Array, index: number): number {
  return table[2 * index]! * 2 ** 32 + table[2 * index + 1]!;
}
