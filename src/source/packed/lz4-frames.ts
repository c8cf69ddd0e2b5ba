// LZ4 frames. Reference: lz4_Frame_format.md 1.6.x of the lz4 sources, which describes the legacy format, too.
import { ImageError } from "../../util/errors.js";
import { readBytes, type Source } from "../source.js";
import { unpackLz4, WINDOW_SIZE } from "./lz4-block.js";
import type { UnitDecoder } from "./unpacked.js";
import { xxh32 } from "./xxh32.js";

export const FRAME_MAGIC = 0x184d2204;
export const LEGACY_MAGIC = 0x184c2102;
const SKIPPABLE_MAGIC = 0x184d2a50;
const LEGACY_BLOCK = 8 * 2 ** 20;
/** A frame's block may be stored as it is: then this bit of its size is set. */
const STORED = 0x80000000;

/** What must be known of a frame to decode its blocks. */
export interface BlockKind {
  readonly legacy: boolean;
  /** Blocks refer to the ones before them. */
  readonly linked: boolean;
  /** A checksum follows each block. */
  readonly checked: boolean;
  /** Decoded bytes that a block has at most. */
  readonly largest: number;
}

export interface FrameHeader {
  readonly kind: BlockKind;
  readonly dataPosition: number;
  /** Decoded bytes, where the header tells. */
  readonly size: number | undefined;
  /** A checksum of everything follows the blocks. */
  readonly contentChecked: boolean;
}

/** A `BlockKind` as one number. */
export function encodeKind({ legacy, linked, checked, largest }: BlockKind): number {
  return legacy ? 1 : (linked ? 2 : 0) | (checked ? 4 : 0) | (Math.log2(largest) << 3);
}

export function decodeKind(value: number): BlockKind {
  if (value === 1) return legacyKind;
  return { legacy: false, linked: (value & 2) !== 0, checked: (value & 4) !== 0, largest: 2 ** (value >> 3) };
}

const legacyKind: BlockKind = { legacy: true, linked: false, checked: false, largest: LEGACY_BLOCK };

