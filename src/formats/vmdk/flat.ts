import type { Source } from "../../source/source.js";
import type { Extent } from "../driver.js";
import type { Piece } from "../pieces.js";
import { storedExtent } from "../stored.js";

/** `size` bytes as they stand in a file, from `start` on. Holes of the file are zeros; what it does not reach is damaged. */
export function flatExtent(source: Source, start: number, size: number): Piece {
  const { run } = source;
  return {
    size,
    map(offset, length): Extent {
      const position = start + offset;
      if (!run || position >= source.size) return storedExtent(source, position, length);
      const { data, length: same } = run(position);
      const clipped = Math.min(length, same);
      return data ? storedExtent(source, position, clipped) : { kind: "zero", length: clipped };
    },
  };
}
