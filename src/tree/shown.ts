import { posix } from "node:path";
import type { Container, ContainerContext, ContainerOptions, MemberDisk } from "../containers/container.js";
import type { BlockCache } from "../disk/cache.js";
import { type DiskDescription, describeDisk, type MemberDescription } from "../disk/describe.js";
import { type Members, type OpenedMember, openMember } from "../disk/members.js";
import type { OpenedDisk } from "../disk/open.js";
import { type PartitionTable, readPartitions } from "../disk/partitions/read.js";
import { readVolumes } from "../disk/volumes/read.js";
import type { Layer } from "../formats/driver.js";
import { ImageError, UserError } from "../util/errors.js";
import { explain } from "../util/explain.js";
import { harmlessJson, quote } from "../util/text.js";
import { type Contents, contentsOf, holdsFiles, openContainer } from "./contents.js";
import { DISKS_LIMIT, findDisks } from "./find-disks.js";
import { diskFile, diskSource, memoryFile, piecesFile, trackFile, windowFile } from "./flat.js";
import { membersOf } from "./members.js";
import { type DirectoryNode, directoryNode, type Entry, type FileNode, type FlatFile, type Node, type SymlinkNode } from "./node.js";
import { SNAPSHOTS_SPAN, showSnapshots } from "./snapshots.js";

/** An image that was opened: a file of the user's, or one in a container. */
export type Opened = OpenedMember & { readonly sectorSize?: number | undefined; readonly files?: OpenedDisk["files"] };

/** What is the same for an image and all that is in it. */
export interface Surroundings {
  /** Permission bits of files; directories get the execute bits that match. */
  readonly mode: number;
  /** Milliseconds since 1970, where nothing else is recorded. */
  readonly modified: number;
  readonly cache: BlockCache;
  readonly options: ContainerOptions & {
    readonly passwords?: readonly string[] | undefined;
    readonly degraded?: boolean | undefined;
    /** Of a package with several disks: the name, or the path, of the one that stands for it. */
    readonly disk?: string | undefined;
  };
  /** The images shown so far, this one's among them when it has its number. Its numbers are those of the nodes. */
  readonly shown: Shown[];
}

/** An image as it is shown: its nodes, and what is to be told of it. */
export interface Shown {
  readonly root: DirectoryNode;
  /** The disk; undefined for a package of files, unless it holds one disk. */
  readonly disk: FlatFile | undefined;
  readonly description: DiskDescription;
  /** What stands behind it, for checks. */
  readonly layer: Layer;
  /** What `disk` is shown of: `layer`, or that of the disk that stands for the package. */
  readonly diskLayer: Layer | undefined;
  readonly container: Container | undefined;
  /** The disks in it. */
  readonly disks: readonly ShownMember[];
  /** By its number among this image's. */
  node(id: number): Node | undefined;
  close(): void;
}

/** Numbers that one image has for its nodes, and how many images there may be: together below 2^53. */
export const SPAN = 2 ** 45;
const SHOWN_LIMIT = 200;
/** Containers in containers in containers: more is a trap. */
const DEPTH_LIMIT = 5;

/** The number of what a mount shows of itself. */
export const STATS_NODE = 11;

/** Numbers of nodes; a partition's is its number on top of `partition`, and so on. Items of a container follow from `item` on, snapshots stand at the end. */
const ids = {
  root: 1,
  disk: 2,
  info: 3,
  partitions: 4,
  boot: 5,
  disks: 6,
  tracks: 7,
  kernel: 8,
  ramdisk: 9,
  volumes: 10,
  stats: STATS_NODE,
  partition: 16,
  bootImage: 4096,
  track: 8192,
  volume: 2 ** 17,
  item: 2 ** 20,
  snapshots: SPAN - SNAPSHOTS_SPAN,
} as const;

