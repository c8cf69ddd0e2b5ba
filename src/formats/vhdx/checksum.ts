// The checksums of headers, region tables and log entries: CRC-32C (Castagnoli; RFC 3720, appendix B.4).
import { readBytes, type Source } from "../../source/source.js";

const POLYNOMIAL = 0x82f63b78;

type Table = Int32Array;

/** Table t, entry b: what byte b leaves in the register once t more bytes, all zeros, have passed. */
const tables: readonly Table[] = Array.from({ length: 8 }, () => new Int32Array(256));
for (let byte = 0; byte < 256; byte += 1) {
  let register = byte;
  for (const table of tables) {
    for (let bit = 0; bit < 8; bit += 1) register = register & 1 ? (register >>> 1) ^ POLYNOMIAL : register >>> 1;
    table[byte] = register;
  }
}

/** The register after `data`, eight bytes at a time. */
function update(register: number, data: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [Table, Table, Table, Table, Table, Table, Table, Table];
  let crc = register;
  let at = 0;
  // Every index below is less than the length, or less than 256.
  for (; at + 8 <= data.length; at += 8) {
    crc ^= data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
    crc =
      t7[crc & 255]! ^
      t6[(crc >>> 8) & 255]! ^
      t5[(crc >>> 16) & 255]! ^
      t4[crc >>> 24]! ^
      t3[data[at + 4]!]! ^
      t2[data[at + 5]!]! ^
      t1[data[at + 6]!]! ^
      t0[data[at + 7]!]!;
  }
  for (; at < data.length; at += 1) crc = t0[(crc ^ data[at]!) & 255]! ^ (crc >>> 8);
  return crc;
}

const zeros = new Uint8Array(4);

/** Whether the checksum at byte 4 of `structure` is right; it is computed with zeros in its own place. `structure` has 8 bytes or more. */
export function hasRightChecksum(structure: Uint8Array): boolean {
  const stored = new DataView(structure.buffer, structure.byteOffset, structure.length).getUint32(4, true);
  const crc = update(update(update(-1, structure.subarray(0, 4)), zeros), structure.subarray(8));
  return ~crc >>> 0 === stored;
}

/** The `size` bytes at `position` if they are whole, begin with `signature` and have the right checksum. */
export function readChecked(source: Source, position: number, size: number, signature: string): Buffer | undefined {
  if (position + size > source.size) return undefined;
  const content = readBytes(source, position, size);
  return content.toString("latin1", 0, signature.length) === signature && hasRightChecksum(content) ? content : undefined;
}
