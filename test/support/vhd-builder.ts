// Images of Virtual PC and Hyper-V (VHD), byte by byte. Independent of the reader: nothing of src/formats/vhd is used here.
// Reference: Microsoft "Virtual Hard Disk Image Format Specification" 1.0; for Xen, include/vhd.h in the blktap sources.
import { noise } from "./content.js";

/** Stored in the slot of that number, or not stored at all. */
export type VhdBlock = number | "free";

export interface VhdLocator {
  /** Four characters. */
  readonly code: string;
  readonly content: Uint8Array;
  /** Bytes, if not those of the content. */
  readonly length?: number;
  readonly position?: number;
}

export interface VhdShape {
  /** Default: 3, dynamic, or 4 with a parent. */
  readonly type?: number;
  /** Of a fixed disk: only their number counts. */
  readonly blocks: readonly VhdBlock[];
  /** Bytes. */
  readonly blockSize?: number;
  /** Bytes of the disk, if it does not fill its last block. */
  readonly size?: number;
  /** Which sectors of stored blocks are marked in the bitmap; all by default. What is stored in the others is noise all the same. */
  readonly marked?: (block: number, sector: number) => boolean;
  /** The low bit first, as tapdisk 0.1. */
  readonly reversed?: boolean;
  readonly id?: string;
  /** Four characters. */
  readonly creator?: string;
  readonly creatorVersion?: number;
  /** Cylinders, heads, sectors. */
  readonly geometry?: readonly [number, number, number];
  readonly savedState?: boolean;
  readonly hidden?: boolean;
  readonly timeStamp?: number;
  /** Bytes of the footer: 511 as of old, 0 for none. */
  readonly footer?: 512 | 511 | 0;
  /** Position of the dynamic disk header. */
  readonly headerPosition?: number;
  /** Bytes before the block allocation table, and between it and the data. Multiples of 512. */
  readonly gap?: number;
  /** Entries of the table more than the disk needs. */
  readonly spare?: number;
  /** tapdisk's map of full blocks behind the table. */
  readonly batmap?: boolean;
  readonly parent?: {
    readonly id: string;
    readonly disk: Uint8Array;
    /** In the header. */
    readonly name?: string;
    readonly locators?: readonly VhdLocator[];
    readonly timeStamp?: number;
  };
  /** Bytes between the data of a fixed disk and its footer. */
  readonly padding?: number;
  /** Other content for the same shape. */
  readonly seed?: number;
}

export interface VhdImage {
  readonly image: Buffer;
  readonly disk: Buffer;
  readonly headerPosition: number;
  readonly tablePosition: number;
  readonly bitmapSize: number;
  /** Where the bitmap of a slot is. */
  readonly slot: (slot: number) => number;
}

export const ID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

/** UTF-16 in little-endian order, as locators have it. */
export const wide = (text: string) => Buffer.from(text, "utf16le");

export function buildVhd(shape: VhdShape): VhdImage {
  return shape.type === 2 ? buildFixed(shape) : buildDynamic(shape);
}

function buildFixed(shape: VhdShape): VhdImage {
  const { blocks, blockSize = 512, padding = 0, seed = 1 } = shape;
  const disk = noise(seed * 1000, shape.size ?? blocks.length * blockSize);
  const image = Buffer.concat([
    disk,
    Buffer.alloc(padding, 0xdd),
    footerOf(shape, disk.length, 0xffffffffffffffffn).subarray(0, shape.footer ?? 512),
  ]);
  return { image, disk, headerPosition: -1, tablePosition: -1, bitmapSize: 0, slot: () => -1 };
}

