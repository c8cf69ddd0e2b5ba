import type { Piece } from "./volume.js";

/** A run of bytes on the disk. */
export interface Run {
  readonly start: number;
  readonly size: number;
}

/** Why a volume cannot be shown, as the end of a sentence. */
export class Refusal extends Error {}

/** A striped volume of 4 GiB with stripes of 64 KiB has as many; few disks hold all stripes of a larger one. */
export const maxPieces = 65_536;
/** `size` bytes from `offset` on of what `runs` make together. */
export function part(runs: readonly Run[], offset: number, size: number): Run[] {
  const found: Run[] = [];
  let from = offset;
  let left = size;
  for (const run of runs) {
    if (left === 0) break;
    if (from < run.size) {
      const length = Math.min(left, run.size - from);
      found.push({ start: run.start + from, size: length });
      left -= length;
    }
    from = Math.max(0, from - run.size);
  }
  if (left > 0) throw new Refusal("it leaves a volume that it is made of");
  return found;
}

/** Neighbours as one. */
export function join(runs: readonly Run[]): Run[] {
  if (runs.length > maxPieces) throw new Refusal(`it is in more than ${maxPieces} pieces`);
  const joined: Run[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (last && last.start + last.size === run.start) joined[joined.length - 1] = { start: last.start, size: last.size + run.size };
    else joined.push(run);
  }
  return joined;
}

export function toPieces(runs: readonly Run[]): Piece[] {
  let offset = 0;
  return runs.map(({ start, size }) => {
    const piece = { offset, start, size };
    offset += size;
    return piece;
  });
}
