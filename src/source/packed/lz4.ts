// LZ4: frames of blocks. Reference: lz4_Frame_format.md 1.6.x of the lz4 sources.
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { ImageError } from "../../util/errors.js";
import { readBytes, type Source } from "../source.js";
import type { IndexOptions, PackedDriver } from "./driver.js";
import { WINDOW_SIZE } from "./lz4-block.js";
import {
  blocksOf,
  createBlockDecoder,
  decodeKind,
  early,
  encodeKind,
  FRAME_MAGIC,
  type FrameHeader,
  isSkippable,
  LEGACY_MAGIC,
  readFrameHeader,
} from "./lz4-frames.js";
import { zerosUpTo } from "./streamed.js";
import { createUnitList, decodeUnits, type Units } from "./units.js";
import { unpackedSource } from "./unpacked.js";
import { createXxh32 } from "./xxh32.js";

/** Decoded bytes between restart points in linked blocks, before there are too many. */
const SPACING = 4 * 2 ** 20;
/** Windows that are kept: 64 KiB each at most. */
const WINDOW_COUNT = 1024;
/** Independent blocks that are decoded together. */
const JOINED_SIZE = 2 ** 20;
/** Bytes between two reports of how far it is. */
const PROGRESS_STEP = 4 * 2 ** 20;

/** Where decoding may begin: at the block at `from`. `window`: what it refers to, deflated; empty where blocks are independent. */
interface Restart {
  readonly from: number;
  to: number;
  size: number;
  readonly option: number;
  readonly window: Uint8Array;
}

const nothing = new Uint8Array(0);

export const lz4: PackedDriver = {
  name: "lz4",
  extensions: [".lz4"],
  probe(head) {
    const view = new DataView(head.buffer, head.byteOffset, head.length);
    let at = 0;
    while (at + 8 <= head.length && isSkippable(view.getUint32(at, true))) at += 8 + view.getUint32(at + 4, true);
    if (at + 7 > head.length) return false;
    const magic = view.getUint32(at, true);
    return magic === FRAME_MAGIC || magic === LEGACY_MAGIC;
  },
  index(source, options) {
    const restarts = createRestarts();
    try {
      addFrames(source, restarts, options);
    } catch (error) {
      if (!options.degraded || !(error instanceof ImageError) || (error.code !== "CORRUPT" && error.code !== "TRUNCATED")) throw error;
      options.damage(`${error.message}; what follows byte ${error.position ?? 0} of the compressed file is missing`);
    }
    const units = createUnitList(source.name);
    for (const { from, to, size, option } of restarts.list()) units.add({ from, to, size, option, apart: true });
    return units.encode("lz4", source.size, { extra: encodeWindows(restarts.list()) });
  },
  open(source, index) {
    const units = decodeUnits(index, "lz4", source.size);
    if (!units) return undefined;
    const windowOf = decodeWindows(units);
    return unpackedSource(source, units, {
      unit: "run of lz4 blocks",
      open: (unit) => blocksOf(source, units.start(unit), units.end(unit), decodeKind(units.option(unit)), windowOf(unit)),
    });
  },
};

interface Restarts {
  /** A block of a frame starts at `from`, which may become a restart point. `window` gives what came before it, where it refers to that. */
  starts(from: number, option: number, window: (() => Uint8Array) | undefined): void;
  /** It was decoded. */
  ends(to: number, size: number): void;
  /** The next block stands alone. */
  frameEnds(): void;
  list(): readonly Restart[];
}

function createRestarts(): Restarts {
  let list: Restart[] = [];
  let open: Restart | undefined;
  let windows = 0;
  let spacing = SPACING;

  /** About half of the windows go. */
  function thin(): void {
    spacing *= 2;
    const kept: Restart[] = [];
    for (const each of list) {
      const last = kept.at(-1);
      if (last && each.window.length > 0 && last.to === each.from && last.size + each.size <= spacing * 1.5) {
        last.to = each.to;
        last.size += each.size;
        windows -= 1;
      } else {
        kept.push(each);
      }
    }
    list = kept;
    open = list.at(-1);
  }

  return {
    starts(from, option, window) {
      if (open && open.size < (window ? spacing : JOINED_SIZE)) return;
      const content = open && window ? deflateRawSync(window(), { level: 1 }) : nothing;
      open = { from, to: from, size: 0, option, window: content };
      list.push(open);
      if (content.length > 0) windows += 1;
    },
    ends(to, size) {
      if (!open) return;
      open.to = to;
      open.size += size;
      if (windows > WINDOW_COUNT) thin();
    },
    frameEnds() {
      open = undefined;
    },
    list: () => list.filter(({ size }) => size > 0),
  };
}

