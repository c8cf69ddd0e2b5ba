import { createHash } from "node:crypto";
import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Attachment, type AttachedPart, isAttached, type MountedFileSystem } from "../daemon/devices.js";
import { stateFolder } from "../daemon/folder.js";
import { checkMountpoint, makeMountpoint, type Mountpoint } from "../daemon/mountpoint.js";
import { startDaemon } from "../daemon/start.js";
import { addRecord, completeRecord, listRecords, type MountRecord, removeFolder } from "../daemon/state.js";
import type { Progress } from "../disk/unpack.js";
import { detach as hide } from "../fuse/unmount.js";
import { binding } from "../native/binding.js";
import { detachLoop } from "../native/loop.js";
import type { ViewRequest } from "../tree/view.js";
import { reasonOf, UserError } from "../util/errors.js";
import { undoAttachment } from "./detach.js";
import { interruptible } from "./interruptions.js";
import { makeDevices } from "./make-devices.js";
import { mountFileSystem } from "./mount.js";
import { choosePart, subjectOf, whatIsIn } from "./parts.js";

/** What the user wants attached. */
export interface AttachWish {
  /** Absolute path. */
  readonly image: string;
  /** As the user calls it. */
  readonly name: string;
  readonly options: ViewRequest["options"];
  /** Bytes for decoded blocks. */
  readonly cacheLimit: number;
  /** A partition's number or a volume's name: a device for it alone. */
  readonly partition?: string | undefined;
  /** Where to mount it. */
  readonly mountpoint?: string | undefined;
}

/** What came of it. */
export interface AttachedImage {
  readonly record: MountRecord & { readonly attached: Attachment };
  /** What was asked for, where that is not the whole disk. */
  readonly part?: AttachedPart;
  readonly mounted?: MountedFileSystem;
  /** What is unusual about what was mounted, one sentence each. */
  readonly notes: readonly string[];
}

/** Makes a block device of the disk in an image, or of a part of it, and mounts that if wanted. Nothing is left behind if this throws. */
export async function attach(wish: AttachWish, progress: Progress): Promise<AttachedImage> {
  checkAble();
  const place = wish.mountpoint === undefined ? undefined : checkDirectory(wish.mountpoint);
  const key = keyOf(wish);
  const before = reuse(wish, key, place);
  if (before) return before;
  return interruptible(async (interruptions) => {
    let record = await startDaemon(daemonWish(wish), progress);
    let attached: Attachment = { key, loops: [], kept: place === undefined, parts: [], mounts: [] };
    const note = (more: Partial<Attachment>): void => {
      attached = { ...attached, ...more };
      completeRecord(record, { attached });
    };
    try {
      record = await settled(record, () => interruptions.check());
      note({});
      const whole = place === undefined && wish.partition === undefined;
      const part = await makeDevices({ ...wish, whole }, record, interruptions, note);
      await interruptions.check();
      const mount = place && part && mountPart(wish.name, part, place);
      if (mount) note({ mounts: [mount.mounted] });
      await interruptions.check();
      // From now on the devices go when what is mounted from them does.
      if (place) for (const { number } of attached.loops) detachLoop(number);
      // The devices hold the file: no path has to lead to it, and the daemon ends when they go.
      hide(record.mountpoint);
      removeFolder(record.mountpoint);
      return { record: { ...record, attached }, ...(part && { part }), ...(mount ?? { notes: [] }) };
    } catch (error) {
      await undoAttachment({ ...record, attached }, { lazy: true });
      throw error;
    }
  });
}

/** Milliseconds between two looks. */
const LOOK = 5;

/** The record of a mount once it tells how its disks are read: an index of a large disk takes seconds. */
async function settled(started: MountRecord, check: () => Promise<void>): Promise<MountRecord> {
  for (;;) {
    const record = listRecords().find(({ pid }) => pid === started.pid);
    if (!record || record.paths) return record ?? started;
    await sleep(LOOK);
    await check();
  }
}

