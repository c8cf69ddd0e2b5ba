import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Opener } from "../driver.js";
import type { ExtentLine } from "./extent-line.js";

/** The files of the extents, each opened once, however many extents it has. */
export interface Parts {
  /** The file of an extent; throws if it cannot be had, always the same. */
  open(line: ExtentLine): Source;
  close(): void;
}

/** `image` names them. */
export function createParts(image: string, opener: Opener): Parts {
  const byName = new Map<string, Source | ImageError>();

  function attempt(name: string): Source | ImageError {
    try {
      return opener.part(name);
    } catch (error) {
      if (error instanceof ImageError) return error;
      throw error;
    }
  }

  function openOnce(name: string): Source | ImageError {
    const known = byName.get(name) ?? attempt(name);
    byName.set(name, known);
    return known;
  }

  return {
    open({ names, text }) {
      let failure: ImageError | undefined;
      for (const name of names) {
        const found = openOnce(name);
        if (!(found instanceof ImageError)) return found;
        failure ??= found;
        // Only where there is no such file its name may be read another way.
        if (found.code !== "PART_MISSING") break;
      }
      throw failure ?? new ImageError("CORRUPT", `the extent ${quote(text)} names no file`, { file: image });
    },
    close() {
      for (const each of byName.values()) if (!(each instanceof ImageError)) each.close();
    },
  };
}
