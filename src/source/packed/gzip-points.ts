import { kinds } from "../../native/gzip.js";
import type { Source } from "../source.js";
import type { GzipPlace } from "./gzip-stream.js";
import type { KeptWindow } from "./gzip-window.js";
import { encodePoints, type PointTable, rowBytes } from "./points.js";

/** What the table is of; another number whenever its rows change their meaning. */
export const FORMAT = "gzip 1";
/** A row: decoded position, bit, header's bit, kind and extra, length of the window, CRC-32 of what is decoded from here to the next point. */
export const WIDTH = 6;
const START = 0;
const BIT = 1;
const HEADER = 2;
const FLAGS = 3;
const WINDOW = 4;
const CHECKSUM = 5;

/** A row of a table. */
export interface GzipPoint {
  /** Position of the decoded bytes. */
  readonly start: number;
  readonly place: GzipPlace;
  readonly windowLength: number;
  /** CRC-32 of the decoded bytes up to the next point. */
  readonly checksum: number;
}

/** Points while they are found. */
export interface GzipPoints {
  readonly count: number;
  /** What the table takes, in bytes. */
  readonly bytes: number;
  /** At decoded position `start`; it takes the place of the last one if that is there, too. */
  add(start: number, place: GzipPlace, window: KeptWindow): void;
  /** The CRC-32 of what is decoded from the last point on. */
  check(checksum: number): void;
  /** Takes away points where no more than `spacing` bytes are between what is left; never the first and the last one. */
  thin(spacing: number, combine: (first: number, second: number, length: number) => number): void;
  encode(source: Source, size: number): Uint8Array;
}

export function gzipPoints(): GzipPoints {
  let rows = new Float64Array(64 * WIDTH);
  let windows: (Uint8Array | undefined)[] = [];
  let bytes = 0;
  const value = (index: number, field: number) => rows[index * WIDTH + field] ?? 0;

  return {
    get count() {
      return windows.length;
    },
    get bytes() {
      return bytes + windows.length * rowBytes(WIDTH);
    },
    add(start, { kind, bit, header, extra, last }, window) {
      if (windows.length > 0 && value(windows.length - 1, START) === start) bytes -= windows.pop()?.length ?? 0;
      const at = windows.length * WIDTH;
      if (at === rows.length) {
        const larger = new Float64Array(rows.length * 2);
        larger.set(rows);
        rows = larger;
      }
      rows.set([start, bit, kind === kinds.code ? header : 0, kind + (last ? 8 : 0) + extra * 16, window.length, 0], at);
      windows.push(window.data);
      bytes += window.data?.length ?? 0;
    },
    check(checksum) {
      rows[(windows.length - 1) * WIDTH + CHECKSUM] = checksum;
    },
    thin(spacing, combine) {
      const left: (Uint8Array | undefined)[] = [];
      windows.forEach((window, index) => {
        const next = value(index + 1, START);
        const before = (left.length - 1) * WIDTH;
        if (left.length > 0 && index + 1 < windows.length && next - (rows[before + START] ?? 0) <= spacing) {
          rows[before + CHECKSUM] = combine(rows[before + CHECKSUM] ?? 0, value(index, CHECKSUM), next - value(index, START));
          bytes -= window?.length ?? 0;
          return;
        }
        rows.copyWithin(left.length * WIDTH, index * WIDTH, (index + 1) * WIDTH);
        left.push(window);
      });
      windows = left;
    },
    encode: (source, size) => encodePoints(source, { format: FORMAT, size, width: WIDTH, rows, data: windows }),
  };
}

/** The position alone, which is looked for in every read. */
export function startOf(table: PointTable, index: number): number {
  return index < table.count ? table.value(index, START) : table.size;
}

/** Row `index`, which is below `table.count`. */
export function pointOf(table: PointTable, index: number): GzipPoint {
  const flags = table.value(index, FLAGS);
  return {
    start: table.value(index, START),
    place: {
      kind: flags % 8,
      bit: table.value(index, BIT),
      header: table.value(index, HEADER),
      extra: Math.floor(flags / 16),
      last: Math.floor(flags / 8) % 2 === 1,
    },
    windowLength: table.value(index, WINDOW),
    checksum: table.value(index, CHECKSUM),
  };
}
