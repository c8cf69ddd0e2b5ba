import type { Source } from "../source.js";

/** A way to compress a file. Its streams are read anywhere by way of restart points, which one pass over the stream finds. */
export interface PackedDriver {
  /** As the field calls it, such as `gzip`. */
  readonly name: string;
  /** File extensions that mean it and nothing else; what is left without it is the name of the file inside. */
  readonly extensions: readonly `.${string}`[];
  /** Looks at the first bytes only: 32 are enough; there may be fewer. */
  probe(head: Uint8Array): boolean;
  /**
   * Finds the restart points in one pass, as bytes that `open` understands, today and later: they are kept. Where the format has an index of its
   * own, little is read. Throws `CORRUPT` or `TRUNCATED`, with the position, for a stream that does not decode to its end or fails its checks.
   */
  index(source: Source, options: IndexOptions): Uint8Array;
  /**
   * The decoded bytes. Takes over `source` (closing the result closes it), unless this throws. `undefined` if `index` is none of this
   * version, or of another stream: then it has to be made again.
   */
  open(source: Source, index: Uint8Array): Source | undefined;
}

export interface IndexOptions {
  /** Called every few MiB with the bytes of `source` that are done. May throw, to stop. */
  readonly progress: (done: number) => void;
  /** Go on where the stream ends early or is damaged: what was decoded up to there is all there is. `damage` is told why. */
  readonly degraded: boolean;
  readonly damage: (message: string) => void;
}
