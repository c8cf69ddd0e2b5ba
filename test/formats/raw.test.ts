import { closeSync, ftruncateSync, openSync, statSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { raw } from "../../src/formats/raw/index.js";
import { binding } from "../../src/native/binding.js";
import { fileSource, openFile } from "../../src/source/file.js";
import { memorySource } from "../../src/source/memory.js";
import type { Source } from "../../src/source/source.js";
import { noise } from "../support/content.js";
import { describeDriver } from "../support/contract.js";
import { difference, readRange } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";

const sample = (name: string, disk: Buffer) => ({ name, image: disk, disk });

describeDriver(raw, [
  sample("one byte", noise(1, 1)),
  sample("a size that is a multiple of nothing", noise(2, 70_001)),
  sample("zeros", Buffer.alloc(8192)),
]);

const opener: Opener = {
  part: () => expect.fail("a raw image names no other file"),
  parent: () => expect.fail("a raw image names no other file"),
  degraded: false,
};

function openSource(source: Source): Layer {
  return raw.open(source, opener, {});
}

const MIB = 2 ** 20;

describe("sparse raw images", () => {
  const directory = tempDirectory();

  /** A file of `size` bytes with noise at these places and holes elsewhere, and what it holds. */
  function sparse(
    name: string,
    size: number,
    places: readonly (readonly [position: number, length: number])[],
  ): { layer: Layer; disk: Buffer; source: Source } {
    const path = join(directory, name);
    const disk = Buffer.alloc(size);
    const fd = openSync(path, "w");
    ftruncateSync(fd, size);
    for (const [position, length] of places) {
      const content = noise(position + 1, length);
      content.copy(disk, position);
      writeSync(fd, content, 0, length, position);
    }
    closeSync(fd);
    const source = fileSource(openFile(path, { devices: false }));
    return { layer: openSource(source), disk, source };
  }

  test.skipIf(!binding)("holes are zeros, data is where it is", () => {
    const { layer, source, disk } = sparse("middle", 6 * MIB, [[2 * MIB, MIB]]);
    if (statSync(join(directory, "middle")).blocks * 512 >= 6 * MIB) return; // The file system of the test knows no holes.
    expect(layer.map(0, 6 * MIB)).toEqual({ kind: "zero", length: 2 * MIB });
    expect(layer.map(5, 10)).toEqual({ kind: "zero", length: 10 });
    expect(layer.map(2 * MIB + 7, 4 * MIB - 7)).toEqual({ kind: "data", length: MIB - 7, source, position: 2 * MIB + 7 });
    expect(layer.map(2 * MIB + 7, 1)).toMatchObject({ kind: "data", length: 1 });
    expect(layer.map(3 * MIB, 3 * MIB)).toEqual({ kind: "zero", length: 3 * MIB });
    expect(layer.map(6 * MIB - 1, 1)).toEqual({ kind: "zero", length: 1 });
    // Back again: what was found last must not be taken for what is asked now.
    expect(layer.map(0, 6 * MIB)).toEqual({ kind: "zero", length: 2 * MIB });
    expect(difference(readRange(layer, 0, disk.length), disk)).toBeUndefined();
    layer.close();
  });

  test("are read right in any order", () => {
    const { layer, disk } = sparse("scattered", 3 * MIB + 17, [
      [0, 100],
      [64 * 1024, 65_536],
      [MIB + 4095, 2],
      [3 * MIB, 17],
    ]);
    for (let step = 0; step < 200; step += 1) {
      const offset = (step * 1_234_577) % disk.length;
      const length = Math.min(disk.length - offset, 1 + ((step * 7919) % 200_000));
      expect(difference(readRange(layer, offset, length), disk.subarray(offset, offset + length)), `offset ${offset}`).toBeUndefined();
    }
    layer.close();
  });

  test("only holes", () => {
    const { layer, disk } = sparse("empty", 5 * MIB, []);
    expect(difference(readRange(layer, 0, disk.length), disk)).toBeUndefined();
    layer.close();
  });

  test("a file that becomes shorter while it is open fails, and gives no zeros", () => {
    const path = join(directory, "shrinks");
    writeFileSync(path, noise(4, 100_000));
    const layer = openSource(fileSource(openFile(path, { devices: false })));
    writeFileSync(path, noise(4, 50_000));
    expect(() => readRange(layer, 40_000, 20_000)).toThrow("shorter");
    layer.close();
  });
});

test("a source that tells its runs is believed", () => {
  const source: Source = {
    ...memorySource("runs", noise(1, 100)),
    run: (position) => ({ data: position >= 50, length: position >= 50 ? 100 - position : 50 - position }),
  };
  const layer = openSource(source);
  expect(layer.map(10, 90)).toEqual({ kind: "zero", length: 40 });
  expect(layer.map(60, 90)).toEqual({ kind: "data", length: 40, source, position: 60 });
});
