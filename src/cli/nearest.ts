import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { distance } from "fastest-levenshtein";
import { ImageError, systemCode } from "../util/errors.js";
import { quote } from "../util/text.js";

/** Names in one folder that are looked at. */
const NAME_LIMIT = 5000;

/** The one of `known` that `word` is a slip of the pen away from: one letter, and one more for each four; undefined if there is none. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const allowed = word.length < 4 ? 1 : 1 + Math.floor(word.length / 4);
  let best: { readonly name: string; readonly steps: number } | undefined;
  for (const name of known) {
    const steps = distance(word.toLowerCase(), name.toLowerCase());
    if (steps <= allowed && steps < (best?.steps ?? Infinity)) best = { name, steps };
  }
  return best?.name;
}

/** For a file that is not there: the one beside it that is called nearly the same. */
export function missingFileHint(error: unknown): string | undefined {
  if (!(error instanceof ImageError) || error.file === undefined || systemCode(error.cause) !== "ENOENT") return undefined;
  const folder = dirname(error.file);
  try {
    const name = nearest(basename(error.file), readdirSync(folder).slice(0, NAME_LIMIT));
    return name === undefined ? undefined : `There is ${quote(folder === "." ? name : join(folder, name))}.`;
  } catch {
    return undefined;
  }
}
