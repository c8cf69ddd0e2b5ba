import { createHash } from "node:crypto";
import type { Input } from "../input.js";
import { byteSum, crc32, crc32c, patch, peek } from "./sums.js";

/** Footer, its copy, and the header of dynamic disks: the complement of the sum of all bytes. */
export function repairVhd(input: Input): void {
  const size = input.files[0]?.size ?? 0;
  const sign = (position: number, length: number, field: number) =>
    patch(input, 0, position, length, (bytes) => {
      bytes.writeUInt32BE(0, field);
      bytes.writeUInt32BE(~byteSum(bytes) >>> 0, field);
    });
  for (const position of [0, size - 512, size - 511]) {
    if (peek(input, 0, position, 8)?.toString("latin1") === "conectix") sign(position, 512, 64);
  }
  const footer = peek(input, 0, 0, 512) ?? Buffer.alloc(512);
  const header = Number(footer.readBigUInt64BE(16));
  for (const position of new Set([512, header])) {
    if (peek(input, 0, position, 8)?.toString("latin1") === "cxsparse") sign(position, 1024, 36);
  }
}

/** CRC-32C of headers, region tables and log entries. */
export function repairVhdx(input: Input): void {
  const seal = (position: number, length: number, mark: string) => {
    if (peek(input, 0, position, 4)?.toString("latin1") !== mark) return;
    patch(input, 0, position, length, (bytes) => {
      bytes.writeUInt32LE(0, 4);
      bytes.writeUInt32LE(crc32c(bytes), 4);
    });
  };
  for (const position of [65_536, 131_072]) seal(position, 4096, "head");
  for (const position of [196_608, 262_144]) seal(position, 65_536, "regi");
  const header = peek(input, 0, 65_536, 4096);
  if (!header) return;
  const log = Number(header.readBigUInt64LE(72));
  const logLength = header.readUInt32LE(68);
  for (const { position } of input.files[0]?.pieces ?? []) {
    if (position < log || position >= log + logLength) continue;
    const length = peek(input, 0, position, 12)?.readUInt32LE(8) ?? 0;
    if (length <= 2 ** 20) seal(position, length, "loge");
  }
}

/** MD5 of the header, and of the head of every extent. */
export function repairVma(input: Input): void {
  const start = peek(input, 0, 0, 60);
  if (start?.toString("latin1", 0, 3) !== "VMA") return;
  const headerSize = start.readUInt32BE(56);
  const sign = (position: number, length: number, field: number) =>
    patch(input, 0, position, length, (bytes) => {
      bytes.fill(0, field, field + 16);
      createHash("md5").update(bytes).digest().copy(bytes, field);
    });
  if (headerSize >= 60 && headerSize <= 2 ** 20) sign(0, headerSize, 32);
  let position = headerSize;
  for (let count = 0; count < 64; count += 1) {
    const head = peek(input, 0, position, 512);
    if (head?.toString("latin1", 0, 4) !== "VMAE") return;
    sign(position, 512, 24);
    position += 512 + head.readUInt16BE(6) * 4096;
  }
}

/** The checksum of every header in an archive. */
export function repairTar(input: Input, index = 0): void {
  const size = input.files[index]?.size ?? 0;
  let position = 0;
  for (let count = 0; count < 400 && position + 512 <= size; count += 1) {
    const header = peek(input, index, position, 512);
    if (!header || header[0] === 0) return;
    patch(input, index, position, 512, (bytes) => {
      bytes.fill(0x20, 148, 156);
      bytes.write(`${byteSum(bytes).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    });
    const length = header[124] === 0x80 ? Number(header.readBigUInt64BE(128)) : Number.parseInt(header.toString("latin1", 124, 136), 8);
    position += 512 + Math.ceil((Number.isFinite(length) ? length : 0) / 512) * 512;
  }
}

/** CRC-32 of the header and of the entries of a GPT, in both places, for sectors of 512 bytes. */
export function repairGpt(input: Input): void {
  const size = input.files[0]?.size ?? 0;
  for (const position of [512, size - 512]) {
    const header = peek(input, 0, position, 512);
    if (header?.toString("latin1", 0, 8) !== "EFI PART") continue;
    const entries = Number(header.readBigUInt64LE(72)) * 512;
    const length = header.readUInt32LE(80) * header.readUInt32LE(84);
    const content = length <= 2 ** 18 ? peek(input, 0, entries, length) : undefined;
    if (content) patch(input, 0, position + 88, 4, (bytes) => void bytes.writeUInt32LE(crc32(content)));
    const headerLength = header.readUInt32LE(12);
    if (headerLength < 92 || headerLength > 512) continue;
    patch(input, 0, position, headerLength, (bytes) => {
      bytes.writeUInt32LE(0, 16);
      bytes.writeUInt32LE(crc32(bytes), 16);
    });
  }
}
