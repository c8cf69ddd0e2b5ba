// Damaged qcow2 images: the right bytes or an ImageError, for the damaged range only; never zeros in place of data, never a crash.
import fc from "fast-check";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createBlockCache } from "../../src/disk/cache.js";
import { readDisk } from "../../src/disk/read.js";
import type { Layer } from "../../src/formats/driver.js";
import { builtDisks } from "../support/built.js";
import { noise, text } from "../support/content.js";
import { deflated, zstdStored } from "../support/packing.js";
import { type Built, buildQcow2, type Recipe } from "../support/qcow2-builder.js";
import { type Cluster, COPIED, extraSectors } from "../support/qcow2-entries.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import { difference, imageErrorOf, readRange, withDisk } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";

const CLUSTER = 4096;
const COUNT = 40;
const PER_TABLE = CLUSTER / 8;
const { write } = builtDisks();

/** Every kind of cluster, in two L2 tables. `SECOND` is in the other one. */
const SECOND = PER_TABLE + 3;
function sample(more: Partial<Recipe> = {}): Recipe {
  const pack = more.compressionType === 1 ? zstdStored : deflated;
  const packed = (seed: number): Cluster => ({ kind: "packed", content: text(seed, CLUSTER), stored: pack(text(seed, CLUSTER)) });
  const stored = (seed: number): Cluster => ({ kind: "data", content: noise(seed, CLUSTER) });
  const clusters = new Map<number, Cluster>([
    ...[1, 2, 5, 30, SECOND, SECOND + 1].map((number): [number, Cluster] => [number, stored(number)]),
    ...[7, 8, 9, SECOND + 4].map((number): [number, Cluster] => [number, packed(number)]),
    [12, { kind: "zero" }],
    [13, { kind: "zero", stale: noise(13, CLUSTER) }],
  ]);
  return { size: (PER_TABLE + COUNT) * CLUSTER, clusters, seed: 8, ...more };
}

const interesting = [...Array(COUNT).keys(), ...Array.from({ length: COUNT }, (_, index) => PER_TABLE + index)];

/** Numbers of the clusters that fail with an `ImageError`; all others are checked to be right. */
function failingClusters(layer: Layer, expected: Buffer): number[] {
  return interesting.filter((number) => {
    const at = number * CLUSTER;
    return (
      imageErrorOf(() => expect(difference(readRange(layer, at, CLUSTER), expected.subarray(at, at + CLUSTER))).toBeUndefined()) !==
      undefined
    );
  });
}

/** Builds the sample, lets `damage` change its bytes, and tells which clusters then fail. */
function failuresAfter(damage: (built: Built) => void, recipe = sample()): number[] {
  const built = buildQcow2(recipe);
  damage(built);
  return withDisk(write({ "disk.qcow2": built.bytes }), { format: "qcow2" }, (layer) => failingClusters(layer, expectedDisk(recipe)));
}

function setEntry({ bytes, l2 }: Built, number: number, entry: bigint): void {
  bytes.writeBigUInt64BE(entry, (l2.get(Math.floor(number / PER_TABLE)) ?? 0) + (number % PER_TABLE) * 8);
}

test("undamaged, nothing fails", () => {
  expect(failuresAfter(() => undefined)).toEqual([]);
  expect(failuresAfter(() => undefined, sample({ compressionType: 1 }))).toEqual([]);
});

