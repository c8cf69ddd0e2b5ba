import type { Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { windowOf } from "../window.js";
import { chunkHeader, chunkTypes, header, MAJOR_VERSION } from "./layout.js";

export interface SparseHeader {
  readonly version: string;
  readonly fileHeaderSize: number;
  readonly chunkHeaderSize: number;
  readonly blockSize: number;
  readonly totalBlocks: number;
  readonly totalChunks: number;
}

/** Checks the header; throws for everything that makes the whole image unreadable. */
export function checkHeader(source: Source, fields: ReturnType<typeof header.decode>): SparseHeader {
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  const { majorVersion, minorVersion, fileHeaderSize, chunkHeaderSize, blockSize, totalChunks } = fields;
  if (majorVersion !== MAJOR_VERSION) {
    throw fail("UNSUPPORTED", 4, `the version is ${majorVersion}.${minorVersion}; versions ${MAJOR_VERSION}.x are read here`);
  }
  if (fileHeaderSize < header.size)
    throw fail("CORRUPT", 8, `the header says that it has ${fileHeaderSize} bytes; ${header.size} are the least`);
  if (chunkHeaderSize < chunkHeader.size) {
    throw fail("CORRUPT", 10, `a chunk's header is said to have ${chunkHeaderSize} bytes; ${chunkHeader.size} are the least`);
  }
  if (blockSize === 0 || blockSize % 4 !== 0) throw fail("CORRUPT", 12, `the block size is ${blockSize}, not a multiple of 4`);
  return { ...fields, version: `${majorVersion}.${minorVersion}`, totalChunks };
}

/** The chunks that hold blocks of the disk, in its order, one behind the other. */
export interface Chunks {
  readonly count: number;
  /** First block of each chunk; one more entry is the block behind the last. */
  readonly starts: Uint32Array;
  readonly types: Uint16Array;
  /** Where the data of each chunk is. */
  readonly positions: Float64Array;
  /** What the blocks of a fill chunk are filled with, in the file's order. */
  readonly fills: Uint32Array;
  /** Why the blocks behind the last chunk are not known; undefined if that is all. */
  readonly broken: ImageError | undefined;
}

/** Reads the headers of all chunks. What follows one that cannot be is not known. */
export function readChunks(source: Source, { fileHeaderSize, chunkHeaderSize, blockSize, totalBlocks, totalChunks }: SparseHeader): Chunks {
  // Each has a header: a file has no more of them than fit in.
  const most = Math.min(totalChunks, Math.floor(source.size / chunkHeaderSize));
  const read = windowOf(source);
  let starts = new Uint32Array(Math.min(most, 1024) + 1);
  let types = new Uint16Array(starts.length);
  let positions = new Float64Array(starts.length);
  let fills = new Uint32Array(starts.length);
  let count = 0;
  let block = 0;
  let at = fileHeaderSize;
  let broken: ImageError | undefined;

  for (let index = 0; index < totalChunks; index += 1) {
    const problem = (code: ErrorCode, message: string) => {
      broken = new ImageError(code, `chunk ${index}: ${message}`, { file: source.name, position: at });
    };
    if (at + chunkHeaderSize > source.size) {
      problem("TRUNCATED", `its header is behind the end of the file, which has ${source.size} bytes`);
      break;
    }
    const { type, blocks, totalSize } = chunkHeader.decode(read(at, chunkHeader.size));
    const dataSize = totalSize - chunkHeaderSize;
    const expected = dataSizeOf(type, blocks * blockSize);
    if (expected === undefined) {
      problem("CORRUPT", `its type is ${hex(type)}, which is not known`);
      break;
    }
    if (dataSize !== expected) {
      problem("CORRUPT", `it has ${dataSize} bytes of data, not ${expected}`);
      break;
    }
    if (block + blocks > totalBlocks) {
      problem("CORRUPT", `its ${blocks} blocks from block ${block} on leave the disk of ${totalBlocks} blocks`);
      break;
    }
    const data = at + chunkHeaderSize;
    at = data + dataSize;
    if (type === chunkTypes.crc32 || blocks === 0) continue;
    if (count + 1 >= starts.length) {
      const length = Math.min(most, starts.length * 2) + 1;
      starts = grown(starts, new Uint32Array(length));
      types = grown(types, new Uint16Array(length));
      positions = grown(positions, new Float64Array(length));
      fills = grown(fills, new Uint32Array(length));
    }
    if (type === chunkTypes.fill) {
      if (data + 4 > source.size) {
        problem("TRUNCATED", `its pattern is behind the end of the file, which has ${source.size} bytes`);
        break;
      }
      fills[count] = read(data, 4).readUInt32BE(0);
    }
    starts[count] = block;
    types[count] = type;
    positions[count] = data;
    count += 1;
    block += blocks;
  }
  starts[count] = block;
  if (!broken && block < totalBlocks) {
    broken = new ImageError("CORRUPT", `the chunks hold ${block} of ${totalBlocks} blocks`, { file: source.name, position: 16 });
  }
  return { count, starts, types, positions, fills, broken };
}

/** Bytes of data that a chunk has in the file, for `size` bytes of the disk; undefined for an unknown type. */
function dataSizeOf(type: number, size: number): number | undefined {
  switch (type) {
    case chunkTypes.raw:
      return size;
    case chunkTypes.fill:
    case chunkTypes.crc32:
      return 4;
    case chunkTypes.skip:
      return 0;
    default:
      return undefined;
  }
}

function grown<T extends Uint32Array | Uint16Array | Float64Array>(table: T, larger: T): T {
  larger.set(table);
  return larger;
}
