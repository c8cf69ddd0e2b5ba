import type { Extent } from "./driver.js";

/** A part of a disk that has a map of its own. `parent` extents of it are told as if the piece were a whole disk, like every offset. */
export interface Piece {
  /** Bytes of the disk, at least 1. */
  readonly size: number;
  map(offset: number, length: number): Extent;
}

/** The map of a disk that is made of `pieces`, one behind the other. */
export function mapOfPieces(pieces: readonly Piece[]): (offset: number, length: number) => Extent {
  const [only] = pieces;
  if (pieces.length === 1 && only) return only.map.bind(only);
  const starts: number[] = [];
  let size = 0;
  for (const piece of pieces) {
    starts.push(size);
    size += piece.size;
  }
  return (offset, length) => {
    let low = 0;
    let high = pieces.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    const piece = pieces[low] as Piece;
    const start = starts[low] ?? 0;
    const extent = piece.map(offset - start, Math.min(length, start + piece.size - offset));
    return extent.kind === "parent" ? { ...extent, offset: extent.offset + start } : extent;
  };
}
