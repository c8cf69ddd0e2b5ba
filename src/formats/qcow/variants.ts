import type { Variant } from "../driver.js";

export const qcowVariants: readonly Variant[] = [
  {
    name: "version 1, clusters of 512 bytes to 64 KiB",
    support: "read",
    proof: "formats/qcow.test.ts: the builder's images are what qemu-img takes them for",
  },
  { name: "compressed clusters", support: "read", proof: "formats/qcow.test.ts: a compressed cluster that does not decode, or is cut" },
  {
    name: "encryption: AES (--password-file)",
    support: "read",
    proof: "formats/qcow-encryption.test.ts: written by QEMU, compressed clusters among them",
    remark: "nothing in the image tells whether the password is right",
  },
  {
    name: "encryption without a password",
    support: "refused",
    proof: "formats/qcow-encryption.test.ts: none is given",
  },
  { name: "backing file", support: "read", proof: "formats/qcow.test.ts: the backing file is asked for by its name alone" },
];
