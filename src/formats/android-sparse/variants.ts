import type { Variant } from "../driver.js";

export const androidSparseVariants: readonly Variant[] = [
  {
    name: "version 1.x, blocks of any multiple of 4 bytes",
    support: "read",
    proof: "formats/android-sparse.test.ts: simg2img reads what the builder makes: %s",
  },
  {
    name: "raw, fill, don't-care and CRC-32 chunks",
    support: "read",
    proof: "formats/android-sparse.test.ts: simg2img reads what the builder makes: %s",
    remark: "Join a disk in several sparse files (super_1.img, super_2.img, …) with simg2img first: each file says that the rest is empty.",
  },
  {
    name: "longer headers than the first version's",
    support: "read",
    proof: "formats/android-sparse.test.ts: longer headers are passed over",
  },
  {
    name: "chunks lost at the end",
    support: "read",
    proof: "formats/android-sparse.test.ts: what follows a chunk that cannot be is damaged: %s",
    remark: "Reading the lost part fails, the rest is read.",
  },
  { name: "other major versions", support: "refused", proof: "formats/android-sparse.test.ts: what cannot be read: %s" },
];
