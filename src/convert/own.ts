import { fstatSync, readdirSync, readFileSync, realpathSync, type Stats, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { OpenedFile } from "../source/file.js";

/** Layers of devices that are looked through: loop devices, LVM, RAID, encryption. */
const DEPTH_LIMIT = 16;

/** Where bytes are in the end. */
interface Storage {
  /** Files, by device and inode. */
  readonly files: readonly string[];
  /** Folders of sysfs; a partition's lies in its disk's. */
  readonly devices: readonly string[];
}

/** Whether `target` is one of `files`, or a device over one, or a device that shares bytes with one. */
export function isOwn(target: Stats, files: readonly OpenedFile[]): boolean {
  const under = storageOf(target);
  const itself = storageOf(target, 0);
  return files.some(({ fd }) => {
    const stat = fstatSync(fd);
    // Two volumes on one disk share nothing: what is below one of the two is compared with the other one itself.
    return overlap(under, storageOf(stat, 0)) || overlap(itself, storageOf(stat));
  });
}

function overlap(a: Storage, b: Storage): boolean {
  if (a.files.some((file) => b.files.includes(file))) return true;
  return a.devices.some((one) => b.devices.some((other) => one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`)));
}

/** What is written or read with it; `depth`: how far below a device is looked. */
function storageOf(stat: Stats, depth = DEPTH_LIMIT): Storage {
  if (!stat.isBlockDevice()) return { files: [`${stat.dev}:${stat.ino}`], devices: [] };
  const folder = resolved(join("/sys/dev/block", numbersOf(stat.rdev)));
  return folder === undefined ? { files: [], devices: [] } : storageOfDevice(folder, depth);
}

function storageOfDevice(folder: string, depth: number): Storage {
  if (depth === 0) return { files: [], devices: [folder] };
  const disk = statSync(join(folder, "partition"), { throwIfNoEntry: false }) ? dirname(folder) : folder;
  const backing = fileBehind(disk);
  const below = namesIn(join(disk, "slaves")).flatMap((name) => {
    const slave = resolved(join(disk, "slaves", name));
    return slave === undefined ? [] : [storageOfDevice(slave, depth - 1)];
  });
  // A loop device may itself stand on a file that is a device.
  const behind = backing ? [storageOf(backing, depth - 1)] : [];
  const all = [...below, ...behind];
  return { files: all.flatMap(({ files }) => files), devices: [folder, ...all.flatMap(({ devices }) => devices)] };
}

/** What a loop device stands on. */
function fileBehind(disk: string): Stats | undefined {
  try {
    return statSync(readFileSync(join(disk, "loop/backing_file"), "utf8").replace(/\n$/, ""), { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** As the kernel packs them, makedev(3). */
function numbersOf(device: number): string {
  const low = device % 2 ** 32;
  const high = Math.floor(device / 2 ** 32);
  const major = ((low >>> 8) & 0xfff) + (high - (high % 0x1000));
  return `${major}:${(low & 0xff) + ((low >>> 12) & 0xfff00)}`;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function resolved(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
