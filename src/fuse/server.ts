import { constants } from "node:os";
import { isHole } from "../tree/flat.js";
import type { DirectoryNode, Entry, FlatFile, Node, Tree } from "../tree/node.js";
import { getUint64, modeOf, type Owner, setUint64, writeAttributes } from "./attributes.js";
import { errnoOf } from "./errno.js";
import {
  attrOut,
  dirent,
  entryOut,
  inHeader,
  initFlags,
  initIn,
  initOut,
  little,
  lseekIn,
  lseekOut,
  MAX_PAGES,
  MAX_READ,
  MAX_WRITE,
  opcodes,
  openFlags,
  openIn,
  openOut,
  outHeader,
  readIn,
  statfsOut,
  VERSION,
  whence,
  writingOpcodes,
} from "./protocol.js";

export interface ServerOptions {
  readonly owner: Owner;
  /** Told about every request that failed for another reason than the caller's: a damaged image, a failing disk. */
  readonly onError?: (error: unknown, where: string) => void;
}

/**
 * Answers one request: `request` holds `length` bytes of it, the reply is written to `reply`, whose length in bytes is returned; 0 where FUSE wants no reply.
 * `reply` has at least `MAX_READ` + 16 bytes. Never throws.
 */
export type Server = (request: Buffer, length: number, reply: Buffer) => number;

const { EINVAL, EIO, EISDIR, ENOENT, ENOSYS, ENOTDIR, ENXIO, EPROTO, EROFS } = constants.errno;

/** What an image shows never changes, so the kernel may keep it: a day, in seconds. */
const VALID = 86_400;
/** The access mode in the flags of open(2), fcntl.h. */
const O_ACCMODE = 3;

