import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openDisk } from "../../src/disk/open.js";
import { sha256 } from "../support/hash.js";
import { difference, flatOf, readRange } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";
import { buildVhd } from "../support/vhd-builder.js";
import { changed, openBytes } from "../support/vhd-images.js";

const MIB = 2 ** 20;
const directory = tempDirectory();
const { image, disk } = buildVhd({ type: 2, blocks: Array<number>(40).fill(0), blockSize: 4096 });

function write(name: string, content: Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const filled = (length: number, byte = 0) => Buffer.concat([image, Buffer.alloc(length, byte)]);

describe("a fixed VHD that was filled up behind its footer", () => {
  test.each([1, 100, 511, 512, 4096, MIB - image.length, 2 * MIB])("with %i zeros: the footer is no data", (length) => {
    const path = write("filled.vhd", filled(length));
    const before = sha256(readFileSync(path));
    expect(difference(flatOf(path), disk)).toBeUndefined();
    const opened = openDisk(path);
    expect(opened.layer.format).toBe("vhd");
    expect(opened.layer.size).toBe(disk.length);
    expect(opened.layer.facts().notes.join()).toContain(`Behind its footer are ${length} bytes of zeros`);
    expect(opened.layer.map(disk.length - 512, 512)).toMatchObject({ kind: "data", length: 512 });
    opened.close();
    expect(sha256(readFileSync(path))).toBe(before);
  });

  test("its own UUID is known all the same", () => {
    const layer = openBytes(filled(4096));
    expect(layer.facts().details["UUID"]).toBe(openBytes(image).facts().details["UUID"]);
    expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
  });

  // A guest that writes such bytes into a raw disk must not cut it.
  test.each([
    ["more zeros than anybody fills up with", filled(2 * MIB + 1)],
    ["something else than zeros", filled(4096, 1)],
    ["a wrong checksum", Buffer.concat([changed(image, disk.length + 64, [0, 0, 0, 0]), Buffer.alloc(4096)])],
    ["another place than its size says", Buffer.concat([Buffer.alloc(512), image, Buffer.alloc(4096)])],
    ["the footer of a dynamic disk", Buffer.concat([disk, buildVhd({ blocks: [0] }).image.subarray(-512), Buffer.alloc(4096)])],
  ])("not one: %s", (_, content) => {
    const path = write("disk.img", content);
    const opened = openDisk(path);
    expect(opened.layer.format).toBe("raw");
    opened.close();
    expect(difference(flatOf(path), content)).toBeUndefined();
  });

  test("a raw disk of nothing but zeros", () => {
    const path = write("zeros.img", Buffer.alloc(3 * MIB));
    const opened = openDisk(path);
    expect(opened.layer).toMatchObject({ format: "raw", size: 3 * MIB });
    opened.close();
  });
});
