// Shapes of qcow2 that QEMU does not write, or not on demand: clusters, tables, compressed streams.
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { builtDisks } from "../support/built.js";
import { between, mixed, noise, randomNumbers, shuffled, text } from "../support/content.js";
import { deflated, deflatedInBlocks, zstdStored } from "../support/packing.js";
import { buildQcow2, type Recipe } from "../support/qcow2-builder.js";
import { type Cluster, COPIED } from "../support/qcow2-entries.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import { requireProgram, run } from "../support/qemu.js";
import { difference, flatOf, imageErrorOf, refusalOf } from "../support/reading.js";

const CLUSTER = 4096;
const { write, expectDisk } = builtDisks();

/** Stored, zeroed and unallocated clusters at random, the last one past the disk's end. */
function patchwork(seed: number, count: number, clusterSize: number): Map<number, Cluster> {
  const random = randomNumbers(seed);
  const numbers = shuffled([...Array(count).keys()], random).slice(0, Math.ceil(count * 0.7));
  return new Map(
    numbers.map((number): [number, Cluster] => {
      const kind = between(random, 0, 5);
      if (kind === 0) return [number, { kind: "zero" }];
      if (kind === 1) return [number, { kind: "zero", stale: noise(seed + number, clusterSize) }];
      return [number, { kind: "data", content: mixed(seed + number, clusterSize) }];
    }),
  );
}

function packed(content: Buffer, stored = deflated(content), more: Partial<Extract<Cluster, { kind: "packed" }>> = {}): Cluster {
  return { kind: "packed", content, stored, ...more };
}

