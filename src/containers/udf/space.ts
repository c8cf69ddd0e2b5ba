import { storedExtent } from "../../formats/stored.js";
import type { Extent } from "../../formats/driver.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import type { Address } from "./layout.js";

/** One partition of a logical volume: a row of logical blocks. Offsets into it are in bytes. */
export interface Partition {
  readonly kind: "physical" | "virtual" | "sparable" | "metadata";
  /** Where the bytes from `offset` on are: data on the disk, or damaged. */
  map(offset: number, length: number): Extent;
  /** The same blocks, stored once more. */
  readonly mirror?: Partition | undefined;
}

/** The disk, as the descriptors of its volume count it. */
export interface Volume {
  readonly disk: Source;
  /** Bytes, in which positions of volume descriptors and partitions are counted. */
  readonly sectorSize: number;
  /** Bytes of the disc that came before the image, if it is one of a later session alone. */
  readonly missing: number;
  /** Remembers what is unusual, for the user. */
  note(sentence: string): void;
}

/** A logical volume: all that a file's own records speak of. */
export interface Space extends Volume {
  /** Bytes of a logical block. */
  readonly blockSize: number;
  /** By index of the partition map. */
  readonly partitions: readonly Partition[];
  /** Reads small things on the disk. What it gives may be a part of something larger: nothing to keep for long. */
  readonly near: (position: number, length: number) => Buffer;
}

export function damagedUdf({ disk }: Pick<Volume, "disk">, message: string, position?: number): ImageError {
  return new ImageError("CORRUPT", message, { file: disk.name, position });
}

/** Where a sector is in the image; negative if it came before. */
export function sectorPosition({ sectorSize, missing }: Volume, sector: number): number {
  return sector * sectorSize - missing;
}

/** Bytes at a position of the disk, which may be one that the image does not have. */
export function diskExtent({ disk }: Volume, position: number, length: number): Extent {
  if (position >= 0) return storedExtent(disk, position, length);
  const message = "this lies in an earlier session of the disc, which the file does not hold";
  return { kind: "damaged", length: Math.min(length, -position), error: new ImageError("PART_MISSING", message, { file: disk.name }) };
}

/** The partition with that number, or one that has nothing, so that only what needs it fails. */
export function partitionAt(space: Space, index: number, mirrored = false): Partition {
  const partition = space.partitions[index];
  if (partition) return (mirrored ? partition.mirror : undefined) ?? partition;
  const error = damagedUdf(space, `partition ${index} is not one of the volume, which has ${space.partitions.length}`);
  return { kind: "physical", map: (_offset, length) => ({ kind: "damaged", length, error }) };
}

/** Where one logical block is, as a whole, on the disk. Throws if it is not. */
export function blockPosition(space: Space, { partition, block }: Address, mirrored = false): number {
  const { blockSize } = space;
  const extent = partitionAt(space, partition, mirrored).map(block * blockSize, blockSize);
  if (extent.kind === "damaged") throw extent.error;
  if (extent.kind !== "data" || extent.length < blockSize) {
    throw damagedUdf(space, `logical block ${block} of partition ${partition} is not stored as a whole`);
  }
  return extent.position;
}

/** What can be read by its own map: a file, or a partition. */
interface Mapped {
  map(offset: number, length: number): Extent;
}

/** Fills `target` with the bytes from `offset` on. Throws what makes them unreadable. */
function readMapped(mapped: Mapped, target: Buffer, offset: number): void {
  for (let done = 0; done < target.length; ) {
    const extent = mapped.map(offset + done, target.length - done);
    if (extent.kind === "damaged") throw extent.error;
    const part = target.subarray(done, done + extent.length);
    if (extent.kind === "data") extent.source.read(part, extent.position);
    else part.fill(0);
    done += extent.length;
  }
}

/** `length` bytes of something; the caller has bounded them. */
export function mappedBytes(mapped: Mapped, offset: number, length: number): Buffer {
  const target = Buffer.allocUnsafeSlow(length);
  readMapped(mapped, target, offset);
  return target;
}

/** Bytes read at once where one block after the other is asked for. */
const AHEAD = 64 * 1024;

/**
 * Blocks that follow each other cost one read for many; others cost no more than themselves: entries of a directory may stand anywhere.
 * What it gives is never written again, and keeps all in memory that was read with it.
 */
export function readerNear(disk: Source): (position: number, length: number) => Buffer {
  let start = 0;
  let window: Buffer = Buffer.alloc(0);
  return (position, length) => {
    const end = start + window.length;
    if (position < start || position + length > end) {
      const follows = position >= start && position <= end + AHEAD / 4;
      const wanted = follows ? Math.max(length, Math.min(AHEAD, disk.size - position)) : length;
      window = readFirst(disk, position, wanted, length);
      start = position;
    }
    return window.subarray(position - start, position - start + length);
  };
}

/** What cannot be read further on must not spoil what can. */
function readFirst(disk: Source, position: number, wanted: number, needed: number): Buffer {
  try {
    return readBytes(disk, position, wanted);
  } catch (error) {
    if (wanted === needed || !(error instanceof ImageError)) throw error;
    return readBytes(disk, position, needed);
  }
}

export function blockName({ partition, block }: Address): string {
  return `block ${hex(block)} of partition ${partition}`;
}
