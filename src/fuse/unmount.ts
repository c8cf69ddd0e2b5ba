import { spawnSync } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, statfsSync } from "node:fs";
import { binding } from "../native/binding.js";
import { hasReserve, withCapabilities } from "../native/confinement.js";
import { systemCode, UserError } from "../util/errors.js";
import { fusermountProgram, unmountWithFusermount } from "./fusermount.js";
import { type Mount, mountAt } from "./mountinfo.js";

/** The file system type of every mount of ours, whatever the transport. */
export const MOUNT_TYPE = "fuse.flatmount";

/** Takes a mount away as whoever we are; an error with code `EBUSY` while somebody uses it. */
export function unmount(mountpoint: string): void {
  take(mountpoint, false);
}

/** Takes a mount out of sight at once; it ends when its last user does. */
export function detach(mountpoint: string): void {
  take(mountpoint, true);
}

/** Whether one of our mounts stands at `mountpoint` that nobody serves any more. */
export function isDeadMount(mountpoint: string): boolean {
  return mountAt(mountpoint)?.type === MOUNT_TYPE && isDead(mountpoint);
}

/**
 * Takes the mount at `mountpoint` away if it is ours and nobody serves it any more; true if it was. What comes to stand there meanwhile stays: the dead mount
 * is held while it is looked at, and it is what is held that goes. (Where a helper unmounts, or the mount point is a file, there is a moment between.)
 */
export function detachDead(mountpoint: string): boolean {
  const mount = mountAt(mountpoint);
  if (mount?.type !== MOUNT_TYPE) return false;
  const held = hold(mountpoint);
  if (held === undefined) return false;
  try {
    const path = `/proc/self/fd/${held}`;
    if (mountOf(held) !== mount.id || !(isDead(path) || isDeadToItsOwner(mount))) return false;
    takeHeld(path, mountpoint);
    return true;
  } finally {
    closeSync(held);
  }
}

/** A descriptor of what stands there; undefined where it has gone, or is out of our reach. */
function hold(mountpoint: string): number | undefined {
  try {
    return openSync(mountpoint, O_PATH | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
}

/** `path` leads to what is held at `mountpoint`. */
function takeHeld(path: string, mountpoint: string): void {
  if (binding && process.geteuid?.() === 0) {
    try {
      // The slash lets the link be followed, if to a directory.
      binding.unmount(`${path}/`, true);
      return;
    } catch (error) {
      if (systemCode(error) !== "ENOTDIR" && systemCode(error) !== "EPERM") throw error;
    }
  }
  detach(mountpoint);
}

/** open(2): to name a file without asking its file system. Node has no name for it. */
const O_PATH = 0o10000000;

/** The number of the mount that a descriptor is of. Reference: proc(5), /proc/pid/fdinfo. */
function mountOf(descriptor: number): number {
  return Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"))?.[1]);
}

function isDead(path: string): boolean {
  try {
    // Not stat: the kernel would answer that from its cache.
    statfsSync(path);
    return false;
  } catch (error) {
    const code = systemCode(error);
    // ECONNABORTED: its daemon ended while it was asked.
    return code === "ENOTCONN" || code === "ECONNABORTED";
  }
}

/** Of another user's mount, root learns nothing but what that user would. */
function isDeadToItsOwner({ mountpoint, options }: Mount): boolean {
  const [user, group] = ["user_id=", "group_id="].map((name) => Number(options.find((each) => each.startsWith(name))?.slice(name.length)));
  if (process.geteuid?.() !== 0 || !user || group === undefined || Number.isNaN(group)) return false;
  const asked = spawnSync("stat", ["-f", "--", mountpoint], {
    uid: user,
    gid: group,
    env: { ...process.env, LC_ALL: "C" },
    encoding: "utf8",
  });
  return /Transport endpoint is not connected/.test(asked.stderr);
}

function take(mountpoint: string, lazily: boolean): void {
  const isRoot = process.geteuid?.() === 0 || hasReserve();
  if (binding && isRoot) {
    const native = binding;
    try {
      withCapabilities(() => native.unmount(mountpoint, lazily));
      return;
    } catch (error) {
      if (systemCode(error) !== "EPERM") throw error;
    }
  }
  if (isRoot && !binding && fusermountProgram() === undefined) unmountWithUmount(mountpoint, lazily);
  else unmountWithFusermount(mountpoint, lazily);
}

/** The same by umount(8), for root where there is neither the addon nor fusermount. */
function unmountWithUmount(mountpoint: string, lazily: boolean): void {
  const words = ["-i", ...(lazily ? ["-l"] : []), "--", mountpoint];
  const { status, stderr, error } = spawnSync("umount", words, { env: { ...process.env, LC_ALL: "C" }, encoding: "utf8" });
  if (status === 0) return;
  const message = error?.message ?? stderr.trim();
  if (/busy/i.test(message)) throw Object.assign(new Error(`${mountpoint} is in use`), { code: "EBUSY" });
  throw new UserError(message);
}
