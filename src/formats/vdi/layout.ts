// VirtualBox Disk Image. Its only document is the code that reads it: src/VBox/Storage/VDICore.h and VDI.cpp in the VirtualBox sources.
// Positions are from the start of the file: the pre-header takes the first 72 bytes.
import { ascii, bytes, struct, u32, u64 } from "../../util/struct.js";

export const MAGIC = 0xbeda107f;

/** `VDIPREHEADER`. The 64 bytes of text before the signature are another ones for every product and mean nothing. */
export const preHeader = struct("VDI pre-header", "little", 72, {
  signature: [64, u32],
  /** Major version in the high half, minor in the low. */
  version: [68, u32],
});

/** `VDIHEADER0`, of versions 0.x. The block map follows at once, and the data follow the block map. */
export const header0 = struct("VDI header of version 0", "little", 420, {
  type: [72, u32],
  flags: [76, u32],
  comment: [80, ascii(256)],
  cylinders: [336, u32],
  heads: [340, u32],
  sectors: [344, u32],
  sectorSize: [348, u32],
  diskSize: [352, u64],
  blockSize: [360, u32],
  blockCount: [364, u32],
  blocksAllocated: [368, u32],
  id: [372, bytes(16)],
  modification: [388, bytes(16)],
  parentId: [404, bytes(16)],
});

/** `VDIHEADER1`, of versions 1.x; 384 bytes behind the pre-header. `headerSize` counts without the pre-header. */
export const header1 = struct("VDI header", "little", 456, {
  headerSize: [72, u32],
  type: [76, u32],
  flags: [80, u32],
  comment: [84, ascii(256)],
  tablePosition: [340, u32],
  dataPosition: [344, u32],
  cylinders: [348, u32],
  heads: [352, u32],
  sectors: [356, u32],
  sectorSize: [360, u32],
  diskSize: [368, u64],
  blockSize: [376, u32],
  /** Bytes of the writer's own before the data of every block. */
  blockExtra: [380, u32],
  blockCount: [384, u32],
  blocksAllocated: [388, u32],
  id: [392, bytes(16)],
  modification: [408, bytes(16)],
  parentId: [424, bytes(16)],
  parentModification: [440, bytes(16)],
});

/** What `VDIHEADER1PLUS` adds: the geometry of the BIOS. */
export const header1plus = struct("VDI header of version 1.1 plus", "little", 472, {
  cylinders: [456, u32],
  heads: [460, u32],
  sectors: [464, u32],
  sectorSize: [468, u32],
});

/** Bytes of the headers without the pre-header, as `headerSize` has them. */
export const headerSizes = { v1: 384, v1plus: 400 } as const;

/** `VDI_IMAGE_TYPE_*`. */
export const types = { normal: 1, fixed: 2, undo: 3, difference: 4 } as const;

/** `VD_VDI_IMAGE_FLAGS_MASK`, eight bits lower: bit 0 lets a new block be filled with zeros, bits 8 and 9 repeat the type. */
export const KNOWN_FLAGS = 0x301;

/** Entries of the block map that name no block. */
export const blockMap = { free: 0xffffffff, zero: 0xfffffffe } as const;
