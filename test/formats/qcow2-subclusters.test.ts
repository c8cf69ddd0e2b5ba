// qcow2 with extended L2 entries and with external data files, built by hand.
import { symlinkSync, truncateSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { builtDisks } from "../support/built.js";
import { between, noise, randomNumbers, text } from "../support/content.js";
import { deflated } from "../support/packing.js";
import { buildQcow2, type Clusters, type Recipe } from "../support/qcow2-builder.js";
import { type Cluster, COPIED } from "../support/qcow2-entries.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import { difference, imageErrorOf, readRange, refusalOf, withDisk } from "../support/reading.js";

const CLUSTER = 16_384;
const PART = CLUSTER / 32;
const { write, expectDisk } = builtDisks();
const parent = noise(1000, 64 * CLUSTER);
const backing = { name: "base.bin", format: "raw" };

function parts(seed: number, allocated: number, zero: number): Cluster {
  return { kind: "parts", content: noise(seed, CLUSTER), allocated: allocated >>> 0, zero: zero >>> 0 };
}

/** Every other cluster with a bitmap of its own, any mixture of the three states. */
function mixtures(seed: number): Clusters {
  const random = randomNumbers(seed);
  const special: [number, number][] = [
    [0, 0],
    [-1, 0],
    [0, -1],
    [0x5555_5555, 0xaaaa_aaaa],
    [1, 0x8000_0000],
    [0x8000_0000, 1],
    [0xffff_0000, 0x0000_ffff],
    [0x7fff_fffe, 0],
  ];
  const others = Array.from({ length: 24 }, (): [number, number] => {
    const allocated = between(random, 0, 2 ** 32 - 1);
    return [allocated, between(random, 0, 2 ** 32 - 1) & ~allocated];
  });
  return new Map(
    [...special, ...others].map(([allocated, zero], index): [number, Cluster] => [
      index * 2 - (index % 3 === 0 ? 0 : 1),
      parts(seed + index, allocated, zero),
    ]),
  );
}

describe("extended L2 entries", () => {
  test.each([1, 2, 3])("bitmaps of all mixtures over a backing file, order %i", (seed) => {
    const recipe: Recipe = { extended: true, clusterBits: 14, seed, size: 64 * CLUSTER - 512, clusters: mixtures(seed), backing };
    expectDisk(write({ "disk.qcow2": recipe, "base.bin": parent }), recipe, { parent });
  });

  test("bitmaps of all mixtures without one", () => {
    const recipe: Recipe = { extended: true, clusterBits: 14, seed: 4, size: 64 * CLUSTER, clusters: mixtures(4) };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test("stored, compressed and zero clusters side by side, several L2 tables", () => {
    const clusters = new Map<number, Cluster>([
      [0, { kind: "data", content: noise(1, CLUSTER) }],
      [1, { kind: "packed", content: text(2, CLUSTER), stored: deflated(text(2, CLUSTER)) }],
      [2, { kind: "zero" }],
      [3, { kind: "zero", stale: noise(3, CLUSTER) }],
      [4, parts(4, 0xff, 0xff00)],
      [1023, parts(5, 0xf0f0_f0f0, 0)],
      [1024, { kind: "packed", content: text(6, CLUSTER), stored: deflated(text(6, CLUSTER)) }],
    ]);
    const recipe: Recipe = { extended: true, clusterBits: 14, seed: 5, size: 1100 * CLUSTER, clusters, backing };
    expectDisk(write({ "disk.qcow2": recipe, "base.bin": parent }), recipe, { parent });
  });

  test("bit 0 of the entry is reserved, not the zero flag", () => {
    const clusters = new Map<number, Cluster>([[1, { kind: "data", content: noise(2, CLUSTER), bits: 1n }]]);
    const recipe: Recipe = { extended: true, clusterBits: 14, size: 4 * CLUSTER, clusters };
    expectDisk(write({ "disk.qcow2": recipe }), recipe, { judge: "read" });
  });

  test("the file ends with the last allocated subcluster", () => {
    const recipe: Recipe = { extended: true, clusterBits: 14, size: 4 * CLUSTER, clusters: new Map([[1, parts(2, 0x1f, 0)]]), backing };
    const { bytes, data } = buildQcow2(recipe);
    // The refcounts, which nobody reads, are behind it.
    const path = write({ "disk.qcow2": bytes.subarray(0, (data.get(1) ?? 0) + 5 * PART), "base.bin": parent });
    expectDisk(path, recipe, { parent, judge: "none" });
  });

  test("an allocated subcluster behind the end of the file is an error, those before it are not", () => {
    const recipe: Recipe = { extended: true, clusterBits: 14, size: 4 * CLUSTER, clusters: new Map([[1, parts(2, 0x3f, 0)]]), backing };
    const { bytes, data } = buildQcow2(recipe);
    const path = write({ "disk.qcow2": bytes.subarray(0, (data.get(1) ?? 0) + 5 * PART + 100), "base.bin": parent });
    withDisk(path, {}, (layer) => {
      expect(difference(readRange(layer, CLUSTER, 5 * PART), noise(2, 5 * PART))).toBeUndefined();
      expect(imageErrorOf(() => readRange(layer, CLUSTER + 5 * PART, PART))).toBeDefined();
      expect(
        difference(readRange(layer, CLUSTER + 6 * PART, PART), parent.subarray(CLUSTER + 6 * PART, CLUSTER + 7 * PART)),
      ).toBeUndefined();
    });
  });

  test("both bits of a subcluster set is an error for that cluster at most", () => {
    const recipe: Recipe = {
      extended: true,
      clusterBits: 14,
      size: 6 * CLUSTER,
      clusters: new Map([1, 2, 3].map((number) => [number, parts(number, 0xff, number === 2 ? 0x0180 : 0)])),
      backing,
    };
    const expected = expectedDisk(recipe, parent);
    withDisk(write({ "disk.qcow2": recipe, "base.bin": parent }), {}, (layer) => {
      expect(imageErrorOf(() => readRange(layer, 2 * CLUSTER + 7 * PART, PART))?.code).toBe("CORRUPT");
      for (let part = 0; part < 6 * 32; part += 1) {
        const check = () =>
          expect(difference(readRange(layer, part * PART, PART), expected.subarray(part * PART, (part + 1) * PART))).toBeUndefined();
        if (imageErrorOf(check)) expect(Math.floor(part / 32)).toBe(2);
      }
    });
  });

  test("an allocated subcluster of a cluster without offset is an error", () => {
    const recipe: Recipe = {
      extended: true,
      clusterBits: 14,
      size: 4 * CLUSTER,
      clusters: new Map([[1, { kind: "entry", entry: 0n, bitmap: 1n }]]),
    };
    withDisk(write({ "disk.qcow2": recipe }), {}, (layer) => {
      expect(imageErrorOf(() => readRange(layer, CLUSTER, 100))?.code).toBe("CORRUPT");
      expect(difference(readRange(layer, 0, CLUSTER), Buffer.alloc(CLUSTER))).toBeUndefined();
    });
  });

  test("clusters smaller than 16 KiB are refused", () => {
    const recipe: Recipe = { extended: true, clusterBits: 13, size: 8192 * 4, clusters: new Map() };
    expect(refusalOf(write({ "disk.qcow2": recipe })).code).toMatch(/CORRUPT|UNSUPPORTED/);
  });
});

describe("an external data file", () => {
  const size = 8 * CLUSTER;
  const stored = noise(7, size);
  const clusters = new Map<number, Cluster>([
    [0, { kind: "data", content: stored.subarray(0, CLUSTER) }],
    [2, { kind: "data", content: stored.subarray(2 * CLUSTER, 3 * CLUSTER) }],
    [3, { kind: "zero" }],
    [4, { kind: "zero", stale: stored }],
    [6, { kind: "entry", entry: 0n }],
  ]);
  const recipe: Recipe = { clusterBits: 14, size, clusters, dataFile: "disk.data" };

  test("host offset 0 is a place like any other there", () => {
    expectDisk(write({ "disk.qcow2": recipe, "disk.data": stored }), recipe, { judge: "none" });
  });

  test("over a backing file, unallocated clusters come from that", () => {
    const over: Recipe = { ...recipe, backing };
    expectDisk(write({ "disk.qcow2": over, "disk.data": stored, "base.bin": parent }), over, { parent, judge: "none" });
  });

  test("with subclusters", () => {
    const content = (number: number) => stored.subarray(number * CLUSTER, (number + 1) * CLUSTER);
    const mixed = new Map<number, Cluster>([
      [0, { kind: "parts", content: content(0), allocated: 0xf0f0, zero: 0x0f00_0000 }],
      [5, { kind: "parts", content: content(5), allocated: 0x8000_0001, zero: 0 }],
    ]);
    const over: Recipe = { ...recipe, extended: true, clusters: mixed, backing };
    expectDisk(write({ "disk.qcow2": over, "disk.data": stored, "base.bin": parent }), over, { parent, judge: "none" });
  });

  test("missing", () => {
    expect(refusalOf(write({ "disk.qcow2": recipe })).code).toBe("PART_MISSING");
  });

  test("not named at all", () => {
    const unnamed: Recipe = {
      clusterBits: 14,
      size,
      clusters: new Map([[1, { kind: "entry", entry: COPIED | BigInt(CLUSTER) }]]),
      incompatible: 4n,
    };
    expect(refusalOf(write({ "disk.qcow2": unnamed })).code).toMatch(/PART_MISSING|CORRUPT|UNSUPPORTED/);
  });

  test("outside the image's folder it is opened only where that is allowed", () => {
    const elsewhere = write({ "disk.data": stored });
    const path = write({ "disk.qcow2": { ...recipe, dataFile: elsewhere } });
    const error = refusalOf(path);
    expect(error.code).toBe("PART_DENIED");
    expect(error.hint).toContain(`--allow ${dirname(elsewhere)}`);
    expectDisk(path, recipe, { judge: "none", options: { allow: [dirname(elsewhere)] } });

    const linked = write({ "disk.qcow2": recipe });
    symlinkSync(elsewhere, join(dirname(linked), "disk.data"));
    expect(refusalOf(linked).code).toBe("PART_DENIED");
  });

  test("shorter than the clusters in it: an error behind its end only", () => {
    const path = write({ "disk.qcow2": recipe, "disk.data": stored });
    truncateSync(join(dirname(path), "disk.data"), 2 * CLUSTER + 1000);
    withDisk(path, {}, (layer) => {
      expect(difference(readRange(layer, 0, CLUSTER), stored.subarray(0, CLUSTER))).toBeUndefined();
      expect(imageErrorOf(() => readRange(layer, 2 * CLUSTER + 1000, 1))).toBeDefined();
      expect(difference(readRange(layer, 3 * CLUSTER, 5 * CLUSTER), Buffer.alloc(5 * CLUSTER))).toBeUndefined();
    });
  });

  test("compressed clusters are not allowed with one", () => {
    const packed: Recipe = {
      ...recipe,
      clusters: new Map([[1, { kind: "packed", content: text(1, CLUSTER), stored: deflated(text(1, CLUSTER)) }]]),
    };
    withDisk(write({ "disk.qcow2": packed, "disk.data": stored }), {}, (layer) => {
      expect(imageErrorOf(() => readRange(layer, CLUSTER, CLUSTER))?.code).toMatch(/CORRUPT|UNSUPPORTED/);
    });
  });
});
