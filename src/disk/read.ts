import type { Extent, Layer } from "../formats/driver.js";
import type { BlockCache } from "./cache.js";

/** What can be read: a disk, or anything else that tells where its bytes are. */
export type Mapped = Pick<Layer, "size" | "map" | "parent">;

/** Where a run of the disk is in the end, after walking the chain. */
export interface Located {
  /** Never `parent` while the layer it came from has one. `parent` here means: in no image of the chain, so zeros. */
  readonly extent: Extent;
  /** How many parents down it was found; 0 is the image itself. */
  readonly depth: number;
}

/** Follows `parent` extents down the chain. `length` ≥ 1; `offset` < `layer.size`. */
export function locate(layer: Mapped, offset: number, length: number): Located {
  let current: Mapped = layer;
  let at = offset;
  let left = length;
  for (let depth = 0; ; depth += 1) {
    const extent = current.map(at, left);
    if (extent.kind !== "parent" || !current.parent) return { extent, depth };
    if (extent.offset >= current.parent.size) return { extent, depth };
    at = extent.offset;
    left = Math.min(extent.length, current.parent.size - at);
    current = current.parent;
  }
}

/** Fills `target` with the disk's bytes from `offset` on; the range lies in the disk. Throws what the images throw for the range, never guesses. */
export function readDisk(layer: Mapped, target: Uint8Array, offset: number, cache: BlockCache): void {
  let done = 0;
  while (done < target.length) {
    const { extent } = locate(layer, offset + done, target.length - done);
    const { length } = extent;
    const part = done === 0 && length === target.length ? target : target.subarray(done, done + length);
    switch (extent.kind) {
      case "data":
        extent.source.read(part, extent.position);
        break;
      case "packed":
        cache.read(extent.block, part, extent.skip);
        break;
      case "damaged":
        throw extent.error;
      case "zero":
      case "parent":
        part.fill(0);
        break;
    }
    done += length;
  }
}
