import type { Helper, Machine } from "./machine.js";

/** One thing that was looked at. `missing`: some way of mounting does not work without it. */
export interface Check {
  readonly status: "ok" | "missing" | "note";
  readonly what: string;
  readonly detail: string;
  /** How to get it. */
  readonly hint?: string;
}

export interface Diagnosis {
  readonly checks: readonly Check[];
  /** The transports that can mount here, the preferred one first. */
  readonly transports: readonly ("devfuse" | "libfuse")[];
}

/** What the machine lacks, and which transports can mount on it all the same. */
export function diagnose(machine: Machine): Diagnosis {
  if (machine.platform === "linux") {
    const checks = [node, kernel, addon, device, permission, helper, passthrough, allowOther, fallback, loop, confinement].map((check) =>
      check(machine),
    );
    const transports = [...(devfuseWorks(machine) ? ["devfuse" as const] : []), ...(libfuseWorks(machine) ? ["libfuse" as const] : [])];
    return { checks, transports };
  }
  const checks = [node, fallback, macFuse].map((check) => check(machine));
  return { checks, transports: machine.fuseNative && machine.macFuse ? ["libfuse"] : [] };
}

function devfuseWorks(machine: Machine): boolean {
  return machine.addon === "loaded" && (mountsDirectly(machine) || mountsThrough(helperOf(machine), machine));
}

/** libfuse 2 looks for its own helper only. */
function libfuseWorks(machine: Machine): boolean {
  return machine.fuseNative && (mountsDirectly(machine) || mountsThrough(machine.fusermount, machine));
}

function mountsDirectly({ root, mayMount, fuse }: Machine): boolean {
  return root && mayMount && fuse === "usable";
}

/** The helper opens the device with the user's own permission. */
function mountsThrough(program: Helper | undefined, { root, mayMount, noNewPrivileges, fuse }: Machine): boolean {
  return !root && mayMount && !noNewPrivileges && program?.setuid === true && fuse === "usable";
}

function helperOf({ fusermount3, fusermount }: Machine): Helper | undefined {
  return fusermount3 ?? fusermount;
}

const OLDEST_NODE = [20, 19] as const;
/** FUSE 7.31; older kernels of some distributions have it, too. */
const OLDEST_KERNEL = [5, 4] as const;

