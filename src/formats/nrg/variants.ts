import type { Variant } from "../driver.js";

export const nrgVariants: readonly Variant[] = [
  {
    name: "version 1 (NERO) and version 2 (NER5)",
    support: "read",
    proof: "formats/nrg.test.ts: disc at once: data and sound, with pauses",
  },
  { name: "disc at once (CUES/DAOI, CUEX/DAOX)", support: "read", proof: "formats/nrg.test.ts: disc at once: data and sound, with pauses" },
  { name: "track by track (ETNF, ETN2)", support: "read", proof: "formats/nrg.test.ts: track by track: data and sound" },
  { name: "sectors of 2048, 2336, 2352, 2448 bytes", support: "read", proof: "formats/nrg.test.ts: sectors of %s" },
  { name: "audio tracks as WAV files", support: "read", proof: "formats/nrg.test.ts: sound with subchannels" },
  { name: "several sessions", support: "read", proof: "formats/nrg.test.ts: two sessions, at once: %s" },
  { name: "before version 5.0 (TINF)", support: "refused", proof: "formats/nrg.test.ts: %s" },
];
