// What marks blocks in bzip2 streams, at any bit. Reference: "BZIP2: Format Specification" by Joe Tsai (2016).

const BLOCK_MAGIC = 0x314159265359n;
const END_MAGIC = 0x177245385090n;
export const MAGIC_BITS = 48;
export const CRC_BITS = 32;
/** Of a stream's header: `BZh` and the level. */
export const HEADER_SIZE = 4;

/** For the second, third and fourth byte of a magic number that starts at some bit of the first: a bit for each place at which the byte would fit. */
const fitting = [1, 2, 3].map((index) => {
  const table = new Uint8Array(256);
  for (const magic of [BLOCK_MAGIC, END_MAGIC]) {
    for (let bit = 0; bit < 8; bit += 1) {
      const value = Number((magic >> BigInt(MAGIC_BITS - 8 * (index + 1) + bit)) & 0xffn);
      table[value]! |= 1 << bit;
    }
  }
  return table;
}) as [Uint8Array, Uint8Array, Uint8Array];

/** The first bit at or behind `from` where a block or the end of a stream is marked; undefined if there is none that `bytes` holds whole. */
export function findMagic(bytes: Uint8Array, from: number): number | undefined {
  const [second, third, fourth] = fitting;
  const end = bytes.length - MAGIC_BITS / 8;
  for (let at = Math.floor(from / 8); at <= end; at += 1) {
    const places = second[bytes[at + 1]!]!;
    if (places === 0) continue;
    const left = places & third[bytes[at + 2]!]! & fourth[bytes[at + 3]!]!;
    if (left === 0) continue;
    for (let bit = 0; bit < 8; bit += 1) {
      const found = at * 8 + bit;
      if ((left & (1 << bit)) !== 0 && found >= from && magicAt(bytes, found) !== undefined) return found;
    }
  }
  return undefined;
}

/** What is marked at `bit`. */
export function magicAt(bytes: Uint8Array, bit: number): "block" | "end" | undefined {
  if (bit + MAGIC_BITS > bytes.length * 8) return undefined;
  const [high, low] = [bitsAt(bytes, bit, 24), bitsAt(bytes, bit + 24, 24)];
  if (high === 0x314159 && low === 0x265359) return "block";
  return high === 0x177245 && low === 0x385090 ? "end" : undefined;
}

/** `count` ≤ 32 bits from `bit` on, which `bytes` holds. */
export function bitsAt(bytes: Uint8Array, bit: number, count: number): number {
  let value = 0;
  for (let at = Math.floor(bit / 8), skip = bit % 8, left = count; left > 0; at += 1, skip = 0) {
    const taken = Math.min(left, 8 - skip);
    value = value * 2 ** taken + ((bytes[at]! >> (8 - skip - taken)) & (2 ** taken - 1));
    left -= taken;
  }
  return value;
}

/** A stream of `level` whose only block is what `bytes` has between the bits `from` and `to`. */
export function oneBlock(bytes: Uint8Array, from: number, to: number, level: number): Uint8Array {
  const [whole, odd] = [Math.floor((to - from) / 8), (to - from) % 8];
  const stream = new Uint8Array(HEADER_SIZE + whole + 1 + (MAGIC_BITS + CRC_BITS) / 8);
  stream.set([0x42, 0x5a, 0x68, 0x30 + level]);
  const [first, shift] = [Math.floor(from / 8), from % 8];
  for (let at = 0; at < whole; at += 1) {
    stream[HEADER_SIZE + at] = (bytes[first + at]! << shift) | (bytes[first + at + 1]! >> (8 - shift));
  }
  // The odd bits, the mark of the end, and the check of the stream, which is that of its only block.
  let at = HEADER_SIZE + whole;
  let held = bitsAt(bytes, from + whole * 8, odd);
  const crc = BigInt(bitsAt(bytes, from + MAGIC_BITS, CRC_BITS));
  const tail = (END_MAGIC << BigInt(CRC_BITS)) | crc;
  for (let left = MAGIC_BITS + CRC_BITS - 8; left >= 0; left -= 8) {
    held = (held << 8) | Number((tail >> BigInt(left)) & 0xffn);
    stream[at] = held >> odd;
    held &= 2 ** odd - 1;
    at += 1;
  }
  stream[at] = held << (8 - odd);
  return odd === 0 ? stream.subarray(0, -1) : stream;
}
