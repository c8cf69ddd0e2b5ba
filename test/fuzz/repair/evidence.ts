import type { Input } from "../input.js";
import { adler32, crc32, patch, peek } from "./sums.js";

/** Adler-32 of section descriptors, of tables and their entries. */
export function repairEwf(input: Input): void {
  for (const [index, { size }] of input.files.entries()) {
    let position = 13;
    for (let count = 0; count < 64; count += 1) {
      const head = peek(input, index, position, 76);
      if (!head) break;
      seal(index, position, 72);
      const type = head.toString("latin1", 0, 16).replace(/\0.*$/s, "");
      const next = Number(head.readBigUInt64LE(16));
      if (type === "table" || type === "table2") {
        const entries = peek(input, index, position + 76, 4)?.readUInt32LE(0) ?? 0;
        seal(index, position + 76, 20);
        if (entries < 65_536 && next === position + 76 + 24 + entries * 4 + 4) seal(index, position + 100, entries * 4);
      }
      if (next <= position || next >= size) break;
      position = next;
    }
  }

  function seal(index: number, position: number, length: number): void {
    patch(input, index, position, length + 4, (bytes) => bytes.writeUInt32LE(adler32(bytes.subarray(0, length)), length));
  }
}

/** CRC-32 of the header and of the bitmap, not inverted. */
export function repairPartclone(input: Input): void {
  const seal = (position: number, length: number) => {
    patch(input, 0, position, length + 4, (bytes) => bytes.writeUInt32LE(crc32(bytes.subarray(0, length), 0xffffffff, 0), length));
  };
  if (peek(input, 0, 30, 4)?.toString("latin1") !== "0002") return;
  seal(0, 106);
  const blocks = peek(input, 0, 60, 8)?.readBigUInt64LE(0) ?? 0n;
  if (blocks < 2n ** 20n) seal(110, Math.ceil(Number(blocks) / 8));
}
