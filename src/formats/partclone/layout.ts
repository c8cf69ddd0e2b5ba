// Images of partclone, as Clonezilla keeps them. Reference: IMAGE_FORMATS.md and src/partclone.c in the partclone sources. Little-endian with every program that is known.
import { ascii, struct, u16, u32, u64, u8 } from "../../util/struct.js";

export const SIGNATURE = "partclone-image";

/** What both versions begin with. */
export const start = struct("partclone header", "little", 36, {
  signature: [0, ascii(15)],
  version: [30, ascii(4)],
  /** Of version 2: the byte order of the machine. */
  order: [34, u16],
});
export const LITTLE = 0xc0de;

export const headerV1 = struct("partclone header of version 1", "little", 64, {
  fileSystem: [15, ascii(15)],
  blockSize: [36, u32],
  deviceSize: [40, u64],
  totalBlocks: [48, u64],
  usedBlocks: [56, u64],
});
/** Behind the header of version 1, and what is not used of it. */
export const BITMAP_V1 = 4160;
/** Behind a bitmap of bytes; one of bits has a checksum there. */
export const BYTES_END = "BiTmAgIc";

export const headerV2 = struct("partclone header of version 2", "little", 110, {
  program: [16, ascii(14)],
  fileSystem: [36, ascii(16)],
  deviceSize: [52, u64],
  totalBlocks: [60, u64],
  usedBlocks: [76, u64],
  blockSize: [84, u32],
  featureSize: [88, u32],
  imageVersion: [92, u16],
  checksumMode: [96, u16],
  checksumSize: [98, u16],
  blocksPerChecksum: [100, u32],
  bitmapMode: [105, u8],
  checksum: [106, u32],
});

/** How the bitmap is stored: not at all, a bit for each block, or a byte. */
export const bitmapModes = { none: 0, bit: 1, byte: 8 } as const;

/** Ours: bitmaps of 256 MiB, which is 8 TiB in blocks of 4 KiB; version 1 has a byte for each. A run of blocks is looked at so far. */
export const limits = { bitmap: 2 ** 28, blockSize: [512, 2 ** 26], run: 65_536 } as const;