/** Lays out what is shown of an image, and of all images in it. */
export function show(opened: Opened, around: Surroundings, depth = 0): Shown {
  const { shown, cache, modified, mode } = around;
  const first = shown.length * SPAN;
  const place = shown.push(placeholder) - 1;
  const { layer } = opened;
  const file = (id: number, content: FlatFile): FileNode => ({ kind: "file", id: first + id, mode, modified, file: content });
  const link = (id: number, target: string): SymlinkNode => ({ kind: "symlink", id: first + id, mode: 0o777, modified, target });
  const directory = (id: number, entries: readonly Entry[]) => directoryNode(first + id, searchable(mode), modified, entries);

  const source = diskSource(layer, cache);
  const found = openContainer(source, layer, contextOf(opened, around));
  const { container } = found;
  const appearance = { first: first + ids.item, mode, directoryMode: searchable(mode), modified };
  const contents = container && contentsOf(container, source, layer, cache, appearance);
  const inner = contents ? showDisks(contents, opened, around, depth) : { disks: [], failures: [] };
  const flat = container?.archive ? undefined : diskFile(layer, cache, storedBytes(opened));
  const table = flat && readPartitions({ ...flat, ...(opened.sectorSize !== undefined && { sectorSize: opened.sectorSize }) });

  const volumes = flat
    ? readVolumes({ ...flat, ...(opened.sectorSize !== undefined && { sectorSize: opened.sectorSize }) }, table)
    : undefined;

  const description = describeDisk(opened, { ...found, table, volumes, disks: inner.disks.map(describeMember), failures: inner.failures });
  const snapshots = flat
    ? showSnapshots(layer, description.snapshots, {
        ...{ first: first + ids.snapshots, mode, directoryMode: searchable(mode), modified, cache },
        ...{ sectorSize: opened.sectorSize, stored: storedBytes(opened) },
      })
    : undefined;
  const info = Buffer.from(`${harmlessJson(description, 2)}\n`);
  const { disk: wanted } = around.options;
  const chosen = flat || wanted === undefined ? undefined : chosenFrom(inner.disks, wanted);
  if (!flat && wanted !== undefined && !chosen && depth === 0) throw noSuchDisk(opened, inner.disks, wanted);
  const only = flat ? undefined : (chosen ?? standingFor(inner.disks));
  const byRole = (role: string) => inner.disks.find(({ member }) => member.role === role)?.member.path;
  const links = { kernel: byRole("AKI"), ramdisk: byRole("ARI") };
  const partitions = table ? partitionEntries(table, flat, file) : [];
  const boot = flat
    ? (container?.bootImages ?? []).map(({ name, position, size }, index) => ({
        name,
        node: file(ids.bootImage + index, windowFile(flat, position, size)),
      }))
    : [];
  const volumeEntries =
    flat && volumes
      ? volumes.volumes.map(({ name, size, pieces }, index) => ({
          name: `${name}.raw`,
          node: file(ids.volume + index, piecesFile(flat, size, pieces)),
        }))
      : [];
  const tracks = (layer.tracks ?? []).map((track, index) => ({ name: track.name, node: file(ids.track + index, trackFile(track, cache)) }));
  const disks = inner.disks.map(({ member, shown: one }) => ({ name: member.name, node: one.root }));

  const root = directory(ids.root, [
    ...(flat ? [{ name: "disk.raw", node: file(ids.disk, flat) }] : []),
    ...(only?.shown.disk ? [{ name: "disk.raw", node: link(ids.disk, posix.join("disks", only.member.name, "disk.raw")) }] : []),
    { name: "info.json", node: file(ids.info, memoryFile("info.json", info)) },
    ...(contents ? [{ name: "files", node: contents.root }] : []),
    ...(boot.length > 0 ? [{ name: "boot", node: directory(ids.boot, boot) }] : []),
    ...(disks.length > 0 ? [{ name: "disks", node: directory(ids.disks, disks) }] : []),
    ...(links.kernel === undefined ? [] : [{ name: "kernel", node: link(ids.kernel, posix.join("files", links.kernel)) }]),
    ...(links.ramdisk === undefined ? [] : [{ name: "ramdisk", node: link(ids.ramdisk, posix.join("files", links.ramdisk)) }]),
    ...(partitions.length > 0 ? [{ name: "partitions", node: directory(ids.partitions, partitions) }] : []),
    ...(volumeEntries.length > 0 ? [{ name: "volumes", node: directory(ids.volumes, volumeEntries) }] : []),
    ...(snapshots ? [{ name: "snapshots", node: snapshots.root }] : []),
    ...(tracks.length > 0 ? [{ name: "tracks", node: directory(ids.tracks, tracks) }] : []),
  ]);
  const own = nodesBelow(root, first, first + ids.item);
  const self: Shown = {
    root,
    disk: flat ?? only?.shown.disk,
    diskLayer: flat ? layer : only?.shown.diskLayer,
    description,
    layer,
    container,
    disks: inner.disks,
    node(id) {
      if (id < ids.item) return own.get(first + id);
      return id < ids.snapshots ? contents?.node(id - ids.item) : snapshots?.node(id - ids.snapshots);
    },
    close() {
      for (const { shown: one } of inner.disks) one.close();
      container?.close?.();
      layer.close();
    },
  };
  shown[place] = self;
  return self;
}

/** The disk that stands for a package: the one that a machine starts from, or the only one. */
function standingFor(disks: readonly ShownMember[]): ShownMember | undefined {
  const machines = disks.filter(({ member }) => member.role !== "AKI" && member.role !== "ARI" && member.role !== "CD");
  return machines.find(({ member }) => member.role === "AMI") ?? (machines.length === 1 ? machines[0] : undefined);
}

