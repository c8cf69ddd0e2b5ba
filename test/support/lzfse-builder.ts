// LZFSE streams of every kind of block, as Apple's lzfse_internal.h describes them. Knows nothing of the decoder.

export type LzfseKind = "stored" | "lzvn" | "tables" | "packed tables";

/** One match after some literals. `distance` 0: as far as the last one. */
interface Triple {
  readonly literals: number;
  readonly match: number;
  readonly distance: number;
}

/** `content` as one stream whose blocks are of these kinds, each with about the same share of it. */
export function lzfse(content: Uint8Array, kinds: readonly LzfseKind[]): Buffer {
  const share = Math.ceil(content.length / kinds.length);
  const blocks = kinds.map((kind, index) => block(kind, content, index * share, Math.min(content.length, (index + 1) * share)));
  return Buffer.concat([...blocks, Buffer.from("bvx$")]);
}

function block(kind: LzfseKind, content: Uint8Array, start: number, end: number): Buffer {
  switch (kind) {
    case "stored":
      return Buffer.concat([head("bvx-", end - start), content.subarray(start, end)]);
    case "lzvn": {
      const payload = lzvn(content, start, end);
      return Buffer.concat([head("bvxn", end - start, payload.length), payload]);
    }
    default:
      return compressed(kind, content, start, end);
  }
}

function head(magic: string, ...numbers: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from(magic), ...numbers.map(u32)]);
}

function u32(value: number): Buffer {
  const result = Buffer.alloc(4);
  result.writeInt32LE(value | 0);
  return result;
}

function u16(value: number): Buffer {
  return Buffer.from([value & 255, value >> 8]);
}

interface Match {
  readonly at: number;
  readonly length: number;
  readonly distance: number;
}

/** Matches of at least four bytes in `content` from `start` to `end`, none over another; they may reach back before `start`. */
function matchesIn(content: Uint8Array, start: number, end: number, maxDistance: number, maxLength: number): Match[] {
  const seen = new Map<number, number>();
  const keyAt = (at: number) => (content[at]! << 24) ^ (content[at + 1]! << 16) ^ (content[at + 2]! << 8) ^ content[at + 3]!;
  const matches: Match[] = [];
  for (let at = Math.max(0, start - 5000); at < start; at += 1) seen.set(keyAt(at), at);
  for (let at = start; at + 4 <= end; ) {
    const before = seen.get(keyAt(at));
    seen.set(keyAt(at), at);
    if (before === undefined || at - before > maxDistance) {
      at += 1;
      continue;
    }
    let length = 4;
    while (at + length < end && length < maxLength && content[before + length] === content[at + length]) length += 1;
    matches.push({ at, length, distance: at - before });
    at += length;
  }
  return matches;
}

/** Uses every operation that there is: short, middle and long distances, the last distance again, literals and matches alone, and nothing at all. */
function lzvn(content: Uint8Array, start: number, end: number): Buffer {
  const out: Buffer[] = [Buffer.from([0x0e])];
  let done = start;
  let last = 0;
  const literals = (until: number) => {
    while (done < until) {
      const count = Math.min(271, until - done);
      out.push(Buffer.from(count < 16 ? [0xe0 + count] : [0xe0, count - 16]), Buffer.from(content.subarray(done, done + count)));
      done += count;
    }
  };
  for (const { at, length, distance } of matchesIn(content, start, end, 65535, 4000)) {
    literals(at - Math.min(3, at - done));
    const few = at - done;
    // What a longer match would make of the first byte means other things.
    const most = [10, 8, 6, 4][few]!;
    const bytes = Buffer.from(content.subarray(done, at));
    let first: number;
    if (distance === last && few > 0) {
      first = Math.min(most, length);
      out.push(Buffer.from([(few << 6) | ((first - 3) << 3) | 6]), bytes);
    } else if (distance === last) {
      first = 0;
    } else if (distance < 1536 && length <= most) {
      first = length;
      out.push(Buffer.from([(few << 6) | ((first - 3) << 3) | (distance >> 8), distance & 255]), bytes);
    } else if (distance < 16384) {
      first = Math.min(34, length);
      const extra = first - 3;
      out.push(Buffer.from([0xa0 | (few << 3) | (extra >> 2), ((distance & 63) << 2) | (extra & 3), distance >> 6]), bytes);
    } else {
      first = Math.min(most, length);
      out.push(Buffer.from([(few << 6) | ((first - 3) << 3) | 7, distance & 255, distance >> 8]), bytes);
    }
    for (let left = length - first; left > 0; ) {
      const count = Math.min(271, left);
      out.push(Buffer.from(count < 16 ? [0xf0 + count] : [0xf0, count - 16]));
      left -= count;
    }
    last = distance;
    done = at + length;
  }
  literals(end);
  return Buffer.concat([...out, Buffer.from([0x16, 6, 0, 0, 0, 0, 0, 0, 0])]);
}

