import { constants } from "node:os";
import { isHole } from "../tree/flat.js";
import type { FlatFile, Node, Tree } from "../tree/node.js";
import { type Owner, validOf, writeAttributes } from "./attributes.js";
import { clear, type Exchange, in32, in64, inName, OUT } from "./exchange.js";
import { type Interest, writeEntry } from "./listing.js";
import {
  attrOut,
  entryOut,
  initFlags,
  initFlags2,
  initIn,
  initOut,
  little,
  lseekIn,
  lseekOut,
  MAX_PAGES,
  MAX_READ,
  MAX_WRITE,
  readIn,
  statfsOut,
  VERSION,
  whence,
} from "./protocol.js";
import { setUint64 } from "./uint64.js";

// Each operation writes the content of its reply and returns how many bytes that is, or an errno as a negative number.

const { EINVAL, EISDIR, ENOENT, ENOTDIR, ENXIO, EPROTO } = constants.errno;

const WANTED =
  initFlags.ASYNC_READ |
  initFlags.PARALLEL_DIROPS |
  initFlags.MAX_PAGES |
  initFlags.CACHE_SYMLINKS |
  // A file that was modified when its name is looked up was so by us: stats.json. No other ever is, so nothing is asked or forgotten for them.
  initFlags.AUTO_INVAL_DATA |
  // For every listing: what looks at each thing is spared a request for each. What lists names alone is told little more.
  initFlags.DO_READDIRPLUS;

/** Requests that the kernel may have under way unasked, such as read-ahead, and from where on it slows down. */
const BACKGROUND = { max: 64, congestion: 48 } as const;

/** What reads pass through to may lie on another file system that itself lies on one. */
const STACK_DEPTH = 2;

/** `passing`: the kernel is to answer reads of some files itself. */
export function init(exchange: Exchange, passing: boolean): number {
  const major = in32(exchange, initIn.major);
  const minor = in32(exchange, initIn.minor);
  const { replyView } = exchange;
  clear(exchange, initOut.size);
  replyView.setUint32(OUT + initOut.major, VERSION.major, little);
  replyView.setUint32(OUT + initOut.minor, Math.min(minor, VERSION.minor), little);
  // A newer kernel asks again with this version; an older one than any that is in use cannot be served.
  if (major > VERSION.major) return initOut.size;
  if (major < VERSION.major || minor < VERSION.least) return -EPROTO;
  replyView.setUint32(OUT + initOut.maxReadahead, in32(exchange, initIn.maxReadahead), little);
  const offered = in32(exchange, initIn.flags);
  const extended = passing && (offered & initFlags.INIT_EXT) !== 0;
  replyView.setUint32(OUT + initOut.flags, offered & (WANTED | (extended ? initFlags.INIT_EXT : 0)), little);
  if (extended && (in32(exchange, initIn.flags2) & initFlags2.PASSTHROUGH) !== 0) {
    replyView.setUint32(OUT + initOut.flags2, initFlags2.PASSTHROUGH, little);
    replyView.setUint32(OUT + initOut.maxStackDepth, STACK_DEPTH, little);
  }
  replyView.setUint16(OUT + initOut.maxBackground, BACKGROUND.max, little);
  replyView.setUint16(OUT + initOut.congestionThreshold, BACKGROUND.congestion, little);
  replyView.setUint32(OUT + initOut.maxWrite, MAX_WRITE, little);
  replyView.setUint32(OUT + initOut.timeGran, 1, little);
  replyView.setUint16(OUT + initOut.maxPages, MAX_PAGES, little);
  return initOut.size;
}

/** `interest` counts the files that are asked for. */
export function lookup(exchange: Exchange, directory: Node, owner: Owner, interest: Interest): number {
  if (directory.kind !== "directory") return -ENOTDIR;
  const child = directory.child(inName(exchange));
  if (!child) return -ENOENT;
  if (child.kind !== "directory") Atomics.add(interest, 0, 1);
  clear(exchange, entryOut.size);
  writeEntry(exchange, OUT, child, owner);
  return entryOut.size;
}

export function getattr(exchange: Exchange, node: Node, owner: Owner): number {
  clear(exchange, attrOut.size);
  setUint64(exchange.replyView, OUT + attrOut.attrValid, validOf(node));
  writeAttributes(exchange.replyView, OUT + attrOut.attr, node, owner);
  return attrOut.size;
}

export function read(exchange: Exchange, node: Node): number {
  if (node.kind !== "file") return -EISDIR;
  const offset = in64(exchange, readIn.offset);
  const length = Math.min(in32(exchange, readIn.size), MAX_READ, node.file.size - offset);
  if (length <= 0) return 0;
  node.file.read(exchange.reply.subarray(OUT, OUT + length), offset);
  return length;
}

export function readlink({ reply }: Exchange, node: Node): number {
  return node.kind === "symlink" ? reply.write(node.target, OUT) : -EINVAL;
}

export function lseek(exchange: Exchange, node: Node): number {
  const mode = in32(exchange, lseekIn.whence);
  if (node.kind !== "file" || (mode !== whence.SEEK_DATA && mode !== whence.SEEK_HOLE)) return -EINVAL;
  const found = seek(node.file, in64(exchange, lseekIn.offset), mode === whence.SEEK_HOLE);
  if (found === undefined) return -ENXIO;
  setUint64(exchange.replyView, OUT + lseekOut.offset, found);
  return lseekOut.size;
}

/** Where the next hole, or the next data, at or behind `offset` starts. The end of the file counts as a hole. */
function seek(file: FlatFile, offset: number, hole: boolean): number | undefined {
  if (offset >= file.size) return undefined;
  let at = offset;
  while (at < file.size) {
    const located = file.locate(at, file.size - at);
    if (isHole(located) === hole) return at;
    at += located.extent.length;
  }
  return hole ? file.size : undefined;
}

/** What df shows: a file system that is full, as one that cannot be written is. */
export function statfs(exchange: Exchange, { root }: Tree): number {
  const { replyView } = exchange;
  const files = root.kind === "directory" ? [...root.entries()].map(({ node }) => node) : [root];
  const bytes = files.reduce((sum, node) => sum + (node.kind === "file" ? node.file.size : 0), 0);
  clear(exchange, statfsOut.size);
  setUint64(replyView, OUT + statfsOut.blocks, Math.ceil(bytes / 4096));
  replyView.setUint32(OUT + statfsOut.bsize, 4096, little);
  replyView.setUint32(OUT + statfsOut.frsize, 4096, little);
  replyView.setUint32(OUT + statfsOut.namelen, 255, little);
  return statfsOut.size;
}
