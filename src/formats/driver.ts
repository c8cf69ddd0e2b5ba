import type { Source } from "../source/source.js";
import type { ImageError } from "../util/errors.js";

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
  /** Where the bytes from `offset` on are; `offset` < `size`. `length` ≥ 1 is a hint: stop early rather than load another table just to go on. */
  map(offset: number, length: number): Extent;
  facts(): LayerFacts;
  /** Closes this image and its parents. */
  close(): void;
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
  /** ISO 8601, UTC. */
  readonly created: string;
  /** Bytes of saved machine state, never shown as disk. */
  readonly stateSize: number;
}

/** The only way a driver reaches another file: the caller decides what may be opened. */
export interface Opener {
  /** A file that the image names, relative to the image. Closed by whoever asked. */
  part(name: string): Source;
  /** The image this one is a difference to. Closed by whoever asked. */
  parent(name: string, format?: string): Layer;
}

export interface OpenOptions {
  /** An internal snapshot, by id or name, instead of the current state. */
  readonly snapshot?: string | undefined;
}

export interface FormatDriver {
  readonly name: string;
  readonly extensions: readonly `.${string}`[];
  /** Looks at signatures in the first 64 KiB and the last 512 bytes only (less, if the file is shorter). */
  probe(ends: { readonly head: Uint8Array; readonly tail: Uint8Array }): boolean;
  /** Takes over `source`: closed by the layer, or by the caller if this throws. */
  open(source: Source, opener: Opener, options: OpenOptions): Layer;
}

let layersWithPackedBlocks = 0;

/** A prefix that makes the keys of one layer's packed blocks unique in the process. */
export function packedKeys(): string {
  layersWithPackedBlocks += 1;
  return `${layersWithPackedBlocks}:`;
}
