import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes the directory `path` and those above it, as far as they are missing. Not by Node's own option: where a file system answers ENOENT to the making of
 * a directory that has a parent, as /proc does, Node 20 tries for ever.
 */
export function makeFolders(path: string, mode: number): void {
  if (tryMake(path, mode)) return;
  if (dirname(path) !== path) makeFolders(dirname(path), mode);
  if (!tryMake(path, mode)) throw new Error(`${path}: no such directory can be made`);
}

/** False where the one above it is missing. Another process may make it at the same time. */
function tryMake(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EEXIST" && code !== "ENOENT") throw error;
    return code === "EEXIST";
  }
}
