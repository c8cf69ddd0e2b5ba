import { statSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Attachment,
  backingFile,
  isAttached,
  isMounted,
  loopsOver,
  type MountedFileSystem,
  releaseDead,
  releaseLoops,
  usersOf,
} from "../daemon/devices.js";
import { holdersText } from "../daemon/leave.js";
import { canonical } from "../daemon/mountpoint.js";
import { isAlive } from "../daemon/process.js";
import { addRecord, dropRecord, everyRecord, type MountRecord, removeFolder } from "../daemon/state.js";
import { mountAt } from "../fuse/mountinfo.js";
import { detach as hide, MOUNT_TYPE, unmount } from "../fuse/unmount.js";
import { systemCode, UserError } from "../util/errors.js";

type AttachRecord = MountRecord & { readonly attached: Attachment };

/** How long a daemon may take to end once its devices are gone: it has only to close its files. */
const PATIENCE_MS = 10_000;

export interface DetachOptions {
  /** Take everything out of sight now, even if it is in use. */
  readonly lazy: boolean;
}

/**
 * Undoes what `attach` did, as far as it still stands: `target` is a device of it, the image, or where it was mounted.
 * Gives what is worth telling. Throws a `UserError` if somebody uses it, or if it is something else.
 */
export async function detach(target: string, options: DetachOptions): Promise<readonly string[]> {
  const path = canonical(target);
  const records = everyRecord().filter((record): record is AttachRecord => record.attached !== undefined);
  const here = records.find(({ attached }) => attached.mounts.some(({ mountpoint }) => mountpoint === path));
  if (here && (here.attached.kept || here.attached.mounts.length > 1)) {
    return withDeath(here, async () => {
      for (const mounted of here.attached.mounts) if (mounted.mountpoint === path) takeAway(target, mounted, options);
      const left = here.attached.mounts.filter(({ mountpoint }) => mountpoint !== path);
      addRecord({ ...here, attached: { ...here.attached, mounts: left } });
      return Promise.resolve();
    });
  }
  const chosen = here ? [here] : records.filter((record) => isMeant(record, target));
  if (chosen.length === 0) return [nothingThere(target, path)];
  const told: string[] = [];
  for (const record of chosen) told.push(...(await withDeath(record, () => undoAttachment(record, options))));
  return told;
}

function isMeant(record: AttachRecord, target: string): boolean {
  const { image, attached, mountpoint } = record;
  const number = /^\/dev\/loop(\d+)(?:p\d+)?$/.exec(target)?.[1];
  if (number === undefined) return canonical(image) === canonical(target) || resolve(target) === image;
  return attached.loops.some((loop) => loop.number === Number(number) && (isAttached(loop, mountpoint) || !isAlive(record)));
}

/** Does it; what a killed daemon left is released whatever it says, and told. */
async function withDeath(record: AttachRecord, work: () => Promise<void>): Promise<readonly string[]> {
  if (isAlive(record)) {
    await work();
    return [];
  }
  await undoAttachment(record, { lazy: true });
  return [`${record.image}: its daemon (process ${record.pid}) had been killed; what it left is taken away`];
}

/** Takes all of it away: first what is mounted, then the devices; the daemon ends with them. */
export async function undoAttachment(record: AttachRecord, options: DetachOptions): Promise<void> {
  const { attached, mountpoint, createdMountpoint } = record;
  const alive = isAlive(record);
  if (!alive) releaseDead(attached, mountpoint);
  for (const mounted of attached.mounts) takeAway(mounted.mountpoint, mounted, options);
  const loops = [...attached.loops, ...loopsOver(mountpoint)].filter((loop) => isAttached(loop, mountpoint));
  if (!options.lazy) {
    const users = loops.flatMap(usersOf);
    const devices = loops.map(({ number }) => `/dev/loop${number}`).join(", ");
    if (users.length > 0) throw new UserError(`${devices}: in use by ${[...new Set(users)].join(", ")}`, HOW_TO_INSIST);
  }
  releaseLoops(loops, mountpoint);
  // It stands only if it was not attached to the end.
  if (mountAt(mountpoint)?.type === MOUNT_TYPE) hide(mountpoint);
  if (createdMountpoint && !mountAt(mountpoint)) removeFolder(mountpoint);
  if (alive && !(options.lazy && loops.some((loop) => isAttached(loop, mountpoint)))) await waitFor(record);
  if (!isAlive(record)) dropRecord(record);
}

const HOW_TO_INSIST = "Close what is open there and try again, or use --lazy.";

function takeAway(name: string, mounted: MountedFileSystem, { lazy }: DetachOptions): void {
  if (isMounted(mounted)) {
    try {
      if (lazy) hide(mounted.mountpoint);
      else unmount(mounted.mountpoint);
    } catch (error) {
      if (systemCode(error) !== "EBUSY") throw error;
      throw new UserError(`${name}: in use by ${holdersText(mounted.mountpoint)}`, HOW_TO_INSIST, error);
    }
  }
  if (mounted.createdMountpoint && !mountAt(mounted.mountpoint)) removeFolder(mounted.mountpoint);
}

async function waitFor(record: MountRecord): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (isAlive(record)) {
    if (Date.now() > deadline) {
      throw new UserError(
        `the devices are gone, but their daemon (process ${record.pid}) has not ended`,
        `Its log: ${record.log ?? "on its terminal"}`,
      );
    }
    await sleep(5);
  }
}

/** That there is nothing to undo is no failure: whoever repeats himself has what he wants. */
function nothingThere(target: string, path: string): string {
  const mount = mountAt(path);
  if (mount?.type === MOUNT_TYPE) throw new UserError(`${target}: it is mounted, not attached`, `Run "flatmount umount ${target}".`);
  if (mount) throw new UserError(`${target}: what is mounted here (${mount.type}) is not ours`, `Use "umount ${target}".`);
  const backing = /^\/dev\/loop\d+$/.test(target) ? backingFile(target) : undefined;
  if (backing !== undefined) throw new UserError(`${target}: it stands for ${backing}, and is not ours`, `Use "losetup -d ${target}".`);
  const stat = statSync(target, { throwIfNoEntry: false });
  if (!stat) throw new UserError(`${target}: nothing is attached that is called so`, '"flatmount list" shows what is attached.');
  return `${target}: nothing is attached`;
}
