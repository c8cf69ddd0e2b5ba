import { readBytes, type Source } from "./source.js";

/** Reads small things that lie near each other, in order, with few reads of `source`. What it returns is valid until the next call. */
export function createWindow(source: Source, size: number): (position: number, length: number) => Buffer {
  let start = 0;
  let content: Buffer = Buffer.alloc(0);
  return (position, length) => {
    if (position < start || position + length > start + content.length) {
      // What cannot be read further on must not spoil what can.
      const wanted = Math.max(length, Math.min(size, source.size - position));
      try {
        content = readBytes(source, position, wanted);
      } catch (error) {
        if (wanted === length) throw error;
        content = readBytes(source, position, length);
      }
      start = position;
    }
    return content.subarray(position - start, position - start + length);
  };
}
