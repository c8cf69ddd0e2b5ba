import { checkRange, type Source } from "./source.js";

/**
 * `inner` with the two bytes of each pair swapped, as machines of the other byte order copy disks. The last byte of an odd size stays.
 * Under its name, with its size; closing it closes `inner`. It has no descriptor: the bytes of the file are not its own.
 */
export function swabSource(inner: Source): Source {
  const { name, size, run, modified } = inner;
  const one = new Uint8Array(1);
  const byteAt = (position: number): number => {
    inner.read(one, position);
    return one[0] as number;
  };
  const source: Source = {
    name,
    size,
    read(target, position) {
      checkRange(source, target.length, position);
      if (target.length === 0) return;
      inner.read(target, position);
      const end = position + target.length;
      swapPairs(target, position % 2);
      // Where the range cuts a pair, its other byte is outside the target.
      if (position % 2 === 1) target[0] = byteAt(position - 1);
      if (end % 2 === 1 && end < size) target[target.length - 1] = byteAt(end);
    },
    ...(modified !== undefined && { modified }),
    ...(run && {
      run(position: number) {
        const pair = position - (position % 2);
        const { data, length } = run(pair);
        const end = pair + length;
        // A pair with one byte of data is data.
        const whole = data || end === size ? Math.min(size, end + (end % 2)) : end - (end % 2);
        return whole === pair ? { data: true, length: pair + 2 - position } : { data, length: whole - position };
      },
    }),
    close: () => inner.close(),
  };
  return source;
}

/** Swaps in place from `start` on; what is left at the end stays. */
function swapPairs(target: Uint8Array, start: number): void {
  for (let at = start; at + 1 < target.length; at += 2) {
    const first = target[at] as number;
    target[at] = target[at + 1] as number;
    target[at + 1] = first;
  }
}
