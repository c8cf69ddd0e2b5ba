// UDF 1.50 2.2.10 and UDF 2.60 2.2.11: the virtual allocation table of discs that are written once, the last thing on them.
import { ImageError } from "../../util/errors.js";
import type { Content } from "../container.js";
import { type EntryReader, entryReader } from "./entry.js";
import { contentOf } from "./extents.js";
import { type Address, fileTypes, tags } from "./layout.js";
import { decodeDstring } from "./names.js";
import { damagedUdf, mappedBytes, partitionAt, type Space } from "./space.js";
import { tagOf } from "./tag.js";

/** In the table: a block that is not used. */
export const UNUSED = 0xffffffff;

/**
 * Blocks that are searched, from the end of the image: it should be in the last one, but drives add run-out blocks, and programs pad by 150
 * sectors and more.
 */
const SEARCH_BLOCKS = 16_384;

const CHUNK_BLOCKS = 32;

/** Blocks behind the table that hold something: more than that is what a later table was to tell of. */
const RUN_OUT = 32;

/** Bytes. */
const TABLE_LIMIT = 2 ** 28;

/** Bytes of the fixed part of the header, and of what stands behind the table of 1.50. */
const HEADER = 152;
const TRAILER = 36;

export interface Vat {
  /** By virtual block: the block of the partition below. */
  readonly table: Uint32Array;
  /** What revisions from 2.00 on say in it of the volume. */
  readonly label?: string;
  readonly files?: number;
  readonly directories?: number;
}

/** The table that was written last. `below`: the index of the partition that it maps to. Throws if there is none. */
export function findVat(space: Space, below: number): Vat {
  const read = entryReader(space);
  let failure: ImageError | undefined;
  let later = 0;
  for (const { block, content } of blocksFromEnd(space, below)) {
    const found = looksLikeVat(content) ? vatAt(space, read, { partition: below, block }) : undefined;
    if (found && !(found instanceof ImageError)) {
      if (failure || later > RUN_OUT)
        space.note("The newest table of virtual blocks (VAT) is missing or damaged: an older state of the disc is shown.");
      return found;
    }
    failure ??= found;
    if (content.some((byte) => byte !== 0)) later += 1;
  }
  const hint = "The image may be cut: the table is the last thing on a disc.";
  throw failure ?? new ImageError("CORRUPT", "the table of virtual blocks (VAT) is not there", { file: space.disk.name, hint });
}

/** Blocks at the end of the image, last first, as far as they are searched. */
function* blocksFromEnd(space: Space, below: number): Generator<{ readonly block: number; readonly content: Buffer }> {
  const { blockSize } = space;
  const partition = partitionAt(space, below);
  const end = lastBlock(space, below) + 1;
  for (let next = end; next > 0 && next > end - SEARCH_BLOCKS; next -= CHUNK_BLOCKS) {
    const first = Math.max(0, next - CHUNK_BLOCKS);
    const content = mappedBytes(partition, first * blockSize, (next - first) * blockSize);
    for (let block = next - 1; block >= first; block -= 1) {
      yield { block, content: content.subarray((block - first) * blockSize, (block - first + 1) * blockSize) };
    }
  }
}

/** The last block of the partition that the image has whole, found by halving: the partition knows where its blocks are, not how many. */
function lastBlock(space: Space, below: number): number {
  const partition = partitionAt(space, below);
  const exists = (block: number): boolean => {
    const extent = partition.map(block * space.blockSize, space.blockSize);
    return extent.kind === "data" && extent.length === space.blockSize;
  };
  let low = -1;
  let high = Math.ceil(space.disk.size / space.blockSize);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (exists(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** A file entry of a type that no other file has, or of none, as in 1.50. */
function looksLikeVat(block: Buffer): boolean {
  const id = tagOf(block);
  return (id === tags.fileEntry || id === tags.extendedFileEntry) && (block[27] === fileTypes.vat || block[27] === fileTypes.unspecified);
}

/** Undefined for what is no such table, an error for one that is damaged. */
function vatAt(space: Space, read: EntryReader, address: Address): Vat | ImageError | undefined {
  try {
    const entry = read(address);
    const content = contentOf(space, entry);
    return entry.fileType === fileTypes.vat ? newVat(space, content) : oldVat(space, content);
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
}

/** From UDF 2.00 on: a header that gives its own length, then the table. */
function newVat(space: Space, content: Content): Vat {
  if (content.size < HEADER) throw damagedUdf(space, `a table of virtual blocks (VAT) of ${content.size} bytes has no room for its header`);
  const header = mappedBytes(content, 0, HEADER);
  const start = header.readUInt16LE(0);
  if (start < HEADER || start > content.size) throw damagedUdf(space, `the header of the table of virtual blocks (VAT) has ${start} bytes`);
  const table = tableOf(space, content, start, content.size);
  return { table, label: decodeDstring(header.subarray(4, 132)), files: header.readUInt32LE(136), directories: header.readUInt32LE(140) };
}

/** UDF 1.50: the table, then its name and where the one before it is. */
function oldVat(space: Space, content: Content): Vat | undefined {
  if (content.size < TRAILER) return undefined;
  const name = mappedBytes(content, content.size - TRAILER, TRAILER).toString("latin1", 1, 23);
  return name === "*UDF Virtual Alloc Tbl" ? { table: tableOf(space, content, 0, content.size - TRAILER) } : undefined;
}

function tableOf(space: Space, content: Content, start: number, end: number): Uint32Array {
  const size = (end - start) & ~3;
  // It cannot have more blocks than the disk.
  if (size > TABLE_LIMIT || size > space.disk.size) throw damagedUdf(space, `a table of virtual blocks (VAT) of ${size} bytes is too long`);
  const raw = mappedBytes(content, start, size);
  return Uint32Array.from({ length: size / 4 }, (_, index) => raw.readUInt32LE(index * 4));
}
