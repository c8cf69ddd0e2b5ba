// Section 2.4: sector bitmaps, one bit for each logical sector, the lowest of a byte first; 1 = in this file, 0 = in the parent.
import { createTableCache, loadTable32 } from "../tables.js";
import { MIB } from "./layout.js";
import type { Store } from "./store.js";

/** Bitmaps are read in slices of this many bytes, which tell of 64 MiB in sectors of 512 bytes. */
const SLICE_BYTES = 16 * 1024;
const SLICE_BITS = SLICE_BYTES * 8;
/** Memory for slices, per opened image. */
const SLICES_LIMIT = 2 * MIB;

/** Sectors in one file. */
export interface SectorRun {
  readonly here: boolean;
  /** At least 1. */
  readonly sectors: number;
}

/**
 * Tells of the sectors from number `first` of a chunk on, at most `most` of them, where the bitmap of that chunk is at `position`. Throws what reading
 * the bitmap throws.
 */
export function sectorBitmaps({ source }: Store): (position: number, first: number, most: number) => SectorRun {
  const load = createTableCache(SLICES_LIMIT, (position) => loadTable32(source, position, SLICE_BYTES / 4, "little"));
  return (position, first, most) => {
    const slice = Math.floor(first / SLICE_BITS);
    const words = load(position + slice * SLICE_BYTES);
    const start = first - slice * SLICE_BITS;
    const here = (words[start >>> 5]! >>> (start & 31)) & 1;
    return { here: here === 1, sectors: equalBits(words, start, Math.min(SLICE_BITS, start + most), here) - start };
  };
}

/** The first bit from `start` on that is not `value`, or `end`. */
function equalBits(words: Uint32Array, start: number, end: number, value: number): number {
  for (let bit = start; bit < end; bit = (bit | 31) + 1) {
    const word = words[bit >>> 5]!;
    const others = (value === 1 ? ~word : word) >>> (bit & 31);
    // The lowest bit that is set.
    if (others !== 0) return Math.min(end, bit + 31 - Math.clz32(others & -others));
  }
  return end;
}
