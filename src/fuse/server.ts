import { constants } from "node:os";
import type { Node, Tree } from "../tree/node.js";
import type { Owner } from "./attributes.js";
import { countOpen, countRequest, createCounters, type Row } from "./counters.js";
import { errnoOf } from "./errno.js";
import { createExchange, type Exchange, finish } from "./exchange.js";
import { createLister, type Interest } from "./listing.js";
import { getattr, init, lookup, lseek, read, readlink, statfs } from "./operations.js";
import { createOpens, type PassingTable } from "./opens.js";
import { inHeader, little, opcodes, writingOpcodes } from "./protocol.js";
import { getUint64 } from "./uint64.js";

export interface ServerOptions {
  readonly owner: Owner;
  /** Files whose reads the kernel may answer itself. Without any, nothing is ever opened. */
  readonly passing?: PassingTable | undefined;
  /** The same memory in every thread. */
  readonly interest?: Interest | undefined;
  /** Whether the image still is as it was; asked when a file of `passing` is opened. */
  readonly isWhole?: () => boolean;
  /** Where it is counted what was answered. */
  readonly counters?: Row | undefined;
  /** Told about every request that failed for another reason than the caller's: a damaged image, a failing disk. */
  readonly onError?: (error: unknown, node: Node | undefined) => void;
}

/**
 * Answers one request: `request` holds `length` bytes of it, the reply is written to `reply`, whose length in bytes is returned; 0 where FUSE wants no reply.
 * `reply` has at least `MAX_READ` + 16 bytes. Never throws.
 */
export type Server = (request: Buffer, length: number, reply: Buffer) => number;

const { ENOENT, ENOSYS, ENOTDIR, EROFS } = constants.errno;

/** A FUSE file system over `tree`, as a function from requests to replies: no descriptor, no thread, no kernel. */
export function createServer(tree: Tree, options: ServerOptions): Server {
  const { owner, passing, interest = new Int32Array(1), isWhole = () => true, onError, counters: row = createCounters(1)[0]! } = options;
  const list = createLister(owner, interest);
  const opens = passing && createOpens(passing, isWhole, (way) => countOpen(row, way));
  let exchange: Exchange | undefined;

  function dispatch(current: Exchange, opcode: number, node: Node): number {
    switch (opcode) {
      case opcodes.READ:
        return read(current, node);
      case opcodes.LOOKUP:
        return lookup(current, node, owner, interest);
      case opcodes.GETATTR:
        return getattr(current, node, owner);
      // Nothing has to be opened here. Told so once, the kernel asks no more, and keeps what it has read, of files and of directories.
      case opcodes.OPEN:
        return opens ? opens.open(current, node.id) : -ENOSYS;
      case opcodes.OPENDIR:
        return -ENOSYS;
      case opcodes.READDIR:
      case opcodes.READDIRPLUS:
        return node.kind === "directory" ? list(current, node, opcode === opcodes.READDIRPLUS) : -ENOTDIR;
      case opcodes.READLINK:
        return readlink(current, node);
      case opcodes.LSEEK:
        return lseek(current, node);
      case opcodes.STATFS:
        return statfs(current, tree);
      case opcodes.RELEASE:
        opens?.release(current, node.id);
        return 0;
      case opcodes.RELEASEDIR:
      case opcodes.ACCESS:
        return 0;
      default:
        return writingOpcodes.has(opcode) ? -EROFS : -ENOSYS;
    }
  }

  function answer(current: Exchange, opcode: number): number {
    let node: Node | undefined;
    try {
      if (opcode === opcodes.INIT) return init(current, passing !== undefined);
      if (opcode === opcodes.DESTROY) return 0;
      node = tree.node(getUint64(current.requestView, inHeader.nodeid));
      return node ? dispatch(current, opcode, node) : -ENOENT;
    } catch (error) {
      onError?.(error, node);
      return -errnoOf(error);
    }
  }

  return (request, length, reply) => {
    if (length < inHeader.size) return 0;
    if (exchange?.request !== request || exchange.reply !== reply) exchange = createExchange(request, reply);
    exchange.length = length;
    const opcode = exchange.requestView.getUint32(inHeader.opcode, little);
    if (opcode === opcodes.FORGET || opcode === opcodes.BATCH_FORGET || opcode === opcodes.INTERRUPT) return 0;
    const result = answer(exchange, opcode);
    countRequest(row, opcode, result);
    return finish(exchange, result);
  };
}

/** Whether a request asks for a part of a directory. */
export function isListing(request: Buffer): boolean {
  const opcode = little ? request.readUInt32LE(inHeader.opcode) : request.readUInt32BE(inHeader.opcode);
  return opcode === opcodes.READDIR || opcode === opcodes.READDIRPLUS;
}
