/** How often things are used that are numbered from `first` to below `end`. Two bytes each, more for the few that need it. */
export interface Counts {
  readonly first: number;
  readonly end: number;
  /** `number` lies in the window. Gives the new count. */
  add(number: number, times: number): number;
  get(number: number): number;
}

const FULL = 0xffff;

export function createCounts(first: number, end: number): Counts {
  const counts = new Uint16Array(end - first);
  const large = new Map<number, number>();
  const get = (number: number) => {
    const count = counts[number - first] ?? 0;
    return count < FULL ? count : (large.get(number) ?? FULL);
  };
  return {
    first,
    end,
    get,
    add(number, times) {
      const count = get(number) + times;
      if (count >= FULL) large.set(number, count);
      counts[number - first] = Math.min(count, FULL);
      return count;
    },
  };
}

/** As many numbers as one window has: 64 MiB. What there is more of is looked at in several passes. */
export const WINDOW = 2 ** 25;

/** The windows that cover the numbers below `end`. */
export function* windows(end: number, length = WINDOW): Generator<{ readonly first: number; readonly end: number }> {
  for (let first = 0; first < end; first += length) yield { first, end: Math.min(end, first + length) };
}
