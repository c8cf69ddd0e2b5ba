import { bootSectorOwner, superblockOwner } from "./foreign.js";
import { bootRecord, partitionRecord } from "./layout.js";
import type { Partition, PartitionTable } from "./partition.js";
import { insideDisk, type Scan } from "./scan.js";
import { mbrTypeName } from "./types.js";

/** An entry of a boot record. */
export interface BootRecordEntry {
  /** 1 to 4. */
  readonly slot: number;
  readonly indicator: number;
  readonly type: number;
  /** Sectors; of an entry in an extended boot record, relative to that record or to the container. */
  readonly start: number;
  /** Sectors; 0: the entry is not used. */
  readonly count: number;
}

/** The decoded first sector of a disk or of an extended partition's part. */
export interface BootRecord {
  /** The disk signature; 0: none. */
  readonly id: number;
  /** Those in use. */
  readonly entries: readonly BootRecordEntry[];
}

const protectiveType = 0xee;

/** The entry that keeps older programs off a GPT disk. */
export function isProtective(entry: BootRecordEntry): boolean {
  return entry.type === protectiveType;
}

/** How info names a type byte: `0x0c`. */
function typeText(type: number): string {
  return `0x${type.toString(16).padStart(2, "0")}`;
}

/** What an entry says, for a note; `sectorSize` is what it counts in. */
export function describeEntry(sectorSize: number, { slot, type, start, count }: BootRecordEntry): string {
  return `partition ${slot} of type ${typeText(type)} (${mbrTypeName(type)}), ${count * sectorSize} bytes at byte ${start * sectorSize}`;
}

/** The MBR in the disk's first sector; undefined if that is something else, such as a file system's boot sector. */
export function readBootRecord(scan: Scan, sector: Buffer): BootRecord | undefined {
  const record = decode(sector);
  if (!record) return undefined;
  // Linux tells an MBR from code by these bytes, too.
  if (record.allEntries.some(({ indicator }) => indicator !== 0 && indicator !== 0x80)) return undefined;
  const owner = bootSectorOwner(scan, sector);
  if (record.entries.length === 0) return record.id !== 0 && !(owner ?? superblockOwner(scan)) ? record : undefined;
  if (!owner) return record.entries.some(({ start }) => start * scan.sectorSize < scan.size) ? record : undefined;
  // A disk that once was one file system and was partitioned later keeps its marks. Text and code are never so orderly.
  return isOrderly(scan, record.entries) ? record : undefined;
}

function isOrderly(scan: Scan, entries: readonly BootRecordEntry[]): boolean {
  let end = 1;
  for (const entry of entries.toSorted((a, b) => a.start - b.start)) {
    if (entry.type === 0 || entry.start < end) return false;
    end = entry.start + entry.count;
    // A protective entry may say more than there is: its size is the largest number where the disk is larger.
    if (!isProtective(entry) && end * scan.sectorSize > scan.size) return false;
  }
  return true;
}

function decode(sector: Buffer): (BootRecord & { readonly allEntries: readonly BootRecordEntry[] }) | undefined {
  const { signature, uniqueMbrSignature, partitionRecords } = bootRecord.decode(sector);
  if (signature !== 0xaa55) return undefined;
  const allEntries = [0, 1, 2, 3].map((index) => {
    const { bootIndicator, osType, startingLba, sizeInLba } = partitionRecord.decode(partitionRecords, index * partitionRecord.size);
    return { slot: index + 1, indicator: bootIndicator, type: osType, start: startingLba, count: sizeInLba };
  });
  return { id: uniqueMbrSignature, allEntries, entries: allEntries.filter(({ count }) => count > 0) };
}

/** The partitions of an MBR, with the logical ones inside extended partitions; the extended ones themselves hold no data and are left out. */
export function readMbr(scan: Scan, record: BootRecord): PartitionTable {
  const primary = record.entries.filter((entry) => !isExtended(entry)).map((entry) => toPartition(scan, record, entry.slot, entry));
  const logical = record.entries.filter(isExtended).flatMap((container) => readLogical(scan, container));
  const partitions = [...primary, ...logical.map((entry, index) => toPartition(scan, record, 5 + index, entry))];
  return {
    scheme: "mbr",
    sectorSize: scan.sectorSize,
    ...(record.id !== 0 && { id: `0x${idText(record)}` }),
    partitions: insideDisk(scan, partitions),
    notes: scan.notes,
  };
}

function idText({ id }: BootRecord): string {
  return id.toString(16).padStart(8, "0");
}

function toPartition(scan: Scan, record: BootRecord, number: number, entry: BootRecordEntry): Partition {
  return {
    number,
    start: entry.start * scan.sectorSize,
    size: entry.count * scan.sectorSize,
    type: typeText(entry.type),
    typeName: mbrTypeName(entry.type),
    ...(record.id !== 0 && { uuid: `${idText(record)}-${number.toString(16).padStart(2, "0")}` }),
    ...(entry.indicator === 0x80 && { bootable: true }),
  };
}

function isExtended({ type }: BootRecordEntry): boolean {
  return type === 0x05 || type === 0x0f || type === 0x85;
}

/** Linux numbers 256 partitions of a disk; a longer chain serves no one. */
const maxRecords = 256;

/** The logical partitions of one extended partition: a chain of boot records, each with a partition (relative to it) and a link (relative to the container). */
function readLogical(scan: Scan, container: BootRecordEntry): BootRecordEntry[] {
  const found: BootRecordEntry[] = [];
  const seen = new Set<number>();
  const rest = "the logical partitions behind it are not listed";
  let at = container.start;
  let length = container.count;
  for (;;) {
    const position = at * scan.sectorSize;
    if (seen.has(at)) {
      scan.note(`the chain of extended boot records returns to byte ${position}: ${rest}`);
      return found;
    }
    if (seen.size === maxRecords) {
      scan.note(`the chain of extended boot records is longer than ${maxRecords}: ${rest}`);
      return found;
    }
    seen.add(at);
    const sector = scan.bytes(position, bootRecord.size);
    const record = sector && decode(sector);
    if (!record) {
      const reason = position + bootRecord.size > scan.size ? "lies past the disk" : sector ? "has no signature 55 AA" : "cannot be read";
      scan.note(`the extended boot record at byte ${position} ${reason}: ${rest}`);
      return found;
    }
    for (const entry of record.entries) {
      if (!isExtended(entry) && isMeant(entry, at, length, container)) found.push({ ...entry, start: at + entry.start });
    }
    const link = record.entries.find(isExtended);
    if (!link) return found;
    at = container.start + link.start;
    length = link.count;
  }
}

/** The third and fourth entry should be unused. OS/2 used them, other programs left garbage there; Linux tells these apart by whether they fit. */
function isMeant({ slot, start, count }: BootRecordEntry, at: number, length: number, container: BootRecordEntry): boolean {
  return slot <= 2 || (start + count <= length && at + start + count <= container.start + container.count);
}
