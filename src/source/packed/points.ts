import { crc32 } from "node:zlib";
import { ascii, struct, u32, u64 } from "../../util/struct.js";
import { readBytes, type Source } from "../source.js";

// Where decoding can be taken up, as bytes that are kept: a header, rows of numbers, and what belongs to each row (such as a window), one behind the other.
// Little-endian; a number of a row is a binary64, exact up to 2^53.
const header = struct("table of restart points", "little", 64, {
  magic: [0, ascii(8)],
  /** Of the decoder that wrote it, such as `gzip 1`; blanks behind it. */
  format: [8, ascii(16)],
  /** Of the file's size and ends. */
  fingerprint: [24, u32],
  /** Of all that follows it. */
  checksum: [28, u32],
  packedSize: [32, u64],
  size: [40, u64],
  count: [48, u64],
  /** Numbers per row. */
  width: [56, u32],
});
const MAGIC = "FMPOINTS";
const CHECKED_FROM = 32;
/** Of each end of the file, for the fingerprint. */
const END_SIZE = 4096;
/** Behind a row's own numbers: where its data is, and how long. */
const DATA_WIDTH = 2;

/** What a row takes, in bytes, beside its data. */
export function rowBytes(width: number): number {
  return (width + DATA_WIDTH) * 8;
}

/** A table as it is kept. Nothing is copied: it looks at the bytes. */
export interface PointTable {
  readonly count: number;
  /** Decoded bytes. */
  readonly size: number;
  /** Number `field` of row `index`; both are below what was written. */
  value(index: number, field: number): number;
  /** What belongs to row `index`. */
  data(index: number): Uint8Array;
}

export interface PointsToKeep {
  /** At most 16 ASCII characters; another one whenever the rows change their meaning. */
  readonly format: string;
  /** Decoded bytes. */
  readonly size: number;
  /** Numbers per row. */
  readonly width: number;
  /** There may be more than there is data for: those are left out. */
  readonly rows: Float64Array;
  /** One for each row. */
  readonly data: readonly (Uint8Array | undefined)[];
}

/** Bytes that `openPoints` understands as long as `source` stays as it is. */
export function encodePoints(source: Source, { format, size, width, rows, data }: PointsToKeep): Uint8Array {
  const start = header.size + data.length * rowBytes(width);
  const result = Buffer.alloc(data.reduce((sum, each) => sum + (each?.length ?? 0), start));
  result.write(MAGIC + format.padEnd(16), "latin1");
  result.writeUInt32LE(fingerprintOf(source), 24);
  writeLong(result, source.size, 32);
  writeLong(result, size, 40);
  writeLong(result, data.length, 48);
  result.writeUInt32LE(width, 56);
  let end = start;
  data.forEach((each, index) => {
    const at = header.size + index * rowBytes(width);
    for (let field = 0; field < width; field += 1) result.writeDoubleLE(rows[index * width + field] ?? 0, at + field * 8);
    result.writeDoubleLE(end, at + width * 8);
    result.writeDoubleLE(each?.length ?? 0, at + width * 8 + 8);
    if (each) result.set(each, end);
    end += each?.length ?? 0;
  });
  result.writeUInt32LE(crc32(result.subarray(CHECKED_FROM)), 28);
  return result;
}

/** The table in `kept`; undefined if that is damaged, or not what was written for `source` with this `format` and `width`. */
export function openPoints(source: Source, kept: Uint8Array, format: string, width: number): PointTable | undefined {
  const found = headerOf(kept);
  if (found?.magic !== MAGIC || found.format !== format.padEnd(16) || found.width !== width || found.packedSize !== source.size)
    return undefined;
  if (crc32(kept.subarray(CHECKED_FROM)) !== found.checksum || fingerprintOf(source) !== found.fingerprint) return undefined;
  const { size, count } = found;
  const view = new DataView(kept.buffer, kept.byteOffset, kept.length);
  const value = (index: number, field: number) => view.getFloat64(header.size + index * rowBytes(width) + field * 8, true);
  return {
    count,
    size,
    value,
    data(index) {
      const position = value(index, width);
      return kept.subarray(position, position + value(index, width + 1));
    },
  };
}

function headerOf(kept: Uint8Array): ReturnType<typeof header.decode> | undefined {
  if (kept.length < header.size) return undefined;
  try {
    return header.decode(kept);
  } catch {
    // Sizes that no file has: not what was kept.
    return undefined;
  }
}

/** Of a file's size and what stands at its ends, so that the table of another file is noticed. */
function fingerprintOf(source: Source): number {
  const length = Math.min(END_SIZE, source.size);
  const size = Buffer.alloc(8);
  writeLong(size, source.size, 0);
  return crc32(readBytes(source, source.size - length, length), crc32(readBytes(source, 0, length), crc32(size)));
}

function writeLong(target: Buffer, value: number, at: number): void {
  target.writeBigUInt64LE(BigInt(value), at);
}
