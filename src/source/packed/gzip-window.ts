import { deflateRawSync } from "node:zlib";
import { kinds, statuses } from "../../native/gzip.js";
import type { Source } from "../source.js";
import { type GzipPlace, gzipStream } from "./gzip-stream.js";

/** How far deflate refers back (RFC 1951, 3.2.5). */
export const WINDOW_SIZE = 32 * 1024;
/** Input read at once, and all input that is looked through for the first 32 KiB that follow. */
const INPUT_SIZE = 64 * 1024;
const INPUT_LIMIT = 2 ** 20;

const ZEROS = new Uint8Array(WINDOW_SIZE);

/** A window as it is kept: `length` bytes, the last ones before the place; zeros where there is no `data`, which is raw deflate. */
export interface KeptWindow {
  readonly length: number;
  readonly data: Uint8Array | undefined;
}

/**
 * Makes windows small. Most of a window is never referred to, and only what comes in the 32 KiB behind the place can do so: that is decoded with
 * windows that hold their own positions instead of content. What comes out tells which positions were copied. The rest is taken as zeros.
 */
export function windowKeeper(source: Source): (place: GzipPlace, window: Uint8Array) => KeptWindow {
  const stream = gzipStream(source, INPUT_SIZE);
  const low = Uint8Array.from({ length: WINDOW_SIZE }, (_, index) => index & 0xff);
  // How much more than in `low` is the position's upper half, and one: what does not come from the window is the same with both.
  const high = low.map((byte, index) => byte + (index >> 8) + 1);
  const [ofLow, ofHigh] = [new Uint8Array(WINDOW_SIZE), new Uint8Array(WINDOW_SIZE)];

  /** Decodes what comes behind `place` with this window; false if that takes too much input. */
  const decode = (place: GzipPlace, window: Uint8Array, target: Uint8Array): boolean => {
    stream.restart(place, window, source.size);
    const limit = stream.position + INPUT_LIMIT;
    const status = stream.fill(target, undefined, () => stream.position < limit);
    return status !== statuses.ended && status !== statuses.between;
  };

  return (place, window) => {
    const { length } = window;
    if (!decode(place, low.subarray(0, length), ofLow) || !decode(place, high.subarray(0, length), ofHigh)) return packed(window);
    const used = new Uint8Array(length);
    let first = length;
    for (let at = 0; at < stream.made; at += 1) {
      const bottom = ofLow[at] ?? 0;
      const upper = ((ofHigh[at] ?? 0) - bottom) & 0xff;
      if (upper === 0) continue;
      const index = ((upper - 1) << 8) | bottom;
      used[index] = window[index] ?? 0;
      if (index < first) first = index;
    }
    // A code that is taken up inside refers to where its first byte came from, which is not looked at again.
    return packed(used.subarray(Math.max(0, first - (place.kind === kinds.code ? place.extra : 0))));
  };
}

function packed(window: Uint8Array): KeptWindow {
  const empty = Buffer.compare(window, ZEROS.subarray(0, window.length)) === 0;
  return { length: window.length, data: empty ? undefined : deflateRawSync(window) };
}
