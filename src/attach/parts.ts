import { closeSync, openSync, readFileSync, readSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AttachedPart } from "../daemon/devices.js";
import type { DiskDescription } from "../disk/describe.js";
import { systemCode, UserError } from "../util/errors.js";
import { quote } from "../util/text.js";
import type { FileSystem } from "./filesystems.js";
import { recogniseFileSystem } from "./recognise.js";

/** A part of the disk, and what it holds. */
export interface Part extends Omit<AttachedPart, "fileSystem" | "device"> {
  readonly holds: FileSystem | undefined;
}

/** The disk that a mount shows. */
export interface AttachableDisk {
  /** In the mount: `/disk.raw`. */
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes that its partition table counts in; absent where it has none. */
  readonly sectorSize?: number;
  /** Its partitions and volumes, in their order; the disk itself where there are none. */
  readonly parts: readonly Part[];
}

/** The id of the only part of a disk without partitions. */
export const WHOLE = "disk";

/** The disk in the mount at `mountpoint`, with what its parts hold. Throws a `UserError` for a package that holds none, or several. */
export function lookAtDisk(mountpoint: string, image: string): AttachableDisk {
  const folder = diskFolder(mountpoint, image);
  const { size, partitionTable, partitions, volumes = [] } = describe(join(mountpoint, folder));
  const part = (one: Omit<Part, "holds">): Part => ({ ...one, holds: whatIsIn(join(mountpoint, one.file)) });
  const inside = [
    ...partitions.map(({ number, start, size: declared, typeName, name, file }) =>
      part({
        ...{ id: String(number), file: join(folder, file), start, size: Math.min(declared, size - start), typeName },
        ...(name !== undefined && { name }),
      }),
    ),
    ...volumes.map(({ name, kind, typeName, size: bytes, file }) =>
      part({ id: name, file: join(folder, file), size: bytes, typeName: `${kind}, ${typeName}` }),
    ),
  ];
  const file = join(folder, "disk.raw");
  return {
    file,
    size,
    ...(partitionTable && { sectorSize: partitionTable.sectorSize }),
    parts: inside.length > 0 ? inside : [part({ id: WHOLE, file, start: 0, size, typeName: "the whole disk" })],
  };
}

/** Where in the mount the disk is: in a package with one disk, a link leads to it. `/`, or `/disks/NAME`. */
function diskFolder(mountpoint: string, image: string): string {
  try {
    return `/${dirname(realpathSync(join(mountpoint, "disk.raw"))).slice(mountpoint.length + 1)}`;
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    const names = (describe(mountpoint).disks ?? []).map(({ name }) => quote(name)).join(", ");
    throw new UserError(
      names === "" ? `${image}: there is no disk in it` : `${image}: there are several disks in it: ${names}`,
      names === "" ? undefined : "Say which with --disk.",
    );
  }
}

function describe(folder: string): DiskDescription {
  return JSON.parse(readFileSync(join(folder, "info.json"), "utf8")) as DiskDescription;
}

/** What the file or device at `path` holds; what cannot be read holds nothing that is known. */
export function whatIsIn(path: string): FileSystem | undefined {
  const file = openSync(path, "r");
  try {
    return recogniseFileSystem((offset, length) => {
      const target = Buffer.alloc(length);
      return readSync(file, target, 0, length, offset) === length ? target : undefined;
    });
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  } finally {
    closeSync(file);
  }
}

/**
 * The part that is called `wanted`; without that, the only one with a file system that Linux mounts, or the only one at all.
 * Throws a `UserError` that names what there is, where that leaves a choice.
 */
export function choosePart<One extends AttachedPart | Part>(image: string, parts: readonly One[], wanted: string | undefined): One {
  if (wanted !== undefined) {
    const part = parts.find(({ id }) => id === wanted);
    if (part) return part;
    throw new UserError(`${image}: there is no partition or volume ${quote(wanted)}`, `There are: ${namesOf(parts)}.`);
  }
  const candidates = parts.filter(isMountable);
  const only = candidates.length === 1 ? candidates[0] : parts.length === 1 ? parts[0] : undefined;
  if (only) return only;
  if (candidates.length === 0) {
    throw new UserError(`${image}: no part of it has a file system that Linux mounts`, `There are: ${namesOf(parts)}.`);
  }
  throw new UserError(
    `${image}: ${candidates.length} parts of it have file systems: ${namesOf(candidates)}`,
    "Say which with --partition.",
  );
}

function isMountable(part: AttachedPart | Part): boolean {
  return "holds" in part ? (part.holds?.ways.length ?? 0) > 0 : part.fileSystem?.type !== undefined;
}

/** The part in words: the image alone where it has no partitions. */
export function subjectOf(image: string, { id }: Pick<AttachedPart, "id">): string {
  if (id === WHOLE) return image;
  return /^\d+$/.test(id) ? `${image}, partition ${id}` : `${image}, volume ${id}`;
}

function namesOf(parts: readonly (AttachedPart | Part)[]): string {
  return parts.map((part) => `${part.id} (${contentOf(part)})`).join(", ");
}

/** `ext4`, or the type where nothing known was found. */
function contentOf(part: AttachedPart | Part): string {
  return ("holds" in part ? part.holds : part.fileSystem)?.name ?? part.typeName;
}
