import { crc32 } from "node:zlib";
import { mixedGuid } from "../../util/guid.js";
import { hex } from "../../util/text.js";
import { superblockOwner } from "./foreign.js";
import { gptEntry, gptHeader } from "./layout.js";
import { type BootRecord, describeEntry, isProtective } from "./mbr.js";
import type { Partition, PartitionTable } from "./partition.js";
import { insideDisk, type Scan } from "./scan.js";
import { gptTypeName } from "./types.js";

type Header = ReturnType<typeof gptHeader.decode>;

/** One of the two copies of a GPT. */
interface Copy {
  readonly sectorSize: number;
  readonly header: Header;
  /** The header's byte offset. */
  readonly position: number;
  readonly content: { readonly entries: Buffer } | { readonly damage: string };
}

type IntactCopy = Copy & { readonly content: { readonly entries: Buffer } };

/** 128 entries of 128 bytes are usual and Linux numbers 256; this is 8192 of them. More would only cost memory. */
const maxEntryBytes = 2 ** 20;

function isIntact(copy: Copy): copy is IntactCopy {
  return "entries" in copy.content;
}

/** The sector sizes to look with, the likeliest first. */
function sectorSizes(scan: Scan): number[] {
  return [...new Set([scan.sectorSize, 512, 4096, 2048, 1024])];
}

/** Whether a primary GPT header stands behind the first sector, intact or not. */
export function hasGpt(scan: Scan): boolean {
  return sectorSizes(scan).some((sectorSize) => readHeader(scan, sectorSize) !== undefined);
}

/**
 * The disk's GPT: the primary copy, or the backup where that is damaged. Undefined: there is none.
 * `record` is the MBR that announces it. Without one, a backup alone is not believed where a file system took the whole disk since.
 */
export function readGpt(scan: Scan, record: BootRecord | undefined): PartitionTable | undefined {
  const sizes = sectorSizes(scan);
  const primaries = sizes.flatMap((sectorSize) => readCopy(scan, sectorSize, 1) ?? []);
  const primary = primaries.find(isIntact);
  if (primary) {
    noteSecondTable(scan, primaries, primary);
    noteBackup(scan, primary);
    return toTable(scan, primary, record);
  }
  for (const copy of primaries) noteDamage(scan, "primary", copy);
  if (!record && primaries.length === 0 && superblockOwner(scan)) return undefined;

  const backups = backupPlaces(scan, primaries, record).flatMap(([sectorSize, lba]) => readCopy(scan, sectorSize, lba) ?? []);
  const backup = backups.find(isIntact);
  if (backup) {
    scan.note(`only the backup GPT at byte ${backup.position} is intact; it is used`);
    return toTable(scan, backup, record);
  }
  for (const copy of backups) noteDamage(scan, "backup", copy);
  if (!record && primaries.length === 0) return undefined;
  scan.note("no copy of the GPT is intact, so no partitions are listed");
  return { scheme: "gpt", sectorSize: scan.sectorSize, partitions: [], notes: scan.notes };
}

function noteDamage(scan: Scan, which: "primary" | "backup", { content, position }: Copy): void {
  if ("damage" in content) scan.note(`the ${which} GPT at byte ${position} is damaged: ${content.damage}`);
}

function noteSecondTable(scan: Scan, primaries: readonly Copy[], used: Copy): void {
  const other = primaries.find((copy) => copy !== used && isIntact(copy));
  if (other) scan.note(`a second GPT for sectors of ${other.sectorSize} bytes is there too; the one for ${used.sectorSize} bytes is used`);
}

function noteBackup(scan: Scan, primary: IntactCopy): void {
  const { sectorSize, header } = primary;
  const position = Number(header.alternateLba) * sectorSize;
  const last = (Math.floor(scan.size / sectorSize) - 1) * sectorSize;
  if (position > last) {
    scan.note(`the backup GPT belongs at byte ${position}, and the disk ends at ${scan.size}: it may have been cut short`);
    return;
  }
  if (position < last) scan.note(`the backup GPT belongs at byte ${position}, not in the last sector: the disk may have grown`);
  // A header that names itself as its backup has none.
  const backup = position > primary.position ? readCopy(scan, sectorSize, position / sectorSize) : undefined;
  if (!backup) scan.note(`the backup GPT at byte ${position} is missing`);
  else if (!isIntact(backup)) noteDamage(scan, "backup", backup);
  else if (!backup.content.entries.equals(primary.content.entries)) scan.note("the backup GPT differs from the primary one, which is used");
}

type Place = readonly [sectorSize: number, lba: number];