function addFrames(source: Source, restarts: Restarts, options: IndexOptions): void {
  for (let position = 0; position < source.size; ) {
    if (position + 4 > source.size) {
      if (position > 0 && zerosUpTo(source, position, source.size)) return;
      throw early(source);
    }
    const magic = readBytes(source, position, 4).readUInt32LE(0);
    if (isSkippable(magic)) {
      if (position + 8 > source.size) throw early(source);
      position += 8 + readBytes(source, position + 4, 4).readUInt32LE(0);
      if (position > source.size) throw early(source);
    } else if (magic === FRAME_MAGIC || magic === LEGACY_MAGIC) {
      position = addFrame(source, readFrameHeader(source, position, magic), restarts, options);
      restarts.frameEnds();
    } else if (position > 0 && zerosUpTo(source, position, source.size)) {
      return;
    } else {
      throw new ImageError("CORRUPT", `no lz4 frame begins here, but 0x${magic.toString(16)}`, { file: source.name, position });
    }
  }
}

/** Decodes a frame and checks it; where it ends. */
function addFrame(source: Source, header: FrameHeader, restarts: Restarts, options: IndexOptions): number {
  const { kind, dataPosition } = header;
  const blocks = createBlockDecoder(source, kind, nothing);
  const checksum = header.contentChecked ? createXxh32() : undefined;
  let position = dataPosition;
  let decoded = 0;
  for (let told = position; ; ) {
    // The window is gone once the block is decoded.
    restarts.starts(position, encodeKind(kind), kind.linked ? blocks.window : undefined);
    const block = blocks.decode(position);
    if (!block) break;
    restarts.ends(block.next, block.content.length);
    checksum?.update(block.content);
    decoded += block.content.length;
    position = block.next;
    if (position - told >= PROGRESS_STEP) {
      told = position;
      options.progress(position);
    }
  }
  if (kind.legacy) return position;
  checkEnd(source, position, header, decoded, checksum?.digest());
  return position + (checksum ? 8 : 4);
}

function checkEnd(source: Source, position: number, header: FrameHeader, decoded: number, checksum: number | undefined): void {
  const place = { file: source.name, position };
  if (header.size !== undefined && header.size !== decoded) {
    throw new ImageError("CORRUPT", `the lz4 frame tells of ${header.size} bytes, and holds ${decoded}`, place);
  }
  if (checksum === undefined) return;
  if (position + 8 > source.size) throw early(source);
  if (readBytes(source, position + 4, 4).readUInt32LE(0) !== checksum)
    throw new ImageError("CORRUPT", "the lz4 frame fails its check", place);
}

/** Each as the number of its unit, its length and itself. */
function encodeWindows(restarts: readonly Restart[]): Uint8Array {
  return Buffer.concat(
    restarts.flatMap(({ window }, unit) => {
      if (window.length === 0) return [];
      const header = Buffer.alloc(8);
      header.writeUInt32LE(unit, 0);
      header.writeUInt32LE(window.length, 4);
      return [header, window];
    }),
  );
}

function decodeWindows({ extra }: Units): (unit: number) => Uint8Array {
  const view = new DataView(extra.buffer, extra.byteOffset, extra.length);
  const windows = new Map<number, Uint8Array>();
  for (let at = 0; at < extra.length; ) {
    const size = view.getUint32(at + 4, true);
    windows.set(view.getUint32(at, true), extra.subarray(at + 8, at + 8 + size));
    at += 8 + size;
  }
  return (unit) => {
    const window = windows.get(unit);
    return window ? inflateRawSync(window, { maxOutputLength: WINDOW_SIZE }) : nothing;
  };
}
