import { describe, expect, test } from "vitest";
import { ascii, big64, bytes, struct, u8, u16, u32, u64 } from "../../src/util/struct.js";

describe("struct", () => {
  const layout = struct("thing", "big", 24, { kind: [0, u8], count: [2, u16], size: [4, u32], position: [8, u64], name: [16, ascii(8)] });

  test("decodes fields at their places", () => {
    const data = Buffer.from("\xff\x07\0\x01\x02\0\0\0\x03\0\0\0\x01\0\0\0\x05abc\0zzzz", "latin1");
    expect(layout.decode(data, 1)).toEqual({ kind: 7, count: 0x102, size: 3, position: 2 ** 32 + 5, name: "abc" });
  });

  test("does not read the neighbours of a short buffer", () => {
    const pool = Buffer.alloc(100, 1);
    expect(() => layout.decode(pool.subarray(10, 33))).toThrow("the thing needs 24 bytes and 23 are there");
  });

  test("refuses numbers over 2^53, but not as bit sets", () => {
    const wide = struct("wide", "little", 8, { value: [0, u64] });
    expect(() => wide.decode(Buffer.alloc(8, 0xff))).toThrow(/over 2\^53/);
    expect(wide.decode(Buffer.from("ffffffffffff1f00", "hex")).value).toBe(2 ** 53 - 1);
    expect(struct("bits", "little", 8, { value: [0, big64] }).decode(Buffer.alloc(8, 0xff)).value).toBe(2n ** 64n - 1n);
  });

  test("a layout that cannot be is refused when it is declared", () => {
    expect(() => struct("x", "big", 8, { a: [0, u32], b: [3, u8] })).toThrow(/overlaps/);
    expect(() => struct("x", "big", 8, { a: [4, bytes(5)] })).toThrow(/leaves/);
  });
});
