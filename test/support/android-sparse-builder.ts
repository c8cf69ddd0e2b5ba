// Android sparse images from libsparse/sparse_format.h, byte by byte. Knows nothing of the driver.
import { crc32 } from "node:zlib";
import { noise } from "./content.js";

export type SparseChunk =
  | { readonly kind: "raw" | "skip"; readonly blocks: number }
  | { readonly kind: "fill"; readonly blocks: number; readonly pattern: number }
  /** The checksum of all blocks before it. */
  | { readonly kind: "crc32" };

export interface SparseShape {
  readonly chunks: readonly SparseChunk[];
  readonly blockSize?: number;
  /** Bytes that are longer than those of the first version. */
  readonly moreHeader?: number;
  readonly moreChunkHeader?: number;
  readonly minorVersion?: number;
  readonly totalBlocks?: number;
}

const types = { raw: 0xcac1, fill: 0xcac2, skip: 0xcac3, crc32: 0xcac4 } as const;

export interface BuiltSparse {
  readonly image: Buffer;
  readonly disk: Buffer;
  /** Where the header of each chunk is. */
  readonly chunkPositions: readonly number[];
}

export function buildSparse({
  chunks,
  blockSize = 4096,
  moreHeader = 0,
  moreChunkHeader = 0,
  minorVersion = 0,
  totalBlocks,
}: SparseShape): BuiltSparse {
  const disk: Buffer[] = [];
  const file: Buffer[] = [];
  const chunkPositions: number[] = [];
  let position = 28 + moreHeader;
  for (const [index, chunk] of chunks.entries()) {
    let data: Buffer = Buffer.alloc(0);
    let blocks = 0;
    if (chunk.kind === "crc32") {
      data = Buffer.alloc(4);
      data.writeUInt32LE(crc32(Buffer.concat(disk)));
    } else {
      blocks = chunk.blocks;
      const size = blocks * blockSize;
      if (chunk.kind === "raw") {
        data = noise(index + 1, size);
        disk.push(data);
      } else if (chunk.kind === "fill") {
        data = Buffer.alloc(4);
        data.writeUInt32LE(chunk.pattern);
        disk.push(Buffer.alloc(size, data));
      } else {
        disk.push(Buffer.alloc(size));
      }
    }
    const head = Buffer.alloc(12 + moreChunkHeader, 0x55);
    head.writeUInt16LE(types[chunk.kind], 0);
    head.writeUInt32LE(blocks, 4);
    head.writeUInt32LE(head.length + data.length, 8);
    chunkPositions.push(position);
    file.push(head, data);
    position += head.length + data.length;
  }
  const content = Buffer.concat(disk);
  const header = Buffer.alloc(28 + moreHeader, 0xaa);
  header.writeUInt32LE(0xed26ff3a, 0);
  header.writeUInt16LE(1, 4);
  header.writeUInt16LE(minorVersion, 6);
  header.writeUInt16LE(header.length, 8);
  header.writeUInt16LE(12 + moreChunkHeader, 10);
  header.writeUInt32LE(blockSize, 12);
  header.writeUInt32LE(totalBlocks ?? content.length / blockSize, 16);
  header.writeUInt32LE(chunks.length, 20);
  header.writeUInt32LE(0, 24);
  return { image: Buffer.concat([header, ...file]), disk: content, chunkPositions };
}
