// bzip2: blocks that start at any bit and decode by themselves. Reference: "BZIP2: Format Specification" by Joe Tsai (2016).
import { ImageError } from "../../util/errors.js";
import { memorySource } from "../memory.js";
import { readBytes, type Source } from "../source.js";
import { createWindow } from "../window.js";
import { bitsAt, CRC_BITS, findMagic, HEADER_SIZE, MAGIC_BITS, magicAt, oneBlock } from "./bzip2-bits.js";
import type { IndexOptions, PackedDriver } from "./driver.js";
import { countDecoded, requireStreams, type StreamedUnit, streamedUnit, zerosUpTo } from "./streamed.js";
import { createUnitList, decodeUnits, type UnitList } from "./units.js";
import { unpackedSource } from "./unpacked.js";

/** 900,000 symbols of 20 bits at most, and the tables before them. */
const LARGEST_BLOCK = 2_400_000;
const WINDOW_SIZE = 4 * LARGEST_BLOCK;
/** The mark of a block may come up inside of one, by chance: once in 2^48 bits. */
const FALSE_MARKS = 3;

export const bzip2: PackedDriver = {
  name: "bzip2",
  extensions: [".bz2", ".bzip2"],
  probe: (head) => levelOf(head) !== undefined && magicAt(head, HEADER_SIZE * 8) !== undefined,
  index(source, options) {
    requireStreams(source.name, "bzip2");
    if (source.size >= 2 ** 50)
      throw new ImageError("UNSUPPORTED", "bzip2 files of 1 PiB or more are not supported", { file: source.name });
    const units = createUnitList(source.name);
    try {
      addStreams(source, units, options);
    } catch (error) {
      if (!options.degraded || !(error instanceof ImageError) || (error.code !== "CORRUPT" && error.code !== "TRUNCATED")) throw error;
      options.damage(`${error.message}; what follows byte ${error.position ?? 0} of the compressed file is missing`);
    }
    return units.encode("bzip2", source.size);
  },
  open(source, index) {
    const units = decodeUnits(index, "bzip2", source.size);
    if (!units) return undefined;
    requireStreams(source.name, "bzip2");
    return unpackedSource(source, units, {
      unit: "bzip2 block",
      open(unit) {
        const [from, to] = [units.start(unit), units.end(unit)];
        const position = Math.floor(from / 8);
        // One byte more than the block has: shifting looks at it.
        const bytes = readBytes(source, position, Math.min(source.size, Math.ceil(to / 8) + 1) - position);
        return blockOf(source, oneBlock(bytes, from % 8, to - position * 8, units.option(unit)), position);
      },
    });
  },
};

function levelOf(header: Uint8Array): number | undefined {
  const [b, z, h, digit = 0] = header;
  return b === 0x42 && z === 0x5a && h === 0x68 && digit >= 0x31 && digit <= 0x39 ? digit - 0x30 : undefined;
}

/** `stream` has one block, which stands at byte `position` of the file. */
function blockOf({ name }: Source, stream: Uint8Array, position: number): StreamedUnit {
  return streamedUnit({
    source: memorySource(name, stream),
    start: 0,
    end: stream.length,
    what: "bzip2 block",
    shownAt: position,
    begin: () => ({ stream: { kind: "bzip2" }, data: 0 }),
  });
}

/** Decodes everything: how much a block decodes to is written nowhere. */
function addStreams(source: Source, units: UnitList, options: IndexOptions): void {
  const window = createWindow(source, WINDOW_SIZE);
  for (let position = 0; position < source.size; ) {
    const level = levelOf(window(position, Math.min(HEADER_SIZE, source.size - position)));
    if (level === undefined) {
      if (position > 0 && zerosUpTo(source, position, source.size)) return;
      throw new ImageError("CORRUPT", "no bzip2 stream begins here", { file: source.name, position });
    }
    position = addStream({ source, window, units, options, level }, position + HEADER_SIZE);
  }
}

interface Scan {
  readonly source: Source;
  readonly window: (position: number, length: number) => Buffer;
  readonly units: UnitList;
  readonly options: IndexOptions;
  readonly level: number;
}

/** Adds the blocks from byte `start` on; where the stream ends. */
function addStream(scan: Scan, start: number): number {
  const { source, window, options } = scan;
  let bit = start * 8;
  let crc = 0;
  for (let told = start; ; ) {
    const position = Math.floor(bit / 8);
    const bytes = window(position, Math.min(LARGEST_BLOCK, source.size - position));
    const skip = bit % 8;
    if (skip + MAGIC_BITS + CRC_BITS > bytes.length * 8) throw early(source, position);
    const own = bitsAt(bytes, skip + MAGIC_BITS, CRC_BITS);
    const kind = magicAt(bytes, skip);
    if (kind === undefined) throw new ImageError("CORRUPT", "no bzip2 block begins here", { file: source.name, position });
    if (kind === "end") {
      if (own !== crc) throw new ImageError("CORRUPT", "the bzip2 stream fails its check", { file: source.name, position });
      return position + Math.ceil((skip + MAGIC_BITS + CRC_BITS) / 8);
    }
    crc = (((crc << 1) | (crc >>> 31)) ^ own) >>> 0;
    bit = position * 8 + addBlock(scan, bytes, position, skip);
    if (position - told >= 2 ** 20) {
      told = position;
      options.progress(position);
    }
  }
}

function early(source: Source, position: number): ImageError {
  return new ImageError("TRUNCATED", "the file ends inside a bzip2 block", { file: source.name, position });
}

/** Adds the block at bit `from` of `bytes`, which stand at `position`; the bit of `bytes` where it ends. */
function addBlock({ source, units, level }: Scan, bytes: Buffer, position: number, from: number): number {
  let to = from;
  let reason: ImageError | undefined;
  for (let tries = 0; tries <= FALSE_MARKS; tries += 1) {
    const next = findMagic(bytes, to + MAGIC_BITS);
    if (next === undefined) break;
    to = next;
    const { size, error } = countDecoded(blockOf(source, oneBlock(bytes, from, to, level), position), () => undefined);
    if (!error) {
      units.add({ from: position * 8 + from, to: position * 8 + to, size, option: level, apart: true });
      return to;
    }
    reason ??= error;
  }
  // Nothing marks its end.
  throw reason ?? (position + bytes.length === source.size ? early(source, position) : damaged(source, position));
}

function damaged(source: Source, position: number): ImageError {
  return new ImageError("CORRUPT", `the bzip2 block does not end within ${LARGEST_BLOCK} bytes`, { file: source.name, position });
}
