// QEMU's qcow2, versions 2 and 3. Reference: docs/interop/qcow2.rst in the QEMU sources; section names are that document's.
import { ascii, big64, struct, u8, u16, u32, u64 } from "../../util/struct.js";

export const MAGIC = 0x514649fb; // "QFI\xfb"

/** Section "Header", the fields of both versions. */
export const headerV2 = struct("qcow2 header", "big", 72, {
  magic: [0, u32],
  version: [4, u32],
  backingFileOffset: [8, u64],
  backingFileSize: [16, u32],
  clusterBits: [20, u32],
  size: [24, u64],
  cryptMethod: [32, u32],
  l1Size: [36, u32],
  l1TableOffset: [40, u64],
  refcountTableOffset: [48, big64],
  refcountTableClusters: [56, u32],
  snapshotCount: [60, u32],
  snapshotsOffset: [64, big64],
});

export const CRYPT_METHOD_POSITION = 32;
export const cryptMethods = { none: 0, aes: 1, luks: 2 } as const;

/** What version 3 adds. */
export const headerV3 = struct("qcow2 version 3 header", "big", 104, {
  incompatibleFeatures: [72, big64],
  compatibleFeatures: [80, big64],
  autoclearFeatures: [88, big64],
  refcountOrder: [96, u32],
  headerLength: [100, u32],
});

/** Position of the optional field "compression type", one byte. */
export const COMPRESSION_TYPE_POSITION = 104;
export const compressionTypes = { zlib: 0, zstd: 1 } as const;

export const incompatible = { dirty: 0, corrupt: 1, externalDataFile: 2, compressionType: 3, extendedL2: 4 } as const;
export const compatible = { lazyRefcounts: 0 } as const;
export const autoclear = { bitmaps: 0, rawExternalData: 1 } as const;

/** Section "Header extension types". */
export const extensions = {
  end: 0,
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  bitmaps: 0x23852875,
  encryption: 0x0537be77,
  dataFile: 0x44415441,
} as const;

export const extensionHead = struct("qcow2 header extension", "big", 8, { type: [0, u32], length: [4, u32] });

/** Section "Full disk encryption header pointer". In bytes of the file. */
export const encryptionHeader = struct("qcow2 full disk encryption header pointer", "big", 16, { offset: [0, u64], length: [8, u64] });

/** Section "Feature name table". */
export const featureName = struct("qcow2 feature name", "big", 48, { type: [0, u8], bit: [1, u8], name: [2, ascii(46)] });

/** Section "Snapshots", the fixed part of an entry. */
export const snapshotHead = struct("qcow2 snapshot table entry", "big", 40, {
  l1TableOffset: [0, u64],
  l1Size: [8, u32],
  idLength: [12, u16],
  nameLength: [14, u16],
  seconds: [16, u32],
  nanoseconds: [20, u32],
  stateSize: [32, u32],
  extraSize: [36, u32],
});

/** Extra data of a snapshot table entry; mandatory in version 3. */
export const snapshotExtra = struct("qcow2 snapshot extra data", "big", 16, { stateSize: [0, u64], diskSize: [8, u64] });

/** QEMU's limits; larger files exist nowhere, and a table has to fit in memory. */
export const limits = {
  clusterBits: [9, 21],
  l1Bytes: 32 * 2 ** 20,
  backingName: 1023,
  snapshots: 65536,
  snapshotExtra: 1024,
} as const;
