import { realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";

/** How a file came to be taken for the one that an image names. */
export type Place =
  /** It is where the image says. */
  | "declared"
  /** It has the recorded name and lies beside the image. */
  | "beside"
  /** It has the recorded name and lies in a folder the user gave. */
  | "search"
  /** Its name is another one; it was found by what is written in it. */
  | "identity"
  /** The user gave it. */
  | "given";

export interface Candidate {
  readonly path: string;
  readonly place: Place;
}

/** Folders that names in `image` are relative to: its own as it was given, as QEMU does, and that of what a link to it points at. */
export function foldersOf(image: string): readonly string[] {
  return [...new Set([dirname(image), dirname(realOr(image))])];
}

/**
 * Where the file called `name` in `image` may be, best first: where the name says, then beside the image, then in the folders of `search`.
 * Names of other systems are understood as far as they can be: `..\base.vhd`, `C:\vm\base.vhd`, `[datastore] vm/base.vmdk`.
 */
export function candidatesFor(image: string, name: string, search: readonly string[] = []): readonly Candidate[] {
  const folders = foldersOf(image);
  const declared = isAbsolute(name) ? [name] : folders.flatMap((folder) => waysFrom(folder, name));
  const last = lastPart(name);
  const found: Candidate[] = declared.map((path) => ({ path, place: "declared" }));
  if (last === "") return found;
  return [
    ...found,
    ...folders.map((folder): Candidate => ({ path: join(folder, last), place: "beside" })),
    ...search.map((folder): Candidate => ({ path: join(folder, last), place: "search" })),
  ];
}

/** The paths that a relative name may mean. Brackets and backslashes may be part of a name here, so that is tried first. */
function waysFrom(folder: string, name: string): readonly string[] {
  const plain = join(folder, name);
  const datastore = /^\[[^\]]*\]\s*/.exec(name)?.[0];
  // A datastore has a folder for every machine.
  if (datastore !== undefined && name.includes("/", datastore.length)) {
    return [plain, join(folder, "..", ...name.slice(datastore.length).split("/").slice(-2))];
  }
  if (!name.includes("\\") || isWindowsAbsolute(name)) return [plain];
  return [plain, join(folder, name.replaceAll("\\", "/"))];
}

function isWindowsAbsolute(name: string): boolean {
  return /^(?:[A-Za-z]:|\\\\)/.test(name);
}

/** The file's own name at the end of a path of any system; empty if there is none. */
function lastPart(name: string): string {
  const portable = name.includes("/") && !isWindowsAbsolute(name) ? name : name.replaceAll("\\", "/");
  const last = basename(portable);
  return last === "." || last === ".." ? "" : last;
}

/** The path without links; as it is where that cannot be told. */
function realOr(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
