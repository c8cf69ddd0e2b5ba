// Images of partclone from IMAGE_FORMATS.md in its sources, byte by byte. Knows nothing of the driver.
import { noise } from "./content.js";

export interface PartcloneShape {
  readonly version?: 1 | 2;
  readonly blockSize?: number;
  /** Which blocks of the partition are stored. */
  readonly used: readonly boolean[];
  /** Bytes of the partition; all blocks, without. */
  readonly size?: number;
  /** Stored blocks with one checksum; 0 for none. Version 2. */
  readonly strip?: number;
  /** Of version 1; 8 with the mistake of old programs. */
  readonly checksumSize?: 4 | 8;
  readonly bitmap?: "bit" | "byte" | "none";
}

export interface BuiltPartclone {
  readonly image: Buffer;
  readonly disk: Buffer;
  readonly dataAt: number;
}

/** CRC-32 that is not inverted in the end. */
export function crcOf(content: Uint8Array, from = 0xffffffff): number {
  let crc = from;
  for (const byte of content) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return crc >>> 0;
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function buildPartclone(shape: PartcloneShape): BuiltPartclone {
  const { version = 2, blockSize = 512, used } = shape;
  const disk = Buffer.concat(used.map((is, block) => (is ? noise(block + 1, blockSize) : Buffer.alloc(blockSize))));
  const stored = used.flatMap((is, block) => (is ? [disk.subarray(block * blockSize, (block + 1) * blockSize)] : []));
  const size = shape.size ?? disk.length;
  const head = version === 1 ? headV1(shape, blockSize, size, stored.length) : headV2(shape, blockSize, size, stored.length);
  const data = version === 1 ? dataV1(stored, shape.checksumSize ?? 4) : dataV2(stored, shape.strip ?? 4);
  const whole = Buffer.alloc(size);
  disk.copy(whole);
  return { image: Buffer.concat([head, data]), disk: whole, dataAt: head.length };
}

function headV1({ used }: PartcloneShape, blockSize: number, size: number, count: number): Buffer {
  const head = Buffer.alloc(4160);
  head.write("partclone-image");
  head.write("EXTFS", 15);
  head.write("0001", 30);
  head.writeUInt32LE(blockSize, 36);
  head.writeBigUInt64LE(BigInt(size), 40);
  head.writeBigUInt64LE(BigInt(used.length), 48);
  head.writeBigUInt64LE(BigInt(count), 56);
  return Buffer.concat([head, Buffer.from(used.map(Number)), Buffer.from("BiTmAgIc")]);
}

function headV2({ used, strip = 4, bitmap = "bit" }: PartcloneShape, blockSize: number, size: number, count: number): Buffer {
  const head = Buffer.alloc(106);
  head.write("partclone-image");
  head.write("0.3.23", 16);
  head.write("0002", 30);
  head.writeUInt16LE(0xc0de, 34);
  head.write("EXTFS", 36);
  head.writeBigUInt64LE(BigInt(size), 52);
  head.writeBigUInt64LE(BigInt(used.length), 60);
  head.writeBigUInt64LE(BigInt(count), 68);
  head.writeBigUInt64LE(BigInt(count), 76);
  head.writeUInt32LE(blockSize, 84);
  head.writeUInt32LE(18, 88);
  head.writeUInt16LE(2, 92);
  head.writeUInt16LE(64, 94);
  head.writeUInt16LE(strip === 0 ? 0 : 0x20, 96);
  head.writeUInt16LE(strip === 0 ? 0 : 4, 98);
  head.writeUInt32LE(strip, 100);
  head[104] = 1;
  head[105] = { none: 0, bit: 1, byte: 8 }[bitmap];
  const map = Buffer.alloc(bitmap === "bit" ? Math.ceil(used.length / 8) : bitmap === "byte" ? used.length : 0);
  for (const [block, is] of used.entries()) {
    if (!is || bitmap === "none") continue;
    if (bitmap === "bit") map[block >> 3] = (map[block >> 3] ?? 0) | (1 << (block & 7));
    else map[block] = 1;
  }
  const end = bitmap === "none" ? [] : [map, word(crcOf(map))];
  return Buffer.concat([head, word(crcOf(head)), ...end]);
}

/** The checksum is of the first byte of each block alone, and goes on from block to block. */
function dataV1(blocks: readonly Buffer[], checksumSize: number): Buffer {
  let crc = 0xffffffff;
  return Buffer.concat(
    blocks.flatMap((block) => {
      crc = crcOf(Buffer.alloc(block.length, block[0]), crc);
      return [block, word(crc), Buffer.alloc(checksumSize - 4)];
    }),
  );
}

function dataV2(blocks: readonly Buffer[], strip: number): Buffer {
  if (strip === 0) return Buffer.concat(blocks);
  const parts: Buffer[] = [];
  for (let first = 0; first < blocks.length; first += strip) {
    const content = Buffer.concat(blocks.slice(first, first + strip));
    parts.push(content, word(crcOf(content)));
  }
  return Buffer.concat(parts);
}
