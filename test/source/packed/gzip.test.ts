import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { constants, createGzip, deflateRawSync, gzipSync, type ZlibOptions } from "node:zlib";
import { describe, expect, test } from "vitest";
import { kinds } from "../../../src/native/gzip.js";
import { fileSource, openFile } from "../../../src/source/file.js";
import { memorySource } from "../../../src/source/memory.js";
import { gzip } from "../../../src/source/packed/gzip.js";
import { FORMAT, type GzipPoint, pointOf, WIDTH } from "../../../src/source/packed/gzip-points.js";
import { type Spacing, scanGzip, usualSpacing } from "../../../src/source/packed/gzip-scan.js";
import { openPoints } from "../../../src/source/packed/points.js";
import type { Source } from "../../../src/source/source.js";
import { between, mixed, noise, randomNumbers, text } from "../../support/content.js";
import { bitWriter, contentOf, fixedBlock, gzipMember, storedBlock, type Token } from "../../support/gzip-builder.js";
import { describePacked } from "../../support/packed-contract.js";
import { allOf, indexOptions, rangesDiffer } from "../../support/packed-reading.js";
import { requireProgram, run } from "../../support/qemu.js";
import { difference } from "../../support/reading.js";
import { subdirectory, tempDirectory } from "../../support/temp.js";

const KIB = 1024;
const MIB = 2 ** 20;

/** A point every so many bytes, however large the table becomes. */
function every(step: number): Spacing {
  return { least: step, most: step, allowed: () => Infinity };
}

function opened(packed: Uint8Array, step?: number): Source {
  const source = memorySource("disk.gz", packed);
  const index = step === undefined ? gzip.index(source, indexOptions()) : scanGzip(source, indexOptions(), every(step));
  const result = gzip.open(source, index);
  if (!result) throw new Error("it does not understand its own index");
  return result;
}

function expectContent(packed: Uint8Array, content: Uint8Array, steps: readonly number[] = [64 * KIB, 40_001, 300 * KIB]): void {
  for (const step of steps) {
    const source = opened(packed, step);
    expect(difference(allOf(source), content), `a point every ${step} bytes`).toBeUndefined();
    expect(rangesDiffer(source, content, randomNumbers(step), 20), `a point every ${step} bytes`).toBeUndefined();
  }
}

function pointsOf(source: Source, index: Uint8Array): GzipPoint[] {
  const table = openPoints(source, index, FORMAT, WIDTH);
  return table ? Array.from({ length: table.count }, (_, at) => pointOf(table, at)) : [];
}

