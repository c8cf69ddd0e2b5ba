// LZ4 blocks. Reference: lz4_Block_format.md of the lz4 sources.

/** How far back a match may reach. */
export const WINDOW_SIZE = 65_536;
const SHORTEST_MATCH = 4;

/**
 * Decodes `packed` into `target` from `start` on, up to `limit`; matches may reach back to `oldest`. Where it ends. Throws a `RangeError` for
 * what is no LZ4 block, or is larger.
 */
export function unpackLz4(packed: Uint8Array, target: Uint8Array, start: number, limit: number, oldest: number): number {
  const end = packed.length;
  let at = 0;
  let done = start;
  for (;;) {
    if (at >= end) throw new RangeError("the block ends early");
    const token = packed[at]!;
    at += 1;

    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) {
        if (at >= end) throw new RangeError("the block ends early");
        more = packed[at]!;
        at += 1;
        literals += more;
      }
    }
    if (literals > end - at || literals > limit - done) throw new RangeError("literals leave the block");
    if (literals <= 32) for (let left = literals; left > 0; left -= 1) target[done++] = packed[at++]!;
    else {
      target.set(packed.subarray(at, at + literals), done);
      at += literals;
      done += literals;
    }
    // The last sequence is literals alone.
    if (at === end) return done;

    if (at + 2 > end) throw new RangeError("the block ends early");
    const distance = packed[at]! | (packed[at + 1]! << 8);
    at += 2;
    if (distance === 0 || distance > done - oldest) throw new RangeError("a match starts before the window");
    let length = (token & 15) + SHORTEST_MATCH;
    if (length === 15 + SHORTEST_MATCH) {
      let more = 255;
      while (more === 255) {
        if (at >= end) throw new RangeError("the block ends early");
        more = packed[at]!;
        at += 1;
        length += more;
      }
    }
    if (length > limit - done) throw new RangeError("a match leaves the block");
    if (distance === 1) target.fill(target[done - 1]!, done, done + length);
    else if (distance >= length && length > 32) target.copyWithin(done, done - distance, done - distance + length);
    // Byte by byte: the run may read what it has just written.
    else for (let to = done, from = done - distance, stop = done + length; to < stop; ) target[to++] = target[from++]!;
    done += length;
  }
}
