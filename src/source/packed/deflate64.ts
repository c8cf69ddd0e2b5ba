// Deflate64 ("enhanced deflate"), as Windows writes it into ZIP archives of more than 2 GiB. PKWARE's APPNOTE, 5.5: deflate (RFC 1951; section numbers are its)
// with a window of 64 KiB, two more distances, and lengths of up to 65538 bytes.
import { crc32 } from "node:zlib";
import { ImageError } from "../../util/errors.js";
import type { Source } from "../source.js";
import { type UnitDecoder, type Unpacked, unpackedSource } from "./unpacked.js";

const WINDOW = 65_536;
const INPUT = 128 * 1024;
/** Bits of a code that one look decides. */
const FAST_BITS = 10;
const LONGEST = 15;
/** Bytes that may be asked for behind the end, of which nothing is used. */
const SLACK = 4;

/** 3.2.5: extra bits and first values. The last length, and the last two distances, are those of Deflate64. */
const lengthExtra = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 16];
const lengthBase = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 3];
const distanceExtra = Array.from({ length: 32 }, (_, code) => Math.max(0, (code >> 1) - 1));
const distanceBase = Array.from({ length: 32 }, (_, code) => (code < 2 ? code + 1 : ((2 + (code & 1)) << ((code >> 1) - 1)) + 1));
/** 3.2.7 */
const lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** The decoded bytes of a stream, which has so many of them, with this CRC-32. Reading backwards begins at its start again. Closing it closes `packed`. */
export function deflate64Source(packed: Source, size: number, checksum: number): Unpacked {
  const units = {
    ...{ count: size > 0 ? 1 : 0, size, cut: false, extra: new Uint8Array() },
    ...{ start: () => 0, end: () => packed.size, option: () => 0, offset: (index: number) => (index === 0 ? 0 : size) },
  };
  return unpackedSource(packed, units, { unit: "Deflate64 stream", open: () => deflate64Decoder(packed, checksum) });
}

