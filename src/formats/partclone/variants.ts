import type { Variant } from "../driver.js";

const proof = (title: string) => `formats/partclone.test.ts: ${title}`;

export const partcloneVariants: readonly Variant[] = [
  {
    name: "version 0002, with and without checksums",
    support: "read",
    proof: proof("what %s writes"),
    remark: "It is one partition. Free space was not kept and reads as zeros.",
  },
  { name: "version 0001", support: "read", proof: proof("partclone restores what the builder makes: %s") },
  {
    name: "version 0001 of old programs for 64 bits, with checksums of eight bytes",
    support: "read",
    proof: proof("checksums of eight bytes are passed over"),
  },
  {
    name: "compressed and split, as Clonezilla keeps them (.gz.aa, .zst.aa, …)",
    support: "read",
    proof: proof("as Clonezilla keeps it: compressed and split"),
  },
  { name: "damaged bitmap", support: "refused", proof: proof("what cannot be read: %s") },
  { name: "made on a big-endian machine", support: "refused", proof: proof("what cannot be read: %s") },
];
