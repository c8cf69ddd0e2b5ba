// A member's compressed bytes, in the frame that makes a file of them: so it is read like any compressed file.
import { concatSource } from "../../source/concat.js";
import { memorySource } from "../../source/memory.js";
import { sliceSource } from "../../source/slice.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Entry } from "./directory.js";
import { DEFLATE, DEFLATE64, flags, LZMA, methods, STORED } from "./layout.js";

/** What stands there is a file of its format by itself. */
const framed: readonly number[] = [12, 20, 93, 95];
const readable: readonly number[] = [STORED, DEFLATE, DEFLATE64, LZMA, ...framed];

/** Why a member cannot be read, as a clause; undefined if it can. */
export function refusalOf({ method, flags: bits, isDirectory, size }: Entry): string | undefined {
  if (isDirectory) return undefined;
  if ((bits & flags.encrypted) !== 0 || method === 99) return "it is encrypted";
  if (readable.includes(method)) return Number.isSafeInteger(size) ? undefined : `it has ${size} bytes, which are too many`;
  return `the compression ${methods[method] ?? `method ${method}`} is not known here`;
}

/** `packed`, compressed in a way that has a file format of its own, as such a file. */
export function packedStream(packed: Source, { method, crc32, size, flags: bits }: Entry): Source {
  const around = (head: Uint8Array, body: Source, tail: Uint8Array) =>
    concatSource(packed.name, [memorySource(packed.name, head), body, memorySource(packed.name, tail)]);
  if (method === DEFLATE) {
    // RFC 1952: a header without anything, and the CRC-32 and the size, modulo 2^32, behind.
    const tail = Buffer.alloc(8);
    tail.writeUInt32LE(crc32);
    tail.writeUInt32LE(size % 2 ** 32, 4);
    return around(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]), packed, tail);
  }
  if (method !== LZMA) return packed;
  // 5.8.8: a version, the size of the properties, and those; a file has the size of all behind them.
  if (packed.size < 9) throw new ImageError("CORRUPT", "its LZMA data ends early", { file: packed.name });
  const head = readBytes(packed, 0, 9);
  if (head.readUInt16LE(2) !== 5) {
    throw new ImageError("UNSUPPORTED", `its LZMA data has properties of ${head.readUInt16LE(2)} bytes, not 5`, { file: packed.name });
  }
  const sizes = Buffer.alloc(8, 0xff);
  if ((bits & flags.endMark) === 0) sizes.writeBigUInt64LE(BigInt(size));
  // A dictionary as large as the file is what 7-Zip writes; the smallest usual size that holds it serves as well.
  head.writeUInt32LE(2 ** Math.min(31, Math.max(12, Math.ceil(Math.log2(head.readUInt32LE(5))))), 5);
  return around(Buffer.concat([head.subarray(4), sizes]), sliceSource(packed, 9, packed.size - 9), new Uint8Array());
}
