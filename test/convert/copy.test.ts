// What one thread does, over disks that are made of extents.
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { createComparer, createCopier, Difference } from "../../src/convert/copy.js";
import type { Lost } from "../../src/convert/plan.js";
import { createBlockCache } from "../../src/disk/cache.js";
import { locate, readDisk } from "../../src/disk/read.js";
import type { Extent } from "../../src/formats/driver.js";
import { fileSource, openFile } from "../../src/source/file.js";
import { memorySource } from "../../src/source/memory.js";
import type { FlatFile } from "../../src/tree/node.js";
import { ImageError } from "../../src/util/errors.js";
import { mixed, noise } from "../support/content.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const KIB = 1024;
const bad = new ImageError("CORRUPT", "it is bad");

/** A disk of runs, each with its length. */
function diskOf(runs: readonly Extent[]): FlatFile {
  const size = runs.reduce((sum, { length }) => sum + length, 0);
  const disk = {
    size,
    map(offset: number, length: number): Extent {
      let start = 0;
      for (const extent of runs) {
        const skip = offset - start;
        start += extent.length;
        if (offset >= start) continue;
        const part = Math.min(length, extent.length - skip);
        if (extent.kind === "data") return { ...extent, length: part, position: extent.position + skip };
        return extent.kind === "packed" ? { ...extent, length: part, skip } : { ...extent, length: part };
      }
      throw new Error("outside");
    },
  };
  const cache = createBlockCache(8 * MIB);
  return {
    size,
    read: (target, offset) => readDisk(disk, target, offset, cache),
    locate: (offset, length) => locate(disk, offset, length),
    allocated: () => size,
  };
}

const nowhere = memorySource("nowhere", new Uint8Array());
let keys = 0;
function packed(content: Buffer | Error): Extent {
  const length = content instanceof Error ? 64 * KIB : content.length;
  const unpack = (target: Uint8Array) => {
    if (content instanceof Error) throw content;
    target.set(content);
  };
  return {
    kind: "packed",
    length,
    skip: 0,
    block: { key: `copy test ${(keys += 1)}`, size: length, source: nowhere, position: 0, unpack },
  };
}

describe("copying", () => {
  const directory = tempDirectory();
  const descriptors: number[] = [];
  afterEach(() => {
    for (const fd of descriptors.splice(0)) closeSync(fd);
  });

  function copy(file: FlatFile, { dense = false, old = Buffer.alloc(0) }: { readonly dense?: boolean; readonly old?: Buffer } = {}) {
    const path = join(subdirectory(directory), "out");
    writeFileSync(path, old);
    const fd = openSync(path, "r+");
    descriptors.push(fd);
    ftruncateSync(fd, file.size);
    const lost: Lost[] = [];
    createCopier(file, fd, dense, (one) => lost.push(one))(0, file.size);
    return { content: readFileSync(path), blocks: statSync(path).blocks, lost, fd };
  }

  function data(content: Buffer) {
    const path = join(subdirectory(directory), "source");
    writeFileSync(path, content);
    const source = fileSource(openFile(path, { devices: false }));
    return { path, extent: { kind: "data", length: content.length, source, position: 0 } as const };
  }

  test("zeros in decoded blocks become holes, and on a device are written", () => {
    const content = Buffer.concat([noise(1, 5000), Buffer.alloc(256 * KIB), noise(2, 700)]);
    const file = diskOf([packed(content), { kind: "zero", length: 128 * KIB }, packed(noise(3, 4097))]);
    const expected = Buffer.concat([content, Buffer.alloc(128 * KIB), noise(3, 4097)]);
    const sparse = copy(file);
    expect(sparse.content.equals(expected)).toBe(true);
    expect(sparse.blocks * 512).toBeLessThan(64 * KIB);
    const dense = copy(file, { dense: true, old: noise(4, expected.length) });
    expect(dense.content.equals(expected)).toBe(true);
  });

  test.each([false, true])("as little as can be is lost, and the rest is right (dense: %s)", (dense) => {
    const first = mixed(1, 3 * MIB + 4096);
    const { extent } = data(first);
    const file = diskOf([
      packed(first.subarray(0, 100_000)),
      packed(bad),
      packed(first.subarray(5, 70_000)),
      { kind: "damaged", length: 5000, error: bad },
      extent,
    ]);
    const old = dense ? noise(9, file.size) : Buffer.alloc(0);
    const { content, lost } = copy(file, { dense, old });
    expect(lost.map(({ start, length }) => [start, length])).toEqual([
      [100_000, 65_536],
      [235_531, 5000],
    ]);
    // Nothing of what a device held stays there.
    const expected = Buffer.concat([
      first.subarray(0, 100_000),
      Buffer.alloc(65_536),
      first.subarray(5, 70_000),
      Buffer.alloc(5000),
      first,
    ]);
    expect(content.equals(expected)).toBe(true);
  });

  test("a source that has become shorter is told of, block by block", () => {
    const { path, extent } = data(noise(1, 3 * MIB));
    truncateSync(path, 2 * MIB + 5000);
    const { content, lost } = copy(diskOf([extent]));
    expect(content.subarray(0, 2 * MIB + 5000).equals(noise(1, 3 * MIB).subarray(0, 2 * MIB + 5000))).toBe(true);
    expect(lost[0]).toMatchObject({ start: 2 * MIB + 5000, length: 3192, error: { code: "TRUNCATED" } });
    expect(lost.reduce((sum, { length }) => sum + length, 0)).toBe(MIB - 5000);
  });

  test("what cannot be written is no loss of the image", () => {
    const path = join(subdirectory(directory), "out");
    writeFileSync(path, "");
    const fd = openSync(path, "r");
    descriptors.push(fd);
    const lost: Lost[] = [];
    for (const runs of [[packed(noise(1, 5000))], [packed(noise(1, 5000)), packed(bad)], [data(noise(1, 5000)).extent]]) {
      const file = diskOf(runs);
      expect(() => createCopier(file, fd, false, (one) => lost.push(one))(0, file.size)).toThrow(/EBADF/);
    }
    expect(lost).toEqual([]);
  });

  test("the first byte that differs is named, even at the end of the target", () => {
    const file = diskOf([packed(noise(1, 3 * MIB))]);
    const { fd } = copy(file);
    const compare = createComparer(file, fd);
    compare(0, file.size);
    const target = `/proc/self/fd/${fd}`;
    truncateSync(target, 2 * MIB + 17);
    expect(() => compare(0, file.size)).toThrow(expect.objectContaining({ position: 2 * MIB + 17 }));
    const changed = noise(1, 3 * MIB);
    changed.writeUInt8(changed.readUInt8(MIB + 3) ^ 1, MIB + 3);
    writeFileSync(target, changed);
    expect(() => compare(0, file.size)).toThrow(Difference);
    expect(() => compare(0, file.size)).toThrow(expect.objectContaining({ position: MIB + 3 }));
  });
});
