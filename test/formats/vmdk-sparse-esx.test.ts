// The sparse extents of ESX: COWD (vmfsSparse) and seSparse.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isSparse } from "../../src/formats/vmdk/sparse/index.js";
import { randomNumbers, shuffled } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { flat, requireProgram } from "../support/qemu.js";
import { difference, imageErrorOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import {
  type BuiltSparse,
  buildCowd,
  buildSeSparse,
  type CowdShape,
  descriptorText,
  type Grain,
  seEntry,
  type SeSparseShape,
} from "../support/vmdk-builder.js";
import { openBytes, readExtent, sparseDriver } from "../support/vmdk-sparse-driver.js";

function cowdSample(name: string, shape: CowdShape): Sample {
  const { image, disk } = buildCowd(shape);
  return { name, image, disk };
}

function seSample(name: string, shape: SeSparseShape): Sample {
  const { image, disk } = buildSeSparse(shape);
  return { name, image, disk };
}

/** `count` grains behind each other, every third absent, in any order. */
function manyGrains(seed: number, count: number, kinds: readonly Grain[]): Grain[] {
  const random = randomNumbers(seed);
  return shuffled([...Array(count).keys()], random).map((slot, index) =>
    index % 3 === 0 ? (kinds[Math.floor(random() * kinds.length)] ?? 0) : slot,
  );
}

const absent = (count: number) => Array<Grain>(count).fill("absent");
/** Grains in the first, second and fourth table. */
const fourTables = (kinds: readonly Grain[], count: number): Grain[] => [
  ...manyGrains(3, count, kinds),
  ...absent(4096 - count),
  count + 1,
  count,
  ...absent(4094),
  ...absent(4096),
  ...absent(100),
  count + 2,
];

describeDriver(sparseDriver, [
  cowdSample("COWD: grains of one sector out of order", { grains: [3, 0, "absent", 1, "absent", "absent", 2, 4] }),
  cowdSample("COWD: grains of 4 KiB, the last one not filled", {
    grains: manyGrains(1, 30, ["absent"]),
    grainSize: 8,
    size: 29 * 4096 + 512,
  }),
  cowdSample("COWD: three tables, one of them missing", { grains: [...absent(4096), 1, 0, ...absent(4094), 2] }),
  cowdSample("COWD: a child that names its parent", { grains: [1, "absent", 0], parent: "base.vmdk" }),
  cowdSample("COWD: no grain at all", { grains: ["absent", "absent"], size: 1024 }),
  seSample("seSparse: grains out of order", { grains: [3, 0, "absent", 1, "absent", "absent", 2, 4] }),
  seSample("seSparse: zeroed and unmapped grains", { grains: ["zeroed", 1, "unmapped", "unmapped", "absent", 0], size: 6 * 4096 - 1024 }),
  seSample("seSparse: no grain at all", { grains: ["absent", "absent"], size: 4608 }),
]);

/** Numbers of the grains that fail with an `ImageError`; all others are checked to be right. Looks at both ends of a large disk. */
function failing(image: Buffer, { disk, grainSize }: BuiltSparse): number[] {
  const extent = openBytes(image);
  const count = Math.ceil(disk.length / grainSize);
  const looked = [...Array(count).keys()].filter((grain) => grain < 40 || grain >= count - 6);
  return looked.filter((grain) => {
    const at = grain * grainSize;
    const length = Math.min(grainSize, disk.length - at);
    return (
      imageErrorOf(() => expect(difference(readExtent(extent, at, length), disk.subarray(at, at + length))).toBeUndefined()) !== undefined
    );
  });
}

describe("COWD", () => {
  const grains = [...manyGrains(2, 30, ["absent"]), ...absent(4066), 30, "absent" as const];
  const sparse = buildCowd({ grains });
  const changed = (at: number, value: number) => {
    const copy = Buffer.from(sparse.image);
    copy.writeUInt32LE(value, at);
    return copy;
  };

  test("what it is, it tells", () => {
    expect(isSparse(sparse.image)).toBe(true);
    expect(openBytes(buildCowd({ grains: [0], unclean: true }).image)).toMatchObject({
      kind: "cowd",
      size: 512,
      descriptor: undefined,
      details: { "header version": 1, "grain size": 512, "grain table entries": 4096 },
      notes: ["The file was not closed properly by its last writer."],
    });
    expect(openBytes(sparse.image, sparse.disk.length).notes).toEqual([]);
  });

  test("absent grains and tables are the parent's", () => {
    const extent = openBytes(buildCowd({ grains: [0, "absent", "absent", 1, ...absent(9000)] }).image);
    expect(extent.map(600, 9999)).toEqual({ kind: "parent", length: 2 * 512 - 88, offset: 600 });
    expect(extent.map(4096 * 512, 2 ** 40)).toEqual({ kind: "parent", length: (9004 - 4096) * 512, offset: 4096 * 512 });
  });

  test("sector 1 is no zeroed grain", () => {
    const [table = 0] = sparse.tables;
    expect(openBytes(changed(table, 1)).map(0, 1)).toMatchObject({ kind: "data", position: 512 });
  });

  test.each([
    ["another version", 4, 2, "UNSUPPORTED", "version"],
    ["grain size 0", 16, 0, "CORRUPT", "grain size is 0"],
    ["grains over the limit", 16, 2 ** 21 + 1, "CORRUPT", "grain size is 2097153"],
    ["a directory behind the file", 20, 2 ** 31, "TRUNCATED", "leaves the file"],
    ["a directory in the header", 20, 3, "CORRUPT", "lies in the header"],
    ["a directory that is too small", 24, 1, "CORRUPT", "needs 2"],
  ])("%s is refused", (_, at, value, code, message) => {
    expect(imageErrorOf(() => openBytes(changed(at, value)))).toMatchObject({ code, message: expect.stringContaining(message) as string });
  });

  test("grains and tables behind the end of the file are errors, the rest is read", () => {
    expect(failing(sparse.image, sparse)).toEqual([]);
    const [table = 0] = sparse.tables;
    const grain = grains.findIndex((each) => each !== "absent");
    expect(failing(changed(table + 4 * grain, 0xffff_ffff), sparse)).toEqual([grain]);
    expect(failing(changed(sparse.directory + 4, 0xffff_ffff), sparse)).toEqual([4096, 4097]);
    expect(openBytes(changed(sparse.directory + 4, 2)).map(4096 * 512, 99_999)).toMatchObject({
      kind: "damaged",
      length: 1024,
      error: { code: "CORRUPT" },
    });
  });
});

describe("seSparse", () => {
  const grains = [...manyGrains(4, 30, ["absent", "zeroed"]), ...absent(4066), 30, "absent" as const];
  const sparse = buildSeSparse({ grains });
  const changed = (at: number, ...values: readonly bigint[]) => {
    const copy = Buffer.from(sparse.image);
    values.forEach((value, index) => copy.writeBigUInt64LE(value, at + 8 * index));
    return copy;
  };
  const [table = 0] = sparse.tables;

  test("what it is, it tells", () => {
    expect(isSparse(sparse.image)).toBe(true);
    expect(isSparse(Buffer.from("bebafeca00000001", "hex"))).toBe(false);
    expect(openBytes(sparse.image)).toMatchObject({ kind: "seSparse", size: 4098 * 4096, notes: [], details: { "grain size": 4096 } });
  });

  test("unmapped grains are zeros, and noted once they are met", () => {
    const extent = openBytes(buildSeSparse({ grains: [0, "unmapped", "zeroed", "absent"] }).image);
    expect(extent.notes).toEqual([]);
    expect(extent.map(5000, 99_999)).toEqual({ kind: "zero", length: 3 * 4096 - 5000 });
    expect(extent.map(4096, 1)).toEqual({ kind: "zero", length: 1 });
    expect(extent.notes).toEqual(["Some grains were unmapped by the guest; they read as zeros."]);
    expect(extent.map(3 * 4096, 99_999)).toEqual({ kind: "parent", length: 4096, offset: 3 * 4096 });
  });

  test("the two parts of a grain's number", () => {
    for (const number of [0, 1, 4095, 4096, 5000, 2 ** 24 + 77, 2 ** 36 + 4097]) {
      const position = sparse.data + number * 4096;
      const extent = openBytes(changed(table, seEntry(number)));
      if (position < sparse.image.length) expect(extent.map(0, 1)).toMatchObject({ kind: "data", position });
      else expect(extent.map(0, 1)).toMatchObject({ kind: "damaged", error: { code: "TRUNCATED", position } });
    }
    const shifted = buildSeSparse({ grains: [1, "absent", 0], firstSlot: 4095 });
    expect(failing(shifted.image, shifted)).toEqual([]);
    expect(shifted.image.readBigUInt64LE(shifted.tables[0])).toBe(0x3000_0000_0000_0001n);
  });

  test.each([
    ["another version", 8, 0x3_0000_0001n, "UNSUPPORTED", "version"],
    ["grains of 8 KiB", 24, 16n, "UNSUPPORTED", "grain size is 16"],
    ["tables of 64 KiB", 32, 128n, "UNSUPPORTED", "grain table has 128"],
    ["flags", 40, 1n, "UNSUPPORTED", "flags 0x1"],
    ["reserved fields", 72, 1n, "UNSUPPORTED", "reserved"],
    ["fields that are not known", 504, 1n << 56n, "UNSUPPORTED", "more fields"],
    ["a capacity beyond 2^53", 16, 2n ** 44n, "CORRUPT", "2^53"],
    ["a directory over the limit", 16, 2n ** 43n, "CORRUPT", "33554432 are the limit"],
    ["a directory that is too small", 136, 0n, "CORRUPT", "0 sectors"],
    ["a directory behind the file", 128, 2n ** 40n, "TRUNCATED", "leaves the file"],
    ["a directory in the header", 128, 0n, "CORRUPT", "lies in the header"],
    ["a volatile header behind the file", 80, 2n ** 40n, "TRUNCATED", "volatile header"],
    ["a volatile header that is none", 80, 0n, "CORRUPT", "volatile header"],
    ["a journal that was not replayed", sparse.volatileHeader + 24, 1n, "UNSUPPORTED", "journal"],
    ["a volatile header with more fields", sparse.volatileHeader + 32, 1n, "UNSUPPORTED", "more fields"],
  ])("%s is refused", (_, at, value, code, message) => {
    expect(imageErrorOf(() => openBytes(changed(at, value)))).toMatchObject({ code, message: expect.stringContaining(message) as string });
  });

  test("entries of no known type damage what they map and nothing else", () => {
    expect(failing(sparse.image, sparse)).toEqual([]);
    for (const entry of [1n, 0x0000_0001_0000_0000n, 4n << 60n, 15n << 60n, (3n << 60n) | (2n ** 47n), seEntry(2 ** 40)]) {
      expect(failing(changed(table + 8 * 7, entry), sparse), entry.toString(16)).toEqual([7]);
    }
    for (const entry of [1n, 0x2000_0000_0000_0000n, 0x1000_0001_0000_0001n, 0x1000_0000_0000_0002n, 0x1000_0000_ffff_ffffn]) {
      expect(failing(changed(sparse.directory + 8, entry), sparse), entry.toString(16)).toEqual([4096, 4097]);
    }
  });

  test("a table behind the end of the file, though the header says it is there", () => {
    const copy = changed(152, 2n ** 40n);
    copy.writeBigUInt64LE(0x1000_0000_0fff_ffffn, sparse.directory + 8);
    expect(failing(copy, sparse)).toEqual([4096, 4097]);
    expect(openBytes(copy).map(4097 * 4096, 99_999)).toMatchObject({
      kind: "damaged",
      length: 4096,
      error: { code: "TRUNCATED", position: sparse.directory + 8 },
    });
  });
});

describe.skipIf(!requireProgram("qemu-img"))("extents of ESX that qemu-img reads too", () => {
  const directory = tempDirectory();

  function expectTheSame({ image, disk }: BuiltSparse, createType: string, extentType: string): void {
    const home = subdirectory(directory);
    writeFileSync(join(home, "d-delta.vmdk"), image);
    expect(difference(readExtent(openBytes(image), 0, disk.length), disk)).toBeUndefined();
    const path = join(home, "d.vmdk");
    writeFileSync(path, descriptorText(createType, disk.length / 512, extentType, "d-delta.vmdk"));
    expect(difference(flat(path, { format: "vmdk" }), disk)).toBeUndefined();
  }

  test.each<readonly [string, CowdShape]>([
    ["grains of one sector", { grains: fourTables(["absent"], 60) }],
    ["grains of 64 KiB", { grains: [1, "absent", 0], grainSize: 128, size: 2 * 65_536 + 512 }],
  ])("COWD: %s", (_, shape) => {
    expectTheSame(buildCowd(shape), "vmfsSparse", "VMFSSPARSE");
  });

  test.each<readonly [string, SeSparseShape]>([
    ["grains of all kinds", { grains: manyGrains(5, 90, ["absent", "zeroed", "unmapped"]) }],
    ["four tables", { grains: fourTables(["absent", "zeroed", "unmapped"], 60) }],
    ["numbers of more than 12 bits", { grains: [3, 0, "absent", 1, 2], firstSlot: 4094 }],
  ])("seSparse: %s", (_, shape) => {
    expectTheSame(buildSeSparse(shape), "seSparse", "SESPARSE");
  });
});