/** A FUSE file system over `tree`, as a function from requests to replies: no descriptor, no thread, no kernel. */
export function createServer(tree: Tree, { owner, onError }: ServerOptions): Server {
  let requestView: DataView = new DataView(new ArrayBuffer(0));
  let replyView = requestView;
  let input: Buffer = Buffer.alloc(0);
  let output: Buffer = input;
  let inputLength = 0;
  /** A listing is read in pieces; the directory is asked once. */
  let listing: { readonly id: number; readonly entries: readonly Entry[] } | undefined;

  /** Start of the operation's own structure in the request, and in the reply. */
  const body = inHeader.size;
  const out = outHeader.size;

  /** The reply has `bytes` of content behind its header. Negative: an errno. */
  function finish(bytes: number): number {
    replyView.setUint32(outHeader.length, bytes < 0 ? out : out + bytes, little);
    replyView.setInt32(outHeader.error, Math.min(bytes, 0), little);
    output.set(input.subarray(inHeader.unique, inHeader.unique + 8), outHeader.unique);
    return bytes < 0 ? out : out + bytes;
  }

  function clear(bytes: number): void {
    output.fill(0, out, out + bytes);
  }

  function name(at: number): string {
    const end = input.indexOf(0, at);
    return input.toString("utf8", at, end < 0 || end > inputLength ? inputLength : end);
  }

  function init(): number {
    const major = requestView.getUint32(body + initIn.major, little);
    const minor = requestView.getUint32(body + initIn.minor, little);
    clear(initOut.size);
    replyView.setUint32(out + initOut.major, VERSION.major, little);
    replyView.setUint32(out + initOut.minor, Math.min(minor, VERSION.minor), little);
    // A newer kernel asks again with this version; an older one than any that runs today cannot be served.
    if (major > VERSION.major) return initOut.size;
    if (major < VERSION.major || minor < VERSION.least) return -EPROTO;
    const wanted =
      initFlags.ASYNC_READ |
      initFlags.PARALLEL_DIROPS |
      initFlags.MAX_PAGES |
      initFlags.CACHE_SYMLINKS |
      initFlags.DO_READDIRPLUS |
      initFlags.READDIRPLUS_AUTO;
    replyView.setUint32(out + initOut.maxReadahead, requestView.getUint32(body + initIn.maxReadahead, little), little);
    replyView.setUint32(out + initOut.flags, requestView.getUint32(body + initIn.flags, little) & wanted, little);
    replyView.setUint16(out + initOut.maxBackground, 64, little);
    replyView.setUint16(out + initOut.congestionThreshold, 48, little);
    replyView.setUint32(out + initOut.maxWrite, MAX_WRITE, little);
    replyView.setUint32(out + initOut.timeGran, 1, little);
    replyView.setUint16(out + initOut.maxPages, MAX_PAGES, little);
    return initOut.size;
  }

  function writeEntry(at: number, node: Node): void {
    setUint64(replyView, at + entryOut.nodeid, node.id);
    setUint64(replyView, at + entryOut.entryValid, VALID);
    setUint64(replyView, at + entryOut.attrValid, VALID);
    writeAttributes(replyView, at + entryOut.attr, node, owner);
  }

  function lookup(node: Node): number {
    if (node.kind !== "directory") return -ENOTDIR;
    const child = node.child(name(body));
    if (!child) return -ENOENT;
    clear(entryOut.size);
    writeEntry(out, child);
    return entryOut.size;
  }

  function getattr(node: Node): number {
    clear(attrOut.size);
    setUint64(replyView, out + attrOut.attrValid, VALID);
    writeAttributes(replyView, out + attrOut.attr, node, owner);
    return attrOut.size;
  }

  function open(flags: number): number {
    if ((requestView.getUint32(body + openIn.flags, little) & O_ACCMODE) !== 0) return -EROFS;
    clear(openOut.size);
    replyView.setUint32(out + openOut.openFlags, flags, little);
    return openOut.size;
  }

  function read(node: Node): number {
    if (node.kind !== "file") return -EISDIR;
    const offset = getUint64(requestView, body + readIn.offset);
    const wanted = Math.min(requestView.getUint32(body + readIn.size, little), MAX_READ);
    const length = Math.min(wanted, node.file.size - offset);
    if (length <= 0) return 0;
    node.file.read(output.subarray(out, out + length), offset);
    return length;
  }

  function readlink(node: Node): number {
    return node.kind === "symlink" ? output.write(node.target, out) : -EINVAL;
  }

  function readdir(directory: Node, plus: boolean): number {
    if (directory.kind !== "directory") return -ENOTDIR;
    const entries = entriesOf(directory);
    const end = out + Math.min(requestView.getUint32(body + readIn.size, little), MAX_READ);
    let at = out;
    for (let index = getUint64(requestView, body + readIn.offset); index < entries.length; index += 1) {
      const size = writeDirent(at, end, entries[index]!, index + 1, plus);
      if (size === 0) break;
      at += size;
    }
    return at - out;
  }

  /** With `.` first and `..`, whose number no reader depends on. */
  function entriesOf(directory: DirectoryNode): readonly Entry[] {
    if (listing?.id !== directory.id) {
      listing = { id: directory.id, entries: [{ name: ".", node: directory }, { name: "..", node: directory }, ...directory.entries()] };
    }
    return listing.entries;
  }

  /** One entry at `at`; returns its size, or 0 if it does not fit before `end`. */
  function writeDirent(at: number, end: number, entry: Entry, next: number, plus: boolean): number {
    const start = plus ? at + entryOut.size : at;
    const nameLength = Buffer.byteLength(entry.name);
    const size = start - at + Math.ceil((dirent.size + nameLength) / 8) * 8;
    if (at + size > end) return 0;
    output.fill(0, at, at + size);
    // The kernel takes no attributes for these two, and a node id of 0 says so.
    if (plus && entry.name !== "." && entry.name !== "..") writeEntry(at, entry.node);
    setUint64(replyView, start + dirent.ino, entry.node.id);
    setUint64(replyView, start + dirent.off, next);
    replyView.setUint32(start + dirent.namelen, nameLength, little);
    replyView.setUint32(start + dirent.type, modeOf(entry.node) >> 12, little);
    output.write(entry.name, start + dirent.size);
    return size;
  }

  function lseek(node: Node): number {
    if (node.kind !== "file") return -EINVAL;
    const offset = getUint64(requestView, body + lseekIn.offset);
    const mode = requestView.getUint32(body + lseekIn.whence, little);
    if (mode !== whence.SEEK_DATA && mode !== whence.SEEK_HOLE) return -EINVAL;
    const found = seek(node.file, offset, mode === whence.SEEK_HOLE);
    if (found === undefined) return -ENXIO;
    setUint64(replyView, out + lseekOut.offset, found);
    return lseekOut.size;
  }

  function statfs(): number {
    clear(statfsOut.size);
    const bytes = tree.root.kind === "file" ? tree.root.file.size : 0;
    setUint64(replyView, out + statfsOut.blocks, Math.ceil(bytes / 4096));
    replyView.setUint32(out + statfsOut.bsize, 4096, little);
    replyView.setUint32(out + statfsOut.frsize, 4096, little);
    replyView.setUint32(out + statfsOut.namelen, 255, little);
    return statfsOut.size;
  }

  function dispatch(opcode: number, node: Node): number {
    switch (opcode) {
      case opcodes.READ:
        return read(node);
      case opcodes.LOOKUP:
        return lookup(node);
      case opcodes.GETATTR:
        return getattr(node);
      case opcodes.OPEN:
        return open(openFlags.KEEP_CACHE);
      case opcodes.OPENDIR:
        return open(openFlags.KEEP_CACHE | openFlags.CACHE_DIR);
      case opcodes.READDIR:
        return readdir(node, false);
      case opcodes.READDIRPLUS:
        return readdir(node, true);
      case opcodes.READLINK:
        return readlink(node);
      case opcodes.LSEEK:
        return lseek(node);
      case opcodes.STATFS:
        return statfs();
      case opcodes.RELEASE:
      case opcodes.RELEASEDIR:
      case opcodes.ACCESS:
        return 0;
      default:
        return writingOpcodes.has(opcode) ? -EROFS : -ENOSYS;
    }
  }

  function answer(opcode: number): number {
    if (opcode === opcodes.INIT) return init();
    if (opcode === opcodes.DESTROY) return 0;
    const node = tree.node(getUint64(requestView, inHeader.nodeid));
    if (!node) return -ENOENT;
    try {
      return dispatch(opcode, node);
    } catch (error) {
      onError?.(error, `node ${node.id}`);
      return -errnoOf(error);
    }
  }

  return (request, length, reply) => {
    if (length < inHeader.size) return 0;
    if (request !== input) requestView = new DataView(request.buffer, request.byteOffset, request.length);
    if (reply !== output) replyView = new DataView(reply.buffer, reply.byteOffset, reply.length);
    input = request;
    output = reply;
    inputLength = length;
    const opcode = requestView.getUint32(inHeader.opcode, little);
    if (opcode === opcodes.FORGET || opcode === opcodes.BATCH_FORGET || opcode === opcodes.INTERRUPT) return 0;
    try {
      return finish(answer(opcode));
    } catch (error) {
      // Only a request that is not one gets here, such as one that ends inside its structure.
      onError?.(error, `request ${opcode}`);
      return finish(-EIO);
    }
  };
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
