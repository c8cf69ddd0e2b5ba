import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { qcow } from "../../src/formats/qcow/index.js";
import { raw } from "../../src/formats/raw/index.js";
import { memorySource } from "../../src/source/memory.js";
import { mixed, noise } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { buildQcow, type QcowShape } from "../support/qcow-builder.js";
import { change, createImage, flat, qemuImg, requireProgram, type Step } from "../support/qemu.js";
import { difference, imageErrorOf, readRange } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";

function built(name: string, shape: QcowShape): Sample {
  const { image, disk } = buildQcow(shape);
  const { backing } = shape;
  return { name, image, disk, ...(backing && { parts: { [backing.name]: backing.disk } }) };
}

/** `qemu-img convert` of `disk`. */
function converted(name: string, disk: Buffer, ...options: readonly string[]): Sample {
  const image = (directory: string) => {
    const flatFile = join(directory, "raw");
    const path = join(directory, "image.qcow");
    writeFileSync(flatFile, disk);
    // With -c QEMU 7.2 writes a right image and then exits with status 1, so the image is the judge.
    spawnSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow", ...options, flatFile, path]);
    qemuImg("compare", "-f", "raw", "-F", "qcow", flatFile, path);
    return path;
  };
  return { name, image, disk, needs: "qemu-img" };
}

const base = noise(7, 300_000);
const overlaySteps: readonly Step[] = [
  { kind: "write", at: 0, content: noise(8, 5000) },
  { kind: "write", at: 123_457, content: noise(9, 1) },
  // Behind the end of the backing file.
  { kind: "write", at: 400_000, content: noise(10, 112_000) },
];

/** An image over a raw one that is shorter, written here and there by `qemu-io`. */
function overlay(): Sample {
  const disk = Buffer.alloc(512_000);
  base.copy(disk);
  for (const step of overlaySteps) if (step.kind === "write") disk.set(step.content, step.at);
  const image = (directory: string) => {
    writeFileSync(join(directory, "base.raw"), base);
    const path = join(directory, "image.qcow");
    createImage(path, disk.length, { format: "qcow", backing: "base.raw", backingFormat: "raw" });
    change(path, overlaySteps, "qcow");
    return path;
  };
  return { name: "qemu: over a shorter raw image", image, disk, parts: { "base.raw": base }, needs: "qemu-io" };
}

const manyClusters = Array.from({ length: 200 }, (_, index) =>
  index >= 64 && index < 128 ? "absent" : index % 3 === 0 ? "packed" : 199 - index,
);
const parent = buildQcow({ clusters: [1, "packed", 0, "absent"] });

describeDriver(qcow, [
  built("clusters out of order", { clusters: [3, 0, "absent", 1, "absent", "absent", 2, 4] }),
  built("clusters in order", { clusters: [0, 1, 2, 3, 4, 5] }),
  built("compressed clusters that share sectors", { clusters: ["packed", "packed", 0, "packed", "absent", "packed"], clusterBits: 10 }),
  built("several L2 tables, one of them missing, none aligned", { clusters: manyClusters, gap: 3 }),
  built("clusters of 64 KiB", { clusters: [1, "packed", "absent", 0], clusterBits: 16, l2Bits: 13 }),
  built("a last cluster that the disk does not fill", { clusters: [1, 0, "packed"], size: 2 * 512 + 77 }),
  built("no cluster at all", { clusters: ["absent", "absent"], size: 1000 }),
  built("over a raw image that ends before", {
    clusters: ["absent", 0, "absent", "packed", "absent"],
    backing: { name: "base.img", disk: noise(5, 700) },
  }),
  {
    ...built("over a qcow image, also of many clusters", {
      clusters: ["absent", 0, "absent", "absent"],
      backing: { name: "parent", disk: parent.disk },
    }),
    parts: { parent: parent.image },
  },
  converted("qemu: convert", mixed(1, 700_416)),
  converted("qemu: convert -c", mixed(2, 700_416), "-c"),
  converted("qemu: convert of a size that is no multiple of a cluster", mixed(3, 100_352)),
  converted("qemu: convert -c of a size that is no multiple of a cluster", mixed(4, 100_352), "-c"),
  overlay(),
]);

