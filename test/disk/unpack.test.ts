import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { createBlockCache } from "../../src/disk/cache.js";
import { openDisk } from "../../src/disk/open.js";
import { readDisk } from "../../src/disk/read.js";
import { noise } from "../support/content.js";
import { imageErrorOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

describe("compressed images", () => {
  const directory = tempDirectory();
  const content = noise(1, 700_001);

  /** The path of a file with that content. */
  function written(bytes: Uint8Array, name = "disk.raw.gz"): string {
    const path = join(subdirectory(directory), name);
    writeFileSync(path, bytes);
    return path;
  }

  test("several times over, outermost first", () => {
    const disk = openDisk(written(gzipSync(gzipSync(content))));
    expect(disk.unpacked.packings).toEqual(["gzip", "gzip"]);
    const found = Buffer.alloc(content.length);
    readDisk(disk.layer, found, 0, createBlockCache(2 ** 20));
    expect(found.equals(content)).toBe(true);
    disk.close();
  });

  test("too many times over is a trap", () => {
    let bytes: Uint8Array = content;
    for (let count = 0; count < 5; count += 1) bytes = gzipSync(bytes);
    expect(imageErrorOf(() => openDisk(written(bytes)))?.code).toBe("UNSUPPORTED");
  });

  test("raw means the bytes as they are", () => {
    const packed = gzipSync(content);
    const disk = openDisk(written(packed), { format: "raw" });
    expect(disk.layer.size).toBe(packed.length);
    disk.close();
  });

  test("cut: refused, with what helps; degraded: what is there", () => {
    const path = written(gzipSync(content).subarray(0, 400_000));
    expect(imageErrorOf(() => openDisk(path))).toMatchObject({ code: "TRUNCATED", hint: expect.stringContaining("--degraded") as unknown });
    const disk = openDisk(path, { degraded: true });
    expect(disk.layer.size).toBeGreaterThan(300_000);
    expect(disk.unpacked.notes.join()).toMatch(/damaged/);
    disk.close();
  });

  test("what was found out is kept for the file as it is, and for no other", () => {
    const cacheFolder = subdirectory(directory);
    const path = written(gzipSync(content));
    const steps: number[] = [];
    const open = () => {
      openDisk(path, { cacheFolder }, { progress: ({ done }) => void steps.push(done) }).close();
      return steps.splice(0).length;
    };
    expect(open()).toBeGreaterThan(0);
    expect(open()).toBe(0);
    writeFileSync(path, gzipSync(noise(2, 700_001)));
    expect(open()).toBeGreaterThan(0);
    const disk = openDisk(path, { cacheFolder });
    const found = Buffer.alloc(1000);
    readDisk(disk.layer, found, 500_000, createBlockCache(2 ** 20));
    expect(found.equals(noise(2, 700_001).subarray(500_000, 501_000))).toBe(true);
    disk.close();
  });
});
