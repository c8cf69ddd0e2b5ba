import type { Input } from "../input.js";
import { repairGpt } from "./disks.js";
import { crc32, patch, peek } from "./sums.js";

/** What LVM's checksums begin with; lib/misc/crc.h. */
const LVM_START = 0xf597a6cf;

/** Labels of volume managers, wherever a piece begins or a sector behind: each with the checksum of its kind. */
export function repairVolumes(input: Input): void {
  repairGpt(input);
  const file = input.files[0];
  if (!file) return;
  for (const { position, length } of file.pieces.slice(0, 40)) {
    const first = position & -512;
    for (let at = first; at < position + Math.min(length, 8192); at += 512) repairSector(input, at);
  }
}

function repairSector(input: Input, at: number): void {
  const sector = peek(input, 0, at, 512);
  if (!sector) return;
  if (sector.toString("latin1", 0, 8) === "LABELONE") {
    patch(input, 0, at, 512, (bytes) => void bytes.writeUInt32LE(crc32(bytes.subarray(20), LVM_START, 0), 16));
  }
  if (sector.toString("latin1", 4, 20) === " LVM2 x[5A%r0N*>") repairMetadata(input, at, sector);
  if (sector.readUInt32LE(0) === 0xa92b4efc) {
    if (sector.readUInt32LE(4) === 1) repairMd1(input, at, sector);
    else repairMd0(input, at);
  }
  for (const little of [true, false]) {
    const word = (from: number) => (little ? sector.readUInt32LE(from) : sector.readUInt32BE(from));
    if (word(0) === 0x82564557 && word(132) === 0x82564557) repairDisklabel(input, at, little);
  }
  // Sun: all words of the sector make zero.
  if (sector.readUInt16BE(508) === 0xdabe) {
    patch(input, 0, at, 512, (bytes) => {
      let sum = 0;
      for (let index = 0; index < 510; index += 2) sum ^= bytes.readUInt16BE(index);
      bytes.writeUInt16BE(sum, 510);
    });
  }
}

function repairMetadata(input: Input, at: number, sector: Buffer): void {
  const [offset, size] = [Number(sector.readBigUInt64LE(40)), Number(sector.readBigUInt64LE(48))];
  const text = size <= 65_536 ? peek(input, 0, at + offset, size) : undefined;
  patch(input, 0, at, 512, (bytes) => {
    if (text) bytes.writeUInt32LE(crc32(text, LVM_START, 0), 56);
    bytes.writeUInt32LE(crc32(bytes.subarray(4), LVM_START, 0), 0);
  });
}

function sumOfWords(bytes: Buffer): bigint {
  let sum = 0n;
  for (let at = 0; at + 4 <= bytes.length; at += 4) sum += BigInt(bytes.readUInt32LE(at));
  return sum;
}

function folded(sum: bigint): number {
  return Number(((sum & 0xffffffffn) + (sum >> 32n)) & 0xffffffffn);
}

function repairMd1(input: Input, at: number, sector: Buffer): void {
  const devices = Math.min(sector.readUInt32LE(220), 1920);
  patch(input, 0, at, 256 + 2 * devices, (bytes) => {
    bytes.writeUInt32LE(0, 216);
    const odd = devices % 2 === 0 ? 0n : BigInt(bytes.readUInt16LE(256 + 2 * devices - 2));
    bytes.writeUInt32LE(folded(sumOfWords(bytes) + odd), 216);
  });
}

function repairMd0(input: Input, at: number): void {
  patch(input, 0, at, 4096, (bytes) => {
    bytes.writeUInt32LE(0, 152);
    bytes.writeUInt32LE(folded(sumOfWords(bytes)), 152);
  });
}

function repairDisklabel(input: Input, at: number, little: boolean): void {
  const counted = peek(input, 0, at + 138, 2);
  const count = Math.min(22, (little ? counted?.readUInt16LE(0) : counted?.readUInt16BE(0)) ?? 0);
  patch(input, 0, at, 148 + 16 * count, (bytes) => {
    bytes.writeUInt16LE(0, 136);
    let sum = 0;
    for (let index = 0; index < bytes.length; index += 2) sum ^= little ? bytes.readUInt16LE(index) : bytes.readUInt16BE(index);
    if (little) bytes.writeUInt16LE(sum, 136);
    else bytes.writeUInt16BE(sum, 136);
  });
}
