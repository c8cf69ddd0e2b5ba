// How tests read a compressed file: index, open, read; and what they want to know about it.
import type { IndexOptions } from "../../src/source/packed/driver.js";
import type { Source } from "../../src/source/source.js";
import { between } from "./content.js";
import { difference } from "./reading.js";

/** Options that keep what was said. */
export function indexOptions(degraded = false): IndexOptions & { readonly said: string[]; readonly steps: number[] } {
  const said: string[] = [];
  const steps: number[] = [];
  return {
    degraded,
    damage: (message) => void said.push(message),
    progress: (done) => void steps.push(done),
    said,
    steps,
  };
}

/** All of `source`, in pieces of `piece` bytes; what is left untouched shows as 0xEE. */
export function allOf(source: Source, piece = 65_537): Buffer {
  const content = Buffer.alloc(source.size, 0xee);
  for (let at = 0; at < content.length; at += piece) source.read(content.subarray(at, at + piece), at);
  return content;
}

/** Where `count` random ranges of `source` differ from `expected`, as words; undefined if none does. */
export function rangesDiffer(source: Source, expected: Uint8Array, random: () => number, count: number): string | undefined {
  for (let round = 0; round < count; round += 1) {
    const position = between(random, 0, source.size);
    const length = between(random, 0, Math.min(source.size - position, between(random, 1, 300_000)));
    const target = Buffer.alloc(length, 0xee);
    source.read(target, position);
    const where = difference(target, expected.subarray(position, position + length));
    if (where !== undefined) return `${length} bytes at ${position}: ${where}`;
  }
  return undefined;
}
