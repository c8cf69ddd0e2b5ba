import type { PartitionTable } from "../partitions/partition.js";
import type { Scan } from "../partitions/scan.js";
import { type Area, areaBytes } from "./area.js";
import { disklabelEntries, disklabels } from "./layout.js";
import { type FoundVolume, onePiece } from "./volume.js";

const labelMagic = 0x82564557;
/** Where 22 entries fill a sector; OpenBSD has had room for 52 since 7.8. */
const maxEntries = 52;

/** FreeBSD counts from where its raw partition, the third, starts; the others from the start of the disk. */
type Flavour = "FreeBSD" | "NetBSD" | "OpenBSD";

const flavourOfType: Readonly<Record<string, Flavour>> = {
  "0xa5": "FreeBSD",
  "0xa6": "OpenBSD",
  "0xa9": "NetBSD",
  "516E7CB4-6ECF-11D6-8FF8-00022D09712B": "FreeBSD",
  "824CC7A0-36A8-11E3-890A-952519AD3F61": "OpenBSD",
};

const fileSystems = [
  "Unused",
  "Swap",
  "Version 6 Unix",
  "Version 7 Unix",
  "System V",
  "4.1BSD",
  "Eighth Edition Unix",
  "4.2BSD",
  "MS-DOS",
  "4.4LFS",
  "Other",
  "HPFS",
  "ISO 9660",
  "Boot",
  "AmigaDOS",
  "HFS",
] as const;

/** From 16 on, every system has given the numbers other meanings. */
const laterFileSystems: Readonly<Record<Flavour, Readonly<Record<number, string>>>> = {
  FreeBSD: { 14: "Vinum", 15: "RAID", 16: "Filecore", 17: "ext2", 18: "NTFS", 20: "CCD", 21: "JFS2", 27: "ZFS", 30: "nandfs" },
  NetBSD: {
    16: "Filecore",
    17: "ext2",
    18: "NTFS",
    19: "RAIDframe",
    20: "CCD",
    21: "JFS2",
    22: "Apple UFS",
    23: "Vinum",
    24: "UDF",
    27: "ZFS",
  },
  OpenBSD: { 16: "ADFS", 17: "ext2", 18: "CCD", 19: "RAID", 20: "NTFS", 21: "UDF", 22: "HAMMER2" },
};

interface Label {
  readonly endian: "little" | "big";
  /** Where it stands in the area. */
  readonly position: number;
  readonly fields: ReturnType<typeof disklabels.little.decode>;
}

interface Entry {
  readonly index: number;
  /** Bytes, as counted by the label. */
  readonly start: number;
  readonly size: number;
  readonly fstype: number;
}

/** The partitions of a BSD disklabel in a slice, or on a disk without another table. Damage gives a note. */
export function readDisklabel(scan: Scan, area: Area, table: PartitionTable | undefined): FoundVolume[] {
  const flavour = area.type === undefined ? undefined : flavourOfType[area.type];
  // A volume inside something else has none.
  if (!flavour && (area.type !== undefined || area.start > 0)) return [];
  const label = findLabel(scan, area);
  if (!label) return [];
  const told = `the BSD disklabel at byte ${area.start + label.position}`;
  const entries = readEntries(scan, area, label);
  if (typeof entries === "string") {
    scan.note(`${told} ${entries}: its partitions are not shown`);
    return [];
  }
  const openBsd = flavour === "OpenBSD" || (!flavour && label.fields.d_version === 1);
  const raw = entries.find(({ index }) => index === 2);
  if (!flavour && openBsd && raw?.start === 0 && raw.size > area.declared) {
    scan.note(`${told} is for a disk of ${raw.size} bytes, of which this is a part or the beginning: its partitions are not shown`);
    return [];
  }
  // On a bare disk the raw partition starts at 0, unless the image is a slice that was copied alone.
  const base = openBsd || flavour === "NetBSD" ? 0 : area.start - (raw?.start ?? 0);
  // A slice at 0 is made up: FreeBSD has the whole disk then, and the MBR says 50000 sectors.
  const end = area.start === 0 ? Number.MAX_SAFE_INTEGER : area.start + area.declared;
  const names = laterFileSystems[flavour ?? (openBsd ? "OpenBSD" : "FreeBSD")];
  const id = openBsd ? Buffer.from(label.fields.d_uid).toString("hex") : "";
  return entries.flatMap((entry) => {
    const start = base + entry.start;
    const letter = letterOf(entry.index);
    if (isRaw(scan, area, entry, start)) return [];
    if (start < area.start || start + entry.size > end) {
      noteOutside(scan, area, table, entry, start, letter);
      return [];
    }
    const size = Math.min(entry.size, scan.size - start);
    if (size < 1) {
      scan.note(`${area.prefix}${letter} is not shown: it starts at byte ${start}, and the disk ends at ${scan.size}`);
      return [];
    }
    if (size < entry.size) scan.note(`${area.prefix}${letter} ends ${entry.size - size} bytes past the disk`);
    return {
      name: `${area.prefix}${letter}`,
      kind: "BSD disklabel" as const,
      pieces: onePiece(start, size),
      typeName: names[entry.fstype] ?? fileSystems[entry.fstype] ?? "Unknown type",
      ...(/[^0]/.test(id) && { uuid: `${id}.${letter}` }),
    };
  });
}

