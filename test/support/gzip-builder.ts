// Gzip members and deflate blocks by RFC 1951 and RFC 1952, among them what common compressors never write.
import { crc32, deflateRawSync } from "node:zlib";

export interface MemberShape {
  readonly content: Uint8Array;
  /** The deflate stream; zlib's if it is absent. */
  readonly body?: Uint8Array;
  readonly extra?: Uint8Array;
  readonly name?: string;
  readonly comment?: string;
  /** FHCRC: true, or the CRC-16 to write. */
  readonly headerCrc?: boolean | number;
  readonly text?: boolean;
  /** Reserved flags to set besides. */
  readonly flags?: number;
  readonly crc?: number;
  readonly size?: number;
}

/** One member: header, body, trailer (RFC 1952, 2.3). */
export function gzipMember({ content, body = deflateRawSync(content), ...shape }: MemberShape): Buffer {
  const { extra, name, comment, headerCrc, text, flags = 0 } = shape;
  const bits = (text ? 1 : 0) | (headerCrc !== undefined ? 2 : 0) | (extra ? 4 : 0) | (name !== undefined ? 8 : 0);
  const parts = [Buffer.from([0x1f, 0x8b, 8, bits | (comment !== undefined ? 16 : 0) | flags, 1, 2, 3, 4, 0, 3])];
  if (extra) parts.push(Buffer.from([extra.length & 0xff, extra.length >> 8]), Buffer.from(extra));
  if (name !== undefined) parts.push(Buffer.from(`${name}\0`, "latin1"));
  if (comment !== undefined) parts.push(Buffer.from(`${comment}\0`, "latin1"));
  if (headerCrc !== undefined) {
    const sum = Buffer.alloc(2);
    sum.writeUInt16LE(typeof headerCrc === "number" ? headerCrc : crc32(Buffer.concat(parts)) & 0xffff);
    parts.push(sum);
  }
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(shape.crc ?? crc32(content), 0);
  trailer.writeUInt32LE((shape.size ?? content.length) >>> 0, 4);
  return Buffer.concat([...parts, body, trailer]);
}

/** Bits, the least significant one of a byte first (RFC 1951, 3.1.1). */
export interface BitWriter {
  /** The `count` low bits of `value`, lowest first: numbers. */
  number(value: number, count: number): void;
  /** The same, highest first: Huffman codes. */
  code(value: number, count: number): void;
  align(): void;
  bytes(): Buffer;
}

export function bitWriter(): BitWriter {
  let done = Buffer.alloc(1024);
  let length = 0;
  let waiting = 0;
  let count = 0;
  const bit = (value: number) => {
    waiting |= value << count;
    count += 1;
    if (count < 8) return;
    if (length === done.length) done = Buffer.concat([done, Buffer.alloc(length)]);
    done[length] = waiting;
    length += 1;
    waiting = 0;
    count = 0;
  };
  const writer: BitWriter = {
    number(value, bits) {
      for (let index = 0; index < bits; index += 1) bit((value >>> index) & 1);
    },
    code(value, bits) {
      for (let index = bits - 1; index >= 0; index -= 1) bit((value >>> index) & 1);
    },
    align() {
      while (count > 0) bit(0);
    },
    bytes() {
      writer.align();
      return Buffer.from(done.subarray(0, length));
    },
  };
  return writer;
}

/** The codes of fixed Huffman blocks (3.2.6). */
function fixedCode(writer: BitWriter, symbol: number): void {
  if (symbol < 144) writer.code(0x30 + symbol, 8);
  else if (symbol < 256) writer.code(0x190 + symbol - 144, 9);
  else if (symbol < 280) writer.code(symbol - 256, 7);
  else writer.code(0xc0 + symbol - 280, 8);
}

/** A byte as it is, or a copy of `length` bytes, 3 or 258, from `distance` back: 1 to 4 or 24577 to 32768. */
export type Token = number | { readonly length: 3 | 258; readonly distance: number };

/** One fixed Huffman block. */
export function fixedBlock(writer: BitWriter, tokens: Iterable<Token>, last: boolean): void {
  writer.number(last ? 1 : 0, 1);
  writer.number(1, 2);
  for (const token of tokens) {
    if (typeof token === "number") {
      fixedCode(writer, token);
      continue;
    }
    fixedCode(writer, token.length === 3 ? 257 : 285);
    if (token.distance <= 4) writer.code(token.distance - 1, 5);
    else {
      writer.code(29, 5);
      writer.number(token.distance - 24_577, 13);
    }
  }
  fixedCode(writer, 256);
}

/** One stored block of up to 65535 bytes (3.2.4). */
export function storedBlock(writer: BitWriter, content: Uint8Array, last: boolean): void {
  writer.number(last ? 1 : 0, 1);
  writer.number(0, 2);
  writer.align();
  writer.number(content.length, 16);
  writer.number(~content.length & 0xffff, 16);
  for (const byte of content) writer.number(byte, 8);
}

/** What the tokens stand for. */
export function contentOf(tokens: Iterable<Token>, before: Uint8Array = Buffer.alloc(0)): Buffer {
  const bytes = [...before];
  for (const token of tokens) {
    if (typeof token === "number") bytes.push(token);
    else for (let index = 0; index < token.length; index += 1) bytes.push(bytes[bytes.length - token.distance] ?? 0);
  }
  return Buffer.from(bytes.slice(before.length));
}
