import { describe, expect, test } from "vitest";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { vma } from "../../src/formats/vma/index.js";
import { memorySource } from "../../src/source/memory.js";
import { noise } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { difference, imageErrorOf, readRange } from "../support/reading.js";
import { buildVma, signExtent, signHeader, UUID, type VmaDisk, type VmaShape } from "../support/vma-builder.js";

const FULL = 0xffff;
const disk = (clusters: VmaDisk["clusters"], size?: number): VmaDisk => ({
  name: "drive-scsi0",
  clusters,
  ...(size !== undefined && { size }),
});

const shapes = {
  "full clusters in order": { disks: [disk([FULL, FULL])] },
  "clusters out of order, with and without blocks": { disks: [disk([0x0001, 0, 0x8000, 0x00f0, 0, 0x5555, 0x0101])], shuffle: 3 },
  "several extents": { disks: [disk([0x0003, 0, 0x8001, 0x0010, 0x0100, 0, 0, 0x1111])], perExtent: 3, shuffle: 4 },
  "a size that is no multiple of a cluster": { disks: [disk([0x0001, 0x0003], 65536 + 5000)] },
  "a size that is no multiple of a block, the rest filled up": { disks: [disk([0x000f], 8192 + 77)] },
  "nothing but zeros": { disks: [disk([0, 0, 0])] },
  "no configuration": { disks: [disk([0x4000, 0x0002])], configs: {} },
  "with the state of the machine": { disks: [{ name: "vmstate", clusters: [0x0007] }, disk([0x0002, 0x0004])], shuffle: 5 },
} as const satisfies Record<string, VmaShape>;

function sampleOf([name, shape]: readonly [string, VmaShape]): Sample {
  const { image, disks } = buildVma(shape);
  return { name, image, disk: disks["drive-scsi0"]! };
}

describeDriver(vma, Object.entries<VmaShape>(shapes).map(sampleOf));

const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function openBytes(image: Uint8Array, options = {}): Layer {
  return vma.open(memorySource("test.vma", image), nothingElse, options);
}

function changed(image: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(image);
  copy.set(bytes, at);
  return copy;
}

test("blocks that are not stored are zeros, others are where they are", () => {
  const { image, extents } = buildVma({ disks: [disk([0x00f6, FULL, FULL, 0, 0, FULL])] });
  const layer = openBytes(image);
  const at = extents[0]!.clusters.map(({ position }) => position);
  expect(layer.map(5, 2 ** 20)).toEqual({ kind: "zero", length: 4096 - 5 });
  expect(layer.map(4096 + 5, 2 ** 20)).toMatchObject({ kind: "data", length: 8192 - 5, position: at[0]! + 5 });
  expect(layer.map(3 * 4096, 2 ** 20)).toEqual({ kind: "zero", length: 4096 });
  expect(layer.map(5 * 4096 + 1, 2 ** 20)).toMatchObject({ kind: "data", length: 3 * 4096 - 1, position: at[0]! + 3 * 4096 + 1 });
  expect(layer.map(8 * 4096, 2 ** 20)).toEqual({ kind: "zero", length: 8 * 4096 });
  expect(layer.map(65536 + 9, 2 ** 20)).toMatchObject({ kind: "data", length: 2 * 65536 - 9, position: at[1]! + 9 });
  expect(layer.map(3 * 65536 + 9, 2 ** 20)).toEqual({ kind: "zero", length: 2 * 65536 - 9 });
});

describe("several disks", () => {
  const several = buildVma({
    disks: [
      { name: "drive-scsi0", clusters: [1, 0, 3] },
      { name: "drive-virtio1", clusters: [0x8000, 7] },
      { name: "vmstate", clusters: [1] },
    ],
    shuffle: 8,
  });

  test.each(["drive-scsi0", "drive-virtio1"])("one of several disks is chosen by its name: %s", (name) => {
    const layer = openBytes(several.image, { disk: name });
    expect(difference(readRange(layer, 0, layer.size), several.disks[name]!)).toBeUndefined();
    expect(layer.facts()).toMatchObject({
      variant: "version 1",
      details: { disk: name, disks: 2, created: "2023-11-14T22:13:20.000Z", extents: 1 },
    });
  });

  test.each([
    [undefined, "2 disks"],
    ["drive-ide0", "none of the disks"],
    ["vmstate", "none of the disks"],
  ])("without a name that fits one they are listed: %s", (name, message) => {
    expect(imageErrorOf(() => openBytes(several.image, { disk: name }))).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining(message) as string,
      hint: 'Choose one with --disk: "drive-scsi0" (192 KiB), "drive-virtio1" (128 KiB).',
    });
  });

  test("the state of the machine is no disk", () => {
    const { image, disks } = buildVma(shapes["with the state of the machine"]);
    const layer = openBytes(image);
    expect(difference(readRange(layer, 0, layer.size), disks["drive-scsi0"]!)).toBeUndefined();
    expect(layer.facts().notes).toEqual([expect.stringContaining("no disk")]);
    const { image: onlyState } = buildVma({ disks: [{ name: "vmstate", clusters: [1] }] });
    expect(imageErrorOf(() => openBytes(onlyState))).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("no disk") as string,
    });
  });
});

