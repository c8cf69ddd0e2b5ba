import type { Layer } from "../formats/driver.js";
import type { Source } from "../source/source.js";
import type { ImageError } from "../util/errors.js";
import { type Located, locate } from "./read.js";

/** A run of the disk that is stored in one way, as long as it goes. `start` and `length` in bytes of the disk. */
export type DiskExtent = {
  readonly start: number;
  readonly length: number;
  /** How many parents down it was found; 0 is the image itself. For `absent`: where the search ended. */
  readonly depth: number;
} & DiskExtentKind;

type DiskExtentKind =
  | { readonly kind: "data"; readonly source: Source; readonly position: number }
  /** Encoded, in blocks of `source` that need not stand in order. */
  | { readonly kind: "packed"; readonly source: Source }
  /** Zeros because an image says so. */
  | { readonly kind: "zero" }
  /** Zeros because no image of the chain has it. */
  | { readonly kind: "absent" }
  | { readonly kind: "damaged"; readonly error: ImageError };

/** The whole disk from its start to its end, one run at a time: neither memory nor the wait for the first grow with the number of runs. */
export function* diskExtents(layer: Layer): Generator<DiskExtent> {
  if (layer.size === 0) return;
  let start = 0;
  let first = locate(layer, 0, layer.size);
  let end = first.extent.length;
  while (end < layer.size) {
    const next = locate(layer, end, layer.size - end);
    if (!continues(first, end - start, next)) {
      yield describe(start, end - start, first);
      start = end;
      first = next;
    }
    end += next.extent.length;
  }
  yield describe(start, end - start, first);
}

/** Whether `next`, which stands `length` bytes behind `first`, is more of the same. */
function continues(first: Located, length: number, next: Located): boolean {
  if (first.depth !== next.depth) return false;
  const [from, to] = [first.extent, next.extent];
  switch (from.kind) {
    case "data":
      return to.kind === "data" && to.source === from.source && to.position === from.position + length;
    case "packed":
      return to.kind === "packed" && to.block.source === from.block.source;
    case "damaged":
      return to.kind === "damaged" && to.error.message === from.error.message && to.error.position === from.error.position;
    case "zero":
    case "parent":
      return to.kind === from.kind;
  }
}

function describe(start: number, length: number, { extent, depth }: Located): DiskExtent {
  switch (extent.kind) {
    case "data":
      return { start, length, depth, kind: "data", source: extent.source, position: extent.position };
    case "packed":
      return { start, length, depth, kind: "packed", source: extent.block.source };
    case "zero":
      return { start, length, depth, kind: "zero" };
    case "parent":
      return { start, length, depth, kind: "absent" };
    case "damaged":
      return { start, length, depth, kind: "damaged", error: extent.error };
  }
}
