// Blocks of one size that lie anywhere in a file: which of them lie over each other.
import { windows } from "./counts.js";

export interface Places {
  /** Of blocks, of the disk. */
  readonly count: number;
  /** Bytes that each takes in the file, at least 1. */
  readonly length: number;
  /** Where block `index` starts in the file; below 0 for one that is stored nowhere. Asked in ascending order, but for a few. */
  placeOf(index: number): number;
  /** Blocks from here on are no longer looked at: they are told of otherwise. */
  readonly end: number;
}

/** Slots of one pass: 64 MiB. */
const SLOTS = 2 ** 24;

/**
 * Tells of blocks that share bytes with one that came before them. Each block falls into the slot that its start is in; slots are as long as blocks, so what
 * overlaps is in the same or the next one. A slot remembers the first block in it: a third one there is compared with that alone.
 */
export function findOverlaps({ count, length, placeOf, end }: Places, tell: (index: number, other: number) => void): void {
  const slots = Math.floor(Math.max(0, end) / length) + 1;
  for (const window of windows(slots, SLOTS)) {
    // One more before the window: a block there may reach into it.
    const base = Math.max(0, window.first - 1);
    const owners = new Uint32Array(window.end - base);
    for (let index = 0; index < count; index += 1) {
      const place = placeOf(index);
      if (place < 0 || place >= end) continue;
      const slot = Math.floor(place / length);
      if (slot < base || slot >= window.end) continue;
      const at = slot - base;
      for (const near of [at, at - 1, at + 1]) {
        const owner = (owners[near] ?? 0) - 1;
        if (owner < 0 || Math.max(slot, base + near) < window.first) continue;
        if (Math.abs(placeOf(owner) - place) >= length) continue;
        tell(index, owner);
        break;
      }
      if (owners[at] === 0) owners[at] = index + 1;
    }
  }
}
