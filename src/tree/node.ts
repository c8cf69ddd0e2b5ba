import type { Located } from "../disk/read.js";

/** A flat run of bytes that can be read anywhere: a disk, a partition of it, a text. */
export interface FlatFile {
  /** Bytes. */
  readonly size: number;
  /** Fills `target` from `offset` on; the range lies in the file. Throws for a range that cannot be read. */
  read(target: Uint8Array, offset: number): void;
  /** What the bytes from `offset` on are, at most `length` of them; `offset` < `size`, `length` ≥ 1. */
  locate(offset: number, length: number): Located;
  /** Bytes that are stored rather than holes; may be an estimate for very large images. */
  allocated(): number;
}

interface NodeBase {
  /** Computed from the image, so that every worker gives the same node the same number. The root is 1. */
  readonly id: number;
  /** Permission bits. */
  readonly mode: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Of the second that `modified` is in, where that is too coarse: a Number holds no nanoseconds since 1970. */
  readonly nanoseconds?: number | undefined;
  /** By number; where it is not recorded, whoever mounts owns what is shown. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Names that it has; 1, or 2 for a directory, where it is not recorded. */
  readonly links?: number | undefined;
  /** What it holds changes: nobody is to remember anything of it. */
  readonly live?: boolean | undefined;
}

export interface FileNode extends NodeBase {
  readonly kind: "file";
  readonly file: FlatFile;
}

export interface DirectoryNode extends NodeBase {
  readonly kind: "directory";
  child(name: string): Node | undefined;
  /** In an order that does not change. */
  entries(): Iterable<Entry>;
}

export interface SymlinkNode extends NodeBase {
  readonly kind: "symlink";
  readonly target: string;
}

/** What only a running system can use: shown for what it is. */
export interface SpecialNode extends NodeBase {
  readonly kind: "character device" | "block device" | "fifo" | "socket";
  readonly device?: { readonly major: number; readonly minor: number } | undefined;
}

export type Node = FileNode | DirectoryNode | SymlinkNode | SpecialNode;

export interface Entry {
  readonly name: string;
  /** May be made when it is asked for. */
  readonly node: Node;
}

/** What a mount shows. The root is a file where the mount point is one. */
export interface Tree {
  readonly root: Node;
  node(id: number): Node | undefined;
}

/** A directory whose entries are known. */
export function directoryNode(id: number, mode: number, modified: number, entries: readonly Entry[]): DirectoryNode {
  const byName = new Map(entries.map(({ name, node }) => [name, node]));
  // 1, where there are directories in it: find(1) must not conclude from 2 that there are none.
  const links = entries.some(({ node }) => node.kind === "directory") ? 1 : 2;
  return { kind: "directory", id, mode, modified, links, child: (name) => byName.get(name), entries: () => entries };
}

/** When it was modified: the nanoseconds of the second, which begins `seconds` after 1970. */
export function nanosecondsOf({ modified, nanoseconds }: Node, seconds: number): number {
  return nanoseconds ?? Math.floor((modified - seconds * 1000) * 1e6);
}

/** The node at `path` (names joined by `/`; empty parts ignored), or undefined. */
export function nodeAt(tree: Tree, path: string): Node | undefined {
  let node: Node | undefined = tree.root;
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    node = node?.kind === "directory" ? node.child(name) : undefined;
  }
  return node;
}
