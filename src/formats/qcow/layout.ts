// QEMU's qcow, version 1. It has no document of its own; reference: block/qcow.c in the QEMU sources, `QCowHeader` and `qcow_open`.
import { struct, u8, u32, u64 } from "../../util/struct.js";

export const MAGIC = 0x514649fb; // "QFI\xfb"
export const VERSION = 1;

export const header = struct("qcow header", "big", 48, {
  magic: [0, u32],
  version: [4, u32],
  backingFileOffset: [8, u64],
  backingFileSize: [16, u32],
  /** Of the backing file, when this image was made. QEMU has never checked it. */
  mtime: [20, u32],
  size: [24, u64],
  clusterBits: [32, u8],
  /** Entries of an L2 table are 2^l2Bits, whatever the cluster size. */
  l2Bits: [33, u8],
  cryptMethod: [36, u32],
  l1TableOffset: [40, u64],
});

export const CRYPT_METHOD_POSITION = 36;
export const cryptMethods = { none: 0, aes: 1 } as const;

/** QEMU's limits, but for the L1 table, which QEMU bounds at 2 GiB: 32 MiB map 8 TiB with QEMU's own cluster size. */
export const limits = {
  clusterBits: [9, 16],
  l2Bits: [6, 13],
  l1Bytes: 32 * 2 ** 20,
  backingName: 1023,
} as const;
