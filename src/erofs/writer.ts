import { fstatSync, ftruncateSync } from "node:fs";
import { type DirectoryNode, type FileNode, type Node, nanosecondsOf } from "../tree/node.js";
import { systemCode } from "../util/errors.js";
import { chunksSize, firstShape, type Shape, type Sink, writeChunks } from "./chunks.js";
import { directoryBlocks } from "./directory.js";
import {
  CHUNK_INDEXES,
  deviceSlot,
  features,
  fileTypes,
  inode,
  layouts,
  MAGIC,
  SUPERBLOCK_AT,
  SUPERBLOCK_SIZE,
  superblock,
} from "./layout.js";
import { NotIndexable } from "./runs.js";
import { createSpool } from "./spool.js";

/** What an index is made of, and how. */
export interface IndexWish {
  readonly root: DirectoryNode;
  /** Of what records no owner. */
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a block, as a power of two: 9 to 12. */
  readonly blockBits: number;
  /** How many files the bytes may lie in. */
  readonly deviceLimit: number;
}

/** A file that is not in the index. */
export interface LeftOut {
  /** From the root. */
  readonly path: string;
  readonly reason: string;
  /** It could be, with blocks of that size. */
  readonly blockBits?: number;
}

export interface Index {
  /** Descriptors of the files that hold the bytes, in the order in which they are to be named when mounting, and the bytes of each. */
  readonly devices: readonly { readonly fd: number; readonly size: number }[];
  readonly leftOut: readonly LeftOut[];
  /** Bytes of the index. */
  readonly size: number;
}

/** Files that no index can tell of are copied into it, as long as they are small. Bytes, each and together. */
const COPIED = { each: 2 ** 20, all: 64 * 2 ** 20 } as const;
/** Files and directories together: a gibibyte of memory here. */
const NODES_LIMIT = 4_000_000;
const DEVICE_TABLE_AT = SUPERBLOCK_AT + SUPERBLOCK_SIZE;

/** One thing in the index. */
interface Indexed {
  readonly node: Node;
  readonly path: string;
  /** Where its inode stands, in bytes from the start of all inodes; undefined while it has none, or is left out. */
  place?: number;
  /** Its inode is in the index. */
  isWritten?: boolean;
  /** Of a directory: what is in it, sorted. */
  children?: { readonly name: Buffer; readonly child: Indexed }[];
  parent?: Indexed;
  /** Of a directory, a copied file or a long link: its bytes. */
  content?: Uint8Array;
}

/**
 * Writes an index of a tree to the empty file `target`. It takes what the tables of the images take; the bytes themselves stay where they are.
 * Yields now and then, so that others get their turn. Throws what writing throws.
 */
