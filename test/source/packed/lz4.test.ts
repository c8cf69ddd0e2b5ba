import { describe, expect, test } from "vitest";
import { lz4 } from "../../../src/source/packed/lz4.js";
import { xxh32 } from "../../../src/source/packed/xxh32.js";
import { readBytes } from "../../../src/source/source.js";
import { mixed, noise, text } from "../../support/content.js";
import {
  checkRanges,
  describePacked,
  expectRefusal,
  filter,
  flipped,
  openPacked,
  type PackedSample,
  unpackAll,
} from "../../support/packed-contract.js";
import { requireProgram } from "../../support/qemu.js";
import { difference, imageErrorOf } from "../../support/reading.js";

const content = mixed(10, 200_003);
const pack = (some: Uint8Array, ...args: readonly string[]) => filter("lz4", ["-c", ...args], some);

function samples(): readonly PackedSample[] {
  return [
    { name: "as lz4 writes it", packed: pack(content), content },
    { name: "small blocks with checks", packed: pack(content, "-B4", "-BX"), content },
    { name: "small linked blocks", packed: pack(content, "-B4", "-BD"), content },
    { name: "legacy", packed: pack(content, "-l"), content, checked: false },
    {
      name: "concatenated",
      packed: Buffer.concat([pack(content.subarray(0, 1000), "-l"), pack(content.subarray(1000))]),
      content,
      checked: false,
    },
    { name: "without a check", packed: pack(content, "--no-frame-crc"), content, checked: false },
    { name: "with its size", packed: pack(content, "--content-size", "-9"), content },
  ];
}

describe("xxh32", () => {
  test.each([
    ["", 0x02cc5d05],
    ["a", 0x550d7456],
    ["abc", 0x32d153ff],
    ["Nobody inspects the spammish repetition", 0xe2293b2f],
  ])("of %j", (some, expected) => {
    expect(xxh32(Buffer.from(some))).toBe(expected);
  });
});

describe.skipIf(!requireProgram("lz4"))("lz4", () => {
  describePacked(lz4, samples(), { tries: 24 });

  test.each(["-1", "-3", "-9", "-12", "--fast=9"])("level %s", (level) => {
    expect(difference(unpackAll(lz4, pack(content, level)), content)).toBeUndefined();
  });

  test.each(["-B4", "-B5", "-B6", "-B7", "-B32", "-B65537"])("blocks %s, linked and not", (size) => {
    for (const linked of ["-BI", "-BD"]) {
      const { source } = openPacked(lz4, pack(content, size, linked, "-BX"));
      expect(difference(readBytes(source, 0, source.size), content)).toBeUndefined();
      checkRanges(source, content, 3, 5);
      source.close();
    }
  });

  test.each([0, 1, 2, 65_536])("%d bytes", (size) => {
    const some = noise(3, size);
    for (const kind of ["-B4", "-BD", "-l"]) expect(difference(unpackAll(lz4, pack(some, kind)), some)).toBeUndefined();
  });

  test("linked blocks are read from the nearest restart point", () => {
    const some = Buffer.concat(Array.from({ length: 60 }, (_, part) => text(part % 7, 2 ** 18)));
    const { source, index } = openPacked(lz4, pack(some, "-B4", "-BD"));
    checkRanges(source, some, 21, 30);
    // 15 MiB: windows for all restart points but the first.
    expect(index.length).toBeGreaterThan(3 * 5000);
    expect(index.length).toBeLessThan(3 * 65_536 + 1000);
    source.close();
  });

  test("legacy blocks of 8 MiB", () => {
    const some = Buffer.concat([text(1, 2 ** 20), Buffer.alloc(17 * 2 ** 20, 1), noise(1, 5000)]);
    const { source } = openPacked(lz4, pack(some, "-l"));
    expect(difference(readBytes(source, 0, source.size), some)).toBeUndefined();
    checkRanges(source, some, 22, 10);
    source.close();
  });

  test("damage is told where it is", () => {
    const packed = pack(noise(1, 300_000), "-B4", "-BX", "--no-frame-crc");
    expectRefusal(() => unpackAll(lz4, flipped(packed, 150_000)), "CORRUPT", /the lz4 block fails its check/);
    expectRefusal(() => unpackAll(lz4, flipped(pack(noise(1, 300_000)), 150_000)), "CORRUPT", /the lz4 frame fails its check/);
    expectRefusal(() => unpackAll(lz4, flipped(packed, 5, 0x20)), "CORRUPT", /header of the lz4 frame fails its check/);
    expectRefusal(() => unpackAll(lz4, packed.subarray(0, -2)), "TRUNCATED", /ends inside an lz4 frame/);
    expectRefusal(() => unpackAll(lz4, Buffer.concat([packed, Buffer.from("more")])), "CORRUPT", /no lz4 frame begins here/);
    const found = unpackAll(lz4, flipped(packed, 150_000), { degraded: true });
    expect(difference(found, noise(1, 300_000).subarray(0, 131_072))).toBeUndefined();
  });

  test("a frame with a dictionary is refused by name", () => {
    const header = Buffer.from("04224d1861404d0000000000000000", "hex");
    header[10] = (xxh32(header.subarray(4, 10)) >> 8) & 0xff;
    expectRefusal(() => unpackAll(lz4, header), "UNSUPPORTED", /needs a dictionary/);
    const later = Buffer.from("04224d18a0400000000000", "hex");
    expect(imageErrorOf(() => unpackAll(lz4, later))?.message).toMatch(/version 2/);
  });
});
