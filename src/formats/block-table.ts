import type { Source } from "../source/source.js";
import { ImageError } from "../util/errors.js";
import type { Extent } from "./driver.js";
import { runLength } from "./runs.js";
import { storedExtent, tableError } from "./stored.js";
import { type ByteOrder, createTableCache, loadTable32 } from "./tables.js";

/** A table is read in slices of this many entries, 64 KiB: one random read of a large disk must not load all of it. */
const SLICE_ENTRIES = 16384;
/** Memory for slices, per table: with blocks of 1 MiB it maps 2 TiB. */
const SLICES_LIMIT = 8 * 2 ** 20;

/** What an entry means that names no place in the file. */
export const noPlace = { parent: -1, zero: -2, broken: -3 } as const;

/** A table of 32-bit entries, one for each block of the disk. The caller has checked that it lies in the file and has an entry for every block. */
export interface BlockTable {
  readonly source: Source;
  /** As the format calls it, for messages. */
  readonly name: string;
  readonly position: number;
  readonly order: ByteOrder;
  /** Bytes of the disk that one entry maps. */
  readonly blockSize: number;
  /** Bytes of the disk. */
  readonly size: number;
  /** Where the block of an entry starts, or one of `noPlace`. Called for every block of a read: plain arithmetic only. */
  place(entry: number): number;
  /** What is wrong with an entry that is `broken`. */
  problem?(entry: number): string;
}

/** The slices of a table of `entries` 32-bit words at `position`, loaded when first wanted; slice n begins with entry n · `SLICE_ENTRIES`. */
function slicesOf(source: Source, position: number, entries: number, order: ByteOrder): (slice: number) => Uint32Array {
  const load = createTableCache(SLICES_LIMIT, (slice) => {
    const first = slice * SLICE_ENTRIES;
    return loadTable32(source, position + first * 4, Math.min(SLICE_ENTRIES, entries - first), order);
  });
  return load;
}

/** The map of a disk whose blocks are found by such a table. */
export function mapOfTable(table: BlockTable): (offset: number, length: number) => Extent {
  const { source, position, blockSize, size } = table;
  const sliceSpan = SLICE_ENTRIES * blockSize;
  const load = slicesOf(source, position, Math.ceil(size / blockSize), table.order);
  const broken = (block: number, entry: number) => {
    const message = `the ${table.name} names ${table.problem?.(entry) ?? "an impossible place"} for block ${block}`;
    return new ImageError("CORRUPT", message, { file: source.name, position: position + block * 4 });
  };

  return (offset, length) => {
    const slice = Math.floor(offset / sliceSpan);
    const inSlice = offset - slice * sliceSpan;
    const most = Math.min(length, sliceSpan - inSlice, size - offset);
    let entries: Uint32Array;
    try {
      entries = load(slice);
    } catch (error) {
      return { kind: "damaged", length: most, error: tableError(source, table.name, position + slice * SLICE_ENTRIES * 4, error) };
    }
    const first = Math.floor(inSlice / blockSize);
    const start = table.place(entries[first]!);
    if (start >= 0) {
      const continues = (block: number) => table.place(entries[block]!) === start + (block - first) * blockSize;
      return storedExtent(source, start + (inSlice - first * blockSize), runLength(inSlice, most, blockSize, continues));
    }
    if (start === noPlace.broken) {
      const error = broken(slice * SLICE_ENTRIES + first, entries[first]!);
      return { kind: "damaged", length: runLength(inSlice, most, blockSize, () => false), error };
    }
    const run = runLength(inSlice, most, blockSize, (block) => table.place(entries[block]!) === start);
    return start === noPlace.zero ? { kind: "zero", length: run } : { kind: "parent", length: run, offset };
  };
}