/** What kinds of points a table holds, and how many of each. */
function kindsOf(packed: Uint8Array, step: number): Record<string, number> {
  const source = memorySource("disk.gz", packed);
  const counts: Record<string, number> = {};
  for (const { place } of pointsOf(source, scanGzip(source, indexOptions(), every(step)))) {
    const name = Object.entries(kinds).find(([, number]) => number === place.kind)?.[0] ?? "unknown";
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

describePacked(gzip, [
  { name: "one member", packed: gzipSync(mixed(1, 1_200_000)), content: mixed(1, 1_200_000) },
  { name: "empty", packed: gzipSync(""), content: Buffer.alloc(0) },
  { name: "one byte", packed: gzipSync("x"), content: Buffer.from("x") },
  { name: "stored, with a name", packed: gzipMember({ content: noise(2, 99_999), name: "disk.img" }), content: noise(2, 99_999) },
  {
    name: "several members",
    packed: Buffer.concat([3, 0, 4, 5].map((size) => gzipMember({ content: mixed(size, size * 100_000), headerCrc: true }))),
    content: Buffer.concat([3, 0, 4, 5].map((size) => mixed(size, size * 100_000))),
  },
]);

describe("what compressors write", () => {
  const samples = { mixed: mixed(1, 1_300_003), text: text(2, 400_000), noise: noise(3, 300_000), zeros: Buffer.alloc(2_000_000) };

  test.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])("level %i", (level) => {
    for (const content of [samples.mixed, samples.text]) expectContent(gzipSync(content, { level }), content, [64 * KIB]);
  });

  test.each<[string, ZlibOptions]>([
    ["fixed codes only", { strategy: constants.Z_FIXED }],
    ["no matches", { strategy: constants.Z_HUFFMAN_ONLY }],
    ["runs only", { strategy: constants.Z_RLE }],
    ["small blocks", { memLevel: 1 }],
    ["a small window", { windowBits: 9 }],
  ])("%s", (_, options) => {
    for (const content of Object.values(samples)) expectContent(gzipSync(content, options), content, [50_001]);
  });

  test("no byte, one byte, and around the distance between two points", () => {
    for (const size of [0, 1, 2, 40_000, 40_001, 40_002, 80_002]) {
      const content = mixed(size, size);
      const source = opened(gzipSync(content), 40_001);
      expect(source.size).toBe(size);
      expect(difference(allOf(source), content)).toBeUndefined();
    }
  });

  test("flushes as pigz and --rsyncable have them: empty stored blocks, and what starts anew", async () => {
    const content = mixed(5, 900_000);
    for (const flush of [constants.Z_SYNC_FLUSH, constants.Z_FULL_FLUSH, constants.Z_PARTIAL_FLUSH]) {
      const packer = createGzip({ level: 6 });
      const parts: Buffer[] = [];
      packer.on("data", (part: Buffer) => parts.push(part));
      for (let at = 0; at < content.length; at += 128 * 1000) {
        packer.write(content.subarray(at, at + 128 * 1000));
        await new Promise<void>((resolve) => packer.flush(flush, resolve));
      }
      packer.end();
      await once(packer, "end");
      expectContent(Buffer.concat(parts), content, [64 * KIB, 128 * 1000]);
    }
  });

  test("bgzip: many members, whose points need no window", () => {
    const content = mixed(6, 3_000_000);
    const members: Buffer[] = [];
    for (let at = 0; at < content.length; at += 65_280) {
      const part = content.subarray(at, at + 65_280);
      const body = deflateRawSync(part);
      // Its field "BC": size of the member less one.
      const extra = Buffer.from([0x42, 0x43, 2, 0, 0, 0]);
      extra.writeUInt16LE(18 + body.length + 8 - 1, 4);
      members.push(gzipMember({ content: part, body, extra }));
    }
    const packed = Buffer.concat([...members, Buffer.from("1f8b08040000000000ff0600424302001b0003000000000000000000", "hex")]);
    expectContent(packed, content, [300 * KIB]);
    expect(Object.keys(kindsOf(packed, 300 * KIB))).toEqual(["member"]);
    const source = memorySource("disk.gz", packed);
    expect(scanGzip(source, indexOptions(), every(300 * KIB)).length).toBeLessThan(1200);
  });
});

describe("what programs of this machine write", () => {
  const directory = tempDirectory();
  const content = mixed(8, 2_500_000);

  test.skipIf(!requireProgram("gzip"))("gzip -1, -9, --rsyncable, and two files in one", () => {
    const home = subdirectory(directory);
    for (const option of ["-1", "-9", "--rsyncable"]) {
      writeFileSync(join(home, "a"), content);
      run("gzip", ["-kf", option, "a"], home);
      expectContent(readFileSync(join(home, "a.gz")), content, [128 * KIB]);
    }
    const twice = Buffer.concat([readFileSync(join(home, "a.gz")), readFileSync(join(home, "a.gz"))]);
    expectContent(twice, Buffer.concat([content, content]), [MIB]);
  });

  test.skipIf(!requireProgram("7z"))("7z -mx=9", () => {
    const home = subdirectory(directory);
    writeFileSync(join(home, "a"), content);
    run("7z", ["a", "-tgzip", "-mx=9", "a.gz", "a"], home);
    expectContent(readFileSync(join(home, "a.gz")), content, [128 * KIB]);
  });
});

