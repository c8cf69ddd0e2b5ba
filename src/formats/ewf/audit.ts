// The digests of the disk that were written down when it was read, and the checksums of chunks that are stored as they are.
import { createHash } from "node:crypto";
import { readBytes } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { inflateZlib } from "../../native/unpack.js";
import type { Audit } from "../audit.js";
import { adler32 } from "./adler.js";
import type { EwfImage } from "./image.js";
import { CHECKSUM_SIZE } from "./layout.js";
import { type ChunkIndex, type Place } from "./tables.js";
import { digestsOf } from "./text.js";

interface Opened {
  readonly image: EwfImage;
  readonly index: ChunkIndex;
  /** Of the disk, in bytes. */
  readonly size: number;
}

/** Reads all of the disk. What cannot be read at all is told by those who read it; then the digests cannot be known either. */
export function auditEwf({ image, index, size }: Opened, audit: Audit): void {
  const { chunkSize, segments } = image;
  const { MD5, SHA1 } = digestsOf(segments);
  const [md5, sha1] = [createHash("md5"), createHash("sha1")];
  const target = Buffer.allocUnsafeSlow(chunkSize);
  const chunks = Math.ceil(size / chunkSize);
  let complete = index.count >= chunks;
  for (let chunk = 0; chunk < Math.min(chunks, index.count); chunk += 1) {
    const start = chunk * chunkSize;
    const content = target.subarray(0, Math.min(chunkSize, size - start));
    const wrong = fill(index, chunk, content);
    if (wrong === undefined) complete = false;
    else if (wrong !== "") {
      audit.found({ kind: "checksum wrong", severity: "error", message: wrong });
      audit.doubtful({ start, length: content.length }, wrong);
    }
    md5.update(content);
    sha1.update(content);
    if (chunk % 256 === 0) audit.progress(start, size);
  }
  if (!complete) return;
  for (const [name, stored, hash] of [["MD5", MD5, md5] as const, ["SHA-1", SHA1, sha1] as const]) {
    const computed = hash.digest("hex");
    if (stored === undefined || stored === computed) continue;
    const message = `the ${name} of the disk is recorded as ${stored}, the content has ${computed}`;
    audit.found({ kind: "digest differs", severity: "error", message });
  }
}

/** Reads a chunk; tells what is wrong with its checksum, nothing if that fits, or undefined if the chunk cannot be had. */
function fill(index: ChunkIndex, chunk: number, content: Uint8Array): string | undefined {
  try {
    const place = index.place(chunk);
    return place.compressed ? unpack(place, content) : compare(place, chunk, content);
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

function unpack({ table: { source }, position, room }: Place, content: Uint8Array): "" | undefined {
  const stored = Math.min(room, content.length + (content.length >>> 3) + 4096, source.size - position);
  return stored > 0 && inflateZlib(readBytes(source, position, stored), content) ? "" : undefined;
}

function compare({ table: { source }, position, room }: Place, chunk: number, content: Uint8Array): string | undefined {
  if (room < content.length + CHECKSUM_SIZE) return undefined;
  source.read(content, position);
  const stored = readBytes(source, position + content.length, CHECKSUM_SIZE).readUInt32LE(0);
  const computed = adler32(content);
  return stored === computed ? "" : `chunk ${chunk} at ${hex(position)} has the checksum ${hex(stored)}, its content has ${hex(computed)}`;
}
