// Clusters of the file that are used for two things at once, and what of the disk lies in them.
import type { Source } from "../../source/source.js";
import { hex } from "../../util/text.js";
import type { Audit, Problem } from "../audit.js";
import type { Counts } from "../counts.js";
import { loadTable64 } from "../tables.js";
import { auditTable } from "./audit-entries.js";
import { paddedSource } from "./audit-refcounts.js";
import { hostOffset } from "./entries.js";
import type { Qcow2Header } from "./header.js";

/** Clusters of one window whose place on the disk is looked for. */
export const SHARED_LIMIT = 2 ** 16;

/** Notes in `metadata`, a bit for each cluster of the window, that tables or headers lie there. */
export function markClusters(metadata: Uint8Array, { first, end }: Counts, position: number, length: number, clusterSize: number): void {
  const last = Math.min(end - 1, Math.floor((position + length - 1) / clusterSize));
  for (let cluster = Math.max(first, Math.floor(position / clusterSize)); cluster <= last; cluster += 1) {
    const at = cluster - first;
    metadata[at >>> 3] = metadata[at >>> 3]! | (1 << (at & 7));
  }
}

/** Tells of data that lie over tables or headers, and notes the clusters in `shared`. */
export function overlapTeller(
  metadata: Uint8Array,
  { first, end }: Counts,
  clusterSize: number,
  shared: Set<number>,
  tell: (problem: Problem) => void,
): (position: number, length: number) => void {
  return (position, length) => {
    const last = Math.min(end - 1, Math.floor((position + length - 1) / clusterSize));
    for (let cluster = Math.max(first, Math.floor(position / clusterSize)); cluster <= last; cluster += 1) {
      const at = cluster - first;
      if ((metadata[at >>> 3]! & (1 << (at & 7))) === 0) continue;
      if (shared.size < SHARED_LIMIT) shared.add(cluster);
      const message = `data of the disk at ${hex(position)} lie where a table or a header is`;
      tell({ kind: "overlap", severity: "error", message, position: cluster * clusterSize });
    }
  };
}

/** Which parts of the disk lie in clusters of the file that something else uses, too. */
export function tellShared(source: Source, header: Qcow2Header, shared: ReadonlySet<number>, audit: Audit): void {
  const clusterSize = 2 ** header.clusterBits;
  const perTable = clusterSize / (header.extendedL2 ? 16 : 8);
  const tell = (start: number, length: number, reason: string) => {
    const clipped = Math.min(length, header.size - start);
    if (clipped > 0) audit.doubtful({ start, length: clipped }, reason);
  };
  const padded = paddedSource(source);
  const l1 = loadTable64(padded, header.l1TableOffset, header.l1Size);
  for (let index = 0; index < header.l1Size; index += 1) {
    const position = hostOffset(l1[2 * index]!, l1[2 * index + 1]!);
    if (position === 0 || position % clusterSize !== 0) continue;
    const start = index * perTable * clusterSize;
    if (shared.has(position / clusterSize)) {
      tell(start, perTable * clusterSize, `the L2 table at ${hex(position)} lies in a cluster that something else uses, too`);
      continue;
    }
    auditTable(padded, header, position, ({ entry, position: at, length }) => {
      for (let cluster = Math.floor(at / clusterSize); cluster * clusterSize < at + length; cluster += 1) {
        if (!shared.has(cluster)) continue;
        tell(start + entry * clusterSize, clusterSize, `its cluster at ${hex(at)} is used by something else, too`);
        return;
      }
    });
  }
}