/** Throws a `UserError` that says what is missing. */
function checkAble(): void {
  const withoutRoot =
    'As an ordinary user, mount the image ("flatmount IMAGE DIR") and use fuse2fs or guestfish on DIR/partitions/1.raw, or "udisksctl loop-setup -r -f".';
  if (process.geteuid?.() !== 0) throw new UserError("only root may attach loop devices and mount what is on them", withoutRoot);
  if (!binding) throw new UserError("the native addon is not built", 'Run "npm run build:native".');
  try {
    accessSync("/dev/loop-control", constants.R_OK | constants.W_OK);
  } catch (error) {
    throw new UserError(
      `/dev/loop-control cannot be used: ${reasonOf(error)}`,
      'Load the module ("modprobe loop"); a container has to be given the device.',
      error,
    );
  }
}

function checkDirectory(wanted: string): Mountpoint {
  const place = checkMountpoint(wanted, { nonempty: false });
  if (place.kind === "directory") return place;
  throw new UserError(`${wanted}: it is a file, and a file system is mounted on a directory`, "Choose another mount point.");
}

/** What tells whether the same was attached before. Secrets are left out: they do not change what is read. */
function keyOf({ image, options }: AttachWish): string {
  const { dev, ino, size, mtimeMs } = statOf(image);
  const reading = { ...options, passwords: undefined, privateKey: undefined, cacheFolder: undefined };
  return createHash("sha256")
    .update(JSON.stringify([image, dev, ino, size, mtimeMs, reading]))
    .digest("hex")
    .slice(0, 32);
}

function statOf(image: string) {
  try {
    return statSync(image);
  } catch (error) {
    throw new UserError(`${image}: it cannot be opened: ${reasonOf(error)}`, undefined, error);
  }
}

function daemonWish({ image, options, cacheLimit }: AttachWish) {
  const mountpoint = join(stateFolder(), `${Date.now()}-${process.pid}.mnt`);
  const access = { allowOther: false, passthrough: true, staysWhenKilled: true, uid: 0, gid: 0, mode: 0o400 };
  return { image, options, mountpoint, nonempty: false, ...access, cacheLimit };
}

/** What stands already is told again; what is mounted a second time shares the device. */
function reuse({ name, partition }: AttachWish, key: string, place: Mountpoint | undefined): AttachedImage | undefined {
  for (const record of listRecords()) {
    const { attached } = record;
    if (attached?.key !== key || attached.loops.length === 0) continue;
    if (!attached.loops.every((loop) => isAttached(loop, record.mountpoint))) continue;
    if (!place) {
      const part = attached.parts.find(({ id }) => id === partition);
      if (!attached.kept || (partition === undefined ? attached.device : part?.device) === undefined) continue;
      return { record: { ...record, attached }, ...(part && { part }), notes: [] };
    }
    const part = choosePart(name, attached.parts, partition);
    if (part.device === undefined) continue;
    const { mounted, notes } = mountPart(name, part, place);
    const more = { ...record, attached: { ...attached, mounts: [...attached.mounts, mounted] } };
    addRecord(more);
    return { record: more, part, mounted, notes };
  }
  return undefined;
}

function mountPart(image: string, part: AttachedPart, place: Mountpoint): { mounted: MountedFileSystem; notes: readonly string[] } {
  const { device = "", typeName } = part;
  const subject = subjectOf(image, part);
  const holds = whatIsIn(device);
  if (!holds) throw new UserError(`${subject}: no file system is recognised in it (${typeName})`);
  if (place.missing) makeMountpoint(place.path);
  try {
    const { type, options } = mountFileSystem(subject, device, holds, place.path);
    return { mounted: { mountpoint: place.path, device, type, options, createdMountpoint: place.missing }, notes: holds.notes ?? [] };
  } catch (error) {
    if (place.missing) removeFolder(place.path);
    throw error;
  }
}
