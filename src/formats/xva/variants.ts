import type { Variant } from "../driver.js";

export const xvaVariants: readonly Variant[] = [
  {
    name: "chunks with SHA-1 (.checksum) or xxHash (.xxhash) members",
    support: "read",
    proof: "formats/xva.test.ts: tar lists what the builder makes",
  },
  {
    name: "chunks left out, which are zeros",
    support: "read",
    proof: "formats/xva.test.ts: chunks left out are zeros, others are where they are",
  },
  {
    name: "empty chunks, which shift the numbers behind them",
    support: "read",
    proof: "formats/xva.test.ts: an empty chunk takes a number and no place",
  },
  {
    name: "several disks, chosen by reference or name (--disk)",
    support: "read",
    proof: "formats/xva.test.ts: one of several disks is chosen by its reference or its name",
  },
  { name: "names and sizes in pax and GNU headers", support: "read", proof: "formats/xva.test.ts: what tar writes: %s" },
  {
    name: "cut",
    support: "read",
    proof: "formats/xva.test.ts: the end of a cut archive is damaged, not zeros",
    remark: "Reading the lost part fails, the rest is read.",
  },
];
