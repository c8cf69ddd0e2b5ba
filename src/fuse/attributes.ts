import { type Node, nanosecondsOf } from "../tree/node.js";
import { attr, fileTypes, little, VALID } from "./protocol.js";
import { setUint64 } from "./uint64.js";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The type and permission bits of a node. */
export function modeOf(node: Node): number {
  return fileTypes[node.kind] | node.mode;
}

/** Bytes of a node, as stat shows them. */
export function sizeOf(node: Node): number {
  if (node.kind === "file") return node.file.size;
  if (node.kind === "symlink") return Buffer.byteLength(node.target);
  return node.kind === "directory" ? 4096 : 0;
}

export function linksOf({ kind, links }: Node): number {
  return links ?? (kind === "directory" ? 2 : 1);
}

/** How many seconds what stat shows may be remembered. Of what is live that is asked for whenever it is opened; in between, a reader in small pieces is to get them from one state. */
export function validOf({ live }: Node): number {
  return live ? 1 : VALID;
}

/** The kernel's 32-bit form of a device number (new_encode_dev in linux/kdev_t.h). */
function deviceOf(node: Node): number {
  if (!("device" in node) || !node.device) return 0;
  const { major, minor } = node.device;
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

/** Units of 512 bytes that are stored; holes are not. */
export function blocksOf(node: Node): number {
  return node.kind === "file" ? Math.ceil(node.file.allocated() / 512) : 0;
}

/** Writes the `fuse_attr` of `node` at `at`. */
export function writeAttributes(view: DataView, at: number, node: Node, { uid, gid }: Owner): void {
  const seconds = Math.floor(node.modified / 1000);
  const nanoseconds = nanosecondsOf(node, seconds);
  setUint64(view, at + attr.ino, node.id);
  setUint64(view, at + attr.bytes, sizeOf(node));
  setUint64(view, at + attr.blocks, blocksOf(node));
  for (const time of [attr.atime, attr.mtime, attr.ctime]) setUint64(view, at + time, seconds);
  for (const time of [attr.atimensec, attr.mtimensec, attr.ctimensec]) view.setUint32(at + time, nanoseconds, little);
  view.setUint32(at + attr.mode, modeOf(node), little);
  view.setUint32(at + attr.nlink, linksOf(node), little);
  view.setUint32(at + attr.uid, node.uid ?? uid, little);
  view.setUint32(at + attr.gid, node.gid ?? gid, little);
  view.setUint32(at + attr.rdev, deviceOf(node), little);
  view.setUint32(at + attr.blksize, 4096, little);
}
