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
  let run: DiskExtent | undefined;
  for (let offset = 0; offset < layer.size; ) {
    const next = describe(offset, locate(layer, offset, layer.size - offset));
    offset += next.length;
    if (run && continues(run, next)) {
      run = { ...run, length: run.length + next.length };
      continue;
    }
    if (run) yield run;
    run = next;
  }
  if (run) yield run;
}

function describe(start: number, { extent, depth }: Located): DiskExtent {
  const place = { start, length: extent.length, depth };
  switch (extent.kind) {
    case "data":
      return { ...place, kind: "data", source: extent.source, position: extent.position };
    case "packed":
      return { ...place, kind: "packed", source: extent.block.source };
    case "zero":
      return { ...place, kind: "zero" };
    case "parent":
      return { ...place, kind: "absent" };
    case "damaged":
      return { ...place, kind: "damaged", error: extent.error };
  }
}

function continues(run: DiskExtent, next: DiskExtent): boolean {
  if (run.depth !== next.depth) return false;
  switch (run.kind) {
    case "data":
      return next.kind === "data" && next.source === run.source && next.position === run.position + run.length;
    case "packed":
      return next.kind === "packed" && next.source === run.source;
    case "damaged":
      return next.kind === "damaged" && next.error.message === run.error.message && next.error.position === run.error.position;
    case "zero":
    case "absent":
      return next.kind === run.kind;
  }
}
