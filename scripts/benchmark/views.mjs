// One mounted image, from the start of its program to the end of its last process. Nothing stays mounted, whatever happens.
import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { marked, run, sleep, start } from "./processes.mjs";

/**
 * @typedef {object} View
 * @property {string} file The flat disk.
 * @property {string} root Where the files of a container are.
 * @property {string} mark Of the processes that serve it.
 * @property {number} firstByte Milliseconds from the start of the program to the first 512 bytes of the disk.
 * @property {() => Promise<void>} stop
 */

/** Milliseconds. A program that shows nothing until then never will. */
const START_LIMIT = 60_000;

/** What is mounted or being mounted, by mark. @type {Map<string, { mountpoint: string, directory: string }>} */
const active = new Map();

/**
 * @param {import("./peers.mjs").Peer} peer
 * @param {import("./images.mjs").Case} sample
 * @returns {Promise<View>}
 */
export async function openView(peer, { image, flat, size, format, tree }) {
  if (!peer.command) return { file: flat ?? image, root: "", mark: "", firstByte: Number.NaN, stop: async () => undefined };
  const mark = randomUUID();
  const directory = mkdtempSync(join(tmpdir(), "flatmount-bench-"));
  const mountpoint = join(directory, "view");
  if (peer.mountpoint === "file") writeFileSync(mountpoint, "");
  else mkdirSync(mountpoint);
  const root = join(mountpoint, peer.tree ?? "");
  const file = tree ? join(root, tree.probe) : join(mountpoint, peer.disk);
  active.set(mark, { mountpoint, directory });

  const deadline = new Promise((resolve) => setTimeout(() => resolve(false), START_LIMIT).unref());
  const begin = performance.now();
  const server = start(peer.command(image, mountpoint, format), mark);
  try {
    while (!(await Promise.race([isReadable(file, size), deadline]))) {
      if (server.failed)
        throw new Error(`${peer.name} cannot show ${image} (${server.end}): ${server.output.stderr.trim().split("\n")[0]}`);
      if (performance.now() - begin > START_LIMIT) throw new Error(`${peer.name} does not show ${image} after ${START_LIMIT} ms`);
      await sleep(0.5);
    }
    const firstByte = performance.now() - begin;
    return { file, root, mark, firstByte, stop: () => close(peer, server, mark, mountpoint) };
  } catch (error) {
    takeAway(mark);
    throw error;
  }
}

/** Asynchronous: a program that hangs must not make the benchmark hang. */
async function isReadable(/** @type {string} */ file, /** @type {number} */ size) {
  try {
    if ((await stat(file)).size !== size) return false;
    const handle = await open(file, "r");
    try {
      return (await handle.read(Buffer.alloc(512), 0, 512, 0)).bytesRead === 512;
    } finally {
      await handle.close();
    }
  } catch {
    return false;
  }
}

/** Unmounts as the program's manual says, and waits until no process of it is left. */
async function close(
  /** @type {import("./peers.mjs").Peer} */ peer,
  /** @type {ReturnType<typeof start>} */ server,
  /** @type {string} */ mark,
  /** @type {string} */ mountpoint,
) {
  try {
    if (typeof peer.stop === "function") await run(peer.stop(mountpoint), { seconds: 30 });
    else server.child.kill("SIGTERM");
    for (let waited = 0; marked(mark).length > 0 && waited < 10_000; waited += 10) await sleep(10);
    if (marked(mark).length > 0 || isMounted(mountpoint)) throw new Error(`${peer.name} does not end`);
  } finally {
    takeAway(mark);
  }
}

/** By force, and without waiting for anything: also for the way out. */
function takeAway(/** @type {string} */ mark) {
  const view = active.get(mark);
  if (!view) return;
  // Processes first: one of them may be about to mount.
  for (let pids = marked(mark), round = 0; pids.length > 0 && round < 100; pids = marked(mark), round += 1) {
    for (const pid of pids) kill(pid);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
  if (isMounted(view.mountpoint)) spawnSync("umount", ["--lazy", view.mountpoint]);
  if (!isMounted(view.mountpoint)) rmSync(view.directory, { recursive: true, force: true });
  active.delete(mark);
}

function kill(/** @type {number} */ pid) {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

export function takeAwayAll() {
  for (const mark of active.keys()) takeAway(mark);
}

function isMounted(/** @type {string} */ mountpoint) {
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .some((line) => line.split(" ")[1] === mountpoint);
}
