import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { androidSparse } from "../../src/formats/android-sparse/index.js";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { memorySource } from "../../src/source/memory.js";
import { buildSparse, type SparseShape } from "../support/android-sparse-builder.js";
import { mixed } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { requireProgram, run } from "../support/qemu.js";
import { difference, imageErrorOf, readRange } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const shapes = {
  "every kind of chunk": {
    chunks: [
      { kind: "raw", blocks: 2 },
      { kind: "fill", blocks: 3, pattern: 0x12345678 },
      { kind: "skip", blocks: 4 },
      { kind: "crc32" },
      { kind: "fill", blocks: 1, pattern: 0 },
      { kind: "raw", blocks: 1 },
      { kind: "crc32" },
    ],
  },
  "two patterns, also longer than what is filled at once": {
    chunks: [
      { kind: "fill", blocks: 20, pattern: 0xdeadbeef },
      { kind: "raw", blocks: 1 },
      { kind: "fill", blocks: 3, pattern: 0x01020304 },
    ],
  },
  "blocks of 12 bytes": {
    blockSize: 12,
    chunks: [
      { kind: "raw", blocks: 5 },
      { kind: "fill", blocks: 7, pattern: 0xaabbccdd },
      { kind: "skip", blocks: 3 },
      { kind: "raw", blocks: 1 },
    ],
  },
  "blocks of 64 KiB": {
    blockSize: 65536,
    chunks: [
      { kind: "skip", blocks: 1 },
      { kind: "raw", blocks: 2 },
    ],
  },
  "nothing but skipped blocks": { chunks: [{ kind: "skip", blocks: 9 }] },
  "chunks of no block": {
    chunks: [
      { kind: "raw", blocks: 0 },
      { kind: "raw", blocks: 1 },
      { kind: "skip", blocks: 0 },
      { kind: "fill", blocks: 1, pattern: 7 },
    ],
  },
  "many chunks": {
    blockSize: 4,
    chunks: Array.from({ length: 300 }, (_, index) =>
      index % 3 === 0 ? ({ kind: "raw", blocks: 1 + (index % 5) } as const) : ({ kind: "fill", blocks: 2, pattern: index % 7 } as const),
    ),
  },
} as const satisfies Record<string, SparseShape>;
const longer: SparseShape = { ...shapes["every kind of chunk"], moreHeader: 6, moreChunkHeader: 4, minorVersion: 3 };

function sampleOf([name, shape]: readonly [string, SparseShape]): Sample {
  const { image, disk } = buildSparse(shape);
  return { name, image, disk };
}

/** What Android's own program makes of a disk. */
const converted = mixed(5, 40 * 4096);
converted.fill(0, 4096, 5 * 4096);
converted.fill("fill", 30 * 4096, 36 * 4096);

describeDriver(androidSparse, [
  ...Object.entries<SparseShape>(shapes).map(sampleOf),
  sampleOf(["longer headers", longer]),
  {
    name: "img2simg",
    disk: converted,
    needs: "img2simg",
    image(directory) {
      const [flat, path] = [join(directory, "raw"), join(directory, "image.simg")];
      writeFileSync(flat, converted);
      run("img2simg", [flat, path]);
      return path;
    },
  },
]);

const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function openBytes(image: Uint8Array, options = {}): Layer {
  return androidSparse.open(memorySource("test.simg", image), nothingElse, options);
}

function changed(image: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(image);
  copy.set(bytes, at);
  return copy;
}

const built = buildSparse(shapes["every kind of chunk"]);

test.each([
  ["another major version", 4, [2, 0], "UNSUPPORTED", "version is 2.0"],
  ["a header shorter than any", 8, [27, 0], "CORRUPT", "27 bytes"],
  ["chunk headers shorter than any", 10, [11, 0], "CORRUPT", "11 bytes"],
  ["blocks of 0 bytes", 12, [0, 0, 0, 0], "CORRUPT", "multiple of 4"],
  ["blocks of 4098 bytes", 12, [2, 16, 0, 0], "CORRUPT", "4098"],
  ["a disk beyond 2^53 bytes", 12, [0xfc, 255, 255, 255, 255, 255, 255, 255], "CORRUPT", "2^53"],
  ["another magic", 0, [0], "WRONG_FORMAT", "no Android sparse image"],
])("what cannot be read: %s", (_, at, bytes, code, message) => {
  const error = imageErrorOf(() => openBytes(changed(built.image, at, bytes)));
  expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string, file: "test.simg" });
});

