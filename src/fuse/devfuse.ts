import { closeSync, openSync, writeFileSync } from "node:fs";
import type { Worker } from "node:worker_threads";
import { type Binding, binding, bindingFailure } from "../native/binding.js";
import { withCapabilities } from "../native/confinement.js";
import { debug } from "../util/debug.js";
import { reasonOf, systemCode, UserError } from "../util/errors.js";
import { fusermountProgram, mountWithFusermount, unmountWithFusermount } from "./fusermount.js";
import { mountAt } from "./mountinfo.js";
import { createPassingTable, type PassingTable } from "./opens.js";
import { passingFiles } from "./passing-files.js";
import { passThrough } from "./passthrough.js";
import { takeWorker } from "./pool.js";
import { fileTypes } from "./protocol.js";
import { statsOf } from "./stats-file.js";
import { accessOptions, type MountRequest, type Transport } from "./transport.js";
import { createTurnTable } from "./turn.js";
import type { WorkerMessage, WorkerTask } from "./serve.js";

const log = debug("devfuse");

/** mount(2) flags: MS_RDONLY | MS_NOSUID | MS_NODEV. */
const MOUNT_FLAGS = 1 | 2 | 4;

/** The kernel reads this far ahead of a sequential reader. More than the default of 128 KiB lets both workers be busy. */
const READ_AHEAD_KIB = 1024;

/** Milliseconds that the first to open a disk waits for its index: most are made in less. */
const PATIENCE = 100;

/** Our own FUSE server: worker threads that speak the kernel's protocol on /dev/fuse. */
export const devfuse: Transport = {
  name: "devfuse",
  obstacle() {
    if (process.platform !== "linux") return { message: "the devfuse transport is for Linux", hint: "Use --transport libfuse." };
    if (!binding) return { message: addonObstacle(), hint: 'See "flatmount doctor", or use --transport libfuse.' };
    return undefined;
  },
  async mount(request) {
    if (!binding) throw new UserError(addonObstacle());
    const { device, unmount, expire, helped } = attach(binding, request);
    const files = request.passthrough && process.geteuid?.() === 0 ? passingFiles(request.tree) : [];
    const table =
      files.length > 0
        ? createPassingTable(
            files.map(({ node }) => node.id),
            PATIENCE,
          )
        : undefined;
    const session = startWorkers(binding, device, request, table);
    try {
      await session.ready;
    } catch (error) {
      unmount(true);
      await session.ended.catch(() => undefined);
      throw error;
    }
    raiseReadAhead(request.mountpoint);
    session.ended.catch(() => unmountQuietly(unmount));
    let gone = false;
    const ended = session.ended.finally(() => {
      gone = true;
    });
    const paths = table && passThrough({ device, table, files, imageFiles: request.files.length, ended: () => gone });
    const stats = () => statsOf(request.counters, table);
    return { ended, paths, stats, expire, helped, manned: session.manned, unmount: ({ detach }) => unmountNow(unmount, detach) };
  },
};

function addonObstacle(): string {
  return bindingFailure === undefined ? "the native addon is not built" : `the native addon cannot be loaded: ${bindingFailure}`;
}

interface Attached {
  readonly device: number;
  readonly unmount: (detach: boolean) => void;
  readonly expire?: () => boolean;
  /** Whether a setuid program mounted. */
  readonly helped: boolean;
}

/** Mounts: by mount(2) where that is permitted, else through the setuid helper. */
function attach(native: Binding, request: MountRequest): Attached {
  const { mountpoint } = request;
  const throughHelper = (): Attached => ({
    device: mountWithFusermount(native, request),
    unmount: (detach) => unmountWithFusermount(mountpoint, detach),
    helped: true,
  });
  if (process.geteuid?.() !== 0) return throughHelper();
  const device = openDevice();
  const rootmode = fileTypes[request.tree.root.kind].toString(8);
  const data = [`fd=${device}`, `rootmode=${rootmode}`, "user_id=0", "group_id=0", ...(request.allowOther ? accessOptions : [])];
  try {
    native.mount(request.source, mountpoint, "fuse.flatmount", MOUNT_FLAGS, data.join(","));
  } catch (error) {
    closeSync(device);
    // Root in a container may lack the right to mount; the helper may have it.
    if (systemCode(error) === "EPERM" && fusermountProgram() !== undefined) return throughHelper();
    throw mountError(mountpoint, error);
  }
  const unmount = (detach: boolean) => withCapabilities(() => native.unmount(mountpoint, detach));
  return { device, unmount, expire: () => withCapabilities(() => expireMount(native, mountpoint)), helped: false };
}

