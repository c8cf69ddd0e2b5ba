// Microsoft's Virtual Hard Disk version 2 (VHDX). Reference: [MS-VHDX], revision 8.0; section numbers and names are that document's.
import { ascii, big64, bytes, struct, u16, u32, u64 } from "../../util/struct.js";

const KIB = 1024;
export const MIB = 2 ** 20;

/** 2.2.1. `creator` is UTF-16, ended by a NUL. */
export const fileIdentifier = struct("VHDX file type identifier", "little", 520, { signature: [0, ascii(8)], creator: [8, bytes(512)] });
export const FILE_SIGNATURE = "vhdxfile";

/** 2.2.2. The two copies stand at these positions; the checksum is over `HEADER_SIZE` bytes. */
export const headerPositions = [64 * KIB, 128 * KIB] as const;
export const HEADER_SIZE = 4 * KIB;
export const header = struct("VHDX header", "little", 80, {
  signature: [0, ascii(4)],
  checksum: [4, u32],
  // Writers may begin anywhere in 64 bits.
  sequenceNumber: [8, big64],
  fileWriteGuid: [16, bytes(16)],
  dataWriteGuid: [32, bytes(16)],
  logGuid: [48, bytes(16)],
  logVersion: [64, u16],
  version: [66, u16],
  logLength: [68, u32],
  logOffset: [72, u64],
});

/** 2.2.3. Nothing but headers and region tables stands before `HEADER_SECTION`. */
export const HEADER_SECTION = 1024 * KIB;
export const regionTablePositions = [192 * KIB, 256 * KIB] as const;
export const REGION_TABLE_SIZE = 64 * KIB;
export const regionTable = struct("VHDX region table", "little", 16, {
  signature: [0, ascii(4)],
  checksum: [4, u32],
  entryCount: [8, u32],
});
export const regionEntry = struct("VHDX region table entry", "little", 32, {
  guid: [0, bytes(16)],
  fileOffset: [16, u64],
  length: [24, u32],
  required: [28, u32],
});
export const regionGuids = { bat: "2DC27766-F623-4200-9D64-115E9BFD4A08", metadata: "8B7CA206-4790-4B9A-B8FE-575F050F886E" } as const;

/** 2.3.1. The log is a ring of sectors; an entry begins with descriptor sectors, and data sectors follow. */
export const LOG_SECTOR = 4 * KIB;
export const logEntry = struct("VHDX log entry", "little", 64, {
  signature: [0, ascii(4)],
  checksum: [4, u32],
  entryLength: [8, u32],
  tail: [12, u32],
  sequenceNumber: [16, big64],
  descriptorCount: [24, u32],
  logGuid: [32, bytes(16)],
  flushedFileOffset: [48, big64],
  lastFileOffset: [56, big64],
});
/** 2.3.1.2 and 2.3.1.3; the signature tells which it is. */
export const zeroDescriptor = struct("VHDX log zero descriptor", "little", 32, {
  signature: [0, ascii(4)],
  zeroLength: [8, big64],
  fileOffset: [16, big64],
  sequenceNumber: [24, big64],
});
export const dataDescriptor = struct("VHDX log data descriptor", "little", 32, {
  signature: [0, ascii(4)],
  trailingBytes: [4, bytes(4)],
  leadingBytes: [8, bytes(8)],
  fileOffset: [16, big64],
  sequenceNumber: [24, big64],
});
export const LOG_DESCRIPTOR = 32;
/** 2.3.1.4. What the descriptor does not hold stands between the two halves of the sequence number. */
export const logDataSector = struct("VHDX log data sector", "little", LOG_SECTOR, {
  signature: [0, ascii(4)],
  sequenceHigh: [4, u32],
  data: [8, bytes(4084)],
  sequenceLow: [4092, u32],
});

/** 2.5.1.1, and what revisions before 1.0 called unmapped. */
export const payloadStates = {
  notPresent: 0,
  undefined: 1,
  zero: 2,
  unmapped: 3,
  unmappedBefore1: 5,
  fullyPresent: 6,
  partiallyPresent: 7,
} as const;
/** 2.5.1.2. */
export const BITMAP_PRESENT = 6;
/** 2.4. Sectors that one sector bitmap block tells of, one bit each. */
export const CHUNK_SECTORS = 2 ** 23;

/** 2.6.1. Items follow the table, which takes `METADATA_TABLE_SIZE` bytes. */
export const METADATA_TABLE_SIZE = 64 * KIB;
export const METADATA_SIGNATURE = "metadata";
export const metadataTable = struct("VHDX metadata table", "little", 32, { signature: [0, ascii(8)], entryCount: [10, u16] });
export const metadataEntry = struct("VHDX metadata table entry", "little", 32, {
  itemId: [0, bytes(16)],
  offset: [16, u32],
  length: [20, u32],
  flags: [24, u32],
});
export const itemFlags = { isUser: 1, isVirtualDisk: 2, isRequired: 4 } as const;
export const itemGuids = {
  fileParameters: "CAA16737-FA36-4D43-B3B6-33F0AA44E76B",
  virtualDiskSize: "2FA54224-CD1B-4876-B211-5DBED83BF4B8",
  virtualDiskId: "BECA12AB-B2E6-4523-93EF-C309E000C746",
  logicalSectorSize: "8141BF1D-A96F-4709-BA47-F233A8FAAB5F",
  physicalSectorSize: "CDA348C7-445D-4471-9CC9-E9885251C556",
  parentLocator: "A8D35F2D-B30B-454D-ABF7-D3D84834AB0C",
} as const;

/** 2.6.2.1 to 2.6.2.5. */
export const fileParameters = struct("VHDX file parameters", "little", 8, { blockSize: [0, u32], flags: [4, u32] });
export const parameterFlags = { leaveBlockAllocated: 1, hasParent: 2 } as const;
export const virtualDiskSize = struct("VHDX virtual disk size", "little", 8, { size: [0, u64] });
export const virtualDiskId = struct("VHDX virtual disk id", "little", 16, { id: [0, bytes(16)] });
export const sectorSize = struct("VHDX sector size", "little", 4, { size: [0, u32] });

/** 2.6.2.6. Offsets are from the start of the locator. */
export const locatorHeader = struct("VHDX parent locator", "little", 20, { locatorType: [0, bytes(16)], keyValueCount: [18, u16] });
export const locatorEntry = struct("VHDX parent locator entry", "little", 12, {
  keyOffset: [0, u32],
  valueOffset: [4, u32],
  keyLength: [8, u16],
  valueLength: [10, u16],
});
export const VHDX_LOCATOR = "B04AEFB7-D19E-4A81-B789-25B8E9445913";

export const limits = {
  /** Of a region or metadata table. */
  entries: 2047,
  blockSize: [MIB, 256 * MIB],
  /** Bytes of the virtual disk: 64 TiB. */
  diskSize: 64 * 2 ** 40,
  /** Bytes of one metadata item. */
  itemLength: MIB,
  /** Bytes of a log that has to be replayed; ours, since it is kept in memory. Hyper-V and QEMU make logs of 1 MiB. */
  logLength: 64 * MIB,
} as const;
