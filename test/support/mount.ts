// Real mounts, served by real daemons in processes of their own: whoever reads a mount in the process that serves it waits for ever.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { isAlive } from "../../src/daemon/process.js";
import type { MountRecord } from "../../src/daemon/state.js";
import { mountAt, mountsOf } from "../../src/fuse/mountinfo.js";
import type { TransportName } from "../../src/fuse/transport.js";
import { installForAll } from "./installed.js";
import { subdirectory, tempDirectory } from "./temp.js";

export const isRoot = process.geteuid?.() === 0;

/** `nobody`, where the tests run as root; otherwise whoever runs them. */
export const ordinaryUser = isRoot ? { uid: 65_534, gid: 65_534 } : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

export const { node, program } = installForAll();

/** How long anything may take here, the machine being busy with other tests. */
const PATIENCE_MS = 20_000;

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A mount whose daemon is a child of ours. */
export interface Served {
  readonly mountpoint: string;
  /** Path of the flat disk. */
  readonly disk: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** What the daemon wrote to standard error until now. */
  said(): string;
  /** How the daemon ended: its status, or the signal that killed it. */
  readonly ended: Promise<number | string | null>;
  /** Takes the mount away as anybody would, and waits for the daemon. */
  leave(): Promise<void>;
}

export interface ServeOptions {
  /** Options for `flatmount mount`. */
  readonly options?: readonly string[];
  /** A fresh directory, if absent. */
  readonly mountpoint?: string;
  readonly as?: "ordinary user";
}

export interface Mounts {
  /** Everybody may look into it. */
  readonly directory: string;
  readonly transport: TransportName;
  /** Mounts in the foreground; resolves when the view can be read. */
  serve(image: string, options?: ServeOptions): Promise<Served>;
  /** Mounts in the background, as `flatmount mount` does unless told otherwise. */
  start(image: string, mountpoint?: string, options?: readonly string[]): MountRecord;
  /** Runs `flatmount` to its end. */
  flatmount(words: readonly string[], as?: "ordinary user"): Finished;
  /** What `flatmount list` shows; only mounts of these tests are in it. */
  list(as?: "ordinary user"): readonly MountRecord[];
  /** The files that stand for running mounts. */
  stateFiles(as?: "ordinary user"): readonly string[];
}

/** A `describe` that is skipped, and says why, where nothing can be mounted; with `CI` it fails instead. */
export function describeMounts(title: string, body: () => void): void {
  const reason = obstacle();
  if (reason !== undefined && process.env["CI"]) throw new Error(`mounts cannot be tested: ${reason}`);
  if (reason === undefined) {
    describe(title, body);
    return;
  }
  console.warn(`${title}: skipped, for ${reason}`);
  describe.skip(title, () => test("what needs mounts", () => undefined));
}

function obstacle(): string | undefined {
  if (!existsSync(program)) return 'nothing has been built ("npm run build")';
  if (!existsSync("/dev/fuse")) return "there is no /dev/fuse";
  if (!isRoot && spawnSync("fusermount3", ["--version"]).error) return "there is no fusermount3";
  return undefined;
}

/** To be called where a `describe` begins; `always` are options for every mount. All that is mounted is gone when it is done. */
export function useMounts(transport: TransportName, always: readonly string[] = []): Mounts {
  const directory = tempDirectory();
  beforeAll(() => chmodSync(directory, 0o755));
  const children: Served[] = [];
  const daemons: MountRecord[] = [];
  const mounts = createMounts(directory, [transport, ...always], {
    onServed: (served) => children.push(served),
    onStarted: (record) => daemons.push(record),
  });
  afterAll(async () => {
    for (const { child } of children) if (child.exitCode === null) child.kill("SIGKILL");
    for (const daemon of daemons) if (isAlive(daemon)) process.kill(daemon.pid, "SIGKILL");
    for (const { mountpoint } of mountsOf().filter((mount) => mount.mountpoint.startsWith(`${directory}/`))) detach(mountpoint);
    await Promise.all(children.map(({ ended }) => ended));
  });
  return mounts;
}

interface Watchers {
  readonly onServed: (served: Served) => void;
  readonly onStarted: (record: MountRecord) => void;
}

