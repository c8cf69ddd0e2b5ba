import type { Scan } from "./scan.js";

/**
 * What else the first sector of a disk is, by its marks: a boot sector of a file system ends in 55 AA as an MBR does.
 * A stale mark may be left where a disk was partitioned later, so this alone does not decide.
 */
export function bootSectorOwner(scan: Scan, sector: Uint8Array): string | undefined {
  const boot = Buffer.from(sector.buffer, sector.byteOffset, sector.byteLength);
  const mark = (at: number, text: string) => boot.toString("latin1", at, at + text.length) === text;
  if (mark(3, "NTFS    ")) return "NTFS";
  if (mark(3, "EXFAT   ")) return "exFAT";
  if (mark(3, "ReFS\0")) return "ReFS";
  if (mark(3, "-FVE-FS-")) return "BitLocker";
  // Beside FAT16 and FAT32, the mark may be "FAT     "; floppies older than DOS 4 have none.
  if (mark(54, "FAT") || mark(82, "FAT") || hasFatParameters(boot)) return "FAT";
  // "IBMA" in EBCDIC.
  if (mark(0, "\xc9\xc2\xd4\xc1")) return "AIX";
  // The setup header of a Linux kernel, whose first sector once was a floppy's boot sector.
  if (scan.bytes(0x202, 4)?.toString("latin1") === "HdrS") return "Linux kernel";
  return undefined;
}

/** Whether the BIOS parameter block is one that a FAT driver would take. */
function hasFatParameters(boot: Buffer): boolean {
  const powerOfTwo = (value: number) => value > 0 && (value & (value - 1)) === 0;
  const sectorSize = boot.readUInt16LE(11);
  const media = boot.readUInt8(21);
  const fatCount = boot.readUInt8(16);
  return (
    (boot[0] === 0xeb || boot[0] === 0xe9) &&
    powerOfTwo(sectorSize) &&
    sectorSize >= 512 &&
    sectorSize <= 4096 &&
    powerOfTwo(boot.readUInt8(13)) &&
    boot.readUInt16LE(14) > 0 &&
    (fatCount === 1 || fatCount === 2) &&
    (media === 0xf0 || media >= 0xf8)
  );
}

/** Where file systems and volume managers that take a whole disk put their marks. */
const superblocks: readonly (readonly [at: number, mark: string, owner: string])[] = [
  [0, "XFSB", "XFS"],
  [0, "LUKS\xba\xbe", "LUKS"],
  [0, "hsqs", "SquashFS"],
  [32, "NXSB", "APFS"],
  [0x200, "LABELONE", "LVM"],
  [0x400, "H+", "HFS+"],
  [0x400, "HX", "HFSX"],
  [0x400, "BD", "HFS"],
  [0x400, "\x10\x20\xf5\xf2", "F2FS"],
  [0x400, "\xe2\xe1\xf5\xe0", "EROFS"],
  [0x438, "\x53\xef", "ext"],
  [0xff6, "SWAPSPACE2", "swap"],
  [0x1000, "\xfc\x4e\x2b\xa9", "md RAID"],
  [0x8001, "CD001", "ISO 9660"],
  [0x8001, "BEA01", "UDF"],
  [0x10040, "_BHRfS_M", "btrfs"],
];

/** The file system or volume that takes the whole disk, if it is a common one. */
export function superblockOwner(scan: Scan): string | undefined {
  return superblocks.find(([at, mark]) => scan.bytes(at, mark.length)?.toString("latin1") === mark)?.[2];
}
