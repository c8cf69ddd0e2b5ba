import type { Extent } from "../formats/driver.js";
import type { Source } from "../source/source.js";
import type { CheckProgress, Finding } from "../util/finding.js";

export type { CheckProgress, Finding } from "../util/finding.js";

/** What a thing in a container is, in the terms of stat(2). */
export type ItemKind = "file" | "directory" | "symlink" | "character device" | "block device" | "fifo" | "socket";

/** One thing in a container. */
export interface Item {
  /** Computed from where it stands in the container, so that every worker gives it the same number; at least 1, below 2^44. */
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
  /** Of the second that `modified` is in, where more is recorded than its milliseconds. */
  readonly nanoseconds?: number | undefined;
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
  /** Whether a few bytes of the file can be had without reading all of it. Absent: of every file. */
  isQuick?(id: number): boolean;
  /** Disk images among its files, in the order in which they are told of. */
  readonly disks?: readonly MemberDisk[];
  /** A file that belongs to it without being in it, for images in it that name such; stays open as long as the container. Undefined if there is none. */
  outside?(path: string): Source | undefined;
  /** What machines boot from: named pieces of the disk, `position` and `size` in bytes; they lie in it. */
  readonly bootImages?: readonly { readonly name: string; readonly position: number; readonly size: number }[];
  facts(): ContainerFacts;
  /** Compares what it holds with what it says of that, such as digests; reads all of it. Absent where it says nothing. */
  check?(progress: CheckProgress): readonly Finding[];
  /** Closes what it opened itself, if it did. */
  close?(): void;
}

export interface ContainerFacts {
  /** Short, such as `Rock Ridge`. */
  readonly variant?: string;
  readonly details: Readonly<Record<string, string | number | boolean>>;
  /** What is unusual about it, one sentence each. */
  readonly notes: readonly string[];
}

/** A disk image that is stored in a container. Paths are names joined by `/`, from the root of the container. */
export interface MemberDisk {
  /** What its directory is called; no two are alike. */
  readonly name: string;
  /** The file that it is. */
  readonly path: string;
  /** The files that follow it, for one that was split. */
  readonly parts?: readonly string[];
  /** The name, among these, of the disk it is a difference to. */
  readonly parent?: string;
  /** What it is for, in the field's own terms, such as `AMI`. */
  readonly role?: string;
}

/** What a container may ask for while it is opened. */
export interface ContainerContext {
  /** Where the sessions of a disc begin, in bytes, where the image's format records it. */
  readonly sessions?: readonly number[] | undefined;
  /** A file beside the one that the container is, named relative to it; closed by whoever asked. Throws `PART_MISSING` or `PART_DENIED` if it cannot be had. */
  part(name: string): Source;
  /**
   * The decoded bytes of `source` if it is a compressed stream, undefined if not. `label` tells it from every other stream in the same
   * container: its restart points are kept under it. Closing the result closes `source`.
   */
  unpack(source: Source, label: string): Source | undefined;
  readonly options: ContainerOptions;
}

/** The kinds of names that a disc may have side by side. */
export const nameKinds = ["udf", "rock-ridge", "joliet", "plain"] as const;
export type NameKind = (typeof nameKinds)[number];

/** What the user may choose. Plain data. */
export interface ContainerOptions {
  /** Which names to show where there are several kinds, instead of the best. */
  readonly names?: NameKind | undefined;
  /** Which session of a disc, from 1 on, instead of the last. */
  readonly session?: number | undefined;
  /** A private key in PEM, for bundles that are encrypted. */
  readonly privateKey?: string | undefined;
}

export interface ContainerDriver {
  readonly name: string;
  /** Whether `disk` holds one; reads little. `sessions`: where those of a disc begin, in bytes, where that is known. */
  probe(disk: Source, sessions?: readonly number[]): boolean;
  /** Closes nothing, but what it opened itself if it throws. */
  open(disk: Source, context: ContainerContext): Container;
}
