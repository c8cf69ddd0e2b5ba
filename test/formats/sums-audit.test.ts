// Audits of the formats that are read from their beginning to their end: the checksums they keep, and version 1 of qcow.
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { auditQcow2 } from "../../src/formats/qcow2/audit.js";
import { readHeader } from "../../src/formats/qcow2/header.js";
import { auditQed } from "../../src/formats/qed/audit.js";
import { readHeader as readQedHeader } from "../../src/formats/qed/header.js";
import { findOverlaps } from "../../src/formats/places.js";
import { memorySource } from "../../src/source/memory.js";
import type { Problem } from "../../src/formats/audit.js";
import { buildSparse } from "../support/android-sparse-builder.js";
import { audited } from "../support/audit.js";
import { builtDisks } from "../support/built.js";
import { between, noise, randomNumbers } from "../support/content.js";
import { buildDmg } from "../support/dmg-builder.js";
import { buildQcow } from "../support/qcow-builder.js";
import { buildQcow2 } from "../support/qcow2-builder.js";
import { type Cluster, COPIED } from "../support/qcow2-entries.js";
import { buildQed } from "../support/qed-builder.js";
import { withDisk } from "../support/reading.js";
import { buildVma } from "../support/vma-builder.js";
import { buildXva } from "../support/xva-builder.js";

const { write } = builtDisks();
const kindsOf = (image: Buffer, format: string) => withDisk(write({ disk: image }), { format }, audited).kinds;

describe("android-sparse", () => {
  const sample = () =>
    buildSparse({
      chunks: [
        { kind: "raw", blocks: 3 },
        { kind: "skip", blocks: 5 },
        { kind: "crc32" },
        { kind: "fill", blocks: 2, pattern: 0x12345678 },
        { kind: "raw", blocks: 1 },
        { kind: "crc32" },
      ],
    });
  test("checksums of the disk up to a chunk", () => {
    const { image, chunkPositions } = sample();
    expect(kindsOf(image, "android-sparse")).toEqual({});
    image[(chunkPositions[0] ?? 0) + 100]! ^= 1;
    expect(kindsOf(image, "android-sparse")).toEqual({ "checksum wrong": 2 });
    image[(chunkPositions[0] ?? 0) + 100]! ^= 1;
    image[(chunkPositions[3] ?? 0) + 12]! ^= 1;
    expect(kindsOf(image, "android-sparse")).toEqual({ "checksum wrong": 1 });
  });
  test("the checksum of the whole disk", () => {
    const { image, disk } = sample();
    image.writeUInt32LE(crc32(disk), 24);
    expect(kindsOf(image, "android-sparse")).toEqual({});
    image.writeUInt32LE(crc32(disk) ^ 1, 24);
    expect(kindsOf(image, "android-sparse")).toEqual({ "checksum wrong": 1 });
  });
});

test("dmg: the checksum of the data fork", () => {
  const { image } = buildDmg({
    tables: [
      {
        chunks: [
          { kind: "raw", sectors: 8 },
          { kind: "zlib", sectors: 16 },
        ],
      },
    ],
  });
  const footer = image.length - 512;
  const [at, size] = [Number(image.readBigUInt64BE(footer + 24)), Number(image.readBigUInt64BE(footer + 32))];
  expect(kindsOf(image, "dmg")).toEqual({});
  image.writeUInt32BE(2, footer + 80);
  image.writeUInt32BE(32, footer + 84);
  image.writeUInt32BE(crc32(image.subarray(at, at + size)), footer + 88);
  expect(kindsOf(image, "dmg")).toEqual({});
  image[at]! ^= 1;
  expect(kindsOf(image, "dmg")).toEqual({ "checksum wrong": 1 });
});

test("vma: extents whose checksum is wrong, and clusters that are in none", () => {
  const built = buildVma({ disks: [{ name: "drive-scsi0", clusters: Array.from({ length: 70 }, () => 0xffff) }], perExtent: 20 });
  expect(kindsOf(built.image, "vma")).toEqual({});
  built.image[(built.extents[1]?.position ?? 0) + 44]! ^= 1;
  expect(kindsOf(built.image, "vma")).toEqual({ "extent damaged": 1, "cluster missing": 20 });
});

test("xva: checksums of chunks", () => {
  const { image, positions } = buildXva({ disks: [{ id: "Ref:4", chunks: ["data", "left out", "data", "data"] }] });
  expect(kindsOf(image, "xva")).toEqual({});
  image[(positions["Ref:4/00000002"] ?? 0) + 7]! ^= 1;
  expect(kindsOf(image, "xva")).toEqual({ "checksum wrong": 1 });
  const other = buildXva({ disks: [{ id: "Ref:4", chunks: ["data", "data"], checksum: ".xxhash" }] });
  const { problems } = withDisk(write({ disk: other.image }), { format: "xva" }, audited);
  expect(problems).toMatchObject([{ kind: "not compared", severity: "note", count: 2 }]);
});

