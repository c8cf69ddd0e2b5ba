// From an offset of the extent to a grain: the two levels that all sparse extents have in common.
import type { Source } from "../../../source/source.js";
import { ImageError } from "../../../util/errors.js";
import type { Extent } from "../../driver.js";
import { runLength } from "../../runs.js";
import { tableError } from "../../stored.js";

/** What a grain is, or all grains of a table. `lost`: not found in a stream that is cut. */
export const grainKinds = { absent: 0, zero: 1, stored: 2, broken: 3, lost: 4 } as const;
export type GrainKind = (typeof grainKinds)[keyof typeof grainKinds];

/** Reads entries of a loaded grain table. */
export interface GrainReader {
  kind(table: Uint32Array, entry: number): GrainKind;
  /** Of a stored grain, bytes. */
  position(table: Uint32Array, entry: number): number;
  /** Why an entry is broken. */
  problem(table: Uint32Array, entry: number): string;
}

export interface GrainTables {
  /** What a table is that is not there; undefined for one that can be loaded. */
  whole(index: number): GrainKind | undefined;
  /** Throws if it cannot be had: then all grains of it are damaged. */
  load(index: number): Uint32Array;
  /** Where the file tells where the table is, in bytes, for messages. */
  entryPosition(index: number): number;
}

/** How a stored grain becomes an extent. */
export interface GrainStore {
  /** Whether a grain right behind another in the file continues it. */
  readonly joined: boolean;
  /** `length` bytes from `skip` on of the grain number `grain` that is stored at `position`; `length` goes past the grain only if `joined`. */
  extent(position: number, grain: number, skip: number, length: number): Extent;
}

export interface GrainMapOptions {
  readonly source: Source;
  /** Of the extent, in bytes. */
  readonly size: number;
  /** Bytes. */
  readonly grainSize: number;
  readonly tableEntries: number;
  readonly tables: GrainTables;
  readonly grains: GrainReader;
  readonly store: GrainStore;
  /** What reading a lost grain at `offset` fails with. */
  readonly lost?: (offset: number) => ImageError;
  /** What reading a broken entry fails with; `position` of the table, in bytes. */
  readonly broken: (position: number, problem: string) => ImageError;
}

export function createGrainMap(options: GrainMapOptions): (offset: number, length: number) => Extent {
  const { source, size, grainSize, tableEntries, tables, grains, store, lost, broken } = options;
  const tableSpan = tableEntries * grainSize;

  /** A run that is stored nowhere. */
  function nowhere(kind: GrainKind, offset: number, length: number): Extent {
    if (kind === grainKinds.zero) return { kind: "zero", length };
    if (kind === grainKinds.lost && lost) return { kind: "damaged", length, error: lost(offset) };
    return { kind: "parent", length, offset };
  }

  function mapGrain(table: Uint32Array, start: number, offset: number, length: number): Extent {
    const inTable = offset - start;
    const most = Math.min(length, tableSpan - inTable);
    const entry = Math.floor(inTable / grainSize);
    const skip = inTable - entry * grainSize;
    const kind = grains.kind(table, entry);
    const one = Math.min(most, grainSize - skip);
    if (kind === grainKinds.broken) {
      const error = broken(tables.entryPosition(Math.floor(start / tableSpan)), grains.problem(table, entry));
      return { kind: "damaged", length: one, error };
    }
    if (kind !== grainKinds.stored) {
      return nowhere(
        kind,
        offset,
        runLength(inTable, most, grainSize, (other) => grains.kind(table, other) === kind),
      );
    }
    const position = grains.position(table, entry);
    const follows = (other: number) =>
      grains.kind(table, other) === kind && grains.position(table, other) === position + (other - entry) * grainSize;
    const run = store.joined ? runLength(inTable, most, grainSize, follows) : one;
    return store.extent(position, Math.floor(start / grainSize) + entry, skip, run);
  }

  return (offset, length) => {
    const most = Math.min(length, size - offset);
    const index = Math.floor(offset / tableSpan);
    const whole = tables.whole(index);
    if (whole !== undefined) {
      return nowhere(
        whole,
        offset,
        runLength(offset, most, tableSpan, (other) => tables.whole(other) === whole),
      );
    }
    const start = index * tableSpan;
    let table: Uint32Array;
    try {
      table = tables.load(index);
    } catch (error) {
      return {
        kind: "damaged",
        length: Math.min(most, start + tableSpan - offset),
        error: error instanceof ImageError ? error : tableError(source, "grain table", tables.entryPosition(index), error),
      };
    }
    return mapGrain(table, start, offset, most);
  };
}
