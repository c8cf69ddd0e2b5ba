// From an offset of the virtual disk to a place in the file. Section 2.5: the BAT.
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import type { Extent } from "../driver.js";
import { runLength } from "../runs.js";
import { tableError } from "../stored.js";
import { createTableCache, loadTable64 } from "../tables.js";
import { sectorBitmaps } from "./bitmap.js";
import { BITMAP_PRESENT, CHUNK_SECTORS, MIB, payloadStates } from "./layout.js";
import type { VhdxMetadata } from "./metadata.js";
import type { Region, Regions } from "./regions.js";
import type { Store } from "./store.js";

/** The BAT of 64 TiB in blocks of 1 MiB has 512 MiB: it is read in slices of this many entries, 64 KiB. */
const SLICE_ENTRIES = 8192;
/** Memory for slices, per opened image: with blocks of 1 MiB it maps 1 TiB. */
const SLICES_LIMIT = 8 * MIB;
/** Sector bitmap blocks have this size, whatever payload blocks have. */
const BITMAP_BYTES = MIB;

/** What an entry means that names no place of a whole block. */
const noPlace = { parent: -1, zero: -2, partial: -3, broken: -4 } as const;

/** Entries that the BAT of such a disk has. */
export function batEntries({ size, blockSize, logicalSectorSize, parent }: VhdxMetadata): number {
  const ratio = (CHUNK_SECTORS * logicalSectorSize) / blockSize;
  const blocks = Math.ceil(size / blockSize);
  // A disk without a parent ends with a payload block, one with a parent with the bitmap of the last chunk.
  return parent ? Math.ceil(blocks / ratio) * (ratio + 1) : blocks + Math.max(0, Math.floor((blocks - 1) / ratio));
}

