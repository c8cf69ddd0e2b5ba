// LZMA2 streams. References: the LZMA specification of the LZMA SDK (Igor Pavlov, lzma-specification.txt); for the chunks of LZMA2, the comments of
// xz-embedded's xz_dec_lzma2.c and of 7-Zip's Lzma2Dec.c.

/** Literal probabilities of one context. */
const LITERAL_PROBS = 0x300;
const HALF = 1024; // of 2^11: a bit of which nothing is known yet
const TOP = 2 ** 24;
const LONG_DISTANCE_SLOT = 14;
const ALIGN_BITS = 4;

/** Decodes the LZMA2 chunks at `start` of `packed` into `target` from `done` on; throws a `RangeError` for anything that is no LZMA2. */
export function unpackLzma2(
  packed: Uint8Array,
  start: number,
  target: Uint8Array,
  done: number,
): { readonly at: number; readonly done: number } {
  const decoder = createDecoder(packed, target, done);
  let at = start;
  for (;;) {
    const control = byteAt(packed, at);
    if (control === 0) return { at: at + 1, done: decoder.done() };
    const size = 1 + byteAt(packed, at + 1) * 256 + byteAt(packed, at + 2);
    if (control < 0x80) {
      if (control > 2) throw new RangeError("an unknown chunk");
      decoder.store(at + 3, size, control === 1);
      at += 3 + size;
      continue;
    }
    const unpackedSize = size + (control & 0x1f) * 65536;
    const packedSize = 1 + byteAt(packed, at + 3) * 256 + byteAt(packed, at + 4);
    const reset = (control >> 5) & 3;
    const properties = reset >= 2 ? byteAt(packed, at + 5) : undefined;
    at += properties === undefined ? 5 : 6;
    decoder.decode(at, packedSize, unpackedSize, reset, properties);
    at += packedSize;
  }
}

function byteAt(packed: Uint8Array, at: number): number {
  const value = packed[at];
  if (value === undefined) throw new RangeError("the stream ends early");
  return value;
}

interface Decoder {
  done(): number;
  store(at: number, size: number, newDictionary: boolean): void;
  /** `reset`: 1 the state, 2 also the properties, 3 also the dictionary. */
  decode(at: number, packedSize: number, unpackedSize: number, reset: number, properties: number | undefined): void;
}

