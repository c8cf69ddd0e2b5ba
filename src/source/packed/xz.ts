// xz: streams of blocks that decode by themselves, with an index behind them.
// The .xz file format, version 1.2.1 (tukaani.org/xz/xz-file-format.txt).
import { ImageError } from "../../util/errors.js";
import { readBytes, type Source } from "../source.js";
import { createWindow } from "../window.js";
import type { IndexOptions, PackedDriver } from "./driver.js";
import { checkLzmaSize, countDecoded, MEMORY_LIMIT, requireStreams, type StreamedUnit, streamedUnit } from "./streamed.js";
import { createUnitList, decodeUnits, type UnitList } from "./units.js";
import { unpackedSource } from "./unpacked.js";
import { type BlockSizes, HEADER_SIZE, isHeader, readFooter, readHeader, readIndex } from "./xz-layout.js";

/** Each stream has 32 bytes or more; a file with this many was made to keep a reader busy. */
const STREAM_LIMIT = 2 ** 18;

export const xz: PackedDriver = {
  name: "xz",
  extensions: [".xz"],
  probe: isHeader,
  index(source, options) {
    requireStreams(source.name, "xz");
    readHeader(source, 0);
    const { units, cut } = indexOf(source, options);
    const index = units.encode("xz", source.size, { cut });
    tryFirst(source, index);
    return index;
  },
  open(source, index) {
    const units = decodeUnits(index, "xz", source.size);
    if (!units) return undefined;
    requireStreams(source.name, "xz");
    return unpackedSource(source, units, {
      unit: "xz block",
      advice: "Compress with xz -T0 for random access.",
      open: (unit) => blocks(source, units.start(unit), units.end(unit), units.option(unit)),
    });
  },
};

/** What the first block needs is told at once, not when it is read. */
function tryFirst(source: Source, index: Uint8Array): void {
  const units = decodeUnits(index, "xz", source.size);
  if (!units || units.count === 0) return;
  const decoder = blocks(source, units.start(0), units.end(0), units.option(0));
  try {
    decoder.prepare();
  } catch (error) {
    if (!(error instanceof ImageError) || error.code !== "CORRUPT") throw error;
    // Damage of a block is told when it is read; the others are as good as ever.
  } finally {
    decoder.close();
  }
}

/** Blocks of one stream, from `start` to `end`, or the first of them. `check` is the stream's kind of check. */
function blocks(source: Source, start: number, end: number, check: number, { first = false } = {}): StreamedUnit {
  return streamedUnit({
    source,
    start,
    end,
    what: "xz block",
    ...(!first && { next: "another" as const }),
    begin(position) {
      const size = (readBytes(source, position, 1)[0]! + 1) * 4;
      if (size === 4 || position + size > end) {
        throw new ImageError("CORRUPT", "no xz block begins here", { file: source.name, position });
      }
      return { stream: { kind: "xz block", header: readBytes(source, position, size), check, limit: MEMORY_LIMIT }, data: position + size };
    },
  });
}

function indexOf(source: Source, options: IndexOptions): { readonly units: UnitList; readonly cut: boolean } {
  try {
    return { units: fromIndexes(source, options), cut: false };
  } catch (error) {
    if (!options.degraded || !(error instanceof ImageError) || (error.code !== "CORRUPT" && error.code !== "TRUNCATED")) throw error;
    return fromBlocks(source, options, error);
  }
}

interface Stream {
  readonly start: number;
  readonly indexPosition: number;
  readonly indexEnd: number;
  readonly check: number;
}

/** Reads the indexes alone. */
function fromIndexes(source: Source, options: IndexOptions): UnitList {
  const streams: Stream[] = [];
  for (let end = source.size; end > 0; ) {
    if (streams.length === STREAM_LIMIT) {
      throw new ImageError("UNSUPPORTED", `it has more than ${STREAM_LIMIT} xz streams`, { file: source.name });
    }
    const stream = findStream(source, paddingBefore(source, end));
    streams.push(stream);
    end = stream.start;
    options.progress(source.size - end);
  }
  const units = createUnitList(source.name);
  for (const { start, indexPosition, indexEnd, check } of streams.reverse()) {
    let from = start + HEADER_SIZE;
    readIndex(source, indexPosition, indexEnd, ({ packed, decoded }) => {
      const to = from + padded(packed);
      checkLzmaSize(packed, decoded, "xz block", { file: source.name, position: from });
      units.add({ from, to, size: decoded, option: check });
      from = to;
    });
  }
  return units;
}