/** True if the mount is gone now; false if it will be the next time, unless somebody comes near it. */
function expireMount(native: Binding, mountpoint: string): boolean {
  try {
    native.expire(mountpoint);
    return true;
  } catch (error) {
    if (systemCode(error) === "EAGAIN") return false;
    throw error;
  }
}

function openDevice(): number {
  try {
    return openSync("/dev/fuse", "r+");
  } catch (error) {
    throw new UserError(`/dev/fuse cannot be opened: ${reasonOf(error)}`, 'Run "flatmount doctor" to see what is missing.', error);
  }
}

function mountError(mountpoint: string, error: unknown): UserError {
  const code = systemCode(error);
  if (code === "EPERM")
    return new UserError(`${mountpoint}: mounting is not permitted here`, 'Run "flatmount doctor" to see what is missing.', error);
  if (code === "EBUSY") return new UserError(`${mountpoint}: it is in use`, "Choose another directory.", error);
  return new UserError(`${mountpoint}: mounting failed: ${String(code ?? error)}`, undefined, error);
}

/** Ready is the mount when one worker is: the others follow, so that they do not delay the first byte. */
function startWorkers(
  native: Binding,
  device: number,
  request: MountRequest,
  passing: PassingTable | undefined,
): { ready: Promise<void>; manned: Promise<unknown>; ended: Promise<void> } {
  const { view, files, uid, gid, activity, counters } = request;
  const [, ...rows] = counters;
  const [firstRow, ...otherRows] = rows;
  if (!firstRow) throw new Error("there are no workers");
  const interest = new Int32Array(new SharedArrayBuffer(4));
  const shared = { ...view, cacheLimit: Math.floor(view.cacheLimit / rows.length) };
  const task = { view: shared, files, owner: { uid, gid }, passing, activity, interest, turns: createTurnTable(), counters };
  const first = startWorker(takeWorker(), { ...task, device, row: firstRow });
  const others = first.ready.then(() =>
    otherRows.map((row) => startWorker(takeWorker(), { ...task, device: cloneOrShare(native, device), row })),
  );
  const manned = others.then((workers) => Promise.all(workers.map(({ ready }) => ready)));
  // Whoever waits for their end is told.
  manned.catch(() => undefined);
  const othersEnded = others.then((workers) => Promise.all(workers.flatMap(({ ready, ended }) => [ready, ended])));
  return { ready: first.ready, manned, ended: Promise.all([first.ended, othersEnded]).then(() => undefined) };
}

/** A queue of its own per worker; kernels before 4.2 share one, which works as well. */
function cloneOrShare(native: Binding, device: number): number {
  try {
    return native.cloneDevice(device);
  } catch (error) {
    log("the device cannot be cloned: %o", error);
    return device;
  }
}

function startWorker(worker: Worker, task: WorkerTask): { ready: Promise<void>; ended: Promise<void> } {
  const ready = new Promise<void>((resolve, reject) => {
    worker.on("message", (message: WorkerMessage) => {
      if (message.kind === "ready") resolve();
      else console.error(message.text);
    });
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`a worker ended with status ${code} before it was ready`)));
  });
  const ended = new Promise<void>((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", () => resolve());
  });
  worker.postMessage(task);
  return { ready, ended };
}

async function unmountNow(unmount: (detach: boolean) => void, detach: boolean): Promise<void> {
  unmount(detach);
  return Promise.resolve();
}

/** A worker that broke down must not leave readers hanging. */
function unmountQuietly(unmount: (detach: boolean) => void): void {
  try {
    unmount(true);
  } catch (error) {
    log("unmounting after a breakdown: %o", error);
  }
}

function raiseReadAhead(mountpoint: string): void {
  const device = mountAt(mountpoint)?.device;
  if (device === undefined) return;
  try {
    writeFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, String(READ_AHEAD_KIB));
  } catch (error) {
    log("read-ahead stays as it is: %o", error);
  }
}
