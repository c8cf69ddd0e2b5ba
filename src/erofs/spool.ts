import { writeSync } from "node:fs";

/** Bytes that are written in one go. */
const SIZE = 2 ** 20;

/** Collects what is written near together. */
export interface Spool {
  /** Writes `bytes`, at once or later. What lies before `position` and was never written is zeros. */
  put(bytes: Uint8Array, position: number): void;
  /** Writes what was collected. */
  flush(): void;
}

/** A spool for the file `fd`, which is empty so far. */
export function createSpool(fd: number): Spool {
  const memory = Buffer.alloc(SIZE);
  /** Where in the file the memory stands, and how much of it is in use. */
  let base = 0;
  let filled = 0;
  /** Nothing was written from there on. */
  let fresh = 0;

  function write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
    fresh = Math.max(fresh, position + bytes.length);
  }

  function flush(): void {
    write(memory.subarray(0, filled), base);
    base += filled;
    filled = 0;
  }

  return {
    flush,
    put(bytes, position) {
      const end = position + bytes.length;
      // A gap can be passed over where it is known to be zeros.
      const reached = position <= base + filled || base + filled >= fresh;
      if (position < base || end > base + SIZE || !reached) {
        flush();
        if (bytes.length >= SIZE || position < fresh) {
          write(bytes, position);
          return;
        }
        base = position;
      }
      const at = position - base;
      if (at > filled) memory.fill(0, filled, at);
      memory.set(bytes, at);
      filled = Math.max(filled, at + bytes.length);
    },
  };
}