test("snapshots and disks by name, which there are none of", () => {
  expect(imageErrorOf(() => openBytes(built.image, { snapshot: "1" }))).toMatchObject({ code: "UNSUPPORTED" });
  expect(imageErrorOf(() => openBytes(built.image, { disk: "1" }))).toMatchObject({ code: "UNSUPPORTED" });
});

test("longer headers are passed over", () => {
  const { image, disk } = buildSparse(longer);
  const layer = openBytes(image);
  expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
  expect(layer.facts()).toEqual({ variant: "version 1.3", details: { "block size": 4096, chunks: 7 }, notes: [] });
});

describe("damage", () => {
  const chunk = (index: number, field: number) => built.chunkPositions[index]! + field;

  test.each([
    ["an unknown type", chunk(2, 0), [0xc5, 0xca], 5, "CORRUPT", "0xcac5"],
    ["a raw chunk of another size than its blocks", chunk(0, 8), [1], 0, "CORRUPT", "bytes of data, not"],
    ["a fill chunk without a pattern", chunk(1, 8), [12], 2, "CORRUPT", "0 bytes of data, not 4"],
    ["a skipped chunk with data", chunk(2, 8), [13], 5, "CORRUPT", "1 bytes of data, not 0"],
    ["a chunk that leaves the disk", chunk(2, 4), [255, 0, 0, 1], 5, "CORRUPT", "leave the disk"],
    ["fewer blocks than the disk has", chunk(2, 4), [3, 0, 0, 0], 10, "CORRUPT", "10 of 11 blocks"],
    ["more chunks than there are", 20, [255], 11, "TRUNCATED", "behind the end"],
    ["fewer chunks than there are", 20, [5], 10, "CORRUPT", "10 of 11 blocks"],
  ])("what follows a chunk that cannot be is damaged: %s", (_, at, bytes, blocks, code, message) => {
    const layer = openBytes(changed(built.image, at, bytes));
    const { size } = layer;
    const good = blocks * 4096;
    if (at !== chunk(2, 4)) expect(difference(readRange(layer, 0, good), built.disk.subarray(0, good))).toBeUndefined();
    if (good < size) {
      expect(layer.map(good, size)).toMatchObject({ kind: "damaged", length: size - good, error: { code } });
    }
    expect(layer.facts().notes).toEqual([expect.stringContaining(message)]);
  });

  test("a cut file is read up to the cut", () => {
    const end = built.chunkPositions[5]! + 12 + 100;
    const layer = openBytes(built.image.subarray(0, end));
    expect(layer.size).toBe(built.disk.length);
    const good = 10 * 4096 + 100;
    expect(difference(readRange(layer, 0, good), built.disk.subarray(0, good))).toBeUndefined();
    expect(layer.map(good, 10_000)).toMatchObject({ kind: "damaged", length: 4096 - 100, error: { code: "TRUNCATED" } });
  });

  test("a count of chunks that no file could have takes no memory", () => {
    const layer = openBytes(changed(built.image, 20, [255, 255, 255, 255]));
    expect(difference(readRange(layer, 0, layer.size), built.disk)).toBeUndefined();
  });
});

test("skipped blocks and zero patterns are no data, raw ones are where they are", () => {
  const layer = openBytes(built.image);
  expect(layer.map(5 * 4096 + 9, 2 ** 20)).toEqual({ kind: "zero", length: 4 * 4096 - 9 });
  expect(layer.map(9 * 4096, 2 ** 20)).toEqual({ kind: "zero", length: 4096 });
  expect(layer.map(4096, 2 ** 20)).toMatchObject({ kind: "data", length: 4096, position: built.chunkPositions[0]! + 12 + 4096 });
  expect(layer.map(2 * 4096 + 3, 2 ** 20)).toMatchObject({ kind: "packed", length: 3 * 4096 - 3, skip: 3 });
});

describe.skipIf(!requireProgram("simg2img"))("images that simg2img reads too", () => {
  const directory = tempDirectory();

  // It passes over no longer headers, and takes blocks of 1024 bytes at least.
  const theirs = Object.entries<SparseShape>(shapes).filter(([, { blockSize = 4096 }]) => blockSize >= 1024);
  test.each(theirs)("simg2img reads what the builder makes: %s", (_, shape) => {
    const { image, disk } = buildSparse(shape);
    const home = subdirectory(directory);
    writeFileSync(join(home, "a.simg"), image);
    run("simg2img", [join(home, "a.simg"), join(home, "raw")]);
    expect(difference(readFileSync(join(home, "raw")), disk)).toBeUndefined();
  });
});
