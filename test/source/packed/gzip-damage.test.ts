import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test, vi } from "vitest";
import { memorySource } from "../../../src/source/memory.js";
import { gzip } from "../../../src/source/packed/gzip.js";
import { scanGzip } from "../../../src/source/packed/gzip-scan.js";
import type { Source } from "../../../src/source/source.js";
import { between, mixed, noise, randomNumbers, text } from "../../support/content.js";
import { bitWriter, contentOf, fixedBlock, gzipMember, storedBlock } from "../../support/gzip-builder.js";
import { flipped } from "../../support/packed-contract.js";
import { allOf, indexOptions } from "../../support/packed-reading.js";
import { difference, imageErrorOf } from "../../support/reading.js";

const spacing = { least: 40_000, most: 40_000, allowed: () => Infinity };
const content = mixed(1, 100_000);
const member = gzipMember({ content });

/** Indexed as if it were whole, and read. */
function degraded(packed: Uint8Array): { readonly said: readonly string[]; readonly found: Buffer } {
  const source = memorySource("disk.gz", packed);
  const options = indexOptions(true);
  const index = scanGzip(source, options, spacing);
  return { said: options.said, found: allOf(gzip.open(source, index) ?? source) };
}

function refusal(packed: Uint8Array) {
  const error = imageErrorOf(() => gzip.index(memorySource("disk.gz", packed), indexOptions()));
  return error && { code: error.code, message: error.message, position: error.position, file: error.file };
}

describe("refused, with the reason and the place", () => {
  test.each([
    ["the CRC-32 of a member is another", gzipMember({ content, crc: 1 }), 0],
    ["the size of a member is another", gzipMember({ content, size: content.length + 1 }), 0],
    ["unknown header flags set", Buffer.concat([member, gzipMember({ content, flags: 0x20 })]), undefined],
    ["unknown header flags set", Buffer.concat([member, gzipMember({ content, flags: 0x80 })]), undefined],
    ["header crc mismatch", gzipMember({ content, name: "a", headerCrc: 0x1234 }), undefined],
    ["invalid block type", gzipMember({ content, body: Buffer.from([7]) }), undefined],
    ["invalid stored block lengths", gzipMember({ content, body: Buffer.from([1, 5, 0, 0, 0, 1, 2, 3, 4, 5]) }), undefined],
    ["invalid distance too far back", gzipMember({ content, body: tooFarBack() }), undefined],
    ["not a gzip file", Buffer.from("no gzip at all"), 0],
  ])("%s", (message, packed, position) => {
    const error = refusal(packed);
    expect(error).toMatchObject({ code: "CORRUPT", file: "disk.gz", message: `its gzip data does not decode: ${message}` });
    expect(error?.position).toBeLessThanOrEqual(packed.length);
    if (position === 0 && message !== "not a gzip file") expect(error?.position).toBe(packed.length);
  });

  test("size counts modulo 2^32, which no test writes; a member that says 2^32 more is right", () => {
    expect(refusal(gzipMember({ content, size: content.length + 2 ** 32 }))).toBeUndefined();
  });

  test("cut in the header, in the data, in the trailer, and in the second member", () => {
    const packed = Buffer.concat([gzipMember({ content, name: "disk.img", extra: noise(1, 100), headerCrc: true }), member]);
    for (const length of [
      1,
      2,
      3,
      9,
      11,
      60,
      113,
      125,
      5000,
      packed.length - member.length - 1,
      packed.length - 1000,
      packed.length - 8,
      packed.length - 1,
    ]) {
      expect(refusal(packed.subarray(0, length)), String(length)).toEqual({
        code: "TRUNCATED",
        file: "disk.gz",
        message: "its gzip data ends early: the end of the file is missing",
        position: length,
      });
    }
    expect(refusal(packed.subarray(0, packed.length - member.length))).toBeUndefined();
  });

  function tooFarBack(): Buffer {
    const writer = bitWriter();
    fixedBlock(writer, [1, 2, 3, { length: 3, distance: 4 }], true);
    return writer.bytes();
  }
});