describe("qcow", () => {
  const sample = () => buildQcow({ clusters: [2, "absent", 0, "packed", 1, ...Array.from({ length: 80 }, () => "absent" as const), 3] });
  const set = ({ image, l2Positions }: ReturnType<typeof sample>, cluster: number, position: number) =>
    void image.writeBigUInt64BE(BigInt(position), (l2Positions[Math.floor(cluster / 64)] ?? 0) + 8 * (cluster % 64));
  test.each<[string, (built: ReturnType<typeof sample>) => void, Record<string, number>]>([
    ["nothing", () => undefined, {}],
    ["two entries for one cluster", (built) => set(built, 0, built.dataPosition), { overlap: 1 }],
    ["a cluster over an L2 table", (built) => set(built, 0, built.dataPosition - 512), { overlap: 1 }],
    ["a cluster behind the end", (built) => set(built, 0, 2 ** 30), { "behind the end": 1 }],
    ["an L2 table behind the end", ({ image, l1Position }) => void image.writeBigUInt64BE(2n ** 30n, l1Position), { "behind the end": 1 }],
    [
      "an L2 table named twice",
      ({ image, l1Position }) => void image.copy(image, l1Position + 8, l1Position, l1Position + 8),
      { overlap: 4 },
    ],
  ])("%s", (_, damage, kinds) => {
    const built = sample();
    damage(built);
    expect(kindsOf(built.image, "qcow")).toEqual(kinds);
  });
});

describe("in windows of a few clusters the same is found as at once", () => {
  const collect = (audit: (listener: Parameters<typeof auditQcow2>[2]) => void) => {
    const found: Problem[] = [];
    const doubtful = new Set<number>();
    audit({
      found: (problem) => found.push(problem),
      doubtful: ({ start, length }) => Array.from({ length: length / 4096 }, (_, index) => doubtful.add(start + index * 4096)),
      progress: () => undefined,
    });
    const kinds: Record<string, number> = {};
    for (const { kind, count = 1 } of found) kinds[kind] = (kinds[kind] ?? 0) + count;
    return { kinds, doubtful: [...doubtful].toSorted((a, b) => a - b) };
  };

  test("qcow2", () => {
    const random = randomNumbers(3);
    for (let round = 0; round < 40; round += 1) {
      const clusters = new Map(
        Array.from({ length: 30 }, (_, number): [number, Cluster] => [number * 7, { kind: "data", content: noise(number, 4096) }]),
      );
      const { bytes, l2, data } = buildQcow2({ size: 600 * 4096, clusters, seed: round + 1 });
      const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))));
      const places = [...data.values(), 0, l2.get(0) ?? 0, block];
      for (let change = 0; change < 5; change += 1) {
        const place = places[between(random, 0, places.length - 1)] ?? 0;
        if (change % 2 === 0) bytes.writeBigUInt64BE(BigInt(place) | COPIED, (l2.get(0) ?? 0) + 8 * 7 * between(random, 0, 29));
        else bytes.writeUInt16BE(between(random, 0, 3), block + (place / 4096) * 2);
      }
      const source = memorySource("disk.qcow2", bytes);
      const header = readHeader(source);
      const atOnce = collect((listener) => auditQcow2(source, header, listener));
      for (const window of [1, 7, 16]) expect(collect((listener) => auditQcow2(source, header, listener, window))).toEqual(atOnce);
    }
  });

  test("qed", () => {
    const { image, l2Positions, dataPositions } = buildQed({
      clusters: [0, 1, 2, "zero", 3, 4, 5],
      tableSize: 2,
      clusterSize: 4096,
      seed: 3,
    });
    image.writeBigUInt64LE(BigInt(dataPositions.get(2) ?? 0), l2Positions.get(0) ?? 0);
    const source = memorySource("disk.qed", Buffer.concat([image, Buffer.alloc(8192)]));
    const header = readQedHeader(source);
    const atOnce = collect((listener) => auditQed(source, header, listener));
    expect(atOnce.kinds).toEqual({ overlap: 1, "leaked cluster": 3 });
    for (const window of [1, 2, 5]) expect(collect((listener) => auditQed(source, header, listener, window))).toEqual(atOnce);
  });
});

test("places that overlap are those that a comparison of all pairs finds", () => {
  const random = randomNumbers(21);
  for (let round = 0; round < 300; round += 1) {
    const length = between(random, 1, 9);
    const places = Array.from({ length: between(random, 1, 20) }, () => between(random, -1, 60));
    const told = new Set<number>();
    findOverlaps({ count: places.length, length, end: 50, placeOf: (index) => places[index] ?? -1 }, (index, other) => {
      expect(other).toBeLessThan(index);
      expect(Math.abs((places[index] ?? 0) - (places[other] ?? 0))).toBeLessThan(length);
      told.add(index);
    });
    const stored = places.map((place, index) => ({ place, index })).filter(({ place }) => place >= 0 && place < 50);
    const pairs = stored.flatMap((a) => stored.filter((b) => b.index < a.index && Math.abs(a.place - b.place) < length));
    expect(told.size > 0).toBe(pairs.length > 0);
  }
});