describe("members", () => {
  const content = mixed(11, 200_000);

  test("every field of the header", () => {
    const packed = gzipMember({ content, extra: noise(1, 65_535), name: "disk.img", comment: "a comment", headerCrc: true, text: true });
    expectContent(packed, content, [40_000]);
    for (const shape of [{ extra: Buffer.alloc(0) }, { name: "" }, { comment: "x".repeat(100_000) }, { headerCrc: true }, { text: true }]) {
      expectContent(gzipMember({ content, ...shape }), content, [40_000]);
    }
  });

  test("of any size, also of none, one behind the other", () => {
    const random = randomNumbers(12);
    const parts = Array.from({ length: 150 }, (_, index) => mixed(index, index % 5 === 0 ? 0 : between(random, 1, 9000)));
    const packed = Buffer.concat(
      parts.map((part, index) => gzipMember({ content: part, name: "n".repeat(index), headerCrc: index % 2 === 0 })),
    );
    expectContent(packed, Buffer.concat(parts), [40_000, 100_000]);
  });

  test("a member of one byte for every byte", () => {
    const bytes = text(3, 100_000);
    expectContent(
      Buffer.concat([...bytes].map((byte) => gzipMember({ content: Buffer.from([byte]), body: Buffer.from([1, 1, 0, 254, 255, byte]) }))),
      bytes,
      [40_000],
    );
  });

  test("zeros behind the last one are passed over, and between two", () => {
    const options = indexOptions();
    const member = gzipMember({ content });
    for (const packed of [Buffer.concat([member, Buffer.alloc(70_000)]), Buffer.concat([member, Buffer.alloc(513), member])]) {
      const source = memorySource("disk.gz", packed);
      const found = allOf(gzip.open(source, gzip.index(source, options)) ?? source);
      expect(difference(found, packed.length > 2 * member.length ? Buffer.concat([content, content]) : content)).toBeUndefined();
    }
    expect(options.said).toEqual([]);
  });

  test.each([
    ["garbage", "garbage", 7],
    ["what begins like a member", "\x1f\x8b", 2],
    ["what begins like one, but is none", "\x1f\x8b\x07 and more", 12],
    ["zeros and garbage", "\0\0\0\0x", 1],
  ])("%s behind them is left out, and told", (_, behind, length) => {
    const options = indexOptions();
    const packed = Buffer.concat([gzipMember({ content }), Buffer.from(behind, "latin1")]);
    const source = memorySource("disk.gz", packed);
    expect(difference(allOf(gzip.open(source, gzip.index(source, options)) ?? source), content)).toBeUndefined();
    expect(options.said).toEqual([
      `The ${length === 1 ? "byte" : `${length} bytes`} behind its gzip data, from byte ${packed.length - length} on, ${length === 1 ? "is" : "are"} no gzip and ${length === 1 ? "is" : "are"} left out.`,
    ]);
  });
});

