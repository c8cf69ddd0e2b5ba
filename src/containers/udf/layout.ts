// ECMA-167, 3rd edition, parts 3 and 4 (in comments by part and clause), and OSTA UDF 2.60 for what it adds. All little-endian.
// The second edition, of UDF 1.02 and 1.50, has the same places and no extended file entries.
import { bytes, type FieldType, struct, u16, u32, u64, u8 } from "../../util/struct.js";

/** 3/7.2.1 and 4/7.2.1: what a descriptor is. */
export const tags = {
  primary: 1,
  anchor: 2,
  pointer: 3,
  partition: 5,
  logicalVolume: 6,
  terminating: 8,
  integrity: 9,
  fileSet: 256,
  fileIdentifier: 257,
  allocationExtent: 258,
  indirectEntry: 259,
  fileEntry: 261,
  extendedFileEntry: 266,
} as const;

/** 3/7.1: sectors of the volume. */
export interface SectorExtent {
  /** Bytes. */
  readonly length: number;
  readonly sector: number;
}

/** 4/7.1: a logical block of the logical volume. */
export interface Address {
  /** Index of a partition map. */
  readonly partition: number;
  readonly block: number;
}

/** 4/14.14.2: blocks that follow each other. */
export interface LongAd extends Address {
  /** Bytes, without the type in the two high bits. */
  readonly length: number;
}

export const EXTENT_LENGTH = 0x3fffffff;

const sectorExtent: FieldType<SectorExtent> = {
  size: 8,
  get: (view, at, little) => ({ length: view.getUint32(at, little) & EXTENT_LENGTH, sector: view.getUint32(at + 4, little) }),
};

const longAd: FieldType<LongAd> = {
  size: 16,
  get: (view, at, little) => ({
    length: view.getUint32(at, little) & EXTENT_LENGTH,
    block: view.getUint32(at + 4, little),
    partition: view.getUint16(at + 8, little),
  }),
};

/** 1/7.3: milliseconds since 1970; undefined for what is no date. A zone of −2047 is none: taken as that of Greenwich. */
const timestamp: FieldType<number | undefined> = {
  size: 12,
  get(view, at, little) {
    const zone = (view.getUint16(at, little) << 20) >> 20;
    const year = view.getInt16(at + 2, little);
    const month = view.getUint8(at + 4);
    const day = view.getUint8(at + 5);
    if (year < 100 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31) return undefined;
    const time = Date.UTC(
      year,
      month - 1,
      day,
      view.getUint8(at + 6),
      view.getUint8(at + 7),
      view.getUint8(at + 8),
      view.getUint8(at + 9) * 10 + Math.floor(view.getUint8(at + 10) / 10),
    );
    return time - (Math.abs(zone) <= 1440 ? zone : 0) * 60_000;
  },
};

/** 3/10.2 */
export const anchor = struct("anchor volume descriptor pointer", "little", 512, {
  location: [12, u32],
  main: [16, sectorExtent],
  reserve: [24, sectorExtent],
});

/** 3/10.3 */
export const pointer = struct("volume descriptor pointer", "little", 512, { sequence: [16, u32], next: [20, sectorExtent] });

/** 3/10.1 */
export const primary = struct("primary volume descriptor", "little", 512, { sequence: [16, u32], volume: [56, u16] });

/** 3/10.5 */
export const partition = struct("partition descriptor", "little", 512, {
  sequence: [16, u32],
  number: [22, u16],
  access: [184, u32],
  start: [188, u32],
  length: [192, u32],
});

/** 3/10.6. The partition maps follow. */
export const logicalVolume = struct("logical volume descriptor", "little", 440, {
  sequence: [16, u32],
  label: [84, bytes(128)],
  blockSize: [212, u32],
  /** UDF 2.1.5.3: binary-coded decimal. */
  revision: [240, u16],
  fileSet: [248, longAd],
  mapsLength: [264, u32],
  mapCount: [268, u32],
  integrity: [432, sectorExtent],
});

/** 3/10.10. Two 32-bit numbers for each partition follow, and then what UDF 2.2.6.4 adds. */
export const integrity = struct("logical volume integrity descriptor", "little", 80, {
  kind: [28, u32],
  next: [32, sectorExtent],
  partitions: [72, u32],
  implementationLength: [76, u32],
});

/** UDF 2.2.6.4 */
export const integrityUse = struct("logical volume integrity", "little", 46, {
  files: [32, u32],
  directories: [36, u32],
  readRevision: [40, u16],
});

/** 4/14.1 */
export const fileSet = struct("file set descriptor", "little", 512, {
  number: [40, u32],
  descriptorNumber: [44, u32],
  root: [400, longAd],
  next: [448, longAd],
});

/** 4/14.6, behind the tag of every entry. */
const icb = {
  strategy: [20, u16],
  fileType: [27, u8],
  flags: [34, u16],
} as const;

/** 4/14.9. Extended attributes and allocation descriptors follow. */
export const fileEntry = struct("file entry", "little", 176, {
  ...icb,
  uid: [36, u32],
  gid: [40, u32],
  permissions: [44, u32],
  links: [48, u16],
  size: [56, u64],
  modified: [84, timestamp],
  attributesLength: [168, u32],
  allocationLength: [172, u32],
});

/** 4/14.17 */
export const extendedFileEntry = struct("extended file entry", "little", 216, {
  ...icb,
  uid: [36, u32],
  gid: [40, u32],
  permissions: [44, u32],
  links: [48, u16],
  size: [56, u64],
  modified: [92, timestamp],
  streams: [152, longAd],
  attributesLength: [208, u32],
  allocationLength: [212, u32],
});

/** 4/14.7 */
export const indirectEntry = struct("indirect entry", "little", 52, { ...icb, next: [36, longAd] });

/** 4/14.4. Implementation use and the name follow. */
export const fileIdentifier = struct("file identifier descriptor", "little", 38, {
  characteristics: [18, u8],
  nameLength: [19, u8],
  icb: [20, longAd],
  implementationLength: [36, u16],
});

/** 4/14.5. Allocation descriptors follow. */
export const allocationExtent = struct("allocation extent descriptor", "little", 24, { length: [20, u32] });

/** 4/14.4.3 */
export const characteristics = { hidden: 1, directory: 2, deleted: 4, parent: 8, metadata: 16 } as const;

/** 4/14.6.6, and UDF 2.2.11 and 2.2.13 for those over 240. */
export const fileTypes = {
  unspecified: 0,
  directory: 4,
  blockDevice: 6,
  characterDevice: 7,
  fifo: 9,
  socket: 10,
  symlink: 12,
  streamDirectory: 13,
  vat: 248,
  metadata: 250,
  metadataMirror: 251,
} as const;
