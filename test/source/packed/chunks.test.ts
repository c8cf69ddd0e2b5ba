import { describe, expect, test } from "vitest";
import { type Chunks, chunkedSource } from "../../../src/source/packed/chunks.js";
import { ImageError } from "../../../src/util/errors.js";
import { noise, randomNumbers } from "../../support/content.js";
import { allOf, rangesDiffer } from "../../support/packed-reading.js";
import { difference, imageErrorOf } from "../../support/reading.js";

const content = noise(1, 10_000);
/** Chunks of very different sizes, some of no bytes. */
const starts = [0, 0, 100, 101, 101, 4000, 4096, 9999, 10_000];

function chunked(more: Partial<Chunks> = {}) {
  const decoded: number[] = [];
  const buffers = new Set<ArrayBufferLike>();
  let closed = 0;
  const source = chunkedSource({
    name: "x",
    size: content.length,
    count: starts.length - 1,
    start: (index) => starts[index] ?? 0,
    decode(index, target) {
      decoded.push(index);
      buffers.add(target.buffer);
      content.copy(target, 0, starts[index], starts[index + 1]);
    },
    limit: 1e6,
    close: () => (closed += 1),
    ...more,
  });
  return { source, decoded, buffers, closed: () => closed };
}

describe("reading", () => {
  test("any range gives the bytes, with any limit", () => {
    for (const limit of [0, 1, 150, 5000, 1e6]) {
      const { source } = chunked({ limit });
      expect(rangesDiffer(source, content, randomNumbers(limit), 60)).toBeUndefined();
      expect(difference(allOf(source, 77), content)).toBeUndefined();
    }
  });

  test("in order, every chunk is decoded once, even where nothing can be kept", () => {
    const { source, decoded } = chunked({ limit: 0 });
    allOf(source, 33);
    expect(decoded).toEqual([1, 2, 4, 5, 6, 7]);
  });

  test("a whole chunk is decoded to where it is wanted, and not kept", () => {
    const { source, decoded, buffers } = chunked();
    const target = Buffer.alloc(4000 - 101 + 96);
    source.read(target, 101);
    expect(decoded).toEqual([4, 5]);
    expect([...buffers]).toEqual([target.buffer]);
  });

  test("what is kept is not decoded again; what was not used for longest goes first", () => {
    const { source, decoded } = chunked({ limit: 3899 + 96 });
    const byte = Buffer.alloc(1);
    for (const position of [200, 4001, 300, 4002, 5000, 4003]) source.read(byte, position);
    expect(decoded).toEqual([4, 5, 6, 5]);
    const other = chunked({ limit: 3899 + 96 });
    for (const position of [4001, 200, 4002, 5, 4003]) other.source.read(byte, position);
    expect(other.decoded).toEqual([5, 4, 1]);
  });

  test("memory is used again", () => {
    const { source, buffers } = chunked({ limit: 6000 });
    for (let round = 0; round < 20; round += 1) {
      source.read(Buffer.alloc(1), 200);
      source.read(Buffer.alloc(1), 5000);
    }
    expect(buffers.size).toBeLessThanOrEqual(22);
  });

  test("a driver that knows where a chunk is is asked", () => {
    const asked: number[] = [];
    const { source } = chunked({
      locate(position) {
        asked.push(position);
        return starts.findLastIndex((start) => start <= position);
      },
    });
    expect(rangesDiffer(source, content, randomNumbers(4), 60)).toBeUndefined();
    expect(asked.length).toBeGreaterThan(10);
  });
});

test("a chunk that does not decode fails alone, and is tried again", () => {
  const fails = { now: true };
  const decode = (index: number, target: Uint8Array) => {
    if (index === 4 && fails.now) throw new ImageError("CORRUPT", "damaged");
    content.copy(target, 0, starts[index], starts[index + 1]);
  };
  const { source } = chunked({ decode });
  const target = Buffer.alloc(50);
  for (const position of [80, 200, 3990]) expect(imageErrorOf(() => source.read(target, position))?.code).toBe("CORRUPT");
  source.read(target, 4000);
  expect(difference(target, content.subarray(4000, 4050))).toBeUndefined();
  fails.now = false;
  source.read(target, 3990);
  expect(difference(target, content.subarray(3990, 4040))).toBeUndefined();
});

test("no bytes, its time, its end, and closing", () => {
  const { source, closed } = chunked({ modified: 5 });
  expect(source.modified).toBe(5);
  expect("modified" in chunked().source).toBe(false);
  source.read(Buffer.alloc(0), content.length);
  expect(imageErrorOf(() => source.read(Buffer.alloc(2), content.length - 1))?.code).toBe("TRUNCATED");
  expect(imageErrorOf(() => source.read(Buffer.alloc(1), -1))?.code).toBe("TRUNCATED");
  source.close();
  expect(closed()).toBe(1);
  const empty = chunkedSource({ name: "x", size: 0, count: 0, start: () => 0, decode: () => undefined, limit: 1, close: () => undefined });
  empty.read(Buffer.alloc(0), 0);
  expect(empty.size).toBe(0);
});
