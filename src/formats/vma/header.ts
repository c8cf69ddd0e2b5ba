import { createHash } from "node:crypto";
import { memorySource } from "../../source/memory.js";
import { readBytes, readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { DEVICE_COUNT, DEVICES_AT, deviceInfo, header, limits, MAGIC, VERSION } from "./layout.js";

export interface VmaDevice {
  /** As extents name it. */
  readonly id: number;
  /** Such as `drive-scsi0`. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

export interface VmaHeader {
  readonly uuid: Buffer;
  /** ISO 8601, UTC. */
  readonly created: string;
  readonly devices: readonly VmaDevice[];
  /** Where the first extent is. */
  readonly headerSize: number;
}

/** Reads the header; throws for everything that makes the whole archive unreadable. */
export function readHeader(source: Source): VmaHeader {
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  const { magic, version, uuid, ctime, md5sum, headerSize, blobBufferOffset, blobBufferSize } = readStruct(source, 0, header);
  if (magic !== MAGIC) throw fail("WRONG_FORMAT", 0, "it is no VMA archive");
  if (version !== VERSION) throw fail("UNSUPPORTED", 4, `the version is ${version}; version ${VERSION} is read here`);
  if (headerSize < header.size || headerSize % 512 !== 0 || headerSize > limits.header) {
    throw fail(
      "CORRUPT",
      56,
      `the header is said to have ${headerSize} bytes, not a multiple of 512 from ${header.size} to ${limits.header}`,
    );
  }
  if (headerSize > source.size) throw fail("TRUNCATED", 56, `the header of ${headerSize} bytes leaves the file of ${source.size} bytes`);
  const content = readBytes(source, 0, headerSize);
  if (!checksum(content, 32).equals(md5sum)) throw fail("CORRUPT", 32, "the checksum of the header is wrong");
  if (blobBufferOffset + blobBufferSize > headerSize) {
    throw fail("CORRUPT", 48, `the blobs, ${blobBufferSize} bytes at ${blobBufferOffset}, leave the header of ${headerSize} bytes`);
  }
  const blobs = content.subarray(blobBufferOffset, blobBufferOffset + blobBufferSize);
  const inMemory = memorySource(source.name, content);
  const devices: VmaDevice[] = [];
  for (let id = 1; id < DEVICE_COUNT; id += 1) {
    const { name, size } = readStruct(inMemory, DEVICES_AT + id * deviceInfo.size, deviceInfo);
    if (name !== 0) devices.push({ id, name: nameAt(blobs, name) ?? `device ${id}`, size });
  }
  return { uuid: Buffer.from(uuid), created: dateOf(ctime), devices, headerSize };
}

/** The MD5 of a header whose own checksum, at `at`, counts as zeros. */
export function checksum(content: Buffer, at: number): Buffer {
  return createHash("md5")
    .update(content.subarray(0, at))
    .update(Buffer.alloc(16))
    .update(content.subarray(at + 16))
    .digest();
}

/** The text of a blob: its length in two bytes, the lower first, then the text and a NUL. */
function nameAt(blobs: Buffer, at: number): string | undefined {
  if (at + 2 > blobs.length) return undefined;
  const text = blobs.subarray(at + 2, at + 2 + blobs.readUInt16LE(at)).toString("utf8");
  return text.replace(/\0.*$/s, "");
}

function dateOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}