/** `map` of a disk. The caller has checked that the BAT's region has room for every entry. */
export function createMap(store: Store, metadata: VhdxMetadata, { bat, taken }: Regions): (offset: number, length: number) => Extent {
  const { size, blockSize, logicalSectorSize: sector } = metadata;
  const { source } = store;
  const differencing = metadata.parent !== undefined;
  /** Payload blocks of a chunk: that many entries stand before the one of its sector bitmap. */
  const ratio = (CHUNK_SECTORS * sector) / blockSize;
  const total = batEntries(metadata);
  const load = createTableCache(SLICES_LIMIT, (slice) => {
    const first = slice * SLICE_ENTRIES;
    return loadTable64(source, bat.position + first * 8, Math.min(SLICE_ENTRIES, total - first), "little");
  });
  const bitmaps = sectorBitmaps(store);
  const absent = differencing ? noPlace.parent : noPlace.zero;
  const partial = differencing ? noPlace.partial : noPlace.broken;

  const entryPosition = (index: number) => bat.position + index * 8;
  const corrupt = (index: number, message: string) =>
    new ImageError("CORRUPT", message, { file: source.name, position: entryPosition(index) });

  /** Where the block of an entry is, or one of `noPlace`. Plain arithmetic: it is called for every block of a read. */
  function placeOf(entries: Uint32Array, at: number): number {
    switch (entries[2 * at + 1]! & 7) {
      case payloadStates.notPresent:
        return absent;
      case payloadStates.undefined:
      case payloadStates.zero:
      case payloadStates.unmapped:
      case payloadStates.unmappedBefore1:
        return noPlace.zero;
      case payloadStates.fullyPresent: {
        const position = positionOf(entries, at);
        return regionAt(taken, position, blockSize) ? noPlace.broken : position;
      }
      case payloadStates.partiallyPresent:
        return partial;
      default:
        return noPlace.broken;
    }
  }

  function problemOf(entries: Uint32Array, at: number, block: number): string {
    const state = entries[2 * at + 1]! & 7;
    if (state === payloadStates.partiallyPresent && !differencing) {
      return `block ${block} is partially present, which only blocks of a differencing disk can be`;
    }
    if (state !== payloadStates.fullyPresent && state !== payloadStates.partiallyPresent) {
      return `block ${block} has the state ${state}, which is not known`;
    }
    return misplaced(`block ${block}`, positionOf(entries, at), blockSize, taken);
  }

  /** A run inside one partially present block, whose entry is number `at` of `entries` and number `index` of the BAT. */
  function mapPartial(entries: Uint32Array, at: number, index: number, offset: number, most: number): Extent {
    const block = Math.floor(offset / blockSize);
    const place = positionOf(entries, at);
    if (regionAt(taken, place, blockSize)) return { kind: "damaged", length: most, error: corrupt(index, problemOf(entries, at, block)) };
    const chunk = Math.floor(block / ratio);
    const bitmapIndex = chunk * (ratio + 1) + ratio;
    let bitmapPosition = entryPosition(bitmapIndex);
    try {
      const slice = Math.floor(bitmapIndex / SLICE_ENTRIES);
      const own = load(slice);
      const ownAt = bitmapIndex - slice * SLICE_ENTRIES;
      const bitmap = positionOf(own, ownAt);
      const state = own[2 * ownAt + 1]! & 7;
      if (state !== BITMAP_PRESENT) throw corrupt(bitmapIndex, `block ${block} is partially present, and its sector bitmap is missing`);
      if (regionAt(taken, bitmap, BITMAP_BYTES)) {
        throw corrupt(bitmapIndex, misplaced(`the sector bitmap of block ${block}`, bitmap, BITMAP_BYTES, taken));
      }
      bitmapPosition = bitmap;
      const inChunk = offset - chunk * ratio * blockSize;
      const inSector = inChunk % sector;
      const { here, sectors } = bitmaps(bitmap, Math.floor(inChunk / sector), Math.ceil((inSector + most) / sector));
      const length = Math.min(most, sectors * sector - inSector);
      return here ? store.extent(place + (offset - block * blockSize), length) : { kind: "parent", length, offset };
    } catch (error) {
      return { kind: "damaged", length: most, error: tableError(source, "sector bitmap", bitmapPosition, error) };
    }
  }

  return (offset, length) => {
    const first = Math.floor(offset / blockSize);
    const index = first + Math.floor(first / ratio);
    const slice = Math.floor(index / SLICE_ENTRIES);
    const sliceStart = slice * SLICE_ENTRIES;
    const sliceEnd = Math.min(total, sliceStart + SLICE_ENTRIES);
    // The first block whose entry is not in this slice.
    const blockEnd = Math.floor(sliceEnd / (ratio + 1)) * ratio + (sliceEnd % (ratio + 1));
    const most = Math.min(length, size - offset, blockEnd * blockSize - offset);
    let entries: Uint32Array;
    try {
      entries = load(slice);
    } catch (error) {
      return { kind: "damaged", length: most, error: tableError(source, "BAT", entryPosition(sliceStart), error) };
    }
    const at = (block: number) => block + Math.floor(block / ratio) - sliceStart;
    const start = placeOf(entries, at(first));
    if (start >= 0) {
      const run = runLength(offset, most, blockSize, (block) => placeOf(entries, at(block)) === start + (block - first) * blockSize);
      return store.extent(start + (offset - first * blockSize), run);
    }
    const inBlock = () => Math.min(most, (first + 1) * blockSize - offset);
    if (start === noPlace.partial) return mapPartial(entries, at(first), index, offset, inBlock());
    if (start === noPlace.broken) {
      return { kind: "damaged", length: inBlock(), error: corrupt(index, problemOf(entries, at(first), first)) };
    }
    const run = runLength(offset, most, blockSize, (block) => placeOf(entries, at(block)) === start);
    return start === noPlace.zero ? { kind: "zero", length: run } : { kind: "parent", length: run, offset };
  };
}

/** Bits 20 to 63 of an entry are a number of MiB. Beyond 2^53 the sum is not exact, and behind the end of every file all the same. */
function positionOf(entries: Uint32Array, at: number): number {
  return ((entries[2 * at + 1]! >>> 20) + entries[2 * at]! * 4096) * MIB;
}

/** The region that `length` bytes at `position` would share bytes with. */
function regionAt(taken: readonly Region[], position: number, length: number): Region | undefined {
  for (const region of taken) {
    if (position < region.position + region.length && position + length > region.position) return region;
  }
  return undefined;
}

function misplaced(what: string, position: number, length: number, taken: readonly Region[]): string {
  return `${what}, ${length} bytes at ${hex(position)}, would overlap ${regionAt(taken, position, length)?.name ?? "something"}`;
}