describe("a file cut off", () => {
  const directory = tempDirectory();

  test.each([0, 1])("anywhere, compression type %i", (compressionType) => {
    // Tables first, so that most cuts leave them.
    const recipe = sample({ compressionType, seed: 0 });
    const expected = expectedDisk(recipe);
    const { bytes } = buildQcow2(recipe);
    const path = join(directory, `cut${compressionType}.qcow2`);
    writeFileSync(path, bytes);
    let cuts = 0;
    let opened = 0;
    for (let length = bytes.length - 1; length > 0; length -= length > CLUSTER ? 509 : 37) {
      truncateSync(path, length);
      cuts += 1;
      imageErrorOf(() => withDisk(path, { format: "qcow2" }, (layer) => (opened += failingClusters(layer, expected).length < 15 ? 1 : 0)));
    }
    // What the cut leaves is still there.
    expect(opened).toBeGreaterThan(cuts / 3);
  });

  test("a stored cluster that the end cuts: what is there reads, the rest is an error and no zeros", () => {
    const recipe: Recipe = { size: 4 * CLUSTER, clusters: new Map([[2, { kind: "data", content: noise(2, CLUSTER) }]]) };
    const { bytes, data } = buildQcow2(recipe);
    const path = write({ "disk.qcow2": bytes.subarray(0, (data.get(2) ?? 0) + 1000) });
    withDisk(path, {}, (layer) => {
      const head = imageErrorOf(() => expect(difference(readRange(layer, 2 * CLUSTER, 1000), noise(2, 1000))).toBeUndefined());
      expect(head).toBeUndefined();
      expect(imageErrorOf(() => readRange(layer, 2 * CLUSTER + 1000, 1))?.code).toMatch(/^(TRUNCATED|CORRUPT)$/);
      expect(imageErrorOf(() => readRange(layer, 2 * CLUSTER + 900, 200))?.code).toMatch(/^(TRUNCATED|CORRUPT)$/);
      expect(difference(readRange(layer, 3 * CLUSTER, CLUSTER), Buffer.alloc(CLUSTER))).toBeUndefined();
    });
  });

  test("a compressed cluster that the end cuts is an error", () => {
    for (const compressionType of [0, 1]) {
      const recipe = sample({ compressionType, cutAtEnd: true });
      const { bytes, packed } = buildQcow2(recipe);
      const last = [...packed].toSorted(([, a], [, b]) => b.position - a.position)[0]?.[0] ?? 0;
      // Byte by byte from the end of the stream on; the checksum-less tail of deflate is a few bits.
      for (const missing of [3, 10, 100, 700]) {
        const path = write({ "disk.qcow2": bytes.subarray(0, bytes.length - missing) });
        expect(withDisk(path, {}, (layer) => failingClusters(layer, expectedDisk(recipe)))).toEqual([last]);
      }
    }
  });
});

describe("entries that point where nothing can be", () => {
  const far = 2n ** 30n;
  const bad = [
    { name: "behind the end", position: far },
    { name: "far behind the end", position: 2n ** 55n },
    { name: "unaligned", position: 512n * 3n },
    { name: "unaligned and behind the end", position: far + 512n },
  ];

  test.each(bad)("an L2 entry: $name", ({ position }) => {
    expect(failuresAfter((built) => setEntry(built, 5, position | COPIED))).toEqual([5]);
  });

  test.each(bad)("an L1 entry: $name", ({ position }) => {
    const failing = failuresAfter(({ bytes, l1 }) => bytes.writeBigUInt64BE(position | COPIED, l1 + 8));
    expect(failing).toEqual(interesting.filter((number) => number >= PER_TABLE));
  });

  test.each(bad)("a zero cluster's storage is not looked at: $name", ({ position }) => {
    const failing = failuresAfter((built) => setEntry(built, 13, position | COPIED | 1n));
    // QEMU takes unaligned storage as damage.
    expect([[], [13]]).toContainEqual(failing);
  });

  test("a compressed cluster behind the end", () => {
    expect(failuresAfter((built) => setEntry(built, 8, (1n << 62n) | far))).toEqual([8]);
    expect(failuresAfter((built) => setEntry(built, 8, (1n << 62n) | (2n ** 57n - 1n)))).toEqual([8]);
  });

  test("the L2 table lies across the end of the file", () => {
    const built = buildQcow2(sample({ seed: 0 }));
    const end = built.bytes.length - CLUSTER / 2;
    built.bytes.writeBigUInt64BE(BigInt(built.bytes.length - CLUSTER) | COPIED, built.l1 + 8);
    const path = write({ "disk.qcow2": built.bytes.subarray(0, end) });
    const error = withDisk(path, {}, (layer) => imageErrorOf(() => readRange(layer, (PER_TABLE + 300) * CLUSTER, 100)));
    expect(error?.code).toMatch(/^(TRUNCATED|CORRUPT)$/);
  });
});

