// Apple's Universal Disk Image Format. Apple has published no document; reference: libyal's documentation of libmodi, "Universal Disk Image Format (UDIF)
// data format", whose names these are. All numbers are big-endian.
import { ascii, bytes, struct, u16, u32, u64 } from "../../util/struct.js";

export const SECTOR = 512;

export const SIGNATURE = "koly";
export const VERSION = 4;

/** The footer; at the start of some old files. Positions are from the start of the file. */
export const footer = struct("UDIF footer", "big", 512, {
  signature: [0, ascii(4)],
  version: [4, u32],
  size: [8, u32],
  flags: [12, u32],
  segmentLogicalOffset: [16, u64],
  dataForkPosition: [24, u64],
  dataForkSize: [32, u64],
  resourceForkPosition: [40, u64],
  resourceForkSize: [48, u64],
  segmentNumber: [56, u32],
  segmentCount: [60, u32],
  segmentSetId: [64, bytes(16)],
  plistPosition: [216, u64],
  plistSize: [224, u64],
  imageType: [488, u32],
  sectorCount: [492, u64],
});

/** Where the encryption layers say so: version 2 in the first bytes, version 1 in the last. */
export const encrypted = { head: "encrcdsa", tail: "cdsaencr" } as const;

export const TABLE_SIGNATURE = "mish";

/** A block table (`blkx`), which maps one partition or the whole disk. */
export const blockTable = struct("block table", "big", 204, {
  signature: [0, ascii(4)],
  version: [4, u32],
  firstSector: [8, u64],
  sectorCount: [16, u64],
  /** From the start of the data fork. */
  dataOffset: [24, u64],
  entryCount: [200, u32],
});

/** An entry of it. Its sectors count from `firstSector`, its data from `dataOffset`. */
export const tableEntry = struct("block table entry", "big", 40, {
  type: [0, u32],
  sector: [8, u64],
  sectorCount: [16, u64],
  dataOffset: [24, u64],
  dataSize: [32, u64],
});

export const entryTypes = {
  zero: 0,
  raw: 1,
  ignore: 2,
  comment: 0x7ffffffe,
  adc: 0x80000004,
  zlib: 0x80000005,
  bzip2: 0x80000006,
  lzfse: 0x80000007,
  lzma: 0x80000008,
  end: 0xffffffff,
} as const;

/** The resource fork as the classic Mac OS has it: "Inside Macintosh: More Macintosh Toolbox", chapter "Resource Manager Reference". */
export const resourceHeader = struct("resource header", "big", 16, {
  dataOffset: [0, u32],
  mapOffset: [4, u32],
  dataSize: [8, u32],
  mapSize: [12, u32],
});

export const resourceMap = struct("resource map", "big", 28, {
  /** From the start of the map. */
  typesOffset: [24, u16],
  namesOffset: [26, u16],
});

export const resourceType = struct("resource type", "big", 8, {
  type: [0, ascii(4)],
  /** One less than there are. */
  lastReference: [4, u16],
  /** From the start of the list of types. */
  referencesOffset: [6, u16],
});

export const resourceReference = struct("resource reference", "big", 12, {
  id: [0, u16],
  nameOffset: [2, u16],
  /** In the low 24 bits, from the start of the resource data. */
  dataOffset: [4, u32],
});

/** Ours; QEMU takes 16 MiB of property list and the same size of chunks. */
export const limits = {
  plist: 64 * 2 ** 20,
  /** All that a resource fork can address. */
  resourceFork: 2 ** 24,
  /** Decoded bytes of one chunk. */
  chunk: 64 * 2 ** 20,
} as const;