/** Where a backup header may be: in the last sector, or, on a disk that has grown, where the primary or the protective MBR say. */
function backupPlaces(scan: Scan, primaries: readonly Copy[], record: BootRecord | undefined): Place[] {
  const protective = record?.entries.find(isProtective);
  const sizes = primaries.length > 0 ? primaries.map(({ sectorSize }) => sectorSize) : sectorSizes(scan);
  return sizes.flatMap((sectorSize) => {
    const lbas = [Math.floor(scan.size / sectorSize) - 1];
    for (const copy of primaries) if (copy.sectorSize === sectorSize) lbas.push(Number(copy.header.alternateLba));
    if (protective) lbas.push(protective.start + protective.count - 1);
    return [...new Set(lbas)].filter((lba) => lba > 1).map((lba): Place => [sectorSize, lba]);
  });
}

/** The header at `position`, if its signature is there. */
function readHeader(scan: Scan, position: number): Header | undefined {
  const raw = scan.bytes(position, gptHeader.size);
  if (raw?.toString("latin1", 0, 8) !== "EFI PART") return undefined;
  return gptHeader.decode(raw);
}

function readCopy(scan: Scan, sectorSize: number, lba: number): Copy | undefined {
  const position = lba * sectorSize;
  const header = readHeader(scan, position);
  if (!header) return undefined;
  const damage = headerDamage(scan, header, position, sectorSize) ?? entriesDamage(header);
  return { sectorSize, position, header, content: damage === undefined ? readEntries(scan, header, sectorSize) : { damage } };
}

function headerDamage(scan: Scan, header: Header, position: number, sectorSize: number): string | undefined {
  const { headerSize, headerCrc32, myLba } = header;
  const { size } = gptHeader;
  if (headerSize < size || headerSize > sectorSize) return `its header has ${headerSize} bytes, not ${size} to ${sectorSize}`;
  const raw = scan.bytes(position, headerSize);
  if (!raw) return "its header cannot be read";
  // The checksum is taken with its own field as zero.
  raw.writeUInt32LE(0, 16);
  const sum = crc32(raw);
  if (sum !== headerCrc32) return `its header's CRC-32 is ${hex(sum)}, and ${hex(headerCrc32)} is stored`;
  if (Number(myLba) * sectorSize !== position) return `its header belongs to sector ${myLba} of ${sectorSize} bytes`;
  return undefined;
}

function entriesDamage({ numberOfPartitionEntries: count, sizeOfPartitionEntry: size }: Header): string | undefined {
  if (size < gptEntry.size || size % 8 !== 0) return `its entries have ${size} bytes, not ${gptEntry.size} or more`;
  if (count * size > maxEntryBytes) return `its ${count} entries of ${size} bytes take more than ${maxEntryBytes} bytes`;
  return undefined;
}

function readEntries(scan: Scan, header: Header, sectorSize: number): Copy["content"] {
  const position = Number(header.partitionEntryLba) * sectorSize;
  const length = header.numberOfPartitionEntries * header.sizeOfPartitionEntry;
  if (position + length > scan.size) return { damage: `its entries, ${length} bytes at byte ${position}, leave the disk` };
  const entries = scan.bytes(position, length);
  if (!entries) return { damage: "its entries cannot be read" };
  const sum = crc32(entries);
  const stored = header.partitionEntryArrayCrc32;
  return sum === stored ? { entries } : { damage: `its entries' CRC-32 is ${hex(sum)}, and ${hex(stored)} is stored` };
}

function toTable(scan: Scan, copy: IntactCopy, record: BootRecord | undefined): PartitionTable {
  const { header, sectorSize } = copy;
  if (!record) scan.note("there is no protective MBR, so that Linux would not look for this GPT");
  const others = record?.entries.filter((entry) => !isProtective(entry)) ?? [];
  // An MBR counts in the sectors of the disk, as the GPT beside it does.
  for (const entry of others) scan.note(`the hybrid MBR lists ${describeEntry(sectorSize, entry)}`);
  return {
    scheme: others.length > 0 ? "hybrid" : "gpt",
    sectorSize,
    id: mixedGuid(header.diskGuid),
    partitions: insideDisk(scan, toPartitions(copy)),
    notes: scan.notes,
  };
}

function toPartitions({ header, sectorSize, content: { entries } }: IntactCopy): Partition[] {
  const partitions: Partition[] = [];
  for (let index = 0; index < header.numberOfPartitionEntries; index += 1) {
    const entry = gptEntry.decode(entries, index * header.sizeOfPartitionEntry);
    if (entry.partitionTypeGuid.every((byte) => byte === 0)) continue;
    const type = mixedGuid(entry.partitionTypeGuid);
    const name = untilNul(Buffer.from(entry.partitionName).toString("utf16le"));
    partitions.push({
      number: index + 1,
      start: Number(entry.startingLba) * sectorSize,
      size: Number(entry.endingLba - entry.startingLba + 1n) * sectorSize,
      type,
      typeName: gptTypeName(type),
      ...(name !== "" && { name }),
      uuid: mixedGuid(entry.uniquePartitionGuid),
      // Attribute bit 2: legacy BIOS bootable.
      ...((entry.attributes & 4n) !== 0n && { bootable: true }),
    });
  }
  return partitions;
}

function untilNul(text: string): string {
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}
