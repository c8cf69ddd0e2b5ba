import { crc32 } from "node:zlib";
import { ImageError } from "../../util/errors.js";

/** The pieces of a compressed file that decode by themselves, in order. */
export interface Units {
  readonly count: number;
  /** Decoded bytes of all of them. */
  readonly size: number;
  /** Where unit `index` starts and ends in the file, as its format counts: in bytes, or in bits. */
  start(index: number): number;
  end(index: number): number;
  /** Where it starts in the decoded bytes; `offset(count)` is `size`. */
  offset(index: number): number;
  /** What else its decoder must know. */
  option(index: number): number;
  /** The last unit is damaged behind what is counted of it: its end was not seen. */
  readonly cut: boolean;
  /** What the format keeps besides. */
  readonly extra: Uint8Array;
}

export interface UnitList {
  /** Decoded bytes so far. */
  readonly size: number;
  readonly count: number;
  /** `from` and `to` as the format counts positions, `size` in decoded bytes. What goes on where the unit before ends may become a part of it. */
  add(unit: {
    readonly from: number;
    readonly to: number;
    readonly size: number;
    readonly option?: number;
    readonly apart?: boolean;
  }): void;
  /** The bytes of an index. */
  encode(format: string, packedSize: number, options?: { readonly cut?: boolean; readonly extra?: Uint8Array }): Uint8Array;
}

/** 24 bytes each, so an index has 48 MiB at most; that is 2 TiB in units of 1 MiB. */
export const UNIT_LIMIT = 2 ** 21;
/** Small neighbours are decoded together: they would only make the index larger. In decoded bytes. */
const JOINED_SIZE = 2 ** 20;
/** Bytes that may lie between such neighbours. */
const JOINED_GAP = 4096;
const VERSION = 1;
const HEADER_SIZE = 64;
const COLUMNS = 3;

/** Collects units. Throws `UNSUPPORTED` for too many of them, `CORRUPT` for more decoded bytes than a Number can count. `name`: of the file. */
export function createUnitList(name: string): UnitList {
  const starts: number[] = [];
  const ends: number[] = [];
  const offsets: number[] = [];
  const unitOptions: number[] = [];
  let size = 0;
  return {
    get size() {
      return size;
    },
    get count() {
      return starts.length;
    },
    add({ from, to, size: added, option = 0, apart = false }) {
      if (added === 0) return;
      const last = starts.length - 1;
      const joined =
        !apart &&
        last >= 0 &&
        unitOptions[last] === option &&
        size + added - offsets[last]! <= JOINED_SIZE &&
        from >= ends[last]! &&
        from - ends[last]! <= JOINED_GAP;
      size += added;
      if (!Number.isSafeInteger(size)) throw new ImageError("CORRUPT", "it would have over 2^53 decoded bytes", { file: name });
      if (joined) {
        ends[last] = to;
        return;
      }
      if (starts.length === UNIT_LIMIT) {
        throw new ImageError("UNSUPPORTED", `it has more than ${UNIT_LIMIT} separate blocks`, { file: name });
      }
      starts.push(from);
      ends.push(to);
      offsets.push(size - added);
      unitOptions.push(option);
    },
    encode(format, packedSize, { cut = false, extra = new Uint8Array(0) } = {}) {
      const count = starts.length;
      const tableSize = count * (COLUMNS * 8 + 4);
      const bytes = Buffer.alloc(HEADER_SIZE + tableSize + extra.length + 4);
      bytes.write(tagOf(format), 0, "latin1");
      for (const [at, value] of [packedSize, size, count, cut ? 1 : 0, extra.length].entries()) bytes.writeDoubleLE(value, 16 + at * 8);
      for (let index = 0; index < count; index += 1) {
        bytes.writeDoubleLE(starts[index]!, HEADER_SIZE + index * 8);
        bytes.writeDoubleLE(ends[index]!, HEADER_SIZE + (count + index) * 8);
        bytes.writeDoubleLE(offsets[index]!, HEADER_SIZE + (2 * count + index) * 8);
        bytes.writeUInt32LE(unitOptions[index]!, HEADER_SIZE + COLUMNS * count * 8 + index * 4);
      }
      bytes.set(extra, HEADER_SIZE + tableSize);
      bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
      return bytes;
    },
  };
}

function tagOf(format: string): string {
  return `flat ${format} ${VERSION}`.padEnd(16, " ");
}

/** What `encode` made for the same format and a file of as many bytes; undefined for anything else. */
export function decodeUnits(index: Uint8Array, format: string, packedSize: number): Units | undefined {
  if (index.length < HEADER_SIZE + 4) return undefined;
  // A copy: the columns must be aligned, and memory that threads share is not taken by every function.
  const bytes = new Uint8Array(index.length);
  bytes.set(index);
  const view = new DataView(bytes.buffer);
  if (Buffer.from(bytes.buffer, 0, 16).toString("latin1") !== tagOf(format)) return undefined;
  const [packed, size, count, cut, extraSize] = [0, 1, 2, 3, 4].map((at) => view.getFloat64(16 + at * 8, true)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const tableSize = count * (COLUMNS * 8 + 4);
  if (packed !== packedSize || bytes.length !== HEADER_SIZE + tableSize + extraSize + 4) return undefined;
  if (crc32(bytes.subarray(0, -4)) !== view.getUint32(bytes.length - 4, true)) return undefined;
  const column = (number: number) => new Float64Array(bytes.buffer, HEADER_SIZE + number * count * 8, count);
  const [starts, ends, offsets] = [column(0), column(1), column(2)];
  const unitOptions = new Uint32Array(bytes.buffer, HEADER_SIZE + COLUMNS * count * 8, count);
  return {
    count,
    size,
    start: (unit) => starts[unit]!,
    end: (unit) => ends[unit]!,
    offset: (unit) => offsets[unit] ?? size,
    option: (unit) => unitOptions[unit]!,
    cut: cut === 1,
    extra: bytes.subarray(HEADER_SIZE + tableSize, HEADER_SIZE + tableSize + extraSize),
  };
}
