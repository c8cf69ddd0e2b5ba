import type { Variant } from "../driver.js";

export const mdsVariants: readonly Variant[] = [
  {
    name: "CD: sectors of 2048, 2324, 2336, 2352 bytes, and with subchannels (2448)",
    support: "read",
    proof: "formats/mds.test.ts: of %s",
  },
  { name: "audio tracks as WAV files", support: "read", proof: "formats/mds.test.ts: of sound with subchannels, behind data with them" },
  { name: "DVD, in one file or several", support: "read", proof: "formats/mds.test.ts: a DVD in several files" },
  { name: "several sessions", support: "read", proof: "formats/mds.test.ts: two sessions" },
  { name: "version 2 (MDX), which is encrypted", support: "refused", proof: "formats/mds.test.ts: what cannot be read: %s" },
];
