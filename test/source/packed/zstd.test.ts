import { describe, expect, test } from "vitest";
import { zstd } from "../../../src/source/packed/zstd.js";
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
import { zstdStored } from "../../support/packing.js";
import { requireProgram } from "../../support/qemu.js";
import { difference, imageErrorOf } from "../../support/reading.js";

const content = mixed(8, 200_003);
const sized = (some: Uint8Array, ...args: readonly string[]) => filter("zstd", ["-c", `--stream-size=${some.length}`, ...args], some);
const piped = (some: Uint8Array, ...args: readonly string[]) => filter("zstd", ["-c", ...args], some);

function skippable(bytes: Uint8Array, magic = 0x184d2a53): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}

/** The file by the description of the seekable format: frames, then their sizes in a frame that others skip. */
function seekable(frames: readonly { readonly packed: Uint8Array; readonly size: number }[], { checksums = false } = {}): Buffer {
  const entries = frames.map(({ packed, size }) => {
    const entry = Buffer.alloc(checksums ? 12 : 8);
    entry.writeUInt32LE(packed.length, 0);
    entry.writeUInt32LE(size, 4);
    return entry;
  });
  const footer = Buffer.alloc(9);
  footer.writeUInt32LE(frames.length, 0);
  footer[4] = checksums ? 0x80 : 0;
  footer.writeUInt32LE(0x8f92eab1, 5);
  return Buffer.concat([...frames.map(({ packed }) => packed), skippable(Buffer.concat([...entries, footer]), 0x184d2a5e)]);
}

function samples(): readonly PackedSample[] {
  const parts = [0, 1, 2, 3].map((part) => content.subarray(part * 50_000, part === 3 ? undefined : (part + 1) * 50_000));
  const frames = parts.map((part) => ({ packed: sized(part), size: part.length }));
  return [
    { name: "one frame", packed: sized(content), content },
    { name: "a frame that does not tell its size", packed: piped(content), content },
    {
      name: "several frames, of both kinds",
      packed: Buffer.concat(parts.map((part, at) => (at % 2 === 0 ? sized(part) : piped(part)))),
      content,
    },
    {
      name: "frames to be skipped between them",
      packed: Buffer.concat(frames.flatMap(({ packed }, at) => [skippable(Buffer.alloc(at * 7)), packed])),
      content,
    },
    { name: "a seek table", packed: seekable(frames), content },
    { name: "a seek table with checksums", packed: seekable(frames, { checksums: true }), content },
    { name: "stored blocks", packed: zstdStored(content.subarray(0, 100_000)), content: content.subarray(0, 100_000), checked: false },
    { name: "without a check", packed: sized(content, "--no-check"), content, checked: false },
  ];
}

