import { describe, expect, test } from "vitest";
import { lzma } from "../../../src/source/packed/lzma.js";
import { packedDriverOf } from "../../../src/source/packed/registry.js";
import { mixed, noise } from "../../support/content.js";
import { describePacked, expectRefusal, filter, type PackedSample, unpackAll } from "../../support/packed-contract.js";
import { requireProgram } from "../../support/qemu.js";
import { difference } from "../../support/reading.js";

const content = mixed(12, 120_003);
const pack = (some: Uint8Array, ...args: readonly string[]) => filter("xz", ["--format=lzma", "-c", ...args], some);

/** As encoders write it that know the size beforehand: the end mark may stay. */
function withSize(packed: Buffer, size: number): Buffer {
  const copy = Buffer.from(packed);
  copy.writeBigUInt64LE(BigInt(size), 5);
  return copy;
}

function samples(): readonly PackedSample[] {
  return [
    { name: "a stream that ends in a mark", packed: pack(content), content, checked: false },
    { name: "a stream with its size", packed: withSize(pack(content), content.length), content, checked: false },
  ];
}

describe.skipIf(!requireProgram("xz"))("lzma", () => {
  describePacked(lzma, samples(), { tries: 20 });

  test.each(["-0", "-3", "-6", "-9", "--lzma1=dict=96KiB,lc=0,lp=4,pb=4"])("%s", (option) => {
    expect(difference(unpackAll(lzma, pack(content, option)), content)).toBeUndefined();
  });

  test.each([0, 1, 2, 65_536])("%d bytes", (size) => {
    const some = noise(3, size);
    const packed = pack(some);
    expect(packedDriverOf(packed)?.name).toBe("lzma");
    expect(difference(unpackAll(lzma, packed), some)).toBeUndefined();
  });

  test("what is no lzma is not taken for it", () => {
    const packed = pack(content);
    for (const [at, bytes] of [
      [0, [225]],
      [0, [8 + 9]],
      [1, [1]],
      [1, [0, 0, 0, 0]],
      [4, [0x20]],
      [5, [0, 0, 0, 0, 0, 0, 0, 0]],
      [5, [1, 0, 0, 0, 0, 1, 0, 0]],
      [13, [1]],
    ] as const) {
      const changed = Buffer.from(packed);
      changed.set(bytes, at);
      expect(lzma.probe(changed.subarray(0, 64))).toBe(false);
    }
    expect(lzma.probe(Buffer.alloc(64))).toBe(false);
    for (let seed = 0; seed < 200; seed += 1) expect(lzma.probe(noise(seed, 64))).toBe(false);
  });

  test("something behind the stream is told", () => {
    const packed = pack(content);
    expect(difference(unpackAll(lzma, Buffer.concat([packed, Buffer.alloc(9)])), content)).toBeUndefined();
    expectRefusal(() => unpackAll(lzma, Buffer.concat([packed, Buffer.from("more")])), "CORRUPT", /something follows the lzma stream/);
    expectRefusal(() => unpackAll(lzma, packed.subarray(0, 5000)), "TRUNCATED", /ends inside the lzma stream/);
  });
});
