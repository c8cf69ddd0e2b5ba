import { ImageError, systemCode } from "../../util/errors.js";
import type { Partition, PartitionedDisk } from "./partition.js";

/** What the readers of the schemes share: the disk, and the notes they leave about it. */
export interface Scan {
  /** Bytes of the disk. */
  readonly size: number;
  /** Bytes of a logical sector, 512 unless the image tells. */
  readonly sectorSize: number;
  readonly notes: readonly string[];
  note(text: string): void;
  /** `length` bytes at `offset`; undefined where the disk ends before, or, with a note, where it cannot be read. The caller has bounded `length`. */
  bytes(offset: number, length: number): Buffer | undefined;
}

/** A hostile table has an oddity in each of its thousands of entries; a person reads a few. */
const maxNotes = 64;

export function createScan(disk: PartitionedDisk): Scan {
  const notes: string[] = [];
  const note = (text: string) => {
    if (notes.length < maxNotes) notes.push(text);
    else if (notes.length === maxNotes) notes.push("more is unusual than is listed here");
  };
  return {
    size: disk.size,
    sectorSize: disk.sectorSize ?? 512,
    notes,
    note,
    bytes(offset, length) {
      if (offset + length > disk.size) return undefined;
      const target = Buffer.alloc(length);
      try {
        disk.read(target, offset);
        return target;
      } catch (error) {
        // Anything else is a mistake of ours and must show as one.
        if (!(error instanceof ImageError) && systemCode(error) === undefined) throw error;
        note(`${length} bytes at byte ${offset} cannot be read: ${(error as Error).message}`);
        return undefined;
      }
    },
  };
}

/** Those of `declared` that start inside the disk and have a size; a note for each that leaves the disk. */
export function insideDisk(scan: Scan, declared: readonly Partition[]): Partition[] {
  return declared.filter(({ number, start, size }) => {
    if (start >= scan.size) {
      scan.note(`partition ${number} is not listed: it starts at byte ${start}, and the disk ends at ${scan.size}`);
      return false;
    }
    if (size < 1 || !Number.isSafeInteger(start + size)) {
      scan.note(`partition ${number} is not listed: it starts at byte ${start} and has an impossible size of ${size} bytes`);
      return false;
    }
    const past = start + size - scan.size;
    if (past > 0) scan.note(`partition ${number} ends ${past} bytes past the disk`);
    return true;
  });
}
