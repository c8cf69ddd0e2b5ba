import type { Extent } from "../../driver.js";

/** A sparse extent file: hosted (KDMV: monolithicSparse, twoGbMax, streamOptimized), COWD, or seSparse. */
export interface SparseExtent {
  /** What it holds of the disk, in bytes (capacity). 0: only a wrapper around a descriptor. */
  readonly size: number;
  readonly kind: "hosted" | "streamOptimized" | "cowd" | "seSparse";
  /** The embedded descriptor's bytes (NUL padding cut), if there is one. */
  readonly descriptor: Uint8Array | undefined;
  /** Absent grains are `parent` extents of the same offset within the extent. `offset` < `size`. */
  map(offset: number, length: number): Extent;
  /** In the field's own terms, such as `grain size`; sizes in bytes. */
  readonly details: Readonly<Record<string, string | number | boolean>>;
  /** One sentence each. Grows when reading finds more. */
  readonly notes: readonly string[];
}
