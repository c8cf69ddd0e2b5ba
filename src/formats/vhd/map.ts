import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { mapOfTable, noPlace } from "../block-table.js";
import type { Extent } from "../driver.js";
import { storedExtent, tableError } from "../stored.js";
import { createTableCache, loadTable32 } from "../tables.js";
import { isTapdisk } from "./footer.js";
import type { DynamicHeader, VhdHeader } from "./header.js";
import { diskTypes, dynamicHeader, footer as footerLayout, SECTOR_SIZE, UNUSED_ENTRY } from "./layout.js";

type MapOfDisk = (offset: number, length: number) => Extent;

/** Memory for sector bitmaps, per image: those of 32 GiB with blocks of 2 MiB. */
const BITMAPS_LIMIT = 8 * 2 ** 20;

/** A fixed disk: its bytes as they are, then the footer. */
export function mapOfFixed(source: Source, { size, dataEnd }: VhdHeader): MapOfDisk {
  return (offset, length) => {
    const most = Math.min(length, size - offset);
    const run = offset < dataEnd ? source.run?.(offset) : undefined;
    const clipped = Math.min(most, run?.length ?? most);
    return run?.data === false
      ? { kind: "zero", length: Math.min(clipped, dataEnd - offset) }
      : storedBefore(source, dataEnd, offset, clipped);
  };
}

/** A dynamic or differencing disk: the block allocation table names blocks, each with a bitmap of its sectors before its data. */
export function mapOfBlocks(source: Source, header: VhdHeader, dynamic: DynamicHeader): MapOfDisk {
  const { size, dataEnd, type } = header;
  const { blockSize } = dynamic;
  const bitmapSize = bitmapSizeOf(blockSize);
  const find = mapOfTable({
    // What the file really has is checked where its bytes are wanted: a block that is cut may still have its bitmap.
    source: { ...source, size: Number.MAX_SAFE_INTEGER },
    name: "block allocation table",
    position: dynamic.tableOffset,
    order: "big",
    blockSize,
    size,
    ...placesOf(dynamic, size),
  });
  const runOf = createRunOf(source, header, blockSize);
  return (offset, length) => {
    const found = find(offset, length);
    if (found.kind !== "data") return found;
    if (!runOf) return storedBefore(source, dataEnd, found.position, found.length);

    const inBlock = offset % blockSize;
    const most = Math.min(found.length, blockSize - inBlock);
    const position = found.position - inBlock - bitmapSize;
    const sectors = runOf(position, inBlock, most);
    if (sectors instanceof ImageError) return { kind: "damaged", length: most, error: sectors };
    const { stored, length: run } = sectors;
    if (stored) return storedBefore(source, dataEnd, found.position, run);
    return type === diskTypes.differencing ? { kind: "parent", length: run, offset } : { kind: "zero", length: run };
  };
}

/** One bit for each sector of a block, in whole sectors. */
function bitmapSizeOf(blockSize: number): number {
  return Math.ceil(blockSize / SECTOR_SIZE / 8 / SECTOR_SIZE) * SECTOR_SIZE;
}

/** What entries mean. One that names the place of a header or of the table itself is broken. */
function placesOf({ position, tableOffset, blockSize }: DynamicHeader, size: number) {
  const bitmapSize = bitmapSizeOf(blockSize);
  const taken = [
    { what: "the copy of the footer", start: 0, end: footerLayout.size },
    { what: "the dynamic disk header", start: position, end: position + dynamicHeader.size },
    { what: "the table itself", start: tableOffset, end: tableOffset + Math.ceil(size / blockSize) * 4 },
  ];
  const occupied = (entry: number) => {
    const start = entry * SECTOR_SIZE;
    return taken.find((area) => start < area.end && start + bitmapSize + blockSize > area.start);
  };
  return {
    place(entry: number) {
      if (entry === UNUSED_ENTRY) return noPlace.parent;
      return occupied(entry) ? noPlace.broken : entry * SECTOR_SIZE + bitmapSize;
    },
    problem: (entry: number) => `sector ${entry}, where ${occupied(entry)?.what ?? "something else"} is,`,
  };
}

/** Whether the sector at `inBlock` of the block whose bitmap is at `position` is stored, and for how many of `length` bytes that is the same. */
type RunOf = (position: number, inBlock: number, length: number) => Run | ImageError;
interface Run {
  readonly stored: boolean;
  readonly length: number;
}

/**
 * Looks into bitmaps, or tells why one cannot be known. Absent where all that is stored counts: the bitmaps of dynamic disks are full with most programs
 * and not kept at all with some. But tapdisk lays blocks over what its volumes held before, and marks what it has written.
 */
function createRunOf(source: Source, header: VhdHeader, blockSize: number): RunOf | undefined {
  if (header.type !== diskTypes.differencing && !isTapdisk(header.footer)) return undefined;
  const size = bitmapSizeOf(blockSize);
  // tapdisk 0.1 wrote the bits of a byte the other way round, in words of x86.
  const reversed = hasReversedBitmaps(header);
  const load = createTableCache(BITMAPS_LIMIT, (position) => loadTable32(source, position, size / 4, reversed ? "little" : "big"));
  return (position, inBlock, length) => {
    if (position + size > header.dataEnd && header.dataEnd < source.size) return inFooter(source, "sector bitmap", position, size);
    try {
      return runIn(load(position), reversed, inBlock, length);
    } catch (error) {
      return tableError(source, "sector bitmap", position, error);
    }
  };
}

export function hasReversedBitmaps({ footer }: VhdHeader): boolean {
  return isTapdisk(footer) && footer.creatorVersion === 0x00000001;
}

function runIn(words: Uint32Array, reversed: boolean, inBlock: number, length: number): Run {
  const bit = (sector: number) => ((words[sector >>> 5]! >>> (reversed ? sector & 31 : 31 - (sector & 31))) & 1) === 1;
  const first = Math.floor(inBlock / SECTOR_SIZE);
  const last = Math.floor((inBlock + length - 1) / SECTOR_SIZE);
  const stored = bit(first);
  const full = stored ? 0xffffffff : 0;
  let sector = first + 1;
  while (sector <= last) {
    if ((sector & 31) === 0 && words[sector >>> 5] === full) sector += 32;
    else if (bit(sector) === stored) sector += 1;
    else break;
  }
  return { stored, length: Math.min(length, sector * SECTOR_SIZE - inBlock) };
}

/** `length` stored bytes at `position`, as far as they lie before `end`: what follows there is the footer, or nothing. */
function storedBefore(source: Source, end: number, position: number, length: number): Extent {
  if (position < end) return { kind: "data", length: Math.min(length, end - position), source, position };
  if (position >= source.size) return storedExtent(source, position, length);
  return { kind: "damaged", length, error: inFooter(source, "data", position, length) };
}

function inFooter(source: Source, what: string, position: number, length: number): ImageError {
  const message = `the ${what} at ${hex(position)} (${length} bytes) would be where the footer is: the file was cut, or a part of it lost`;
  return new ImageError("CORRUPT", message, { file: source.name, position });
}
