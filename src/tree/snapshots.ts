import { LRUCache } from "lru-cache";
import type { BlockCache } from "../disk/cache.js";
import { readPartitions } from "../disk/partitions/read.js";
import { locate, type Mapped, readDisk } from "../disk/read.js";
import { snapshotNames } from "../disk/snapshot-names.js";
import type { Layer, SnapshotFacts } from "../formats/driver.js";
import { ImageError } from "../util/errors.js";
import { windowFile } from "./flat.js";
import { type DirectoryNode, directoryNode, type Entry, type FileNode, type FlatFile, type Node } from "./node.js";

/** `snapshots/`, and what is in it. */
export interface Snapshots {
  readonly root: DirectoryNode;
  /** By its number among these: below `SNAPSHOTS_SPAN`. */
  node(id: number): Node | undefined;
}

export interface SnapshotsContext {
  /** The number of the node that stands for `snapshots/`. */
  readonly first: number;
  /** Permission bits. */
  readonly mode: number;
  readonly directoryMode: number;
  /** Milliseconds since 1970, where the image does not tell when a snapshot was made. */
  readonly modified: number;
  readonly cache: BlockCache;
  readonly sectorSize: number | undefined;
  /** Bytes that the image's files take. */
  readonly stored: number;
}

/** Numbers of nodes that one snapshot has, the first of them its directory's, and that all have together: 65536 are the most that QEMU makes. */
const EACH = 2 ** 13;
export const SNAPSHOTS_SPAN = 2 ** 30;
const COUNT_LIMIT = SNAPSHOTS_SPAN / EACH - 1;
const locals = { directory: 0, disk: 1, partitions: 2, partition: 16 } as const;

/** Snapshots whose tables are in memory at the same time. */
const OPEN_LIMIT = 8;
/** Snapshots whose nodes are kept. */
const RECENT_LIMIT = 64;

/** What is shown of one snapshot. Holds none of its tables. */
interface Parts {
  readonly directory: DirectoryNode;
  readonly disk: FileNode;
  /** Reads the partition table when first asked. */
  partitions(): DirectoryNode | undefined;
}

/** Lays out the snapshots of an image. None is opened before it is looked into, and one that cannot be is a disk whose every read fails. */
export function showSnapshots(layer: Layer, list: readonly SnapshotFacts[], context: SnapshotsContext): Snapshots | undefined {
  if (list.length === 0 || !layer.snapshot) return undefined;
  const { first, mode, directoryMode, modified, cache, sectorSize, stored } = context;
  const names = snapshotNames(list.slice(0, COUNT_LIMIT));
  const numbers = new Map(names.map((name, index) => [name, index]));
  const opened = new LRUCache<number, Mapped>({ max: OPEN_LIMIT });
  const recent = new LRUCache<number, Parts>({ max: RECENT_LIMIT });

  function open(index: number, size: number): Mapped {
    const known = opened.get(index);
    if (known) return known;
    const mapped = openSnapshot(layer, index, size);
    opened.set(index, mapped);
    return mapped;
  }

  function partsOf(index: number): Parts | undefined {
    const known = recent.get(index);
    const facts = list[index];
    if (known || !facts || index >= names.length) return known;
    const parts = createParts(index, facts);
    recent.set(index, parts);
    return parts;
  }

  function createParts(index: number, { size, created }: SnapshotFacts): Parts {
    const from = first + (index + 1) * EACH;
    const time = Math.max(0, Date.parse(created ?? "") || 0) || modified;
    const file = (local: number, content: FlatFile): FileNode => ({ kind: "file", id: from + local, mode, modified: time, file: content });
    const whole: FlatFile = {
      size,
      read: (target, offset) => readDisk(open(index, size), target, offset, cache),
      locate: (offset, length) => locate(open(index, size), offset, length),
      allocated: () => Math.min(size, stored),
    };
    const disk = file(locals.disk, windowFile(whole, 0, size));
    const partitions = once(() => {
      const table = readPartitions({ ...whole, ...(sectorSize !== undefined && { sectorSize }) });
      const entries = (table?.partitions ?? [])
        .filter(({ number, start }) => start < size && locals.partition + number < EACH)
        .map(({ number, start, size: length }) => ({
          name: `${number}.raw`,
          node: file(locals.partition + number, windowFile(whole, start, Math.min(length, size - start))),
        }));
      return entries.length > 0 ? directoryNode(from + locals.partitions, directoryMode, time, entries) : undefined;
    });
    const directory: DirectoryNode = {
      kind: "directory",
      id: from + locals.directory,
      mode: directoryMode,
      modified: time,
      // 1: whether there are directories in it is not known before the disk is read.
      links: 1,
      child: (name) => (name === "disk.raw" ? disk : name === "partitions" ? partitions() : undefined),
      entries() {
        const folder = partitions();
        return [{ name: "disk.raw", node: disk }, ...(folder ? [{ name: "partitions", node: folder }] : [])];
      },
    };
    return { directory, disk, partitions };
  }

  const root: DirectoryNode = {
    kind: "directory",
    id: first,
    mode: directoryMode,
    modified,
    links: 1,
    child(name) {
      const index = numbers.get(name);
      return index === undefined ? undefined : partsOf(index)?.directory;
    },
    *entries(): Generator<Entry> {
      for (const [index, name] of names.entries()) {
        const parts = partsOf(index);
        if (parts) yield { name, node: parts.directory };
      }
    },
  };
  return {
    root,
    node(id) {
      if (id === 0) return root;
      const parts = partsOf(Math.floor(id / EACH) - 1);
      const local = id % EACH;
      if (!parts || local === locals.directory) return parts?.directory;
      if (local === locals.disk) return parts.disk;
      const folder = parts.partitions();
      return local === locals.partitions ? folder : folder?.child(`${local - locals.partition}.raw`);
    },
  };
}

/** The disk then, of `size` bytes; damaged all over if it cannot be had. */
function openSnapshot(layer: Layer, index: number, size: number): Mapped {
  try {
    const opened = layer.snapshot?.(index);
    if (opened?.size === size) return opened;
    throw new ImageError("CORRUPT", `the snapshot ${index} has another size than the image tells`, { file: layer.name });
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return { size, map: (_, length) => ({ kind: "damaged", length, error }) };
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
