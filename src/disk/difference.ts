import type { Located } from "./read.js";

/** How one of the two has a range: as `map` tells it, or not at all, since it is a smaller disk. */
export type DiffKind = "data" | "compressed" | "zero" | "absent" | "damaged" | "outside";

/** A range of the disk in which two states of it differ, or may do so. */
export interface DiskDifference {
  /** Bytes of the disk. */
  readonly start: number;
  readonly length: number;
  readonly before: DiffKind;
  readonly after: DiffKind;
  /** Why it cannot be told: one of the two cannot be read. */
  readonly error?: Error | undefined;
}

/** A run in which both are of one kind, and not known to be the same. */
export interface Candidate {
  readonly start: number;
  readonly length: number;
  /** Undefined behind the end of the smaller disk. */
  readonly before: Located | undefined;
  readonly after: Located | undefined;
}

/** A part of a candidate as a difference. */
export function differenceOf({ before, after }: Candidate, start: number, length: number, error?: Error): DiskDifference {
  return { start, length, before: kindOf(before), after: kindOf(after), error: error ?? errorOf(before) ?? errorOf(after) };
}

function kindOf(located: Located | undefined): DiffKind {
  if (!located) return "outside";
  const { kind } = located.extent;
  return kind === "packed" ? "compressed" : kind === "parent" ? "absent" : kind;
}

function errorOf(located: Located | undefined): Error | undefined {
  return located?.extent.kind === "damaged" ? located.extent.error : undefined;
}
