import { basename } from "node:path";
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Opener } from "../driver.js";
import type { ExtentLine } from "./extent-line.js";
import { renamedExtent } from "./names.js";

/** The files of the extents, each opened once, however many extents it has. */
export interface Parts {
  /** The file of an extent; throws if it cannot be had, always the same. */
  open(line: ExtentLine): Source;
  /** Files that were taken for others, one sentence each. */
  readonly notes: readonly string[];
  close(): void;
}

/** `image` names them. */
export function createParts(image: string, opener: Opener): Parts {
  const byName = new Map<string, Source | ImageError>();
  const notes: string[] = [];

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
    notes,
    open({ names, text }) {
      let failure: ImageError | undefined;
      for (const name of names) {
        const found = openOnce(name);
        if (!(found instanceof ImageError)) return found;
        failure ??= found;
        // Only where there is no such file its name may be read another way.
        if (found.code !== "PART_MISSING") break;
      }
      const renamed = failure?.code === "PART_MISSING" ? names.flatMap((name) => renamedExtent(name, basename(image)) ?? []) : [];
      for (const name of renamed) {
        const found = openOnce(name);
        if (found instanceof ImageError) continue;
        const note = `The file of the extent ${quote(text)} is missing; ${quote(name)} was taken, which is called like the descriptor.`;
        if (!notes.includes(note)) notes.push(note);
        return found;
      }
      throw failure ?? new ImageError("CORRUPT", `the extent ${quote(text)} names no file`, { file: image });
    },
    close() {
      for (const each of byName.values()) if (!(each instanceof ImageError)) each.close();
    },
  };
}