describe("what is left of a damaged file, if that is asked for", () => {
  test("cut anywhere: its beginning, and what is missing is said", () => {
    const random = randomNumbers(3);
    const packed = Buffer.concat([member, gzipSync(text(4, 100_000)), gzipMember({ content, body: oneBlock() })]);
    const whole = Buffer.concat([content, text(4, 100_000), content]);
    for (let round = 0; round < 60; round += 1) {
      const length = between(random, 4, packed.length - 1);
      const { said, found } = degraded(packed.subarray(0, length));
      expect(difference(found, whole.subarray(0, found.length))).toBeUndefined();
      // Between two members nothing is missing.
      if (found.length === 0 || ![content.length, content.length + 100_000].includes(found.length)) expect(said).toHaveLength(1);
      for (const line of said) expect(line).toMatch(new RegExp(`^It is damaged: its gzip data ends early.*\\(at byte ${length}\\)\\.`));
    }
  });

  test("damaged: what decodes before that, and no more", () => {
    const packed = Buffer.concat([member, gzipMember({ content, crc: 5 }), member]);
    const { said, found } = degraded(packed);
    expect(difference(found, Buffer.concat([content, content]))).toBeUndefined();
    expect(said).toEqual([
      `It is damaged: its gzip data does not decode: the CRC-32 of a member is another (at byte ${2 * member.length}). What comes behind that is missing.`,
    ]);
  });

  test("every byte decoded before a wrong block is there", () => {
    for (const size of [0, 1, 300, 39_999, 40_000, 40_001]) {
      const writer = bitWriter();
      fixedBlock(writer, noise(1, size), false);
      writer.number(7, 3);
      const { said, found } = degraded(gzipMember({ content: noise(1, size), body: writer.bytes() }));
      expect(difference(found, noise(1, size))).toBeUndefined();
      expect(said).toHaveLength(1);
    }
  });

  function oneBlock(): Buffer {
    const writer = bitWriter();
    fixedBlock(writer, content, true);
    return writer.bytes();
  }
});

describe("a file that changes after it was indexed", () => {
  const large = mixed(9, 600_000);
  const packed = gzipMember({ content: large });
  const index = scanGzip(memorySource("disk.gz", packed), indexOptions(), spacing);

  test("any byte: an error for the chunk that it is in, and the right bytes elsewhere", () => {
    const random = randomNumbers(5);
    for (let round = 0; round < 40; round += 1) {
      const at = between(random, 4096, packed.length - 4097);
      const source = gzip.open(memorySource("disk.gz", flipped(packed, at, 1 << between(random, 0, 7))), index);
      let failed = 0;
      for (let start = 0; start < large.length; start += 40_000) {
        const target = Buffer.alloc(Math.min(40_000, large.length - start), 0xee);
        const error = imageErrorOf(() => source?.read(target, start));
        if (error) {
          expect(error).toMatchObject({ code: "CORRUPT", file: "disk.gz" });
          failed += 1;
        } else expect(difference(target, large.subarray(start, start + target.length))).toBeUndefined();
      }
      // A block's tables count for all chunks that it reaches into.
      expect(failed).toBeLessThanOrEqual(6);
      expect(failed).toBeGreaterThan(0);
    }
  });

  test("shorter: the inner source's error is passed on, and reading goes on elsewhere", () => {
    const inner = memorySource("disk.gz", packed);
    let end = packed.length;
    const source: Source = {
      ...inner,
      read(target, position) {
        if (position + target.length > end) throw new RangeError("it has become shorter");
        inner.read(target, position);
      },
    };
    const unpacked = gzip.open(source, index);
    end = 200_000;
    const target = Buffer.alloc(1000);
    expect(() => unpacked?.read(target, 590_000)).toThrow("it has become shorter");
    unpacked?.read(target, 1234);
    expect(difference(target, large.subarray(1234, 2234))).toBeUndefined();
  });

  test("other ends: the index is of another file", () => {
    for (const at of [3, 4000, packed.length - 1, packed.length - 4000]) {
      expect(gzip.open(memorySource("disk.gz", flipped(packed, at)), index)).toBeUndefined();
    }
  });

  test("an index of another decoder or version is not taken", () => {
    const other = Buffer.from(index);
    other.write("gzip 2", 8);
    expect(gzip.open(memorySource("disk.gz", packed), other)).toBeUndefined();
    for (let length = 0; length < 200; length += 1)
      expect(gzip.open(memorySource("disk.gz", packed), index.subarray(0, length))).toBeUndefined();
  });
});

test("a block that is said to be long, in a file of a few bytes, is no reason to take memory", () => {
  const writer = bitWriter();
  storedBlock(writer, Buffer.from("abc"), false);
  const packed = gzipMember({ content: Buffer.from("abc"), body: Buffer.concat([writer.bytes(), Buffer.from([1, 0xff, 0xff, 0, 0])]) });
  expect(refusal(packed)?.code).toBe("TRUNCATED");
  expect(contentOf([97, { length: 3, distance: 1 }]).toString()).toBe("aaaa");
});

describe("without the addon", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.resetModules();
  });

  test("it says that the addon is needed, also if there is an index", async () => {
    const source = memorySource("disk.gz", member);
    const index = gzip.index(source, indexOptions());
    vi.stubEnv("FLATMOUNT_NO_ADDON", "1");
    vi.resetModules();
    const { gzip: other } = await import("../../../src/source/packed/gzip.js");
    const refused = expect.objectContaining({
      code: "UNSUPPORTED",
      message: "it is compressed with gzip, which needs the native addon",
      file: "disk.gz",
    }) as unknown;
    for (const action of [() => other.index(source, indexOptions()), () => other.open(source, index)]) {
      let error: unknown;
      try {
        action();
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toEqual(refused);
    }
  });
});