describe("where a file is taken up", () => {
  /** Bytes of text, and copies from far and near, so that codes begin everywhere and windows count in full. */
  function* tokens(seed: number, count: number): Iterable<Token> {
    const random = randomNumbers(seed);
    yield* mixed(seed, 33_000);
    for (let index = 0; index < count; index += 1) {
      const kind = between(random, 0, 9);
      if (kind < 3) yield between(random, 0, 255);
      else yield { length: kind < 6 ? 3 : 258, distance: kind % 2 === 0 ? between(random, 1, 4) : between(random, 24_577, 32_768) };
    }
  }

  test("inside one block that is the whole file, at any bit and inside a copy", () => {
    const list = [...tokens(1, 12_000)];
    const writer = bitWriter();
    fixedBlock(writer, list, true);
    const content = contentOf(list);
    const packed = gzipMember({ content, body: writer.bytes() });
    expectContent(packed, content, [33_001, 40_001, 65_536]);
    expect(kindsOf(packed, 33_001)["code"]).toBeGreaterThan(30);
  });

  test("inside stored blocks of any size, and where one ends", () => {
    const content = mixed(21, 500_000);
    for (const size of [1000, 40_000, 65_535]) {
      const writer = bitWriter();
      for (let at = 0; at < content.length; at += size) storedBlock(writer, content.subarray(at, at + size), at + size >= content.length);
      expectContent(gzipMember({ content, body: writer.bytes() }), content, [40_000, 65_535, 65_536]);
    }
    const writer = bitWriter();
    storedBlock(writer, content.subarray(0, 65_535), true);
    expect(kindsOf(gzipMember({ content: content.subarray(0, 65_535), body: writer.bytes() }), 40_000)).toEqual({ member: 1, stored: 1 });
  });

  test("between blocks that start at any bit, stored and compressed in turns, some of them empty", () => {
    const random = randomNumbers(31);
    const writer = bitWriter();
    const parts: Buffer[] = [];
    for (let block = 0; block < 60; block += 1) {
      const last = block === 59;
      if (block % 3 === 0) {
        const content = noise(block, between(random, 0, 20_000));
        storedBlock(writer, content, last);
        parts.push(content);
      } else {
        const list = [
          ...noise(block, between(random, 0, 3000) * (block % 2)),
          ...Array<Token>(40).fill({ length: 258, distance: 1 }),
        ].slice(block === 1 ? 0 : block % 5);
        if (block === 1) list.unshift(65);
        fixedBlock(writer, list, last);
        parts.push(contentOf(list, Buffer.concat(parts).subarray(-4)));
      }
    }
    const content = Buffer.concat(parts);
    expectContent(gzipMember({ content, body: writer.bytes() }), content, [33_000, 33_333, 40_000]);
    expect(kindsOf(gzipMember({ content: Buffer.alloc(80_000), body: blocksOf(Buffer.alloc(80_000), 10_000) }), 40_000)).toEqual({
      member: 1,
      block: 1,
      trailer: 1,
    });
  });

  function blocksOf(content: Buffer, size: number): Buffer {
    const writer = bitWriter();
    for (let at = 0; at < content.length; at += size) storedBlock(writer, content.subarray(at, at + size), at + size >= content.length);
    return writer.bytes();
  }

  test("behind a member's last block", () => {
    const part = noise(5, 40_000);
    const member = gzipMember({ content: part, body: blocksOf(part, 20_000) });
    const packed = Buffer.concat([member, gzipMember({ content: Buffer.alloc(0) }), Buffer.alloc(99), member, member]);
    expectContent(packed, Buffer.concat([part, part, part]), [40_000]);
    expect(kindsOf(packed, 40_000)).toEqual({ member: 1, trailer: 3 });
  });

  test("not where nothing comes: a file of empty members and empty blocks has few points", () => {
    const empty = gzipMember({ content: Buffer.alloc(0), name: "x".repeat(60_000) });
    const content = text(9, 1000);
    const packed = Buffer.concat([gzipMember({ content }), ...Array<Buffer>(700).fill(empty), gzipMember({ content })]);
    expect(packed.length).toBeGreaterThan(2 * 16 * MIB);
    const source = opened(packed);
    expect(difference(allOf(source), Buffer.concat([content, content]))).toBeUndefined();
    expect(kindsOf(packed, MIB)).toEqual({ member: 1, block: 1 });
  });
});