export function* writeIndex(target: number, wish: IndexWish): Generator<void, Index> {
  const { blockBits } = wish;
  const blockSize = 2 ** blockBits;
  const { put, flush } = createSpool(target);
  const metaStart = roundUp(DEVICE_TABLE_AT + deviceSlot.size * wish.deviceLimit, blockSize);
  const leftOut: LeftOut[] = [];
  const all = yield* collect(wish.root);

  // Inodes whose size is known come first, the root before all others: its number is 16 bits wide.
  let place = 0;
  for (const each of all) {
    if (each.node.kind === "file") continue;
    const target = each.node.kind === "symlink" ? Buffer.from(each.node.target) : undefined;
    const inline = target && target.length <= blockSize - inode.size ? target.length : 0;
    if (target && inline === 0) each.content = target;
    if ((place % blockSize) + inode.size + inline > blockSize) place = roundUp(place, blockSize);
    each.place = place;
    place = roundUp(place + inode.size + inline, inode.unit);
  }
  const writeInode = (node: Node, at: number, fields: Fields): void => put(encodeInode(node, wish, fields), metaStart + at);
  const devices = createDevices(wish.deviceLimit);
  const copied: (Indexed & { node: FileNode })[] = [];
  let copiedBytes = 0;
  for (const [index, each] of all.entries()) {
    if (!isFile(each)) continue;
    const { file, links = 1 } = each.node;
    const start = roundUp(place, inode.unit);
    const outcome = yield* tryChunks(each.node, blockBits, devices.number, (bytes, at) => put(bytes, metaStart + start + inode.size + at));
    if (outcome.shape) {
      const address = CHUNK_INDEXES | (outcome.shape.chunkBits - blockBits);
      writeInode(each.node, start, { number: index + 1, links, address, layout: layouts.chunks, size: file.size });
      each.place = start;
      each.isWritten = true;
      place = start + inode.size + chunksSize(file.size, outcome.shape);
    } else if (file.size <= COPIED.each && copiedBytes + file.size <= COPIED.all) {
      copied.push(each);
      copiedBytes += file.size;
    } else leftOut.push({ path: each.path, ...outcome.left });
  }
  for (const each of copied) {
    try {
      each.content = contentOf(each.node);
      each.place = place = roundUp(place, inode.unit);
      place += inode.size;
    } catch (error) {
      leftOut.push({ path: each.path, reason: error instanceof Error ? error.message : String(error) });
    }
  }

  // The file ends with a whole block.
  let end = Math.max(roundUp(metaStart + place, blockSize), metaStart + blockSize);
  const isPlaced = (each: Indexed): each is Indexed & { place: number } => each.place !== undefined;
  for (const [index, each] of all.entries()) {
    if (!isPlaced(each) || each.isWritten) continue;
    const number = index + 1;
    const links = each.node.kind === "directory" ? 2 + directoriesIn(each) : (each.node.links ?? 1);
    if (each.node.kind === "symlink" && !each.content) {
      writeInode(each.node, each.place, { number, links, address: 0, layout: layouts.inline, size: Buffer.byteLength(each.node.target) });
      put(Buffer.from(each.node.target), metaStart + each.place + inode.size);
    } else if (each.node.kind === "directory" || each.content) {
      const content = each.content ?? directoryBlocks(entriesOf(each), blockSize);
      put(content, end);
      writeInode(each.node, each.place, { number, links, address: end / blockSize, layout: layouts.plain, size: content.length });
      end = roundUp(end + content.length, blockSize);
    } else {
      writeInode(each.node, each.place, { number, links, address: deviceNumber(each.node), layout: layouts.plain, size: 0 });
    }
    if (index % 256 === 255) yield;
  }

  put(encodeSuperblock({ blockBits, metaStart, end, inodes: all.filter(isPlaced).length, devices: devices.list }), SUPERBLOCK_AT);
  flush();
  ftruncateSync(target, end);
  return { devices: devices.list, leftOut, size: end };
}

/** All that is in the tree, the root first and directories before what is in them; what has several names stands once. */
function* collect(root: DirectoryNode): Generator<void, readonly Indexed[]> {
  const first: Indexed = { node: root, path: "" };
  first.parent = first;
  const all = [first];
  const known = new Map<number, Indexed>();
  for (let index = 0; index < all.length; index += 1) {
    const each = all[index] as Indexed;
    if (each.node.kind !== "directory") continue;
    each.children = [];
    for (const { name, node } of each.node.entries()) {
      const again = node.kind === "directory" ? undefined : known.get(node.id);
      const child: Indexed = again ?? { node, path: each.path === "" ? name : `${each.path}/${name}`, parent: each };
      each.children.push({ name: Buffer.from(name), child });
      if (again) continue;
      known.set(node.id, child);
      if (all.push(child) > NODES_LIMIT) throw new NotIndexable(`there are more than ${NODES_LIMIT} files`);
    }
    each.children.sort((a, b) => Buffer.compare(a.name, b.name));
    yield;
  }
  return all;
}

function isFile(each: Indexed): each is Indexed & { node: FileNode } {
  return each.node.kind === "file";
}

/** Writes the chunks of a file, as coarse as it allows; or tells why there are none. */
function* tryChunks(
  { file }: FileNode,
  blockBits: number,
  devices: (fd: number) => number,
  put: (bytes: Uint8Array, at: number) => void,
): Generator<
  void,
  { readonly shape: Shape; readonly left?: undefined } | { readonly shape?: undefined; readonly left: Omit<LeftOut, "path"> }
> {
  try {
    let shape = firstShape(file, blockBits);
    for (;;) {
      if (shape.blockBits < blockBits)
        return { left: { reason: `it needs blocks of ${2 ** shape.blockBits} bytes`, blockBits: shape.blockBits } };
      let at = 0;
      const sink: Sink = (bytes) => {
        put(bytes, at);
        at += bytes.length;
      };
      const finer = yield* writeChunks(file, shape, devices, sink);
      if (!finer) return { shape };
      shape = finer;
    }
  } catch (error) {
    if (!(error instanceof NotIndexable) && systemCode(error) !== undefined) throw error;
    return { left: { reason: error instanceof Error ? error.message : String(error) } };
  }
}

