// El Torito 1.0 (1995): the boot images of a CD. Where they end is nowhere said plainly for those that emulate no drive.
import { readBytes, type Source } from "../../source/source.js";
import { bootCatalogPosition, SECTOR } from "./volume.js";

export interface BootImage {
  /** Such as `1-bios.img`: what machine it is for. */
  readonly name: string;
  /** Bytes of the disk. */
  readonly position: number;
  readonly size: number;
  /** What the firmware shows it as. */
  readonly emulation: "none" | "1.2 MB floppy" | "1.44 MB floppy" | "2.88 MB floppy" | "hard disk";
  readonly bootable: boolean;
}

const ENTRY = 32;

/** A catalogue is one sector or a few. */
const ENTRY_LIMIT = 64 * (SECTOR / ENTRY);

/** Section 2.1 and 2.3: what entries begin with. */
const ids = { validation: 1, header: 0x90, lastHeader: 0x91, extension: 0x44, bootable: 0x88, notBootable: 0 } as const;

const platforms: Readonly<Record<number, string>> = { 0: "bios", 1: "powerpc", 2: "mac", 0xef: "uefi" };
const emulations = ["none", "1.2 MB floppy", "1.44 MB floppy", "2.88 MB floppy", "hard disk"] as const;
const floppySizes: Readonly<Record<number, number>> = { 1: 1_228_800, 2: 1_474_560, 3: 2_949_120 };

/** The boot images of a disc, in the order of the catalogue; none where there is no catalogue, or none that is intact. */
export function readBootImages(disk: Source, sessionStart = 0): readonly BootImage[] {
  const position = bootCatalogPosition(disk, sessionStart);
  if (position === undefined || position + 2 * ENTRY > disk.size) return [];
  const catalog = readBytes(disk, position, Math.min(ENTRY_LIMIT * ENTRY, disk.size - position));
  if (!isValidation(catalog)) return [];
  const images: BootImage[] = [];
  let platform = catalog[1] ?? 0;
  let left = 1;
  let last = false;
  for (let at = ENTRY; at + ENTRY <= catalog.length; at += ENTRY) {
    const id = catalog[at];
    if (left > 0) {
      if (id === ids.extension) continue;
      left -= 1;
      if (id !== ids.bootable && id !== ids.notBootable) return images;
      const image = imageOf(disk, catalog.subarray(at, at + ENTRY), platform, images.length + 1);
      if (image) images.push(image);
    } else if (!last && (id === ids.header || id === ids.lastHeader)) {
      platform = catalog[at + 1] ?? 0;
      left = catalog.readUInt16LE(at + 2);
      last = id === ids.lastHeader;
    } else if (id !== ids.extension) {
      break;
    }
  }
  return images;
}

/** Section 2.1: id, key bytes, and 16-bit words that sum to 0. */
function isValidation(catalog: Buffer): boolean {
  if (catalog[0] !== ids.validation || catalog[0x1e] !== 0x55 || catalog[0x1f] !== 0xaa) return false;
  let sum = 0;
  for (let at = 0; at < ENTRY; at += 2) sum += catalog.readUInt16LE(at);
  return (sum & 0xffff) === 0;
}

function imageOf(disk: Source, entry: Buffer, platform: number, number: number): BootImage | undefined {
  const media = (entry[1] ?? 0) & 15;
  const position = entry.readUInt32LE(8) * SECTOR;
  if (position === 0 || position >= disk.size) return undefined;
  const size = floppySizes[media] ?? (media === 4 ? hardDiskSize(disk, position) : plainSize(disk, position, entry.readUInt16LE(6) * 512));
  return {
    name: `${number}-${platforms[platform] ?? `platform-${platform}`}.img`,
    position,
    size: Math.min(size, disk.size - position),
    emulation: emulations[media] ?? "none",
    bootable: entry[0] === ids.bootable,
  };
}

/** Up to the end of its last partition. */
function hardDiskSize(disk: Source, position: number): number {
  const record = readBytes(disk, position, Math.min(512, disk.size - position));
  let end = 512;
  for (let at = 446; at + 16 <= record.length - 2; at += 16) {
    if (record[at + 4] !== 0) end = Math.max(end, (record.readUInt32LE(at + 8) + record.readUInt32LE(at + 12)) * 512);
  }
  return end;
}

/**
 * The entry's sector count is what the firmware loads, often a first piece only. Better, where there are: the boot information table that isolinux and
 * GRUB carry (its length at 16), and the size of the FAT file system that an UEFI image is.
 */
function plainSize(disk: Source, position: number, loaded: number): number {
  const head = readBytes(disk, position, Math.min(512, disk.size - position));
  if (head.length < 64) return head.length;
  if (head.readUInt32LE(12) * SECTOR === position && head.readUInt32LE(8) * SECTOR < disk.size)
    return Math.max(head.readUInt32LE(16), loaded);
  return fatSize(head) ?? Math.max(loaded, SECTOR);
}

/** From the BIOS parameter block; undefined if there is none. */
function fatSize(head: Buffer): number | undefined {
  const sector = head.readUInt16LE(11);
  const cluster = head[13] ?? 0;
  if (![512, 1024, 2048, 4096].includes(sector) || cluster === 0 || (cluster & (cluster - 1)) !== 0 || head[510] !== 0x55) return undefined;
  return sector * (head.readUInt16LE(19) || head.readUInt32LE(32));
}