export function isSkippable(magic: number): boolean {
  return (magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC;
}

function isFrameMagic(magic: number): boolean {
  return magic === FRAME_MAGIC || magic === LEGACY_MAGIC || isSkippable(magic);
}

export function early(source: Source): ImageError {
  return new ImageError("TRUNCATED", "the file ends inside an lz4 frame", { file: source.name, position: source.size });
}

/** The header of a frame whose magic number stands at `position`. */
export function readFrameHeader(source: Source, position: number, magic: number): FrameHeader {
  if (magic === LEGACY_MAGIC) return { kind: legacyKind, dataPosition: position + 4, size: undefined, contentChecked: false };
  const place = { file: source.name, position };
  const bytes = readBytes(source, position, Math.min(19, source.size - position));
  const [flags = 0, descriptor = 0] = bytes.subarray(4);
  const sized = (flags & 8) !== 0;
  const headerSize = 7 + (sized ? 8 : 0) + ((flags & 1) === 0 ? 0 : 4);
  if (bytes.length < headerSize) throw early(source);
  if (flags >> 6 !== 1) throw new ImageError("UNSUPPORTED", `the lz4 frame is of version ${flags >> 6}; version 1 is supported`, place);
  if (((xxh32(bytes.subarray(4, headerSize - 1)) >> 8) & 0xff) !== bytes[headerSize - 1]) {
    throw new ImageError("CORRUPT", "the header of the lz4 frame fails its check", place);
  }
  if ((flags & 2) !== 0 || (descriptor & 0x8f) !== 0 || descriptor < 0x40) {
    throw new ImageError("UNSUPPORTED", "the lz4 frame uses bits of its header that are reserved", place);
  }
  if ((flags & 1) !== 0) throw new ImageError("UNSUPPORTED", "the lz4 frame needs a dictionary, which is not supported", place);
  const size = sized ? bytes.readUInt32LE(6) + bytes.readUInt32LE(10) * 2 ** 32 : undefined;
  if (size !== undefined && !Number.isSafeInteger(size))
    throw new ImageError("CORRUPT", "the lz4 frame tells of more than 2^53 bytes", place);
  return {
    kind: { legacy: false, linked: (flags & 0x20) === 0, checked: (flags & 0x10) !== 0, largest: 2 ** (8 + 2 * (descriptor >> 4)) },
    dataPosition: position + headerSize,
    size,
    contentChecked: (flags & 4) !== 0,
  };
}

export interface BlockDecoder {
  /** The block whose size stands at `position`, decoded: valid until the next call. Undefined where the blocks end. */
  decode(position: number): { readonly content: Uint8Array; readonly next: number } | undefined;
  /** The last 64 KiB, which the next block may refer to; a copy. */
  window(): Uint8Array;
}

/** Decodes blocks one after the other; `window` is what came before the first of them, as far as it refers to that. */
export function createBlockDecoder(source: Source, kind: BlockKind, window: Uint8Array): BlockDecoder {
  const { legacy, linked, checked, largest } = kind;
  const buffer = new Uint8Array(WINDOW_SIZE + largest);
  buffer.set(window, WINDOW_SIZE - window.length);
  let oldest = WINDOW_SIZE - window.length;
  /** Of the last block, which starts at WINDOW_SIZE. */
  let end = WINDOW_SIZE;
  let packed = Buffer.alloc(0);

  function slide(): void {
    if (!linked || end === WINDOW_SIZE) return;
    const moved = end - WINDOW_SIZE;
    buffer.copyWithin(0, moved, end);
    oldest = Math.max(0, oldest - moved);
    end = WINDOW_SIZE;
  }

  function load(position: number, size: number): Buffer {
    if (packed.length < size) packed = Buffer.allocUnsafeSlow(Math.max(size, Math.min(largest, 2 * size)));
    const bytes = packed.subarray(0, size);
    source.read(bytes, position);
    return bytes;
  }

  return {
    decode(position) {
      const place = { file: source.name, position };
      const word = wordAt(source, position, legacy);
      if (word === undefined || (legacy ? isFrameMagic(word) : word === 0)) return undefined;
      const stored = !legacy && word >= STORED;
      const size = stored ? word - STORED : word;
      const bound = legacy ? largest + Math.floor(largest / 255) + 16 : largest;
      if (size > bound || size === 0) {
        throw new ImageError("CORRUPT", `the lz4 block has ${size} bytes, at most ${bound} are possible`, place);
      }
      const next = position + 4 + size + (checked ? 4 : 0);
      if (next > source.size) throw early(source);
      const bytes = load(position + 4, size);
      if (checked && xxh32(bytes) !== readBytes(source, next - 4, 4).readUInt32LE(0)) {
        throw new ImageError("CORRUPT", "the lz4 block fails its check", place);
      }
      slide();
      if (stored) {
        buffer.set(bytes, WINDOW_SIZE);
        end = WINDOW_SIZE + size;
      } else {
        end = unpacked(bytes, place);
      }
      return { content: buffer.subarray(WINDOW_SIZE, end), next };
    },
    window() {
      slide();
      return buffer.slice(oldest, WINDOW_SIZE);
    },
  };

  function unpacked(bytes: Uint8Array, place: { readonly file: string; readonly position: number }): number {
    try {
      return unpackLz4(bytes, buffer, WINDOW_SIZE, buffer.length, linked ? oldest : WINDOW_SIZE);
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new ImageError("CORRUPT", `the lz4 block is damaged: ${cause.message}`, { ...place, cause });
    }
  }
}

/** The size of the block at `position`. A legacy frame ends with the file, or where its padding begins. */
function wordAt(source: Source, position: number, legacy: boolean): number | undefined {
  if (position + 4 > source.size) {
    if (legacy) return undefined;
    throw early(source);
  }
  const word = readBytes(source, position, 4).readUInt32LE(0);
  return legacy && word === 0 ? undefined : word;
}

/** The blocks from `start` to `end`, as a unit. */
export function blocksOf(source: Source, start: number, end: number, kind: BlockKind, window: Uint8Array): UnitDecoder {
  const blocks = createBlockDecoder(source, kind, window);
  let position = start;
  let content = new Uint8Array(0);
  return {
    memory: 2 * kind.largest,
    read(target) {
      let done = 0;
      while (done < target.length) {
        if (content.length === 0) {
          const block = position < end ? blocks.decode(position) : undefined;
          if (!block) break;
          position = block.next;
          content = block.content as Uint8Array<ArrayBuffer>;
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