const lBits = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 5, 8];
const lBases = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 20, 28, 60];
const mBits = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 5, 8, 11];
const mBases = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 56, 312];
const dBits = [...Array(64).keys()].map((symbol) => Math.floor(symbol / 4));
const dBases = dBits.reduce<number[]>(
  (bases, _, symbol) => [...bases, symbol === 0 ? 0 : bases[symbol - 1]! + 2 ** dBits[symbol - 1]!],
  [],
);

/** A block with tables; content beyond 10000 matches or 40000 literals would need a second one, so it has to be small. */
function compressed(kind: LzfseKind, content: Uint8Array, start: number, end: number): Buffer {
  const triples = triplesOf(content, start, end);
  const literals: number[] = [];
  let at = start;
  for (const { literals: count, match } of triples) {
    literals.push(...content.subarray(at, at + count));
    at += count + match;
  }
  const count = literals.length;
  while (literals.length % 4 !== 0) literals.push(0);
  if (count > 40_000 || triples.length > 10_000) throw new Error("the content is too long for one block");

  const symbolsOf = (values: readonly number[], bases: readonly number[]) =>
    values.map((value) => bases.findLastIndex((base) => base <= value));
  const l = symbolsOf(
    triples.map((triple) => triple.literals),
    lBases,
  );
  const m = symbolsOf(
    triples.map((triple) => triple.match),
    mBases,
  );
  const d = symbolsOf(
    triples.map((triple) => triple.distance),
    dBases,
  );
  const frequencies = [frequenciesOf(l, 20, 64), frequenciesOf(m, 20, 64), frequenciesOf(d, 64, 256), frequenciesOf(literals, 256, 1024)];

  const literalCode = encoderOf(frequencies[3]!, 1024);
  const literalOut = bitWriter();
  const literalStates = [0, 0, 0, 0];
  for (let index = literals.length - 1; index >= 0; index -= 1) {
    literalStates[index & 3] = literalCode(literalStates[index & 3]!, literals[index]!, literalOut);
  }
  const codes = [encoderOf(frequencies[0]!, 64), encoderOf(frequencies[1]!, 64), encoderOf(frequencies[2]!, 256)];
  const lmdOut = bitWriter();
  const states = [0, 0, 0];
  const write = (which: number, symbol: number, value: number, bits: readonly number[], bases: readonly number[]) => {
    lmdOut.push(bits[symbol]!, value - bases[symbol]!);
    states[which] = codes[which]!(states[which]!, symbol, lmdOut);
  };
  for (let index = triples.length - 1; index >= 0; index -= 1) {
    write(2, d[index]!, triples[index]!.distance, dBits, dBases);
    write(1, m[index]!, triples[index]!.match, mBits, mBases);
    write(0, l[index]!, triples[index]!.literals, lBits, lBases);
  }
  const literalBytes = literalOut.finish();
  const lmd = lmdOut.finish();
  // Apple's encoder writes eight zeros in front, so that its decoder can always load eight bytes.
  const lmdBytes = { bytes: Buffer.concat([Buffer.alloc(8), lmd.bytes]), unused: lmd.unused };
  const fields = {
    raw: end - start,
    literals: literals.length,
    matches: triples.length,
    literalBytes: literalBytes.bytes.length,
    lmdBytes: lmdBytes.bytes.length,
    literalUnused: literalBytes.unused,
    lmdUnused: lmdBytes.unused,
    literalStates,
    states,
    frequencies: frequencies.flat(),
  };
  return Buffer.concat([kind === "tables" ? plainHeader(fields) : packedHeader(fields), literalBytes.bytes, lmdBytes.bytes]);
}

interface HeaderFields {
  readonly raw: number;
  readonly literals: number;
  readonly matches: number;
  readonly literalBytes: number;
  readonly lmdBytes: number;
  readonly literalUnused: number;
  readonly lmdUnused: number;
  readonly literalStates: readonly number[];
  readonly states: readonly number[];
  readonly frequencies: readonly number[];
}

function plainHeader(fields: HeaderFields): Buffer {
  return Buffer.concat([
    head("bvx1", fields.raw, fields.literalBytes + fields.lmdBytes, fields.literals, fields.matches, fields.literalBytes, fields.lmdBytes),
    u32(-fields.literalUnused),
    ...fields.literalStates.map(u16),
    u32(-fields.lmdUnused),
    ...fields.states.map(u16),
    ...fields.frequencies.map(u16),
    u16(0),
  ]);
}

