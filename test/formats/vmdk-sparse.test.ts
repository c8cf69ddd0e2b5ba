// Hosted sparse extents that store grains as they are: monolithicSparse, and the extents of twoGbMaxExtentSparse.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isSparse, openSparse } from "../../src/formats/vmdk/sparse/index.js";
import type { Source } from "../../src/source/source.js";
import { memorySource } from "../../src/source/memory.js";
import { mixed, noise, randomNumbers, shuffled } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { flat, qemuImg, requireProgram, run } from "../support/qemu.js";
import { difference, imageErrorOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type BuiltSparse, buildHosted, descriptorText, type Grain, type HostedShape, SECTOR } from "../support/vmdk-builder.js";
import { fileInMemory, onlyFileOf, openBytes, readExtent, sparseDriver } from "../support/vmdk-sparse-driver.js";

function built(name: string, shape: HostedShape): Sample {
  const { image, disk } = buildHosted(shape);
  return { name, image, disk };
}

/** `qemu-img convert` of `disk`. */
function converted(name: string, disk: Buffer, ...options: readonly string[]): Sample {
  const image = (directory: string) => {
    const raw = join(directory, "raw");
    const path = join(directory, "image.vmdk");
    writeFileSync(raw, disk);
    qemuImg("convert", "-f", "raw", "-O", "vmdk", ...options, raw, path);
    return path;
  };
  return { name, image, disk, needs: "qemu-img" };
}

/** Mostly grains in any order, runs of them in order, some absent, some zeroed. */
function manyGrains(seed: number, count: number): Grain[] {
  const random = randomNumbers(seed);
  const slots = shuffled([...Array(count).keys()], random);
  return slots.map((slot, index) => (index % 40 < 8 ? index : random() < 0.2 ? "absent" : random() < 0.1 ? "zeroed" : slot + count));
}

const stepped = mixed(4, 300_032);

describeDriver(sparseDriver, [
  built("grains out of order", { grains: [3, 0, "absent", 1, "absent", "absent", 2, 4] }),
  built("grains in order", { grains: [0, 1, 2, 3, 4, 5], grainSize: 16 }),
  built("grains of one sector", { grains: manyGrains(1, 60), grainSize: 1, tableEntries: 16 }),
  built("grains of 4 KiB, three tables out of order", { grains: [2, "absent", 0, 1, "absent", 3, 4], tableEntries: 3 }),
  built("grains of 64 KiB, the last one not filled", { grains: [1, 0], grainSize: 128, size: 65_536 + 512 * 5 }),
  built("tables of 7 entries, one of them missing", {
    grains: manyGrains(2, 100).map((grain, index) => (index >= 14 && index < 21 ? "absent" : grain)),
    grainSize: 1,
    tableEntries: 7,
  }),
  built("zeroed grains, version 2", { grains: ["zeroed", 1, "zeroed", "zeroed", 0, "absent"], version: 2 }),
  built("version 3, as changed block tracking writes it", { grains: [1, "absent", 0], version: 3 }),
  built("tables twice", { grains: manyGrains(3, 64), grainSize: 1, tableEntries: 16, redundant: true }),
  built("with a descriptor", { grains: [1, 0], descriptor: descriptorText("monolithicSparse", 16, "SPARSE", "a.vmdk") }),
  built("no grain at all", { grains: ["absent", "absent"], size: 4096 + 512 }),
  converted("qemu: monolithicSparse", mixed(1, 300_032)),
  converted("qemu: monolithicSparse with zeroed grains", mixed(2, 250_880), "-o", "zeroed_grain=on"),
]);

