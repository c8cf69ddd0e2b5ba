// Which blocks of the partition are stored, and how many of them before a given one.
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { eachPiece } from "../digests.js";
import { createTableCache } from "../tables.js";
import { type PartcloneHeader, partcloneCrc } from "./header.js";
import { BYTES_END } from "./layout.js";

/** Bytes of the bitmap that are looked at together. */
const SLICE = 4096;
const CACHE = 4 * 2 ** 20;

export interface Bitmap {
  /** Blocks that are stored. */
  readonly used: number;
  /** Where the stored blocks begin. */
  readonly end: number;
  has(block: number): boolean;
  /** Stored blocks before `block`. */
  rank(block: number): number;
}

/** Reads all of it once, to count and to compare its checksum: a wrong bit would shift everything behind it. */
export function readBitmap(source: Source, header: PartcloneHeader): Bitmap {
  const { bitmap, blocks } = header;
  const { position, length, mode } = bitmap;
  if (mode === "none") return { used: blocks, end: position, has: () => true, rank: (block) => block };
  const perByte = mode === "bit" ? 8 : 1;
  const ranks = new Float64Array(Math.ceil(length / SLICE) + 1);
  let at = 0;
  let sum = 0;
  let crc = 0xffffffff;
  if (length > 0) {
    eachPiece(source, position, length, (piece) => {
      crc = partcloneCrc(piece, crc);
      for (let start = 0; start < piece.length; start += SLICE, at += 1) {
        const slice = piece.subarray(start, start + SLICE);
        ranks[at] = sum;
        // Most of a large partition is free.
        if (Buffer.compare(slice, zeros.subarray(0, slice.length)) !== 0) sum += countIn(slice, mode);
      }
    });
  }
  ranks[ranks.length - 1] = sum;
  const end = checkEnd(source, header, crc);
  const loaded = createTableCache(CACHE, (slice) => {
    const content = readBytes(source, position + slice * SLICE, Math.min(SLICE, length - slice * SLICE));
    return Uint32Array.from(content);
  });
  const sliceBlocks = SLICE * perByte;
  const has = (block: number) => {
    const slice = Math.floor(block / sliceBlocks);
    const inSlice = block - slice * sliceBlocks;
    const byte = loaded(slice)[Math.floor(inSlice / perByte)]!;
    return mode === "bit" ? ((byte >>> (inSlice & 7)) & 1) === 1 : byte !== 0;
  };
  return {
    used: sum,
    end,
    has,
    rank(block) {
      const slice = Math.floor(block / sliceBlocks);
      const inSlice = block - slice * sliceBlocks;
      const bytes = loaded(slice);
      const whole = Math.floor(inSlice / perByte);
      let count = ranks[slice]!;
      for (let index = 0; index < whole; index += 1) count += mode === "bit" ? bitsIn(bytes[index]!) : toBit(bytes[index]!);
      return mode === "bit" ? count + bitsIn(bytes[whole]! & ((1 << (inSlice & 7)) - 1)) : count;
    },
  };
}

/** Pieces are read in multiples of a slice. */
const zeros = new Uint8Array(SLICE);

function countIn(slice: Uint8Array, mode: "bit" | "byte"): number {
  let count = 0;
  for (let index = 0; index < slice.length; index += 1) count += mode === "bit" ? bitsIn(slice[index]!) : toBit(slice[index]!);
  return count;
}

function toBit(byte: number): number {
  return byte === 0 ? 0 : 1;
}

const bitCounts = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let bit = 0; bit < 8; bit += 1) count += (byte >>> bit) & 1;
  return count;
});
function bitsIn(byte: number): number {
  return bitCounts[byte]!;
}

/** Where the bitmap and what proves it whole end. Throws if it is not. */
function checkEnd(source: Source, { bitmap, blocks }: PartcloneHeader, crc: number): number {
  const at = bitmap.position + bitmap.length;
  const fail = (message: string) => new ImageError("CORRUPT", message, { file: source.name, position: at });
  const size = bitmap.mode === "byte" ? BYTES_END.length : 4;
  if (at + size > source.size) throw new ImageError("TRUNCATED", "the file ends inside the bitmap", { file: source.name, position: at });
  const stored = readBytes(source, at, size);
  if (bitmap.mode === "byte") {
    if (stored.toString("latin1") !== BYTES_END) throw fail(`the bitmap does not end with ${BYTES_END}`);
  } else if (stored.readUInt32LE(0) !== crc) throw fail("the checksum of the bitmap is wrong: which blocks are stored cannot be known");
  const spare = bitmap.mode === "bit" ? blocks % 8 : 0;
  if (spare !== 0 && readBytes(source, at - 1, 1)[0]! >>> spare !== 0) throw fail("the bitmap has blocks behind the last one");
  return at + size;
}
