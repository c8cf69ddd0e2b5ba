import { resolve } from "node:path";
import type { Stats } from "../fuse/counters.js";
import { mountAt } from "../fuse/mountinfo.js";
import { MOUNT_TYPE } from "../fuse/unmount.js";
import { debug } from "../util/debug.js";
import { UserError } from "../util/errors.js";
import { canonical } from "./mountpoint.js";
import { askDaemon } from "./questions.js";
import { everyRecord, type MountRecord, socketPath, stands } from "./state.js";

const log = debug("status");

/** How a mount fares. */
export interface MountStatus {
  readonly record: MountRecord;
  /** `served`: its daemon answers; `kernel`: it has none; `silent`: its daemon does not answer; `gone`: its daemon has ended without unmounting. */
  readonly state: "served" | "kernel" | "silent" | "gone";
  /** Of one that is served. */
  readonly stats?: Stats;
}

/** How all mounts fare that are recorded, oldest first. Nothing is changed, nothing of a mount is read. */
export async function statusOfAll(): Promise<readonly MountStatus[]> {
  const answers = await Promise.all(records().map(ask));
  return answers.filter((each) => each !== undefined);
}

/** How the mount at `mountpoint` fares. Throws a `UserError` if there is none, or none that is recorded. */
export async function statusOf(mountpoint: string): Promise<MountStatus> {
  // Not looked at, if it is recorded under this very path: a daemon that hangs would not answer that either.
  const found = recordAt(resolve(mountpoint)) ?? recordAt(canonical(mountpoint));
  const status = found && (await ask(found));
  if (status) return status;
  if (mountAt(canonical(mountpoint))?.type !== MOUNT_TYPE) {
    throw new UserError(`${mountpoint}: nothing of ours is mounted here`, '"flatmount list" shows what is mounted where.');
  }
  throw new UserError(
    `${mountpoint}: this mount is not recorded: it is somebody else's, or XDG_RUNTIME_DIR was another one`,
    `What it has counted is in ${mountpoint}/stats.json.`,
  );
}

function recordAt(path: string): MountRecord | undefined {
  return records().find((record) => record.mountpoint === path || record.attached?.mounts.some((each) => each.mountpoint === path));
}

/** Of mounts that stand, and of daemons that ended without unmounting, oldest first. */
function records(): readonly MountRecord[] {
  const all = everyRecord();
  const alive = all.filter((record) => stands(record) && (record.attached || mountAt(record.mountpoint)));
  // Where another one has mounted since, what is left of the first is of no interest.
  const isLeft = (record: MountRecord) =>
    record.unattended === undefined && !stands(record) && !alive.some(({ mountpoint }) => mountpoint === record.mountpoint);
  return [...alive, ...all.filter(isLeft)].toSorted((a, b) => a.since.localeCompare(b.since));
}

/** Undefined for one that was unmounted meanwhile. */
async function ask(record: MountRecord): Promise<MountStatus | undefined> {
  if (record.unattended !== undefined) return { record, state: "kernel" };
  if (!stands(record)) return { record, state: "gone" };
  try {
    return { record, state: "served", stats: await askDaemon(socketPath(record)) };
  } catch (error) {
    log("process %d: %o", record.pid, error);
    if (stands(record)) return { record, state: "silent" };
    return records().some(({ pid, started }) => pid === record.pid && started === record.started) ? { record, state: "gone" } : undefined;
  }
}