describe("host clusters in any order", () => {
  test.each([9, 10, 12, 16, 21].flatMap((clusterBits) => [1, 2, 3].map((seed) => ({ clusterBits, seed }))))(
    "2^$clusterBits bytes, order $seed",
    ({ clusterBits, seed }) => {
      const count = clusterBits === 21 ? 5 : 300;
      const clusterSize = 2 ** clusterBits;
      const recipe: Recipe = { clusterBits, seed, size: count * clusterSize - 512 * seed, clusters: patchwork(seed, count, clusterSize) };
      expectDisk(write({ "disk.qcow2": recipe }), recipe);
    },
  );

  test.each([0, 1, 2, 3, 4, 5, 6])("reference counts of order %i", (refcountOrder) => {
    const recipe: Recipe = { refcountOrder, seed: 9, size: 64 * CLUSTER, clusters: patchwork(4, 64, CLUSTER) };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test("beyond 4 GiB and beyond 1 TiB of the file", () => {
    const size = 8 * CLUSTER;
    const stored = deflated(text(1, CLUSTER));
    const far = [2 ** 32, 2 ** 33 + 5 * CLUSTER, 2 ** 40 + 3 * CLUSTER];
    const streamAt = 2 ** 40 - 77;
    const entry = (position: number) => BigInt(position) | COPIED;
    const clusters = new Map<number, Cluster>(far.map((position, index) => [index, { kind: "entry", entry: entry(position) }]));
    const sectors = BigInt(Math.ceil(((streamAt % 512) + stored.length) / 512) - 1);
    clusters.set(5, { kind: "entry", entry: (1n << 62n) | (sectors << 58n) | BigInt(streamAt) });
    const path = write({ "disk.qcow2": { size, clusters } });
    const file = openSync(path, "r+");
    ftruncateSync(file, 2 ** 40 + 4 * CLUSTER);
    for (const [index, position] of far.entries()) writeSync(file, noise(index, CLUSTER), 0, CLUSTER, position);
    writeSync(file, stored, 0, stored.length, streamAt);
    closeSync(file);

    const expected = Buffer.alloc(size);
    for (const index of far.keys()) noise(index, CLUSTER).copy(expected, index * CLUSTER);
    text(1, CLUSTER).copy(expected, 5 * CLUSTER);
    expect(difference(flatOf(path), expected)).toBeUndefined();
  });
});

describe("tables", () => {
  const clusters = patchwork(7, 40, CLUSTER);
  const parent = noise(99, 40 * CLUSTER);
  const backing = { name: "base.bin", format: "raw" };

  test("an L1 table larger than the disk needs", () => {
    const recipe: Recipe = { size: 40 * CLUSTER, clusters, l1Entries: 700 };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test.each([
    { clusterBits: 9, extended: false },
    { clusterBits: 14, extended: true },
  ])("an L1 table just large enough, and one a sector too small is refused, $clusterBits", ({ clusterBits, extended }) => {
    const perTable = 2 ** clusterBits / (extended ? 16 : 8);
    const last: Cluster = { kind: "data", content: noise(1, 2 ** clusterBits) };
    const recipe: Recipe = {
      clusterBits,
      extended,
      size: 3 * perTable * 2 ** clusterBits,
      clusters: new Map([[3 * perTable - 1, last]]),
      l1Entries: 3,
    };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
    expect(refusalOf(write({ "disk.qcow2": { ...recipe, size: recipe.size + 512 } })).code).toBe("CORRUPT");
  });

  test("L1 entries of 0 between others", () => {
    const recipe: Recipe = {
      size: 5000 * CLUSTER,
      clusters: new Map([
        [3, data(1)],
        [1024, data(2)],
        [4999, data(3)],
      ]),
      backing,
    };
    expectDisk(write({ "disk.qcow2": recipe, "base.bin": parent }), recipe, { parent });
  });

  test("clusters behind the end of the disk are not shown", () => {
    const recipe: Recipe = { size: 10 * CLUSTER, clusters: patchwork(8, 30, CLUSTER) };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test.each([1, 511, 4095, 10_000])("a disk of %i bytes", (size) => {
    const recipe: Recipe = { size, clusters: patchwork(8, 3, CLUSTER) };
    expectDisk(write({ "disk.qcow2": recipe }), recipe, { judge: "read" });
  });

  test("an entry with COPIED and no offset is unallocated", () => {
    const recipe: Recipe = { size: 40 * CLUSTER, clusters: new Map([...clusters, [2, { kind: "entry", entry: COPIED }]]), backing };
    expectDisk(write({ "disk.qcow2": recipe, "base.bin": parent }), recipe, { parent, judge: "read" });
  });

  test.each([0x1fen, 0x3fn << 56n])("reserved bits %x of an L2 entry are ignored", (bits) => {
    const recipe: Recipe = {
      size: 4 * CLUSTER,
      clusters: new Map([
        [1, data(1)],
        [2, { kind: "data", content: noise(2, CLUSTER), bits }],
      ]),
    };
    expectDisk(write({ "disk.qcow2": recipe }), recipe, { judge: "read" });
  });

  test.each([0x1ffn, 0x7fn << 56n])("reserved bits %x of an L1 entry are ignored", (bits) => {
    const recipe: Recipe = { size: 4 * CLUSTER, clusters: new Map([[1, data(1)]]) };
    const { bytes, l1 } = buildQcow2(recipe);
    bytes.writeBigUInt64BE(bytes.readBigUInt64BE(l1) | bits, l1);
    expectDisk(write({ "disk.qcow2": bytes }), recipe, { judge: "read" });
  });

  test("the zero flag means nothing in version 2: stored bytes or an error, never zeros", () => {
    const recipe: Recipe = {
      version: 2,
      size: 2 * CLUSTER,
      clusters: new Map([[1, { kind: "data", content: noise(2, CLUSTER), bits: 1n }]]),
    };
    const path = write({ "disk.qcow2": recipe });
    const error = imageErrorOf(() => expect(difference(flatOf(path), expectedDisk(recipe))).toBeUndefined());
    if (error) expect(error.code).toBe("CORRUPT");
  });
});

function data(seed: number): Cluster {
  return { kind: "data", content: noise(seed, CLUSTER) };
}

describe("compressed clusters", () => {
  /** Streams one behind the other, of very different lengths, so that they share sectors and cross host clusters. */
  function streams(pack: (content: Buffer, index: number) => Buffer, clusterSize = CLUSTER): Map<number, Cluster> {
    const order = shuffled([...Array(24).keys()], randomNumbers(3));
    return new Map(
      order.map((number, index) => {
        const content =
          index % 3 === 0 ? noise(number, clusterSize) : index % 3 === 1 ? text(number, clusterSize) : Buffer.alloc(clusterSize, number);
        return [number, packed(content, pack(content, index), { gap: index % 4 })];
      }),
    );
  }

  test.each([12, 14, 16])("clusters of 2^%i share sectors and cross host clusters", (clusterBits) => {
    const recipe: Recipe = {
      clusterBits,
      size: 25 * 2 ** clusterBits,
      clusters: streams((content) => deflated(content), 2 ** clusterBits),
    };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test.each([
    { name: "stored deflate blocks", pack: (content: Buffer) => deflated(content, 0) },
    { name: "many deflate blocks", pack: deflatedInBlocks },
    { name: "junk behind the stream", pack: (content: Buffer, index: number) => Buffer.concat([deflated(content), noise(index, 300)]) },
  ])("$name", ({ pack }) => {
    const recipe: Recipe = { size: 25 * CLUSTER, clusters: streams(pack) };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test("clusters of 512 bytes", () => {
    const contents = [1, 2, 3, 4, 5].map((seed) => text(seed, 512));
    const recipe: Recipe = {
      clusterBits: 9,
      size: 8 * 512,
      clusters: new Map(contents.map((content, index) => [index + 1, packed(content)])),
    };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test("more sectors than the stream needs", () => {
    const content = text(1, CLUSTER);
    const recipe: Recipe = {
      size: 4 * CLUSTER,
      clusters: new Map([
        [0, packed(content, undefined, { sectors: 9 })],
        [1, packed(noise(2, CLUSTER))],
        [2, packed(noise(3, CLUSTER))],
      ]),
    };
    expectDisk(write({ "disk.qcow2": recipe }), recipe, { judge: "read" });
  });

  test("a stream that goes on behind a cluster's worth of bytes", () => {
    const content = text(1, CLUSTER);
    const recipe: Recipe = {
      size: 2 * CLUSTER,
      clusters: new Map([[1, packed(content, deflated(Buffer.concat([content, text(2, 700)])))]]),
    };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test.each([0, 1])("the last stream ends the file inside a sector, compression type %i", (compressionType) => {
    const pack = compressionType === 1 ? zstdStored : deflated;
    const recipe: Recipe = { size: 25 * CLUSTER, compressionType, cutAtEnd: true, clusters: streams((content) => pack(content)) };
    const path = write({ "disk.qcow2": recipe });
    expect(buildQcow2(recipe).bytes.length % 512).not.toBe(0);
    expectDisk(path, recipe, { judge: "read" });
  });

  test.each([
    { name: "one frame", pack: (content: Buffer) => zstdStored(content) },
    { name: "a frame that does not tell its length", pack: (content: Buffer) => zstdStored(content, { declareSize: false }) },
    {
      name: "two frames",
      pack: (content: Buffer) =>
        Buffer.concat([zstdStored(content.subarray(0, 1000)), zstdStored(content.subarray(1000), { declareSize: false })]),
    },
    { name: "junk behind the frame", pack: (content: Buffer, index: number) => Buffer.concat([zstdStored(content), noise(index, 200)]) },
  ])("zstd: $name", ({ pack }) => {
    const recipe: Recipe = { size: 25 * CLUSTER, compressionType: 1, clusters: streams(pack) };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test.skipIf(!requireProgram("zstd"))("zstd: as its own program writes it, with checksums and at level 19", () => {
    const pack = (content: Buffer) => {
      const file = write({ content });
      run("zstd", ["-q", "-f", "-19", "--check", file]);
      return readFileSync(`${file}.zst`);
    };
    const recipe: Recipe = { clusterBits: 16, size: 25 * 65_536, compressionType: 1, clusters: streams(pack, 65_536) };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test("between stored clusters and over a backing file", () => {
    const parent = noise(5, 30 * CLUSTER);
    const clusters = new Map([...patchwork(5, 30, CLUSTER), ...streams((content) => deflated(content))]);
    const recipe: Recipe = { size: 30 * CLUSTER, seed: 6, clusters, backing: { name: "base.bin", format: "raw" } };
    expectDisk(write({ "disk.qcow2": recipe, "base.bin": parent }), recipe, { parent });
  });
});
