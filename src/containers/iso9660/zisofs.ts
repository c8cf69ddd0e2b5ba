// zisofs: files stored as deflated blocks, versions 1 and 2. Reference: libburnia's doc/zisofs_format.txt and zisofs2_format.txt.
import { type Extent, packedKeys } from "../../formats/driver.js";
import { unpackBzip2 } from "../../formats/bzip2.js";
import { unpackXz } from "../../formats/xz.js";
import { inflateZlib, unzstd } from "../../native/unpack.js";
import { memorySource } from "../../source/memory.js";
import { unpackLz4 } from "../../source/packed/lz4-block.js";
import { blocksOf, FRAME_MAGIC, readFrameHeader } from "../../source/packed/lz4-frames.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Content } from "../container.js";
import { type Piece } from "../../formats/pieces.js";

const MAGIC_1 = "37e45396c9dbd607";
const MAGIC_2 = "ef2255a1bc1b95a0";

/** Bytes of a block: 2^15 to 2^17 in version 1, up to 2^20 in version 2. */
const blockBits = { least: 15, most: 20 } as const;

/** By their numbers in zisofs2. */
const algorithms: ReadonlyMap<number, (packed: Buffer, target: Uint8Array) => boolean> = new Map([
  [1, inflateZlib],
  [2, unpackXz],
  [3, unpackLz4Any],
  [4, unzstd],
  [5, unpackBzip2],
]);

/** zisofs2-tools write frames; the format's description says "LZ4" and no more, so that a bare block is one as well. */
function unpackLz4Any(packed: Buffer, target: Uint8Array): boolean {
  try {
    if (packed.length < 7 || packed.readUInt32LE(0) !== FRAME_MAGIC)
      return unpackLz4(packed, target, 0, target.length, 0) === target.length;
    const source = memorySource("", packed);
    const { kind, dataPosition } = readFrameHeader(source, 0, FRAME_MAGIC);
    const blocks = blocksOf(source, dataPosition, packed.length, kind, new Uint8Array());
    return blocks.read(target) === target.length && blocks.read(new Uint8Array(1)) === 0;
  } catch (error) {
    if (error instanceof RangeError || error instanceof ImageError) return false;
    throw error;
  }
}

/** How the file says of itself that it is packed. */
interface Header {
  readonly size: number;
  readonly headerSize: number;
  readonly blockSize: number;
  readonly algorithm: number;
  readonly pointerSize: 4 | 8;
}

/** The decoded bytes of a file whose stored ones are `stored`, laid out on `disk`; throws if they are not what the directory says. */
export function zisofsContent(disk: Source, stored: Piece, name: string): Content {
  const read = (offset: number, length: number): Buffer => readPiece(stored, offset, length);
  const fail = (message: string) => new ImageError("CORRUPT", `${quote(name)}: ${message}`, { file: disk.name });
  const header = decodeHeader(read(0, Math.min(stored.size, 24)));
  if (!header) throw fail("it is marked as compressed (zisofs) and has no header of that kind");
  const { size, headerSize, blockSize, algorithm, pointerSize } = header;
  const decode = algorithms.get(algorithm);
  if (!decode) throw new ImageError("UNSUPPORTED", `${quote(name)}: zisofs compression ${algorithm} is not known`, { file: disk.name });
  const blocks = Math.ceil(size / blockSize);
  if (headerSize + (blocks + 1) * pointerSize > stored.size) throw fail("the list of its compressed blocks is longer than the file");
  const prefix = packedKeys();

  /** Where block `index` begins and ends in the stored bytes. */
  const bounds = (index: number): readonly [number, number] => {
    const pair = read(headerSize + index * pointerSize, 2 * pointerSize);
    return pointerSize === 4
      ? [pair.readUInt32LE(0), pair.readUInt32LE(4)]
      : [Number(pair.readBigUInt64LE(0)), Number(pair.readBigUInt64LE(8))];
  };

  /** Where a stored byte is on the disk. */
  const positionOf = (at: number): number => {
    const extent = stored.map(at, 1);
    return extent.kind === "data" ? extent.position : 0;
  };

  return {
    size,
    map(offset, length): Extent {
      const index = Math.floor(offset / blockSize);
      const skip = offset - index * blockSize;
      const decoded = Math.min(blockSize, size - index * blockSize);
      const run = Math.min(length, decoded - skip);
      let begin: number;
      let end: number;
      try {
        [begin, end] = bounds(index);
      } catch (error) {
        if (error instanceof ImageError) return { kind: "damaged", length: run, error };
        throw error;
      }
      if (begin === end) return { kind: "zero", length: run };
      if (end < begin || end > stored.size || end - begin > 2 * blockSize + 1024) {
        return { kind: "damaged", length: run, error: fail(`compressed block ${index} has impossible bounds`) };
      }
      const unpack = (target: Uint8Array): void => {
        if (!decode(read(begin, end - begin), target)) throw fail(`compressed block ${index} does not decode`);
      };
      return {
        kind: "packed",
        length: run,
        skip,
        block: { key: `${prefix}${index}`, size: decoded, source: disk, position: positionOf(begin), unpack },
      };
    },
  };
}

function decodeHeader(header: Buffer): Header | undefined {
  const magic = header.toString("hex", 0, 8);
  if (magic === MAGIC_1 && header.length >= 16)
    return checked({ size: header.readUInt32LE(8), at: 12, algorithm: 1, pointerSize: 4, header });
  if (magic === MAGIC_2 && header.length >= 24) {
    return checked({ size: Number(header.readBigUInt64LE(12)), at: 9, algorithm: header[10] ?? 0, pointerSize: 8, header });
  }
  return undefined;
}

/** Version 1 keeps header size and block bits at 12 and 13, version 2 at 9 and 11. */
function checked(found: Pick<Header, "size" | "algorithm" | "pointerSize"> & { at: number; header: Buffer }): Header | undefined {
  const { size, at, algorithm, pointerSize, header } = found;
  const bits = header[pointerSize === 4 ? 13 : 11] ?? 0;
  const headerSize = (header[at] ?? 0) * 4;
  if (bits < blockBits.least || bits > blockBits.most || headerSize < 16 || !Number.isSafeInteger(size)) return undefined;
  return { size, headerSize, blockSize: 2 ** bits, algorithm, pointerSize };
}

/** Bytes of a piece that is stored plainly. */
function readPiece(piece: Piece, offset: number, length: number): Buffer {
  const result = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const extent = piece.map(offset + done, length - done);
    if (extent.kind === "damaged") throw extent.error;
    if (extent.kind === "data") readBytes(extent.source, extent.position, extent.length).copy(result, done);
    done += extent.length;
  }
  return result;
}
