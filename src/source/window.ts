import type { Source } from "./source.js";

/** Reads small things that lie near each other, in order, with few reads of `source`. What it returns is valid until the next call. */
export function createWindow(source: Source, size: number): (position: number, length: number) => Buffer {
  let memory: Buffer = Buffer.alloc(0);
  let start = 0;
  let end = 0;

  const fill = (position: number, length: number): void => {
    // Whatever fails, what was there is gone.
    start = end = 0;
    if (memory.length < length) memory = Buffer.allocUnsafeSlow(Math.max(length, size));
    source.read(memory.subarray(0, length), position);
    start = position;
    end = position + length;
  };

  return (position, length) => {
    if (position < start || position + length > end) {
      // What cannot be read further on must not spoil what can.
      const wanted = Math.max(length, Math.min(size, source.size - position));
      try {
        fill(position, wanted);
      } catch (error) {
        if (wanted === length) throw error;
        fill(position, length);
      }
    }
    return memory.subarray(position - start, position - start + length);
  };
}
