// What is affected of a disk, against what reading every byte of it finds, and which partitions and files that is.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mapfileLines } from "../../src/tree/mapfile.js";
import { bytesWithin, createRangeList } from "../../src/tree/ranges.js";
import { type DiskSalvage, salvageShown } from "../../src/tree/salvage.js";
import { openView } from "../../src/tree/view.js";
import { builtDisks } from "../support/built.js";
import { between, noise, randomNumbers, text } from "../support/content.js";
import { deflated } from "../support/packing.js";
import { buildQcow2 } from "../support/qcow2-builder.js";
import { type Cluster } from "../support/qcow2-entries.js";
import { requireProgram } from "../support/qemu.js";
import { imageErrorOf, readRange, withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { buildVdi } from "../support/vdi-builder.js";

const CLUSTER = 4096;
const { write } = builtDisks();
const directory = tempDirectory();

function salvaged(image: string): readonly DiskSalvage[] {
  const view = openView({ image, options: {}, root: "directory", mode: 0o444, cacheLimit: 2 ** 20 });
  try {
    return salvageShown(view.shown, "image", () => undefined);
  } finally {
    view.close();
  }
}

function only(image: string): DiskSalvage {
  const [disk, ...others] = salvaged(image);
  expect(others).toEqual([]);
  if (!disk) throw new Error("no disk");
  return disk;
}

function recipe(more: Readonly<Record<number, Cluster>> = {}) {
  const packed = (seed: number): Cluster => ({ kind: "packed", content: text(seed, CLUSTER), stored: deflated(text(seed, CLUSTER)) });
  const clusters = new Map<number, Cluster>([
    ...[1, 2, 5, 30].map((number): [number, Cluster] => [number, { kind: "data", content: noise(number, CLUSTER) }]),
    ...[7, 8, 9].map((number): [number, Cluster] => [number, packed(number)]),
    ...Object.entries(more).map(([number, cluster]): [number, Cluster] => [Number(number), cluster]),
  ]);
  return { size: 40 * CLUSTER, clusters };
}

test("a whole disk", () => {
  expect(only(write({ "disk.qcow2": recipe() }))).toMatchObject({ unreadable: 0, doubtful: 0, ranges: [], partitions: [], files: [] });
});

test("an entry that leads nowhere, and a stream that does not decode", () => {
  const built = buildQcow2(recipe());
  built.bytes.writeBigUInt64BE(1n << 40n, (built.l2.get(0) ?? 0) + 2 * 8);
  built.bytes.fill(0xff, built.packed.get(8)?.position, (built.packed.get(8)?.position ?? 0) + 20);
  const { ranges, unreadable } = only(write({ "disk.qcow2": built.bytes }));
  expect(ranges.map(({ start, length, state }) => [start / CLUSTER, length / CLUSTER, state])).toEqual([
    [2, 1, "unreadable"],
    [8, 1, "unreadable"],
  ]);
  expect(unreadable).toBe(2 * CLUSTER);
});

test("clusters that share a place are doubtful, and still those of the disk above", () => {
  const built = buildQcow2(recipe());
  built.bytes.writeBigUInt64BE(BigInt(built.data.get(5) ?? 0) | (1n << 63n), (built.l2.get(0) ?? 0) + 8);
  const base = write({
    "base.qcow2": built.bytes,
    "top.qcow2": {
      size: 40 * CLUSTER,
      clusters: new Map([[5, { kind: "data", content: noise(77, CLUSTER) }]]),
      backing: { name: "base.qcow2", format: "qcow2" },
    },
  });
  const of = (image: string) => only(image).ranges.map(({ start, length, state }) => [start / CLUSTER, length / CLUSTER, state]);
  expect(of(base)).toEqual([
    [1, 1, "doubtful"],
    [5, 1, "doubtful"],
  ]);
  expect(of(join(base, "..", "top.qcow2"))).toEqual([[1, 1, "doubtful"]]);
});

test("what is unreadable is what reading fails for, whatever was changed", { timeout: 20_000 }, () => {
  const random = randomNumbers(11);
  let damagedImages = 0;
  for (let round = 0; round < 60; round += 1) {
    const built = buildQcow2(recipe());
    for (let change = 0; change < 6; change += 1) {
      const area = between(random, 0, 1) === 0 ? (built.l2.get(0) ?? 0) : (built.packed.get(7)?.position ?? 0);
      built.bytes[area + between(random, 0, 300)] = between(random, 0, 255);
    }
    const path = write({ "disk.qcow2": built.bytes });
    const { ranges, size } = only(path);
    const unreadable = ranges.filter(({ state }) => state === "unreadable").map(({ start, length }) => ({ start, end: start + length }));
    withDisk(path, { format: "qcow2" }, (layer) => {
      for (let at = 0; at < size; at += 512) {
        const fails = imageErrorOf(() => readRange(layer, at, 512)) !== undefined;
        expect(bytesWithin(unreadable, at, at + 512), `round ${round}, byte ${at}`).toBe(fails ? 512 : 0);
        if (fails) damagedImages += 1;
      }
    });
  }
  expect(damagedImages).toBeGreaterThan(0);
});

test("partitions that lie in what is affected", () => {
  const disk = Buffer.concat([Buffer.alloc(512), noise(3, 63 * 1024)]);
  const entry = (number: number, start: number, sectors: number) => {
    const at = 446 + 16 * number;
    disk[at + 4] = 0x83;
    disk.writeUInt32LE(start, at + 8);
    disk.writeUInt32LE(sectors, at + 12);
  };
  entry(0, 8, 24);
  entry(1, 32, 64);
  disk.writeUInt16LE(0xaa55, 510);
  const clusters = new Map(
    Array.from({ length: 15 }, (_, number): [number, Cluster] => [
      number,
      { kind: "data", content: disk.subarray(number * CLUSTER, (number + 1) * CLUSTER) },
    ]),
  );
  const built = buildQcow2({ size: 15 * CLUSTER, clusters });
  built.bytes.writeBigUInt64BE(1n << 40n, (built.l2.get(0) ?? 0) + 5 * 8);
  const { partitions } = only(write({ "disk.qcow2": built.bytes }));
  expect(partitions).toMatchObject([{ number: 2, file: "partitions/2.raw", unreadable: CLUSTER, doubtful: 0 }]);
});

describe.skipIf(!requireProgram("xorriso"))("files of a disc in an image", () => {
  test("are those whose bytes are lost, and no other", () => {
    const tree = subdirectory(directory);
    for (const [index, name] of ["a", "b", "c"].entries()) writeFileSync(join(tree, name), noise(index, 50_000));
    const iso = join(subdirectory(directory), "disc.iso");
    execFileSync("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-o", iso, tree], { stdio: "ignore" });
    const disc = readFileSync(iso);
    const at = disc.indexOf(noise(1, 50_000));
    const blockSize = 2048;
    const { image, tablePosition } = buildVdi({
      blocks: Array.from({ length: Math.ceil(disc.length / blockSize) }, (_, index) => index),
      blockSize,
    });
    disc.copy(image, image.length - Math.ceil(disc.length / blockSize) * blockSize);
    // A block of the second file is said to be where one of the first is.
    image.writeUInt32LE(0xfffffff0, tablePosition + 4 * (at / blockSize + 3));
    const other = disc.indexOf(noise(0, 50_000)) / blockSize;
    image.writeUInt32LE(at / blockSize + 5, tablePosition + 4 * other);
    const { files } = only(write({ "disc.vdi": image }));
    expect(files).toMatchObject([
      { path: "a", unreadable: 0, doubtful: blockSize },
      { path: "b", unreadable: blockSize, doubtful: blockSize },
    ]);
  });
});