describe("damaged archives", () => {
  const built = buildVma({ disks: [disk([1, 3, 0, 0x8000, 5, 0, 0x0ff0, 1, 0])], perExtent: 3 });
  const content = built.disks["drive-scsi0"]!;

  const header = (at: number, bytes: readonly number[]) => {
    const image = changed(built.image, at, bytes);
    if (image.readUInt32BE(56) <= image.length) signHeader(image);
    return image;
  };
  test.each([
    ["another magic", changed(built.image, 2, [0x42]), "WRONG_FORMAT", "no VMA"],
    ["another version", changed(built.image, 7, [2]), "UNSUPPORTED", "version is 2"],
    ["a wrong checksum", changed(built.image, 3000, [1]), "CORRUPT", "checksum"],
    ["a header shorter than any", header(56, [0, 0, 16, 0]), "CORRUPT", "4096 bytes"],
    ["a header of half a sector", header(56, [0, 0, 0x30, 0x10]), "CORRUPT", "multiple of 512"],
    ["a header over the limit", header(56, [0x10, 0, 0, 0]), "CORRUPT", "268435456"],
    ["a header behind the end", header(56, [0x01, 0, 0, 0]), "TRUNCATED", "leaves the file"],
    ["blobs behind the header", header(52, [0, 1, 0, 0]), "CORRUPT", "blobs"],
    ["no disk", header(4096 + 32, [0, 0, 0, 0]), "CORRUPT", "no disk"],
    ["a disk beyond 2^53 bytes", header(4096 + 32 + 8, [0, 0x40, 0, 0, 0, 0, 0, 0]), "CORRUPT", "2^53"],
    ["a disk that the file cannot even list", header(4096 + 32 + 8, [0, 0, 0x40, 0, 0, 0, 0, 0]), "TRUNCATED", "cannot hold even the list"],
  ])("what cannot be read: %s", (_, image, code, message) => {
    expect(imageErrorOf(() => openBytes(image))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      file: "test.vma",
    });
  });

  test("a name outside the blobs is replaced", () => {
    const image = header(4096 + 32, [0, 0, 255, 0]);
    expect(openBytes(image).facts().details).toMatchObject({ disk: "device 1" });
  });

  const second = built.extents[1]!.position;
  const third = built.extents[2]!.position;
  const signed = (at: number, bytes: readonly number[]) => {
    const image = changed(built.image, at, bytes);
    signExtent(image.subarray(second, second + 512));
    return image;
  };
  test.each([
    ["a changed mask", changed(built.image, second + 41, [1]), "checksum"],
    ["another magic", changed(built.image, second, [0]), "no header"],
    ["another archive's", signed(second + 9, [1]), "another archive"],
    ["a count of blocks that is not the list's", signed(second + 7, [9]), "9 blocks"],
  ])("clusters of a damaged extent are damaged, those of the next one are read: %s", (_, image, message) => {
    const layer = openBytes(image);
    const [from, to] = [3 * 65536, 6 * 65536];
    expect(layer.map(from, 2 ** 30)).toMatchObject({ kind: "damaged", length: to - from, error: { code: "CORRUPT", position: second } });
    expect(difference(readRange(layer, 0, from), content.subarray(0, from))).toBeUndefined();
    expect(difference(readRange(layer, to, content.length - to), content.subarray(to))).toBeUndefined();
    const { notes } = layer.facts();
    expect(notes).toEqual([expect.stringContaining("3 of 9 clusters"), expect.stringContaining(message)]);
  });

  test("what looks like an extent in the data of a damaged one is passed over", () => {
    const image = changed(built.image, second + 41, [1]);
    UUID.copy(image, second + 512 + 300);
    UUID.copy(image, second + 512 + 8);
    expect(difference(readRange(openBytes(image), 6 * 65536, 3 * 65536), content.subarray(6 * 65536))).toBeUndefined();
  });

  test("a cut archive is read up to the cut, also inside an extent", () => {
    const layer = openBytes(built.image.subarray(0, third + 512 + 100));
    expect(difference(readRange(layer, 0, 6 * 65536 + 4 * 4096 + 100), content.subarray(0, 6 * 65536 + 4 * 4096 + 100))).toBeUndefined();
    expect(layer.map(6 * 65536 + 4 * 4096 + 100, 2 ** 30)).toMatchObject({ kind: "damaged", error: { code: "TRUNCATED" } });
    const shorter = openBytes(built.image.subarray(0, third + 100));
    expect(shorter.map(6 * 65536, 2 ** 30)).toMatchObject({ kind: "damaged", length: 3 * 65536, error: { code: "TRUNCATED" } });
    const shortest = openBytes(built.image.subarray(0, built.headerSize));
    expect(shortest.map(0, 2 ** 30)).toMatchObject({ kind: "damaged", length: content.length, error: { code: "TRUNCATED" } });
  });

  test("a cluster that no extent has is damaged, not zero", () => {
    const { image } = buildVma({ disks: [disk([1, "lost", "lost", 0])] });
    const layer = openBytes(image);
    expect(layer.map(65536 + 3, 2 ** 30)).toMatchObject({ kind: "damaged", length: 2 * 65536 - 3, error: { code: "TRUNCATED" } });
    expect(layer.map(3 * 65536, 2 ** 30)).toEqual({ kind: "zero", length: 65536 });
    expect(layer.facts().notes).toEqual([expect.stringContaining("2 of 4 clusters")]);
  });

  test("clusters behind the end of the disk are passed over", () => {
    const image = changed(built.image, second + 44, [0xff, 0xff, 0xff, 0xff]);
    signExtent(image.subarray(second, second + 512));
    expect(openBytes(image).map(3 * 65536, 2 ** 30)).toMatchObject({ kind: "damaged", length: 65536 });
  });

  test("what follows damage for longer than an extent is not searched", () => {
    const image = Buffer.concat([built.image.subarray(0, second), noise(1, 4 * 2 ** 20), built.image.subarray(third)]);
    expect(openBytes(image).map(3 * 65536, 2 ** 30)).toMatchObject({ kind: "damaged", length: 6 * 65536 });
  });

  test("snapshots, which there are none of", () => {
    expect(imageErrorOf(() => openBytes(built.image, { snapshot: "1" }))).toMatchObject({ code: "UNSUPPORTED" });
  });
});
