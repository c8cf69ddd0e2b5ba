import type { DirectoryNode, Entry, Node } from "../tree/node.js";
import { type Owner, validOf, writeAttributes } from "./attributes.js";
import { type Exchange, in32, in64, OUT } from "./exchange.js";
import { dirent, entryOut, fileTypes, little, MAX_READ, readIn, VALID } from "./protocol.js";
import { setUint64 } from "./uint64.js";

/** What was asked for, by all threads together: how many files, by name. */
export type Interest = Int32Array;

/**
 * From so many on, READDIRPLUS tells all of each file, so that the kernel need not ask for the others as well. Before, it gets names: what lists those
 * alone, like find(1), needs no more, and what looks at each thing, like `ls -l`, is soon known.
 */
const INTERESTED = 32;

/** Answers READDIR and READDIRPLUS. A listing is read in pieces; the directory is asked for its entries once. */
export function createLister(owner: Owner, interest: Interest): (exchange: Exchange, directory: DirectoryNode, plus: boolean) => number {
  let known: { readonly id: number; readonly entries: readonly Entry[] } | undefined;

  /** With `.` first and `..`, whose number no reader depends on. */
  const entriesOf = (directory: DirectoryNode): readonly Entry[] => {
    if (known?.id !== directory.id) {
      known = { id: directory.id, entries: [{ name: ".", node: directory }, { name: "..", node: directory }, ...directory.entries()] };
    }
    return known.entries;
  };

  return (exchange, directory, plus) => {
    const entries = entriesOf(directory);
    const end = OUT + Math.min(in32(exchange, readIn.size), MAX_READ);
    const detail = !plus ? "names" : Atomics.load(interest, 0) < INTERESTED ? "directories" : "all";
    const piece: Piece = { end, plus, detail, owner };
    let at = OUT;
    exchange.reply.fill(0, OUT, end);
    for (let index = in64(exchange, readIn.offset); index < entries.length; index += 1) {
      const size = writeDirent(exchange, piece, at, entries[index]!, index + 1);
      if (size === 0) break;
      at += size;
    }
    return at - OUT;
  };
}

/** A `fuse_entry_out`: what LOOKUP answers, and READDIRPLUS for each name. */
export function writeEntry({ replyView }: Exchange, at: number, node: Node, owner: Owner): void {
  setUint64(replyView, at + entryOut.nodeid, node.id);
  setUint64(replyView, at + entryOut.entryValid, node.live ? 0 : VALID);
  setUint64(replyView, at + entryOut.attrValid, validOf(node));
  writeAttributes(replyView, at + entryOut.attr, node, owner);
}

/** What one reply tells. */
interface Piece {
  /** It has to end before. What is there is zeros. */
  readonly end: number;
  readonly plus: boolean;
  /** With `plus`: of what more than names is told. */
  readonly detail: "names" | "directories" | "all";
  readonly owner: Owner;
}

/** Writes one entry at `at`, behind which the listing goes on at `next`; returns its size, or 0 if it does not fit. */
function writeDirent(exchange: Exchange, { end, plus, detail, owner }: Piece, at: number, { name, node }: Entry, next: number): number {
  const { reply, replyView } = exchange;
  const start = plus ? at + entryOut.size : at;
  const nameLength = Buffer.byteLength(name);
  const size = start - at + Math.ceil((dirent.size + nameLength) / 8) * 8;
  if (at + size > end) return 0;
  // The kernel takes no attributes for these two; a node id of 0 says that none are there.
  const told = detail === "all" || (detail === "directories" && node.kind === "directory");
  if (told && name !== "." && name !== "..") writeEntry(exchange, at, node, owner);
  setUint64(replyView, start + dirent.ino, node.id);
  setUint64(replyView, start + dirent.off, next);
  replyView.setUint32(start + dirent.namelen, nameLength, little);
  replyView.setUint32(start + dirent.type, fileTypes[node.kind] >> 12, little);
  if (nameLength === name.length) reply.write(name, start + dirent.size, "latin1");
  else reply.write(name, start + dirent.size);
  return size;
}
