// fuse-native 2.2.6: libfuse 2.9, whose callbacks run on Node's main thread. Reference: its index.js and fuse-native.c.
import { spawnSync } from "node:child_process";
import { accessSync, constants as fileAccess, readdirSync, readlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { basename, dirname, join } from "node:path";
import type Fuse from "fuse-native";
import { type DirectoryNode, type Node, nodeAt, type Tree } from "../tree/node.js";
import { debug } from "../util/debug.js";
import { systemCode, UserError } from "../util/errors.js";
import { blocksOf, linksOf, modeOf, type Owner, sizeOf } from "./attributes.js";
import { countOpen, countRequest, createCounters, summarise, type Stats } from "./counters.js";
import { errnoOf } from "./errno.js";
import { errorTeller } from "./error-teller.js";
import { opcodes, VALID } from "./protocol.js";
import { withStatsFile } from "./stats-file.js";
import { accessOptions, type MountRequest, type Transport } from "./transport.js";
import { detach, unmount } from "./unmount.js";

const log = debug("libfuse");

/** How often we look whether the mount is gone: libfuse tells nobody. */
const WATCH_MS = 100;

/** Bytes that fuse-native has for the path of the mount point, and for all options together, with a NUL at the end. It cuts off what is longer. */
const TEXT_LIMIT = 1024;

/** dlopen(3): not unloaded even if Node closes it again. Node has no name for it. */
const RTLD_NODELETE = 0x1000;

/** The npm package fuse-native: the fallback where the addon is not built. One thread serves, and it cannot tell where holes are. */
export const libfuse: Transport = {
  name: "libfuse",
  obstacle() {
    if (process.platform !== "linux") return { message: "the libfuse transport is for Linux", hint: "Mount on a Linux machine." };
    return obstacleOfMachine() ?? obstacleOfPackage();
  },
  async mount(request) {
    const { mountpoint, tree } = request;
    if (tree.root.kind !== "directory") {
      throw new UserError(
        `${mountpoint}: the libfuse transport cannot show a disk as a file`,
        "Choose a directory, or --transport devfuse.",
      );
    }
    if (Buffer.byteLength(mountpoint) >= TEXT_LIMIT) {
      throw new UserError(`the path of the mount point has more than ${TEXT_LIMIT - 1} bytes`, "Choose one with a shorter path.");
    }
    const stats = () => summarise(request.counters, { opensAsked: true, passedFiles: 0 });
    const fuse = createFuse(request, stats);
    const others = connections();
    await mountFuse(fuse, request);
    const connection = connections().find((descriptor) => !others.includes(descriptor));
    return {
      ended: end(fuse, connection),
      stats,
      helped: process.geteuid?.() !== 0,
      async unmount(options) {
        await Promise.resolve();
        (options.detach ? detach : unmount)(mountpoint);
      },
    };
  },
};

function obstacleOfMachine(): ReturnType<Transport["obstacle"]> {
  try {
    accessSync("/dev/fuse", fileAccess.R_OK | fileAccess.W_OK);
  } catch (error) {
    if (systemCode(error) === "EACCES")
      return { message: "/dev/fuse may not be opened by you", hint: 'As root, run "chmod 0666 /dev/fuse".' };
    return { message: "there is no /dev/fuse", hint: 'Load the module ("modprobe fuse"); in a container, pass the device in.' };
  }
  if (process.geteuid?.() === 0 || !spawnSync("fusermount", ["--version"], { stdio: "ignore" }).error) return undefined;
  return { message: "fusermount is not installed, and without it only root can mount", hint: "Install the package fuse3." };
}

function obstacleOfPackage(): ReturnType<Transport["obstacle"]> {
  try {
    loadPackage();
    return undefined;
  } catch (error) {
    const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    const hint = reason.includes("libfuse.so.2") ? "Install the package libfuse2." : 'Run "npm install" once more.';
    return { message: `the package fuse-native cannot be loaded: ${reason}`, hint };
  }
}

/** The script of the package: the copy in ours, whose install script nobody has to run, or one that was installed. Undefined where there is none. */
export function fuseNativePath(): string | undefined {
  const require = createRequire(import.meta.url);
  for (const place of ["../libfuse/index.js", "fuse-native"]) {
    try {
      return require.resolve(place);
    } catch (error) {
      log("%s: %o", place, error);
    }
  }
  return undefined;
}

/** Loaded only where it is used: its native part may be missing. */
function loadPackage(): typeof Fuse {
  const path = fuseNativePath();
  if (path === undefined) throw new Error("it is not installed");
  const require = createRequire(import.meta.url);
  try {
    return require(path) as typeof Fuse;
  } catch (error) {
    if (!(error instanceof Error && error.message.includes("libfuse.so.2"))) throw error;
    loadBundledLibrary(dirname(path));
    return require(path) as typeof Fuse;
  }
}

/** Few systems still have libfuse 2. The package brings it along, but under a name that the dynamic loader does not look for. */
function loadBundledLibrary(packageFolder: string): void {
  const library = join(packageFolder, "prebuilds", `${process.platform}-${process.arch}`, "libfuse.so");
  try {
    process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  } catch (error) {
    // Always: it is a library, not an addon. It stays loaded all the same, and is found by the name in it.
    log("%s: %o", library, error);
  }
}

function createFuse(request: MountRequest, stats: () => Stats): Fuse {
  const FuseNative = loadPackage();
  // Its own version runs a shell. We unmount before, so that nothing is left to be done.
  FuseNative.unmount = (_, callback) => callback();
  const fuse = new FuseNative(request.mountpoint, operationsOf(withStatsFile(request.tree, stats), request), { timeout: false });
  // Its own version knows no `ro`, escapes nothing, and makes libfuse chatty if DEBUG has an asterisk.
  fuse._fuseOptions = () => `-o${optionsOf(request)}`;
  return fuse;
}

function optionsOf({ source, allowOther }: MountRequest): string {
  const options = [
    "ro",
    // The daemon has looked into the directory already, as far as the user wanted it.
    "nonempty",
    "subtype=flatmount",
    // What the kernel has read of a file is forgotten if that was modified when it is opened again: stats.json always is, others never.
    "auto_cache",
    "ac_attr_timeout=0",
    ...["attr_timeout", "entry_timeout", "negative_timeout"].map((name) => `${name}=${VALID}`),
    ...(allowOther ? accessOptions : []),
  ].join(",");
  const withSource = (name: string) => `${options},fsname=${name.replace(/[\\,]/g, "\\$&")}`;
  // A name has at most 255 bytes, so it fits even if all of them are escaped.
  return Buffer.byteLength(withSource(source)) < TEXT_LIMIT - "-o".length ? withSource(source) : withSource(basename(source));
}

async function mountFuse(fuse: Fuse, { mountpoint, allowOther }: MountRequest): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => fuse.mount((error) => (error ? reject(error) : resolve())));
  } catch (error) {
    const hint =
      allowOther && process.geteuid?.() !== 0
        ? "If /etc/fuse.conf has no line user_allow_other, write it there, or leave out --allow-other."
        : 'Run "flatmount doctor" to see what is missing.';
    // All it says of a mount that was refused is "fuse failed".
    const reason = error instanceof Error && error.message !== "fuse failed" ? `: ${error.message}` : "";
    throw new UserError(`${mountpoint}: libfuse cannot mount here${reason}`, hint, error);
  }
}

