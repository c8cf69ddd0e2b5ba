// Compressed streams as they stand in images, and odd ones that a reader must understand all the same.
import { constants, deflateRawSync } from "node:zlib";

/** Raw deflate with the window of 4 KiB that QEMU uses. `level` 0 stores. */
export function deflated(content: Uint8Array, level = 9): Buffer {
  return deflateRawSync(content, { level, windowBits: 12 });
}

/** Raw deflate in several blocks with flushes in between. */
export function deflatedInBlocks(content: Uint8Array): Buffer {
  return deflateRawSync(content, { windowBits: 12, chunkSize: 64, strategy: constants.Z_HUFFMAN_ONLY });
}

/** A zstd frame by RFC 8878 that holds its content in blocks stored as they are. Without `declareSize` the frame does not tell its length. */
export function zstdStored(content: Uint8Array, { declareSize = true } = {}): Buffer {
  const start = declareSize ? Buffer.alloc(9) : Buffer.alloc(6);
  start.writeUInt32LE(0xfd2fb528, 0);
  // 0xa0: single segment, content size in 4 bytes. 0x00: a window descriptor follows; 0x58 is 2 MiB.
  start[4] = declareSize ? 0xa0 : 0x00;
  if (declareSize) start.writeUInt32LE(content.length, 5);
  else start[5] = 0x58;
  return Buffer.concat([start, ...zstdBlocks(content)]);
}

function zstdBlocks(content: Uint8Array): Buffer[] {
  const largest = 65_536;
  const blocks: Buffer[] = [];
  for (let at = 0; at < content.length; at += largest) {
    const part = content.subarray(at, at + largest);
    const last = at + largest >= content.length;
    const header = Buffer.alloc(3);
    // A run of one byte is written as such (type 1), everything else as it is (type 0).
    const run = part.every((byte) => byte === part[0]);
    header.writeUIntLE((part.length << 3) | (run ? 2 : 0) | (last ? 1 : 0), 0, 3);
    blocks.push(header, Buffer.from(run ? part.subarray(0, 1) : part));
  }
  return blocks;
}
