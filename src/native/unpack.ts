import { constants, inflateRawSync, inflateSync } from "node:zlib";
import { Decompress } from "fzstd";
import { binding } from "./binding.js";

/**
 * Decodes the raw deflate stream (RFC 1951) at the start of `packed` into `target`: true if it gives at least that many bytes.
 * Bytes behind the stream are ignored.
 */
export function inflateRaw(packed: Uint8Array, target: Uint8Array): boolean {
  // The addon's decoder takes whole streams only; zlib decides about everything else.
  return (binding?.inflateRaw(packed, target) ?? false) || inflateScript(inflateRawSync, packed, target);
}

/** The same for a zlib stream (RFC 1950). */
export function inflateZlib(packed: Uint8Array, target: Uint8Array): boolean {
  return (binding?.inflateZlib(packed, target) ?? false) || inflateScript(inflateSync, packed, target);
}

function inflateScript(inflate: typeof inflateSync, packed: Uint8Array, target: Uint8Array): boolean {
  try {
    const content = inflate(packed, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: target.length + 65536 });
    target.set(content.subarray(0, target.length));
    return content.length >= target.length;
  } catch {
    return false;
  }
}

/** Decodes the zstd frames (RFC 8878) at the start of `packed` into `target`: true if they give exactly that many bytes. Bytes behind them are ignored. */
export function unzstd(packed: Uint8Array, target: Uint8Array): boolean {
  return binding ? binding.zstd(packed, target) : unzstdScript(packed, target);
}

function unzstdScript(packed: Uint8Array, target: Uint8Array): boolean {
  let done = 0;
  const decoder = new Decompress((chunk) => {
    target.set(chunk.subarray(0, Math.max(0, target.length - done)), Math.min(done, target.length));
    done += chunk.length;
  });
  try {
    decoder.push(packed, true);
  } catch {
    // What follows the last frame is not a frame: that is padding. A damaged frame leaves `done` short.
  }
  return done === target.length;
}
