// Android's sparse image. Reference: libsparse/sparse_format.h of the Android sources (platform/system/core), whose names these are. Little-endian.
import { struct, u16, u32 } from "../../util/struct.js";

export const MAGIC = 0xed26ff3a;
export const MAJOR_VERSION = 1;

export const header = struct("sparse header", "little", 28, {
  magic: [0, u32],
  majorVersion: [4, u16],
  minorVersion: [6, u16],
  fileHeaderSize: [8, u16],
  chunkHeaderSize: [10, u16],
  blockSize: [12, u32],
  /** Of the disk. */
  totalBlocks: [16, u32],
  totalChunks: [20, u32],
  /** CRC-32 of the disk; 0 if there is none. */
  imageChecksum: [24, u32],
});

export const chunkHeader = struct("chunk header", "little", 12, {
  type: [0, u16],
  /** Blocks of the disk. */
  blocks: [4, u32],
  /** Bytes of the chunk in the file, with its header. */
  totalSize: [8, u32],
});

export const chunkTypes = { raw: 0xcac1, fill: 0xcac2, skip: 0xcac3, crc32: 0xcac4 } as const;