describe("what makes a hosted sparse extent", () => {
  const plain = buildHosted({ grains: [1, "absent", 0, 2], descriptor: descriptorText("monolithicSparse", 32, "SPARSE", "a.vmdk") });
  const changed = (at: number, bytes: readonly number[]) => {
    const copy = Buffer.from(plain.image);
    copy.set(bytes, at);
    return copy;
  };
  const u64 = (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return [...bytes];
  };

  test("is told by its first bytes", () => {
    expect(isSparse(plain.image)).toBe(true);
    expect(isSparse(Buffer.from("KDM"))).toBe(false);
    expect(isSparse(Buffer.from("VMDK1234"))).toBe(false);
  });

  test("its descriptor ends where NUL bytes begin", () => {
    expect(Buffer.from(openBytes(plain.image).descriptor ?? []).toString()).toBe(
      descriptorText("monolithicSparse", 32, "SPARSE", "a.vmdk"),
    );
    expect(openBytes(buildHosted({ grains: [0] }).image).descriptor).toBeUndefined();
    expect(openBytes(buildHosted({ grains: [0], descriptor: "" }).image).descriptor).toBeUndefined();
  });

  test("capacity 0 is a wrapper around the descriptor", () => {
    const extent = openBytes(changed(12, [...u64(0n), ...u64(0n)]));
    expect(extent).toMatchObject({ size: 0, kind: "hosted" });
    expect(Buffer.from(extent.descriptor ?? []).toString()).toContain("createType");
  });

  test("what it is, it tells", () => {
    const { details, notes, kind } = openBytes(buildHosted({ grains: [0, "zeroed"], version: 2, redundant: true, unclean: true }).image);
    expect({ details, notes, kind }).toEqual({
      kind: "hosted",
      details: {
        "header version": 2,
        "grain size": 4096,
        "grain table entries": 512,
        "redundant grain tables": true,
        "zeroed grains": true,
      },
      notes: ["The file was not closed properly by its last writer."],
    });
  });

  test("another size than in the descriptor is noted", () => {
    expect(openBytes(plain.image, 4 * 4096).notes).toEqual([]);
    expect(openBytes(plain.image, 4 * 4096 + 512).notes).toEqual(["The extent file holds 16384 bytes; the descriptor says 16896."]);
  });

  test("entry 1 is a zeroed grain with the flag only", () => {
    const { image } = buildHosted({ grains: ["zeroed", 0], zeroedFlag: false, descriptor: "text" });
    expect(openBytes(image).map(0, 512)).toMatchObject({ kind: "data", position: 512 });
    expect(openBytes(buildHosted({ grains: ["zeroed", 0] }).image).map(0, 8192)).toEqual({ kind: "zero", length: 4096 });
  });

  test("a directory entry 1 is a table of zeroed grains with the flag only", () => {
    const shape: HostedShape = { grains: [0, 1, 2, 3], tableEntries: 2, descriptor: "text" };
    const zeroed = buildHosted({ ...shape, zeroedFlag: true });
    zeroed.image.writeUInt32LE(1, zeroed.directory + 4);
    expect(openBytes(zeroed.image).map(8192 + 10, 9999)).toEqual({ kind: "zero", length: 8182 });
    const plainTables = buildHosted(shape);
    plainTables.image.writeUInt32LE(1, plainTables.directory + 4);
    expect(openBytes(plainTables.image).map(8192, 512)).toMatchObject({ kind: "damaged", length: 512, error: { code: "CORRUPT" } });
  });

  test("a copy in text mode is told as such", () => {
    const text = Buffer.from(plain.image.toString("latin1").replaceAll("\r\n", "\n"), "latin1");
    expect(imageErrorOf(() => openBytes(text))).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("text mode") as string,
      position: 73,
    });
    expect(openBytes(changed(8, [0]).fill(0, 73, 77)).size).toBe(4 * 4096);
  });

  test.each([
    ["version 0", 4, [0], "UNSUPPORTED", "version"],
    ["version 4", 4, [4], "UNSUPPORTED", "version"],
    ["an unknown incompatible flag", 10, [4], "UNSUPPORTED", "0x40000"],
    ["the highest incompatible flag", 11, [0x80], "UNSUPPORTED", "0x80000000"],
    ["markers without compression", 10, [2], "CORRUPT", "markers"],
    ["an unknown compression", 77, [2], "UNSUPPORTED", "compression algorithm 2"],
    ["compression without its flag", 77, [1], "CORRUPT", "flag for compressed grains is clear"],
    ["the flag without compression", 10, [1], "CORRUPT", "flag for compressed grains is set"],
    ["a capacity beyond 2^53", 12, u64(2n ** 44n), "CORRUPT", "2^53"],
    ["a capacity that no number holds", 12, u64(2n ** 60n), "CORRUPT", "2^53"],
    ["grain size 0", 20, u64(0n), "CORRUPT", "grain size is 0"],
    ["grains of 2 GiB", 20, u64(2n ** 22n), "CORRUPT", "2097152 are the limit"],
    ["tables without entries", 44, [0, 0, 0, 0], "CORRUPT", "0 entries"],
    ["tables of 2^24 entries", 44, [0, 0, 0, 1], "CORRUPT", "16777216 entries"],
    ["a directory over the limit", 12, u64(2n ** 43n), "CORRUPT", "33554432 are the limit"],
    ["a directory behind the file", 56, u64(2n ** 40n), "TRUNCATED", "leaves the file"],
    ["a directory where no file reaches", 56, u64(2n ** 63n), "TRUNCATED", "leaves the file"],
    ["a directory in the header", 56, u64(0n), "CORRUPT", "lies in the header"],
    ["a directory in the descriptor", 56, u64(3n), "CORRUPT", "lies in the descriptor"],
    ["a descriptor behind the file", 28, u64(2n ** 30n), "TRUNCATED", "embedded descriptor"],
    ["a descriptor over the limit", 36, u64(2n ** 30n), "CORRUPT", "1048576 are the limit"],
    ["a directory at the end of a plain extent", 56, u64(2n ** 64n - 1n), "TRUNCATED", "footer"],
  ])("%s is refused", (_, at, bytes, code, message) => {
    expect(imageErrorOf(() => openBytes(changed(at, bytes)))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      file: "test.vmdk",
    });
  });

  test("a file that its writer did not finish is refused, others are not sparse extents", () => {
    expect(imageErrorOf(() => openBytes(changed(0, [...Buffer.from("kdmv")])))).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("interrupted") as string,
    });
    expect(isSparse(Buffer.from("kdmv\x01\0\0\0"))).toBe(true);
    expect(imageErrorOf(() => openBytes(Buffer.alloc(600)))).toMatchObject({ code: "WRONG_FORMAT" });
    expect(imageErrorOf(() => openBytes(Buffer.alloc(0)))).toMatchObject({ code: "WRONG_FORMAT" });
    expect(imageErrorOf(() => openBytes(plain.image.subarray(0, 511)))).toMatchObject({ code: "TRUNCATED" });
  });
});

