// lzip: members that decode by themselves, each with its sizes behind it. Reference: the lzip manual, "File format"; draft-diaz-lzip.
import { ImageError } from "../../util/errors.js";
import { readBytes, type Source } from "../source.js";
import type { IndexOptions, PackedDriver } from "./driver.js";
import { checkLzmaSize, countDecoded, MEMORY_LIMIT, requireStreams, type StreamedUnit, streamedUnit, zerosUpTo } from "./streamed.js";
import { createUnitList, decodeUnits, UNIT_LIMIT, type UnitList } from "./units.js";
import { unpackedSource } from "./unpacked.js";

const HEADER_SIZE = 6;
const TRAILER_SIZE = 20;
/** An empty member: header, LZMA stream, trailer. */
const SMALLEST_MEMBER = 36;
const DICTIONARY_LIMIT = 2 ** 28;

export const lzip: PackedDriver = {
  name: "lzip",
  extensions: [".lz", ".lzip"],
  probe: (head) => head.length >= HEADER_SIZE && hasMagic(head) && head[4]! <= 1 && dictionaryOf(head[5]!) !== undefined,
  index(source, options) {
    requireStreams(source.name, "lzip");
    readHeader(source, 0);
    try {
      return fromTrailers(source, options).encode("lzip", source.size);
    } catch (error) {
      if (!options.degraded || !(error instanceof ImageError) || (error.code !== "CORRUPT" && error.code !== "TRUNCATED")) throw error;
      return fromMembers(source, options);
    }
  },
  open(source, index) {
    const units = decodeUnits(index, "lzip", source.size);
    if (!units) return undefined;
    requireStreams(source.name, "lzip");
    return unpackedSource(source, units, {
      unit: "lzip member",
      advice: "Compress with plzip, or with lzip -b, for random access.",
      open: (unit) => members(source, units.start(unit), units.end(unit)),
    });
  },
};

function hasMagic(head: Uint8Array): boolean {
  return head[0] === 0x4c && head[1] === 0x5a && head[2] === 0x49 && head[3] === 0x50;
}

/** Bytes, from 4 KiB to 512 MiB; undefined for a code that means none. */
function dictionaryOf(code: number): number | undefined {
  const base = 2 ** (code & 0x1f);
  const size = base - (base / 16) * (code >> 5);
  return size >= 2 ** 12 && size <= 2 ** 29 ? size : undefined;
}

/** Throws for a member that cannot be decoded. */
function readHeader(source: Source, position: number): void {
  const place = { file: source.name, position };
  if (position + HEADER_SIZE > source.size) throw new ImageError("TRUNCATED", "the file ends inside the header of an lzip member", place);
  const header = readBytes(source, position, HEADER_SIZE);
  if (!hasMagic(header)) throw new ImageError("CORRUPT", "no lzip member begins here", place);
  if (header[4] !== 1) throw new ImageError("UNSUPPORTED", `the lzip member is of version ${header[4]!}; version 1 is supported`, place);
  const dictionary = dictionaryOf(header[5]!);
  if (dictionary === undefined)
    throw new ImageError("CORRUPT", `the lzip member has no dictionary size, but 0x${header[5]!.toString(16)}`, place);
  if (dictionary > DICTIONARY_LIMIT) {
    throw new ImageError(
      "UNSUPPORTED",
      `the lzip member needs a dictionary of ${dictionary} bytes, the limit is ${DICTIONARY_LIMIT}`,
      place,
    );
  }
}

/** Members from `start` to `end`, or the first of them. */
function members(source: Source, start: number, end: number, { first = false } = {}): StreamedUnit {
  return streamedUnit({
    source,
    start,
    end,
    what: "lzip member",
    ...(!first && { next: "another" as const }),
    begin: (position) => ({ stream: { kind: "lzip", limit: MEMORY_LIMIT }, data: position }),
  });
}

/** From the end of the file: each trailer tells where its member starts. */
function fromTrailers(source: Source, options: IndexOptions): UnitList {
  const found: { readonly from: number; readonly to: number; readonly size: number }[] = [];
  for (let end = endOf(source); end > 0; ) {
    const position = end - TRAILER_SIZE;
    const place = { file: source.name, position: Math.max(0, position) };
    const trailer = end < SMALLEST_MEMBER ? undefined : readBytes(source, position, TRAILER_SIZE);
    const size = trailer && numberAt(trailer, 4);
    const packed = trailer && numberAt(trailer, 12);
    if (
      size === undefined ||
      packed === undefined ||
      packed < SMALLEST_MEMBER ||
      packed > end ||
      !hasMagic(readBytes(source, end - packed, 4))
    ) {
      throw new ImageError("TRUNCATED", "the end of an lzip member is missing: the file was cut, or something follows it", place);
    }
    if (found.length === UNIT_LIMIT) {
      throw new ImageError("UNSUPPORTED", `it has more than ${UNIT_LIMIT} lzip members`, { file: source.name });
    }
    readHeader(source, end - packed);
    checkLzmaSize(packed, size, "lzip member", place);
    found.push({ from: end - packed, to: end, size });
    end -= packed;
    options.progress(source.size - end);
  }
  const units = createUnitList(source.name);
  for (const member of found.reverse()) units.add(member);
  return units;
}

/** Behind the last byte that is not zero, or is so near before it that it may be one of a trailer's sizes. */
function endOf(source: Source): number {
  const step = 65_536;
  for (let end = source.size; end > 0; end -= step) {
    const start = Math.max(0, end - step);
    const last = readBytes(source, start, end - start).findLastIndex((byte) => byte !== 0);
    if (last < 0) continue;
    // The last field of a trailer is the size of its member: eight bytes, the last of which are zeros.
    for (let zeros = 0; zeros < 8 && start + last + 1 + zeros <= source.size; zeros += 1) {
      if (isEnd(source, start + last + 1 + zeros)) return start + last + 1 + zeros;
    }
    break;
  }
  return source.size;
}

function isEnd(source: Source, end: number): boolean {
  if (end < SMALLEST_MEMBER) return false;
  const packed = numberAt(readBytes(source, end - 8, 8), 0);
  return packed !== undefined && packed >= SMALLEST_MEMBER && packed <= end && hasMagic(readBytes(source, end - packed, 4));
}

/** Undefined if it is over 2^53. */
function numberAt(bytes: Buffer, at: number): number | undefined {
  const value = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Decodes member after member, for want of a trailer, up to where that fails. */
function fromMembers(source: Source, options: IndexOptions): Uint8Array {
  const units = createUnitList(source.name);
  for (let position = 0; position < source.size && !(position > 0 && zerosUpTo(source, position, source.size)); ) {
    const { size, end, error } = countDecoded(members(source, position, source.size, { first: true }), options.progress);
    units.add({ from: position, to: error ? source.size : end, size, apart: error !== undefined });
    if (error) {
      options.damage(`${error.message}; what follows byte ${position} of the compressed file is missing`);
      return units.encode("lzip", source.size, { cut: size > 0 });
    }
    position = end;
  }
  return units.encode("lzip", source.size);
}
