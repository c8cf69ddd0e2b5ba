import type { Source } from "../source/source.js";
import type { ImageError } from "../util/errors.js";
import type { Audit } from "./audit.js";

/** One run of the virtual disk that is stored in one way. `length` is ≥ 1 and never past what was asked. */
export type Extent =
  /** Reads as zeros because the image says so. */
  | { readonly kind: "zero"; readonly length: number }
  | { readonly kind: "data"; readonly length: number; readonly source: Source; readonly position: number }
  /** Not in this image: at `offset` of the parent's virtual disk, or zeros where there is no parent or it ends before. */
  | { readonly kind: "parent"; readonly length: number; readonly offset: number }
  /** Stored encoded: `block` decodes as a whole; the run starts `skip` bytes into it. */
  | { readonly kind: "packed"; readonly length: number; readonly block: PackedBlock; readonly skip: number }
  /** Cannot be known: the image is damaged or cut here. Reading it fails with `error`; the ranges around it are as good as ever. */
  | { readonly kind: "damaged"; readonly length: number; readonly error: ImageError };

/** A compressed or encrypted unit. */
export interface PackedBlock {
  /** Names it in the decoded-block cache; unique in the process (see `packedKeys`). */
  readonly key: string;
  /** Bytes once decoded. */
  readonly size: number;
  /** Where it is stored, for `map`. */
  readonly source: Source;
  readonly position: number;
  /** Decodes into `target`, which has `size` bytes. Throws `CORRUPT` if the stored bytes do not decode to that many. */
  unpack(target: Uint8Array): void;
}

/** An opened image. It knows where bytes are; it never copies them. */
export interface Layer {
  readonly format: string;
  /** The image file, as the user would name it. */
  readonly name: string;
  /** Size of the virtual disk in bytes. */
  readonly size: number;
  readonly parent?: Layer;
  /** Bytes of a logical sector, where the image tells. */
  readonly sectorSize?: number;
  /** What is stored beside the disk and is no part of it, such as the audio tracks of a disc: files that are shown under their names. */
  readonly tracks?: readonly Track[];
  /** Where the sessions of a disc begin, in bytes, where the image tells. */
  readonly sessions?: readonly number[];
  /** Where the bytes from `offset` on are; `offset` < `size`. `length` ≥ 1 is a hint: stop early rather than load another table just to go on. */
  map(offset: number, length: number): Extent;
  facts(): LayerFacts;
  /**
   * The state at an internal snapshot, by its index in `facts().snapshots`. Over the same files and parents: closing it closes nothing, and it is of no use once
   * this layer is closed. Throws an `ImageError` if that snapshot cannot be opened. Absent where there are none beside the current state.
   */
  snapshot?(index: number): Layer;
  /**
   * Compares what this image says of itself beyond what reading it needs: counts, copies, checksums, places that are taken twice. Tells of damage and throws
   * none. Absent where there is nothing to compare.
   */
  audit?(audit: Audit): void;
  /** Closes this image and its parents. */
  close(): void;
}

/** A file that an image holds beside its disk. */
export interface Track {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** As that of the disk, never `parent`. */
  map(offset: number, length: number): Extent;
}

/** What `info` tells about one image of a chain. */
export interface LayerFacts {
  /** Short, such as `version 3`. */
  readonly variant?: string;
  /** Named in the field's own terms, such as `cluster size`; sizes in bytes. */
  readonly details: Readonly<Record<string, string | number | boolean>>;
  readonly snapshots?: readonly SnapshotFacts[];
  /** What is unusual about this image, one sentence each. */
  readonly notes: readonly string[];
}

export interface SnapshotFacts {
  readonly id: string;
  readonly name: string;
  /** Size of the virtual disk at that time, in bytes. */
  readonly size: number;
  /** ISO 8601, UTC; absent where the format does not record it. */
  readonly created?: string;
  /** Bytes of saved machine state, never shown as disk. */
  readonly stateSize: number;
}

