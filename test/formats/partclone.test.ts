import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { Layer } from "../../src/formats/driver.js";
import { partclone } from "../../src/formats/partclone/index.js";
import { memorySource } from "../../src/source/memory.js";
import { noise, randomNumbers } from "../support/content.js";
import { describeDriver } from "../support/contract.js";
import { buildPartclone, crcOf, type PartcloneShape } from "../support/partclone-builder.js";
import { requireProgram, run } from "../support/qemu.js";
import { difference, flatOf, imageErrorOf, readRange } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const directory = tempDirectory();
const random = randomNumbers(4);
const used = Array.from({ length: 61 }, (_, block) => (block % 20 < 10 ? random() < 0.5 : block % 40 < 20));
const shapes = {
  "strips of four blocks": { used },
  "strips of 256 blocks": { used, strip: 256 },
  "without checksums": { used, strip: 0 },
  "all blocks, without a bitmap": { used: used.map(() => true), bitmap: "none" },
  "a partition that is larger than its blocks": { used, size: 70 * 512 },
  "a last block that the partition does not fill": { used: [...used, true], size: 62 * 512 - 100 },
  "version 1": { used, version: 1 },
  "version 1, checksums of eight bytes": { used, version: 1, checksumSize: 8 },
} as const satisfies Record<string, PartcloneShape>;

describeDriver(
  partclone,
  Object.entries<PartcloneShape>(shapes).map(([name, shape]) => {
    const { image, disk } = buildPartclone(shape);
    return { name, image, disk };
  }),
);

function open(image: Uint8Array): Layer {
  return partclone.open(memorySource("a.pcl", image), { part: () => expect.fail(), parent: () => expect.fail(), degraded: false }, {});
}

function changed(image: Buffer, at: number, bytes: readonly number[] | string): Buffer {
  const copy = Buffer.from(image);
  copy.set(typeof bytes === "string" ? Buffer.from(bytes) : bytes, at);
  return copy;
}

/** With the right checksum of the header. */
function repaired(image: Buffer): Buffer {
  image.writeUInt32LE(crcOf(image.subarray(0, 106)), 106);
  return image;
}

const built = buildPartclone(shapes["strips of four blocks"]);

test("what is not stored is zeros, and told", () => {
  const layer = open(built.image);
  const first = used.indexOf(false);
  expect(layer.map(first * 512, 512)).toEqual({ kind: "zero", length: 512 });
  expect(layer.facts()).toEqual({
    variant: "version 2",
    details: { "file system": "EXTFS", program: "partclone 0.3.23", "block size": 512, "stored blocks": used.filter(Boolean).length },
    notes: [expect.stringContaining("free space reads as zeros")],
  });
});

test("checksums of eight bytes are passed over", () => {
  const { image, disk } = buildPartclone(shapes["version 1, checksums of eight bytes"]);
  // Cut, so that the size of the file does not tell.
  const layer = open(image.subarray(0, -700));
  expect(difference(readRange(layer, 0, 40 * 512), disk.subarray(0, 40 * 512))).toBeUndefined();
  const small = buildPartclone({ used: [false, true], version: 1, checksumSize: 8 });
  expect(difference(readRange(open(small.image), 0, 1024), small.disk)).toBeUndefined();
});

test("a cut image is read as far as it goes", () => {
  const layer = open(built.image.subarray(0, built.image.length / 2));
  expect(difference(readRange(layer, 0, 20 * 512), built.disk.subarray(0, 20 * 512))).toBeUndefined();
  expect(layer.map(used.lastIndexOf(true) * 512, 1)).toMatchObject({ kind: "damaged", error: { code: "TRUNCATED" } });
});

