import { describe, expect, test } from "vitest";
import { createBlockCache } from "../../src/disk/cache.js";
import type { PackedBlock } from "../../src/formats/driver.js";
import { memorySource } from "../../src/source/memory.js";

/** A block whose bytes are its number; counts how often it was decoded. */
function blockOf(number: number, size: number) {
  let decoded = 0;
  const block: PackedBlock = {
    key: `b${number}`,
    size,
    source: memorySource("image", new Uint8Array()),
    position: 0,
    unpack(target) {
      expect(target.length).toBe(size);
      decoded += 1;
      target.fill(number);
      target[size - 1] = 255;
    },
  };
  return { block, decoded: () => decoded };
}

describe("cache of decoded blocks", () => {
  test("decodes a block once for many small reads", () => {
    const cache = createBlockCache(1000);
    const { block, decoded } = blockOf(7, 100);
    const target = Buffer.alloc(10);
    cache.read(block, target, 0);
    expect(target.equals(Buffer.alloc(10, 7))).toBe(true);
    cache.read(block, target, 90);
    expect(target[9]).toBe(255);
    expect(decoded()).toBe(1);
  });

  test("drops the block that was not used for longest, and its memory is used again", () => {
    const cache = createBlockCache(300);
    const blocks = [1, 2, 3, 4].map((number) => blockOf(number, 100));
    const target = Buffer.alloc(50);
    for (const { block } of blocks.slice(0, 3)) cache.read(block, target, 0);
    cache.read(blocks[0]!.block, target, 0);
    cache.read(blocks[3]!.block, target, 0);
    expect(target.equals(Buffer.alloc(50, 4))).toBe(true);
    cache.read(blocks[0]!.block, target, 0);
    expect(target.equals(Buffer.alloc(50, 1))).toBe(true);
    expect(blocks.map(({ decoded }) => decoded())).toEqual([1, 1, 1, 1]);
    cache.read(blocks[1]!.block, target, 0);
    expect(target.equals(Buffer.alloc(50, 2))).toBe(true);
    expect(blocks[1]!.decoded()).toBe(2);
  });

  test("of blocks larger than the limit, the last one is kept", () => {
    const cache = createBlockCache(10);
    const blocks = [9, 8].map((number) => blockOf(number, 100));
    const target = Buffer.alloc(3);
    const readOf = (index: number) => {
      cache.read(blocks[index]!.block, target, 97);
      return [...target];
    };
    expect([readOf(0), readOf(0), readOf(1), readOf(1), readOf(0)]).toEqual([9, 9, 8, 8, 9].map((number) => [number, number, 255]));
    expect(blocks.map(({ decoded }) => decoded())).toEqual([2, 1]);
  });

  test("with a limit of 0 nothing is kept", () => {
    const cache = createBlockCache(0);
    const { block, decoded } = blockOf(9, 100);
    const target = Buffer.alloc(3);
    for (let time = 0; time < 3; time += 1) cache.read(block, target, 97);
    expect([...target]).toEqual([9, 9, 255]);
    expect(decoded()).toBe(3);
  });

  test("a large block that fails to decode spoils none that was kept", () => {
    const cache = createBlockCache(10);
    const { block } = blockOf(9, 100);
    const broken: PackedBlock = {
      ...block,
      key: "broken",
      unpack: (target) => {
        target.fill(1);
        throw new Error("no");
      },
    };
    const target = Buffer.alloc(3);
    cache.read(block, target, 0);
    expect(() => cache.read(broken, target, 0)).toThrow("no");
    expect(() => cache.read(broken, target, 0)).toThrow("no");
    cache.read(block, target, 0);
    expect([...target]).toEqual([9, 9, 9]);
  });

  test("what fails to decode is not kept", () => {
    const cache = createBlockCache(1000);
    const { block } = blockOf(5, 100);
    let fails = true;
    const flaky: PackedBlock = {
      ...block,
      unpack: (target) => {
        if (fails) throw new Error("no");
        block.unpack(target);
      },
    };
    const target = Buffer.alloc(10);
    expect(() => cache.read(flaky, target, 0)).toThrow("no");
    fails = false;
    cache.read(flaky, target, 0);
    expect(target.equals(Buffer.alloc(10, 5))).toBe(true);
  });
});
