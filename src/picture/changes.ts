import type { DiskDifference } from "../disk/difference.js";
import { printable } from "../util/text.js";
import { explain } from "../util/explain.js";

/** What became of a range, for people, and how it is drawn: as `map` draws that kind. In the order of a legend. */
export const changeKinds = {
  written: { fill: "data", meaning: "other bytes are stored than before" },
  cleared: { fill: "zero", meaning: "zeros, where bytes were stored before" },
  resized: { fill: "compressed", meaning: "only one of the two disks is as long" },
  unknown: { fill: "damaged", meaning: "cannot be read in one of the two" },
} as const;

export type ChangeKind = keyof typeof changeKinds;
export const allChanges = Object.keys(changeKinds) as readonly ChangeKind[];

/** A range as it is told in a table. */
export interface ChangedRange extends Omit<DiskDifference, "error"> {
  /** Safe to print. */
  readonly error?: string | undefined;
}

/** What differs between two disks, small enough to be drawn however much that is. */
export interface Changes {
  /** Bytes of the larger disk. */
  readonly size: number;
  /** Bytes of the disk that one column stands for; the last one may have fewer. */
  readonly step: number;
  /** How many bytes of each kind are in each column. */
  readonly columns: Readonly<Record<ChangeKind, Float64Array>>;
  readonly totals: Readonly<Record<ChangeKind, number>>;
  readonly ranges: number;
  /** The first of them. */
  readonly first: readonly ChangedRange[];
}

export interface ChangesOptions {
  readonly columns?: number;
  /** Ranges that are kept as they are. */
  readonly limit?: number;
}

/** Goes through all differences once. `size` in bytes, of the larger disk. */
export function surveyChanges(
  size: number,
  differences: Iterable<DiskDifference>,
  { columns: wanted = 960, limit = 500 }: ChangesOptions = {},
): Changes {
  const step = Math.max(1, Math.ceil(size / wanted));
  const count = Math.ceil(size / step);
  const columns = {
    written: new Float64Array(count),
    cleared: new Float64Array(count),
    resized: new Float64Array(count),
    unknown: new Float64Array(count),
  };
  const totals = { written: 0, cleared: 0, resized: 0, unknown: 0 };
  const first: ChangedRange[] = [];
  let ranges = 0;
  for (const difference of differences) {
    const { start, length, before, after, error } = difference;
    const kind = changeOf(difference);
    ranges += 1;
    totals[kind] += length;
    if (first.length < limit) first.push({ start, length, before, after, error: error && printable(explain(error)) });
    const end = start + length;
    for (let column = Math.floor(start / step); column * step < end; column += 1) {
      columns[kind][column]! += Math.min(end, (column + 1) * step) - Math.max(start, column * step);
    }
  }
  return { size, step, columns, totals, ranges, first };
}

export function changeOf({ before, after, error }: DiskDifference): ChangeKind {
  if (error) return "unknown";
  if (before === "outside" || after === "outside") return "resized";
  return after === "zero" || after === "absent" ? "cleared" : "written";
}
