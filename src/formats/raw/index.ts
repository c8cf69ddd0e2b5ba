import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { FormatDriver, Layer } from "../driver.js";
import { rawVariants } from "./variants.js";

/** A flat image: offset and position are the same number. Holes of a sparse file are zeros. */
export const raw: FormatDriver = {
  name: "raw",
  variants: rawVariants,
  extensions: [".raw", ".img", ".dd", ".bin", ".iso"],
  probe: () => true,
  open(source, _, { snapshot }) {
    if (snapshot !== undefined) throw new ImageError("UNSUPPORTED", "a raw image has no snapshots", { file: source.name });
    return rawLayer(source);
  },
};

function rawLayer(source: Source): Layer {
  return {
    format: "raw",
    name: source.name,
    size: source.size,
    map(offset, length) {
      const run = source.run?.(offset);
      if (!run) return { kind: "data", length, source, position: offset };
      const clipped = Math.min(length, run.length);
      return run.data ? { kind: "data", length: clipped, source, position: offset } : { kind: "zero", length: clipped };
    },
    facts: () => ({ details: {}, notes: [] }),
    close: () => source.close(),
  };
}