function findLabel(scan: Scan, area: Area): Label | undefined {
  // Sector 1 on most machines; in sector 0 on alpha and others, on SPARC.
  for (const position of new Set([512, scan.sectorSize, 64, 128, 0])) {
    const raw = areaBytes(scan, area, position, disklabels.little.size);
    for (const endian of ["little", "big"] as const) {
      const fields = raw && disklabels[endian].decode(raw);
      if (fields?.d_magic === labelMagic && fields.d_magic2 === labelMagic) return { endian, position, fields };
    }
  }
  return undefined;
}

/** The entries that have a size, or what is wrong with the label. */
function readEntries(scan: Scan, area: Area, { endian, position, fields }: Label): Entry[] | string {
  const { d_npartitions: count, d_secsize: sectorSize, d_version: version } = fields;
  const layout = disklabelEntries[endian];
  if (count > maxEntries) return `has ${count} entries, more than ${maxEntries}`;
  if (sectorSize < 512 || sectorSize > 65536 || sectorSize % 512 !== 0) return `counts in sectors of ${sectorSize} bytes`;
  const raw = areaBytes(scan, area, position, disklabels[endian].size + count * layout.size);
  if (!raw) return `with ${count} entries does not fit where it is`;
  let sum = 0;
  for (let at = 0; at < raw.length; at += 2) sum ^= raw.readUInt16LE(at);
  if (sum !== 0) return "has a wrong checksum";
  const entries: Entry[] = [];
  for (let index = 0; index < count; index += 1) {
    const { p_size, p_offset, p_sizeh, p_offseth, p_fstype } = layout.decode(raw, disklabels[endian].size + index * layout.size);
    const high = version === 1 ? 2 ** 32 : 0;
    const size = (p_size + p_sizeh * high) * sectorSize;
    const start = (p_offset + p_offseth * high) * sectorSize;
    if (size === 0) continue;
    if (!Number.isSafeInteger(start + size)) return `has an impossible entry ${letterOf(index)}`;
    entries.push({ index, start, size, fstype: p_fstype });
  }
  return entries;
}

/** a to z, and as OpenBSD goes on, A to Z. */
function letterOf(index: number): string {
  return String.fromCharCode(index < 26 ? 0x61 + index : 0x41 + index - 26);
}

/** Whether an entry stands for the slice or the disk as a whole: those are shown as such. */
function isRaw(scan: Scan, area: Area, { index, size, fstype, start: counted }: Entry, start: number): boolean {
  if (fstype !== 0 || (index !== 2 && index !== 3)) return false;
  const isSlice = start === area.start && size === area.declared;
  // The size of the disk as its driver saw it.
  const isDisk = counted === 0 && (index === 3 || size >= area.declared || size >= scan.size - scan.sectorSize * 2 ** 16);
  return isSlice || isDisk;
}

/** OpenBSD lists the other partitions of the disk, too; those are shown already. */
function noteOutside(scan: Scan, area: Area, table: PartitionTable | undefined, { size }: Entry, start: number, letter: string): void {
  if (table?.partitions.some((partition) => partition.start === start)) return;
  scan.note(`${area.prefix}${letter} is not shown: ${size} bytes at byte ${start} are not inside ${area.label}`);
}
