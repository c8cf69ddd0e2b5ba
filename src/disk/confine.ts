import { closeSync, constants, openSync, readlinkSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, relative, resolve } from "node:path";
import { binding } from "../native/binding.js";
import { O_PATH } from "../source/file.js";
import { reasonOf, systemCode, UserError } from "../util/errors.js";

/** Which files an image may name: those below its own folder, and below what the user allowed. */
export interface Confinement {
  /** Whether the file at `path`, links resolved, may be opened. Throws the system's error if there is no such file. */
  allows(path: string): boolean;
  /**
   * An O_PATH descriptor of the file at `path`, links resolved, which is one that may be opened whatever is put in its way meanwhile; undefined if it may not.
   * Throws the system's error if there is no such file.
   */
  find(path: string): number | undefined;
}

export function confine(image: string, allow: readonly string[]): Confinement {
  const roots = [dirname(resolve(image)), dirname(realpathSync(image)), ...allow].map(realFolder);
  const rootOf = (real: string) => roots.find((root) => isBelow(root, real));
  return {
    allows: (path) => rootOf(realpathSync(path)) !== undefined,
    find(path) {
      const real = realpathSync(path);
      const root = rootOf(real);
      const found = root === undefined ? undefined : findIn(root, real);
      if (found === undefined || rootOf(pathOf(found)) !== undefined) return found;
      closeSync(found);
      return undefined;
    },
  };
}

/** Finds `real`, which has been below `root` and without links, if it still is. */
function findIn(root: string, real: string): number | undefined {
  try {
    if (binding) return binding.findBeneath(root, relative(root, real) || ".");
  } catch (error) {
    const code = systemCode(error);
    if (code === "ELOOP" || code === "EXDEV") return undefined;
    // Before Linux 5.6, and where a filter of system calls does not know it.
    if (code !== "ENOSYS" && code !== "EPERM") throw error;
  }
  return openSync(real, O_PATH | constants.O_NOFOLLOW);
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

/** Linux tells the real path of what is open. */
function pathOf(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}