describe("how hosted extents map", () => {
  test("neighbours in the file are one extent, up to the end of the table", () => {
    const { image, data } = buildHosted({ grains: [2, 3, 4, 0, "absent", "absent", 1, 5], tableEntries: 6 });
    const extent = openBytes(image);
    expect(extent.map(10, 30_000)).toMatchObject({ kind: "data", length: 3 * 4096 - 10, position: data + 2 * 4096 + 10 });
    expect(extent.map(4 * 4096 + 1, 30_000)).toEqual({ kind: "parent", length: 2 * 4096 - 1, offset: 4 * 4096 + 1 });
    expect(extent.map(6 * 4096, 100)).toMatchObject({ kind: "data", length: 100, position: data + 4096 });
  });

  test("missing tables are one extent, which ends with the disk", () => {
    const grains: Grain[] = [
      ...Array.from({ length: 600 }, (): Grain => "absent"),
      0,
      ...Array.from({ length: 600 }, (): Grain => "absent"),
    ];
    const { image } = buildHosted({ grains, tableEntries: 100, size: 1200 * 4096 + 512 });
    const extent = openBytes(image);
    expect(extent.map(5, 2 ** 40)).toEqual({ kind: "parent", length: 600 * 4096 - 5, offset: 5 });
    expect(extent.map(700 * 4096, 2 ** 40)).toEqual({ kind: "parent", length: 500 * 4096 + 512, offset: 700 * 4096 });
  });

  test("a disk of 2 TiB needs its directory and the tables that are asked for", () => {
    const size = 2 ** 41;
    const tables = size / (65_536 * 512);
    const directory = 512;
    const table = directory + tables * 4;
    const image = Buffer.alloc(table + 2048 + 65_536);
    buildHosted({ grains: ["absent"] }).image.copy(image, 0, 0, 512);
    image.writeBigUInt64LE(BigInt(size / 512), 12);
    image.writeBigUInt64LE(128n, 20);
    image.writeBigUInt64LE(BigInt(directory / 512), 56);
    image.writeUInt32LE(table / 512, directory + 4 * (tables - 1));
    image.writeUInt32LE((table + 2048) / 512, table + 2044);
    noise(1, 65_536).copy(image, table + 2048);
    let bytesRead = 0;
    const inner = memorySource("big.vmdk", image);
    const source: Source = {
      ...inner,
      read(target, position) {
        bytesRead += target.length;
        inner.read(target, position);
      },
    };
    const extent = openSparse(source);
    expect(extent.map(0, size)).toEqual({ kind: "parent", length: size - 2 ** 25, offset: 0 });
    expect(extent.map(size - 100, 100)).toMatchObject({ kind: "data", length: 100, position: image.length - 100 });
    expect(bytesRead).toBeLessThan(tables * 4 + 4096);
  });

  test("grains of a size that only a hostile file has", () => {
    const { image } = buildHosted({ grains: [0] });
    image.writeBigUInt64LE(2n ** 21n, 20);
    image.writeBigUInt64LE(2n ** 30n, 12);
    const extent = openBytes(image);
    expect(extent.size).toBe(2 ** 39);
    expect(extent.map(0, 2 ** 39)).toMatchObject({ kind: "data", length: 4096 });
    expect(extent.map(4096, 2 ** 39)).toMatchObject({ kind: "damaged", length: 2 ** 30 - 4096, error: { code: "TRUNCATED" } });
  });
});

