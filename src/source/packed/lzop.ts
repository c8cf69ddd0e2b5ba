// lzop: blocks that decode by themselves, each with its sizes before it. Reference: the lzop sources, conf.h and lzop.c.
import { crc32 } from "node:zlib";
import { ImageError } from "../../util/errors.js";
import { readBytes, type Source } from "../source.js";
import { createWindow } from "../window.js";
import type { IndexOptions, PackedDriver } from "./driver.js";
import { unpackLzo } from "./lzop-block.js";
import { zerosUpTo } from "./streamed.js";
import { createUnitList, decodeUnits, type UnitList } from "./units.js";
import { type UnitDecoder, unpackedSource } from "./unpacked.js";

const MAGIC = [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a];
/** From here on a header has the version that is needed to read it, and more. */
const LONG_HEADER = 0x0940;
/** The largest version of the format that is known. */
const KNOWN_VERSION = 0x1040;
const flag = {
  adler: 0x1,
  packedAdler: 0x2,
  extra: 0x40,
  crc: 0x100,
  packedCrc: 0x200,
  multipart: 0x400,
  filter: 0x800,
  headerCrc: 0x1000,
};
const BLOCK_CHECKS = flag.adler | flag.packedAdler | flag.crc | flag.packedCrc;
/** lzop's own limits. */
const LARGEST_BLOCK = 64 * 2 ** 20;
const LARGEST_HEADER = 512;
const PROGRESS_STEP = 4 * 2 ** 20;

type Window = (position: number, length: number) => Buffer;

export const lzop: PackedDriver = {
  name: "lzop",
  extensions: [".lzo"],
  probe: hasMagic,
  index(source, options) {
    const units = createUnitList(source.name);
    try {
      addFiles(source, units, options);
    } catch (error) {
      if (!options.degraded || !(error instanceof ImageError) || (error.code !== "CORRUPT" && error.code !== "TRUNCATED")) throw error;
      options.damage(`${error.message}; what follows byte ${error.position ?? 0} of the compressed file is missing`);
    }
    return units.encode("lzop", source.size);
  },
  open(source, index) {
    const units = decodeUnits(index, "lzop", source.size);
    if (!units) return undefined;
    return unpackedSource(source, units, {
      unit: "run of lzop blocks",
      open: (unit) => blocksOf(source, units.start(unit), units.end(unit), units.option(unit)),
    });
  },
};

function hasMagic(head: Uint8Array): boolean {
  return head.length >= MAGIC.length && MAGIC.every((byte, at) => head[at] === byte);
}

function early(source: Source): ImageError {
  return new ImageError("TRUNCATED", "the file ends inside an lzop file", { file: source.name, position: source.size });
}

/** Archives of lzop may hold several files, one behind the other. */
function addFiles(source: Source, units: UnitList, options: IndexOptions): void {
  const window = createWindow(source, LARGEST_HEADER);
  for (let position = 0; position < source.size; ) {
    const head = window(position, Math.min(MAGIC.length, source.size - position));
    if (!hasMagic(head)) {
      if (position > 0 && zerosUpTo(source, position, source.size)) return;
      throw new ImageError("CORRUPT", "no lzop file begins here", { file: source.name, position });
    }
    position = addBlocks(source, readHeader(source, position), window, units, options);
  }
}

/** The checks of the blocks, and where they start. */
function readHeader(source: Source, start: number): { readonly flags: number; readonly dataPosition: number } {
  const place = { file: source.name, position: start };
  const bytes = readBytes(source, start, Math.min(LARGEST_HEADER, source.size - start));
  let at = MAGIC.length;
  const skip = (size: number) => {
    if (at + size > bytes.length) throw early(source);
    at += size;
  };
  const take = (size: number) => {
    skip(size);
    return bytes.readUIntBE(at - size, size);
  };
  const version = take(2);
  skip(2);
  const needed = version >= LONG_HEADER ? take(2) : version;
  if (needed > KNOWN_VERSION) throw new ImageError("UNSUPPORTED", `the lzop file needs version 0x${needed.toString(16)} of lzop`, place);
  const method = take(1);
  if (version >= LONG_HEADER) skip(1);
  const flags = take(4);
  if ((flags & flag.filter) !== 0) skip(4);
  skip(version >= LONG_HEADER ? 12 : 8);
  // The name that the file had.
  skip(take(1));
  const covered = bytes.subarray(MAGIC.length, at);
  if (take(4) !== ((flags & flag.headerCrc) === 0 ? adler32(covered) : crc32(covered))) {
    throw new ImageError("CORRUPT", "the header of the lzop file fails its check", place);
  }
  if (method < 1 || method > 3) throw new ImageError("UNSUPPORTED", `the lzop file uses method ${method}, only LZO1X is supported`, place);
  for (const [bit, name] of [
    [flag.multipart, "is one part of several"],
    [flag.filter, "uses a filter"],
    [flag.extra, "has an extra field"],
  ] as const) {
    if ((flags & bit) !== 0) throw new ImageError("UNSUPPORTED", `the lzop file ${name}, which is not supported`, place);
  }
  return { flags, dataPosition: start + at };
}

