import { statfsSync } from "node:fs";
import { binding } from "../native/binding.js";
import { systemCode } from "../util/errors.js";
import { unmountWithFusermount } from "./fusermount.js";
import { mountAt } from "./mountinfo.js";

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
  if (mountAt(mountpoint)?.type !== MOUNT_TYPE) return false;
  try {
    // Not stat: the kernel would answer that from its cache.
    statfsSync(mountpoint);
    return false;
  } catch (error) {
    return systemCode(error) === "ENOTCONN";
  }
}

function take(mountpoint: string, lazily: boolean): void {
  if (binding && process.geteuid?.() === 0) {
    try {
      binding.unmount(mountpoint, lazily);
      return;
    } catch (error) {
      if (systemCode(error) !== "EPERM") throw error;
    }
  }
  unmountWithFusermount(mountpoint, lazily);
}
