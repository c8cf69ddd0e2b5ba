// bzip2 streams. Reference: "BZIP2: Format Specification" by Joe Tsai (2016), which describes what Julian Seward's bzip2 1.0.6 reads.

const BLOCK_MAGIC = [0x314159, 0x265359] as const;
const END_MAGIC = [0x177245, 0x385090] as const;
/** Bits of the longest prefix code. */
const MAX_CODE_BITS = 20;
/** Symbols that are coded with one of the tables before the next one is chosen. */
const GROUP = 50;

/** Decodes the bzip2 stream at the start of `packed` into `target`: true if it gives exactly that many bytes, with the checksums it says. */
export function unpackBzip2(packed: Uint8Array, target: Uint8Array): boolean {
  try {
    return decode(bitReader(packed), target) === target.length;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

interface BitReader {
  /** The next `count` bits, at most 24, the first of them on top. */
  bits(count: number): number;
}

function bitReader(packed: Uint8Array): BitReader {
  let at = 0;
  let held = 0;
  let count = 0;
  return {
    bits(wanted) {
      while (count < wanted) {
        if (at >= packed.length) throw new RangeError("the stream ends early");
        held = ((held & 0xffffff) << 8) | packed[at]!;
        at += 1;
        count += 8;
      }
      count -= wanted;
      return (held >>> count) & (2 ** wanted - 1);
    },
  };
}

/** Bytes written. Throws a `RangeError` for everything that is no bzip2 stream. */
function decode(reader: BitReader, target: Uint8Array): number {
  const { bits } = reader;
  const [b, z, h, level] = [bits(8), bits(8), bits(8), bits(8) - 0x30];
  if (b !== 0x42 || z !== 0x5a || h !== 0x68 || level < 1 || level > 9) throw new RangeError("no bzip2 stream");
  // Its first coding makes five bytes of four equal ones: more than that the wanted bytes cannot have been.
  const block = new Uint32Array(Math.min(level * 100_000, Math.ceil(target.length * 1.25) + 1));
  let done = 0;
  let allCrc = 0;
  for (;;) {
    const magic = [bits(24), bits(24)];
    const crc = bits(16) * 0x10000 + bits(16);
    if (magic[0] === END_MAGIC[0] && magic[1] === END_MAGIC[1]) {
      if (crc !== allCrc) throw new RangeError("the checksum of the stream is wrong");
      return done;
    }
    if (magic[0] !== BLOCK_MAGIC[0] || magic[1] !== BLOCK_MAGIC[1]) throw new RangeError("neither a block nor the end");
    const start = done;
    done = readBlock(reader, block, target, done);
    if (crcOf(target.subarray(start, done)) !== crc) throw new RangeError("the checksum of a block is wrong");
    allCrc = (((allCrc << 1) | (allCrc >>> 31)) ^ crc) >>> 0;
  }
}

function readBlock(reader: BitReader, block: Uint32Array, target: Uint8Array, done: number): number {
  if (reader.bits(1) !== 0) throw new RangeError("a randomised block, which no bzip2 since 0.9.5 writes");
  const origin = reader.bits(24);
  const { counts, length } = readSymbols(reader, block);
  if (origin >= length) throw new RangeError("the block starts outside itself");

  // The inverse of the Burrows-Wheeler transform: each entry gets, above its byte, the number of the entry that follows it.
  let sum = 0;
  for (let value = 0; value < 256; value += 1) {
    const count = counts[value]!;
    counts[value] = sum;
    sum += count;
  }
  for (let index = 0; index < length; index += 1) {
    const value = block[index]! & 0xff;
    block[counts[value]!]! += index * 256;
    counts[value]! += 1;
  }
  return writeRuns(block, length, origin, target, done);
}

/** Undoes the first run-length coding: four equal bytes are followed by how often more the byte comes. */
function writeRuns(block: Uint32Array, length: number, origin: number, target: Uint8Array, start: number): number {
  let done = start;
  let entry = block[origin]! >>> 8;
  let last = -1;
  let equal = 0;
  for (let left = length; left > 0; left -= 1) {
    const value = block[entry]! & 0xff;
    entry = block[entry]! >>> 8;
    if (equal === 4) {
      if (done + value > target.length) throw new RangeError("more bytes than wanted");
      target.fill(last, done, done + value);
      done += value;
      equal = 0;
      last = -1;
      continue;
    }
    equal = value === last ? equal + 1 : 1;
    last = value;
    if (done >= target.length) throw new RangeError("more bytes than wanted");
    target[done] = value;
    done += 1;
  }
  return done;
}

/** Reads the symbols of a block and undoes their move-to-front and run-length coding. `counts`: how often each byte comes. */
function readSymbols(reader: BitReader, block: Uint32Array): { readonly counts: Uint32Array; readonly length: number } {
  const used = readUsed(reader);
  const tableCount = reader.bits(3);
  const selectors = readSelectors(reader, tableCount);
  const endOfBlock = used.length + 1;
  const tables = Array.from({ length: tableCount }, () => readTable(reader, used.length + 2));

  const counts = new Uint32Array(256);
  let length = 0;
  let run = 0;
  let weight = 1;
  for (let group = 0; ; group += 1) {
    const table = tables[selectors[group] ?? -1];
    if (!table) throw new RangeError("more symbols than were announced");
    for (let left = GROUP; left > 0; left -= 1) {
      const symbol = readSymbol(reader, table);
      if (symbol <= 1) {
        // A run, as a number in the digits 1 and 2, the lowest first.
        run += weight * (symbol + 1);
        weight *= 2;
        if (run > block.length) throw new RangeError("more bytes than a block may have");
        continue;
      }
      if (run > 0) {
        if (length + run > block.length) throw new RangeError("more bytes than a block may have");
        const value = used[0]!;
        block.fill(value, length, length + run);
        counts[value]! += run;
        length += run;
        run = 0;
        weight = 1;
      }
      if (symbol === endOfBlock) return { counts, length };
      const value = used[symbol - 1]!;
      used.copyWithin(1, 0, symbol - 1);
      used[0] = value;
      if (length >= block.length) throw new RangeError("more bytes than a block may have");
      block[length] = value;
      counts[value]! += 1;
      length += 1;
    }
  }
}

/** The bytes that the block has at all, in order. */
function readUsed(reader: BitReader): Uint8Array {
  const rows = reader.bits(16);
  const used: number[] = [];
  for (let row = 0; row < 16; row += 1) {
    if (((rows >> (15 - row)) & 1) === 0) continue;
    const columns = reader.bits(16);
    for (let column = 0; column < 16; column += 1) if (((columns >> (15 - column)) & 1) === 1) used.push(row * 16 + column);
  }
  if (used.length === 0) throw new RangeError("a block without any byte");
  return Uint8Array.from(used);
}

function readSelectors(reader: BitReader, tableCount: number): Uint8Array {
  if (tableCount < 2 || tableCount > 6) throw new RangeError("an impossible number of tables");
  const selectors = new Uint8Array(reader.bits(15));
  const order = Array.from({ length: tableCount }, (_, index) => index);
  for (let index = 0; index < selectors.length; index += 1) {
    let place = 0;
    while (reader.bits(1) === 1) place += 1;
    const [chosen] = order.splice(place, 1);
    if (chosen === undefined) throw new RangeError("a table that is not there");
    order.unshift(chosen);
    selectors[index] = chosen;
  }
  return selectors;
}

/** A canonical prefix code: by its length, the last code of that length and where its symbols start. */
interface Table {
  readonly last: Int32Array;
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
}

function readTable(reader: BitReader, symbolCount: number): Table {
  const lengths = new Uint8Array(symbolCount);
  let length = reader.bits(5);
  for (let symbol = 0; symbol < symbolCount; symbol += 1) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_BITS) throw new RangeError("a code of an impossible length");
      if (reader.bits(1) === 0) break;
      length += reader.bits(1) === 0 ? 1 : -1;
    }
    lengths[symbol] = length;
  }
  const symbols = Uint16Array.from(lengths.keys()).sort((one, other) => lengths[one]! - lengths[other]! || one - other);
  const last = new Int32Array(MAX_CODE_BITS + 1).fill(-1);
  const base = new Int32Array(MAX_CODE_BITS + 1);
  let code = 0;
  let index = 0;
  for (let bits = 1; bits <= MAX_CODE_BITS; bits += 1) {
    base[bits] = index - code;
    for (; index < symbolCount && lengths[symbols[index]!] === bits; index += 1) {
      last[bits] = code;
      code += 1;
    }
    code *= 2;
  }
  return { last, base, symbols };
}

function readSymbol(reader: BitReader, { last, base, symbols }: Table): number {
  let code = 0;
  for (let bits = 1; bits <= MAX_CODE_BITS; bits += 1) {
    code = code * 2 + reader.bits(1);
    if (code <= last[bits]!) {
      const symbol = symbols[base[bits]! + code];
      if (symbol !== undefined) return symbol;
      break;
    }
  }
  throw new RangeError("a code that no symbol has");
}

/** The CRC-32 of Ethernet, most significant bit first. */
const crcTable = Uint32Array.from({ length: 256 }, (_, value) => {
  let crc = value << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

function crcOf(content: Uint8Array): number {
  let crc = -1;
  for (let index = 0; index < content.length; index += 1) crc = (crc << 8) ^ crcTable[(crc >>> 24) ^ content[index]!]!;
  return ~crc >>> 0;
}
