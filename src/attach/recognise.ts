// What a run of bytes holds, by the marks that mkfs and its like leave. Reference: the on-disk structures in the headers of the kernel (fs/, include/uapi/linux)
// and, for the order in which marks are believed, those of util-linux' libblkid: what encloses others goes first.
import { extWays, type FileSystem, fileSystems } from "./filesystems.js";

/** `length` bytes at `offset`, or undefined where there are none. At most 64 KiB are asked for at once. */
export type ReadBytes = (offset: number, length: number) => Buffer | undefined;

/** Offset, bytes, what it is. */
const marks: readonly (readonly [at: number, mark: string, found: FileSystem])[] = [
  [0, "LUKS\xba\xbe\0\x01", fileSystems.luks],
  [0, "LUKS\xba\xbe\0\x02", fileSystems.luks],
  [3, "-FVE-FS-", fileSystems.bitlocker],
  [24, "LVM2 001", fileSystems.lvm],
  [512 + 24, "LVM2 001", fileSystems.lvm],
  [1024 + 24, "LVM2 001", fileSystems.lvm],
  [1536 + 24, "LVM2 001", fileSystems.lvm],
  [0, "\xfc\x4e\x2b\xa9\x01\0\0\0", fileSystems.raid],
  [0x1000, "\xfc\x4e\x2b\xa9\x01\0\0\0", fileSystems.raid],
  [0x1018, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", fileSystems.bcache],
  [0x1018, "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef", fileSystems.bcachefs],
  [0x4014, "\0\0\0\x07version\0", fileSystems.zfs],
  [0, "XFSB", fileSystems.xfs],
  [0, "hsqs", fileSystems.squashfs],
  [3, "NTFS    ", fileSystems.ntfs],
  [3, "EXFAT   ", fileSystems.exfat],
  [3, "ReFS\0", fileSystems.refs],
  [0x20, "NXSB", fileSystems.apfs],
  [0x400, "\xe2\xe1\xf5\xe0", fileSystems.erofs],
  [0x400, "\x10\x20\xf5\xf2", fileSystems.f2fs],
  [0x400, "H+", fileSystems.hfsplus],
  [0x400, "HX", fileSystems.hfsplus],
  // An HFS volume that only wraps HFS+.
  [0x47c, "H+", fileSystems.hfsplus],
  [0x400, "BD", fileSystems.hfs],
  [0x406, "\x34\x34", fileSystems.nilfs2],
  [0x8000, "JFS1", fileSystems.jfs],
  [0x10034, "ReIsEr", fileSystems.reiserfs],
  [0x2034, "ReIsErFs", fileSystems.reiserfs],
  [0x1055c, "\x19\x01\x54\x19", fileSystems.ufs2],
  [0x255c, "\x54\x19\x01\0", fileSystems.ufs1],
  [0, "\x45\x3d\xcd\x28", fileSystems.cramfs],
  [0, "-rom1fs-", fileSystems.romfs],
  [0x100000, "\x0d\xd0\x01\xc0", fileSystems.vmfs],
  ...[4096, 8192, 16384, 65536].flatMap((page): readonly (readonly [number, string, FileSystem])[] => [
    [page - 10, "SWAPSPACE2", fileSystems.swap],
    [page - 10, "SWAP-SPACE", fileSystems.swap],
  ]),
];

/** What `read` gives begins with, or undefined for what is not known here. Throws what `read` throws. */
export function recogniseFileSystem(read: ReadBytes): FileSystem | undefined {
  const at = (offset: number, mark: string) => read(offset, mark.length)?.toString("latin1") === mark;
  const marked = marks.find(([offset, mark]) => at(offset, mark))?.[2];
  // The mark of NILFS is two bytes of what may be anything in the first superblock of another.
  if (marked && marked !== fileSystems.nilfs2) return marked;
  return ext(read) ?? btrfs(read) ?? fat(read) ?? disc(at) ?? marked;
}

/** Feature bits that ext3 knows: file types, recovery, meta block groups; sparse superblocks, large files, trees. */
const EXT3_INCOMPATIBLE = 0x16;
const EXT3_READ_ONLY = 0x7;
const HAS_JOURNAL = 0x4;
const NEEDS_RECOVERY = 0x4;
const IS_JOURNAL = 0x8;

/** ext2, ext3 and ext4 share a superblock at byte 1024; their features tell them apart. */
function ext(read: ReadBytes): FileSystem | undefined {
  const superblock = read(1024, 0x68);
  if (superblock?.readUInt16LE(0x38) !== 0xef53) return undefined;
  const compatible = superblock.readUInt32LE(0x5c);
  const incompatible = superblock.readUInt32LE(0x60);
  const readOnly = superblock.readUInt32LE(0x64);
  if (incompatible & IS_JOURNAL) return { name: "ext journal", ways: [], advice: "It is the journal of a file system elsewhere." };
  const isFourth = (incompatible & ~EXT3_INCOMPATIBLE) !== 0 || (readOnly & ~EXT3_READ_ONLY) !== 0;
  const name = isFourth ? "ext4" : compatible & HAS_JOURNAL ? "ext3" : "ext2";
  const unclean = incompatible & NEEDS_RECOVERY ? ["Its journal was not replayed: what was written last may be missing."] : [];
  return { name, ways: extWays[name], advice: "fuse2fs reads it without the kernel's help.", notes: unclean };
}

function btrfs(read: ReadBytes): FileSystem | undefined {
  const superblock = read(0x10000, 0x90);
  if (superblock?.toString("latin1", 0x40, 0x48) !== "_BHRfS_M") return undefined;
  const logRoot = superblock.readBigUInt64LE(0x60);
  const devices = superblock.readBigUInt64LE(0x88);
  const notes = [
    ...(logRoot !== 0n ? ["Its log was not replayed: what was written last may be missing."] : []),
    ...(devices > 1n ? [`It is one of ${devices} devices of a file system: all of them have to be attached.`] : []),
  ];
  return { ...fileSystems.btrfs, notes };
}

/** What formats FAT writes its name into the boot sector, but for floppies older than DOS 4. */
function fat(read: ReadBytes): FileSystem | undefined {
  const boot = read(0, 512);
  if (boot?.readUInt16LE(510) !== 0xaa55) return undefined;
  const sectorSize = boot.readUInt16LE(11);
  if (![512, 1024, 2048, 4096].includes(sectorSize)) return undefined;
  const named = boot.toString("latin1", 54, 57) === "FAT" || boot.toString("latin1", 82, 85) === "FAT";
  return named ? fileSystems.fat : undefined;
}

/** The volume recognition sequence of discs: descriptors of 2 KiB from byte 32768 on. */
function disc(at: (offset: number, mark: string) => boolean): FileSystem | undefined {
  let found: FileSystem | undefined;
  for (let position = 0x8001; position < 0x8001 + 16 * 2048; position += 2048) {
    if (at(position, "NSR02") || at(position, "NSR03")) return fileSystems.udf;
    if (at(position, "CD001")) found = fileSystems.iso9660;
    else if (!at(position, "BEA01") && !at(position, "TEA01") && !at(position, "BOOT2")) break;
  }
  return found;
}
