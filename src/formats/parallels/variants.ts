import type { Variant } from "../driver.js";

export const parallelsVariants: readonly Variant[] = [
  {
    name: "expandable image, WithoutFreeSpace and WithouFreSpacExt, clusters of any size",
    support: "read",
    proof: "formats/parallels.test.ts: %s, clusters of %i sectors",
  },
  {
    name: "in use, or not closed properly",
    support: "read",
    proof: "formats/parallels.test.ts: in use or not closed properly is told",
    remark: "Told by info. A format extension (dirty bitmaps) does not matter for reading.",
  },
  {
    name: "bundle: a directory with DiskDescriptor.xml",
    support: "read",
    proof: "formats/parallels.test.ts: by the directory, by the descriptor, by one of its images",
  },
  {
    name: "snapshots of a bundle: chains of images",
    support: "read",
    proof: "formats/parallels.test.ts: an absent cluster is the parent image's",
  },
  { name: "one snapshot of a bundle (--snapshot)", support: "read", proof: "formats/parallels.test.ts: snapshot %s" },
  {
    name: "split bundle: several storages, plain and expandable",
    support: "read",
    proof: "formats/parallels.test.ts: split into storages, %s",
  },
  {
    name: "sectors of 4096 bytes",
    support: "read",
    proof: "formats/parallels.test.ts: sectors of 4096 bytes are told, positions stay in sectors of 512",
  },
  {
    name: "one image of a bundle without the descriptor",
    support: "refused",
    proof: "formats/parallels.test.ts: an image of a bundle alone is refused: it may be a difference",
    remark: "With --format parallels it is shown alone.",
  },
  { name: "encrypted disk, disk with padding", support: "refused", proof: "formats/parallels.test.ts: refused: %s" },
];
