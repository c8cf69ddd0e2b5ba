import { describe, expect, test } from "vitest";
import { lzop } from "../../../src/source/packed/lzop.js";
import { readBytes } from "../../../src/source/source.js";
import { mixed, noise } from "../../support/content.js";
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

const content = mixed(13, 600_003);
const pack = (some: Uint8Array, ...args: readonly string[]) => filter("lzop", ["-c", ...args], some);

function samples(): readonly PackedSample[] {
  return [
    { name: "as lzop writes it", packed: pack(content), content },
    { name: "with CRC-32", packed: pack(content, "--crc32", "-CC"), content },
    { name: "concatenated", packed: Buffer.concat([pack(content.subarray(0, 300_000)), pack(content.subarray(300_000))]), content },
    { name: "without a check", packed: pack(content, "-F"), content, checked: false },
  ];
}

describe.skipIf(!requireProgram("lzop"))("lzop", () => {
  describePacked(lzop, samples(), { tries: 30 });

  test.each(["-1", "-3", "-7", "-9"])("level %s", (level) => {
    const { source } = openPacked(lzop, pack(content, level));
    expect(difference(readBytes(source, 0, source.size), content)).toBeUndefined();
    checkRanges(source, content, 3, 5);
    source.close();
  });

  test.each([0, 1, 2, 3, 20, 65_536, 300_000])("%d bytes, of noise and of zeros", (size) => {
    for (const some of [noise(3, size), Buffer.alloc(size)]) expect(difference(unpackAll(lzop, pack(some)), some)).toBeUndefined();
  });

  test("damage in one block is an error for what is decoded with it", () => {
    const some = noise(4, 3 * 2 ** 20);
    const packed = pack(some);
    const { source } = openPacked(lzop, flipped(packed, Math.floor(packed.length / 2)));
    expect(imageErrorOf(() => readBytes(source, 1.5 * 2 ** 20, 1))?.message).toMatch(/the lzop block fails its check/);
    expect(difference(readBytes(source, 0, 2 ** 20), some.subarray(0, 2 ** 20))).toBeUndefined();
    expect(difference(readBytes(source, 2 ** 21, 2 ** 20), some.subarray(2 ** 21))).toBeUndefined();
    source.close();
  });

  test("what cannot be decoded is refused by name", () => {
    const packed = pack(content);
    expectRefusal(() => unpackAll(lzop, packed.subarray(0, -3)), "TRUNCATED", /ends inside an lzop file/);
    expectRefusal(() => unpackAll(lzop, flipped(packed, 20)), "CORRUPT", /header of the lzop file fails its check/);
    expectRefusal(() => unpackAll(lzop, Buffer.concat([packed, Buffer.from("more")])), "CORRUPT", /no lzop file begins here/);
    expect(difference(unpackAll(lzop, Buffer.concat([packed, Buffer.alloc(100)])), content)).toBeUndefined();
  });
});
