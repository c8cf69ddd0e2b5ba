import type { Variant } from "../driver.js";

export const vmaVariants: readonly Variant[] = [
  {
    name: "version 1, clusters in any order, zero blocks left out",
    support: "read",
    proof: "formats/vma.test.ts: blocks that are not stored are zeros, others are where they are",
  },
  {
    name: "several disks, chosen by name (--disk)",
    support: "read",
    proof: "formats/vma.test.ts: one of several disks is chosen by its name: %s",
  },
  {
    name: "with the state of the running machine",
    support: "read",
    proof: "formats/vma.test.ts: the state of the machine is no disk",
    remark: "The state is passed over.",
  },
  {
    name: "cut, or with a damaged extent",
    support: "read",
    proof: "formats/vma.test.ts: clusters of a damaged extent are damaged, those of the next one are read: %s",
    remark: "Reading the lost clusters fails, the rest is read.",
  },
  { name: "other versions", support: "refused", proof: "formats/vma.test.ts: what cannot be read: %s" },
];