/** Streams are padded to multiples of four bytes, and may be followed by more zeros. The end of the stream before `end`. */
function paddingBefore(source: Source, end: number): number {
  const step = 65_536;
  for (let at = end; at > 0; at -= step) {
    const bytes = readBytes(source, Math.max(0, at - step), Math.min(step, at));
    const last = bytes.findLastIndex((byte) => byte !== 0);
    if (last < 0) continue;
    const found = Math.max(0, at - step) + last + 1;
    if ((end - found) % 4 !== 0 && isFooter(source, found)) {
      throw new ImageError("CORRUPT", `${end - found} bytes follow the xz stream: padding comes in fours`, {
        file: source.name,
        position: found,
      });
    }
    return found;
  }
  throw new ImageError("CORRUPT", "no xz stream begins here", { file: source.name, position: 0 });
}

function isFooter(source: Source, end: number): boolean {
  return end >= HEADER_SIZE && readBytes(source, end - 2, 2).toString("latin1") === "YZ";
}

function findStream(source: Source, end: number): Stream {
  const { indexPosition, check } = readFooter(source, end);
  let packedSize = 0;
  const indexEnd = end - HEADER_SIZE;
  readIndex(source, indexPosition, indexEnd, ({ packed }: BlockSizes) => {
    packedSize += padded(packed);
  });
  const start = indexPosition - packedSize - HEADER_SIZE;
  const place = { file: source.name, position: indexPosition };
  if (start < 0) {
    throw new ImageError("CORRUPT", `the index of the xz stream counts ${packedSize} bytes of blocks, more than are before it`, place);
  }
  if (readHeader(source, start) !== check) {
    throw new ImageError("CORRUPT", "header and footer of the xz stream differ", { file: source.name, position: start });
  }
  return { start, indexPosition, indexEnd, check };
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4;
}

/** Decodes block after block, for want of an index, up to where that fails: `reason` says why there is none. */
function fromBlocks(source: Source, options: IndexOptions, reason: ImageError): { readonly units: UnitList; readonly cut: boolean } {
  const units = createUnitList(source.name);
  let position = 0;
  try {
    while (position < source.size) {
      const check = readHeader(source, position);
      position += HEADER_SIZE;
      for (;;) {
        if (position >= source.size) throw reason;
        if (readBytes(source, position, 1)[0] === 0) break;
        const { size, end, error } = countBlock(source, position, check, options);
        units.add({ from: position, to: error ? source.size : end, size, option: check, apart: error !== undefined });
        if (error) {
          options.damage(`${error.message}; what follows byte ${position} of the compressed file is missing`);
          return { units, cut: size > 0 };
        }
        position = end;
      }
      position = behindIndex(source, position);
    }
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    options.damage(`${error.message}; what follows byte ${position} of the compressed file is missing`);
  }
  return { units, cut: false };
}

function countBlock(source: Source, position: number, check: number, options: IndexOptions) {
  return countDecoded(blocks(source, position, source.size, check, { first: true }), options.progress);
}

/** Where the next stream may start. */
function behindIndex(source: Source, position: number): number {
  const window = createWindow(source, 65_536);
  // The index ends where the footer tells the size that it has by then.
  for (let end = position + 8; end + HEADER_SIZE <= source.size; end += 4) {
    const bytes = window(end, HEADER_SIZE);
    if (bytes[10] !== 0x59 || bytes[11] !== 0x5a || (bytes.readUInt32LE(4) + 1) * 4 !== end - position) continue;
    let next = end + HEADER_SIZE;
    while (next + 4 <= source.size && window(next, 4).readUInt32LE(0) === 0) next += 4;
    return next;
  }
  throw new ImageError("TRUNCATED", "the end of an xz stream is missing", { file: source.name, position });
}
