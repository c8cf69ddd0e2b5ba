import type { Variant } from "../driver.js";

export const ccdVariants: readonly Variant[] = [
  { name: "data of mode 1 and mode 2", support: "read", proof: "formats/ccd.test.ts: one track of mode 2" },
  { name: "audio tracks as WAV files", support: "read", proof: "formats/ccd.test.ts: data, a pause, and sound" },
  { name: "several sessions", support: "read", proof: "formats/ccd.test.ts: %s" },
  {
    name: "subchannels (.sub)",
    support: "read",
    proof: "formats/ccd.test.ts: one track of mode 2",
    remark: "In a file of their own, which is not needed.",
  },
  { name: "scrambled data tracks", support: "refused", proof: "formats/ccd.test.ts: what cannot be read: %s" },
];
