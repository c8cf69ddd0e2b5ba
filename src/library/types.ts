import type { Readable } from "node:stream";
import type { DiskDescription } from "../disk/describe.js";
import type { Node } from "../tree/node.js";
import type { CheckProgress, Finding } from "../util/finding.js";
import type { ImageExtent } from "./extents.js";
import type { ByteRange } from "./ranges.js";
import type { StreamOptions } from "./stream.js";

/** A flat run of bytes that can be read anywhere: a disk, a partition, a file in an archive. */
export interface ImageFile {
  /** Bytes. */
  readonly size: number;
  /**
   * Fills all of `target` with the bytes from `offset` on.
   * Throws a `RangeError` if the range leaves the file, and an `ImageError` if a part of it cannot be read; `target` may then be filled in part.
   */
  read(target: Uint8Array, offset: number): void;
  /** The `length` bytes at `offset`, in a buffer of its own. Throws what `read` throws. */
  readAt(offset: number, length: number): Buffer;
  /** How the bytes are stored, run by run. Throws a `RangeError` for a range that leaves the file. */
  extents(range?: ByteRange): IterableIterator<ImageExtent>;
  /**
   * A stream over the file, or over a part of it. Throws a `RangeError` for a range that leaves the file.
   * At a byte that cannot be read the stream ends with the `ImageError`, after every byte before it.
   */
  createReadStream(options?: StreamOptions): Readable;
}

/** How a call can be given up. */
export interface CallOptions {
  /** Rejects the call with the signal's reason when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** The same as `ImageFile`, read by workers: what is thrown there, rejects here, and nothing waits in the caller's thread. */
export interface AsyncImageFile {
  /** Bytes. */
  readonly size: number;
  /** Fills all of `target` with the bytes from `offset` on. `readAt` spares a copy. */
  read(target: Uint8Array, offset: number, options?: CallOptions): Promise<void>;
  /** The `length` bytes at `offset`, in a buffer of its own. */
  readAt(offset: number, length: number, options?: CallOptions): Promise<Buffer>;
  /** How the bytes are stored, run by run. */
  extents(range?: ByteRange & CallOptions): AsyncIterableIterator<ImageExtent>;
  /** A stream over the file, or over a part of it. Each worker reads a piece of `highWaterMark` bytes ahead. */
  createReadStream(options?: StreamOptions): Readable;
}

/** What stands in an image's tree. */
export interface TreeStat {
  /** A number of its own in the tree: the inode number in a mount. */
  readonly id: number;
  readonly kind: Node["kind"];
  /** Bytes of a file; 0 for what is none. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  /** When it was changed last; where that is not recorded, when the image was. An invalid date if what is recorded is none. */
  readonly modified: Date;
  /** Owner and group by number, where that is recorded. */
  readonly uid?: number;
  readonly gid?: number;
  /** Where a symbolic link leads. */
  readonly target?: string;
  /** Of a device: major and minor number. */
  readonly device?: { readonly major: number; readonly minor: number };
}

/** An entry of a directory. */
export interface TreeEntry extends TreeStat {
  readonly name: string;
}

/** An entry somewhere below a directory. */
export interface TreeItem extends TreeStat {
  /** From the directory that was asked for: names joined by `/`. */
  readonly path: string;
}

/**
 * What a mount of the image shows: `disk.raw`, `partitions/1.raw`, `files/`, `disks/`, `info.json` ….
 * Paths are names joined by `/`; links within the tree are followed, and nothing leads out of it. Throws a `PathError` for a path that leads to nothing.
 */
export interface ImageTree {
  /** What is in the directory at `path`, the top if it is left out; links are not followed. */
  list(path?: string): TreeEntry[];
  /** What is at `path`. */
  stat(path: string): TreeStat;
  /** What is at `path`; a link at its end is not followed. */
  lstat(path: string): TreeStat;
  /** The file at `path`. */
  open(path: string): ImageFile;
  /** Everything below the directory at `path`, the top if it is left out, each directory before what is in it; links are not followed. */
  walk(path?: string): IterableIterator<TreeItem>;
}

/** The same as `ImageTree`, read by workers. */
export interface AsyncImageTree {
  /** What is in the directory at `path`, the top if it is left out; links are not followed. */
  list(path?: string, options?: CallOptions): Promise<TreeEntry[]>;
  /** What is at `path`. */
  stat(path: string, options?: CallOptions): Promise<TreeStat>;
  /** What is at `path`; a link at its end is not followed. */
  lstat(path: string, options?: CallOptions): Promise<TreeStat>;
  /** The file at `path`. */
  open(path: string, options?: CallOptions): Promise<AsyncImageFile>;
  /** Everything below the directory at `path`, one directory at a time. */
  walk(path?: string, options?: CallOptions): AsyncIterableIterator<TreeItem>;
}

/** A partition, as the table declares it. */
export type PartitionDescription = DiskDescription["partitions"][number];
/** What lies on the disk in another way than as a partition: a BSD slice, a logical volume. */
export type VolumeDescription = NonNullable<DiskDescription["volumes"]>[number];

/** What is in an image, with `File` for what can be read and `Tree` for what it shows. */
export interface ImageParts<File, Tree> {
  /** The format's name, as `flatmount formats` lists it; `raw` for what is no disk image, such as a disc or an archive. */
  readonly format: string;
  /** What `flatmount info --json` prints. */
  readonly description: DiskDescription;
  /**
   * The disk; undefined for a package with none in it, or with several. Then `size` is 0, and reading throws an `ImageError` with the code `WRONG_FORMAT`:
   * see `disks`.
   */
  readonly disk: File | undefined;
  /** In the order of their numbers. One that reaches past the end of the disk ends there; one that begins behind it is left out. */
  readonly partitions: readonly (File & {
    /** As Linux numbers it; there may be gaps. */
    readonly number: number;
    readonly info: PartitionDescription;
  })[];
  /** BSD and Solaris slices, logical volumes, members of arrays. */
  readonly volumes: readonly (File & { readonly name: string; readonly info: VolumeDescription })[];
  /** What is stored beside the disk, such as audio tracks. */
  readonly tracks: readonly (File & { readonly name: string })[];
  /** The disk images in a package or archive, each as if it had been opened alone. They are closed with the image. */
  readonly disks: readonly (ImageParts<File, Tree> &
    File & {
      /** Of its directory below `disks/`; no two are alike. */
      readonly name: string;
      /** Of its file below `files/`. */
      readonly path: string;
      /** What it is for, such as `AMI`, where that is told. */
      readonly role?: string;
    })[];
  /** What a mount would show. */
  readonly tree: Tree;
}

/** An opened image, read in the caller's thread. Its own `read`, `readAt`, `extents` and `createReadStream` are those of its disk. */
export interface Image extends ImageParts<ImageFile, ImageTree>, ImageFile, Disposable {
  /** Reads what can be checked, and tells what is wrong; what `flatmount check` does. */
  check(progress?: CheckProgress): readonly Finding[];
  /** Closes every file. Everything but closing again throws a `ClosedError` from then on; streams under way are destroyed with it. */
  close(): void;
}

/** An opened image, read by workers. Its own `read`, `readAt`, `extents` and `createReadStream` are those of its disk. */
export interface AsyncImage extends ImageParts<AsyncImageFile, AsyncImageTree>, AsyncImageFile, AsyncDisposable {
  /** Reads what can be checked, and tells what is wrong; what `flatmount check` does. */
  check(options?: CallOptions): Promise<readonly Finding[]>;
  /** Ends the workers and closes every file. What is under way rejects with a `ClosedError`, and so does everything from then on. */
  close(): Promise<void>;
}
