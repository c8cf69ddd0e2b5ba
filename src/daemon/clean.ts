import { mountsOf } from "../fuse/mountinfo.js";
import { detachDead, MOUNT_TYPE } from "../fuse/unmount.js";
import { reasonOf } from "../util/errors.js";
import { isAlive } from "./process.js";
import { dropRecord, everyRecord, listRecords, type MountRecord } from "./state.js";

/** What was left behind by a daemon that was killed, and what became of it. */
export interface Leftover {
  readonly mountpoint: string;
  /** Unknown where nothing was recorded. */
  readonly image?: string;
  /** `unmounted`: it stood there, dead; `forgotten`: only its record was left; `stays`: it could not be unmounted. */
  readonly done: "unmounted" | "forgotten" | "stays";
  /** Why it stays. */
  readonly reason?: string;
}

/**
 * Finds and clears away dead mounts, recorded or not, and records without a mount: everywhere, or at these mount points alone (absolute, links resolved).
 * What is served is not touched.
 */
export function cleanUp(only?: readonly string[]): readonly Leftover[] {
  const isMeant = ({ mountpoint }: { readonly mountpoint: string }) => only?.includes(mountpoint) ?? true;
  const records = everyRecord().filter(isMeant);
  const found = mountsOf().filter((mount) => mount.type === MOUNT_TYPE && isMeant(mount));
  const places = new Set(found.map(({ mountpoint }) => mountpoint));
  const mounts = [...places].flatMap((mountpoint) => clean(mountpoint, records));
  for (const record of records) {
    const mount = mounts.find(({ mountpoint }) => isOf(record, mountpoint));
    // The daemon of a dead mount may not have ended altogether.
    const isLeft = mount ? mount.done === "unmounted" : isOf(record, record.mountpoint) && !isAlive(record);
    if (isLeft) dropRecord(record);
  }
  // What was attached, too, which the kernel may serve alone: only where everything is meant.
  if (!only) listRecords();
  const left = new Set(everyRecord().map(({ since, mountpoint }) => since + mountpoint));
  const forgotten = records.filter(
    (record) => !left.has(record.since + record.mountpoint) && !mounts.some(({ mountpoint }) => isOf(record, mountpoint)),
  );
  return [...mounts, ...forgotten.map(({ mountpoint, image }) => ({ mountpoint, image, done: "forgotten" as const }))];
}

function clean(mountpoint: string, records: readonly MountRecord[]): readonly Leftover[] {
  const image = records.find((record) => isOf(record, mountpoint))?.image;
  const leftover = { mountpoint, ...(image !== undefined && { image }) };
  try {
    return detachDead(mountpoint) ? [{ ...leftover, done: "unmounted" }] : [];
  } catch (error) {
    return [{ ...leftover, done: "stays", reason: reasonOf(error) }];
  }
}

/** What was attached is out of sight: nothing at its mount point is its own. */
function isOf(record: MountRecord, mountpoint: string): boolean {
  return record.mountpoint === mountpoint && !record.attached && record.unattended === undefined;
}
