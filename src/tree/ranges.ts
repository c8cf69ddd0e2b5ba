/** Bytes of a disk, from `start` to below `end`. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Ranges that are kept apart; beyond that, the last one takes in what follows: too much is told rather than too little. */
const LIMIT = 2 ** 20;

/** Collects ranges in any order, each with a reason; those that touch and have the same reason become one. */
export interface RangeList<T> {
  add(start: number, length: number, reason: T): void;
  /** In order; none overlap. */
  ranges(): readonly (Range & { readonly reason: T })[];
}

export function createRangeList<T>(limit = LIMIT): RangeList<T> {
  let list: { start: number; end: number; reason: T }[] = [];
  let sorted = true;
  const settle = () => {
    if (!sorted) list = flattened(list);
    sorted = true;
  };
  return {
    add(start, length, reason) {
      const last = list.at(-1);
      const end = start + length;
      if (last && sorted && start === last.end && (reason === last.reason || list.length >= limit)) last.end = end;
      else if (last && list.length >= limit) {
        settle();
        const kept = list.at(-1) ?? last;
        if (end > kept.end) kept.end = end;
        if (start < kept.start) kept.start = start;
        sorted = false;
      } else {
        if (last && start < last.end) sorted = false;
        list.push({ start, end, reason });
      }
    },
    ranges() {
      settle();
      return list;
    },
  };
}

/** The first reason counts where ranges overlap. */
function flattened<T>(list: readonly { start: number; end: number; reason: T }[]): { start: number; end: number; reason: T }[] {
  const flat: { start: number; end: number; reason: T }[] = [];
  for (const { start, end, reason } of list.toSorted((a, b) => a.start - b.start)) {
    const last = flat.at(-1);
    const from = Math.max(start, last?.end ?? 0);
    if (from >= end) continue;
    if (last && last.end === from && last.reason === reason) last.end = end;
    else flat.push({ start: from, end, reason });
  }
  return flat;
}

/** How many bytes `ranges`, which are in order, have between `start` and `end`. */
export function bytesWithin(ranges: readonly Range[], start: number, end: number): number {
  let bytes = 0;
  for (let index = firstEndingAfter(ranges, start); index < ranges.length; index += 1) {
    const range = ranges[index]!;
    if (range.start >= end) break;
    bytes += Math.min(end, range.end) - Math.max(start, range.start);
  }
  return bytes;
}

/** Number of the first range that ends behind `offset`. */
export function firstEndingAfter(ranges: readonly Range[], offset: number): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (ranges[middle]!.end > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}
