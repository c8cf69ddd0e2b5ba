import type { Variant } from "../driver.js";

export const rawVariants: readonly Variant[] = [
  { name: "flat, any size, holes kept", support: "read", proof: "formats/raw.test.ts: are read right in any order" },
  {
    name: "split: .001 .002 \u2026, .000 .001 \u2026, .aa .ab \u2026, or listed",
    support: "read",
    proof: "disk/split.test.ts: numbered parts are one disk",
  },
  {
    name: "a window of a file: --offset, --size",
    support: "read",
    proof: "disk/open.test.ts: a window of a file is an image like any other",
  },
];
