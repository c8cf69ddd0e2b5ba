// LZO1X. Reference: Documentation/staging/lzo.rst of Linux, "LZO stream format as understood by Linux' LZO decompressor".

/** What the bytes below 16 mean depends on how many literals came before: 0, 1 to 3, or a run of them. */
const RUN = 4;

/** Decodes `packed` into `target`, exactly. Throws a `RangeError` for what is no LZO1X, or of another size. */
export function unpackLzo(packed: Uint8Array, target: Uint8Array): void {
  const end = packed.length;
  let at = 0;
  let done = 0;
  let state = 0;

  function next(): number {
    if (at >= end) throw new RangeError("the block ends early");
    return packed[at++]!;
  }

  /** A length whose bits in the instruction were `bits`: where they are zero, bytes follow. */
  function length(bits: number, base: number): number {
    if (bits > 0) return bits;
    let sum = base;
    for (;;) {
      const byte = next();
      if (byte > 0) return sum + byte;
      sum += 255;
    }
  }

  function literals(count: number): void {
    if (count > end - at || count > target.length - done) throw new RangeError("literals leave the block");
    if (count > 32) {
      target.set(packed.subarray(at, at + count), done);
      at += count;
      done += count;
      return;
    }
    for (let left = count; left > 0; left -= 1) target[done++] = packed[at++]!;
  }

  function match(distance: number, count: number): void {
    if (distance > done) throw new RangeError("a match starts before the block");
    if (count > target.length - done) throw new RangeError("a match leaves the block");
    if (distance >= count && count > 32) target.copyWithin(done, done - distance, done - distance + count);
    // Byte by byte: the run may read what it has just written.
    else for (let to = done, from = done - distance, stop = done + count; to < stop; ) target[to++] = target[from++]!;
    done += count;
  }

  /** A match, and the few literals behind it. */
  function both(distance: number, count: number, few: number): void {
    match(distance, count);
    literals(few);
    state = few;
  }

  function near(code: number): void {
    if (state === 0) {
      literals(3 + length(code, 15));
      state = RUN;
      return;
    }
    const distance = next() * 4 + (code >> 2) + 1;
    if (state === RUN) both(distance + 2048, 3, code & 3);
    else both(distance, 2, code & 3);
  }

  if (end > 0 && packed[0]! > 17) {
    const count = packed[0]! - 17;
    at = 1;
    literals(count);
    state = Math.min(count, RUN);
  }
  for (;;) {
    const code = next();
    if (code >= 128) both(next() * 8 + ((code >> 2) & 7) + 1, 5 + ((code >> 5) & 3), code & 3);
    else if (code >= 64) both(next() * 8 + ((code >> 2) & 7) + 1, 3 + ((code >> 5) & 1), code & 3);
    else if (code >= 32) {
      const count = 2 + length(code & 31, 31);
      const word = next() + next() * 256;
      both((word >> 2) + 1, count, word & 3);
    } else if (code >= 16) {
      const count = 2 + length(code & 7, 7);
      const word = next() + next() * 256;
      const distance = ((code & 8) << 11) + (word >> 2);
      if (distance === 0) break;
      both(16384 + distance, count, word & 3);
    } else near(code);
  }
  if (at !== end || done !== target.length) throw new RangeError("the block has another size than it tells");
}