/** The one with that name, or that path; else the package in which there is one. */
function chosenFrom(disks: readonly ShownMember[], wanted: string): ShownMember | undefined {
  return (
    disks.find(({ member }) => member.name === wanted) ??
    disks.find(({ member }) => member.path === wanted) ??
    disks.find(({ shown }) => chosenFrom(shown.disks, wanted))
  );
}

function noSuchDisk({ layer }: Opened, disks: readonly ShownMember[], wanted: string): UserError {
  const names = disks.flatMap(namesBelow).map(quote).join(", ");
  return new UserError(
    `${layer.name}: there is no disk ${quote(wanted)} in it`,
    names === "" ? "There is no disk in it." : `There are: ${names}.`,
  );
}

/** Of disks that can be chosen: its own, or those of the disks in it. */
export function namesBelow({ member, shown }: ShownMember): readonly string[] {
  return shown.diskLayer || shown.disks.length === 0 ? [member.name] : shown.disks.flatMap(namesBelow);
}

/** A disk in a container. */
export interface ShownMember {
  readonly member: MemberDisk;
  readonly shown: Shown;
}

/** The disks in a container, each as if it had been opened alone; why not, for those that cannot be. */
function showDisks(
  contents: Contents,
  opened: Opened,
  around: Surroundings,
  depth: number,
): { disks: readonly ShownMember[]; failures: readonly string[] } {
  const { container } = contents;
  const disks: ShownMember[] = [];
  const failures: string[] = [];
  const members = membersOf(container, contents.source);
  const wanted = container.disks ?? (container.archive ? findDisks(container, members) : []);
  if (wanted.length > 0 && depth === DEPTH_LIMIT) {
    return { disks, failures: [`It lies ${DEPTH_LIMIT} containers deep: the disks in it are not shown.`] };
  }
  for (const member of wanted.slice(0, DISKS_LIMIT)) {
    if (around.shown.length >= SHOWN_LIMIT) {
      failures.push(`There are more than ${SHOWN_LIMIT} disks: ${member.path} and those behind it are not shown as disks.`);
      break;
    }
    const before = around.shown.length;
    try {
      const one = show(openOne(members, member, container, opened, around), around, depth + 1);
      if (container.disks || one.disk || one.description.disks) {
        disks.push({ member, shown: one });
        continue;
      }
      // An archive among others, with no disk in it.
      failures.push(...one.description.notes.map((note) => `${member.path}: ${note}`));
      one.close();
      around.shown.length = before;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      around.shown.length = before;
      failures.push(`${member.path} is not shown as a disk: ${error.file === member.path ? error.message : explain(error)}.`);
    }
  }
  return { disks, failures };
}

function openOne(
  members: Members,
  { path, parts, parent }: MemberDisk,
  { disks }: Container,
  { unpacker, key }: Opened,
  { options }: Surroundings,
): Opened {
  const parentPath = parent === undefined ? undefined : disks?.find(({ name }) => name === parent)?.path;
  const { passwords, degraded } = options;
  return openMember(members, path, unpacker, key, { parts, parent: parentPath, passwords, degraded, holdsFiles });
}

function contextOf({ layer, part, unpacker, key }: Opened, { options }: Surroundings): ContainerContext {
  return {
    sessions: layer.sessions,
    part,
    unpack(source, label) {
      const { source: inner, packings } = unpacker.unpack(source, `${key} ${label}`);
      return packings.length > 0 ? inner : undefined;
    },
    options,
  };
}

function describeMember({ member: { name, path, role }, shown }: ShownMember): MemberDescription {
  return { name, path, ...(role !== undefined && { role }), ...shown.description };
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

/** What the files take on their file systems; for one in a container, what it is long. */
function storedBytes({ files, layer }: Opened): number {
  return files?.reduce((sum, { allocated }) => sum + allocated, 0) ?? layer.size;
}

/** Whoever may read a file may also enter the directory: r-- becomes r-x. */
function searchable(mode: number): number {
  return mode | ((mode & 0o444) >> 2);
}

/** The nodes from `root` down whose numbers are from `first` up to `end`: others belong to a container, or to another image. */
function nodesBelow(root: Node, first: number, end: number): ReadonlyMap<number, Node> {
  const byId = new Map<number, Node>();
  const add = (node: Node): void => {
    byId.set(node.id, node);
    if (node.kind !== "directory") return;
    for (const { node: next } of node.entries()) if (next.id >= first && next.id < end) add(next);
  };
  add(root);
  return byId;
}

/** Takes a number until what has it is laid out. */
const placeholder: Shown = {
  root: directoryNode(0, 0, 0, []),
  disk: undefined,
  get description(): never {
    throw new Error("not laid out yet");
  },
  get layer(): never {
    throw new Error("not laid out yet");
  },
  diskLayer: undefined,
  container: undefined,
  disks: [],
  node: () => undefined,
  close: () => undefined,
};
