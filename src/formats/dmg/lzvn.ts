// LZVN, the code of small LZFSE blocks. Reference: lzvn_decode_base.c of github.com/lzfse/lzfse, whose comments draw every operation.

/** Decodes `packed` into `target` from `done` to `end` exactly; throws a `RangeError` for anything that does not. Matches may reach back to the start of `target`. */
export function unpackLzvn(packed: Uint8Array, target: Uint8Array, start: number, end: number): void {
  let at = 0;
  let done = start;
  let distance = 0;
  for (;;) {
    const code = byteAt(packed, at);
    const { size, literals, matched, back } = operation(packed, at, code);
    if (size === 0) break;
    if (back !== undefined) distance = back;
    at += size;
    if (at + literals > packed.length || done + literals + matched > end) throw new RangeError("more bytes than announced");
    target.set(packed.subarray(at, at + literals), done);
    at += literals;
    done += literals;
    if (matched === 0) continue;
    if (distance === 0 || distance > done) throw new RangeError("a match starts before the first byte");
    // Byte by byte: the run may read what it has just written.
    for (const stop = done + matched; done < stop; done += 1) target[done] = target[done - distance]!;
  }
  if (done !== end || at + END_SIZE !== packed.length) throw new RangeError("a block of another size than announced");
}

/** Bytes of the operation that ends a block. */
const END_SIZE = 8;

interface Operation {
  /** Bytes of the operation itself; 0: the end. */
  readonly size: number;
  /** Bytes that follow it and are copied. */
  readonly literals: number;
  /** Bytes that come again after them. */
  readonly matched: number;
  /** How far back those are, unless as far as the last ones. */
  readonly back?: number;
}

const END = 0x06;
const nops: readonly number[] = [0x0e, 0x16];

function operation(packed: Uint8Array, at: number, code: number): Operation {
  if (code === END) return { size: 0, literals: 0, matched: 0 };
  if (nops.includes(code)) return { size: 1, literals: 0, matched: 0 };
  const low = code & 15;
  switch (code >> 4) {
    case 0x7:
    case 0xd:
      throw new RangeError("an unknown operation");
    case 0xa:
    case 0xb: {
      // 101LLMMM DDDDDDMM DDDDDDDD
      const second = byteAt(packed, at + 1);
      return {
        size: 3,
        literals: (code >> 3) & 3,
        matched: 3 + (code & 7) * 4 + (second & 3),
        back: (second >> 2) + byteAt(packed, at + 2) * 64,
      };
    }
    case 0xe:
      return low > 0 ? { size: 1, literals: low, matched: 0 } : { size: 2, literals: 16 + byteAt(packed, at + 1), matched: 0 };
    case 0xf:
      return low > 0 ? { size: 1, literals: 0, matched: low } : { size: 2, literals: 0, matched: 16 + byteAt(packed, at + 1) };
    default:
      return distant(packed, at, code);
  }
}

/** LLMMMDDD with one more byte of distance, LLMMM111 with two, LLMMM110 with none. */
function distant(packed: Uint8Array, at: number, code: number): Operation {
  const literals = code >> 6;
  const matched = 3 + ((code >> 3) & 7);
  const high = code & 7;
  if (high === 7) return { size: 3, literals, matched, back: byteAt(packed, at + 1) + byteAt(packed, at + 2) * 256 };
  if (high < 6) return { size: 2, literals, matched, back: high * 256 + byteAt(packed, at + 1) };
  // Without literals these would do what 1111MMMM does; some of them mean other things.
  if (literals === 0) throw new RangeError("an unknown operation");
  return { size: 1, literals, matched };
}

function byteAt(packed: Uint8Array, at: number): number {
  const value = packed[at];
  if (value === undefined) throw new RangeError("the stream ends early");
  return value;
}
