import type { Variant } from "../driver.js";

export const cloopVariants: readonly Variant[] = [
  { name: "version 2.0, zlib blocks", support: "read", proof: "formats/cloop.test.ts: qemu-img reads what the builder makes: %s" },
  {
    name: "version 4.0, plain, zlib and xz blocks",
    support: "read",
    proof: "formats/cloop.test.ts: blocks of version 4 are stored in their own ways",
  },
  { name: "header and table at the end of the file", support: "read", proof: "formats/cloop.test.ts: the header may be at the end" },
  {
    name: "version 2.0 of FreeBSD's mkuzip (uzip), with blocks of zeros",
    support: "read",
    proof: "formats/cloop.test.ts: an empty block is zeros in FreeBSD's images, and damage in others",
    remark: "Blocks that are stored once for several places cannot be read.",
  },
  {
    name: "version 4.0, LZ4 and LZO blocks",
    support: "refused",
    proof: "formats/cloop.test.ts: a block that cannot be: %s",
    remark: "Reading them fails, the rest is read.",
  },
  {
    name: "versions 0.6x and 1.0; FreeBSD's with LZMA or zstd",
    support: "refused",
    proof: "formats/cloop.test.ts: what cannot be read: %s",
  },
];
