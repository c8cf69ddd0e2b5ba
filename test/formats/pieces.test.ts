import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Extent } from "../../src/formats/driver.js";
import { mapOfPieces, type Piece } from "../../src/formats/pieces.js";
import { memorySource } from "../../src/source/memory.js";
import { ImageError } from "../../src/util/errors.js";

const source = memorySource("m", new Uint8Array(1000));
const error = new ImageError("CORRUPT", "broken");

/** A piece that tells where it was asked. */
function piece(size: number, kind: Extent["kind"], asked: [number, number][] = []): Piece {
  return {
    size,
    map(offset, length): Extent {
      asked.push([offset, length]);
      expect(offset).toBeLessThan(size);
      expect(offset + length).toBeLessThanOrEqual(size);
      if (kind === "data") return { kind, length, source, position: 100 + offset };
      if (kind === "parent") return { kind, length, offset };
      if (kind === "damaged") return { kind, length, error };
      return { kind: "zero", length };
    },
  };
}

describe("the map of a disk in pieces", () => {
  test("asks the piece that has the offset, as if it were a disk, and no further than its end", () => {
    const asked: [number, number][] = [];
    const map = mapOfPieces([piece(10, "zero"), piece(20, "data", asked), piece(5, "damaged")]);
    expect(map(0, 35)).toEqual({ kind: "zero", length: 10 });
    expect(map(9, 2)).toEqual({ kind: "zero", length: 1 });
    expect(map(10, 25)).toEqual({ kind: "data", length: 20, source, position: 100 });
    expect(map(29, 1)).toEqual({ kind: "data", length: 1, source, position: 119 });
    expect(map(30, 5)).toEqual({ kind: "damaged", length: 5, error });
    expect(asked).toEqual([
      [0, 20],
      [19, 1],
    ]);
  });

  test("tells parent extents as offsets of the whole disk", () => {
    const map = mapOfPieces([piece(10, "parent"), piece(20, "parent"), piece(5, "parent")]);
    expect(map(3, 30)).toEqual({ kind: "parent", length: 7, offset: 3 });
    expect(map(12, 4)).toEqual({ kind: "parent", length: 4, offset: 12 });
    expect(map(34, 1)).toEqual({ kind: "parent", length: 1, offset: 34 });
  });

  test("of one piece is that piece's", () => {
    const asked: [number, number][] = [];
    const only = piece(10, "parent", asked);
    expect(mapOfPieces([only])(3, 7)).toEqual({ kind: "parent", length: 7, offset: 3 });
    expect(asked).toEqual([[3, 7]]);
  });

  test("walks any number of pieces without a gap", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 60 }), (sizes) => {
        const starts = sizes.map((_, index) => sizes.slice(0, index).reduce((sum, size) => sum + size, 0));
        const total = sizes.reduce((sum, size) => sum + size, 0);
        const map = mapOfPieces(
          sizes.map(
            (size, index): Piece => ({
              size,
              map: (offset, length) => ({ kind: "data", length, source, position: index * 1000 + offset }),
            }),
          ),
        );
        for (let offset = 0; offset < total; offset += 1) {
          const index = starts.findLastIndex((start) => start <= offset);
          const inPiece = offset - (starts[index] ?? 0);
          expect(map(offset, total - offset)).toEqual({
            kind: "data",
            length: (sizes[index] ?? 0) - inPiece,
            source,
            position: index * 1000 + inPiece,
          });
        }
      }),
      { numRuns: 30 },
    );
  });
});
