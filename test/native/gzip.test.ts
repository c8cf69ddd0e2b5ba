import { crc32, deflateRawSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type GzipBinding, type GzipDecoder, gzipBinding, kinds, statuses } from "../../src/native/gzip.js";
import { mixed, noise, text } from "../support/content.js";
import { bitWriter, fixedBlock, gzipMember, storedBlock } from "../support/gzip-builder.js";
import { difference } from "../support/reading.js";

const addon = gzipBinding as GzipBinding;
const NEVER = Number.MAX_SAFE_INTEGER;
const NOTHING = new Uint8Array(0);

describe.skipIf(!gzipBinding)("gzip in the addon", () => {
  function feed(decoder: GzipDecoder, packed: Uint8Array, size: number, memberFrom = NEVER, blockFrom = NEVER) {
    const counts = new Float64Array(2);
    const target = Buffer.alloc(size, 0xee);
    const status = addon.gzipFeed(decoder, packed, target, memberFrom, blockFrom, counts);
    const [used = 0, made = 0] = counts;
    return { status, used, content: target.subarray(0, made) };
  }

  function markOf(decoder: GzipDecoder) {
    const mark = new Float64Array(6);
    addon.gzipMark(decoder, mark);
    const [kind = 0, bit = 0, header = 0, extra = 0, last = 0, written = 0] = mark;
    return { kind, bit, header, extra, last: last !== 0, written };
  }

  test("decodes what it is fed, byte by byte", () => {
    const content = mixed(1, 5000);
    const packed = gzipMember({ content, name: "a", extra: noise(1, 50), headerCrc: true });
    const decoder = addon.gzipDecoder();
    const parts: Buffer[] = [];
    for (let at = 0; at < packed.length; at += 1) {
      const { status, used, content: part } = feed(decoder, packed.subarray(at, at + 1), 6000);
      expect([status, used]).toEqual([statuses.hungry, 1]);
      parts.push(part);
    }
    expect(difference(Buffer.concat(parts), content)).toBeUndefined();
    expect(markOf(decoder)).toMatchObject({ kind: kinds.member, bit: packed.length * 8, extra: 0, written: content.length });
  });

  test("is taken up after every single byte, with any kind of block", () => {
    const content = Buffer.concat([text(1, 400), noise(2, 200), Buffer.alloc(300), text(3, 100)]);
    const fixed = bitWriter();
    fixedBlock(fixed, content, true);
    const mixedBlocks = bitWriter();
    fixedBlock(mixedBlocks, content.subarray(0, 300), false);
    storedBlock(mixedBlocks, content.subarray(300, 700), false);
    storedBlock(mixedBlocks, NOTHING, false);
    fixedBlock(mixedBlocks, content.subarray(700), true);
    for (const body of [deflateRawSync(content, { level: 9 }), fixed.bytes(), mixedBlocks.bytes(), deflateRawSync(content, { level: 0 })]) {
      const packed = Buffer.concat([gzipMember({ content, body }), gzipMember({ content, body })]);
      for (let size = 1; size < content.length; size += 1) {
        const decoder = addon.gzipDecoder();
        expect(feed(decoder, packed, size).status).toBe(statuses.full);
        const { kind, bit, header, extra, last, written } = markOf(decoder);
        expect(written).toBe(size);
        const window = content.subarray(0, size - (kind === kinds.code ? extra : 0));
        const other = addon.gzipDecoder();
        const start = packed.subarray(Math.floor(header / 8));
        expect(addon.gzipRestart(other, kind, bit, header, extra, last, window, start)).toBe(true);
        const rest = feed(other, packed.subarray(Math.floor(bit / 8)), 2 * content.length);
        expect(difference(rest.content, Buffer.concat([content.subarray(size), content])), `after ${size} bytes`).toBeUndefined();
        expect([rest.status, markOf(other).kind]).toEqual([statuses.hungry, kinds.member]);
      }
    }
  });

  test("stops at a member's end and between blocks, if it is asked to", () => {
    const content = noise(4, 1000);
    const writer = bitWriter();
    for (let at = 0; at < 1000; at += 100) storedBlock(writer, content.subarray(at, at + 100), at === 900);
    const packed = gzipMember({ content, body: writer.bytes() });
    const twice = Buffer.concat([packed, packed]);
    const decoder = addon.gzipDecoder();
    expect(feed(decoder, twice, 9999, NEVER, 250)).toMatchObject({ status: statuses.between, used: 10 + 3 * 105 });
    expect(markOf(decoder)).toMatchObject({ kind: kinds.block, bit: (10 + 3 * 105) * 8, last: false, written: 300 });
    const rest = feed(decoder, twice.subarray(10 + 3 * 105), 9999, 700);
    expect(rest).toMatchObject({ status: statuses.ended, used: packed.length - 10 - 3 * 105 });
    expect(markOf(decoder)).toMatchObject({ kind: kinds.member, bit: packed.length * 8 });
    expect(feed(decoder, packed, 9999, 1001)).toMatchObject({ status: statuses.hungry });
  });

  test("checks members from their start, not those that it is taken up in", () => {
    const content = text(5, 1000);
    for (const shape of [{ crc: 1 }, { size: 1 }]) {
      const packed = gzipMember({ content, ...shape });
      const decoder = addon.gzipDecoder();
      expect(feed(decoder, packed, 2000).status).toBe(statuses.damaged);
      expect(addon.gzipFault(decoder)).toBe("crc" in shape ? "the CRC-32 of a member is another" : "the size of a member is another");
      addon.gzipRestart(decoder, kinds.block, 80, 0, 0, false, NOTHING, NOTHING);
      expect(feed(decoder, packed.subarray(10), 2000)).toMatchObject({ status: statuses.hungry });
      addon.gzipRestart(decoder, kinds.member, 0, 0, 0, false, NOTHING, NOTHING);
      expect(feed(decoder, packed, 2000).status).toBe(statuses.damaged);
    }
  });

  test("what is no gzip is damage at the start of a file, and garbage behind a member", () => {
    expect(feed(addon.gzipDecoder(), Buffer.from("\0"), 10).status).toBe(statuses.damaged);
    expect(feed(addon.gzipDecoder(), Buffer.from([0x1f, 0x8b, 9]), 10).status).toBe(statuses.damaged);
    const decoder = addon.gzipDecoder();
    const packed = gzipSync("abc");
    expect(feed(decoder, Buffer.concat([packed, Buffer.from([0, 0, 0x1f, 0x8b, 9])]), 10)).toMatchObject({
      status: statuses.garbage,
      used: packed.length + 4,
    });
    expect(markOf(decoder)).toMatchObject({ kind: kinds.member, extra: 2 });
  });

  test("says where no block can be taken up", () => {
    const decoder = addon.gzipDecoder();
    for (const start of [NOTHING, Buffer.from([6]), Buffer.from([4, 0]), Buffer.alloc(100)]) {
      expect(addon.gzipRestart(decoder, kinds.code, 100, 0, 0, false, NOTHING, start)).toBe(false);
    }
    expect(addon.gzipRestart(decoder, kinds.code, 100, 0, 0, false, NOTHING, Buffer.from([3]))).toBe(true);
  });

  test("checksums are those of Node", () => {
    const [first, second] = [noise(1, 12_345), noise(2, 54_321)];
    expect(addon.crc32(first)).toBe(crc32(first));
    expect(addon.crc32(NOTHING)).toBe(0);
    expect(addon.combineCrc32(crc32(first), crc32(second), second.length)).toBe(crc32(Buffer.concat([first, second])));
  });
});
