import { setTimeout as sleep } from "node:timers/promises";
import { mountAt } from "../fuse/mountinfo.js";
import { detach, isDeadMount, MOUNT_TYPE, unmount } from "../fuse/unmount.js";
import { systemCode, UserError } from "../util/errors.js";
import { holdersText } from "./leave.js";
import { canonical } from "./mountpoint.js";
import { isAlive } from "./process.js";
import { dropRecord, listRecords, type MountRecord } from "./state.js";

/** How long a daemon may take to end once its mount is gone: it has only to close its files. */
const PATIENCE_MS = 10_000;

/** Unmounts what stands at `mountpoint` and waits until its daemon has ended. Throws a `UserError` if that cannot be done. */
export async function takeAway(mountpoint: string, { lazy }: { readonly lazy: boolean }): Promise<void> {
  const path = canonical(mountpoint);
  // A mount whose daemon was killed is recorded still: listing clears it away.
  const wasDead = isDeadMount(path);
  const record = listRecords().find((each) => each.mountpoint === path);
  const mount = mountAt(path);
  if (!mount) {
    if (wasDead) return;
    throw new UserError(`${mountpoint}: nothing is mounted here`, '"flatmount list" shows what is mounted where.');
  }
  if (mount.type !== MOUNT_TYPE && record?.unattended !== mount.id) {
    throw new UserError(`${mountpoint}: what is mounted here (${mount.type}) is not ours`, `Use "umount ${mountpoint}".`);
  }
  if (isDeadMount(path) || lazy) detach(path);
  else unmountOrExplain(mountpoint, path);
  if (record?.unattended !== undefined) dropRecord(record);
  else if (record && !lazy) await waitFor(record);
}

function unmountOrExplain(mountpoint: string, path: string): void {
  try {
    unmount(path);
  } catch (error) {
    if (systemCode(error) !== "EBUSY") throw error;
    throw new UserError(`${mountpoint}: in use by ${holdersText(path)}`, "Close what is open there and try again, or use --lazy.", error);
  }
}

async function waitFor(record: MountRecord): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (isAlive(record)) {
    if (Date.now() > deadline)
      throw new UserError(
        `the mount is gone, but its daemon (process ${record.pid}) has not ended`,
        `Its log: ${record.log ?? "on its terminal"}`,
      );
    await sleep(5);
  }
}
