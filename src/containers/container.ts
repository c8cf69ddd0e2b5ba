import type { Extent } from "../formats/driver.js";
import type { Source } from "../source/source.js";

/** What a thing in a container is, in the terms of stat(2). */
export type ItemKind = "file" | "directory" | "symlink" | "character device" | "block device" | "fifo" | "socket";

/** One thing in a container. */
export interface Item {
  /** Computed from where it stands in the container, so that every worker gives it the same number; at least 1, below 2^52. */
  readonly id: number;
  readonly kind: ItemKind;
  /** Permission bits, or undefined where the container records none. */
  readonly mode?: number | undefined;
  /** Owner and group by number, or undefined where the container records none. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Names of the same file, where the container tells. */
  readonly links?: number | undefined;
  /** Milliseconds since 1970; undefined where it is not recorded. */
  readonly modified?: number | undefined;
  /** Bytes of a file. */
  readonly size: number;
  /** Where a symbolic link leads. */
  readonly target?: string | undefined;
  /** Of a device: major and minor number. */
  readonly device?: { readonly major: number; readonly minor: number } | undefined;
}

/** The bytes of a file, by the same seam as those of a disk. */
export interface Content {
  /** Bytes. */
  readonly size: number;
  /** Where the bytes from `offset` on are; `offset` < `size`, `length` ≥ 1. Never `parent`. */
  map(offset: number, length: number): Extent;
}

/** An opened file system or archive: it knows where things are, and copies nothing. */
export interface Container {
  readonly format: string;
  /** A bundle of files and no disk: the whole of it is not shown as one. */
  readonly archive?: boolean;
  readonly root: Item;
  /** The thing with that number; undefined if there is none. */
  item(id: number): Item | undefined;
  /** What is in the directory with that number, in the order in which it is stored; no name twice. Throws what reading it throws. */
  list(id: number): ReadonlyMap<string, Item>;
  /** Throws what the file's own records make impossible. */
  content(id: number): Content;
  /** What machines boot from: named pieces of the disk, `position` and `size` in bytes; they lie in it. */
  readonly bootImages?: readonly { readonly name: string; readonly position: number; readonly size: number }[];
  facts(): ContainerFacts;
}

export interface ContainerFacts {
  /** Short, such as `Rock Ridge`. */
  readonly variant?: string;
  readonly details: Readonly<Record<string, string | number | boolean>>;
  /** What is unusual about it, one sentence each. */
  readonly notes: readonly string[];
}

export interface ContainerDriver {
  readonly name: string;
  /** Whether `disk` holds one; reads little. */
  probe(disk: Source): boolean;
  /** Closes nothing. */
  open(disk: Source): Container;
}
