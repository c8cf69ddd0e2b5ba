import { ImageError } from "../../util/errors.js";
import { discLayer } from "../cd/disc.js";
import { createParts, readSheet, refuseChoice, textOf } from "../cd/sheet.js";
import type { FormatDriver } from "../driver.js";
import { layOut } from "./layout.js";
import { isCue, parseCue } from "./parse.js";
import { cueVariants } from "./variants.js";

export const cue: FormatDriver = {
  name: "cue",
  variants: cueVariants,
  extensions: [".cue"],
  probe: ({ head }) => isCue(textOf(head)),
  open(source, opener, options) {
    refuseChoice(source, options);
    const text = readSheet(source);
    if (!isCue(text)) throw new ImageError("WRONG_FORMAT", "it is no cue sheet", { file: source.name });
    const parts = createParts(opener);
    try {
      const { tracks, files, notes } = layOut(parseCue(text, source.name), { source, plain: text.plain, parts, degraded: opener.degraded });
      return discLayer({ format: "cue", source, parts: parts.opened, tracks, files, details: {}, notes });
    } catch (error) {
      parts.close();
      throw error;
    }
  },
};