/** Our descriptors of FUSE connections. */
function connections(): readonly string[] {
  return readdirSync("/proc/self/fd").filter(isConnection);
}

function isConnection(descriptor: string): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`) === "/dev/fuse";
  } catch {
    return false;
  }
}

/** Settles when libfuse has closed the connection: not when the mount is out of sight, but when its last user is gone. */
function end(fuse: Fuse, connection: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      if (connection !== undefined && isConnection(connection)) return;
      clearInterval(timer);
      fuse.unmount((error) => (error ? reject(error) : resolve()));
    }, WATCH_MS);
  });
}

const { EISDIR, EINVAL, ENOENT, ENOTDIR, EROFS } = constants.errno;

/** The access mode in the flags of open(2), fcntl.h. */
const O_ACCMODE = 3;

function operationsOf(tree: Tree, { counters, activity, ...owner }: MountRequest): Fuse.Operations {
  const onError = errorTeller((text) => console.error(text));
  const [row = createCounters(1)[0]!] = counters;

  /** Replies with what `work` makes of the node at `path`: an errno if that is a number or an error. Counted as `opcode`. */
  function answer<T extends readonly unknown[] | []>(
    opcode: number,
    path: string,
    reply: Fuse.Reply<T>,
    work: (node: Node) => T | number,
  ): void {
    const result = attempt(path, work);
    countRequest(row, opcode, typeof result === "number" ? result : 0);
    if (typeof result === "number") reply(result);
    else reply(0, ...result);
  }

  function open(flags: number): [descriptor: number] | number {
    if ((flags & O_ACCMODE) !== 0) return -EROFS;
    countOpen(row, "server");
    return [0];
  }

  function attempt<T>(path: string, work: (node: Node) => T | number): T | number {
    if (activity) activity[0] = 1;
    try {
      const node = nodeAt(tree, path);
      return node ? work(node) : -ENOENT;
    } catch (error) {
      onError(error);
      return -errnoOf(error);
    }
  }

  return {
    getattr: (path, reply) => answer(opcodes.GETATTR, path, reply, (node) => [statOf(node, owner)]),
    readdir: (path, reply) =>
      answer(opcodes.READDIR, path, reply, (node) => (node.kind === "directory" ? listingOf(node, owner) : -ENOTDIR)),
    readlink: (path, reply) => answer(opcodes.READLINK, path, reply, (node) => (node.kind === "symlink" ? [node.target] : -EINVAL)),
    open: (path, flags, reply) => answer(opcodes.OPEN, path, reply, () => open(flags)),
    read(path, _descriptor, buffer, length, offset, reply) {
      const result = attempt(path, (node) => readInto(buffer, node, length, offset));
      countRequest(row, opcodes.READ, result);
      reply(result);
    },
    statfs: (path, reply) => answer(opcodes.STATFS, path, reply, () => [statfsOf(tree)]),
  };
}

function statOf(node: Node, { uid, gid }: Owner): Fuse.Stat {
  const time = Math.max(0, node.modified);
  return {
    mode: modeOf(node),
    uid: node.uid ?? uid,
    gid: node.gid ?? gid,
    size: sizeOf(node),
    nlink: linksOf(node),
    blksize: 4096,
    blocks: blocksOf(node),
    atime: time,
    mtime: time,
    ctime: time,
  };
}

function listingOf(directory: DirectoryNode, owner: Owner): [readonly string[], readonly Fuse.Stat[]] {
  const entries = [{ name: ".", node: directory }, { name: "..", node: directory }, ...directory.entries()];
  return [entries.map(({ name }) => name), entries.map(({ node }) => statOf(node, owner))];
}

/** How many bytes were read, or an errno. */
function readInto(buffer: Buffer, node: Node, length: number, offset: number): number {
  if (node.kind !== "file") return -EISDIR;
  const bytes = Math.max(0, Math.min(length, node.file.size - offset));
  if (bytes > 0) node.file.read(buffer.subarray(0, bytes), offset);
  return bytes;
}

/** What df shows: a file system that is full, as one that cannot be written is. */
function statfsOf({ root }: Tree): Fuse.Statfs {
  const files = root.kind === "directory" ? [...root.entries()].map(({ node }) => node) : [root];
  const bytes = files.reduce((sum, node) => sum + (node.kind === "file" ? node.file.size : 0), 0);
  let unit = 4096;
  while (bytes / unit >= 2 ** 32) unit *= 2;
  return { bsize: unit, frsize: unit, blocks: Math.ceil(bytes / unit), namemax: 255 };
}
