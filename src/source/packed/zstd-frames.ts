// Zstandard frames: RFC 8878, section 3.1. The seek table: "Zstandard Seekable Format" 0.1.0, in contrib/seekable_format of the zstd sources.
import { ImageError } from "../../util/errors.js";
import { readBytes, type Source } from "../source.js";
import { createWindow } from "../window.js";
import { WINDOW_LOG_LIMIT, zerosUpTo } from "./streamed.js";

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const SEEK_TABLE_MAGIC = 0x184d2a5e;
const SEEKABLE_MAGIC = 0x8f92eab1;
const SEEK_FOOTER_SIZE = 9;
const LARGEST_HEADER = 18;
const LARGEST_BLOCK = 128 * 1024;
/** Bytes between two reports of how far it is. */
const PROGRESS_STEP = 4 * 2 ** 20;

/** One frame that holds data. */
export interface Frame {
  readonly start: number;
  readonly end: number;
  /** Decoded bytes, where its header tells. */
  readonly size: number | undefined;
}

/** Whether a frame with data begins here, or is seen behind one that is to be skipped. */
export function isFrame(head: Uint8Array): boolean {
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  let at = 0;
  while (at + 8 <= head.length && isSkippable(view.getUint32(at, true))) at += 8 + view.getUint32(at + 4, true);
  return at + 4 <= head.length && view.getUint32(at, true) === FRAME_MAGIC;
}

