import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memorySource } from "../../src/source/memory.js";
import { readBytes, type Source } from "../../src/source/source.js";
import { swabSource } from "../../src/source/swab.js";
import { noise } from "../support/content.js";
import { requireProgram } from "../support/qemu.js";
import { imageErrorOf } from "../support/reading.js";
import { inTempDirectory } from "../support/temp.js";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Byte by byte, so that it shares nothing with what it judges. */
function swapped(content: Buffer): Buffer {
  return Buffer.from(content.map((byte, at) => content[at % 2 === 0 ? at + 1 : at - 1] ?? byte));
}

describe("a source with the bytes of each pair swapped", () => {
  test.each([0, 1, 2, 3, 1000, 1001])("of %i bytes, read whole", (size) => {
    const content = noise(size, size);
    const source = swabSource(memorySource("inner", content));
    expect(source).toMatchObject({ name: "inner", size });
    expect(readBytes(source, 0, size).equals(swapped(content))).toBe(true);
  });

  test("read anywhere, from odd positions and to odd ends", () => {
    for (const size of [1000, 1001]) {
      const content = noise(7, size);
      const source = swabSource(memorySource("inner", content));
      const expected = swapped(content);
      fc.assert(
        fc.property(fc.nat(size), fc.nat(size), (a, b) => {
          const [from, to] = [Math.min(a, b), Math.max(a, b)];
          const target = Buffer.alloc(to - from, 0xee);
          source.read(target, from);
          expect(target.equals(expected.subarray(from, to))).toBe(true);
        }),
      );
    }
  });

  test("twice is as it was", () => {
    const content = noise(9, 777);
    expect(readBytes(swabSource(swabSource(memorySource("inner", content))), 0, 777).equals(content)).toBe(true);
  });

  test("refuses what leaves it, and has no descriptor", () => {
    const source = swabSource({ ...memorySource("inner", noise(1, 10)), file: { fd: 7, offset: 0 }, modified: 5 });
    for (const [position, length] of [
      [0, 11],
      [10, 1],
      [-1, 1],
    ] as const) {
      expect(imageErrorOf(() => readBytes(source, position, length))).toMatchObject({ code: "TRUNCATED" });
    }
    expect(source.file).toBeUndefined();
    expect(source.modified).toBe(5);
  });

  test("a hole is one of whole pairs", () => {
    for (const size of [40, 41]) {
      fc.assert(
        fc.property(fc.array(fc.boolean(), { minLength: size, maxLength: size }), fc.nat(size - 1), (data, position) => {
          const run = (at: number) => {
            let end = at;
            while (end < size && data[end] === data[at]) end += 1;
            return { data: data[at] === true, length: end - at };
          };
          const source: Source = swabSource({ ...memorySource("inner", Buffer.alloc(size)), run });
          const found = source.run?.(position) ?? { data: true, length: 0 };
          expect(found.length).toBeGreaterThan(0);
          expect(position + found.length).toBeLessThanOrEqual(size);
          for (let at = position; at < position + found.length && !found.data; at += 1) {
            const pair = at - (at % 2);
            expect([data[pair], data[pair + 1]]).not.toContain(true);
          }
        }),
      );
    }
    expect(swabSource(memorySource("inner", Buffer.alloc(4))).run).toBeUndefined();
  });

  test("closes what it is made of", () => {
    let closed = 0;
    swabSource({ ...memorySource("inner", Buffer.alloc(2)), close: () => void (closed += 1) }).close();
    expect(closed).toBe(1);
  });

  test.skipIf(!requireProgram("dd"))("is what dd makes with conv=swab", () => {
    for (const size of [4096, 4099]) {
      const content = noise(3, size);
      inTempDirectory((directory) => {
        writeFileSync(join(directory, "in"), content);
        const { status } = spawnSync("dd", ["if=in", "of=out", "conv=swab", "status=none"], { cwd: directory });
        expect(status).toBe(0);
        const expected = readFileSync(join(directory, "out"));
        expect(readBytes(swabSource(memorySource("inner", content)), 0, size).equals(expected)).toBe(true);
      });
    }
  });
});