describe("size and work", () => {
  test("the table of a file with many points is thinned out, and still right", () => {
    const content = Buffer.concat(Array.from({ length: 30 }, (_, index) => text(index, 100_000)));
    const source = memorySource("disk.gz", gzipSync(content));
    const sizes = [Infinity, 80_000, 0].map((allowed) => {
      const index = scanGzip(source, indexOptions(), { least: 40_000, most: 320_000, allowed: () => allowed });
      const unpacked = gzip.open(source, index) ?? source;
      expect(difference(allOf(unpacked), content)).toBeUndefined();
      expect(rangesDiffer(unpacked, content, randomNumbers(1), 10)).toBeUndefined();
      const starts = pointsOf(source, index).map(({ start }) => start);
      for (const [at, start] of starts.entries()) expect((starts[at + 1] ?? content.length) - start).toBeLessThanOrEqual(320_000);
      return index.length;
    });
    const [all = 0, some = 0, few = 0] = sizes;
    expect(all).toBeGreaterThan(200_000);
    expect(some).toBeLessThan(80_000);
    expect(few).toBeLessThan(35_000);
  });

  test("120 MiB of data and holes: a table of less than 0.8 %, read without reading all", () => {
    const content = Buffer.alloc(120 * MIB);
    for (let at = 0; at < content.length; at += 10 * MIB) mixed(at, MIB).copy(content, at + 123_457);
    const packed = gzipSync(content, { level: 1 });
    let bytes = 0;
    const inner = memorySource("disk.gz", packed);
    const source: Source = {
      ...inner,
      read(target, position) {
        bytes += target.length;
        inner.read(target, position);
      },
    };
    const index = gzip.index(source, indexOptions());
    expect(index.length).toBeLessThan(content.length * 0.004);
    expect(usualSpacing.allowed(2 ** 31)).toBeLessThan(20 * MIB);
    bytes = 0;
    const unpacked = gzip.open(source, index) ?? source;
    const target = Buffer.alloc(4096);
    unpacked.read(target, 80 * MIB + 200_000);
    expect(difference(target, content.subarray(80 * MIB + 200_000, 80 * MIB + 204_096))).toBeUndefined();
    expect(bytes).toBeLessThan(2 * MIB);
    expect(rangesDiffer(unpacked, content, randomNumbers(7), 20)).toBeUndefined();
  });

  test("a bomb: 256 MiB of zeros in 256 KiB takes a small table and little memory", () => {
    const part = gzipSync(Buffer.alloc(32 * MIB), { level: 9 });
    const source = memorySource("bomb.gz", Buffer.concat(Array<Buffer>(8).fill(part)));
    const before = process.memoryUsage();
    const index = gzip.index(source, indexOptions());
    const after = process.memoryUsage();
    expect(index.length).toBeLessThan(128 * KIB);
    expect(after.arrayBuffers + after.external - before.arrayBuffers - before.external).toBeLessThan(32 * MIB);
    const unpacked = gzip.open(source, index);
    expect(unpacked?.size).toBe(256 * MIB);
    const target = Buffer.alloc(100, 0xee);
    unpacked?.read(target, 256 * MIB - 100);
    expect(target.every((byte) => byte === 0)).toBe(true);
  });

  test("read in order, each chunk is decoded once", () => {
    const content = noise(9, 3_000_000);
    const inner = memorySource("disk.gz", gzipSync(content, { level: 1 }));
    let bytes = 0;
    const source: Source = {
      ...inner,
      read(target, position) {
        bytes += target.length;
        inner.read(target, position);
      },
    };
    const unpacked = gzip.open(source, scanGzip(source, indexOptions(), every(300_000))) ?? source;
    bytes = 0;
    allOf(unpacked, 4096);
    expect(bytes).toBeLessThan(inner.size * 1.1);
  });

  test("progress is told, and may stop it", () => {
    const source = memorySource("disk.gz", gzipSync(noise(1, 3 * MIB)));
    const options = indexOptions();
    gzip.index(source, options);
    expect(options.steps.length).toBeGreaterThan(3);
    expect(options.steps).toEqual(options.steps.toSorted((a, b) => a - b));
    expect(options.steps.at(-1)).toBeLessThanOrEqual(source.size);
    const stop = () => {
      throw new Error("stopped");
    };
    expect(() => gzip.index(source, { ...options, progress: stop })).toThrow("stopped");
  });
});

describe("the source", () => {
  const directory = tempDirectory();

  test("has the name and time of the file, no descriptor of its own, and closes it", () => {
    const path = join(subdirectory(directory), "a.gz");
    writeFileSync(path, gzipSync("content"));
    let closed = 0;
    const file = openFile(path, { devices: false });
    const source = fileSource(file, () => (closed += 1));
    const unpacked = gzip.open(source, gzip.index(source, indexOptions()));
    expect(unpacked).toMatchObject({ name: path, size: 7, modified: file.modified });
    expect(unpacked?.file).toBeUndefined();
    expect(() => unpacked?.read(Buffer.alloc(2), 6)).toThrow("the file has 7 bytes");
    unpacked?.close();
    expect(closed).toBe(1);
  });

  test("is known by its first four bytes", () => {
    expect(gzip.probe(Buffer.from([0x1f, 0x8b, 8, 0x1f]))).toBe(true);
    for (const head of [[0x1f, 0x8b, 8], [0x1f, 0x8b, 8, 0x20], [0x1f, 0x8b, 8, 0x80], [0x1f, 0x8b, 7, 0], [0x1f, 0x8c, 8, 0], []]) {
      expect(gzip.probe(Buffer.from(head)), String(head)).toBe(false);
    }
  });
});
