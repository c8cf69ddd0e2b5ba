import type { DirectoryNode, Entry, Node } from "../tree/node.js";
import { modeOf, type Owner, writeAttributes } from "./attributes.js";
import { type Exchange, in32, in64, OUT } from "./exchange.js";
import { dirent, entryOut, little, MAX_READ, readIn, VALID } from "./protocol.js";
import { setUint64 } from "./uint64.js";

/** Answers READDIR and READDIRPLUS. A listing is read in pieces; the directory is asked for its entries once. */
export function createLister(owner: Owner): (exchange: Exchange, directory: DirectoryNode, plus: boolean) => number {
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
    let at = OUT;
    for (let index = in64(exchange, readIn.offset); index < entries.length; index += 1) {
      const size = writeDirent(exchange, { at, end, entry: entries[index]!, next: index + 1, plus, owner });
      if (size === 0) break;
      at += size;
    }
    return at - OUT;
  };
}

/** A `fuse_entry_out`: what LOOKUP answers, and READDIRPLUS for each name. */
export function writeEntry({ replyView }: Exchange, at: number, node: Node, owner: Owner): void {
  setUint64(replyView, at + entryOut.nodeid, node.id);
  setUint64(replyView, at + entryOut.entryValid, VALID);
  setUint64(replyView, at + entryOut.attrValid, VALID);
  writeAttributes(replyView, at + entryOut.attr, node, owner);
}

interface Dirent {
  readonly at: number;
  /** The entry has to end before. */
  readonly end: number;
  readonly entry: Entry;
  /** Where the listing goes on behind it. */
  readonly next: number;
  readonly plus: boolean;
  readonly owner: Owner;
}

/** Writes one entry; returns its size, or 0 if it does not fit. */
function writeDirent(exchange: Exchange, { at, end, entry: { name, node }, next, plus, owner }: Dirent): number {
  const { reply, replyView } = exchange;
  const start = plus ? at + entryOut.size : at;
  const nameLength = Buffer.byteLength(name);
  const size = start - at + Math.ceil((dirent.size + nameLength) / 8) * 8;
  if (at + size > end) return 0;
  reply.fill(0, at, at + size);
  // The kernel takes no attributes for these two; a node id of 0 says that none are there.
  if (plus && name !== "." && name !== "..") writeEntry(exchange, at, node, owner);
  setUint64(replyView, start + dirent.ino, node.id);
  setUint64(replyView, start + dirent.off, next);
  replyView.setUint32(start + dirent.namelen, nameLength, little);
  replyView.setUint32(start + dirent.type, modeOf(node) >> 12, little);
  reply.write(name, start + dirent.size);
  return size;
}