interface Block {
  readonly size: number;
  readonly packedSize: number;
  /** Where its bytes are; the checks stand before them. */
  readonly dataPosition: number;
  readonly checks: Partial<Record<"adler" | "crc" | "packedAdler" | "packedCrc", number>>;
}

/** The block at `position`; undefined where they end. */
function readBlock(source: Source, position: number, flags: number, window: Window): Block | undefined {
  const bytes = window(position, Math.min(24, source.size - position));
  let at = 0;
  const word = () => {
    if (at + 4 > bytes.length) throw early(source);
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  const size = word();
  if (size === 0) return undefined;
  const packedSize = word();
  if (size > LARGEST_BLOCK || packedSize > size || packedSize === 0) {
    throw new ImageError("CORRUPT", `the lzop block has ${packedSize} bytes for ${size}; ${LARGEST_BLOCK} are the limit`, {
      file: source.name,
      position,
    });
  }
  const packed = packedSize < size;
  const checks = {
    ...((flags & flag.adler) !== 0 && { adler: word() }),
    ...((flags & flag.crc) !== 0 && { crc: word() }),
    ...(packed && (flags & flag.packedAdler) !== 0 && { packedAdler: word() }),
    ...(packed && (flags & flag.packedCrc) !== 0 && { packedCrc: word() }),
  };
  if (position + at + packedSize > source.size) throw early(source);
  return { size, packedSize, dataPosition: position + at, checks };
}

/** Adds the blocks from `start` on; where the file behind them starts. */
function addBlocks(
  source: Source,
  { flags, dataPosition: start }: { readonly flags: number; readonly dataPosition: number },
  window: Window,
  units: UnitList,
  options: IndexOptions,
): number {
  let position = start;
  for (let told = start; ; ) {
    const block = readBlock(source, position, flags, window);
    if (!block) return position + 4;
    const to = block.dataPosition + block.packedSize;
    units.add({ from: position, to, size: block.size, option: flags & BLOCK_CHECKS, apart: position === start });
    position = to;
    if (position - told >= PROGRESS_STEP) {
      told = position;
      options.progress(position);
    }
  }
}

function blocksOf(source: Source, start: number, end: number, flags: number): UnitDecoder {
  const window = createWindow(source, 24);
  let position = start;
  let content = new Uint8Array(0);
  return {
    get memory() {
      return content.buffer.byteLength;
    },
    read(target) {
      let done = 0;
      while (done < target.length) {
        if (content.length === 0) {
          const block = position < end ? readBlock(source, position, flags, window) : undefined;
          if (!block) break;
          content = decode(source, position, block);
          position = block.dataPosition + block.packedSize;
        }
        const part = content.subarray(0, target.length - done);
        target.set(part, done);
        done += part.length;
        content = content.subarray(part.length);
      }
      return done;
    },
    close: () => undefined,
  };
}

function decode(source: Source, position: number, { size, packedSize, dataPosition, checks }: Block): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(packedSize);
  source.read(packed, dataPosition);
  let content = packed;
  let damage = differs(packed, checks.packedAdler, checks.packedCrc) ? "fails its check" : undefined;
  if (damage === undefined && packedSize < size) {
    content = new Uint8Array(size);
    try {
      unpackLzo(packed, content);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      damage = `is damaged: ${error.message}`;
    }
  }
  if (differs(content, checks.adler, checks.crc)) damage ??= "fails its check";
  if (damage === undefined) return content;
  throw new ImageError("CORRUPT", `the lzop block ${damage}`, { file: source.name, position });
}

function differs(bytes: Uint8Array, adler: number | undefined, crc: number | undefined): boolean {
  return (adler !== undefined && adler !== adler32(bytes)) || (crc !== undefined && crc !== crc32(bytes));
}

/** RFC 1950, section 8.2. */
function adler32(bytes: Uint8Array): number {
  let low = 1;
  let high = 0;
  for (let at = 0; at < bytes.length; ) {
    // So many sums stay below 2^32.
    for (const stop = Math.min(bytes.length, at + 5552); at < stop; at += 1) {
      low += bytes[at]!;
      high += low;
    }
    low %= 65521;
    high %= 65521;
  }
  return high * 65536 + low;
}