describe("damaged hosted extents", () => {
  const shape: HostedShape = { grains: manyGrains(5, 48), grainSize: 1, tableEntries: 16 };

  /** Numbers of the grains that fail with an `ImageError`; all others are checked to be right. */
  function failing(image: Buffer, { disk, grainSize }: BuiltSparse): number[] {
    const extent = openBytes(image);
    return [...Array(disk.length / grainSize).keys()].filter(
      (grain) =>
        imageErrorOf(() => {
          const at = grain * grainSize;
          expect(difference(readExtent(extent, at, grainSize), disk.subarray(at, at + grainSize))).toBeUndefined();
        }) !== undefined,
    );
  }
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
  function changedCopy({ image }: BuiltSparse, ...entries: readonly (readonly [at: number, value: number])[]): Buffer {
    const copy = Buffer.from(image);
    for (const [at, value] of entries) copy.writeUInt32LE(value, at);
    return copy;
  }

  test("a grain behind the end of the file is an error, and only that grain", () => {
    const sparse = buildHosted(shape);
    expect(failing(sparse.image, sparse)).toEqual([]);
    expect(failing(changedCopy(sparse, [(sparse.tables[1] ?? 0) + 4 * 3, 0xffff_ffff]), sparse)).toEqual([19]);
    expect(failing(changedCopy(sparse, [(sparse.tables[0] ?? 0) + 4 * 2, sparse.image.length / SECTOR]), sparse)).toEqual([2]);
  });

  test("a table behind the end of the file, or in the header, damages what it maps and nothing else", () => {
    const sparse = buildHosted(shape);
    expect(failing(changedCopy(sparse, [sparse.directory + 4, 0xffff_ffff]), sparse)).toEqual(range(16, 32));
    expect(openBytes(changedCopy(sparse, [sparse.directory + 4, 2 ** 30])).map(16 * 512 + 5, 99_999)).toMatchObject({
      kind: "damaged",
      length: 16 * 512 - 5,
      error: { code: "TRUNCATED", position: sparse.directory + 4 },
    });
  });

  test("the last table may end with the disk, and with the file", () => {
    const sparse = buildHosted({ grains: [0, 1, 2], grainSize: 1, tableEntries: 512 });
    const copy = Buffer.concat([sparse.image, Buffer.alloc(12)]);
    sparse.image.copy(copy, sparse.image.length, sparse.tables[0], (sparse.tables[0] ?? 0) + 12);
    copy.writeUInt32LE(sparse.image.length / SECTOR, sparse.directory);
    expect(failing(copy, sparse)).toEqual([]);
  });

  test("redundant tables are used where a table is not in the file, table by table", () => {
    const sparse = buildHosted({ ...shape, redundant: true });
    const copy = changedCopy(sparse, [sparse.directory + 4, 2 ** 31], [sparse.directory + 8, 2 ** 30]);
    expect(failing(copy, sparse)).toEqual([]);
    expect(openBytes(copy).notes).toEqual([expect.stringContaining("2 of its grain tables are not in the file") as string]);
    expect(openBytes(sparse.image).notes).toEqual([]);
  });

  test("the redundant directory is used where the primary one is not in the file", () => {
    const sparse = buildHosted({ ...shape, redundant: true });
    for (const sector of [0, 2 ** 30]) {
      const copy = changedCopy(sparse, [56, sector]);
      expect(failing(copy, sparse)).toEqual([]);
      expect(openBytes(copy).notes).toEqual([expect.stringContaining("The grain directory cannot be read") as string]);
    }
    expect(imageErrorOf(() => openBytes(changedCopy(sparse, [56, 2 ** 30], [48, 2 ** 30])))).toMatchObject({
      code: "TRUNCATED",
      message: expect.stringContaining("the grain directory") as string,
    });
  });

  test("redundant tables do not stand in for a primary table that is there", () => {
    const sparse = buildHosted({ ...shape, redundant: true });
    const [first = 0] = sparse.redundantTables;
    const copy = Buffer.from(sparse.image).fill(0, first, first + 64);
    copy.writeUInt32LE(0, sparse.redundantDirectory + 8);
    expect(failing(copy, sparse)).toEqual([]);
  });

  test("a redundant directory that knows no better leaves the damage", () => {
    const sparse = buildHosted({ ...shape, redundant: true });
    for (const other of [0, 1, 2 ** 31]) {
      expect(failing(changedCopy(sparse, [sparse.directory + 4, 2 ** 31], [sparse.redundantDirectory + 4, other]), sparse)).toEqual(
        range(16, 32),
      );
    }
    expect(failing(changedCopy(sparse, [sparse.directory + 4, 2 ** 31], [48, 2 ** 31]), sparse)).toEqual(range(16, 32));
  });

  test("without its flag the redundant directory is not there", () => {
    const sparse = buildHosted({ ...shape, redundant: true });
    const copy = changedCopy(sparse, [sparse.directory + 4, 2 ** 31]);
    copy[8] = (copy[8] ?? 0) & ~2;
    expect(failing(copy, sparse)).toEqual(range(16, 32));
  });

  test("a table that cannot be read is replaced by the redundant one, and noted then", () => {
    const sparse = buildHosted({ ...shape, redundant: true });
    const bad = sparse.tables[2] ?? 0;
    const inner = memorySource("bad.vmdk", sparse.image);
    const source: Source = {
      ...inner,
      read(target, position) {
        if (position <= bad && bad < position + target.length) throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
        inner.read(target, position);
      },
    };
    const extent = openSparse(source);
    expect(extent.notes).toEqual([]);
    expect(difference(readExtent(extent, 0, extent.size), sparse.disk)).toBeUndefined();
    expect(extent.notes).toEqual([expect.stringContaining("cannot be read") as string]);
    const alone = buildHosted(shape);
    const unreadable: Source = {
      ...memorySource("bad.vmdk", alone.image),
      read(target, position) {
        if (position === alone.tables[0]) throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
        memorySource("bad.vmdk", alone.image).read(target, position);
      },
    };
    expect(openSparse(unreadable).map(0, 99_999)).toMatchObject({ kind: "damaged", length: 16 * 512, error: { code: "UNREADABLE" } });
  });
});

