import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { memorySource } from "../../../src/source/memory.js";
import { xz } from "../../../src/source/packed/xz.js";
import { readBytes, type Source } from "../../../src/source/source.js";
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

const content = mixed(7, 160_003);
const pack = (...args: readonly string[]) => filter("xz", ["-c", ...args], content);
const padding = Buffer.alloc(8);

function samples(): readonly PackedSample[] {
  const small = pack("--block-size=32768");
  const first = filter("xz", ["-1"], content.subarray(0, 60_000));
  const second = filter("xz", ["-9", "--check=sha256"], content.subarray(60_000));
  const nothing = filter("xz", [], Buffer.alloc(0));
  return [
    { name: "one block", packed: pack(), content },
    { name: "many blocks", packed: small, content },
    { name: "blocks with their sizes", packed: pack("--block-size=70000", "-T2"), content },
    { name: "concatenated streams, padded", packed: Buffer.concat([first, padding, nothing, second, padding.subarray(4)]), content },
  ];
}

describe.skipIf(!requireProgram("xz"))("xz", () => {
  const list = samples();
  describePacked(xz, list, { tries: 20 });

  test.each(["-0", "-1", "-2", "-3", "-4", "-5", "-6", "-7", "-8", "-9", "-9e"])("level %s", (level) => {
    expect(difference(unpackAll(xz, pack(level)), content)).toBeUndefined();
  });

  test.each([
    ["--check=none"],
    ["--check=crc32"],
    ["--check=crc64"],
    ["--check=sha256"],
    ["--x86", "--lzma2"],
    ["--arm", "--lzma2"],
    ["--delta=dist=4", "--lzma2=preset=1"],
    ["--delta=dist=2", "--x86", "--lzma2=dict=64KiB,lc=0,lp=2,pb=0"],
    ["--block-list=60000,1,99999,3"],
    ["--block-size=4096"],
  ])("%s %s %s", (...args) => {
    const { source } = openPacked(xz, pack(...args.filter((each) => typeof each === "string")));
    expect(difference(readBytes(source, 0, source.size), content)).toBeUndefined();
    checkRanges(source, content, 9, 10);
    source.close();
  });

  test.each([0, 1, 2, 65_536])("%d bytes", (size) => {
    const some = noise(3, size);
    expect(difference(unpackAll(xz, filter("xz", [], some)), some)).toBeUndefined();
  });

  test("only the index is read, and only the blocks that are asked for", () => {
    const some = noise(5, 4 * 2 ** 20);
    const packed = filter("xz", ["-0", "--block-size=1MiB"], some);
    let read = 0;
    const counted: Source = {
      ...memorySource("test", packed),
      read(target, position) {
        read += target.length;
        target.set(packed.subarray(position, position + target.length));
      },
    };
    const index = xz.index(counted, { degraded: false, damage: () => undefined, progress: () => undefined });
    expect(read).toBeLessThan(300_000);
    const source = xz.open(counted, index);
    if (!source) expect.fail("the index was not taken");
    expect(difference(readBytes(source, 3_000_000, 1000), some.subarray(3_000_000, 3_001_000))).toBeUndefined();
    expect(read).toBeLessThan(2.5 * 2 ** 20);
    source.close();
  });

  test("damage in one block is an error for what that block holds", () => {
    const some = Buffer.concat([noise(6, 2 * 2 ** 20), text(6, 2 ** 20), noise(7, 2 ** 20)]);
    const packed = filter("xz", ["-0", "--block-size=1MiB"], some);
    const { source } = openPacked(xz, flipped(packed, Math.floor(packed.length * 0.5)));
    expect(imageErrorOf(() => readBytes(source, 2 ** 20, 1))?.code).toBe("CORRUPT");
    expect(imageErrorOf(() => readBytes(source, 2 * 2 ** 20 - 1, 1))?.code).toBe("CORRUPT");
    for (const [from, to] of [
      [0, 2 ** 20],
      [2 * 2 ** 20, 4 * 2 ** 20],
    ] as const) {
      expect(difference(readBytes(source, from, to - from), some.subarray(from, to))).toBeUndefined();
    }
    source.close();
  });

  test("a block of many MiB is read in any order", () => {
    const some = Buffer.concat(
      Array.from({ length: 40 }, (_, part) => text(part, 2 ** 17)).flatMap((part) => [part, part, Buffer.alloc(2 ** 20)]),
    );
    const { source } = openPacked(xz, filter("xz", ["-1"], some));
    expect(source.note).toMatch(/^It is one xz block: reading backwards .* xz -T0/);
    checkRanges(source, some, 11, 12);
    // Two readers in turn, and reads that overtake each other.
    for (let step = 0; step < 24; step += 1) {
      for (const base of [0, 30 * 2 ** 20]) {
        const position = base + (step ^ 1) * 131_072;
        const found = readBytes(source, position, 131_072);
        expect(difference(found, some.subarray(position, position + found.length))).toBeUndefined();
      }
    }
    source.close();
  });

  test.each(["crc32", "crc64", "sha256"])("the check of a block is looked at: %s", (check) => {
    const packed = pack(`--check=${check}`);
    const index = packed.length - 12 - (packed.readUInt32LE(packed.length - 8) + 1) * 4;
    expectRefusal(() => unpackAll(xz, flipped(packed, index - 1)), "CORRUPT", /the xz block is damaged/);
  });

  test("a large block that fails its check is refused from then on", () => {
    const some = Buffer.alloc(40 * 2 ** 20, 7);
    const packed = filter("xz", ["-0", "--check=crc32"], some);
    // Blocks end in their check: it stands before the index, which starts with a zero.
    const index = packed.length - 12 - (packed.readUInt32LE(packed.length - 8) + 1) * 4;
    const { source } = openPacked(xz, flipped(packed, index - 1));
    expect(readBytes(source, 0, 10)).toEqual(Buffer.alloc(10, 7));
    expect(imageErrorOf(() => readBytes(source, some.length - 1, 1))?.code).toBe("CORRUPT");
    expect(imageErrorOf(() => readBytes(source, 20 * 2 ** 20, 1))?.code).toBe("CORRUPT");
    source.close();
  });

  test("what comes before damage in a large block is read", () => {
    const words = Buffer.concat(Array.from({ length: 8 }, (_, part) => text(part, 2 ** 18)));
    const some = Buffer.concat([words, Buffer.alloc(30 * 2 ** 20), words]);
    const packed = filter("xz", ["-0"], some);
    const { source } = openPacked(xz, flipped(packed, Math.floor(packed.length * 0.8)));
    expect(imageErrorOf(() => readBytes(source, some.length - 1, 1))?.code).toBe("CORRUPT");
    expect(difference(readBytes(source, 2 ** 20, 2 ** 20), some.subarray(2 ** 20, 2 * 2 ** 20))).toBeUndefined();
    expect(difference(readBytes(source, 31 * 2 ** 20, 1000), Buffer.alloc(1000))).toBeUndefined();
    expect(imageErrorOf(() => readBytes(source, some.length - 1, 1))?.code).toBe("CORRUPT");
    source.close();
  });

  test("what cannot be decoded is refused by name", () => {
    const packed = Buffer.from(pack("--check=crc32"));
    expectRefusal(() => unpackAll(xz, filter("xz", ["-c", "--lzma2=dict=512MiB"], content)), "UNSUPPORTED", /260 MiB of memory/);

    // The kind of check stands in header and footer, each under a checksum.
    const kind = Buffer.from(packed);
    kind[7] = 2;
    kind[kind.length - 3] = 2;
    kind.writeUInt32LE(crc32(kind.subarray(6, 8)), 8);
    kind.writeUInt32LE(crc32(kind.subarray(-8, -2)), kind.length - 12);
    expectRefusal(() => unpackAll(xz, kind), "UNSUPPORTED", /check of kind 2/);

    expectRefusal(() => unpackAll(xz, packed.subarray(0, -4)), "TRUNCATED", /end of an xz stream is missing/);
    expectRefusal(() => unpackAll(xz, Buffer.concat([packed, Buffer.alloc(3)])), "CORRUPT", /padding comes in fours/);
    expectRefusal(() => unpackAll(xz, Buffer.concat([packed, Buffer.from("more")])), "TRUNCATED", /something follows/);
  });

  test("a filter that is not known is refused by name", () => {
    const packed = Buffer.from(pack("--check=none", "--delta", "--lzma2"));
    // The first filter of the block header: its id is the byte behind size and flags, 3 for delta.
    expect(packed[14]).toBe(3);
    packed[14] = 0x3f;
    packed.writeUInt32LE(crc32(packed.subarray(12, 12 + packed[12]! * 4)), 12 + packed[12]! * 4);
    expectRefusal(() => unpackAll(xz, packed), "UNSUPPORTED", /a filter or an option/);
  });
});