function packedHeader(fields: HeaderFields): Buffer {
  const frequencies = bitWriter();
  for (const frequency of fields.frequencies) {
    const [bits, code] = frequencyCode(frequency);
    frequencies.push(bits, code);
  }
  const table = frequencies.finish().bytes;
  const word = (...parts: readonly (readonly [bits: number, value: number])[]) => {
    let result = 0n;
    let shift = 0n;
    for (const [bits, value] of parts) {
      result |= BigInt(value) << shift;
      shift += BigInt(bits);
    }
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(result);
    return bytes;
  };
  const [s0, s1, s2, s3] = fields.literalStates as [number, number, number, number];
  const [l, m, d] = fields.states as [number, number, number];
  return Buffer.concat([
    head("bvx2", fields.raw),
    word([20, fields.literals], [20, fields.literalBytes], [20, fields.matches], [3, 7 - fields.literalUnused]),
    word([10, s0], [10, s1], [10, s2], [10, s3], [20, fields.lmdBytes], [3, 7 - fields.lmdUnused]),
    word([32, 32 + table.length], [10, l], [10, m], [10, d]),
    table,
  ]);
}

/** Codes of 2 to 14 bits, lowest bit first. */
function frequencyCode(frequency: number): readonly [bits: number, code: number] {
  if (frequency >= 24) return [14, 15 | ((frequency - 24) << 4)];
  if (frequency >= 8) return [8, 7 | ((frequency - 8) << 4)];
  return (
    [
      [2, 0],
      [2, 2],
      [3, 1],
      [3, 5],
      [5, 3],
      [5, 11],
      [5, 19],
      [5, 27],
    ] as const
  )[frequency]!;
}

function triplesOf(content: Uint8Array, start: number, end: number): Triple[] {
  const triples: Triple[] = [];
  let done = start;
  let last = 0;
  const add = (literals: number, match: number, distance: number) => {
    triples.push({ literals, match, distance: distance === last ? 0 : distance });
    last = distance;
  };
  // Literals without a match need a distance all the same, one that is there.
  const literals = (until: number) => {
    while (until - done > 315) {
      add(315, 0, 1);
      done += 315;
    }
  };
  for (const { at, length, distance } of matchesIn(content, start, end, 262_139, 2359)) {
    literals(at);
    add(at - done, length, distance);
    done = at + length;
  }
  literals(end);
  if (done < end) add(end - done, 0, 1);
  return triples;
}

/** How many of `states` each symbol gets: one or more if it is used, all together all of them. */
function frequenciesOf(used: readonly number[], symbols: number, states: number): number[] {
  const counts = Array<number>(symbols).fill(0);
  for (const symbol of used) counts[symbol]! += 1;
  const result = counts.map((count) => (count === 0 ? 0 : Math.max(1, Math.floor((count * states) / used.length))));
  if (used.length === 0) result[0] = states;
  let left = states - result.reduce((sum, each) => sum + each, 0);
  while (left !== 0) {
    const largest = result.indexOf(Math.max(...result));
    const step = left > 0 ? left : -Math.min(-left, Math.max(1, Math.floor(result[largest]! / 4)));
    result[largest]! += step;
    left -= step;
  }
  return result;
}

interface BitWriter {
  push(bits: number, value: number): void;
  finish(): { readonly bytes: Buffer; readonly unused: number };
}

function bitWriter(): BitWriter {
  const bytes: number[] = [];
  let held = 0;
  let count = 0;
  return {
    push(bits, value) {
      for (let index = 0; index < bits; index += 1) {
        held |= ((value >> index) & 1) << count;
        count += 1;
        if (count === 8) {
          bytes.push(held);
          held = 0;
          count = 0;
        }
      }
    },
    finish() {
      const unused = count === 0 ? 0 : 8 - count;
      if (count > 0) bytes.push(held);
      return { bytes: Buffer.from(bytes), unused };
    },
  };
}

/** From a state and a symbol to the next state, after writing what the decoder needs to come back. */
function encoderOf(frequencies: readonly number[], states: number): (state: number, symbol: number, out: BitWriter) => number {
  const starts: number[] = [];
  let start = 0;
  for (const frequency of frequencies) {
    starts.push(start);
    start += frequency;
  }
  return (state, symbol, out) => {
    const frequency = frequencies[symbol]!;
    const most = Math.clz32(frequency) - Math.clz32(states);
    const bits = state >= frequency * 2 ** most - states ? most : most - 1;
    out.push(bits, state % 2 ** bits);
    return starts[symbol]! - frequency + Math.floor(states / 2 ** bits) + (state >> bits);
  };
}