describe("hosted extents that other programs read", () => {
  const directory = tempDirectory();
  const cases: readonly (readonly [string, HostedShape])[] = [
    ["grains out of order, two tables", { grains: [3, 0, "absent", 1, "absent", "absent", 2, 4], tableEntries: 5 }],
    ["grains of 512 bytes", { grains: manyGrains(6, 600), grainSize: 1 }],
    ["zeroed grains and a short last one", { grains: ["zeroed", 2, 0, 1], grainSize: 128, version: 2, size: 3 * 65_536 + 512 }],
    ["tables twice, version 3", { grains: manyGrains(7, 90), grainSize: 2, tableEntries: 32, redundant: true, version: 3 }],
  ];

  function write(shape: HostedShape): { readonly path: string; readonly disk: Buffer } {
    const { disk } = buildHosted(shape);
    const { image } = buildHosted({
      ...shape,
      descriptor: descriptorText("monolithicSparse", disk.length / SECTOR, "SPARSE", "image.vmdk"),
    });
    const home = subdirectory(directory);
    const path = join(home, "image.vmdk");
    writeFileSync(path, image);
    expect(difference(readExtent(openBytes(image), 0, disk.length), disk)).toBeUndefined();
    return { path, disk };
  }

  describe.skipIf(!requireProgram("qemu-img"))("qemu-img", () => {
    test.each(cases)("%s", (_, shape) => {
      const { path, disk } = write(shape);
      expect(difference(flat(path, { format: "vmdk" }), disk)).toBeUndefined();
    });

    test("an extent without descriptor", () => {
      const { image, disk } = buildHosted({ grains: [2, "absent", 0, 1] });
      const home = subdirectory(directory);
      writeFileSync(join(home, "d-s001.vmdk"), image);
      writeFileSync(join(home, "d.vmdk"), descriptorText("twoGbMaxExtentSparse", disk.length / SECTOR, "SPARSE", "d-s001.vmdk"));
      expect(difference(flat(join(home, "d.vmdk"), { format: "vmdk" }), disk)).toBeUndefined();
    });

    test("the extents of twoGbMaxExtentSparse", () => {
      const home = subdirectory(directory);
      writeFileSync(join(home, "raw"), stepped);
      qemuImg("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", join(home, "raw"), join(home, "split.vmdk"));
      const name = /SPARSE "([^"]+)"/.exec(readFileSync(join(home, "split.vmdk"), "utf8"))?.[1] ?? "";
      const extent = openSparse(fileInMemory(join(home, name)));
      expect(difference(readExtent(extent, 0, extent.size), stepped)).toBeUndefined();
    });
  });

  // It knows tables of 512 entries and grains of 8 sectors or more.
  describe.skipIf(!requireProgram("7z"))("7z", () => {
    test.each<readonly [string, HostedShape]>([
      ["three tables out of order", { grains: manyGrains(8, 1100), grainSize: 8, seed: 3 }],
      ["zeroed grains and a short last one", { grains: ["zeroed", 2, 0, 1], grainSize: 128, version: 2, size: 3 * 65_536 + 512 }],
      ["tables twice, version 3", { grains: manyGrains(7, 90), grainSize: 16, redundant: true, version: 3 }],
    ])("%s", (_, shape) => {
      const { path, disk } = write(shape);
      const home = subdirectory(directory);
      run("7z", ["x", "-tvmdk", `-o${home}`, "-y", path]);
      expect(difference(onlyFileOf(home), disk)).toBeUndefined();
    });
  });
});