const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function openBytes(image: Uint8Array, opener = nothingElse): Layer {
  return qcow.open(memorySource("test.qcow", image), opener, {});
}

function changed(image: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(image);
  copy.set(bytes, at);
  return copy;
}

describe("what qcow cannot read", () => {
  const plain = buildQcow({ clusters: [1, 0, "absent", 2] });
  const u64 = (value: bigint) => [...Buffer.from(value.toString(16).padStart(16, "0"), "hex")];

  test.each([
    ["a later version", 4, [0, 0, 0, 2], "UNSUPPORTED", "the version is 2"],
    ["clusters of 256 bytes", 32, [8], "CORRUPT", "2^8"],
    ["clusters of 128 KiB", 32, [17], "CORRUPT", "2^17"],
    ["L2 tables of 32 entries", 33, [5], "CORRUPT", "2^5"],
    ["L2 tables of 16384 entries", 33, [14], "CORRUPT", "2^14"],
    ["AES", 36, [0, 0, 0, 1], "KEY_NEEDED", "no password was given"],
    ["an unknown encryption", 36, [0, 0, 0, 2], "UNSUPPORTED", "method 2"],
    ["a disk beyond 2^53 bytes", 24, u64(2n ** 53n), "CORRUPT", "2^53"],
    ["an L1 table over the limit", 24, u64(2n ** 40n), "CORRUPT", "4194304 are the limit"],
    ["an L1 table behind the file", 40, u64(2n ** 40n), "TRUNCATED", "leaves the file"],
    ["a backing name of 1024 bytes", 8, [...u64(48n), 0, 0, 4, 0], "CORRUPT", "1023 are the limit"],
    ["a backing name behind the file", 8, [...u64(2n ** 40n), 0, 0, 0, 4], "TRUNCATED", "leaves the file"],
  ])("%s", (_, at, bytes, code, message) => {
    expect(imageErrorOf(() => openBytes(changed(plain.image, at, bytes)))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      file: "test.qcow",
      position: code === "TRUNCATED" || at !== 8 ? at : 16,
    });
  });

  test("a disk whose L1 table leaves the file", () => {
    const open = () => openBytes(changed(plain.image, 24, u64(2n ** 30n)));
    expect(imageErrorOf(open)).toMatchObject({
      code: "TRUNCATED",
      message: expect.stringContaining("262144 bytes") as string,
      position: 40,
    });
  });

  test("a snapshot", () => {
    const open = () => qcow.open(memorySource("test.qcow", plain.image), nothingElse, { snapshot: "1" });
    expect(imageErrorOf(open)).toMatchObject({ code: "UNSUPPORTED", message: "qcow version 1 has no snapshots" });
  });

  /** One cluster of the disk fails with `code`; those around it are read as before. */
  function expectDamage(image: Buffer, cluster: number, code: string, disk = plain.disk) {
    const layer = openBytes(image);
    for (let index = 0; index * 512 < disk.length; index += 1) {
      const read = () =>
        expect(difference(readRange(layer, index * 512, 512), disk.subarray(index * 512, index * 512 + 512))).toBeUndefined();
      if (index === cluster) expect(imageErrorOf(read), `cluster ${index}`).toMatchObject({ code });
      else read();
    }
  }

  const entry = (index: number) => (plain.l2Positions[0] ?? 0) + 8 * index;

  test("a cluster behind the end of the file is an error, not zeros", () => {
    expectDamage(changed(plain.image, entry(1), u64(2n ** 40n)), 1, "TRUNCATED");
    expectDamage(changed(plain.image, entry(3), u64(BigInt(plain.image.length))), 3, "TRUNCATED");
    expectDamage(changed(plain.image, entry(3), u64(2n ** 63n - 512n)), 3, "TRUNCATED");
  });

  test("a cluster that the file ends inside is data up to there", () => {
    const cut = plain.image.subarray(0, plain.image.length - 100);
    const layer = openBytes(cut);
    expect(difference(readRange(layer, 3 * 512, 412), plain.disk.subarray(3 * 512, 3 * 512 + 412))).toBeUndefined();
    expect(imageErrorOf(() => readRange(layer, 3 * 512 + 412, 1))).toMatchObject({ code: "TRUNCATED", position: cut.length });
    expect(imageErrorOf(() => readRange(layer, 3 * 512, 413))).toMatchObject({ code: "TRUNCATED" });
  });

  test("a cluster that is not at a multiple of 512", () => {
    expectDamage(changed(plain.image, entry(0), u64(BigInt(plain.dataPosition + 1))), 0, "CORRUPT");
  });

  test("a compressed cluster that does not decode, or is cut", () => {
    const image = buildQcow({ clusters: [0, "packed", 1] });
    const stream = image.dataPosition + 2 * 512;
    expectDamage(changed(image.image, stream, [0xff, 0xff, 0xff]), 1, "CORRUPT", image.disk);
    const cut = image.image.subarray(0, -1);
    expectDamage(cut, 1, "TRUNCATED", image.disk);
    expect(openBytes(cut).map(512, 512)).toMatchObject({ kind: "damaged", length: 512 });
  });

  test("an L2 table behind the end of the file damages what it maps and nothing else", () => {
    const image = buildQcow({ clusters: manyClusters });
    const layer = openBytes(changed(image.image, image.l1Position, u64(2n ** 40n)));
    expect(layer.map(512, 2 ** 20)).toMatchObject({ kind: "damaged", length: 63 * 512, error: { code: "TRUNCATED" } });
    expect(difference(readRange(layer, 64 * 512, 136 * 512), image.disk.subarray(64 * 512))).toBeUndefined();
  });
});