describe.skipIf(!requireProgram("zstd"))("zstd", () => {
  describePacked(zstd, samples(), { tries: 20 });

  test.each(Array.from({ length: 19 }, (_, level) => level + 1))("level %d", (level) => {
    expect(difference(unpackAll(zstd, sized(content, `-${level}`)), content)).toBeUndefined();
    expect(difference(unpackAll(zstd, piped(content, `-${level}`)), content)).toBeUndefined();
  });

  test.each([["--long"], ["--long=27"], ["--ultra", "-22"], ["--fast=5"], ["-B4096", "-T2"], ["--no-compress-literals"]])(
    "%s %s",
    (...args) => {
      const packed = sized(content, ...args.filter((each) => typeof each === "string"));
      expect(difference(unpackAll(zstd, packed), content)).toBeUndefined();
    },
  );

  test.each([0, 1, 2, 65_536])("%d bytes", (size) => {
    const some = noise(3, size);
    expect(difference(unpackAll(zstd, piped(some)), some)).toBeUndefined();
    expect(difference(unpackAll(zstd, sized(some)), some)).toBeUndefined();
  });

  test.skipIf(!requireProgram("pzstd"))("pzstd", () => {
    const packed = filter("pzstd", ["-c", "-p", "4", "-"], content);
    const { source } = openPacked(zstd, packed);
    expect(difference(readBytes(source, 0, source.size), content)).toBeUndefined();
    source.close();
  });

  test("padding is no damage, anything else behind the frames is", () => {
    const packed = sized(content);
    expect(difference(unpackAll(zstd, Buffer.concat([packed, Buffer.alloc(1000)])), content)).toBeUndefined();
    expectRefusal(() => unpackAll(zstd, Buffer.concat([packed, Buffer.from("something")])), "CORRUPT", /no zstd frame begins here/);
    expect(difference(unpackAll(zstd, Buffer.concat([packed, Buffer.from("something")]), { degraded: true }), content)).toBeUndefined();
  });

  test("damage in one frame is an error for what that frame holds", () => {
    const parts = [noise(1, 2 ** 21), noise(2, 2 ** 21), noise(3, 2 ** 21)];
    const packed = Buffer.concat(parts.map((part) => sized(part)));
    const { source } = openPacked(zstd, flipped(packed, Math.floor(packed.length / 2)));
    expect(imageErrorOf(() => readBytes(source, 2 ** 21, 1))?.code).toBe("CORRUPT");
    expect(difference(readBytes(source, 0, 2 ** 21), parts[0] ?? Buffer.alloc(0))).toBeUndefined();
    expect(difference(readBytes(source, 2 ** 22, 2 ** 21), parts[2] ?? Buffer.alloc(0))).toBeUndefined();
    source.close();
  });

  test("a frame of many MiB is read in any order", () => {
    const some = Buffer.concat(
      Array.from({ length: 40 }, (_, part) => text(part, 2 ** 16)).flatMap((part) => [part, part, Buffer.alloc(2 ** 20)]),
    );
    for (const packed of [sized(some), piped(some)]) {
      const { source } = openPacked(zstd, packed);
      expect(source.note).toMatch(/^It is one zstd frame: reading backwards/);
      checkRanges(source, some, 11, 20);
      source.close();
    }
  });

  test("what cannot be decoded is refused by name", () => {
    const packed = zstdStored(content.subarray(0, 1000), { declareSize: false });
    const window = Buffer.from(packed);
    window[5] = (31 - 10) << 3;
    expectRefusal(() => unpackAll(zstd, window), "UNSUPPORTED", /window of 2147483648 bytes, the limit is 134217728/);
    const dictionary = Buffer.concat([packed.subarray(0, 6), Buffer.of(77), packed.subarray(6)]);
    dictionary[4] = 1;
    expectRefusal(() => unpackAll(zstd, dictionary), "UNSUPPORTED", /needs the dictionary 77/);
    const reserved = Buffer.from(packed);
    reserved[4] = 8;
    expectRefusal(() => unpackAll(zstd, reserved), "UNSUPPORTED", /reserved/);
    const size = Buffer.from("28b52ffdc058000000000000100023000041", "hex");
    expectRefusal(() => unpackAll(zstd, size), "CORRUPT", /tells of 4503599627370496 bytes/);
    expectRefusal(() => unpackAll(zstd, packed.subarray(0, 500)), "TRUNCATED", /ends inside a zstd frame/);
  });

  test("a seek table that does not fit is not believed", () => {
    const packed = seekable([{ packed: sized(content), size: content.length }]);
    // One more compressed byte than there are: the frames themselves are counted then.
    const table = packed.length - 17;
    packed.writeUInt32LE(packed.readUInt32LE(table) + 1, table);
    expect(difference(unpackAll(zstd, packed), content)).toBeUndefined();
    // A wrong decoded size is found when the frame is decoded.
    const wrong = seekable([{ packed: sized(content), size: content.length - 1 }]);
    expectRefusal(() => unpackAll(zstd, wrong), "CORRUPT", /does not decode to the 200002 bytes/);
  });
});
