import { ImageError } from "../../util/errors.js";
import { blockTable, entryTypes, TABLE_SIGNATURE, tableEntry } from "./layout.js";
import type { TableData } from "./plist.js";

/** What a run of sectors is, beside the types of the format. */
export const NO_ENTRY = -1;

/** All runs of the disk, by their first sector; where no run is, there is no table. */
export interface Runs {
  readonly count: number;
  /** First sector of each run, ascending. */
  readonly starts: Float64Array;
  /** Sectors of each run. */
  readonly lengths: Float64Array;
  /** One of `entryTypes`, or an unknown type, or `NO_ENTRY`: the table maps the sectors and has no entry for them. */
  readonly types: Float64Array;
  /** Where the stored bytes are, from the start of the data fork, and how many. */
  readonly dataOffsets: Float64Array;
  readonly dataSizes: Float64Array;
  /** Sectors up to the end of the last table. */
  readonly end: number;
}

interface Run {
  readonly start: number;
  readonly length: number;
  readonly type: number;
  readonly dataOffset: number;
  readonly dataSize: number;
}

/** The runs of all tables. `fail` makes the error for a table that cannot be. */
export function runsOf(tables: readonly TableData[], fail: (message: string) => ImageError): Runs {
  const runs: Run[] = [];
  let end = 0;
  for (const [index, table] of tables.entries()) {
    try {
      end = Math.max(end, readTable(table.content, runs));
    } catch (error) {
      if (error instanceof ImageError) throw fail(`block table ${index}: ${error.message}`);
      throw error;
    }
  }
  runs.sort((one, other) => one.start - other.start);
  for (const [index, { start }] of runs.entries()) {
    const before = runs[index - 1];
    if (before && before.start + before.length > start) throw fail(`two runs of the disk overlap at sector ${start}`);
  }
  const column = (value: (run: Run) => number) => Float64Array.from(runs, value);
  return {
    count: runs.length,
    starts: column(({ start }) => start),
    lengths: column(({ length }) => length),
    types: column(({ type }) => type),
    dataOffsets: column(({ dataOffset }) => dataOffset),
    dataSizes: column(({ dataSize }) => dataSize),
    end,
  };
}

/** Adds the runs of one table; gives the sector behind its last one. */
function readTable(content: Buffer, runs: Run[]): number {
  const corrupt = (message: string) => new ImageError("CORRUPT", message);
  const { signature, version, firstSector, sectorCount, dataOffset, entryCount } = blockTable.decode(content);
  if (signature !== TABLE_SIGNATURE || version !== 1) throw corrupt("it is no block table of version 1");
  if (blockTable.size + entryCount * tableEntry.size > content.length) {
    throw corrupt(`its ${entryCount} entries do not fit into its ${content.length} bytes`);
  }
  const last = safe(firstSector + sectorCount);
  const found: Run[] = [];
  for (let index = 0; index < entryCount; index += 1) {
    const entry = tableEntry.decode(content, blockTable.size + index * tableEntry.size);
    if (entry.type === entryTypes.end) break;
    if (entry.type === entryTypes.comment || entry.sectorCount === 0) continue;
    if (entry.sector + entry.sectorCount > sectorCount) {
      throw corrupt(`entry ${index}, ${entry.sectorCount} sectors at ${entry.sector}, leaves its ${sectorCount} sectors`);
    }
    found.push({
      start: firstSector + entry.sector,
      length: entry.sectorCount,
      type: entry.type,
      dataOffset: safe(dataOffset + entry.dataOffset),
      dataSize: safe(entry.dataSize),
    });
  }
  // What the table is for and has no entry for is no free space, but lost.
  let next = firstSector;
  for (const run of found.toSorted((one, other) => one.start - other.start)) {
    if (run.start > next) runs.push(missing(next, run.start));
    runs.push(run);
    next = Math.max(next, run.start + run.length);
  }
  if (next < last) runs.push(missing(next, last));
  return last;
}

function missing(start: number, end: number): Run {
  return { start, length: end - start, type: NO_ENTRY, dataOffset: 0, dataSize: 0 };
}

/** `value`, unless a sum has become too large for a Number. */
function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new ImageError("CORRUPT", `the value ${value} is over 2^53`);
  return value;
}