describe("how qcow maps", () => {
  test("neighbours in the file are one extent", () => {
    const { image, dataPosition } = buildQcow({ clusters: [2, 3, 4, 0, "absent", "absent", 1] });
    const layer = openBytes(image);
    expect(layer.map(10, 5000)).toMatchObject({ kind: "data", length: 3 * 512 - 10, position: dataPosition + 2 * 512 + 10 });
    expect(layer.map(4 * 512, 5000)).toEqual({ kind: "parent", length: 2 * 512, offset: 4 * 512 });
  });

  test("missing L2 tables are one extent", () => {
    const { image } = buildQcow({ clusters: [...Array.from({ length: 640 }, () => "absent" as const), 0] });
    expect(openBytes(image).map(100, 2 ** 30)).toEqual({ kind: "parent", length: 640 * 512 - 100, offset: 100 });
  });

  test("the backing file is asked for by its name alone", () => {
    const { image } = buildQcow({ clusters: ["absent"], backing: { name: "å base.img", disk: Buffer.alloc(0) } });
    const asked: unknown[] = [];
    const parent = (...args: readonly unknown[]) => {
      asked.push(args);
      return raw.open(memorySource("base", Buffer.alloc(4)), nothingElse, {});
    };
    expect(openBytes(image, { ...nothingElse, parent }).parent).toMatchObject({ format: "raw" });
    expect(asked).toEqual([[{ names: ["å base.img"], format: undefined }]]);
  });
});

describe.skipIf(!requireProgram("qemu-img"))("qcow images that qemu-img reads too", () => {
  const directory = tempDirectory();

  test("the builder's images are what qemu-img takes them for", () => {
    const backing = { name: "base.raw", disk: noise(3, 4096) };
    mkdirSync(join(directory, "chain"));
    writeFileSync(join(directory, "chain", backing.name), backing.disk);
    const { image, disk } = buildQcow({ clusters: ["absent", 1, "packed", "absent", 0, "packed", "packed", 2], clusterBits: 10, backing });
    writeFileSync(join(directory, "chain", "image.qcow"), image);
    expect(difference(flat(join(directory, "chain", "image.qcow"), { format: "qcow" }), disk)).toBeUndefined();
  });
});
