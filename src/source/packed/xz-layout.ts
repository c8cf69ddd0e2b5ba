// The .xz file format, version 1.2.1 (tukaani.org/xz/xz-file-format.txt), sections 2.1, 4 and 1.2.
import { crc32 } from "node:zlib";
import { ImageError } from "../../util/errors.js";
import { readBytes, type Source } from "../source.js";
import { createWindow } from "../window.js";

export const HEADER_SIZE = 12;
const HEADER_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const FOOTER_MAGIC = [0x59, 0x5a];
/** The checks that can be verified: none, CRC32, CRC64, SHA-256. Each value is the one in the stream's flags. */
const CHECKS = [0, 1, 4, 10];
/** An index names each block in two to eighteen bytes, and is read as a whole. */
const INDEX_LIMIT = 2 ** 28;

export function isHeader(head: Uint8Array): boolean {
  return head.length >= HEADER_MAGIC.length && HEADER_MAGIC.every((byte, at) => head[at] === byte);
}

/** The kind of check that the stream at `position` has. Throws for anything that is no stream header. */
export function readHeader(source: Source, position: number): number {
  const place = { file: source.name, position };
  if (position + HEADER_SIZE > source.size) throw new ImageError("TRUNCATED", "the file ends inside the header of an xz stream", place);
  const bytes = readBytes(source, position, HEADER_SIZE);
  if (!isHeader(bytes)) throw new ImageError("CORRUPT", "no xz stream begins here", place);
  if (crc32(bytes.subarray(6, 8)) !== bytes.readUInt32LE(8)) {
    throw new ImageError("CORRUPT", "the header of the xz stream fails its check", place);
  }
  return checkKind(bytes.subarray(6, 8), place);
}

function checkKind(flags: Buffer, place: { readonly file: string; readonly position: number }): number {
  const kind = flags[1]!;
  if (flags[0] !== 0 || kind > 15)
    throw new ImageError("UNSUPPORTED", `the xz stream has the unknown flags 0x${flags.toString("hex")}`, place);
  if (!CHECKS.includes(kind)) throw new ImageError("UNSUPPORTED", `the xz stream has a check of kind ${kind}, which is not known`, place);
  return kind;
}

/** Where the index of the stream that ends at `end` starts, and the kind of its check. */
export function readFooter(source: Source, end: number): { readonly indexPosition: number; readonly check: number } {
  const position = end - HEADER_SIZE;
  const place = { file: source.name, position: Math.max(0, position) };
  const bytes = position >= HEADER_SIZE ? readBytes(source, position, HEADER_SIZE) : Buffer.alloc(0);
  if (FOOTER_MAGIC.some((byte, at) => bytes[10 + at] !== byte)) {
    throw new ImageError("TRUNCATED", "the end of an xz stream is missing: the file was cut, or something follows it", place);
  }
  if (crc32(bytes.subarray(4, 10)) !== bytes.readUInt32LE(0)) {
    throw new ImageError("CORRUPT", "the footer of the xz stream fails its check", place);
  }
  const indexPosition = position - (bytes.readUInt32LE(4) + 1) * 4;
  if (indexPosition < HEADER_SIZE) throw new ImageError("CORRUPT", "the index of the xz stream would start before the file", place);
  return { indexPosition, check: checkKind(bytes.subarray(8, 10), place) };
}

/** Bytes of a block as the index has them: header, data and check (no padding), and decoded. */
export interface BlockSizes {
  readonly packed: number;
  readonly decoded: number;
}

/** Calls `block` for each record of the index between `position` and `end`, whose check has been verified. */
export function readIndex(source: Source, position: number, end: number, block: (sizes: BlockSizes) => void): void {
  const corrupt = (message: string, at: number) => new ImageError("CORRUPT", message, { file: source.name, position: at });
  if (end - position > INDEX_LIMIT) {
    throw new ImageError("UNSUPPORTED", `the index of the xz stream has ${end - position} bytes, ${INDEX_LIMIT} are the limit`, {
      file: source.name,
      position,
    });
  }
  checkIndex(source, position, end, corrupt);
  const window = createWindow(source, 65_536);
  const dataEnd = end - 4;
  let at = position + 1;
  const number = () => {
    const [value, next] = readNumber(window(at, Math.min(9, dataEnd - at)));
    if (value === undefined) throw corrupt("the index of the xz stream has an impossible number", at);
    at += next;
    return value;
  };
  const count = number();
  for (let done = 0; done < count; done += 1) {
    const [packed, decoded] = [number(), number()];
    if (packed < 5) throw corrupt(`the index of the xz stream has a block of ${packed} bytes`, at);
    block({ packed, decoded });
  }
  if (dataEnd - at > 3 || window(at, dataEnd - at).some((byte) => byte !== 0)) {
    throw corrupt("the index of the xz stream has more than it counts", at);
  }
}

function checkIndex(source: Source, position: number, end: number, corrupt: (message: string, at: number) => ImageError): void {
  let crc = 0;
  for (let at = position; at < end - 4; at += 2 ** 20) crc = crc32(readBytes(source, at, Math.min(2 ** 20, end - 4 - at)), crc);
  if (readBytes(source, position, 1)[0] !== 0 || crc !== readBytes(source, end - 4, 4).readUInt32LE(0)) {
    throw corrupt("the index of the xz stream fails its check", position);
  }
}

/** A number of seven bits per byte, the lowest first, and how many bytes it takes; undefined if it is none, or over 2^53. */
function readNumber(bytes: Uint8Array): readonly [value: number | undefined, size: number] {
  let value = 0;
  for (let at = 0; at < bytes.length && at < 9; at += 1) {
    const byte = bytes[at]!;
    value += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return [(at > 0 && byte === 0) || !Number.isSafeInteger(value) ? undefined : value, at + 1];
  }
  return [undefined, 0];
}
