import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountAt } from "../fuse/mountinfo.js";
import { detach, isDeadMount } from "../fuse/unmount.js";
import { debug } from "../util/debug.js";
import { UserError } from "../util/errors.js";
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
}

/** The folder of the records, made if missing: only its owner may look into it. */
export function stateFolder(): string {
  const uid = process.geteuid?.() ?? 0;
  const runtime = process.env["XDG_RUNTIME_DIR"];
  const folder = runtime ? join(runtime, "flatmount") : uid === 0 ? "/run/flatmount" : join(tmpdir(), `flatmount-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(folder);
  if (stat.isDirectory() && stat.uid === uid) return folder;
  throw new UserError(
    `${folder}: it belongs to somebody else, so mounts cannot be recorded there`,
    "Set XDG_RUNTIME_DIR to a folder of your own.",
  );
}

/** Records a mount, atomically. */
export function addRecord(record: MountRecord): void {
  const path = recordPath(record);
  writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Forgets a mount, with its log, and removes its mount point if it was made for it. */
export function dropRecord(record: MountRecord): void {
  rmSync(recordPath(record), { force: true });
  if (record.log !== undefined) rmSync(record.log, { force: true });
  if (record.createdMountpoint && !mountAt(record.mountpoint)) removeFolder(record.mountpoint);
}

/** The mounts that are served now, oldest first. What killed daemons left behind is cleared away. */
export function listRecords(): readonly MountRecord[] {
  const folder = stateFolder();
  const records = readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => readRecord(join(folder, name)));
  for (const record of records) if (!isAlive(record)) clearAway(record);
  // One that was detached while in use is served on until its last user leaves, but it is nowhere any more.
  return records.filter((record) => isAlive(record) && mountAt(record.mountpoint)).toSorted((a, b) => a.since.localeCompare(b.since));
}

function clearAway(record: MountRecord): void {
  try {
    // Somebody may have mounted something else there since.
    if (isDeadMount(record.mountpoint)) detach(record.mountpoint);
  } catch (error) {
    log("%s cannot be cleared away: %o", record.mountpoint, error);
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

function recordPath({ pid }: ProcessIdentity): string {
  return join(stateFolder(), `${pid}.json`);
}

/** Removes an empty folder; anything else stays. */
export function removeFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    log("%s stays: %o", path, error);
  }
}