function isBefore(version: string, [oldestMajor, oldestMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  return major < oldestMajor || (major === oldestMajor && minor < oldestMinor);
}

function node({ node: version }: Machine): Check {
  const what = "Node.js";
  if (!isBefore(version, OLDEST_NODE)) return { status: "ok", what, detail: version };
  return {
    status: "missing",
    what,
    detail: `${version}; it takes ${OLDEST_NODE.join(".")} or later`,
    hint: "Install a newer one from nodejs.org.",
  };
}

function kernel({ kernel: version }: Machine): Check {
  const what = "kernel";
  if (!isBefore(version, OLDEST_KERNEL)) return { status: "ok", what, detail: version };
  return { status: "note", what, detail: `${version}; before ${OLDEST_KERNEL.join(".")} mounts may fail` };
}

function addon({ addon: found }: Machine): Check {
  const what = "native addon";
  if (found === "loaded") return { status: "ok", what, detail: "loaded" };
  const tools = "With a C++ compiler, make, and the static libraries of libdeflate and zstd";
  const hint = `${tools} (apt install build-essential libdeflate-dev libzstd-dev), run "npm run build:native".`;
  const detail =
    found === "missing" ? "not built; without it mounts are slow, and holes are not seen" : `cannot be loaded: ${found.failure}`;
  return { status: "missing", what, detail, hint };
}

const CONTAINER_HINT = "In a container: start it with --device /dev/fuse --cap-add SYS_ADMIN.";

function device({ fuse }: Machine): Check {
  const what = "/dev/fuse";
  const hint = `Run "modprobe fuse" as root. ${CONTAINER_HINT}`;
  switch (fuse) {
    case "usable":
      return { status: "ok", what, detail: "can be opened" };
    case "ENOENT":
      return { status: "missing", what, detail: "it does not exist", hint };
    case "EPERM":
      return { status: "missing", what, detail: "it may not be opened, whoever one is (EPERM)", hint: CONTAINER_HINT };
    case "EACCES":
      return { status: "missing", what, detail: "permission denied", hint: 'Run "chmod 0666 /dev/fuse" as root.' };
    default:
      return { status: "missing", what, detail: `it cannot be opened (${fuse})`, hint };
  }
}

function permission({ root, mayMount, noNewPrivileges }: Machine): Check {
  const what = "right to mount";
  if (!mayMount) return { status: "missing", what, detail: "this container may not mount (no CAP_SYS_ADMIN)", hint: CONTAINER_HINT };
  if (root) return { status: "ok", what, detail: "root" };
  if (!noNewPrivileges) return { status: "ok", what, detail: "through the helper" };
  return {
    status: "missing",
    what,
    detail: "setuid programs get no privileges here (no_new_privs)",
    hint: "Leave the sandbox that this shell runs in.",
  };
}

function helper(machine: Machine): Check {
  const what = "fusermount3";
  const found = helperOf(machine);
  if (found?.setuid) return { status: "ok", what, detail: `${found.path}, setuid root` };
  const status = machine.root ? "note" : "missing";
  if (!found) {
    const hint = "Install the package fuse3 (apt install fuse3, dnf install fuse3, pacman -S fuse3).";
    return { status, what, detail: "not installed; only root can mount", hint };
  }
  const hint = `Run "chmod u+s ${found.path}" as root, or install fuse3 anew.`;
  return { status, what, detail: `${found.path} is not setuid root; only root can mount`, hint };
}

/** From here on reads can pass through to the image file itself, and from there on to an index over it. */
const PASSING_KERNELS = { image: [6, 9], index: [6, 18] } as const;

function passthrough({ root, addon: found, kernel: version, erofs }: Machine): Check {
  const what = "passthrough";
  const served = "every read is answered by flatmount";
  if (!root) return { status: "note", what, detail: `${served}: the kernel answers reads itself for root only` };
  if (found !== "loaded") return { status: "note", what, detail: `${served}, without the addon` };
  if (isBefore(version, PASSING_KERNELS.image))
    return { status: "note", what, detail: `${served}: it takes Linux ${PASSING_KERNELS.image.join(".")}` };
  if (isBefore(version, PASSING_KERNELS.index)) {
    return { status: "note", what, detail: `for raw images only: others take Linux ${PASSING_KERNELS.index.join(".")}` };
  }
  if (!erofs)
    return { status: "note", what, detail: "for raw images only, unless the kernel has EROFS", hint: 'Run "modprobe erofs" as root.' };
  return { status: "ok", what, detail: "what is stored plainly is read by the kernel alone" };
}

function allowOther({ userAllowOther }: Machine): Check {
  const what = "user_allow_other";
  if (userAllowOther) return { status: "ok", what, detail: "set in /etc/fuse.conf" };
  return {
    status: "note",
    what,
    detail: "not set in /etc/fuse.conf; only root can use --allow-other",
    hint: 'Run "echo user_allow_other >> /etc/fuse.conf" as root.',
  };
}

function fallback(machine: Machine): Check {
  const what = "libfuse";
  if (!machine.fuseNative) {
    return { status: "note", what, detail: "the package fuse-native is not installed", hint: 'Run "npm install fuse-native".' };
  }
  if (machine.platform !== "linux" || machine.root || machine.fusermount?.setuid) return { status: "ok", what, detail: "installed" };
  const hint = "Install the package with libfuse 2's helper (apt install fuse3, dnf install fuse, pacman -S fuse2).";
  return { status: "note", what, detail: "installed, but users need a setuid program called fusermount for it", hint };
}

function loop({ loopControl }: Machine): Check {
  const what = "loop devices";
  if (loopControl === "usable") return { status: "ok", what, detail: "the file systems on a mounted disk can be mounted" };
  return {
    status: "note",
    what,
    detail: `/dev/loop-control cannot be opened (${loopControl}); mounting the file systems on a disk takes them`,
    hint: loopControl === "EACCES" ? 'Mount them as root, or with "udisksctl loop-setup".' : 'Run "modprobe loop" as root.',
  };
}

/** The first Landlock that forbids connections. */
const LANDLOCK_NETWORK = 4;

function confinement({ addon: found, landlock }: Machine): Check {
  const what = "confinement";
  if (found !== "loaded") return { status: "note", what, detail: "a daemon keeps the rights that it was started with, without the addon" };
  if (landlock === 0) {
    const hint = "See landlock(7): it takes Linux 5.13 or later, and landlock among those that the kernel was started with (lsm=).";
    return { status: "note", what, detail: "a daemon gives up capabilities, but the kernel has no Landlock to keep it from files", hint };
  }
  const more = landlock < LANDLOCK_NETWORK ? "" : ", and the network";
  return { status: "ok", what, detail: `what serves a mount is kept from files other than the image's${more} (Landlock ${landlock})` };
}

function macFuse({ macFuse: installed }: Machine): Check {
  const what = "macFUSE";
  if (installed) return { status: "ok", what, detail: "installed" };
  return { status: "missing", what, detail: "not installed", hint: "Install it from macfuse.io." };
}
