import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { type Attachment, type AttachedPart, identifyLoop, type LoopDevice } from "../daemon/devices.js";
import type { MountRecord } from "../daemon/state.js";
import { attachLoop, type LoopOptions } from "../native/loop.js";
import { reasonOf, systemCode, UserError } from "../util/errors.js";
import type { Interruptions } from "./interruptions.js";
import { type AttachableDisk, choosePart, lookAtDisk, type Part, WHOLE } from "./parts.js";
import { partitionNodes } from "./partition-nodes.js";

/** As many partitions as get a device of their own where the kernel does not make them: as many as a GPT has. */
const LOOP_LIMIT = 128;

/** What devices are wanted of a mount. */
export interface DevicesWish {
  /** Absolute path, for `losetup` to show. */
  readonly image: string;
  /** As the user calls it. */
  readonly name: string;
  /** A partition's number or a volume's name. */
  readonly partition?: string | undefined;
  /** The whole disk with its partitions, or one part alone. */
  readonly whole: boolean;
}

/**
 * Takes loop devices over what the mount shows; gives the part that was asked for, if it was one. `note` is told at once of all that has to be undone.
 * Throws a `UserError` that says what is missing.
 */
export async function makeDevices(
  { name, image, partition, whole }: DevicesWish,
  { mountpoint, paths = [] }: MountRecord,
  interruptions: Interruptions,
  note: (more: Partial<Attachment>) => void,
): Promise<AttachedPart | undefined> {
  const disk = lookAtDisk(mountpoint, name);
  const loops: LoopDevice[] = [];
  const take = (file: string, options: Partial<LoopOptions> = {}): string => {
    const served = paths.find((path) => `/${path.file}` === file)?.path ?? "server";
    const number = takeLoop(join(mountpoint, file), image, { directIo: served === "server", ...options });
    loops.push(identifyLoop(number, file));
    note({ loops: [...loops] });
    return `/dev/loop${number}`;
  };

  if (!whole) {
    const chosen = choosePart(name, disk.parts, partition);
    const device = take(chosen.file);
    const parts = disk.parts.map((part) => recorded(part, part === chosen ? device : undefined));
    note({ parts });
    return parts[disk.parts.indexOf(chosen)];
  }
  const device = take(disk.file, { partitionScan: disk.sectorSize !== undefined, sectorSize: loopSectors(disk) });
  await interruptions.check();
  const nodes = await partitionNodes(loops[0]?.number ?? 0, disk.parts);
  const parts: AttachedPart[] = [];
  for (const part of disk.parts) {
    await interruptions.check();
    parts.push(recorded(part, part.id === WHOLE ? device : (nodes.get(part.id) ?? ownDevice(part, loops, take))));
  }
  note({ device, parts });
  return undefined;
}

/** For a partition that the kernel does not show. Volumes are attached when they are asked for: there may be many. */
function ownDevice({ start, file }: Part, loops: readonly LoopDevice[], take: (file: string) => string): string | undefined {
  return start !== undefined && loops.length <= LOOP_LIMIT ? take(file) : undefined;
}

function recorded({ holds, ...part }: Part, device: string | undefined): AttachedPart {
  const [first] = holds?.ways ?? [];
  return {
    ...part,
    ...(holds && { fileSystem: { name: holds.name, ...first, ...(!first && holds.advice !== undefined && { advice: holds.advice }) } }),
    ...(device !== undefined && { device }),
  };
}

/** Those of the partition table, if a block device can have them: its numbers count in them. */
function loopSectors({ sectorSize = 512 }: AttachableDisk): number {
  return [512, 1024, 2048, 4096].includes(sectorSize) ? sectorSize : 512;
}

/** What we serve is read around the page cache of the FUSE mount, or everything would be held twice; what the kernel reads itself is not ours to cache. */
function takeLoop(path: string, name: string, options: Partial<LoopOptions>): number {
  const file = openSync(path, "r");
  const all = { offset: 0, size: 0, sectorSize: 512, partitionScan: false, directIo: true, autoclear: false, name, ...options };
  try {
    return attachLoop(file, all);
  } catch (error) {
    // Where the file cannot be read directly.
    if (systemCode(error) === "EINVAL" && all.directIo) return takeLoop(path, name, { ...options, directIo: false });
    throw explainLoop(error);
  } finally {
    closeSync(file);
  }
}

function explainLoop(error: unknown): Error {
  const code = systemCode(error);
  const hint = 'Run "losetup" to see those in use; a container has to be given the devices.';
  return new UserError(
    `no loop device can be had: ${code === "ENOENT" ? "the kernel names one that has no file in /dev" : reasonOf(error)}`,
    hint,
    error,
  );
}
