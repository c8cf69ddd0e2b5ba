import { describe, expect, test } from "vitest";
import { lzip } from "../../../src/source/packed/lzip.js";
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

const content = mixed(11, 150_003);
const pack = (some: Uint8Array, ...args: readonly string[]) => filter("lzip", ["-c", ...args], some);

function samples(): readonly PackedSample[] {
  const parts = [content.subarray(0, 50_000), Buffer.alloc(0), content.subarray(50_000)];
  return [
    { name: "one member", packed: pack(content), content },
    { name: "several members", packed: pack(content, "-b", "100000"), content },
    { name: "concatenated", packed: Buffer.concat(parts.map((part) => pack(part))), content },
  ];
}

describe.skipIf(!requireProgram("lzip"))("lzip", () => {
  describePacked(lzip, samples(), { tries: 20 });

  test.each(["-0", "-1", "-3", "-6", "-9", "-s4KiB", "-m5"])("%s", (option) => {
    expect(difference(unpackAll(lzip, pack(content, option)), content)).toBeUndefined();
  });

  test.each([0, 1, 2, 65_536])("%d bytes", (size) => {
    const some = noise(3, size);
    expect(difference(unpackAll(lzip, pack(some)), some)).toBeUndefined();
  });

  test("damage in one member is an error for what that member holds", () => {
    const parts = [noise(1, 600_000), noise(2, 600_000), noise(3, 600_000)];
    const packed = Buffer.concat(parts.map((part) => pack(part, "-0")));
    const { source } = openPacked(lzip, flipped(packed, Math.floor(packed.length / 2)));
    expect(imageErrorOf(() => readBytes(source, 600_000, 1))?.code).toBe("CORRUPT");
    expect(difference(readBytes(source, 0, 600_000), parts[0] ?? Buffer.alloc(0))).toBeUndefined();
    checkRanges(source, Buffer.concat(parts).subarray(0, 600_000), 4, 4);
    source.close();
  });

  test("each check and size of a member is looked at", () => {
    const packed = pack(content);
    // CRC-32 of what is decoded, its size, the size of the member.
    for (const at of [20, 17, 16, 8])
      expectRefusal(() => unpackAll(lzip, flipped(packed, packed.length - at, 1)), at === 8 ? "TRUNCATED" : "CORRUPT", /lzip member/);
  });

  test("padding is no damage, anything else behind the members is", () => {
    const packed = pack(content);
    for (const size of [1, 2, 3, 8, 700]) {
      expect(difference(unpackAll(lzip, Buffer.concat([packed, Buffer.alloc(size)])), content)).toBeUndefined();
    }
    expectRefusal(() => unpackAll(lzip, Buffer.concat([packed, Buffer.from("more")])), "TRUNCATED", /something follows it/);
  });

  test("what cannot be decoded is refused by name", () => {
    const packed = pack(content);
    const dictionary = Buffer.from(packed);
    dictionary[5] = 29;
    expectRefusal(() => unpackAll(lzip, dictionary), "UNSUPPORTED", /dictionary of 536870912 bytes, the limit is 268435456/);
    const old = Buffer.from(packed);
    old[4] = 0;
    expectRefusal(() => unpackAll(lzip, old), "UNSUPPORTED", /of version 0/);
  });
});
