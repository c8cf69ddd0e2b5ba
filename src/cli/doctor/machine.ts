import { accessSync, closeSync, constants, openSync, readFileSync, statSync } from "node:fs";
import { release } from "node:os";
import { delimiter, join } from "node:path";
import { fuseNativePath } from "../../fuse/libfuse.js";
import { systemCode } from "../../util/errors.js";

/** What a machine offers, as far as mounting needs it. Plain facts, so that tests can make machines up. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  /** Such as `20.19.0`. */
  readonly node: string;
  /** Such as `6.1.0-18-amd64`. */
  readonly kernel: string;
  readonly addon: "loaded" | "missing" | { readonly failure: string };
  /** Whether the package of the fallback transport is installed. */
  readonly fuseNative: boolean;
  readonly root: boolean;
  /** Whether this process, or for users a setuid helper that it starts, may mount at all: containers take that right away. */
  readonly mayMount: boolean;
  /** Whether setuid programs get no privileges here. */
  readonly noNewPrivileges: boolean;
  readonly fuse: DeviceAccess;
  readonly loopControl: DeviceAccess;
  readonly fusermount3: Helper | undefined;
  /** Of libfuse 2, often a link to fusermount3. */
  readonly fusermount: Helper | undefined;
  /** Whether /etc/fuse.conf lets users show mounts to others. */
  readonly userAllowOther: boolean;
  /** Whether the kernel knows EROFS already; it may load it when it is asked for. */
  readonly erofs: boolean;
  /** Which Landlock the kernel has; 0 for none that can be used. */
  readonly landlock: number;
  /** Whether macFUSE is installed (macOS). */
  readonly macFuse: boolean;
}

/** How opening a device for reading and writing ends: usable, or the system's error code. */
export type DeviceAccess = "usable" | "ENOENT" | "EACCES" | (string & {});

export interface Helper {
  readonly path: string;
  /** Whether it runs as root whoever starts it. */
  readonly setuid: boolean;
}

/** Looks at this machine. Changes nothing. */
export async function lookAround(): Promise<Machine> {
  const root = process.geteuid?.() === 0;
  const status = readText("/proc/self/status");
  return {
    platform: process.platform,
    node: process.versions.node,
    kernel: release(),
    addon: await loadAddon(),
    fuseNative: fuseNativePath() !== undefined,
    root,
    // For users the bounding set counts: it is the most that a setuid program can get.
    mayMount: hasCapability(status, root ? "CapEff" : "CapBnd", CAP_SYS_ADMIN),
    noNewPrivileges: /^NoNewPrivs:\s*1$/m.test(status),
    fuse: tryDevice("/dev/fuse"),
    loopControl: tryDevice("/dev/loop-control"),
    fusermount3: findHelper("fusermount3"),
    fusermount: findHelper("fusermount"),
    userAllowOther: /^\s*user_allow_other\s*$/m.test(readText("/etc/fuse.conf")),
    erofs: /\berofs$/m.test(readText("/proc/filesystems")),
    landlock: await versionOfLandlock(),
    macFuse: statSync("/Library/Filesystems/macfuse.fs", { throwIfNoEntry: false }) !== undefined,
  };
}

/** inode(7). */
const SETUID = 0o4000;

/** capabilities(7). */
const CAP_SYS_ADMIN = 21n;

/** Reference: proc(5), /proc/pid/status. True where there is no such file. */
function hasCapability(status: string, set: "CapEff" | "CapBnd", capability: bigint): boolean {
  const mask = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1];
  return mask === undefined || ((BigInt(`0x${mask}`) >> capability) & 1n) === 1n;
}

async function loadAddon(): Promise<Machine["addon"]> {
  const { binding, bindingFailure } = await import("../../native/binding.js");
  if (binding) return "loaded";
  return bindingFailure === undefined ? "missing" : { failure: bindingFailure };
}

async function versionOfLandlock(): Promise<number> {
  const { landlockVersion } = await import("../../native/confinement.js");
  return landlockVersion();
}

/** Opened, and not only looked at: containers deny devices whatever their permission bits say. */
function tryDevice(path: string): DeviceAccess {
  try {
    closeSync(openSync(path, "r+"));
    return "usable";
  } catch (error) {
    return systemCode(error) ?? String(error);
  }
}

function findHelper(name: string): Helper | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== ""), "/bin", "/usr/bin", "/usr/local/bin"];
  const path = folders.map((folder) => join(folder, name)).find(isProgram);
  if (path === undefined) return undefined;
  const { mode, uid } = statSync(path);
  return { path, setuid: uid === 0 && (mode & SETUID) !== 0 };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
