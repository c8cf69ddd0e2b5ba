import { describe, expect, test } from "vitest";
import { createTableCache, loadTable32, loadTable64 } from "../../src/formats/tables.js";
import { memorySource } from "../../src/source/memory.js";
import { noise } from "../support/content.js";
import { imageErrorOf } from "../support/reading.js";

const content = noise(1, 1000);
const source = memorySource("m", content);
const orders = ["big", "little"] as const;

describe("tables", () => {
  test.each(orders)("of 32-bit words, %s-endian, at any position", (order) => {
    for (const position of [0, 3, 600]) {
      const expected = Array.from({ length: 100 }, (_, index) => {
        const at = position + index * 4;
        return order === "big" ? content.readUInt32BE(at) : content.readUInt32LE(at);
      });
      const table = loadTable32(source, position, 100, order);
      expect(table).toBeInstanceOf(Uint32Array);
      expect([...table]).toEqual(expected);
    }
  });

  test.each(orders)("of 64-bit words, %s-endian: the high half first", (order) => {
    for (const position of [0, 3, 200]) {
      const expected = Array.from({ length: 100 }, (_, index) => {
        const at = position + index * 8;
        const value = order === "big" ? content.readBigUInt64BE(at) : content.readBigUInt64LE(at);
        return [Number(value >> 32n), Number(value & 0xffff_ffffn)];
      });
      expect([...loadTable64(source, position, 100, order)]).toEqual(expected.flat());
    }
  });

  test("of 64-bit words are big-endian unless told otherwise", () => {
    expect([...loadTable64(source, 0, 10)]).toEqual([...loadTable64(source, 0, 10, "big")]);
  });

  test("without entries are empty", () => {
    for (const order of orders) {
      expect(loadTable32(source, 1000, 0, order)).toHaveLength(0);
      expect(loadTable64(source, 1000, 0, order)).toHaveLength(0);
    }
  });

  test("that leave the file are refused", () => {
    expect(imageErrorOf(() => loadTable32(source, 997, 1, "little"))?.code).toBe("TRUNCATED");
    expect(imageErrorOf(() => loadTable64(source, 996, 1, "little"))?.code).toBe("TRUNCATED");
    expect(loadTable32(source, 996, 1, "little")).toHaveLength(1);
    expect(loadTable64(source, 992, 1)).toHaveLength(2);
  });

  test("are kept as long as there is room, the last used ones longest", () => {
    const loaded: number[] = [];
    const load = createTableCache(3 * 40, (position) => {
      loaded.push(position);
      return new Uint32Array(10).fill(position);
    });
    for (const position of [0, 1, 2, 0, 1, 2]) expect(load(position)[9]).toBe(position);
    expect(loaded).toEqual([0, 1, 2]);
    load(0);
    load(3);
    for (const position of [0, 2, 3, 1]) expect(load(position)[0]).toBe(position);
    expect(loaded).toEqual([0, 1, 2, 3, 1]);
  });

  test("larger than all the room are loaded each time, and an error is not kept", () => {
    let loads = 0;
    const load = createTableCache(8, (position) => {
      loads += 1;
      if (position === 7) throw new Error("no");
      return new Uint32Array(10);
    });
    load(0);
    load(0);
    expect(loads).toBe(2);
    expect(() => load(7)).toThrow("no");
    expect(() => load(7)).toThrow("no");
    expect(loads).toBe(4);
  });
});
