// Parallels expandable image. Reference: docs/interop/parallels.rst in the QEMU sources.
import { ascii, struct, u32 } from "../../util/struct.js";

/** What the entries of the block allocation table count, by signature. */
export const signatures = { WithoutFreeSpace: "sectors", WithouFreSpacExt: "clusters" } as const;
export type Signature = keyof typeof signatures;

export const SECTOR = 512;
export const VERSION = 2;

/** Section "Header". */
export const header = struct("Parallels header", "little", 64, {
  magic: [0, ascii(16)],
  version: [16, u32],
  heads: [20, u32],
  cylinders: [24, u32],
  /** Of a cluster, in sectors. */
  tracks: [28, u32],
  batEntries: [32, u32],
  /** Of the disk; "WithoutFreeSpace" images use the low half only. */
  sectorsLow: [36, u32],
  sectorsHigh: [40, u32],
  inUse: [44, u32],
  dataOffset: [48, u32],
  flags: [52, u32],
  extensionLow: [56, u32],
  extensionHigh: [60, u32],
});

/** `inUse` while a program has the image open for writing. */
export const IN_USE = 0x746f6e59;
/** Bit of `flags`: nothing is stored in the image. */
export const EMPTY_IMAGE = 1;

/** QEMU's limit of `tracks`, so that a cluster stays below 2 GiB. */
export const MOST_TRACKS = Math.floor((2 ** 31 - 1) / 513);
