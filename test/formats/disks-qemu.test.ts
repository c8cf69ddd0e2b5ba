// Images of all other formats that QEMU writes, read by us and by QEMU.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createBlockCache } from "../../src/disk/cache.js";
import { readDisk } from "../../src/disk/read.js";
import { between, randomNumbers } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { flat, requireProgram, virtualSize } from "../support/qemu.js";
import { difference, flatOf, withDisk } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";
import { disksMatrix } from "./disks-matrix.js";

const available = requireProgram("qemu-img") && requireProgram("qemu-io");

describe.skipIf(!available)("images written by QEMU", () => {
  const directory = tempDirectory();

  test("every image of the matrix has a name of its own", () => {
    expect(new Set(disksMatrix.map(({ name }) => name)).size).toBe(disksMatrix.length);
    expect(disksMatrix.length).toBeGreaterThanOrEqual(90);
  });

  test.each(disksMatrix)("$name", ({ name, build }) => {
    const home = join(directory, name);
    mkdirSync(home);
    const { image, whole = image, format } = build(home);
    const before = fingerprint(home);
    const expected = flat(whole, { format });

    expect(difference(flatOf(image, {}), expected)).toBeUndefined();
    expect(expected.length).toBe(virtualSize(whole, format));
    withDisk(image, {}, (layer) => {
      const random = randomNumbers(1);
      for (let round = 0; round < 40; round += 1) {
        const length = between(random, 1, Math.min(expected.length, 300_000));
        const offset = between(random, 0, expected.length - length);
        const target = Buffer.alloc(length, 0xee);
        readDisk(layer, target, offset, createBlockCache(2 ** 20));
        expect(difference(target, expected.subarray(offset, offset + length)), `${length} bytes at ${offset}`).toBeUndefined();
      }
    });
    expect(fingerprint(home)).toBe(before);
    rmSync(home, { recursive: true });
  });
});
