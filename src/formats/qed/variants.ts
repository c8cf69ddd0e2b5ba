import type { Variant } from "../driver.js";

export const qedVariants: readonly Variant[] = [
  {
    name: "clusters of 4 KiB to 64 MiB, tables of 1 to 16 clusters",
    support: "read",
    proof: "formats/qed.test.ts: clusters of %i bytes, tables of %i",
  },
  { name: "zero clusters", support: "read", proof: "formats/qed.test.ts: a zero cluster hides the backing file" },
  { name: "backing file of any format, chains", support: "read", proof: "formats/qed.test.ts: chains over raw and qed images" },
  { name: "backing file that is raw by the no-probe bit", support: "read", proof: "formats/qed.test.ts: the backing file is %s" },
  {
    name: "not closed properly (need-check bit)",
    support: "read",
    proof: "formats/qed.test.ts: an image that needs a check is read, and says so",
    remark: "Told by info.",
  },
  { name: "unknown incompatible features", support: "refused", proof: "formats/qed.test.ts: refused: %s" },
];
