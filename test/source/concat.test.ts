import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatSource } from "../../src/source/concat.js";
import { memorySource } from "../../src/source/memory.js";
import { sliceSource } from "../../src/source/slice.js";
import { readBytes, type Source } from "../../src/source/source.js";
import { noise } from "../support/content.js";
import { difference, imageErrorOf } from "../support/reading.js";

/** `content` in parts of these sizes. */
function partsOf(content: Uint8Array, sizes: readonly number[]): Source[] {
  let at = 0;
  return sizes.map((size, index) => memorySource(`part ${index}`, content.subarray(at, (at += size))));
}

describe("sources one behind the other", () => {
  test("are read like one, in any parts and any range", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 12 }), fc.nat(), fc.nat(), (sizes, a, b) => {
        const content = noise(
          1,
          sizes.reduce((sum, size) => sum + size, 0),
        );
        const whole = concatSource("whole", partsOf(content, sizes));
        expect(whole.size).toBe(content.length);
        const position = a % (content.length + 1);
        const length = b % (content.length - position + 1);
        expect(difference(readBytes(whole, position, length), content.subarray(position, position + length))).toBeUndefined();
      }),
    );
  });

  test("refuse what leaves them, under their own name", () => {
    const whole = concatSource("whole", partsOf(noise(1, 10), [4, 6]));
    for (const [position, length] of [
      [0, 11],
      [10, 1],
      [-1, 1],
      [9, 2],
      [11, 0],
    ] as const) {
      const error = imageErrorOf(() => readBytes(whole, position, length));
      expect(error).toMatchObject({ code: "TRUNCATED", file: "whole", position });
    }
    expect(readBytes(whole, 10, 0)).toHaveLength(0);
  });

  test("nothing at all is empty", () => {
    for (const parts of [[], partsOf(noise(1, 0), [0, 0])]) {
      const whole = concatSource("whole", parts);
      expect(whole.size).toBe(0);
      expect(readBytes(whole, 0, 0)).toHaveLength(0);
      expect(imageErrorOf(() => readBytes(whole, 0, 1))?.code).toBe("TRUNCATED");
    }
  });

  test("close each part once, the empty ones too", () => {
    const closed: string[] = [];
    const parts = partsOf(noise(1, 5), [0, 2, 0, 3]).map((part): Source => ({ ...part, close: () => void closed.push(part.name) }));
    concatSource("whole", parts).close();
    expect(closed).toEqual(["part 0", "part 1", "part 2", "part 3"]);
  });

  test("tell holes where a part knows of them; runs end with the part", () => {
    const [first, second, third] = partsOf(noise(1, 30), [10, 10, 10]) as [Source, Source, Source];
    const asked: number[] = [];
    const holes: Source = {
      ...second,
      run: (position) => (asked.push(position), { data: position >= 4, length: position >= 4 ? 6 : 4 - position }),
    };
    const whole = concatSource("whole", [first, holes, third]);
    expect(whole.run?.(3)).toEqual({ data: true, length: 7 });
    expect(whole.run?.(10)).toEqual({ data: false, length: 4 });
    expect(whole.run?.(12)).toEqual({ data: false, length: 2 });
    expect(whole.run?.(14)).toEqual({ data: true, length: 6 });
    expect(whole.run?.(29)).toEqual({ data: true, length: 1 });
    expect(asked).toEqual([0, 2, 4]);
    expect(concatSource("whole", [first, third]).run).toBeUndefined();
  });

  test("have no descriptor, even if the parts do", () => {
    const [part] = partsOf(noise(1, 3), [3]) as [Source];
    expect(concatSource("whole", [{ ...part, file: { fd: 3, offset: 0 } }, part]).file).toBeUndefined();
  });

  test("of slices of sources", () => {
    const content = noise(2, 100);
    const whole = memorySource("m", content);
    const swapped = concatSource("swapped", [sliceSource(whole, 60, 40), sliceSource(whole, 0, 60)]);
    expect(difference(readBytes(swapped, 0, 100), Buffer.concat([content.subarray(60), content.subarray(0, 60)]))).toBeUndefined();
  });
});
