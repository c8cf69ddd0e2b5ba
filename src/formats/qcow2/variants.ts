import type { Variant } from "../driver.js";

export const qcow2Variants: readonly Variant[] = [
  {
    name: "version 2",
    support: "read",
    proof: "formats/qcow2-headers.test.ts: version 2: what follows its 72 bytes are extensions and never features",
  },
  { name: "version 3, header of any length", support: "read", proof: "formats/qcow2-headers.test.ts: version 3, %i bytes" },
  { name: "clusters of 512 bytes to 2 MiB, any order", support: "read", proof: "formats/qcow2-built.test.ts: clusters of 512 bytes" },
  { name: "reference counts of any width", support: "read", proof: "formats/qcow2-built.test.ts: reference counts of order %i" },
  {
    name: "compressed clusters, zlib and zstd",
    support: "read",
    proof: "formats/qcow2-built.test.ts: the last stream ends the file inside a sector, compression type %i",
  },
  {
    name: "zero clusters, plain and with storage",
    support: "read",
    proof: "formats/qcow2-damage.test.ts: a zero cluster's storage is not looked at: $name",
  },
  {
    name: "extended L2 entries (subclusters)",
    support: "read",
    proof: "formats/qcow2-subclusters.test.ts: bitmaps of all mixtures over a backing file, order %i",
  },
  {
    name: "backing file of any format, by path, file: or json:",
    support: "read",
    proof: "formats/qcow2-chains.test.ts: json, the driver raw is the bytes of the file",
  },
  { name: "backing file of another size than the image", support: "read", proof: "formats/qcow2-qemu.test.ts: $name" },
  {
    name: "external data file",
    support: "read",
    proof: "formats/qcow2-subclusters.test.ts: host offset 0 is a place like any other there",
  },
  {
    name: "internal snapshots (--snapshot), also of another size",
    support: "read",
    proof: "formats/qcow2-snapshots.test.ts: the disk had %i bytes then",
  },
  {
    name: "unknown incompatible features",
    support: "refused",
    proof: "formats/qcow2-headers.test.ts: an incompatible feature by its name",
  },
  {
    name: "encryption: LUKS version 1 with AES (--password-file)",
    support: "read",
    proof: "formats/qcow2-encryption.test.ts: written with the key slots of the builder: %j",
    remark: "xts, cbc, ecb, ctr; plain, plain64, essiv; also with snapshots, subclusters, backing files and external data files",
  },
  {
    name: "encryption: AES, the legacy one (--password-file)",
    support: "read",
    proof: "formats/qcow2-encryption.test.ts: by QEMU, clusters of %i",
    remark: "nothing in the image tells whether the password is right",
  },
  {
    name: "compressed clusters of encrypted images",
    support: "read",
    proof: "formats/qcow2-encryption.test.ts: QEMU's own choice of ciphers, and what it does to a disk",
  },
  {
    name: "encryption without a password that fits",
    support: "refused",
    proof: "formats/qcow2-encryption.test.ts: without the password: $name",
  },
  {
    name: "encryption: LUKS with Serpent, Twofish, CAST5",
    support: "refused",
    proof: "formats/qcow2-encryption.test.ts: the cipher %s, by name",
  },
];
