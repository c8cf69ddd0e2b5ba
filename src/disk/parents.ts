import { type Dir, opendirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Extent, Identity, Layer, ParentWish } from "../formats/driver.js";
import { ImageError } from "../util/errors.js";
import { explain } from "../util/explain.js";
import { quote } from "../util/text.js";
import { type Candidate, candidatesFor, foldersOf, type Place } from "./places.js";

/** How an image's parent was found, and whether it is known to be the right one. */
export interface Finding {
  readonly place: Place;
  /** What the image says its parent is, or the one of several that the parent has; absent where it says nothing, so that any file of that name was taken. */
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
  const { identities } = wish;
  const others: string[] = [];
  let denial: ImageError | undefined;
  for (const candidate of wish.names.flatMap((name) => candidatesFor(image, name, search))) {
    const reached = files.reach(candidate);
    if (reached === false) continue;
    if (reached !== true) {
      // Another file of that name may be anything, unless its identity can be told.
      if (!identities) throw reached;
      denial ??= reached;
    } else if (!identities) {
      return { ...candidate, finding: { place: candidate.place } };
    } else {
      const identity = oneOf(identities, files.identities(candidate.path, wish.format));
      if (identity) return { ...candidate, finding: { place: candidate.place, identity, matches: true } };
      if (!others.includes(candidate.path)) others.push(candidate.path);
    }
  }
  for (const identity of identities ?? []) {
    const found = scan(image, identity, search, files);
    if (found !== undefined) return { path: found, place: "identity", finding: { place: "identity", identity, matches: true } };
  }
  throw denial ?? (others[0] === undefined ? missing(image, wish) : another(image, others[0], identities));
}

/** The one file in the image's and the given folders that has the identity. What is one file under several names counts once. */
function scan(image: string, identity: Identity, search: readonly string[], files: ParentFiles): string | undefined {
  const found: string[] = [];
  const seen = new Set([inodeOf(image)]);
  for (const folder of new Set([...foldersOf(image), ...search])) {
    for (const name of namesIn(folder)) {
      const path = join(folder, name);
      const inode = inodeOf(path);
      if (inode === undefined || seen.has(inode) || files.reach({ path, place: "identity" }) !== true) continue;
      seen.add(inode);
      if (has(files.identities(path, undefined), identity)) found.push(path);
    }
    if (found.length > 0) break;
  }
  if (found.length < 2) return found[0];
  const message = `more than one file here is its parent (${identity.kind} ${identity.value}): ${found.map((path) => quote(path)).join(", ")}`;
  throw new ImageError("PART_MISSING", message, { file: image, hint: "Choose one with --parent FILE." });
}

/** Names of files and links, `SCAN_LIMIT` at most, in order; none if the folder cannot be looked through. */
export function namesIn(folder: string): readonly string[] {
  let directory: Dir;
  try {
    directory = opendirSync(folder);
  } catch {
    return [];
  }
  try {
    const names: string[] = [];
    for (let entry = directory.readSync(); entry && names.length < SCAN_LIMIT; entry = directory.readSync()) {
      if (entry.isFile() || entry.isSymbolicLink()) names.push(entry.name);
    }
    return names.sort();
  } finally {
    directory.closeSync();
  }
}

/** What a regular file is the same by, links followed; undefined for anything else. */
function inodeOf(path: string): string | undefined {
  try {
    const stat = statSync(path);
    return stat.isFile() ? `${stat.dev}:${stat.ino}` : undefined;
  } catch {
    return undefined;
  }
}

/** The first of `wanted` that is among `found`. */
export function oneOf(wanted: readonly Identity[], found: readonly Identity[]): Identity | undefined {
  return wanted.find((identity) => has(found, identity));
}

function has(identities: readonly Identity[], { kind, value }: Identity): boolean {
  return identities.some((each) => each.kind === kind && each.value === value);
}

function textOf(identities: readonly Identity[] | undefined): string {
  return (identities ?? []).map(({ kind, value }) => `${kind} ${value}`).join(" or ");
}

function missing(image: string, { names, identities }: ParentWish): ImageError {
  const [name] = names;
  const what = name === undefined ? "" : ` ${quote(name)}`;
  const known = identities ? ` (${textOf(identities)})` : "";
  return new ImageError("PART_MISSING", `its parent${what}${known} is missing`, {
    file: image,
    hint: "Put it next to the image, or use --search DIR or --parent FILE. With --degraded, what it holds fails to be read.",
  });
}

function another(image: string, path: string, identities: ParentWish["identities"]): ImageError {
  return new ImageError(
    "PART_MISSING",
    `its parent is missing: ${quote(path)} is another image, or was changed since (not ${textOf(identities)})`,
    {
      file: image,
      hint: "Use --search DIR if it is elsewhere, or --parent FILE to take that file all the same.",
    },
  );
}

/** Stands for a parent that cannot be had: whatever it would hold cannot be read. */
export function missingLayer(name: string, error: ImageError): Layer {
  return {
    format: "missing",
    name,
    size: Number.MAX_SAFE_INTEGER,
    map: (_, length): Extent => ({ kind: "damaged", length, error }),
    facts: () => ({ details: {}, notes: [`Degraded: ${explain(error)}. What it holds cannot be read.`] }),
    close: () => undefined,
  };
}