function createDevices(limit: number): { readonly number: (fd: number) => number; readonly list: readonly { fd: number; size: number }[] } {
  const list: { fd: number; size: number }[] = [];
  return {
    list,
    number(fd) {
      const known = list.findIndex((device) => device.fd === fd);
      if (known >= 0) return known + 1;
      if (list.length === limit) throw new NotIndexable("its bytes lie in too many files");
      return list.push({ fd, size: fstatSync(fd).size });
    },
  };
}

function contentOf({ file }: FileNode): Uint8Array {
  const content = Buffer.alloc(file.size);
  if (file.size > 0) file.read(content, 0);
  return content;
}

function directoriesIn({ children }: Indexed): number {
  return children?.filter(({ child }) => child.node.kind === "directory").length ?? 0;
}

/** What a directory's blocks tell: numbers of inodes, and kinds. */
function entriesOf(directory: Indexed & { place: number }) {
  const number = ({ place = 0 }: Indexed) => place / inode.unit;
  const inside = (directory.children ?? []).filter(({ child }) => child.place !== undefined);
  return [
    { name: Buffer.from("."), number: number(directory), kind: "directory" as const },
    { name: Buffer.from(".."), number: number(directory.parent ?? directory), kind: "directory" as const },
    ...inside.map(({ name, child }) => ({ name, number: number(child), kind: child.node.kind })),
  ].toSorted((a, b) => Buffer.compare(a.name, b.name));
}

/** As the kernel packs major and minor into 32 bits (new_encode_dev). */
function deviceNumber(node: Node): number {
  const { major = 0, minor = 0 } = ("device" in node ? node.device : undefined) ?? {};
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

interface Fields {
  readonly number: number;
  readonly links: number;
  readonly layout: number;
  readonly address: number;
  /** Bytes. */
  readonly size: number;
}

function encodeInode(node: Node, wish: IndexWish, { number, links, layout, address, size }: Fields): Buffer {
  const bytes = Buffer.alloc(inode.size);
  const seconds = Math.floor(node.modified / 1000);
  bytes.writeUInt16LE(layout, inode.format);
  bytes.writeUInt16LE(fileTypes[node.kind] | (node.mode & 0o7777), inode.mode);
  bytes.writeBigUInt64LE(BigInt(size), inode.bytes);
  bytes.writeUInt32LE(address, inode.address);
  bytes.writeUInt32LE(number >>> 0, inode.number);
  bytes.writeUInt32LE((node.uid ?? wish.uid) >>> 0, inode.uid);
  bytes.writeUInt32LE((node.gid ?? wish.gid) >>> 0, inode.gid);
  bytes.writeBigInt64LE(BigInt(seconds), inode.seconds);
  bytes.writeUInt32LE(nanosecondsOf(node, seconds), inode.nanoseconds);
  bytes.writeUInt32LE(links >>> 0, inode.links);
  return bytes;
}

function encodeSuperblock(of: {
  readonly blockBits: number;
  readonly metaStart: number;
  readonly end: number;
  readonly inodes: number;
  readonly devices: Index["devices"];
}): Buffer {
  const { blockBits, metaStart, end, inodes, devices } = of;
  const bytes = Buffer.alloc(SUPERBLOCK_SIZE + deviceSlot.size * devices.length);
  bytes.writeUInt32LE(MAGIC, superblock.magic);
  bytes.writeUInt8(blockBits, superblock.blockBits);
  bytes.writeUInt16LE(0, superblock.rootNid);
  bytes.writeBigUInt64LE(BigInt(inodes), superblock.inodes);
  bytes.writeUInt32LE(Math.floor(end / 2 ** blockBits), superblock.blocks);
  bytes.writeUInt32LE(metaStart / 2 ** blockBits, superblock.metaBlock);
  bytes.write("flatmount", superblock.volumeName);
  bytes.writeUInt32LE(features.CHUNKED_FILE | features.DEVICE_TABLE, superblock.featureIncompat);
  bytes.writeUInt16LE(devices.length, superblock.extraDevices);
  bytes.writeUInt16LE(DEVICE_TABLE_AT / deviceSlot.size, superblock.deviceSlotOffset);
  for (const [index, { size }] of devices.entries()) {
    const blocks = Math.min(Math.ceil(size / 2 ** blockBits), 0xffffffff);
    bytes.writeUInt32LE(blocks, SUPERBLOCK_SIZE + index * deviceSlot.size + deviceSlot.blocks);
  }
  return bytes;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
