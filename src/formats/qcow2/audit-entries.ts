// The L2 tables of an image, each read once however many L1 tables name it, and what is wrong with their entries.
import type { Source } from "../../source/source.js";
import type { Problem } from "../audit.js";
import { loadTable64 } from "../tables.js";
import { hostOffset } from "./entries.js";
import type { Qcow2Header } from "./header.js";

export const COPIED = 0x80000000;
const COMPRESSED = 0x40000000;
const RESERVED_HIGH = 0x3f000000;
const RESERVED_LOW = 0x1fe;

/** What an L2 entry takes of the file. */
export interface Taken {
  /** Number of the entry in its table. */
  readonly entry: number;
  readonly kind: "data" | "packed";
  readonly position: number;
  readonly length: number;
  readonly copied: boolean;
}

/** Calls `take` for every entry of the L2 table at `position` that has a place, and `tell` for those that are wrong. `source` has zeros behind its end. */
export function auditTable(
  source: Source,
  { clusterBits, extendedL2, dataFile }: Qcow2Header,
  position: number,
  take: (taken: Taken) => void,
  tell?: (problem: Problem) => void,
): void {
  const clusterSize = 2 ** clusterBits;
  const words = extendedL2 ? 4 : 2;
  const shift = 62 - (clusterBits - 8) - 32;
  const table = loadTable64(source, position, clusterSize / 8);
  for (let entry = 0; entry * words < table.length; entry += 1) {
    const at = entry * words;
    const [high, low] = [table[at]!, table[at + 1]!];
    const [zeros, allocated] = extendedL2 ? [table[at + 2]!, table[at + 3]!] : [0, 0];
    const wrong = (what: string) =>
      tell?.({
        kind: "table entry",
        severity: "error",
        message: `the L2 entry ${entryText(high, low)} ${what}`,
        position: position + 4 * at,
      });
    if ((high & COMPRESSED) !== 0) {
      if ((high & COPIED) !== 0) wrong("is of a compressed cluster and has the flag COPIED");
      if (dataFile) {
        wrong("is of a compressed cluster, which an image with an external data file cannot have");
      } else if (zeros !== 0 || allocated !== 0) {
        wrong("is of a compressed cluster and has a subcluster bitmap");
      } else {
        const start = (high & (2 ** shift - 1)) * 2 ** 32 + low;
        const sectors = ((high & 0x3fffffff) >>> shift) + 1;
        take({ entry, kind: "packed", position: start, length: sectors * 512 - (start % 512), copied: false });
      }
      continue;
    }
    if ((high & RESERVED_HIGH) !== 0 || (low & RESERVED_LOW) !== 0) wrong("has bits set that are reserved");
    const offset = hostOffset(high, low);
    if (offset === 0 && !(dataFile && (high & COPIED) !== 0)) {
      if (allocated !== 0) wrong("has no place, and its bitmap says that subclusters are allocated");
      continue;
    }
    if ((zeros & allocated) !== 0) wrong("has subclusters that are both allocated and zero");
    if (offset % clusterSize !== 0) wrong(`names a place that is not a multiple of ${clusterSize}`);
    take({ entry, kind: "data", position: offset, length: clusterSize, copied: (high & COPIED) !== 0 });
  }
}

function entryText(high: number, low: number): string {
  const digits = (word: number) => word.toString(16).padStart(8, "0");
  return `0x${digits(high)}${digits(low)}`;
}