describe("damaged compressed clusters", () => {
  test.each([
    { name: "deflate that is none", compressionType: 0, content: Buffer.alloc(64, 0xff) },
    { name: "zeros in place of deflate", compressionType: 0, content: Buffer.alloc(600) },
    { name: "deflate that ends early", compressionType: 0, content: deflated(text(8, CLUSTER - 1)) },
    { name: "empty deflate", compressionType: 0, content: deflated(Buffer.alloc(0)) },
    { name: "zstd that is none", compressionType: 1, content: noise(1, 64) },
    { name: "zeros in place of zstd", compressionType: 1, content: Buffer.alloc(600) },
    { name: "zstd that ends early", compressionType: 1, content: zstdStored(text(8, CLUSTER - 1)) },
    { name: "zstd frames that tell a huge size", compressionType: 1, content: Buffer.from("28b52ffde0ffffffffffffff0f4300004101", "hex") },
    { name: "a zstd frame with a huge window", compressionType: 1, content: Buffer.from("28b52ffd00f8430000410100", "hex") },
  ])("$name: that one fails, its neighbours do not", ({ compressionType, content }) => {
    const recipe = sample({ compressionType });
    const withDamage: Recipe = {
      ...recipe,
      clusters: new Map([...recipe.clusters, [8, { kind: "packed", content, stored: Buffer.concat([content, Buffer.alloc(700)]) }]]),
    };
    const path = write({ "disk.qcow2": withDamage });
    expect(withDisk(path, {}, (layer) => failingClusters(layer, expectedDisk(recipe)))).toEqual([8]);
  });

  test("one sector less than the stream has", () => {
    const sample = (sectors?: number): Recipe => {
      const packed = (number: number): Cluster => ({
        kind: "packed",
        content: noise(number, CLUSTER),
        stored: deflated(noise(number, CLUSTER)),
      });
      const short = sectors === undefined ? packed(3) : { ...packed(3), sectors };
      return {
        size: 6 * CLUSTER,
        clusters: new Map([
          [2, packed(2)],
          [3, short],
          [4, packed(4)],
        ]),
      };
    };
    const { position, length } = buildQcow2(sample()).packed.get(3) ?? { position: 0, length: 0 };
    const recipe = sample(extraSectors(position, length) - 1);
    const path = write({ "disk.qcow2": recipe });
    const expected = expectedDisk(recipe);
    withDisk(path, {}, (layer) => {
      for (const number of [0, 2, 4])
        expect(
          difference(readRange(layer, number * CLUSTER, CLUSTER), expected.subarray(number * CLUSTER, (number + 1) * CLUSTER)),
        ).toBeUndefined();
      expect(imageErrorOf(() => readRange(layer, 3 * CLUSTER, CLUSTER))?.code).toMatch(/^(CORRUPT|TRUNCATED)$/);
      // A part of it, and again: what is left of the failed attempt must not be taken for the cluster.
      expect(imageErrorOf(() => readRange(layer, 3 * CLUSTER + 10, 5))).toBeDefined();
    });
  });

  test("a failed cluster leaves nothing behind in the cache", () => {
    const recipe = sample();
    const built = buildQcow2(recipe);
    const stream = built.packed.get(8);
    built.bytes.fill(0xff, (stream?.position ?? 0) + 200, (stream?.position ?? 0) + 260);
    withDisk(write({ "disk.qcow2": built.bytes }), {}, (layer) => {
      const cache = createBlockCache(2 ** 20);
      const read = (number: number) => imageErrorOf(() => readDisk(layer, Buffer.alloc(10), number * CLUSTER + 5, cache)) === undefined;
      expect([7, 8, 9, 8, 7, 8, 8].map(read)).toEqual([true, false, true, false, true, false, false]);
    });
  });
});

describe("bytes flipped", () => {
  const directory = tempDirectory();
  const recipe = sample({
    snapshots: [{ id: "1", name: "s", size: 20 * CLUSTER, clusters: new Map([[3, { kind: "data", content: noise(1, CLUSTER) }]]) }],
    backing: { name: "base.bin", format: "raw" },
  });
  const built = buildQcow2(recipe);

  /** Reads some of the disk, wherever it may now seem to end. */
  function readSome(path: string, snapshot: string | undefined): void {
    withDisk(path, { format: "qcow2", snapshot }, (layer) => {
      layer.facts();
      for (const part of [0, 0.3, 0.7, 0.999]) {
        const offset = Math.floor(layer.size * part);
        for (const at of [offset, SECOND * CLUSTER, 5 * CLUSTER, 7 * CLUSTER]) {
          if (at < layer.size) imageErrorOf(() => readRange(layer, at, Math.min(3 * CLUSTER, layer.size - at)));
        }
      }
    });
  }

  test.each([
    { name: "in the header and its extensions", from: 0, length: 200 },
    { name: "in the L1 table", from: built.l1, length: 16 },
    { name: "in the first L2 table", from: built.l2.get(0) ?? 0, length: COUNT * 8 },
    { name: "in the second L2 table", from: built.l2.get(1) ?? 0, length: COUNT * 8 },
    { name: "in the snapshot table", from: built.snapshotTable, length: 80 },
    { name: "in compressed clusters", from: [...built.packed.values()][0]?.position ?? 0, length: 4000 },
  ])("$name: bytes or an ImageError, and soon", ({ from, length }) => {
    writeFileSync(join(directory, "base.bin"), noise(5, 10 * CLUSTER));
    const path = join(directory, "flipped.qcow2");
    const change = fc.record({ at: fc.nat(length - 1), value: fc.nat(255) });
    const property = fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.constantFrom(undefined, "1"), (changes, snapshot) => {
      const bytes = Buffer.from(built.bytes);
      for (const { at, value } of changes) bytes[from + at] = value;
      writeFileSync(path, bytes);
      const started = performance.now();
      imageErrorOf(() => readSome(path, snapshot));
      expect(performance.now() - started).toBeLessThan(1500);
    });
    fc.assert(property, { numRuns: 300 });
  });
});
