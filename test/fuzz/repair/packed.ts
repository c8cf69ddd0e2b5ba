import type { Input } from "../input.js";
import { adler32, crc32, patch, peek } from "./sums.js";

/** CRC-32 of stream headers, footers, indexes and block headers. */
export function repairXz(input: Input): void {
  const size = input.files[0]?.size ?? 0;
  const magic = "\xfd7zXZ\0";
  if (peek(input, 0, 0, 6)?.toString("latin1") !== magic) return;
  const seal = (position: number, length: number) => {
    const content = length <= 65_536 ? peek(input, 0, position, length) : undefined;
    if (content) patch(input, 0, position + length, 4, (bytes) => void bytes.writeUInt32LE(crc32(content)));
  };
  seal(6, 2);
  const block = peek(input, 0, 12, 1)?.[0] ?? 0;
  if (block > 0) seal(12, block * 4);
  const footer = peek(input, 0, size - 12, 12);
  if (footer?.toString("latin1", 10) !== "YZ") return;
  const index = (footer.readUInt32LE(4) + 1) * 4;
  seal(size - 12 - index, index - 4);
  patch(input, 0, size - 12, 4, (bytes) => void bytes.writeUInt32LE(crc32(footer.subarray(4, 10))));
}

/** The checksum of each header: Adler-32, or CRC-32 by its flags. */
export function repairLzop(input: Input): void {
  const start = peek(input, 0, 0, Math.min(400, input.files[0]?.size ?? 0));
  if (!start || start.length < 40 || start.toString("latin1", 1, 4) !== "LZO") return;
  // Behind the magic: versions, method, level, flags, mode, times, name.
  const version = start.readUInt16BE(9);
  let at = 9 + 2 + 2 + (version >= 0x0940 ? 2 : 0) + 1 + (version >= 0x0940 ? 1 : 0);
  const flags = start.readUInt32BE(at);
  at += 4 + ((flags & 0x800) === 0 ? 0 : 4) + 4 + 4 + (version >= 0x0940 ? 4 : 0);
  const end = at + 1 + (start[at] ?? 0);
  const header = start.subarray(9, end);
  patch(input, 0, end, 4, (bytes) => void bytes.writeUInt32BE((flags & 0x1000) === 0 ? adler32(header) : crc32(header)));
}

/** The byte that checks a frame's descriptor. */
export function repairLz4(input: Input): void {
  for (const { position } of input.files[0]?.pieces ?? []) {
    const head = peek(input, 0, position, 23) ?? peek(input, 0, position, 15) ?? peek(input, 0, position, 7);
    if (head?.readUInt32LE(0) !== 0x184d2204) continue;
    const flags = head[4] ?? 0;
    const length = 2 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4);
    if (head.length < 5 + length) continue;
    const sum = (xxh32(head.subarray(4, 4 + length)) >>> 8) & 255;
    patch(input, 0, position + 4 + length, 1, (bytes) => void bytes.writeUInt8(sum));
  }
}

/** xxHash's 32 bits of fewer than 16 bytes, seed 0. */
function xxh32(content: Uint8Array): number {
  const [p1, p2, p3, p4, p5] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1] as const;
  const turn = (value: number, by: number) => (value << by) | (value >>> (32 - by));
  const view = Buffer.from(content);
  let hash = (p5 + content.length) | 0;
  let at = 0;
  for (; at + 4 <= content.length; at += 4) hash = Math.imul(turn((hash + Math.imul(view.readUInt32LE(at), p3)) | 0, 17), p4);
  for (; at < content.length; at += 1) hash = Math.imul(turn((hash + Math.imul(content[at]!, p5)) | 0, 11), p1);
  hash = Math.imul(hash ^ (hash >>> 15), p2);
  hash = Math.imul(hash ^ (hash >>> 13), p3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** CRC-32 and size of what the only member of a gzip file decodes to are not known here: what decodes is tried without, and the sum set by `decode`. */
export function repairGzip(input: Input, decode: (body: Uint8Array) => Uint8Array | undefined): void {
  const size = input.files[0]?.size ?? 0;
  const head = peek(input, 0, 0, 10);
  if (!head || size < 20 || size > 20_000 || head[0] !== 0x1f || head[1] !== 0x8b || head[3] !== 0) return;
  const body = peek(input, 0, 10, size - 18);
  const content = body && decode(body);
  if (!content) return;
  patch(input, 0, size - 8, 8, (bytes) => {
    bytes.writeUInt32LE(crc32(content), 0);
    bytes.writeUInt32LE(content.length >>> 0, 4);
  });
}