/** What tells one image from every other, written into it and into its children. */
export interface Identity {
  /** As the format calls it. */
  readonly kind: "CID" | "content id" | "UUID" | "DataWriteGuid";
  /** In one spelling per kind: equal strings, equal images. */
  readonly value: string;
}

/** How an image names the one it is a difference to. */
export interface ParentWish {
  /** The names it records, best first, as they are: relative to the image or absolute, of this system or another. May be none. */
  readonly names: readonly string[];
  /** The parent's format where the image records it; otherwise it is found by content. */
  readonly format?: string | undefined;
  /** What the parent must be: it has one of these, the first one is the usual. Absent where the format records nothing. */
  readonly identities?: readonly [Identity, ...Identity[]] | undefined;
}

/** The only way a driver reaches another file: the caller decides what may be opened. */
export interface Opener {
  /** A file that belongs to the image, named relative to it. Closed by whoever asked. Throws `PART_MISSING` or `PART_DENIED` if it cannot be had. */
  part(name: string): Source;
  /** The names of the files in a folder that belongs to the image, named relative to it. Throws like `part`. Absent where that cannot be told. */
  names?(folder: string): readonly string[];
  /** The image this one is a difference to. Closed by whoever asked. Throws if there is none that fits, unless `degraded`. */
  parent(wish: ParentWish): Layer;
  /** Go on without a part that cannot be had: its ranges of the disk are then damaged extents, with the error that `part` threw. */
  readonly degraded: boolean;
}

export interface OpenOptions {
  /** An internal snapshot, by id or name, instead of the current state. */
  readonly snapshot?: string | undefined;
  /** One disk, by name, of an image that holds several. */
  readonly disk?: string | undefined;
  /** Passwords for encrypted images: each is tried. */
  readonly passwords?: readonly string[] | undefined;
  readonly keys?: KeyMemory | undefined;
}

/** Keys that were derived from passwords at some cost, for other threads that open the same image. Never leaves the process. */
export interface KeyMemory {
  /** `name` tells one encrypted image from every other. */
  get(name: string): Uint8Array | undefined;
  put(name: string, key: Uint8Array): void;
}

/** What formats are told apart by. */
export interface FileEnds {
  /** The first 64 KiB, or less if the file is shorter. */
  readonly head: Uint8Array;
  /** The last 512 bytes, or less. */
  readonly tail: Uint8Array;
  /** Of the whole file, in bytes. */
  readonly size: number;
  /** Reads more of the file, for what the ends alone cannot tell; throws like the file's source. Absent where there are only the ends. */
  readonly readAt?: (position: number, length: number) => Uint8Array;
}

/** One row of the support matrix: a variant of a format, and the test that proves what is said of it. */
export interface Variant {
  /** In the field's own terms. */
  readonly name: string;
  /** Refused: recognised, and told to the user in one clear line. */
  readonly support: "read" | "refused";
  /** The file below test/ and the name of a test in it: `formats/vhd.test.ts: reads a fixed disk`. */
  readonly proof: string;
  /** What a user should know. */
  readonly remark?: string;
}

export interface FormatDriver {
  readonly name: string;
  readonly extensions: readonly `.${string}`[];
  /** Looks at signatures only. */
  probe(ends: FileEnds): boolean;
  /** Takes over `source`: closed by the layer, or by the caller if this throws. */
  open(source: Source, opener: Opener, options: OpenOptions): Layer;
  /** What children of this image may know it by. Reads the header only; throws like `open`. Absent where the format has no such thing. */
  identities?(source: Source): readonly Identity[];
  /** For a file called `name` that may be a mere part of an image: what that image may be called, beside it, best first. */
  partOf?(name: string, ends: FileEnds): readonly string[];
  /** Every variant that is known of, in the order of the documentation. */
  readonly variants: readonly Variant[];
}

let layersWithPackedBlocks = 0;

/** A prefix that makes the keys of one layer's packed blocks unique in the process. */
export function packedKeys(): string {
  layersWithPackedBlocks += 1;
  return `${layersWithPackedBlocks}:`;
}