test.each([
  ["a later version", changed(built.image, 30, "0003"), "UNSUPPORTED", '"0003"'],
  ["another byte order", changed(built.image, 34, [0xc0, 0xde]), "UNSUPPORTED", "big-endian"],
  ["a header with a wrong checksum", changed(built.image, 40, [1]), "CORRUPT", "checksum of the header"],
  ["more features", repaired(changed(built.image, 88, [20])), "UNSUPPORTED", "18 are known"],
  ["another kind of bitmap", repaired(changed(built.image, 105, [3])), "UNSUPPORTED", "in the way 3"],
  ["blocks of 0 bytes", repaired(changed(built.image, 84, [0, 0, 0, 0])), "CORRUPT", "0 bytes"],
  ["more blocks than the partition", repaired(changed(built.image, 60, [255, 255])), "CORRUPT", "more than the partition"],
  ["a bitmap that leaves the file", built.image.subarray(0, 114), "TRUNCATED", "leaves the file"],
  ["a damaged bitmap", changed(built.image, 115, [(built.image[115] ?? 0) ^ 1]), "CORRUPT", "bitmap is wrong"],
  ["a damaged bitmap of version 1", changed(buildPartclone(shapes["version 1"]).image, 4160 + 61, "bItMaGiC"), "CORRUPT", "BiTmAgIc"],
])("what cannot be read: %s", (_, image, code, message) => {
  expect(imageErrorOf(() => open(image))).toMatchObject({ code, message: expect.stringContaining(message) as string });
});

test("as Clonezilla keeps it: compressed and split", () => {
  const folder = subdirectory(directory);
  const packed = gzipSync(built.image);
  const half = Math.floor(packed.length / 2);
  writeFileSync(join(folder, "sda1.ext4-ptcl-img.gz.aa"), packed.subarray(0, half));
  writeFileSync(join(folder, "sda1.ext4-ptcl-img.gz.ab"), packed.subarray(half));
  expect(difference(flatOf(join(folder, "sda1.ext4-ptcl-img.gz.aa")), built.disk)).toBeUndefined();
});

describe.skipIf(!requireProgram("partclone.restore") || !requireProgram("mke2fs"))("partclone", () => {
  /** A file system with a few files in it. */
  function fileSystem(folder: string): string {
    const path = join(folder, "part.raw");
    writeFileSync(path, "");
    truncateSync(path, 24 * 2 ** 20);
    const content = subdirectory(folder);
    writeFileSync(join(content, "noise"), noise(3, 3_000_000));
    run("mke2fs", ["-q", "-t", "ext4", "-b", "1024", "-d", content, path]);
    return path;
  }

  test.each([["partclone.ext4"], ["partclone.ext4, without checksums"]])("what %s writes", (how) => {
    const folder = subdirectory(directory);
    const path = fileSystem(folder);
    const image = join(folder, "image.pcl");
    run("partclone.ext4", [
      "-q",
      "-c",
      "-L",
      join(folder, "log"),
      "-s",
      path,
      "-O",
      image,
      ...(how.includes("without") ? ["-a", "0"] : []),
    ]);
    const restored = join(folder, "restored");
    run("partclone.restore", ["-q", "-C", "-W", "-L", join(folder, "log"), "-s", image, "-O", restored]);
    expect(difference(flatOf(image), readFileSync(restored))).toBeUndefined();
    expect(readdirSync(folder)).toContain("image.pcl");
  });

  test.each(
    Object.entries<PartcloneShape>(shapes).filter(([name]) => ["strips of four blocks", "without checksums", "version 1"].includes(name)),
  )("partclone restores what the builder makes: %s", (_, shape) => {
    const folder = subdirectory(directory);
    const { image, disk } = buildPartclone(shape);
    writeFileSync(join(folder, "image"), image);
    run("partclone.restore", ["-q", "-C", "-W", "-L", join(folder, "log"), "-s", join(folder, "image"), "-O", join(folder, "out")]);
    const out = Buffer.alloc(disk.length);
    readFileSync(join(folder, "out")).copy(out);
    expect(difference(out, disk)).toBeUndefined();
  });
});
