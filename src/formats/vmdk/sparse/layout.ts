// VMware "Virtual Disk Format 5.0" (2011): sections "Hosted Sparse Extents", "ESXi Host Sparse Extents", "Stream-Optimized Compressed Sparse Extents".
// Offsets and sizes in headers and tables are sectors of 512 bytes unless said otherwise. seSparse has no public specification: QEMU, block/vmdk.c.
import { big64, bytes, struct, u8, u16, u32, u64 } from "../../../util/struct.js";

export const SECTOR = 512;

export const HOSTED_MAGIC = "KDMV";
/** VMware's tools write the header so until everything else is on the disk (open-vmdk, sparse.c). */
export const UNFINISHED_MAGIC = "kdmv";
export const COWD_MAGIC = "COWD";

/** `SparseExtentHeader`. */
export const hostedHeader = struct("sparse extent header", "little", 512, {
  magic: [0, bytes(4)],
  version: [4, u32],
  flags: [8, u32],
  capacity: [12, u64],
  grainSize: [20, u64],
  descriptorOffset: [28, u64],
  descriptorSize: [36, u64],
  numGTEsPerGT: [44, u32],
  rgdOffset: [48, big64],
  gdOffset: [56, big64],
  overHead: [64, u64],
  uncleanShutdown: [72, u8],
  /** Line ends as four fields of the specification; a copy in text mode changes them. */
  lineEnds: [73, bytes(4)],
  compressAlgorithm: [77, u16],
});

export const LINE_ENDS = [0x0a, 0x20, 0x0d, 0x0a] as const;

/** `gdOffset` of a header whose footer tells where the directory is. */
export const GD_AT_END = 2n ** 64n - 1n;

export const hostedFlags = {
  lineEndTest: 1 << 0,
  redundantTables: 1 << 1,
  zeroedGrains: 1 << 2,
  compressed: 1 << 16,
  markers: 1 << 17,
  /** Bits that a reader may not pass over (open-vmdk, vmware_vmdk.h). */
  incompatible: 0xffff_0000,
} as const;

export const compression = { none: 0, deflate: 1 } as const;

/** A grain table entry, and a directory entry, where zeroed grains are switched on. */
export const ZEROED = 1;

/** What a metadata marker has in its sector; a grain marker is only the first 12 bytes, its data follows at once. */
export const marker = struct("marker", "little", 16, {
  /** Grain: the sector of the disk. Metadata: how many sectors follow the marker's. */
  value: [0, big64],
  /** Bytes of compressed data; 0: metadata. */
  size: [8, u32],
  type: [12, u32],
});
export const GRAIN_MARKER_SIZE = 12;
/** What stands before a compressed grain where there are no markers: its size alone (open-vmdk, sparse.c). */
export const GRAIN_SIZE_PREFIX = 4;

/** 4 is not in the specification; VMware calls it progress. */
export const markerTypes = { endOfStream: 0, grainTable: 1, grainDirectory: 2, footer: 3, progress: 4 } as const;

/** `COWDisk_Header`. */
export const cowdHeader = struct("COWD header", "little", 2048, {
  magic: [0, bytes(4)],
  version: [4, u32],
  flags: [8, u32],
  numSectors: [12, u32],
  grainSize: [16, u32],
  gdOffset: [20, u32],
  numGDEntries: [24, u32],
  freeSector: [28, u32],
  savedGeneration: [1636, u32],
  uncleanShutdown: [1648, u32],
});
export const COWD_TABLE_ENTRIES = 4096;

/** seSparse: what never changes. */
export const seConstHeader = struct("seSparse header", "little", 512, {
  magic: [0, big64],
  version: [8, big64],
  capacity: [16, u64],
  grainSize: [24, u64],
  grainTableSize: [32, u64],
  flags: [40, big64],
  reserved: [48, bytes(32)],
  volatileHeaderOffset: [80, u64],
  volatileHeaderSize: [88, u64],
  journalHeaderOffset: [96, u64],
  journalHeaderSize: [104, u64],
  journalOffset: [112, u64],
  journalSize: [120, u64],
  grainDirectoryOffset: [128, u64],
  grainDirectorySize: [136, u64],
  grainTablesOffset: [144, u64],
  grainTablesSize: [152, u64],
  freeBitmapOffset: [160, u64],
  freeBitmapSize: [168, u64],
  backmapOffset: [176, u64],
  backmapSize: [184, u64],
  grainsOffset: [192, u64],
  grainsSize: [200, u64],
  padding: [208, bytes(304)],
});
export const seVolatileHeader = struct("seSparse volatile header", "little", 512, {
  magic: [0, big64],
  freeTableNumber: [8, big64],
  nextSequenceNumber: [16, big64],
  replayJournal: [24, big64],
  padding: [32, bytes(480)],
});
export const SE_CONST_MAGIC = 0xcafebaben;
export const SE_VOLATILE_MAGIC = 0xcafecafen;
export const SE_VERSION = 0x2_0000_0001n;
/** Sectors; no other sizes have been seen. */
export const SE_GRAIN = 8;
export const SE_TABLE = 64;

/** Larger files exist nowhere, and a table has to fit in memory. */
export const limits = {
  /** 1 GiB, as in QEMU. */
  grainSectors: 2 ** 21,
  /** 32 MiB: such a grain is decoded as a whole. */
  packedGrainSectors: 2 ** 16,
  tableEntries: 2 ** 20,
  directoryEntries: 2 ** 25,
  descriptorBytes: 2 ** 20,
  /** How far back from the end of the file a footer is looked for, behind zeros. */
  paddingBytes: 16 * 2 ** 20,
  /** Entries of grain tables that are made by scanning a stream: 2 TiB in grains of 64 KiB, 128 MiB of memory. */
  scannedEntries: 2 ** 25,
  /** Memory for grain tables, per extent: with grains of 64 KiB they map 128 GiB. */
  cachedTableBytes: 8 * 2 ** 20,
} as const;
