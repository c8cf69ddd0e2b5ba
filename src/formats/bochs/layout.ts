// Bochs redolog. It has no document of its own; reference: iodev/hdimage/hdimage.h and hdimage.cc in the Bochs sources, `redolog_t`.
import { ascii, struct, u32, u64 } from "../../util/struct.js";

export const MAGIC = "Bochs Virtual HD Image";
export const TYPE = "Redolog";
/** Growing images are complete; the others hold what was written over a base image. */
export const subtypes = ["Growing", "Undoable", "Volatile"] as const;
export type Subtype = (typeof subtypes)[number];

export const SECTOR = 512;
/** Entry of the catalog: no extent. */
export const NOT_ALLOCATED = 0xffffffff;
export const versions = { v1: 0x10000, v2: 0x20000 } as const;

/** The header takes a sector; the catalog follows at once, then the extents, each behind its bitmap. */
export const header = struct("Bochs header", "little", 512, {
  magic: [0, ascii(32)],
  type: [32, ascii(16)],
  subtype: [48, ascii(16)],
  version: [64, u32],
  headerSize: [68, u32],
  /** Entries of it. */
  catalog: [72, u32],
  /** Bytes that are used of an extent's bitmap. */
  bitmap: [76, u32],
  /** Bytes of an extent. */
  extent: [80, u32],
  /** Version 2: when the base image was changed last, in the FAT's way. */
  timestamp: [84, u32],
  disk: [88, u64],
});

/** Version 1 has no timestamp. */
export const headerV1 = struct("Bochs header of version 1", "little", 512, { disk: [84, u64] });

/** Bochs makes extents of 32 MiB for a disk of 64 TiB. */
export const EXTENT_LIMIT = 2 ** 30;
