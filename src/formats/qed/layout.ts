// QEMU Enhanced Disk. Reference: docs/interop/qed_spec.rst in the QEMU sources.
import { big64, struct, u32, u64 } from "../../util/struct.js";

export const MAGIC = 0x00444551; // "QED\0", read as little-endian

/** Section "Header". */
export const header = struct("QED header", "little", 64, {
  magic: [0, u32],
  clusterSize: [4, u32],
  /** Of an L1 or L2 table, in clusters. */
  tableSize: [8, u32],
  /** In clusters. */
  headerSize: [12, u32],
  features: [16, big64],
  compatFeatures: [24, big64],
  autoclearFeatures: [32, big64],
  l1TableOffset: [40, u64],
  imageSize: [48, u64],
  backingFilenameOffset: [56, u32],
  backingFilenameSize: [60, u32],
});

/** Section "Feature bits", by number. */
export const features = { backingFile: 0, needCheck: 1, backingFormatNoProbe: 2 } as const;

/** Section "Data cluster offsets". */
export const offsets = { unallocated: 0, zero: 1 } as const;

/** Section "Field descriptions"; the name's limit is QEMU's. */
export const limits = {
  clusterSize: [2 ** 12, 2 ** 26],
  tableSize: [1, 16],
  backingName: 1023,
} as const;
