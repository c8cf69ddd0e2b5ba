// The checksums of the formats, each bit by bit or by the simplest table: nothing here is shared with the readers.
import type { Input } from "../input.js";
import { readInput, writeInput } from "../input.js";

function tableOf(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ ((value & 1) === 1 ? polynomial : 0);
    return value >>> 0;
  });
}

const castagnoli = tableOf(0x82f63b78);
const ethernet = tableOf(0xedb88320);

function reflected(table: Uint32Array, content: Uint8Array, start: number): number {
  let crc = start;
  for (let at = 0; at < content.length; at += 1) crc = (crc >>> 8) ^ table[(crc ^ content[at]!) & 255]!;
  return crc >>> 0;
}

export function crc32c(content: Uint8Array): number {
  return (reflected(castagnoli, content, 0xffffffff) ^ 0xffffffff) >>> 0;
}

/** `start`: what stands in the register at first; LVM has its own, and does not turn the result round. */
export function crc32(content: Uint8Array, start = 0xffffffff, last = 0xffffffff): number {
  return (reflected(ethernet, content, start) ^ last) >>> 0;
}

const ccitt = Uint16Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 8;
  for (let bit = 0; bit < 8; bit += 1) value = ((value << 1) ^ ((value & 0x8000) === 0 ? 0 : 0x1021)) & 0xffff;
  return value;
});

/** x¹⁶ + x¹² + x⁵ + 1, the highest bit first. */
export function crc16(content: Uint8Array): number {
  let crc = 0;
  for (let at = 0; at < content.length; at += 1) crc = ((crc << 8) & 0xffff) ^ ccitt[(crc >>> 8) ^ content[at]!]!;
  return crc;
}

export function byteSum(content: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < content.length; at += 1) sum += content[at]!;
  return sum;
}

export function adler32(content: Uint8Array): number {
  let [a, b] = [1, 0];
  for (let at = 0; at < content.length; at += 1) {
    a = (a + content[at]!) % 65_521;
    b = (b + a) % 65_521;
  }
  return ((b << 16) | a) >>> 0;
}

/** Changes `length` bytes at `position` of the `index`th file, where that many are there. */
export function patch(input: Input, index: number, position: number, length: number, change: (bytes: Buffer) => void): void {
  const file = input.files[index];
  if (!file || position < 0 || length <= 0 || position + length > file.size) return;
  const bytes = Buffer.alloc(length);
  readInput(input, file, bytes, position);
  const before = Buffer.from(bytes);
  change(bytes);
  if (!before.equals(bytes)) writeInput(input, file, bytes, position);
}

/** Bytes as they are; undefined where the file ends before. */
export function peek(input: Input, index: number, position: number, length: number): Buffer | undefined {
  const file = input.files[index];
  if (!file || position < 0 || length < 0 || position + length > file.size) return undefined;
  const bytes = Buffer.alloc(length);
  readInput(input, file, bytes, position);
  return bytes;
}
