// Loop devices over what a mount shows, as the kernel tells of them. Reference: /sys/block/loopN of sysfs; loop(4).
import { readdirSync, readFileSync } from "node:fs";
import { mountAt, mountsOf } from "../fuse/mountinfo.js";
import { detach } from "../fuse/unmount.js";
import { detachLoop } from "../native/loop.js";
import { systemCode } from "../util/errors.js";
import { holdersOf } from "./process.js";

/** One loop device, told from a later one with the same number. */
export interface LoopDevice {
  readonly number: number;
  /** What it shows, as a path in the mount: `/disk.raw`. */
  readonly file: string;
  /** How many disks the kernel has seen before; absent before Linux 5.15. */
  readonly sequence?: number;
}

/** A file system that `attach` mounted. */
export interface MountedFileSystem {
  /** Absolute path, links resolved. */
  readonly mountpoint: string;
  /** Such as `/dev/loop0`. */
  readonly device: string;
  /** As mount(2) calls it. */
  readonly type: string;
  readonly options: readonly string[];
  /** Whether the mount point was made for it, and goes with it. */
  readonly createdMountpoint: boolean;
}

/** What `flatmount attach` made of a mount. */
export interface Attachment {
  /** The same for the same image and the same way to read it. */
  readonly key: string;
  readonly loops: readonly LoopDevice[];
  /** Whether the devices stay until `flatmount detach`, rather than until what is mounted from them is gone. */
  readonly kept: boolean;
  /** The disk's device; absent where a part of it was asked for. */
  readonly device?: string;
  readonly parts: readonly AttachedPart[];
  readonly mounts: readonly MountedFileSystem[];
}

/** A partition or a volume, or the disk where it has none, as `attach` tells of it. */
export interface AttachedPart {
  /** A partition's number, a volume's name; `disk` for the whole disk. */
  readonly id: string;
  /** In the mount: `/partitions/1.raw`. */
  readonly file: string;
  /** Bytes on the disk; absent for a volume, which may lie in pieces. */
  readonly start?: number;
  /** Bytes. */
  readonly size: number;
  /** In words, as the partition table or the volume manager has it. */
  readonly typeName: string;
  readonly name?: string;
  /** Absent where nothing known was found. One that Linux does not mount has no type, but may have advice. */
  readonly fileSystem?: {
    readonly name: string;
    readonly type?: string;
    readonly options?: readonly string[];
    readonly advice?: string;
  };
  /** Such as `/dev/loop0p1`; absent for what has none. */
  readonly device?: string;
}

export function identifyLoop(number: number, file: string): LoopDevice {
  const sequence = readText(`/sys/block/loop${number}/diskseq`);
  return { number, file, ...(sequence !== "" && { sequence: Number(sequence) }) };
}

/** What `/dev/loop3` stands for, as the kernel tells it; undefined for a free one. */
export function backingFile(device: string): string | undefined {
  const path = readText(device.replace("/dev/", "/sys/block/").concat("/loop/backing_file"));
  return path === "" ? undefined : path;
}

/** Whether it still stands for what it was made for. `mountpoint`: where the file's mount stands, or stood. */
export function isAttached({ number, file, sequence }: LoopDevice, mountpoint: string): boolean {
  const backing = backingFile(`/dev/loop${number}`);
  // Of a mount that is out of sight, the kernel tells the way from its root alone.
  if (backing !== `${mountpoint}${file}` && backing !== file) return false;
  const current = readText(`/sys/block/loop${number}/diskseq`);
  return sequence === undefined || current === "" || Number(current) === sequence;
}

/** Loop devices over files of the mount at `mountpoint`, whoever made them. */
export function loopsOver(mountpoint: string): readonly LoopDevice[] {
  return namesIn("/sys/block").flatMap((name) => {
    const number = /^loop(\d+)$/.exec(name)?.[1];
    const backing = number === undefined ? undefined : backingFile(`/dev/${name}`);
    return backing?.startsWith(`${mountpoint}/`) ? [identifyLoop(Number(number), backing.slice(mountpoint.length))] : [];
  });
}

/** `/dev/loop3` and its partitions. */
function nodesOf({ number }: LoopDevice): readonly string[] {
  const name = `loop${number}`;
  const partitions = namesIn(`/sys/block/${name}`).filter((each) => each.startsWith(`${name}p`));
  return [name, ...partitions].map((each) => `/dev/${each}`);
}

/** Who uses a loop device or a partition of it, for a message; nobody gives an empty list. */
export function usersOf(loop: LoopDevice): readonly string[] {
  const nodes = nodesOf(loop);
  const mounted = mountsOf().flatMap(({ source, mountpoint }) => (nodes.includes(source) ? [`what is mounted at ${mountpoint}`] : []));
  const names = nodes.map((node) => node.replace("/dev/", ""));
  const mapped = names.flatMap((name, index) => {
    const folder = index === 0 ? `/sys/block/${name}/holders` : `/sys/block/${names[0]}/${name}/holders`;
    return namesIn(folder).map((each) => `/dev/${each}`);
  });
  return [...mounted, ...mapped, ...nodes.flatMap(holdersOf)];
}

/** Lets those go that are still attached. One that is in use goes with its last user. */
export function releaseLoops(loops: readonly LoopDevice[], mountpoint: string): void {
  for (const loop of loops) {
    if (!isAttached(loop, mountpoint)) continue;
    try {
      detachLoop(loop.number);
    } catch (error) {
      // Gone just now, by itself.
      if (systemCode(error) !== "ENXIO") throw error;
    }
  }
}

/** Whether the file system still stands there, and is the one that was mounted. */
export function isMounted({ mountpoint, device }: MountedFileSystem): boolean {
  return mountAt(mountpoint)?.source === device;
}

/** Takes out of sight what a killed daemon left: reading it gives errors now. */
export function releaseDead({ loops, mounts }: Attachment, mountpoint: string): void {
  for (const mounted of mounts) if (isMounted(mounted)) detach(mounted.mountpoint);
  releaseLoops([...loops, ...loopsOver(mountpoint)], mountpoint);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8").trimEnd();
  } catch {
    return "";
  }
}
