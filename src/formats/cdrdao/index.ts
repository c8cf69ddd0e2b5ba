import { ImageError } from "../../util/errors.js";
import { discLayer } from "../cd/disc.js";
import { createClock } from "../cd/session.js";
import { createParts, readSheet, refuseChoice, textOf } from "../cd/sheet.js";
import type { FormatDriver } from "../driver.js";
import { trackOf } from "./layout.js";
import { isToc, parseToc } from "./parse.js";
import { cdrdaoVariants } from "./variants.js";

export const cdrdao: FormatDriver = {
  name: "cdrdao",
  variants: cdrdaoVariants,
  extensions: [".toc"],
  probe: ({ head }) => isToc(textOf(head)),
  open(source, opener, options) {
    refuseChoice(source, options);
    const text = readSheet(source);
    if (!isToc(text)) throw new ImageError("WRONG_FORMAT", "it is no toc-file", { file: source.name });
    const parts = createParts(opener);
    const notes: string[] = [];
    try {
      const { type, tracks: toc } = parseToc(text, source.name);
      const clock = createClock();
      const around = { sheet: source.name, plain: text.plain, parts, degraded: opener.degraded, notes };
      const tracks = toc.map((track, index) => trackOf(track, index + 1, clock, around));
      return discLayer({ format: "cdrdao", variant: type, source, parts: parts.opened, tracks, notes });
    } catch (error) {
      parts.close();
      throw error;
    }
  },
};
