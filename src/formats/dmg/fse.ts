// Finite state entropy decoding (tANS) as LZFSE does it. Reference: lzfse_fse.h and lzfse_fse.c of github.com/lzfse/lzfse.

/** Bits read from the end of a stream to its start. The state that a symbol leads to is handed back here, so that no object is made for each. */
export interface ReverseBits {
  /** The next `count` bits, at most 23. */
  pull(count: number): number;
  /** Whether more bits were pulled than there are. */
  overdrawn(): boolean;
  state: number;
}

/** The bits of `stream`, of whose last byte the upper `unused` are none. */
export function bitsFromEnd(stream: Uint8Array, unused: number): ReverseBits {
  if (unused < 0 || unused > 7) throw new RangeError("an impossible number of unused bits");
  let at = stream.length;
  let held = 0;
  let count = 0;
  /** Bits made up behind the start. */
  let missing = 0;
  if (unused > 0) {
    at -= 1;
    held = stream[at] ?? 256;
    count = 8 - unused;
    if (held >> count !== 0) throw new RangeError("unused bits are set");
  }
  return {
    state: 0,
    pull(wanted) {
      while (count < wanted) {
        at -= 1;
        if (at < 0) missing += 8;
        held = (held << 8) | (stream[at] ?? 0);
        count += 8;
      }
      count -= wanted;
      const value = held >>> count;
      held &= 2 ** count - 1;
      return value;
    },
    overdrawn: () => missing > count,
  };
}

/** By state: the bits that lead to the next state, what they are added to, and the symbol or value. */
export interface DecoderTable {
  readonly stateBits: Uint8Array;
  readonly nextStates: Int16Array;
  readonly symbols: Uint8Array;
  readonly valueBits: readonly number[];
  readonly values: readonly number[];
}

/**
 * The table of a code with `states` states, a power of two, from the frequencies of its symbols; those of symbol s stand for the values from `values[s]`
 * on, told by `valueBits[s]` bits. Throws a `RangeError` if the frequencies are more than the states.
 */
export function decoderTable(
  states: number,
  frequencies: Uint16Array,
  valueBits: readonly number[] = [],
  values: readonly number[] = [],
): DecoderTable {
  const stateBits = new Uint8Array(states);
  const nextStates = new Int16Array(states);
  const symbols = new Uint8Array(states);
  let state = 0;
  for (const [symbol, frequency] of frequencies.entries()) {
    if (frequency === 0) continue;
    if (state + frequency > states) throw new RangeError("the frequencies are more than the states");
    const most = Math.clz32(frequency) - Math.clz32(states);
    // The first states of a symbol read one bit more than the others, so that each next state is reached once.
    const longer = ((2 * states) >> most) - frequency;
    for (let index = 0; index < frequency; index += 1, state += 1) {
      symbols[state] = symbol;
      stateBits[state] = index < longer ? most : most - 1;
      nextStates[state] = index < longer ? ((frequency + index) << most) - states : (index - longer) << (most - 1);
    }
  }
  // States beyond stay zero; a stream that gets there ends up in wrong lengths, which its block notices.
  return { stateBits, nextStates, symbols, valueBits, values };
}

/** The symbol of `state`; the next state is in `reader.state`. */
export function symbolOf(table: DecoderTable, state: number, reader: ReverseBits): number {
  checkState(table, state);
  reader.state = table.nextStates[state]! + reader.pull(table.stateBits[state]!);
  return table.symbols[state]!;
}

/** The value of `state`; the next state is in `reader.state`. */
export function valueOf(table: DecoderTable, state: number, reader: ReverseBits): number {
  checkState(table, state);
  const symbol = table.symbols[state]!;
  const bits = table.valueBits[symbol]!;
  reader.state = table.nextStates[state]! + reader.pull(table.stateBits[state]!);
  return table.values[symbol]! + reader.pull(bits);
}

function checkState({ stateBits }: DecoderTable, state: number): void {
  if (state >= stateBits.length) throw new RangeError("an impossible state");
}
