import type { Variant } from "../driver.js";

export const dmgVariants: readonly Variant[] = [
  {
    name: "UDZO: zlib chunks",
    support: "read",
    proof: "formats/dmg.test.ts: 7z: %s",
  },
  {
    name: "UDRO: plain, zero and ignored chunks",
    support: "read",
    proof: "formats/dmg.test.ts: zero and ignored chunks are no data, plain ones are where they are",
  },
  { name: "UDCO: chunks of Apple Data Compression", support: "read", proof: "formats/dmg.test.ts: dmg2img: %s" },
  { name: "UDBZ: bzip2 chunks", support: "read", proof: "formats/dmg.test.ts: what %s %s writes" },
  { name: "ULFO: LZFSE chunks, with LZVN", support: "read", proof: "formats/dmg.test.ts: LZFSE blocks: %s" },
  { name: "ULMO: LZMA chunks", support: "read", proof: "formats/dmg.test.ts: what %s %s writes" },
  {
    name: "one block table for each partition, free space between them",
    support: "read",
    proof: "formats/dmg.test.ts: 7z: %s",
  },
  {
    name: "tables in a resource fork, without a property list",
    support: "read",
    proof: "formats/dmg.test.ts: a resource fork cut short, or with references outside",
  },
  {
    name: "UDxx: the plain disk and a footer",
    support: "read",
    proof: "formats/dmg.test.ts: a stub whose data fork is too short for its disk",
  },
  {
    name: "footer at the start of the file",
    support: "read",
    proof: "formats/dmg.test.ts: a footer at the start must be followed by its data",
  },
  {
    name: "chunks of an unknown type",
    support: "refused",
    proof: "formats/dmg.test.ts: a chunk %s",
    remark: "Reading them fails, the rest of the disk is read.",
  },
  { name: "segmented (.dmgpart)", support: "refused", proof: "formats/dmg.test.ts: a segment of an image" },
  { name: "encrypted, versions 1 and 2", support: "refused", proof: "formats/dmg.test.ts: encrypted, %s" },
];
