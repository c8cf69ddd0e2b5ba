import { describe, expect, test } from "vitest";
import { memorySource } from "../../src/source/memory.js";
import { sliceSource } from "../../src/source/slice.js";
import { readBytes, type Source } from "../../src/source/source.js";
import { noise } from "../support/content.js";
import { imageErrorOf } from "../support/reading.js";

const content = noise(1, 1000);
const inner = memorySource("inner", content);

describe("a slice of a source", () => {
  test("has the bytes from its position on, and only those", () => {
    const slice = sliceSource(inner, 333, 500);
    expect(slice).toMatchObject({ name: "inner", size: 500 });
    expect(readBytes(slice, 0, 500).equals(content.subarray(333, 833))).toBe(true);
    expect(readBytes(slice, 499, 1).equals(content.subarray(832, 833))).toBe(true);
    for (const [position, length] of [
      [0, 501],
      [500, 1],
      [-1, 1],
      [-333, 10],
    ] as const) {
      expect(imageErrorOf(() => readBytes(slice, position, length))).toMatchObject({ code: "TRUNCATED", position });
    }
  });

  test("of a slice", () => {
    const slice = sliceSource(sliceSource(inner, 100, 800), 50, 10);
    expect(readBytes(slice, 0, 10).equals(content.subarray(150, 160))).toBe(true);
  });

  test("knows the descriptor, and where in the file it begins", () => {
    const source: Source = { ...inner, file: { fd: 7, offset: 20 } };
    expect(sliceSource(source, 30, 5).file).toEqual({ fd: 7, offset: 50 });
    expect(sliceSource(sliceSource(source, 30, 50), 3, 5).file).toEqual({ fd: 7, offset: 53 });
    expect(sliceSource(inner, 30, 5).file).toBeUndefined();
  });

  test("knows its holes, cut to its size", () => {
    const source: Source = { ...inner, run: (position) => ({ data: position % 2 === 0, length: 100 }) };
    const slice = sliceSource(source, 31, 60);
    expect(slice.run?.(0)).toEqual({ data: false, length: 60 });
    expect(slice.run?.(59)).toEqual({ data: true, length: 1 });
    expect(sliceSource(source, 0, 500).run?.(2)).toEqual({ data: true, length: 100 });
    expect(sliceSource(inner, 0, 5).run).toBeUndefined();
  });

  test("closes what it is a slice of", () => {
    let closed = 0;
    sliceSource({ ...inner, close: () => void (closed += 1) }, 0, 1).close();
    expect(closed).toBe(1);
  });
});
