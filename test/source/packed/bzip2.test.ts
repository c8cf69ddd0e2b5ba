import { describe, expect, test } from "vitest";
import { memorySource } from "../../../src/source/memory.js";
import { bzip2 } from "../../../src/source/packed/bzip2.js";
import { findMagic, magicAt } from "../../../src/source/packed/bzip2-bits.js";
import { readBytes } from "../../../src/source/source.js";
import { between, mixed, noise, randomNumbers } from "../../support/content.js";
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

const content = mixed(9, 350_003);
const pack = (some: Uint8Array, ...args: readonly string[]) => filter("bzip2", ["-c", ...args], some);

function samples(): readonly PackedSample[] {
  const parts = [content.subarray(0, 120_000), Buffer.alloc(0), content.subarray(120_000)];
  return [
    { name: "one block", packed: pack(content.subarray(0, 100_000)), content: content.subarray(0, 100_000) },
    { name: "several blocks", packed: pack(content, "-1"), content },
    { name: "concatenated streams", packed: Buffer.concat(parts.map((part, at) => pack(part, `-${at + 1}`))), content },
  ];
}

describe.skipIf(!requireProgram("bzip2"))("bzip2", () => {
  describePacked(bzip2, samples(), { tries: 20 });

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9])("level %d", (level) => {
    const some = mixed(level, level * 40_000 + 77_777);
    const { source } = openPacked(bzip2, pack(some, `-${level}`));
    expect(difference(readBytes(source, 0, source.size), some)).toBeUndefined();
    checkRanges(source, some, level, 3);
    source.close();
  });

  test.each([0, 1, 2, 65_536])("%d bytes", (size) => {
    const some = noise(3, size);
    expect(difference(unpackAll(bzip2, pack(some)), some)).toBeUndefined();
  });

  test("blocks of zeros decode to many MiB each", () => {
    const some = Buffer.concat([Buffer.alloc(60 * 2 ** 20), noise(1, 1000)]);
    const { source } = openPacked(bzip2, pack(some));
    expect(source.note).toMatch(/^It has a bzip2 block of 43.8 MiB/);
    checkRanges(source, some, 5, 4, 3_000_000);
    expect(difference(readBytes(source, some.length - 2000, 2000), some.subarray(-2000))).toBeUndefined();
    expect(difference(readBytes(source, 0, 2000), some.subarray(0, 2000))).toBeUndefined();
    source.close();
  });

  test("padding is no damage, anything else behind the streams is", () => {
    const packed = pack(content);
    expect(difference(unpackAll(bzip2, Buffer.concat([packed, Buffer.alloc(700)])), content)).toBeUndefined();
    expectRefusal(() => unpackAll(bzip2, Buffer.concat([packed, Buffer.from("more")])), "CORRUPT", /no bzip2 stream begins here/);
    expect(difference(unpackAll(bzip2, Buffer.concat([packed, Buffer.from("more")]), { degraded: true }), content)).toBeUndefined();
  });

  test("a block that has changed since is an error for what it holds", () => {
    const packed = pack(content, "-1");
    const { index } = openPacked(bzip2, packed);
    const source = bzip2.open(memorySource("test", flipped(packed, Math.floor(packed.length / 2))), index);
    if (!source) expect.fail("the index was not taken");
    expect(imageErrorOf(() => readBytes(source, content.length / 2, 1))?.code).toBe("CORRUPT");
    expect(difference(readBytes(source, 0, 99_000), content.subarray(0, 99_000))).toBeUndefined();
    expect(difference(readBytes(source, 320_000, 30_000), content.subarray(320_000, 350_000))).toBeUndefined();
    source.close();
  });

  test("a stream whose checks are wrong is refused", () => {
    const packed = pack(content, "-1");
    // The check of the stream stands in its last 32 bits, but for the padding.
    expectRefusal(() => unpackAll(bzip2, flipped(packed, packed.length - 3)), "CORRUPT", /the bzip2 stream fails its check/);
    expectRefusal(() => unpackAll(bzip2, flipped(packed, 10)), "CORRUPT", /the bzip2 block is damaged/);
    expectRefusal(() => unpackAll(bzip2, packed.subarray(0, 5000)), "TRUNCATED", /ends inside a bzip2 block/);
  });

  test("the mark of a block inside of one, by chance, is passed over", () => {
    // Bytes that do not compress are coded in eight bits each, or nearly: so the mark is searched for as content that makes it.
    const packed = pack(content.subarray(0, 50_000));
    const marks = [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
    for (let bit = 0; bit < 8; bit += 1) {
      const bytes = Buffer.alloc(40, 0xa5);
      for (let at = 0; at < 48; at += 1) {
        const value = (marks[at >> 3]! >> (7 - (at & 7))) & 1;
        const place = 80 + bit + at;
        bytes[place >> 3] = (bytes[place >> 3]! & ~(0x80 >> (place & 7))) | (value * (0x80 >> (place & 7)));
      }
      expect(findMagic(bytes, 0)).toBe(80 + bit);
      expect(findMagic(bytes, 80 + bit)).toBe(80 + bit);
      expect(findMagic(bytes, 81 + bit)).toBeUndefined();
      expect(magicAt(bytes, 80 + bit)).toBe("block");
    }
    expect(magicAt(packed, 32)).toBe("block");
    const random = randomNumbers(6);
    expect(findMagic(noise(between(random, 1, 99), 2_000_000), 0)).toBeUndefined();
  });
});
