import { readlinkSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, relative, resolve } from "node:path";
import { reasonOf, UserError } from "../util/errors.js";

/** Which files an image may name: those below its own folder, and below what the user allowed. */
export interface Confinement {
  /** Whether the file at `path`, links resolved, may be opened. Throws the system's error if there is no such file. */
  allows(path: string): boolean;
  /** The same for a file already open: what was checked is what is read, even if a link was changed in between. */
  allowsOpened(fd: number, path: string): boolean;
}

export function confine(image: string, allow: readonly string[]): Confinement {
  const roots = [dirname(resolve(image)), dirname(realpathSync(image)), ...allow].map(realFolder);
  const inside = (real: string) => roots.some((root) => isBelow(root, real));
  return {
    allows: (path) => inside(realpathSync(path)),
    allowsOpened: (fd, path) => inside(pathOf(fd) ?? realpathSync(path)),
  };
}

function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new UserError(`${path}: the folder whose files are allowed cannot be looked at: ${reasonOf(error)}`, undefined, error);
  }
}

function isBelow(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === "" || (way !== ".." && !way.startsWith("../") && !isAbsolute(way));
}

/** Linux tells the real path of an open file. */
function pathOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