function createMounts(
  directory: string,
  [transport, ...always]: readonly [TransportName, ...string[]],
  { onServed, onStarted }: Watchers,
): Mounts {
  const runtimeOf = (as: "ordinary user" | undefined) => {
    const folder = join(directory, as ?? "runtime");
    if (existsSync(folder)) return folder;
    mkdirSync(folder, { mode: 0o700 });
    if (as) chownSync(folder, ordinaryUser.uid, ordinaryUser.gid);
    return folder;
  };
  const freshMountpoint = (as: "ordinary user" | undefined) => {
    const folder = subdirectory(directory);
    if (as) chownSync(folder, ordinaryUser.uid, ordinaryUser.gid);
    return folder;
  };
  const settings = (as: "ordinary user" | undefined) => ({
    cwd: directory,
    env: { ...process.env, XDG_RUNTIME_DIR: runtimeOf(as), LC_ALL: "C" },
    ...(as && ordinaryUser),
  });
  const flatmount: Mounts["flatmount"] = (words, as) => {
    const { error, status, stdout, stderr } = spawnSync(node, [program, ...words], {
      ...settings(as),
      encoding: "utf8",
      timeout: PATIENCE_MS,
    });
    if (error) throw error;
    return { status, stdout, stderr };
  };

  return {
    directory,
    transport,
    flatmount,
    async serve(image, { options = [], as, mountpoint = freshMountpoint(as) } = {}) {
      const words = [program, "mount", "--transport", transport, "--foreground", ...always, ...options, image, mountpoint];
      const child = spawn(node, words, { ...settings(as), stdio: ["ignore", "pipe", "pipe"] });
      const served = watch(child, mountpoint);
      onServed(served);
      await ready(served);
      return served;
    },
    start(image, mountpoint = freshMountpoint(undefined), options = []) {
      const words = ["mount", "--json", "--transport", transport, ...always, ...options, image, mountpoint];
      const { status, stdout, stderr } = flatmount(words);
      if (status !== 0) throw new Error(`flatmount mount ended with ${status}\n${stderr}`);
      const record = JSON.parse(stdout) as MountRecord;
      onStarted(record);
      return record;
    },
    list: (as) => JSON.parse(flatmount(["list", "--json"], as).stdout) as MountRecord[],
    stateFiles(as) {
      const folder = join(runtimeOf(as), "flatmount");
      return existsSync(folder) ? readdirSync(folder) : [];
    },
  };
}

function watch(child: ChildProcess, mountpoint: string): Served {
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const ended = new Promise<number | string | null>((resolve) => {
    child.once("close", (code, signal) => resolve(signal ?? code));
  });
  return {
    mountpoint,
    disk: join(mountpoint, "disk.raw"),
    pid: child.pid ?? 0,
    child,
    said: () => errors,
    ended,
    async leave() {
      runUnmount(mountpoint);
      const status = await within(ended, "the daemon to end");
      if (status !== 0) throw new Error(`the daemon ended with ${status}\n${errors}`);
    },
  };
}

async function ready({ child, ended, said }: Served): Promise<void> {
  const spoken = new Promise<true>((resolve) => child.stdout?.once("data", () => resolve(true)));
  const result = await within(Promise.race([spoken, ended]), "the mount");
  if (result !== true) throw new Error(`flatmount mount ended with ${result}\n${said()}`);
}

/** What `promise` resolves with; fails if that takes too long. */
export async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${PATIENCE_MS} ms for ${what}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `condition` holds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Unmounts with the system's own program. */
export function runUnmount(mountpoint: string): void {
  const [name = "", ...words] = isRoot ? ["umount", mountpoint] : ["fusermount3", "-u", mountpoint];
  const { status, stderr } = spawnSync(name, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${name} ${mountpoint}: ${stderr}`);
}

/** Whatever became of it: afterwards nothing is mounted there. */
function detach(mountpoint: string): void {
  while (mountAt(mountpoint)) {
    const [name = "", ...words] = isRoot ? ["umount", "-l", mountpoint] : ["fusermount3", "-uz", mountpoint];
    if (spawnSync(name, words).status !== 0) return;
  }
}
