import { type BlockCache, createBlockCache } from "../disk/cache.js";
import { describeDisk } from "../disk/describe.js";
import { type OpenDiskOptions, type OpenedDisk, openDisk } from "../disk/open.js";
import { type PartitionTable, readPartitions } from "../disk/partitions/read.js";
import { harmlessJson } from "../util/text.js";
import { contentsOf, FIRST_ITEM, openContainer } from "./contents.js";
import { diskFile, diskSource, memoryFile, windowFile } from "./flat.js";
import type { DirectoryNode, Entry, FileNode, FlatFile, Node, Tree } from "./node.js";

/** What a view is made from; plain data, so that it can be handed to a worker. */
export interface ViewRequest {
  readonly image: string;
  readonly options: OpenDiskOptions;
  /** The root of the view: a directory, or the flat disk itself. */
  readonly root: "directory" | "file";
  /** Permission bits of files; directories get the execute bits that match. */
  readonly mode: number;
  /** Bytes for decoded blocks. */
  readonly cacheLimit: number;
}

export interface View {
  readonly tree: Tree;
  /** Whoever asked closes it. */
  readonly disk: OpenedDisk;
}

/** Ids of the nodes; a partition's is its number on top of `partition`, a boot image's on top of `bootImage`. */
const ids = { root: 1, disk: 2, info: 3, partitions: 4, boot: 5, partition: 16, bootImage: 4096 } as const;

/** Opens the image and lays out what a mount of it shows. Throws what `openDisk` throws. */
export function openView(request: ViewRequest): View {
  const disk = openDisk(request.image, request.options);
  try {
    return { tree: viewOf(disk, request), disk };
  } catch (error) {
    disk.close();
    throw error;
  }
}

/** What a mount of an open disk shows. */
export function viewOf(disk: OpenedDisk, request: Pick<ViewRequest, "root" | "mode" | "cacheLimit">): Tree {
  const cache = createBlockCache(request.cacheLimit);
  return request.root === "file" ? fileTree(disk, request, cache) : diskTree(disk, request, cache);
}

function fileTree(disk: OpenedDisk, { mode }: Pick<ViewRequest, "mode">, cache: BlockCache): Tree {
  const root: FileNode = { kind: "file", id: ids.root, mode, modified: modifiedOf(disk), file: flatDisk(disk, cache) };
  return { root, node: (id) => (id === ids.root ? root : undefined) };
}

function diskTree(disk: OpenedDisk, { mode }: Pick<ViewRequest, "mode">, cache: BlockCache): Tree {
  const modified = modifiedOf(disk);
  const flat = flatDisk(disk, cache);
  const table = readPartitions({ ...flat, ...(disk.sectorSize !== undefined && { sectorSize: disk.sectorSize }) });
  const file = (id: number, content: FlatFile): FileNode => ({ kind: "file", id, mode, modified, file: content });
  const directory = (id: number, entries: readonly Entry[]): DirectoryNode => directoryNode(id, searchable(mode), modified, entries);

  const source = diskSource(disk.layer, cache);
  const opened = openContainer(source, disk.layer);
  const appearance = { mode, directoryMode: searchable(mode), modified };
  const contents = opened.container && contentsOf(opened.container, source, disk.layer, cache, appearance);
  const info = `${harmlessJson(describeDisk(disk, table, opened), 2)}\n`;
  const partitions = table ? partitionEntries(table, flat, file) : [];
  const boot = (opened.container?.bootImages ?? []).map(({ name, position, size }, index) => ({
    name,
    node: file(ids.bootImage + index, windowFile(flat, position, size)),
  }));
  const root = directory(ids.root, [
    { name: "disk.raw", node: file(ids.disk, flat) },
    { name: "info.json", node: file(ids.info, memoryFile("info.json", Buffer.from(info))) },
    ...(contents ? [{ name: "files", node: contents.root }] : []),
    ...(boot.length > 0 ? [{ name: "boot", node: directory(ids.boot, boot) }] : []),
    ...(partitions.length > 0 ? [{ name: "partitions", node: directory(ids.partitions, partitions) }] : []),
  ]);
  const own = indexTree(root);
  return { root, node: (id) => (id < FIRST_ITEM ? own.node(id) : contents?.node(id)) };
}

/** A partition that reaches past the end of the disk is as long as the disk lets it be; info.json notes it. */
function partitionEntries(table: PartitionTable, disk: FlatFile, file: (id: number, content: FlatFile) => FileNode): readonly Entry[] {
  return table.partitions
    .filter(({ start }) => start < disk.size)
    .map(({ number, start, size }) => ({
      name: `${number}.raw`,
      node: file(ids.partition + number, windowFile(disk, start, Math.min(size, disk.size - start))),
    }));
}

function flatDisk({ layer, files }: OpenedDisk, cache: BlockCache): FlatFile {
  const stored = files.reduce((sum, { allocated }) => sum + allocated, 0);
  return diskFile(layer, cache, stored);
}

function modifiedOf({ files }: OpenedDisk): number {
  return Math.max(0, ...files.map(({ modified }) => modified));
}

/** Whoever may read a file may also enter the directory: r-- becomes r-x. */
function searchable(mode: number): number {
  return mode | ((mode & 0o444) >> 2);
}

/** A directory whose entries are known. */
export function directoryNode(id: number, mode: number, modified: number, entries: readonly Entry[]): DirectoryNode {
  const byName = new Map(entries.map(({ name, node }) => [name, node]));
  return { kind: "directory", id, mode, modified, child: (name) => byName.get(name), entries: () => entries };
}

/** The tree below `root`, all of its nodes in memory; those of a container are not among them. */
export function indexTree(root: Node): Tree {
  const byId = new Map<number, Node>();
  const add = (node: Node): void => {
    byId.set(node.id, node);
    if (node.kind === "directory" && node.id < FIRST_ITEM) for (const entry of node.entries()) add(entry.node);
  };
  add(root);
  return { root, node: (id) => byId.get(id) };
}
