import type { Kind } from "./kinds.js";

/** What one image of the chain has of a cell, in one way. */
export interface Part {
  readonly kind: Kind;
  readonly depth: number;
  readonly bytes: number;
  /** Index in the picture's files; undefined where no bytes are stored, or in several files. */
  readonly file?: number | undefined;
  /** The bytes of `file` that it is in begin and end here, with whatever else is between. For compressed ones: positions of blocks. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Index in the picture's errors, of the first one, for what is damaged. */
  readonly error?: number | undefined;
}

/** A range of the disk: one run as it is, or several where a picture of every run would be too large. */
export interface Cell {
  /** Bytes of the disk. */
  readonly start: number;
  readonly length: number;
  /** How many runs are in it; 1 tells that it is exact. */
  readonly runs: number;
  /** One for each kind and depth; their bytes are `length` together. */
  readonly parts: readonly Part[];
}

export interface CellCollector {
  /** The next cell; it begins where the one before ended. */
  add(cell: Cell): void;
  readonly cells: readonly Cell[];
}

/** What is still growing. */
type Growing<T> = { -readonly [Key in keyof T]: T[Key] };
type GrowingCell = Growing<Omit<Cell, "parts">> & { parts: Growing<Part>[] };

const FIRST_GRID = 4096;

/**
 * Collects cells, and joins them when they have more than `limit` parts together: those that lie between the same two lines of a grid, which gets
 * coarser as it must. Runs that are longer than that stay exact. However many are added, memory is bounded by `limit`, the time by their number.
 */
export function createCells(limit: number): CellCollector {
  let cells: GrowingCell[] = [];
  let parts = 0;
  let grid = 0;

  function put(cell: Cell): void {
    const last = cells.at(-1);
    if (last && grid > 0 && Math.floor(last.start / grid) === Math.floor((cell.start + cell.length - 1) / grid)) {
      parts -= last.parts.length;
      join(last, cell);
      parts += last.parts.length;
      return;
    }
    cells.push({ ...cell, parts: cell.parts.map((part) => ({ ...part })) });
    parts += cell.parts.length;
  }

  return {
    add(cell) {
      put(cell);
      // Down to the half, so that the next time is far away.
      for (let wanted = limit; parts > wanted && cells.length > 1; wanted = limit / 2) {
        grid = grid === 0 ? FIRST_GRID : grid * 2;
        const before = cells;
        cells = [];
        parts = 0;
        for (const each of before) put(each);
      }
    },
    get cells() {
      return cells;
    },
  };
}

/** The same with fewer cells: at most `limit` parts. */
export function coarser(cells: readonly Cell[], limit: number): readonly Cell[] {
  const collector = createCells(limit);
  for (const cell of cells) collector.add(cell);
  return collector.cells;
}

/** Adds `next` to the end of `cell`. */
function join(cell: GrowingCell, next: Cell): void {
  cell.length += next.length;
  cell.runs += next.runs;
  for (const part of next.parts) {
    const same = cell.parts.find(({ kind, depth }) => kind === part.kind && depth === part.depth);
    if (same) joinParts(same, part);
    else cell.parts.push({ ...part });
  }
}

function joinParts(part: Growing<Part>, next: Part): void {
  part.bytes += next.bytes;
  part.error ??= next.error;
  if (part.file !== next.file) part.file = undefined;
  if (part.file === undefined) {
    part.from = undefined;
    part.to = undefined;
    return;
  }
  part.from = Math.min(part.from ?? 0, next.from ?? 0);
  part.to = Math.max(part.to ?? 0, next.to ?? 0);
}
