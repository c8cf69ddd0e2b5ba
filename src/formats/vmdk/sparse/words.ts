// Grain tables of 32-bit entries: hosted and COWD.
import type { Source } from "../../../source/source.js";
import { ImageError } from "../../../util/errors.js";
import { hex } from "../../../util/text.js";
import { storedExtent } from "../../stored.js";
import { createTableCache, loadTable32 } from "../../tables.js";
import { type GrainReader, type GrainStore, type GrainTables, grainKinds } from "./grains.js";
import { limits, markerTypes, SECTOR, ZEROED } from "./layout.js";
import { markedAs } from "./markers.js";

/** An entry is the grain's sector, 0 for an absent grain, and 1 for a zeroed one where `zeroed` says so. */
export function wordGrains(zeroed: boolean): GrainReader {
  return {
    kind(table, entry) {
      // The map asks for entries of the table it got only.
      const sector = table[entry]!;
      if (sector === 0) return grainKinds.absent;
      return zeroed && sector === ZEROED ? grainKinds.zero : grainKinds.stored;
    },
    position: (table, entry) => table[entry]! * SECTOR,
    problem: () => "is broken",
  };
}

/** Grains stored as they are. */
export function plainStore(source: Source): GrainStore {
  return { joined: true, extent: (position, _grain, skip, length) => storedExtent(source, position + skip, length) };
}

/** What a grain directory leads to. */
export interface DirectoryShape {
  /** Of the whole extent. */
  readonly grains: number;
  readonly tableEntries: number;
  /** Bytes of the file that hold neither tables nor grains. */
  readonly reserved: readonly { readonly what: string; readonly start: number; readonly end: number }[];
  /** A marker stands before each table, or before the first of several that follow each other. */
  readonly marked?: boolean;
}

export function directoryEntries({ grains, tableEntries }: Pick<DirectoryShape, "grains" | "tableEntries">): number {
  return Math.ceil(grains / tableEntries);
}

/** The grain directory at `position`; throws if it does not lie in the file. `what` names it. */
export function readDirectory(source: Source, what: string, position: number, shape: DirectoryShape): Uint32Array {
  const entries = directoryEntries(shape);
  const problem = misplaced(source, position, entries * 4, shape);
  if (problem) throw new ImageError(problem.code, `the ${what} ${problem.text}`, { file: source.name, position });
  return loadTable32(source, position, entries, "little");
}

export interface TableProblem {
  readonly code: "TRUNCATED" | "CORRUPT";
  /** What follows the table's name. */
  readonly text: string;
}

/** Why `length` bytes at `position` cannot be a table. */
export function misplaced(
  source: Source,
  position: number,
  length: number,
  { reserved }: Pick<DirectoryShape, "reserved">,
): TableProblem | undefined {
  const where = `(${length} bytes at ${hex(position)})`;
  if (position + length > source.size) return { code: "TRUNCATED", text: `${where} leaves the file of ${source.size} bytes` };
  const overlapped = reserved.find(({ start, end }) => position < end && start < position + length);
  return overlapped && { code: "CORRUPT", text: `${where} lies in the ${overlapped.what}` };
}

/** Bytes of table number `index`: the last one may end where the extent does. */
function tableBytes(index: number, { grains, tableEntries }: Pick<DirectoryShape, "grains" | "tableEntries">): number {
  return Math.min(tableEntries, grains - index * tableEntries) * 4;
}

/** Where a table is: in the directory, by number. A directory entry means the same as an entry of a table. */
export interface WordTables extends GrainTables {
  /** Whether table number `index` lies in the file. */
  lies(index: number): boolean;
}

/** The tables that `directory`, read from `position`, names. */
export function wordTables(source: Source, directory: Uint32Array, position: number, zeroed: boolean, shape: DirectoryShape): WordTables {
  const tableSectors = Math.ceil((shape.tableEntries * 4) / SECTOR);
  const isMarked = (index: number): boolean => {
    let first = index;
    while (first > 0 && directory[first] === (directory[first - 1] ?? 0) + tableSectors) first -= 1;
    return markedAs(source, (directory[first] ?? 0) * SECTOR, markerTypes.grainTable);
  };
  const problemOf = (index: number): TableProblem | undefined => {
    const at = (directory[index] ?? 0) * SECTOR;
    const problem = misplaced(source, at, tableBytes(index, shape), shape);
    if (problem || !shape.marked || isMarked(index)) return problem;
    return { code: "CORRUPT", text: `at ${hex(at)} has no marker: the file is damaged` };
  };
  const load = createTableCache(limits.cachedTableBytes, (index, spare) => {
    const problem = problemOf(index);
    if (problem)
      throw new ImageError(problem.code, `the grain table ${problem.text}`, { file: source.name, position: position + 4 * index });
    return loadTable32(source, (directory[index] ?? 0) * SECTOR, tableBytes(index, shape) / 4, "little", spare);
  });
  return {
    whole(index) {
      const sector = directory[index];
      if (sector === 0) return grainKinds.absent;
      return zeroed && sector === ZEROED ? grainKinds.zero : undefined;
    },
    load,
    lies: (index) => problemOf(index) === undefined,
    entryPosition: (index) => position + 4 * index,
  };
}
