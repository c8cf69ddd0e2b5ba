import type { Variant } from "../driver.js";

const proof = (title: string) => `formats/sparsebundle.test.ts: ${title}`;

export const sparsebundleVariants: readonly Variant[] = [
  {
    name: "version 1, by the directory or its Info.plist",
    support: "read",
    proof: proof("is opened by its directory, its property list, or a copy of that"),
  },
  {
    name: "bands that are missing or shorter than the others: zeros",
    support: "read",
    proof: proof("bands are read from their files, others are zeros"),
  },
  { name: "more than 65536 bands", support: "refused", proof: proof("more bands than can be open at once") },
  { name: "encrypted", support: "refused", proof: proof("encrypted") },
];
