import type { Variant } from "../driver.js";

export const cdRawVariants: readonly Variant[] = [
  {
    name: "sectors of 2352, 2368, 2448 bytes",
    support: "read",
    proof: "formats/cd-raw.test.ts: sectors of %s",
    remark: "Known by their sync pattern, whatever the file is called.",
  },
  {
    name: "sectors of 2144, 2324, 2332, 2336 bytes with ISO 9660",
    support: "read",
    proof: "formats/cd-raw.test.ts: sectors of %s, known by a volume descriptor",
  },
  {
    name: "audio behind the data",
    support: "read",
    proof: "formats/cd-raw.test.ts: is a track of its own: %i sectors of data",
    remark: "One track: without a sheet nobody knows where others begin.",
  },
];