/** Codes of symbols (3.2.2). */
interface Code {
  /** By the next `FAST_BITS` bits: the symbol times 16, and the bits it takes; 0 where that does not decide. */
  readonly fast: Uint16Array;
  /** How many codes there are of each length, and the symbols by length and value. */
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

function codeOf(lengths: Uint8Array): Code {
  const counts = new Uint16Array(LONGEST + 1);
  for (const length of lengths) counts[length]! += 1;
  counts[0] = 0;
  const first = new Uint16Array(LONGEST + 2);
  const values = new Uint16Array(LONGEST + 2);
  let left = 1;
  for (let length = 1; length <= LONGEST; length += 1) {
    left = left * 2 - counts[length]!;
    if (left < 0) throw new RangeError("more codes than there can be");
    first[length + 1] = first[length]! + counts[length]!;
    values[length + 1] = (values[length]! + counts[length]!) << 1;
  }
  const symbols = new Uint16Array(lengths.length);
  const fast = new Uint16Array(1 << FAST_BITS);
  for (const [symbol, length] of lengths.entries()) {
    if (length === 0) continue;
    symbols[first[length]!] = symbol;
    first[length]! += 1;
    const value = values[length]!;
    values[length]! += 1;
    if (length > FAST_BITS) continue;
    // Codes stand in the stream with their first bit first.
    let reversed = 0;
    for (let bit = 0; bit < length; bit += 1) reversed |= ((value >> bit) & 1) << (length - 1 - bit);
    for (let at = reversed; at < fast.length; at += 1 << length) fast[at] = symbol * 16 + length;
  }
  return { fast, counts, symbols };
}

const fixed = {
  literals: codeOf(Uint8Array.from({ length: 288 }, (_, symbol) => (symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8))),
  distances: codeOf(new Uint8Array(32).fill(5)),
};

function deflate64Decoder(source: Source, checksum: number): UnitDecoder {
  const input = bitInput(source);
  const window = new Uint8Array(WINDOW);
  let made = 0;
  let sum = 0;
  let isLast = false;
  let ended = false;
  /** What the present block is: bytes that are stored, or codes. */
  let stored = 0;
  let codes: { readonly literals: Code; readonly distances: Code } | undefined;
  /** What is left of a match that the last target had no room for. */
  let length = 0;
  let distance = 0;

  function beginBlock(): void {
    isLast = input.bits(1) === 1;
    const kind = input.bits(2);
    if (kind === 0) {
      input.align();
      stored = input.bits(16);
      if ((input.bits(16) ^ 0xffff) !== stored) throw new RangeError("a stored block without its length");
    } else if (kind === 1) codes = fixed;
    else if (kind === 2) codes = readCodes(input);
    else throw new RangeError("a block of no kind");
  }

  /** Decodes one symbol; true if it was a byte, put into the window. */
  function step({ literals, distances }: NonNullable<typeof codes>): boolean {
    const symbol = input.symbol(literals);
    if (symbol < 256) {
      window[made & (WINDOW - 1)] = symbol;
      return true;
    }
    if (symbol === 256) {
      codes = undefined;
      return false;
    }
    const extra = lengthExtra[symbol - 257];
    if (extra === undefined) throw new RangeError("a length that is none");
    length = lengthBase[symbol - 257]! + input.bits(extra);
    const code = input.symbol(distances);
    distance = distanceBase[code]! + input.bits(distanceExtra[code]!);
    if (distance > made) throw new RangeError("a distance that leads before the start");
    return false;
  }

  function fill(target: Uint8Array): number {
    let done = 0;
    while (done < target.length && !ended) {
      if (length > 0) {
        const run = Math.min(length, target.length - done);
        for (let count = 0; count < run; count += 1, made += 1) {
          const byte = window[(made - distance) & (WINDOW - 1)]!;
          window[made & (WINDOW - 1)] = byte;
          target[done++] = byte;
        }
        length -= run;
      } else if (stored > 0) {
        const byte = input.bits(8);
        window[made & (WINDOW - 1)] = byte;
        target[done++] = byte;
        made += 1;
        stored -= 1;
      } else if (codes) {
        if (step(codes)) {
          target[done++] = window[made & (WINDOW - 1)]!;
          made += 1;
        }
      } else if (isLast) ended = true;
      else beginBlock();
    }
    return done;
  }

  return {
    memory: WINDOW + INPUT,
    read(target) {
      try {
        const done = fill(target);
        sum = crc32(target.subarray(0, done), sum);
        if (ended && sum !== checksum) throw new RangeError("its CRC-32 is another one");
        return done;
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        throw new ImageError("CORRUPT", `its Deflate64 data does not decode: ${error.message}`, { file: source.name, cause: error });
      }
    },
    close: () => undefined,
  };
}

interface BitInput {
  /** The next `count` bits, at most 16, the first of them lowest. */
  bits(count: number): number;
  symbol(code: Code): number;
  /** Goes on with the next whole byte. */
  align(): void;
}

function bitInput(source: Source): BitInput {
  const buffer = new Uint8Array(Math.min(INPUT, source.size));
  let filled = 0;
  let at = 0;
  let position = 0;
  let held = 0;
  let count = 0;
  let slack = 0;

  function byte(): number {
    if (at === filled) {
      filled = Math.min(buffer.length, source.size - position);
      if (filled === 0) {
        slack += 1;
        if (slack > SLACK) throw new RangeError("it ends early");
        return 0;
      }
      source.read(buffer.subarray(0, filled), position);
      position += filled;
      at = 0;
    }
    return buffer[at++]!;
  }

  function need(wanted: number): void {
    for (; count < wanted; count += 8) held |= byte() << count;
  }

  function take(used: number): void {
    held >>>= used;
    count -= used;
    if (count < slack * 8) throw new RangeError("it ends early");
  }

  return {
    bits(wanted) {
      need(wanted);
      const value = held & ((1 << wanted) - 1);
      take(wanted);
      return value;
    },
    align: () => take(count & 7),
    symbol({ fast, counts, symbols }) {
      need(LONGEST);
      const entry = fast[held & ((1 << FAST_BITS) - 1)]!;
      if (entry !== 0) {
        take(entry & 15);
        return entry >> 4;
      }
      let value = 0;
      let first = 0;
      let index = 0;
      for (let length = 1; length <= LONGEST; length += 1) {
        value |= (held >> (length - 1)) & 1;
        const here = counts[length]!;
        if (value - here < first) {
          take(length);
          return symbols[index + value - first]!;
        }
        index += here;
        first = (first + here) << 1;
        value <<= 1;
      }
      throw new RangeError("a code that is none");
    },
  };
}

/** 3.2.7: the lengths of the codes, themselves coded. */
function readCodes(input: BitInput): { readonly literals: Code; readonly distances: Code } {
  const [literals, distances, ordered] = [input.bits(5) + 257, input.bits(5) + 1, input.bits(4) + 4];
  const own = new Uint8Array(lengthOrder.length);
  for (let index = 0; index < ordered; index += 1) own[lengthOrder[index]!] = input.bits(3);
  const code = codeOf(own);
  const lengths = new Uint8Array(literals + distances);
  for (let at = 0; at < lengths.length; ) {
    const symbol = input.symbol(code);
    if (symbol < 16) {
      lengths[at++] = symbol;
      continue;
    }
    if (symbol === 16 && at === 0) throw new RangeError("a repeated length without one");
    const [value, times] =
      symbol === 16 ? [lengths[at - 1]!, 3 + input.bits(2)] : [0, symbol === 17 ? 3 + input.bits(3) : 11 + input.bits(7)];
    if (at + times > lengths.length) throw new RangeError("more lengths than codes");
    lengths.fill(value, at, at + times);
    at += times;
  }
  return { literals: codeOf(lengths.subarray(0, literals)), distances: codeOf(lengths.subarray(literals)) };
}
