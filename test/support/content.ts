// Content for test disks: looks like what real disks hold, and is the same on every run.
import { createCipheriv } from "node:crypto";

/** Numbers in [0, 1), the same ones for the same seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number from `low` to `high`, both included. */
export function between(random: () => number, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** `list` in another order; `list` stays as it is. */
export function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const result = [...list];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const other = between(random, 0, last);
    const kept = result[last] as T;
    result[last] = result[other] as T;
    result[other] = kept;
  }
  return result;
}

/** Bytes that no compressor makes smaller. */
export function noise(seed: number, length: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeInt32LE(seed | 0);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

const words = ["kernel", "boot", "the", "of", "mount", "/usr/lib", "error", "0x1f", "disk", "sector", "\n", "a", "systemd", "="];

/** Text of words and numbers, never the same line twice: compresses to about a third. */
export function text(seed: number, length: number): Buffer {
  const random = randomNumbers(seed);
  let result = `# ${seed}\n`;
  while (result.length < length)
    result += `${words[between(random, 0, words.length - 1)] ?? ""} ${random() < 0.2 ? between(random, 0, 99999) : ""}`;
  return Buffer.from(result.slice(0, length), "latin1");
}

/** Runs of noise, of text and of zeros, each a few times 512 bytes long; begins with noise, so that no block is only zeros by chance. */
export function mixed(seed: number, length: number): Buffer {
  const random = randomNumbers(seed);
  const result = Buffer.alloc(length);
  let at = 0;
  for (let run = 0; at < length; run += 1) {
    const size = Math.min(length - at, 512 * between(random, 1, 12));
    const kind = run === 0 ? 0 : between(random, 0, 2);
    if (kind === 0) noise(seed * 1009 + run, size).copy(result, at);
    if (kind === 1) text(seed * 1009 + run, size).copy(result, at);
    at += size;
  }
  return result;
}
