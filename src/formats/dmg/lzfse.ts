// LZFSE streams. It has no document of its own; reference: Apple's implementation, github.com/lzfse/lzfse, lzfse_internal.h (structures) and
// lzfse_decode_base.c. L, M and D are its names for the length of literals, the length of a match and its distance.
import { struct, u16, u32 } from "../../util/struct.js";
import { bitsFromEnd, type DecoderTable, decoderTable, type ReverseBits, symbolOf, valueOf } from "./fse.js";
import { unpackLzvn } from "./lzvn.js";

const magics = { end: 0x24787662, stored: 0x2d787662, tables: 0x31787662, packedTables: 0x32787662, lzvn: 0x6e787662 } as const;
const states = { l: 64, m: 64, d: 256, literal: 1024 } as const;
const symbols = { l: 20, m: 20, d: 64, literal: 256 } as const;
/** Symbols of the four tables, one behind the other. */
const ALL_SYMBOLS = symbols.l + symbols.m + symbols.d + symbols.literal;
const LITERALS_LIMIT = 40_000;
const MATCHES_LIMIT = 10_000;

/** Bits that follow a symbol, and the value that they are added to. */
const lBits = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 5, 8];
const mBits = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 5, 8, 11];
const dBits = Array.from({ length: symbols.d }, (_, symbol) => symbol >> 2);
/** Each symbol's values follow those of the one before it. */
function basesOf(bits: readonly number[]): number[] {
  let next = 0;
  return bits.map((count) => {
    const base = next;
    next += 2 ** count;
    return base;
  });
}
const lBases = basesOf(lBits);
const mBases = basesOf(mBits);
const dBases = basesOf(dBits);

const tablesHeader = struct("LZFSE block header (bvx1)", "little", 772, {
  magic: [0, u32],
  rawBytes: [4, u32],
  literals: [12, u32],
  matches: [16, u32],
  literalBytes: [20, u32],
  lmdBytes: [24, u32],
  /** Minus the unused bits of the last byte, a signed number. */
  literalBits: [28, u32],
  literalState0: [32, u16],
  literalState1: [34, u16],
  literalState2: [36, u16],
  literalState3: [38, u16],
  lmdBits: [40, u32],
  lState: [44, u16],
  mState: [46, u16],
  dState: [48, u16],
});
const FREQUENCIES_AT = 50;

