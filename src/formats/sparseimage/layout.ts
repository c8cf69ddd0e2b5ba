// Apple's sparse disk image (UDSP). It has no specification; references: documentation/Mac OS disk image types.asciidoc in the libmodi sources, which knows the first
// node, and for the nodes behind it plugins/helpers/apple_sparse_image.py in the mac_apt sources. Big-endian.
import { ascii, struct, u32, u64 } from "../../util/struct.js";

export const SIGNATURE = "sprs";
export const NODE_SIZE = 4096;
export const SECTOR = 512;

/** The first node, at the start of the file. Behind it a number for each band that follows the node: which band of the disk that is, counted from 1; 0 for none. */
export const header = struct("sparse image header", "big", 64, {
  signature: [0, ascii(4)],
  version: [4, u32],
  sectorsPerBand: [8, u32],
  flags: [12, u32],
  /** The lower half of `sectors`, and all there is in old ones. */
  lowSectors: [16, u32],
  /** Where the next node stands; 0 if there is none. */
  next: [20, u64],
  sectors: [28, u64],
});

/** Later nodes stand behind the bands of the one before. */
export const indexNode = struct("sparse image node", "big", 56, {
  signature: [0, ascii(4)],
  number: [4, u32],
  flags: [8, u32],
  next: [12, u64],
});

/** Ours: disks of 16 TiB in bands of 1 MiB, and bands of 1 GiB. */
export const limits = { bands: 2 ** 24, sectorsPerBand: 2 ** 21 } as const;