test("the mapfile covers the disk without a gap", () => {
  const range = (start: number, length: number, state: "unreadable" | "doubtful") => ({ start, length, state, reason: "" });
  const lines = [
    ...mapfileLines({
      size: 0x9000,
      ranges: [range(0x1000, 0x200, "unreadable"), range(0x1200, 0x800, "doubtful"), range(0x8e00, 0x200, "unreadable")],
    }),
  ];
  expect(lines.filter((line) => !line.startsWith("#"))).toEqual([
    "0x00009000     +               1",
    "0x00000000  0x00001000  +",
    "0x00001000  0x00000200  -",
    "0x00001200  0x00000800  ?",
    "0x00001A00  0x00007400  +",
    "0x00008E00  0x00000200  -",
  ]);
});

describe("lists of ranges", () => {
  test("join what touches, keep the first reason of what overlaps, and stay in order", () => {
    const list = createRangeList<string>();
    for (const [start, length, reason] of [
      [50, 10, "b"],
      [0, 10, "a"],
      [10, 5, "a"],
      [55, 10, "c"],
      [3, 2, "z"],
    ] as const)
      list.add(start, length, reason);
    expect(list.ranges()).toEqual([
      { start: 0, end: 15, reason: "a" },
      { start: 50, end: 60, reason: "b" },
      { start: 60, end: 65, reason: "c" },
    ]);
  });
  test("of which there are too many tell too much rather than too little", () => {
    const random = randomNumbers(5);
    for (let round = 0; round < 50; round += 1) {
      const list = createRangeList<number>(8);
      const added = Array.from({ length: 30 }, () => ({ start: between(random, 0, 1000), length: between(random, 1, 20) }));
      for (const { start, length } of added) list.add(start, length, 0);
      for (const { start, length } of added) expect(bytesWithin(list.ranges(), start, start + length)).toBe(length);
    }
  });
});
