import type { PartitionTable } from "../partitions/partition.js";
import type { Scan } from "../partitions/scan.js";
import { quote } from "../../util/text.js";
import { ldmDatabase, ldmPrivateHeader, ldmRegion, ldmToc } from "./layout.js";
import { type Database, readRecords } from "./ldm-records.js";
import { volumeOf } from "./ldm-map.js";
import type { FoundVolume } from "./volume.js";

/** The type of partitions of an MBR that Windows keeps for its dynamic disks, and of the partition that holds the database on a GPT disk. */
const mbrType = "0x42";
const gptType = "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3";
/** Windows takes 1 MiB. */
const maxPrivateSize = 16 * 2 ** 20;

type PrivateHeader = ReturnType<typeof ldmPrivateHeader.decode>;

/** The volumes of a Windows dynamic disk whose data lie on this disk alone, in one piece or more. Others are named in notes. */
export function readLdm(scan: Scan, table: PartitionTable | undefined): FoundVolume[] {
  const places = headerPlaces(scan, table);
  if (places.length === 0) return [];
  const sectorSize = table?.sectorSize ?? scan.sectorSize;
  const header = findHeader(scan, places);
  const database = header && readDatabase(scan, header, sectorSize);
  if (!database || typeof database === "string") {
    scan.note(`this is a Windows dynamic disk, and its volumes are not shown: ${database ?? "its private header is missing"}`);
    return [];
  }
  const own = database.disks.find(({ guid }) => guid === header.diskGuid.toLowerCase());
  return database.volumes.flatMap((volume) => {
    const found = volumeOf(database, volume, own, header.publicStart, { sectorSize, size: scan.size });
    if (typeof found !== "string") return found;
    scan.note(`the dynamic volume ${quote(volume.name)} is not shown: ${found}`);
    return [];
  });
}

/** Where the private header and its copies may be: in sector 6 and the last one, or in the last of the GPT's partition for it. */
function headerPlaces(scan: Scan, table: PartitionTable | undefined): number[] {
  if (!table) return [];
  const { sectorSize, partitions } = table;
  const metadata = partitions.find(({ type }) => type === gptType);
  if (metadata) return [metadata.start + metadata.size - sectorSize];
  if (!partitions.some(({ type }) => type === mbrType)) return [];
  return [6 * sectorSize, (Math.floor(scan.size / sectorSize) - 1) * sectorSize];
}

function findHeader(scan: Scan, places: readonly number[]): PrivateHeader | undefined {
  for (const place of places) {
    const raw = scan.bytes(place, ldmPrivateHeader.size);
    if (raw?.toString("latin1", 0, 8) !== "PRIVHEAD") continue;
    if (hasSum(raw) && isSmall(raw, 0x11b, 6)) return ldmPrivateHeader.decode(raw);
    scan.note(`the LDM private header at byte ${place} has a wrong checksum; it is not used`);
  }
  return undefined;
}

/** What the private region holds, or why it cannot be used. */
function readDatabase(scan: Scan, header: PrivateHeader, sectorSize: number): Database | string {
  const base = header.privateStart * sectorSize;
  const size = header.privateSize * sectorSize;
  if (size > maxPrivateSize) return `its database takes ${size} bytes, more than ${maxPrivateSize}`;
  if (base + size > scan.size) return `its database, ${size} bytes at byte ${base}, leaves the disk`;
  const region = findRegion(scan, header, base, size, sectorSize);
  if (!region) return "its table of contents is missing or damaged";
  const start = region.start * sectorSize;
  const length = region.size * sectorSize;
  if (start + length > size || length < ldmDatabase.size) return "its table of contents leaves the database";
  const raw = scan.bytes(base + start, ldmDatabase.size);
  if (!raw) return "its database cannot be read";
  const fields = ldmDatabase.decode(raw);
  if (fields.magic !== "VMDB") return `there is no database at byte ${base + start}`;
  if (fields.versionMajor !== 4 || fields.versionMinor !== 10)
    return `its database has version ${fields.versionMajor}.${fields.versionMinor}, not 4.10`;
  if (fields.updateStatus !== 1) return "its database was being changed";
  return readRecords(scan, base + start, length, fields);
}

/** The region of the database, from the latest table of contents that is intact. */
function findRegion(
  scan: Scan,
  header: PrivateHeader,
  base: number,
  size: number,
  sectorSize: number,
): ReturnType<typeof ldmRegion.decode> | undefined {
  const last = header.privateSize;
  const sectors = new Set([header.primaryToc, header.secondaryToc, 1, 2, last - 3, last - 2]);
  const tables = [...sectors].flatMap((sector) => {
    const at = sector * sectorSize;
    const raw = at >= 0 && at + ldmToc.size <= size ? scan.bytes(base + at, ldmToc.size) : undefined;
    return raw?.toString("latin1", 0, 8) === "TOCBLOCK" && hasSum(raw) ? [ldmToc.decode(raw)] : [];
  });
  const [latest] = tables.toSorted((a, b) => Number(b.sequence - a.sequence));
  for (let at = 0; latest && at + ldmRegion.size <= latest.regions.length; at += ldmRegion.size) {
    const raw = Buffer.from(latest.regions.buffer, latest.regions.byteOffset + at, ldmRegion.size);
    if (raw.toString("latin1", 0, 7) === "config\0" && isSmall(raw, 10, 2)) return ldmRegion.decode(raw);
  }
  return undefined;
}

/** The checksum is the sum of all bytes of the sector but its own. */
function hasSum(raw: Buffer): boolean {
  let sum = 0;
  for (const [at, byte] of raw.entries()) if (at < 8 || at >= 12) sum += byte;
  return sum === raw.readUInt32BE(8);
}

/** Whether `count` numbers of 8 bytes are ones of sectors: others would be no disk's. */
function isSmall(raw: Buffer, at: number, count: number): boolean {
  return Array.from({ length: count }, (_, index) => raw.readBigUInt64BE(at + index * 8)).every((value) => value < 2n ** 43n);
}
