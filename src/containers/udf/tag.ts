// ECMA-167, 3/7.2: the tag that every descriptor begins with.

/** Bytes. */
const TAG = 16;

/** CRC-ITU-T (0x1021, from 0) of 3/7.2.6, a byte at a time. */
const crcTable = Uint16Array.from({ length: 256 }, (_, index) => {
  let crc = index << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

function crcOf(content: Uint8Array): number {
  let crc = 0;
  for (let at = 0; at < content.length; at += 1) {
    crc = ((crc << 8) & 0xffff) ^ (crcTable[(crc >>> 8) ^ (content[at] ?? 0)] ?? 0);
  }
  return crc;
}

/** What descriptor begins at `at`, if the tag itself is intact: its checksum is the sum of its other bytes (3/7.2.3). */
export function tagOf(content: Buffer, at = 0): number | undefined {
  if (at + TAG > content.length) return undefined;
  let sum = 0;
  for (let index = 0; index < TAG; index += 1) sum += content[at + index] ?? 0;
  const checksum = content[at + 4] ?? 0;
  const id = content.readUInt16LE(at);
  // All zeros is a block that was never written, and has a fitting checksum; sparing tables are numbered 0 too.
  return ((sum - checksum) & 0xff) === checksum && (id !== 0 || sum !== 0) ? id : undefined;
}

/** Bytes that the tag's CRC speaks for, the tag included. */
export function coveredLength(content: Buffer, at = 0): number {
  return TAG + content.readUInt16LE(at + 10);
}

/** Whether all that the tag at `at` speaks for is there and unchanged. The location it gives is not looked at: many images were moved since. */
export function isIntact(content: Buffer, at = 0): boolean {
  const end = at + coveredLength(content, at);
  return end <= content.length && crcOf(content.subarray(at + TAG, end)) === content.readUInt16LE(at + 8);
}