/** Decodes `packed` into `target`: true if it gives exactly that many bytes. */
export function unpackLzfse(packed: Buffer, target: Uint8Array): boolean {
  try {
    return decode(packed, target) === target.length;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** Bytes written. Reading past the end of a `Buffer` throws a `RangeError`, like everything that is no LZFSE. */
function decode(packed: Buffer, target: Uint8Array): number {
  let at = 0;
  let done = 0;
  for (;;) {
    const magic = packed.readUInt32LE(at);
    if (magic === magics.end) return done;
    const rawBytes = packed.readUInt32LE(at + 4);
    if (done + rawBytes > target.length) throw new RangeError("more bytes than wanted");
    const end = done + rawBytes;
    if (magic === magics.stored) {
      const content = packed.subarray(at + 8, at + 8 + rawBytes);
      if (content.length < rawBytes) throw new RangeError("the stream ends early");
      target.set(content, done);
      at += 8 + rawBytes;
    } else if (magic === magics.lzvn) {
      const payload = packed.subarray(at + 12, at + 12 + packed.readUInt32LE(at + 8));
      unpackLzvn(payload, target, done, end);
      at += 12 + packed.readUInt32LE(at + 8);
    } else if (magic === magics.tables || magic === magics.packedTables) {
      const block = magic === magics.tables ? readTables(packed, at) : readPackedTables(packed, at);
      at = readBlock(packed, block, target, done, end);
    } else {
      throw new RangeError("an unknown block");
    }
    done = end;
  }
}

/** What the header of a compressed block says. */
interface Block {
  /** Where the literals start. */
  readonly position: number;
  readonly literals: number;
  readonly matches: number;
  readonly literalBytes: number;
  readonly lmdBytes: number;
  /** 0 to 7 bits of the last byte that are not used. */
  readonly literalUnused: number;
  readonly lmdUnused: number;
  readonly literalStates: readonly number[];
  readonly lState: number;
  readonly mState: number;
  readonly dState: number;
  /** Of all symbols, in the order l, m, d, literals. */
  readonly frequencies: Uint16Array;
}

function readTables(packed: Buffer, at: number): Block {
  if (at + tablesHeader.size > packed.length) throw new RangeError("the stream ends early");
  const header = tablesHeader.decode(packed, at);
  const { literals, matches, literalBytes, lmdBytes, lState, mState, dState } = header;
  return {
    position: at + tablesHeader.size,
    ...{ literals, matches, literalBytes, lmdBytes, lState, mState, dState },
    literalUnused: -(header.literalBits | 0),
    lmdUnused: -(header.lmdBits | 0),
    literalStates: [header.literalState0, header.literalState1, header.literalState2, header.literalState3],
    frequencies: Uint16Array.from({ length: ALL_SYMBOLS }, (_, index) => packed.readUInt16LE(at + FREQUENCIES_AT + 2 * index)),
  };
}

/** The same fields, packed into three 64-bit words, and frequencies of variable length. */
function readPackedTables(packed: Buffer, at: number): Block {
  const word = (index: number, shift: number, bits: number) =>
    Number((packed.readBigUInt64LE(at + 8 + 8 * index) >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n));
  const position = at + word(2, 0, 32);
  if (position > packed.length || position < at + 32) throw new RangeError("the stream ends early");
  return {
    position,
    literals: word(0, 0, 20),
    literalBytes: word(0, 20, 20),
    matches: word(0, 40, 20),
    literalUnused: 7 - word(0, 60, 3),
    literalStates: [word(1, 0, 10), word(1, 10, 10), word(1, 20, 10), word(1, 30, 10)],
    lmdBytes: word(1, 40, 20),
    lmdUnused: 7 - word(1, 60, 3),
    lState: word(2, 32, 10),
    mState: word(2, 42, 10),
    dState: word(2, 52, 10),
    frequencies: unpackFrequencies(packed.subarray(at + 32, position)),
  };
}

/** Codes of 2 to 5 bits by their low five bits, as frequency and length; longer ones hold a number. */
const shortFrequencies = [0, 2, 1, 4, 0, 3, 1, -1, 0, 2, 1, 5, 0, 3, 1, -1, 0, 2, 1, 6, 0, 3, 1, -1, 0, 2, 1, 7, 0, 3, 1, -1];
const frequencyBits = [2, 3, 2, 5, 2, 3, 2, 8, 2, 3, 2, 5, 2, 3, 2, 14, 2, 3, 2, 5, 2, 3, 2, 8, 2, 3, 2, 5, 2, 3, 2, 14];

function unpackFrequencies(packed: Buffer): Uint16Array {
  const frequencies = new Uint16Array(ALL_SYMBOLS);
  if (packed.length === 0) return frequencies;
  let at = 0;
  let held = 0;
  let count = 0;
  for (let symbol = 0; symbol < ALL_SYMBOLS; symbol += 1) {
    for (; count <= 16 && at < packed.length; at += 1, count += 8) held |= packed[at]! << count;
    const bits = frequencyBits[held & 31]!;
    if (bits > count) throw new RangeError("the frequencies end early");
    frequencies[symbol] = bits === 8 ? 8 + ((held >> 4) & 0xf) : bits === 14 ? 24 + ((held >> 4) & 0x3ff) : shortFrequencies[held & 31]!;
    held >>>= bits;
    count -= bits;
  }
  if (count >= 8 || at !== packed.length) throw new RangeError("the frequencies do not fill their place");
  return frequencies;
}

/** Decodes one block into `target` from `done` to `end`; where the next one starts. */
function readBlock(packed: Buffer, block: Block, target: Uint8Array, done: number, end: number): number {
  const { position, literalBytes, lmdBytes, frequencies } = block;
  const lmdPosition = position + literalBytes;
  const next = lmdPosition + lmdBytes;
  if (next > packed.length || block.literals > LITERALS_LIMIT || block.matches > MATCHES_LIMIT) {
    throw new RangeError("a block leaves the stream, or is larger than any");
  }
  const parts = [0, symbols.l, symbols.l + symbols.m, symbols.l + symbols.m + symbols.d, ALL_SYMBOLS];
  const part = (index: number) => frequencies.subarray(parts[index], parts[index + 1]);
  const literalTable = decoderTable(states.literal, part(3));
  const literals = readLiterals(bitsFromEnd(packed.subarray(position, lmdPosition), block.literalUnused), block, literalTable);

  const lTable = decoderTable(states.l, part(0), lBits, lBases);
  const mTable = decoderTable(states.m, part(1), mBits, mBases);
  const dTable = decoderTable(states.d, part(2), dBits, dBases);
  const reader = bitsFromEnd(packed.subarray(lmdPosition, next), block.lmdUnused);
  let [lState, mState, dState] = [block.lState, block.mState, block.dState];
  let at = done;
  let literal = 0;
  let distance = 0;
  for (let left = block.matches; left > 0; left -= 1) {
    const l = valueOf(lTable, lState, reader);
    lState = reader.state;
    const m = valueOf(mTable, mState, reader);
    mState = reader.state;
    const d = valueOf(dTable, dState, reader);
    dState = reader.state;
    // Zero: as far back as the last one.
    if (d !== 0) distance = d;
    if (literal + l > block.literals || at + l + m > end) throw new RangeError("more bytes than announced");
    target.set(literals.subarray(literal, literal + l), at);
    literal += l;
    at += l;
    if (distance === 0 || distance > at) throw new RangeError("a match starts before the first byte");
    // Byte by byte: the run may read what it has just written.
    for (const stop = at + m; at < stop; at += 1) target[at] = target[at - distance]!;
  }
  if (at !== end || reader.overdrawn()) throw new RangeError("a block gives another number of bytes than announced");
  return next;
}

/** Four streams of literals take turns. */
function readLiterals(reader: ReverseBits, { literals, literalStates }: Block, table: DecoderTable): Uint8Array {
  if (literals % 4 !== 0) throw new RangeError("literals come four at a time");
  const result = new Uint8Array(literals);
  const current = [...literalStates];
  for (let index = 0; index < literals; index += 1) {
    result[index] = symbolOf(table, current[index & 3]!, reader);
    current[index & 3] = reader.state;
  }
  if (reader.overdrawn()) throw new RangeError("the literals end early");
  return result;
}