/** `target` is the dictionary, too: whatever the stream refers to has just been written there. */
function createDecoder(packed: Uint8Array, target: Uint8Array, first: number): Decoder {
  let done = first;
  let dictionaryStart = -1;
  let ready = false;

  let literalContextBits = 0;
  let literalMask = 0;
  let positionMask = 0;
  let state = 0;
  const reps = [0, 0, 0, 0] as [number, number, number, number];
  let literals = new Uint16Array(0);
  const isMatch = new Uint16Array(12 * 16);
  const isRep = new Uint16Array(12);
  const isRep0 = new Uint16Array(12);
  const isRep1 = new Uint16Array(12);
  const isRep2 = new Uint16Array(12);
  const isRep0Long = new Uint16Array(12 * 16);
  const slots = new Uint16Array(4 * 64);
  const distances = new Uint16Array(115);
  const align = new Uint16Array(2 ** ALIGN_BITS);
  const matchLengths = lengthProbs();
  const repLengths = lengthProbs();
  const everything = [isMatch, isRep, isRep0, isRep1, isRep2, isRep0Long, slots, distances, align, ...matchLengths, ...repLengths];

  let at = 0;
  let end = 0;
  let range = 0;
  let code = 0;

  function normalize(): void {
    if (range >= TOP) return;
    if (at >= end) throw new RangeError("a chunk ends early");
    range = (range << 8) >>> 0;
    code = ((code << 8) | packed[at]!) >>> 0;
    at += 1;
  }

  function bit(probs: Uint16Array, index: number): number {
    normalize();
    const prob = probs[index]!;
    const bound = (range >>> 11) * prob;
    if (code < bound) {
      range = bound;
      probs[index] = prob + ((2048 - prob) >> 5);
      return 0;
    }
    range -= bound;
    code -= bound;
    probs[index] = prob - (prob >> 5);
    return 1;
  }

  /** `count` bits of equal chance. */
  function directBits(count: number): number {
    let value = 0;
    for (let left = count; left > 0; left -= 1) {
      normalize();
      range >>>= 1;
      const one = code >= range;
      if (one) code -= range;
      value = value * 2 + (one ? 1 : 0);
    }
    return value;
  }

  function tree(probs: Uint16Array, base: number, bits: number): number {
    let symbol = 1;
    for (let left = bits; left > 0; left -= 1) symbol = symbol * 2 + bit(probs, base + symbol);
    return symbol - 2 ** bits;
  }

  function reverseTree(probs: Uint16Array, base: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let index = 0; index < bits; index += 1) {
      const one = bit(probs, base + node);
      node = node * 2 + one;
      value += one * 2 ** index;
    }
    return value;
  }

  function length([choice, low, middle, high]: LengthProbs, positionState: number): number {
    if (bit(choice, 0) === 0) return 2 + tree(low, positionState * 8, 3);
    if (bit(choice, 1) === 0) return 10 + tree(middle, positionState * 8, 3);
    return 18 + tree(high, 0, 8);
  }

  function distance(matchLength: number): number {
    const slot = tree(slots, Math.min(matchLength - 2, 3) * 64, 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const base = (2 + (slot & 1)) * 2 ** bits;
    if (slot < LONG_DISTANCE_SLOT) return base + reverseTree(distances, base - slot, bits);
    return base + directBits(bits - ALIGN_BITS) * 2 ** ALIGN_BITS + reverseTree(align, 0, ALIGN_BITS);
  }

  function literal(): void {
    const before = done > dictionaryStart ? target[done - 1]! : 0;
    const context = (((done - dictionaryStart) & literalMask) << literalContextBits) + (before >> (8 - literalContextBits));
    const base = LITERAL_PROBS * context;
    let symbol = 1;
    if (state >= 7) {
      // After a match the byte that would have gone on with it is told apart first.
      let expected = byteBack(reps[0]);
      while (symbol < 0x100) {
        const expectedBit = (expected >> 7) & 1;
        expected = (expected << 1) & 0xff;
        const found = bit(literals, base + (1 + expectedBit) * 0x100 + symbol);
        symbol = symbol * 2 + found;
        if (found !== expectedBit) break;
      }
    }
    while (symbol < 0x100) symbol = symbol * 2 + bit(literals, base + symbol);
    target[done] = symbol & 0xff;
    done += 1;
    state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  /** The byte `distance` + 1 bytes back. */
  function byteBack(back: number): number {
    if (back >= done - dictionaryStart) throw new RangeError("a match starts before the dictionary");
    return target[done - back - 1]!;
  }

  /** The length of a repeated match, its distance then in `reps[0]`. */
  function repeated(positionState: number): number {
    if (bit(isRep0, state) === 0) {
      if (bit(isRep0Long, state * 16 + positionState) === 0) {
        state = state < 7 ? 9 : 11;
        return 1;
      }
    } else {
      let chosen: number;
      if (bit(isRep1, state) === 0) {
        chosen = reps[1];
      } else {
        if (bit(isRep2, state) === 0) {
          chosen = reps[2];
        } else {
          chosen = reps[3];
          reps[3] = reps[2];
        }
        reps[2] = reps[1];
      }
      reps[1] = reps[0];
      reps[0] = chosen;
    }
    const found = length(repLengths, positionState);
    state = state < 7 ? 8 : 11;
    return found;
  }

  function match(positionState: number): number {
    reps[3] = reps[2];
    reps[2] = reps[1];
    reps[1] = reps[0];
    const found = length(matchLengths, positionState);
    reps[0] = distance(found);
    state = state < 7 ? 7 : 10;
    return found;
  }

  function symbols(limit: number): void {
    while (done < limit) {
      const positionState = (done - dictionaryStart) & positionMask;
      if (bit(isMatch, state * 16 + positionState) === 0) {
        literal();
        continue;
      }
      const count = bit(isRep, state) === 1 ? repeated(positionState) : match(positionState);
      if (done + count > limit) throw new RangeError("a match leaves its chunk");
      byteBack(reps[0]);
      // Byte by byte: the run may read what it has just written.
      for (const back = reps[0] + 1, stop = done + count; done < stop; done += 1) target[done] = target[done - back]!;
    }
  }

  function setProperties(properties: number): void {
    if (properties >= 225) throw new RangeError("impossible properties");
    literalContextBits = properties % 9;
    const rest = Math.floor(properties / 9);
    const literalPositionBits = rest % 5;
    if (literalContextBits + literalPositionBits > 4) throw new RangeError("impossible properties");
    literalMask = 2 ** literalPositionBits - 1;
    positionMask = 2 ** Math.floor(rest / 5) - 1;
    literals = new Uint16Array(LITERAL_PROBS * 2 ** (literalContextBits + literalPositionBits));
  }

  return {
    done: () => done,
    store(from, size, newDictionary) {
      if (newDictionary) dictionaryStart = done;
      if (dictionaryStart < 0) throw new RangeError("the first chunk has no dictionary");
      if (from + size > packed.length || done + size > target.length) throw new RangeError("a chunk leaves the stream");
      target.set(packed.subarray(from, from + size), done);
      done += size;
    },
    decode(from, packedSize, unpackedSize, reset, properties) {
      if (reset === 3) dictionaryStart = done;
      if (dictionaryStart < 0) throw new RangeError("the first chunk has no dictionary");
      if (properties !== undefined) setProperties(properties);
      if (reset > 0) {
        state = 0;
        reps.fill(0);
        for (const probs of everything) probs.fill(HALF);
        literals.fill(HALF);
        ready = literals.length > 0;
      }
      if (!ready) throw new RangeError("the first chunk has no properties");
      if (from + packedSize > packed.length || done + unpackedSize > target.length || packedSize < 5) {
        throw new RangeError("a chunk leaves the stream");
      }
      if (packed[from] !== 0) throw new RangeError("a chunk does not begin with zero");
      code = ((packed[from + 1]! << 24) | (packed[from + 2]! << 16) | (packed[from + 3]! << 8) | packed[from + 4]!) >>> 0;
      range = 0xffffffff;
      at = from + 5;
      end = from + packedSize;
      symbols(done + unpackedSize);
      normalize();
      if (at !== end || code !== 0) throw new RangeError("a chunk has more than it decodes to");
    },
  };
}

type LengthProbs = readonly [choice: Uint16Array, low: Uint16Array, middle: Uint16Array, high: Uint16Array];

function lengthProbs(): LengthProbs {
  return [new Uint16Array(2), new Uint16Array(16 * 8), new Uint16Array(16 * 8), new Uint16Array(256)];
}
