// From an offset of the virtual disk to a place in the file. Reference: `redolog_t::read` of iodev/hdimage/hdimage.cc in the Bochs sources.
import type { Source } from "../../source/source.js";
import type { Extent } from "../driver.js";
import { runLength } from "../runs.js";
import { storedExtent, tableError } from "../stored.js";
import { createTableCache, loadTable32 } from "../tables.js";
import type { BochsHeader } from "./header.js";
import { NOT_ALLOCATED, SECTOR } from "./layout.js";

/** Catalog entries that are read at once, 64 KiB. */
const SLICE_ENTRIES = 16384;
/** Memory for bitmaps, and for slices of the catalog, per opened image. */
const TABLES_LIMIT = 4 * 2 ** 20;

export function createMap(source: Source, header: BochsHeader): (offset: number, length: number) => Extent {
  const { size, extentSize, bitmapSize, catalogPosition, catalogEntries, dataPosition } = header;
  const loadSlice = createTableCache(TABLES_LIMIT, (slice) => {
    const first = slice * SLICE_ENTRIES;
    return loadTable32(source, catalogPosition + first * 4, Math.min(SLICE_ENTRIES, catalogEntries - first), "little");
  });
  const bitmapWords = Math.ceil(extentSize / SECTOR / 32);
  const loadBitmap = createTableCache(TABLES_LIMIT, (position) => loadTable32(source, position, bitmapWords, "little"));
  const sliceSpan = SLICE_ENTRIES * extentSize;

  /** `most` does not leave the extent. */
  function mapExtent(entry: number, offset: number, most: number): Extent {
    const bitmapPosition = dataPosition + entry * (bitmapSize + extentSize);
    let bitmap: Uint32Array;
    try {
      bitmap = loadBitmap(bitmapPosition);
    } catch (error) {
      return { kind: "damaged", length: most, error: tableError(source, "bitmap of an extent", bitmapPosition, error) };
    }
    const inExtent = offset % extentSize;
    const first = Math.floor(inExtent / SECTOR);
    const stored = bitOf(bitmap, first);
    const end = endOfRun(bitmap, first, Math.ceil((inExtent + most) / SECTOR));
    const length = Math.min(most, end * SECTOR - inExtent);
    if (stored === 0) return { kind: "parent", length, offset };
    return storedExtent(source, bitmapPosition + bitmapSize + inExtent, length);
  }

  return (offset, length) => {
    const slice = Math.floor(offset / sliceSpan);
    const inSlice = offset - slice * sliceSpan;
    const most = Math.min(length, sliceSpan - inSlice, size - offset);
    let catalog: Uint32Array;
    try {
      catalog = loadSlice(slice);
    } catch (error) {
      return { kind: "damaged", length: most, error: tableError(source, "catalog", catalogPosition + slice * SLICE_ENTRIES * 4, error) };
    }
    const entry = catalog[Math.floor(inSlice / extentSize)]!;
    if (entry === NOT_ALLOCATED) {
      return { kind: "parent", length: runLength(inSlice, most, extentSize, (other) => catalog[other] === NOT_ALLOCATED), offset };
    }
    return mapExtent(entry, offset, Math.min(most, extentSize - (offset % extentSize)));
  };
}

/** The lowest bit of a byte is the first sector. */
function bitOf(bitmap: Uint32Array, sector: number): number {
  return (bitmap[sector >>> 5]! >>> (sector & 31)) & 1;
}

/** The first sector after `first`, or `limit`, whose bit is another one. */
function endOfRun(bitmap: Uint32Array, first: number, limit: number): number {
  const bit = bitOf(bitmap, first);
  const full = bit === 1 ? 0xffffffff : 0;
  let sector = first + 1;
  while (sector < limit) {
    if ((sector & 31) === 0 && bitmap[sector >>> 5] === full) sector += 32;
    else if (bitOf(bitmap, sector) === bit) sector += 1;
    else return sector;
  }
  return limit;
}
