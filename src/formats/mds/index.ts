import { discLayer } from "../cd/disc.js";
import { createParts, refuseChoice } from "../cd/sheet.js";
import type { FormatDriver } from "../driver.js";
import { FIRST_DVD } from "./layout.js";
import { isMds, readHeader, readTracks } from "./read.js";
import { mdsVariants } from "./variants.js";

export const mds: FormatDriver = {
  name: "mds",
  variants: mdsVariants,
  extensions: [".mds", ".mdx"],
  probe: ({ head }) => isMds(head),
  open(source, opener, options) {
    refuseChoice(source, options);
    const header = readHeader(source);
    const parts = createParts(opener);
    try {
      const tracks = readTracks(source, header, parts);
      return discLayer({
        format: "mds",
        variant: `version ${header.major}.${header.minor}`,
        source,
        parts: parts.opened,
        tracks,
        details: { medium: header.medium < FIRST_DVD ? "CD" : "DVD" },
        notes: [],
      });
    } catch (error) {
      parts.close();
      throw error;
    }
  },
};
