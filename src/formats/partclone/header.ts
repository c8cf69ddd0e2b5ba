import { crc32 } from "node:zlib";
import { readBytes, readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { BITMAP_V1, bitmapModes, headerV1, headerV2, limits, LITTLE, SIGNATURE, start } from "./layout.js";

export interface PartcloneHeader {
  readonly version: 1 | 2;
  /** As partclone calls it. */
  readonly fileSystem: string;
  readonly program: string;
  /** Bytes of the partition. */
  readonly size: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly bitmap: { readonly position: number; readonly length: number; readonly mode: keyof typeof bitmapModes };
  /** Bytes of the checksum behind so many stored blocks; 0 for none. */
  readonly checksumSize: number;
  readonly blocksPerChecksum: number;
}

/** partclone does not invert the result, as others do. */
export function partcloneCrc(content: Uint8Array, from = 0xffffffff): number {
  return ~crc32(content, ~from >>> 0) >>> 0;
}

export function isPartclone(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, SIGNATURE.length)).toString("latin1") === SIGNATURE;
}

export function readHeader(source: Source): PartcloneHeader {
  const fail: Fail = (code, position, message) => new ImageError(code, message, { file: source.name, position });
  const { signature, version, order } = readStruct(source, 0, start);
  if (signature !== SIGNATURE) throw fail("WRONG_FORMAT", 0, "it is no partclone image");
  if (version !== "0001" && version !== "0002")
    throw fail("UNSUPPORTED", 30, `the version is ${quote(version)}; 0001 and 0002 are read here`);
  if (version === "0002" && order !== LITTLE)
    throw fail("UNSUPPORTED", 34, "it was made on a machine with another byte order (big-endian), which is not read");
  const header = version === "0001" ? readV1(source) : readV2(source, fail);
  const { blockSize, blocks, size, bitmap } = header;
  const at = version === "0001" ? 36 : 84;
  const [least, most] = limits.blockSize;
  if (blockSize < least || blockSize > most) throw fail("CORRUPT", at, `a block is said to have ${blockSize} bytes`);
  if (blocks === 0 || !Number.isSafeInteger(blocks * blockSize))
    throw fail("CORRUPT", at, `there are said to be ${blocks} blocks of ${blockSize} bytes`);
  if ((blocks - 1) * blockSize >= size)
    throw fail("CORRUPT", at, `${blocks} blocks of ${blockSize} bytes are more than the partition of ${size} bytes`);
  if (bitmap.length > limits.bitmap) throw fail("UNSUPPORTED", at, `the bitmap has ${bitmap.length} bytes; ${limits.bitmap} are the limit`);
  if (bitmap.position + bitmap.length > source.size) {
    throw fail("TRUNCATED", bitmap.position, `the bitmap of ${bitmap.length} bytes leaves the file of ${source.size} bytes`);
  }
  return header;
}

type Fail = (code: ErrorCode, position: number, message: string) => ImageError;

function readV1(source: Source): PartcloneHeader {
  const { fileSystem, blockSize, deviceSize, totalBlocks } = readStruct(source, 0, headerV1);
  return {
    version: 1,
    fileSystem,
    program: "",
    size: deviceSize === 0 ? totalBlocks * blockSize : deviceSize,
    blockSize,
    blocks: totalBlocks,
    bitmap: { position: BITMAP_V1, length: totalBlocks, mode: "byte" },
    checksumSize: 4,
    blocksPerChecksum: 1,
  };
}

function readV2(source: Source, fail: Fail): PartcloneHeader {
  const fields = readStruct(source, 0, headerV2);
  const { fileSystem, program, blockSize, deviceSize, totalBlocks, checksumSize, blocksPerChecksum, checksum, featureSize } = fields;
  const end = headerV2.size - 4;
  if (partcloneCrc(readBytes(source, 0, end)) !== checksum) throw fail("CORRUPT", end, "the checksum of the header is wrong");
  const mode = (Object.keys(bitmapModes) as (keyof typeof bitmapModes)[]).find((each) => bitmapModes[each] === fields.bitmapMode);
  if (mode === undefined) throw fail("UNSUPPORTED", 105, `the bitmap is stored in the way ${fields.bitmapMode}, which is not known`);
  if (featureSize !== 18) throw fail("UNSUPPORTED", 88, `its features have ${featureSize} bytes; 18 are known`);
  if (checksumSize > 64) throw fail("UNSUPPORTED", 98, `its checksums have ${checksumSize} bytes`);
  const length = mode === "none" ? 0 : mode === "byte" ? totalBlocks : Math.ceil(totalBlocks / 8);
  return {
    version: 2,
    fileSystem,
    program,
    size: deviceSize === 0 ? totalBlocks * blockSize : deviceSize,
    blockSize,
    blocks: totalBlocks,
    bitmap: { position: headerV2.size, length, mode },
    checksumSize: blocksPerChecksum === 0 ? 0 : checksumSize,
    blocksPerChecksum,
  };
}
