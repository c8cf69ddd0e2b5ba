import { storedExtent } from "../../formats/stored.js";
import type { Extent } from "../../formats/driver.js";
import type { Piece } from "../../formats/pieces.js";
import type { Source } from "../../source/source.js";
import type { Section } from "./record.js";

/** The bytes of one extent of a file (ECMA-119, 6.4.3: interleaved ones are units of data with gaps between). */
export function sectionPiece(disk: Source, { position, size, unit, gap }: Section): Piece {
  if (unit === 0 || gap === 0) return { size, map: (offset, length): Extent => storedExtent(disk, position + offset, length) };
  return {
    size,
    map(offset, length) {
      const index = Math.floor(offset / unit);
      const inUnit = offset - index * unit;
      return storedExtent(disk, position + index * (unit + gap) + inUnit, Math.min(length, unit - inUnit));
    },
  };
}
