import type { Located } from "../disk/read.js";
import type { FlatFile } from "../tree/node.js";
import type { ImageError } from "../util/errors.js";

/** How a run of bytes is stored. */
export type ExtentKind =
  /** As it is, at `position` of `file`. */
  | "data"
  /** Compressed or encrypted, in `file`. */
  | "compressed"
  /** Zeros because an image says so: nothing is stored. */
  | "zero"
  /** Zeros because no image of the chain has it. */
  | "absent"
  /** It cannot be read; `error` tells why. */
  | "damaged";

/** A run of a file, as long as it is stored in one way. */
export interface ImageExtent {
  /** Byte offset of the run in what is read: a disk, a partition, a file. */
  readonly start: number;
  /** Bytes, at least 1. */
  readonly length: number;
  readonly kind: ExtentKind;
  /** How many parents down it was found; 0 is the image itself. For `absent`: where the search ended. */
  readonly depth: number;
  /** The image file that holds it, for `data` and `compressed`. */
  readonly file?: string;
  /** Byte position in `file`, for `data`; of an image that is only a part of its file, from where that part begins. */
  readonly position?: number;
  /** What reading it throws, for `damaged`. */
  readonly error?: ImageError;
}

/** The runs from `start` up to `end`, in order and without gaps. Neither memory nor the wait for the first grow with their number. */
export function* extentsOf(file: Pick<FlatFile, "locate">, start: number, end: number): Generator<ImageExtent> {
  let run: ImageExtent | undefined;
  for (let at = start; at < end; ) {
    const located = file.locate(at, end - at);
    const next = describe(at, located);
    if (run && continues(run, next)) run = { ...run, length: run.length + next.length };
    else {
      if (run) yield run;
      run = next;
    }
    at += next.length;
  }
  if (run) yield run;
}

function describe(start: number, { extent, depth }: Located): ImageExtent {
  const { length } = extent;
  switch (extent.kind) {
    case "data":
      return { start, length, kind: "data", depth, file: extent.source.name, position: extent.position };
    case "packed":
      return { start, length, kind: "compressed", depth, file: extent.block.source.name };
    case "zero":
      return { start, length, kind: "zero", depth };
    case "parent":
      return { start, length, kind: "absent", depth };
    case "damaged":
      return { start, length, kind: "damaged", depth, error: extent.error };
  }
}

/** Whether `next`, which stands right behind `run`, is more of the same. */
function continues(run: ImageExtent, next: ImageExtent): boolean {
  if (run.kind !== next.kind || run.depth !== next.depth || run.file !== next.file) return false;
  if (run.kind === "data") return next.position === (run.position ?? 0) + run.length;
  return run.error?.message === next.error?.message && run.error?.position === next.error?.position;
}
