import { lstatSync, mkdirSync, readdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { mountAt } from "../fuse/mountinfo.js";
import { detach, isDeadMount } from "../fuse/unmount.js";
import { listRecords } from "./state.js";
import { reasonOf, systemCode, UserError } from "../util/errors.js";

/** A place that is ready to be mounted on. */
export interface Mountpoint {
  /** Absolute, links resolved. */
  readonly path: string;
  readonly kind: "directory" | "file";
  /** Whether it has to be made for this mount. */
  readonly missing: boolean;
}

/** The folder that stands for an image if the user names none: beside it, with its name less the ending. */
export function defaultMountpoint(image: string): string {
  const ending = extname(image);
  return join(dirname(image), ending === "" ? `${basename(image)}.mnt` : basename(image, ending));
}

/** Checks that something can be mounted at `wanted`. What a killed daemon left mounted there is cleared away. Throws a `UserError` that says what stands in the way. */
export function checkMountpoint(wanted: string, { nonempty }: { readonly nonempty: boolean }): Mountpoint {
  const path = canonical(wanted);
  // Clears away what a killed daemon left, with the mount point if that was made for it.
  if (isDeadMount(path)) listRecords();
  if (isDeadMount(path)) detach(path);
  const stat = statOf(path);
  if (!stat) return { path, kind: "directory", missing: true };
  if (mountAt(path)) {
    throw new UserError(`${wanted}: something is already mounted here`, `Run "flatmount umount ${wanted}", or choose another directory.`);
  }
  if (stat.isFile()) return { path, kind: "file", missing: false };
  if (!stat.isDirectory()) throw new UserError(`${wanted}: it is neither a directory nor a regular file`, "Choose another mount point.");
  if (!nonempty && readdirSync(path).length > 0) {
    throw new UserError(
      `${wanted}: the directory is not empty`,
      "Choose an empty one; with -o nonempty its files are hidden while the image is mounted.",
    );
  }
  return { path, kind: "directory", missing: false };
}

/** `path` with links resolved; its last part need not exist, or may be a dead mount, which cannot be looked at. */
export function canonical(path: string): string {
  const absolute = resolve(path);
  try {
    return lstatSync(absolute).isSymbolicLink() ? realpathSync(absolute) : join(realpathSync(dirname(absolute)), basename(absolute));
  } catch {
    try {
      return join(realpathSync(dirname(absolute)), basename(absolute));
    } catch {
      return absolute;
    }
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new UserError(`${path}: it cannot be looked at: ${reasonOf(error)}`, undefined, error);
  }
}

/** Makes the directory to mount on. Throws a `UserError` that says what stands in the way. */
export function makeMountpoint(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const reason = systemCode(error) === "ENOENT" ? "the folder it would be in does not exist" : reasonOf(error);
    throw new UserError(`${path}: the mount point cannot be made: ${reason}`, undefined, error);
  }
}
