import type { Variant } from "../driver.js";

const proof = (title: string) => `formats/sparseimage.test.ts: ${title}`;

export const sparseimageVariants: readonly Variant[] = [
  { name: "version 3, bands of any size in any order", support: "read", proof: proof("bands are where the node says, others are zeros") },
  { name: "more bands than one node tells of", support: "read", proof: proof("bands of later nodes stand behind those nodes") },
  { name: "damaged or contradictory nodes", support: "refused", proof: proof("what cannot be read: %s") },
  {
    name: "cut",
    support: "read",
    proof: proof("a band behind the end of the file is damaged, not zeros"),
    remark: "Reading the lost bands fails, the rest is read.",
  },
  { name: "encrypted", support: "refused", proof: "formats/dmg.test.ts: encrypted, %s" },
];