function buildDynamic(shape: VhdShape): VhdImage {
  const { blocks, blockSize = 512, headerPosition = 512, gap = 0, spare = 0, parent, marked = () => true, seed = 1 } = shape;
  const size = shape.size ?? blocks.length * blockSize;
  const count = blocks.length + spare;
  const sector = (position: number) => Math.ceil(position / 512) * 512;
  const bitmapSize = sector(Math.ceil(blockSize / 512 / 8));
  const locators = parent?.locators ?? [];
  let at = headerPosition + 1024;
  const places = locators.map(({ content }) => {
    const place = at;
    at = sector(at + content.length);
    return place;
  });
  const tablePosition = sector(at) + gap;
  const tableEnd = sector(tablePosition + count * 4);
  const dataPosition = tableEnd + gap + (shape.batmap ? 1024 : 0);
  const slots = Math.max(-1, ...blocks.filter((block) => typeof block === "number")) + 1;
  const slot = (number: number) => dataPosition + number * (bitmapSize + blockSize);

  const image = Buffer.alloc(slot(slots), 0xdd);
  image.fill(0xff, tablePosition, tableEnd);
  const disk = Buffer.alloc(blocks.length * blockSize);
  disk.set((parent?.disk ?? new Uint8Array()).subarray(0, disk.length));
  for (const [index, block] of blocks.entries()) {
    if (block === "free") continue;
    image.writeUInt32BE(slot(block) / 512, tablePosition + index * 4);
    image.fill(0, slot(block), slot(block) + bitmapSize);
    const content = noise(seed * 1000 + block, blockSize);
    content.copy(image, slot(block) + bitmapSize);
    for (let number = 0; number < blockSize / 512; number += 1) {
      const set = marked(index, number);
      const mask = shape.reversed ? 1 << (number % 8) : 0x80 >> (number % 8);
      if (set) image[slot(block) + Math.floor(number / 8)]! |= mask;
      const start = index * blockSize + number * 512;
      const part = content.subarray(number * 512, number * 512 + 512);
      // What is not marked: of a parent there, nothing with tapdisk, and as stored with all others.
      if (set || (!parent && !shape.creator?.startsWith("tap"))) part.copy(disk, start);
    }
  }
  if (shape.batmap) {
    image.fill(0, tableEnd, dataPosition);
    image.write("tdbatmap", tableEnd, "latin1");
    image.writeBigUInt64BE(BigInt(tableEnd + 512), tableEnd + 8);
    image.writeUInt32BE(1, tableEnd + 16);
    image.writeUInt32BE(0x00010002, tableEnd + 20);
  }
  for (const [index, { content }] of locators.entries()) image.set(content, places[index]);
  image.set(headerOf(shape, tablePosition, count, places), headerPosition);
  const footer = footerOf(shape, size, BigInt(headerPosition));
  image.set(footer, 0);
  const whole = Buffer.concat([image, footer.subarray(0, shape.footer ?? 512)]);
  return { image: whole, disk: disk.subarray(0, size), headerPosition, tablePosition, bitmapSize, slot };
}

function footerOf(shape: VhdShape, size: number, dataOffset: bigint): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.write("conectix", 0, "latin1");
  bytes.writeUInt32BE(2, 8);
  bytes.writeUInt32BE(0x00010000, 12);
  bytes.writeBigUInt64BE(dataOffset, 16);
  bytes.writeUInt32BE(shape.timeStamp ?? 0x11223344, 24);
  bytes.write(shape.creator ?? "win ", 28, 4, "latin1");
  bytes.writeUInt32BE(shape.creatorVersion ?? 0x00060001, 32);
  bytes.write("Wi2k", 36, "latin1");
  bytes.writeBigUInt64BE(BigInt(size), 40);
  bytes.writeBigUInt64BE(BigInt(size), 48);
  const [cylinders, heads, sectors] = shape.geometry ?? [3, 4, 17];
  bytes.writeUInt16BE(cylinders, 56);
  bytes.writeUInt8(heads, 58);
  bytes.writeUInt8(sectors, 59);
  bytes.writeUInt32BE(shape.type ?? (shape.parent ? 4 : 3), 60);
  bytes.set(stored(shape.id ?? ID), 68);
  bytes[84] = shape.savedState ? 1 : 0;
  bytes[85] = shape.hidden ? 1 : 0;
  return signed(bytes, 64);
}

function headerOf({ blockSize = 512, parent }: VhdShape, tablePosition: number, count: number, places: readonly number[]): Buffer {
  const bytes = Buffer.alloc(1024);
  bytes.write("cxsparse", 0, "latin1");
  bytes.fill(0xff, 8, 16);
  bytes.writeBigUInt64BE(BigInt(tablePosition), 16);
  bytes.writeUInt32BE(0x00010000, 24);
  bytes.writeUInt32BE(count, 28);
  bytes.writeUInt32BE(blockSize, 32);
  if (parent) {
    bytes.set(stored(parent.id), 40);
    bytes.writeUInt32BE(parent.timeStamp ?? 0, 56);
    bytes.set(
      wide(parent.name ?? "")
        .swap16()
        .subarray(0, 512),
      64,
    );
    for (const [index, { code, content, length = content.length, position = places[index] ?? 0 }] of (parent.locators ?? []).entries()) {
      const at = 576 + 24 * index;
      bytes.write(code, at, 4, "latin1");
      bytes.writeUInt32BE(Math.ceil(content.length / 512) * 512, at + 4);
      bytes.writeUInt32BE(length, at + 8);
      bytes.writeBigUInt64BE(BigInt(position), at + 16);
    }
  }
  return signed(bytes, 36);
}

/** With the checksum at `at`: the bytes' sum without it, inverted. */
export function signed(bytes: Buffer, at: number): Buffer {
  bytes.writeUInt32BE(0, at);
  bytes.writeUInt32BE(~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0, at);
  return bytes;
}

function stored(uuid: string): Buffer {
  return Buffer.from(uuid.replaceAll("-", ""), "hex");
}
