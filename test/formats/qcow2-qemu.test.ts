// Images that QEMU wrote, read by us and by QEMU.
import fc from "fast-check";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createBlockCache } from "../../src/disk/cache.js";
import { readDisk } from "../../src/disk/read.js";
import { activity } from "../support/activity.js";
import { noise } from "../support/content.js";
import { extentsOf, mapDifferences } from "../support/extents.js";
import { fingerprint } from "../support/hash.js";
import { change, createImage, flat, qemuMap, requireProgram, virtualSize } from "../support/qemu.js";
import { difference, flatOf, readRange, withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { qcow2Matrix } from "./qcow2-matrix.js";

const available = requireProgram("qemu-img") && requireProgram("qemu-io");

describe.skipIf(!available)("qcow2 images written by QEMU", () => {
  const directory = tempDirectory();

  test("every image of the matrix has a name of its own", () => {
    expect(new Set(qcow2Matrix.map(({ name }) => name)).size).toBe(qcow2Matrix.length);
    expect(qcow2Matrix.length).toBeGreaterThanOrEqual(70);
  });

  test.each(qcow2Matrix)("$name", ({ name, build }) => {
    const home = join(directory, name);
    mkdirSync(home);
    const { image, snapshot } = build(home);
    const before = fingerprint(home);

    const found = flatOf(image, { snapshot });

    expect(difference(found, flat(image, { snapshot }))).toBeUndefined();
    // `info` and `map` know no internal snapshots.
    if (snapshot === undefined) {
      expect(found.length).toBe(virtualSize(image));
      expect(withDisk(image, {}, (layer) => mapDifferences(extentsOf(layer), qemuMap(image)))).toEqual([]);
    }
    expect(fingerprint(home)).toBe(before);
  });
});

describe.skipIf(!available)("any range of a qcow2 image", () => {
  const directory = tempDirectory();
  const size = 700 * 1024 + 512;
  const also = ["packed", "zero", "zero-unmap", "discard"] as const;

  test.each([
    { clusterSize: 512, options: {} },
    { clusterSize: 4096, options: { compression_type: "zstd" } },
    { clusterSize: 65_536, options: {} },
    { clusterSize: 16_384, options: { extended_l2: "on" } },
  ])("clusters of $clusterSize, $options", ({ clusterSize, options }) => {
    const home = subdirectory(directory);
    const image = join(home, "top.img");
    createImage(join(home, "base.img"), size - 99 * 512, { options: { cluster_size: 8192 } });
    change(join(home, "base.img"), activity({ size: size - 99 * 512, clusterSize: 8192, seed: 1, also }));
    createImage(image, size, { options: { cluster_size: clusterSize, ...options }, backing: "base.img", backingFormat: "qcow2" });
    change(image, activity({ size, clusterSize, seed: 2, also, steps: 40 }));
    const reference = flat(image);

    withDisk(image, {}, (layer) => {
      // Small, so that blocks are dropped and decoded again.
      const cache = createBlockCache(3 * clusterSize);
      const range = fc.record({ offset: fc.nat(size - 1), length: fc.oneof(fc.nat(3000), fc.nat(3 * 65_536)) });
      const property = fc.property(range, ({ offset, length }) => {
        const target = Buffer.alloc(Math.min(length, size - offset), 0xee);
        readDisk(layer, target, offset, cache);
        return difference(target, reference.subarray(offset, offset + target.length)) === undefined;
      });
      fc.assert(property, { numRuns: 400 });
    });
  });
});

describe.skipIf(!available)("a qcow2 disk of 16 TiB", () => {
  const directory = tempDirectory();
  const size = 16 * 2 ** 40;

  test("opens and reads at once", () => {
    const image = join(directory, "huge.img");
    const places = [0, 2 ** 32 - 5, 5 * 2 ** 40 + 12_345, size - 4096];
    createImage(image, size);
    change(
      image,
      places.map((at, index) => ({ kind: "write", at, content: noise(index, 4096) })),
    );
    const started = performance.now();

    withDisk(image, {}, (layer) => {
      expect(layer.size).toBe(size);
      for (const [index, at] of places.entries()) expect(difference(readRange(layer, at, 4096), noise(index, 4096))).toBeUndefined();
      expect(difference(readRange(layer, 7 * 2 ** 40 + 1, 100_000), Buffer.alloc(100_000))).toBeUndefined();
    });

    expect(performance.now() - started).toBeLessThan(2000);
  });

  test("has a map of a few runs", () => {
    const image = join(directory, "map.img");
    createImage(image, size, { options: { cluster_size: 2 ** 21 } });
    change(image, [{ kind: "write", at: 9 * 2 ** 40, content: noise(1, 512) }]);

    const extents = withDisk(image, {}, extentsOf);

    expect(extents.map(({ kind, start }) => ({ kind, start }))).toEqual([
      { kind: "absent", start: 0 },
      { kind: "data", start: 9 * 2 ** 40 },
      { kind: "absent", start: 9 * 2 ** 40 + 2 ** 21 },
    ]);
  });
});