function isSkippable(magic: number): boolean {
  return (magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC;
}

/** Calls `found` for each frame in order, by the sizes of its blocks: nothing is decoded. `progress` as of the driver. */
export function walkFrames(source: Source, found: (frame: Frame) => void, progress: (done: number) => void): void {
  // Small: the blocks between their headers are not looked at.
  const window = createWindow(source, 1024);
  let told = 0;
  const report = (position: number) => {
    if (position < told + PROGRESS_STEP) return;
    told = position;
    progress(position);
  };
  for (let position = 0; position < source.size; ) {
    const left = source.size - position;
    if (left < 5) {
      if (position > 0 && zerosUpTo(source, position, source.size)) return;
      throw cut(source, position);
    }
    const magic = window(position, 4).readUInt32LE(0);
    if (isSkippable(magic)) {
      if (left < 8) throw cut(source, position);
      position += 8 + window(position + 4, 4).readUInt32LE(0);
      if (position > source.size) throw cut(source, source.size);
    } else if (magic === FRAME_MAGIC) {
      const frame = walkFrame(source, position, window, report);
      found(frame);
      position = frame.end;
    } else if (position > 0 && zerosUpTo(source, position, source.size)) {
      return;
    } else {
      throw new ImageError("CORRUPT", `no zstd frame begins here, but 0x${magic.toString(16)}`, { file: source.name, position });
    }
    report(position);
  }
}

function cut(source: Source, position: number): ImageError {
  return new ImageError("TRUNCATED", "the file ends inside a zstd frame", { file: source.name, position });
}

type Window = (position: number, length: number) => Buffer;

function walkFrame(source: Source, start: number, window: Window, report: (position: number) => void): Frame {
  const { size, dataPosition, checksum, largestBlock } = readFrameHeader(source, start, window);
  let position = dataPosition;
  /** As many bytes as the blocks may decode to at most. */
  let room = 0;
  for (let last = false; !last; ) {
    if (position + 3 > source.size) throw cut(source, position);
    const header = window(position, 3).readUIntLE(0, 3);
    const [type, length] = [(header >> 1) & 3, header >> 3];
    if (type === 3 || length > largestBlock) {
      throw new ImageError("CORRUPT", `the zstd block is damaged: kind ${type}, ${length} bytes`, { file: source.name, position });
    }
    last = (header & 1) === 1;
    room += type === 2 ? largestBlock : length;
    position += 3 + (type === 1 ? 1 : length);
    report(position);
  }
  if (checksum) position += 4;
  if (position > source.size) throw cut(source, source.size);
  if (size !== undefined && size > room) {
    throw new ImageError("CORRUPT", `the zstd frame tells of ${size} bytes, its blocks hold ${room} at most`, {
      file: source.name,
      position: start,
    });
  }
  return { start, end: position, size };
}

/** Refuses what is not going to be decoded: large windows, dictionaries. */
function readFrameHeader(source: Source, start: number, window: Window) {
  const place = { file: source.name, position: start };
  const bytes = window(start, Math.min(LARGEST_HEADER, source.size - start));
  const descriptor = bytes[4]!;
  const single = (descriptor & 0x20) !== 0;
  const idSize = [0, 1, 2, 4][descriptor & 3]!;
  const sizeSize = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const headerSize = 5 + (single ? 0 : 1) + idSize + sizeSize;
  if (headerSize > bytes.length) throw cut(source, source.size);
  if ((descriptor & 0x08) !== 0) throw new ImageError("UNSUPPORTED", "the zstd frame uses a bit of its header that is reserved", place);
  const idPosition = single ? 5 : 6;
  const id = idSize === 0 ? 0 : bytes.readUIntLE(idPosition, idSize);
  if (id !== 0) {
    throw new ImageError("UNSUPPORTED", `the zstd frame needs the dictionary ${id}: frames with dictionaries are not supported`, place);
  }
  const size = contentSize(bytes, idPosition + idSize, sizeSize, place);
  const windowSize = single ? (size ?? 0) : windowOf(bytes[5]!);
  if (windowSize > 2 ** WINDOW_LOG_LIMIT) {
    throw new ImageError("UNSUPPORTED", `the zstd frame needs a window of ${windowSize} bytes, the limit is ${2 ** WINDOW_LOG_LIMIT}`, {
      ...place,
      hint: "Compress it again, with at most zstd --long=27.",
    });
  }
  return {
    size,
    dataPosition: start + headerSize,
    checksum: (descriptor & 0x04) !== 0,
    largestBlock: Math.min(LARGEST_BLOCK, Math.max(windowSize, 1)),
  };
}

function contentSize(bytes: Buffer, at: number, size: number, place: { readonly file: string; readonly position: number }) {
  if (size === 0) return undefined;
  if (size === 1) return bytes[at]!;
  if (size === 2) return bytes.readUInt16LE(at) + 256;
  if (size === 4) return bytes.readUInt32LE(at);
  const value = bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
  if (!Number.isSafeInteger(value)) throw new ImageError("CORRUPT", "the zstd frame tells of more than 2^53 bytes", place);
  return value;
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** The frames by the seek table at the end of the file; undefined if there is none that fits. */
export function readSeekTable(source: Source): readonly Frame[] | undefined {
  if (source.size < SEEK_FOOTER_SIZE + 8) return undefined;
  const footer = readBytes(source, source.size - SEEK_FOOTER_SIZE, SEEK_FOOTER_SIZE);
  const [count, descriptor] = [footer.readUInt32LE(0), footer[4]!];
  if (footer.readUInt32LE(5) !== SEEKABLE_MAGIC || (descriptor & 0x7c) !== 0) return undefined;
  const entrySize = descriptor >= 0x80 ? 12 : 8;
  const size = count * entrySize + SEEK_FOOTER_SIZE;
  const position = source.size - size - 8;
  if (position < 0 || count > source.size / entrySize) return undefined;
  const header = readBytes(source, position, 8);
  if (header.readUInt32LE(0) !== SEEK_TABLE_MAGIC || header.readUInt32LE(4) !== size) return undefined;

  const window = createWindow(source, 65_536);
  const frames: Frame[] = [];
  let start = 0;
  for (let index = 0; index < count; index += 1) {
    const entry = window(position + 8 + index * entrySize, 8);
    const end = start + entry.readUInt32LE(0);
    if (end > position) return undefined;
    frames.push({ start, end, size: entry.readUInt32LE(4) });
    start = end;
  }
  return start === position ? frames : undefined;
}
