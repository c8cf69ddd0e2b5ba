// Compressed loop images. References: cloop.h and cloop.c of the cloop kernel module 4 (github.com/KlausKnopper/cloop), block/cloop.c of the QEMU sources; for
// FreeBSD's images under the same signature, sys/geom/uzip/g_uzip.c there. Big-endian.
import { ascii, struct, u32 } from "../../util/struct.js";

/** A shell script that would mount the image, and behind it the numbers. At the start of the file, or at its end, behind the table. */
export const header = struct("cloop header", "big", 136, {
  /** `#!/bin/sh`, `#V2.0 Format`. */
  script: [0, ascii(128)],
  blockSize: [128, u32],
  blockCount: [132, u32],
});

export const SIGNATURE = /^#!\/bin\/sh\n#([A-Z]\d\.\d)/;
/** What each signature means; those with `refused` are known and not read. */
export const versions: Readonly<Record<string, { readonly name: string; readonly methods: boolean; readonly refused?: string }>> = {
  "V2.0": { name: "version 2.0", methods: false },
  /** Its table entries tell how each block is stored. */
  "V4.0": { name: "version 4.0", methods: true },
  "V0.6": { name: "version 0.6x", methods: false, refused: "an image of cloop 0.6x, with positions of 32 bits" },
  "V1.0": { name: "version 1.0", methods: false, refused: "an image of cloop 1.0, whose numbers are those of the machine that made it" },
  "L3.0": { name: "uzip LZMA", methods: false, refused: "an image of FreeBSD's mkuzip, compressed with LZMA" },
  "Z4.0": { name: "uzip zstd", methods: false, refused: "an image of FreeBSD's mkuzip, compressed with zstd" },
};

/** FreeBSD's images mount themselves with this; their blocks of zeros take no bytes, and equal blocks may be stored once. */
export const UZIP_MARK = "geom_uzip";

/** How a block is stored, in the upper four bits of its table entry. */
export const methods = ["zlib", "none", "xz", "LZ4", "LZO"] as const;

/** Ours: QEMU's limit of a block; 8 million blocks. */
export const limits = { block: 64 * 2 ** 20, table: 64 * 2 ** 20 } as const;
