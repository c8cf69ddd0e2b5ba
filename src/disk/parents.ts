import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Extent, Identity, Layer, ParentWish } from "../formats/driver.js";
import { ImageError } from "../util/errors.js";
import { quote } from "../util/text.js";
import { type Candidate, candidatesFor, foldersOf, type Place } from "./places.js";

/** How an image's parent was found, and whether it is known to be the right one. */
export interface Finding {
  readonly place: Place;
  /** What the image says its parent is; absent where it says nothing, so that any file of that name was taken. */
  readonly identity?: Identity;
  /** Whether that is written in the parent. Only a parent that the user gave may differ. */
  readonly matches?: boolean;
}

/** What the finder needs to know of files. */
export interface ParentFiles {
  /** Whether there is such a file that may be looked at; a denial if the image may not name it. */
  reach(candidate: Candidate): boolean | ImageError;
  /** What is written in a file; nothing if it cannot be told. */
  identities(path: string, format: string | undefined): readonly Identity[];
}

/** More files in a folder are not looked through for a parent. */
const SCAN_LIMIT = 4096;

/**
 * Where the parent that `image` wishes for is: at the recorded names, else beside the image, else in the folders of `search`; else, if its identity is recorded,
 * whichever file in those folders has it. Throws what stands in the way: the parent missing, another one, or not allowed.
 */
export function findParent(
  image: string,
  wish: ParentWish,
  search: readonly string[],
  files: ParentFiles,
): Candidate & { readonly finding: Finding } {
  const { identity } = wish;
  const others: string[] = [];
  let denial: ImageError | undefined;
  for (const candidate of wish.names.flatMap((name) => candidatesFor(image, name, search))) {
    const reached = files.reach(candidate);
    if (reached === false) continue;
    if (reached !== true) {
      // Another file of that name may be anything, unless its identity can be told.
      if (!identity) throw reached;
      denial ??= reached;
    } else if (!identity) {
      return { ...candidate, finding: { place: candidate.place } };
    } else if (has(files.identities(candidate.path, wish.format), identity)) {
      return { ...candidate, finding: { place: candidate.place, identity, matches: true } };
    } else if (!others.includes(candidate.path)) {
      others.push(candidate.path);
    }
  }
  const found = identity ? scan(image, identity, search, files) : undefined;
  if (found !== undefined && identity) {
    return { path: found, place: "identity", finding: { place: "identity", identity, matches: true } };
  }
  throw denial ?? (others[0] === undefined ? missing(image, wish) : another(image, others[0], identity));
}

/** The one file in the image's and the given folders that has the identity. */
function scan(image: string, identity: Identity, search: readonly string[], files: ParentFiles): string | undefined {
  const found: string[] = [];
  for (const folder of new Set([...foldersOf(image), ...search])) {
    for (const name of namesIn(folder)) {
      const path = join(folder, name);
      if (path === image || files.reach({ path, place: "identity" }) !== true) continue;
      if (has(files.identities(path, undefined), identity)) found.push(path);
    }
    if (found.length > 0) break;
  }
  if (found.length < 2) return found[0];
  const message = `more than one file here is its parent (${identity.kind} ${identity.value}): ${found.map((path) => quote(path)).join(", ")}`;
  throw new ImageError("PART_MISSING", message, { file: image, hint: "Choose one with --parent FILE." });
}

function namesIn(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .slice(0, SCAN_LIMIT)
    .map(({ name }) => name)
    .sort();
}

export function has(identities: readonly Identity[], { kind, value }: Identity): boolean {
  return identities.some((each) => each.kind === kind && each.value === value);
}

function missing(image: string, { names, identity }: ParentWish): ImageError {
  const [name] = names;
  const what = name === undefined ? "" : ` ${quote(name)}`;
  const known = identity ? ` (${identity.kind} ${identity.value})` : "";
  return new ImageError("PART_MISSING", `its parent${what}${known} is missing`, {
    file: image,
    hint: "Put it next to the image, or use --search DIR or --parent FILE. With --degraded, what it holds fails to be read.",
  });
}

function another(image: string, path: string, identity: Identity | undefined): ImageError {
  const wanted = identity ? `${identity.kind} ${identity.value}` : "";
  return new ImageError("PART_MISSING", `its parent is missing: ${quote(path)} is another image, or was changed since (not ${wanted})`, {
    file: image,
    hint: "Use --search DIR if it is elsewhere, or --parent FILE to take that file all the same.",
  });
}

/** Stands for a parent that cannot be had: whatever it would hold cannot be read. */
export function missingLayer(name: string, error: ImageError): Layer {
  return {
    format: "missing",
    name,
    size: Number.MAX_SAFE_INTEGER,
    map: (_, length): Extent => ({ kind: "damaged", length, error }),
    facts: () => ({ details: {}, notes: [`Degraded: ${error.message}. What it holds cannot be read.`] }),
    close: () => undefined,
  };
}
