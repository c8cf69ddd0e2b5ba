// The checksums that a sparse image may have: CRC-32 of the disk up to a chunk, and of all of it; what is skipped counts as zeros.
import { readStruct, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import type { Audit } from "../audit.js";
import { crc32, crcOfPattern, eachPiece } from "../digests.js";
import { windowOf } from "../window.js";
import { chunkHeader, chunkTypes, header } from "./layout.js";

const zeros = new Uint8Array(4);

export function auditSparse(source: Source, audit: Audit): void {
  const { fileHeaderSize, chunkHeaderSize, blockSize, totalBlocks, totalChunks, imageChecksum } = readStruct(source, 0, header);
  const wrong = (what: string, stored: number, computed: number, position: number) => {
    const message = `the checksum ${what} is ${hex(stored)}, the content has ${hex(computed)}`;
    audit.found({ kind: "checksum wrong", severity: "error", message, position });
  };
  if (imageChecksum === 0 && !hasChecksums(source)) return;
  const read = windowOf(source);
  let crc = 0;
  let block = 0;
  let at = fileHeaderSize;
  for (let index = 0; index < totalChunks && at + chunkHeaderSize <= source.size; index += 1) {
    const { type, blocks, totalSize } = chunkHeader.decode(read(at, chunkHeader.size));
    const data = at + chunkHeaderSize;
    const length = blocks * blockSize;
    // What is broken has been told by those who read the chunks; nothing behind it can be known.
    if (totalSize < chunkHeaderSize || at + totalSize > source.size || block + blocks > totalBlocks) return;
    if (type === chunkTypes.raw) {
      if (totalSize !== chunkHeaderSize + length) return;
      eachPiece(source, data, length, (piece) => {
        crc = crc32(piece, crc);
      });
    } else if (type === chunkTypes.fill) crc = crcOfPattern(Buffer.from(read(data, 4)), length, crc);
    else if (type === chunkTypes.skip) crc = crcOfPattern(zeros, length, crc);
    else if (type === chunkTypes.crc32) {
      const stored = read(data, 4).readUInt32LE(0);
      if (stored !== crc) wrong(`of the disk up to block ${block}`, stored, crc, data);
    } else return;
    if (type !== chunkTypes.crc32) block += blocks;
    at += totalSize;
    audit.progress(block, totalBlocks);
  }
  if (imageChecksum !== 0 && block === totalBlocks && imageChecksum !== crc) wrong("of the disk", imageChecksum, crc, 24);

  function hasChecksums(file: Source): boolean {
    const headers = windowOf(file);
    let position = fileHeaderSize;
    for (let index = 0; index < totalChunks && position + chunkHeaderSize <= file.size; index += 1) {
      const { type, totalSize } = chunkHeader.decode(headers(position, chunkHeader.size));
      if (type === chunkTypes.crc32) return true;
      if (totalSize < chunkHeaderSize)
        throw new ImageError("CORRUPT", `chunk ${index} has ${totalSize} bytes`, { file: file.name, position });
      position += totalSize;
    }
    return false;
  }
}
