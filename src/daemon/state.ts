import { readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountAt } from "../fuse/mountinfo.js";
import type { ReadingPath } from "../fuse/passthrough.js";
import { detachDead } from "../fuse/unmount.js";
import { debug } from "../util/debug.js";
import type { Restriction } from "./confinement.js";
import { stateFolder } from "./folder.js";
import { type Attachment, releaseDead } from "./devices.js";
import { isAlive, type ProcessIdentity } from "./process.js";

const log = debug("state");

/** One mount, as it is recorded while it lasts. `list --json` prints this. */
export interface MountRecord extends ProcessIdentity {
  /** Absolute path. */
  readonly image: string;
  readonly format: string;
  /** Bytes of the flat disk. */
  readonly size: number;
  /** Absolute path, links resolved. */
  readonly mountpoint: string;
  readonly transport: string;
  /** ISO 8601, UTC. */
  readonly since: string;
  /** What the daemon has to say; absent for a mount in the foreground. */
  readonly log?: string;
  /** Whether the mount point was made for this mount, and goes with it. */
  readonly createdMountpoint: boolean;
  /** The number of a mount that the kernel serves alone. No process belongs to it: its number is 0 then. */
  readonly unattended?: number;
  /** How the disks of the view are read, once that is settled; empty where there is but one way. */
  readonly paths?: readonly ReadingPath[];
  /** What the threads that serve have given up, once they have. */
  readonly confined?: readonly Restriction[];
  /** Of `flatmount attach` alone: the mount is out of sight then, and lasts as long as its loop devices. */
  readonly attached?: Attachment;
}

/** Records a mount, atomically. */
export function addRecord(record: MountRecord): void {
  const path = recordPath(record);
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Adds to what is recorded of a mount; others may have added to it, too. */
export function completeRecord(given: MountRecord, more: Partial<MountRecord>): void {
  const [record = given] = readRecord(recordPath(given));
  addRecord({ ...record, ...more });
}

/** The socket at which the daemon of a mount tells what it has counted. */
export function socketPath({ pid }: MountRecord): string {
  return join(stateFolder(), `${pid}.sock`);
}

/** Forgets a mount, with its log, and removes its mount point if it was made for it. */
export function dropRecord(given: MountRecord): void {
  // What was attached is known only to the file.
  const [record = given] = readRecord(recordPath(given));
  rmSync(recordPath(record), { force: true });
  // Of a daemon that was killed while it wrote.
  rmSync(`${recordPath(record)}.new`, { force: true });
  if (record.unattended === undefined) rmSync(socketPath(record), { force: true });
  if (record.log !== undefined) rmSync(record.log, { force: true });
  if (record.createdMountpoint && !mountAt(record.mountpoint)) removeFolder(record.mountpoint);
  for (const { mountpoint, createdMountpoint } of record.attached?.mounts ?? []) {
    if (createdMountpoint && !mountAt(mountpoint)) removeFolder(mountpoint);
  }
}

/** The mounts that are served now, oldest first. What killed daemons left behind is cleared away. */
export function listRecords(): readonly MountRecord[] {
  const records = everyRecord();
  const alive = records.filter(stands);
  for (const record of records) if (!alive.includes(record)) clearAway(record, alive);
  // One that was detached while in use is served on until its last user leaves, but it is nowhere any more.
  return alive.filter(({ mountpoint, attached }) => attached || mountAt(mountpoint)).toSorted((a, b) => a.since.localeCompare(b.since));
}

/** Whether somebody serves the mount. */
export function stands(record: MountRecord): boolean {
  if (record.unattended === undefined) return isAlive(record);
  return mountAt(record.mountpoint)?.id === record.unattended;
}

/** Those of killed daemons, too. */
export function everyRecord(): readonly MountRecord[] {
  const folder = stateFolder();
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => readRecord(join(folder, name)));
}

/** Takes away what a killed daemon left, unless another one has mounted there since. */
function clearAway(record: MountRecord, alive: readonly MountRecord[]): void {
  const { mountpoint, attached } = record;
  try {
    if (attached) releaseDead(attached, mountpoint);
    const isTaken = alive.some((other) => other.mountpoint === mountpoint);
    if (!isTaken) detachDead(mountpoint);
  } catch (error) {
    log("%s cannot be cleared away: %o", mountpoint, error);
    return;
  }
  dropRecord(record);
}

function readRecord(path: string): readonly MountRecord[] {
  try {
    return [JSON.parse(readFileSync(path, "utf8")) as MountRecord];
  } catch (error) {
    log("%s is no record: %o", path, error);
    return [];
  }
}

function recordPath({ pid, unattended }: MountRecord): string {
  return join(stateFolder(), `${unattended === undefined ? pid : `mount-${unattended}`}.json`);
}

/** Removes an empty folder; anything else stays. */
export function removeFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    log("%s stays: %o", path, error);
  }
}
