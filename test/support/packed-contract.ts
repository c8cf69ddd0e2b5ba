// What every way to compress owes its readers.
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { memorySource } from "../../src/source/memory.js";
import type { PackedDriver } from "../../src/source/packed/driver.js";
import { packedDriverOf } from "../../src/source/packed/registry.js";
import { readBytes, type Source } from "../../src/source/source.js";
import { ImageError } from "../../src/util/errors.js";
import { between, randomNumbers } from "./content.js";
import { difference, imageErrorOf } from "./reading.js";

export interface PackedSample {
  readonly name: string;
  readonly packed: Uint8Array;
  readonly content: Uint8Array;
  /** Damage is always found: every byte is under a check. */
  readonly checked?: boolean;
}

export interface Opened {
  readonly source: Source & { readonly note?: string };
  readonly index: Uint8Array;
  readonly damage: readonly string[];
}

/** Makes the index of `packed` and opens it. */
export function openPacked(driver: PackedDriver, packed: Uint8Array, { degraded = false } = {}): Opened {
  const damage: string[] = [];
  const inner = memorySource("test", packed);
  const index = driver.index(inner, { degraded, damage: (message) => damage.push(message), progress: () => undefined });
  const source = driver.open(inner, index);
  if (!source) throw new Error(`${driver.name} does not understand its own index`);
  return { source, index, damage };
}

/** All that `packed` decodes to. */
export function unpackAll(driver: PackedDriver, packed: Uint8Array, options = {}): Buffer {
  const { source } = openPacked(driver, packed, options);
  try {
    return readBytes(source, 0, source.size);
  } finally {
    source.close();
  }
}

/** What `program` writes for `input`. */
export function filter(program: string, args: readonly string[], input: Uint8Array): Buffer {
  return execFileSync(program, args, { input, maxBuffer: 2 ** 30, stdio: ["pipe", "pipe", "pipe"] });
}

/** `bytes` with other bits in one place. */
export function flipped(bytes: Uint8Array, at: number, mask = 0xff): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= mask;
  return copy;
}

/** Random ranges of `source`, compared with `content`. */
export function checkRanges(source: Source, content: Uint8Array, seed: number, count: number, longest = 300_000): void {
  const random = randomNumbers(seed);
  for (let round = 0; round < count; round += 1) {
    const position = between(random, 0, content.length);
    const length = Math.min(content.length - position, between(random, 0, longest));
    const target = Buffer.alloc(length, 0xee);
    source.read(target, position);
    expect(difference(target, content.subarray(position, position + length))).toBeUndefined();
  }
}

/** What a damaged file gives: the content, part of it, or a refusal. Anything else fails. */
function outcome(driver: PackedDriver, { packed, content, checked = true }: PackedSample): ImageError | undefined {
  return imageErrorOf(() => {
    const { source } = openPacked(driver, packed);
    try {
      for (let at = 0; at < source.size; at += 100_000) {
        const piece = readBytes(source, at, Math.min(100_000, source.size - at));
        if (checked) expect(difference(piece, content.subarray(at, at + piece.length))).toBeUndefined();
      }
      if (checked) expect(source.size).toBe(content.length);
    } finally {
      source.close();
    }
  });
}

/** `tries`: how many cuts and changed bytes; each decodes the sample. */
export function describePacked(driver: PackedDriver, samples: readonly PackedSample[], { tries = 40 } = {}): void {
  describe.each(samples.map((sample) => [sample.name, sample] as const))(`${driver.name}: %s`, (_, sample) => {
    const { packed, content, checked = true } = sample;

    test("is known by its first bytes", () => {
      expect(packedDriverOf(packed.subarray(0, 32))?.name).toBe(driver.name);
    });

    test("decodes to what was compressed, in whole and in ranges", () => {
      const { source, index } = openPacked(driver, packed);
      expect(difference(readBytes(source, 0, source.size), content)).toBeUndefined();
      checkRanges(source, content, 1, 20);
      const shared = new Uint8Array(new SharedArrayBuffer(index.length + 3), 3);
      shared.set(index);
      const again = driver.open(memorySource("test", packed), shared);
      expect(again).toBeDefined();
      if (again) checkRanges(again, content, 2, 5);
      expect(imageErrorOf(() => source.read(Buffer.alloc(2), content.length - 1))?.code).toBe("TRUNCATED");
      source.close();
    });

    test("an index of another file, another version, or a damaged one is not taken", () => {
      const { index } = openPacked(driver, packed);
      const open = (bytes: Uint8Array, file: Uint8Array = packed) => driver.open(memorySource("test", file), bytes);
      expect(open(index, Buffer.concat([packed, Buffer.of(0)]))).toBeUndefined();
      expect(open(index.subarray(0, -1))).toBeUndefined();
      expect(open(new Uint8Array(0))).toBeUndefined();
      const random = randomNumbers(3);
      for (let round = 0; round < 30; round += 1) expect(open(flipped(index, between(random, 0, index.length - 1)))).toBeUndefined();
    });

    test("cut anywhere it is refused, or gives its beginning where that is asked for", () => {
      const random = randomNumbers(4);
      for (let round = 0; round < tries; round += 1) {
        const length = round < 10 ? packed.length - 1 - round : between(random, 1, packed.length - 1);
        if (length < 1 || !driver.probe(packed.subarray(0, Math.min(length, 64)))) continue;
        const cut = packed.subarray(0, length);
        const error = outcome(driver, { ...sample, packed: cut, checked: false });
        if (error) expect(["TRUNCATED", "CORRUPT"]).toContain(error.code);
        const degraded = imageErrorOf(() => {
          const { source, damage } = openPacked(driver, cut, { degraded: true });
          expect(source.size).toBeLessThanOrEqual(content.length);
          expect(damage.length > 0).toBe(error !== undefined);
          const found = readBytes(source, 0, source.size);
          expect(difference(found, content.subarray(0, found.length))).toBeUndefined();
          source.close();
        });
        // A header that is cut leaves nothing.
        if (degraded) expect(length).toBeLessThan(32);
      }
    });

    test("with any byte changed it is refused, or what is read is right", () => {
      const random = randomNumbers(5);
      for (let round = 0; round < tries; round += 1) {
        const at = round < 7 ? round : round < 14 ? packed.length - 1 - (round - 7) : between(random, 0, packed.length - 1);
        const damaged = flipped(packed, Math.max(0, Math.min(at, packed.length - 1)), 1 << between(random, 0, 7));
        if (!driver.probe(damaged.subarray(0, 64))) continue;
        const error = outcome(driver, { name: sample.name, packed: damaged, content, checked });
        if (error) expect(["TRUNCATED", "CORRUPT", "UNSUPPORTED"]).toContain(error.code);
        imageErrorOf(() => unpackAll(driver, damaged, { degraded: true }));
      }
    });
  });
}

/** Whether `error` is what `action` is refused with. */
export function expectRefusal(action: () => unknown, code: ImageError["code"], message: RegExp): void {
  const error = imageErrorOf(action);
  expect(error).toBeInstanceOf(ImageError);
  expect(error?.code).toBe(code);
  expect(error?.message).toMatch(message);
}
