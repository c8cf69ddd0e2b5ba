// Stream-optimized extents: compressed grains, in the shapes that programs write, and cut ones.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { SparseExtent } from "../../src/formats/vmdk/sparse/index.js";
import { openSparse } from "../../src/formats/vmdk/sparse/index.js";
import { memorySource } from "../../src/source/memory.js";
import { mixed, noise, randomNumbers, shuffled } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { flat, qemuImg, requireProgram, run } from "../support/qemu.js";
import { difference, imageErrorOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type BuiltStream, buildStream, type StreamGrain, type StreamShape } from "../support/vmdk-stream-builder.js";
import { onlyFileOf, openBytes, readExtent, sparseDriver } from "../support/vmdk-sparse-driver.js";

function built(name: string, shape: StreamShape): Sample {
  const { image, disk } = buildStream(shape);
  return { name, image, disk };
}

function manyGrains(seed: number, count: number): StreamGrain[] {
  const random = randomNumbers(seed);
  return Array.from({ length: count }, () => (random() < 0.3 ? "absent" : random() < 0.3 ? "noise" : "text"));
}

function anyOrder(seed: number, count: number): number[] {
  return shuffled([...Array(count).keys()], randomNumbers(seed));
}

const grains = manyGrains(1, 40);
/** Tables of 8 grains of 1 KiB: every table has grains of all kinds. */
const small: StreamShape = { grains, grainSize: 2, tableEntries: 8 };

function converted(name: string, disk: Buffer): Sample {
  const image = (directory: string) => {
    const raw = join(directory, "raw");
    const path = join(directory, "image.vmdk");
    writeFileSync(raw, disk);
    qemuImg("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, path);
    return path;
  };
  return { name, image, disk, needs: "qemu-img" };
}

describeDriver(sparseDriver, [
  built("directory at the end, tables between the grains", small),
  built("directory and tables at the end", { ...small, tables: "end" }),
  built("directory and tables in front, as open-vmdk writes them", { ...small, tables: "front" }),
  built("one marker for all tables, as Xen Orchestra writes them", {
    ...small,
    grains: [...Array<StreamGrain>(9).fill("absent"), ...grains],
    tables: "together",
    counts: false,
    overHead: 31,
  }),
  built("grains in any order", { ...small, order: anyOrder(2, 40) }),
  built("one order for the grains, one for the tables", {
    grains: manyGrains(9, 30),
    grainSize: 2,
    tableEntries: 8,
    order: anyOrder(4, 30),
    tables: "end",
  }),
  built("grains without markers, directory in front", { ...small, markers: false, tables: "front" }),
  built("grains without markers, directory at the end", { ...small, markers: false, tables: "end" }),
  built("grains without markers, zeros behind the end", { ...small, markers: false, tables: "end", padding: Buffer.alloc(5000) }),
  built("markers that are not in the specification", { ...small, progress: true }),
  built("markers that do not tell how much follows", { ...small, counts: false }),
  built("a short last grain, stored whole", { grains: ["text", "noise", "text"], size: 2 * 4096 + 1536 }),
  built("a short last grain, stored short", { grains: ["text", "noise", "text"], size: 2 * 4096 + 1536, shortLast: true }),
  built("a short last grain of noise in a table of its own", {
    grains: ["text", "noise", "noise"],
    tableEntries: 2,
    size: 2 * 4096 + 512,
    shortLast: true,
  }),
  built("zeroed grains", { grains: ["zeroed", "text", "zeroed", "absent", "noise"], tableEntries: 2 }),
  built("zeros behind the end, as in a tar archive", { ...small, padding: Buffer.alloc(10_240 - 512) }),
  built("a few zeros behind the end", { ...small, padding: Buffer.alloc(100) }),
  built("something behind the end", { ...small, padding: noise(7, 3000) }),
  built("no end-of-stream marker", { ...small, without: "end of stream" }),
  built("no footer", { ...small, without: "footer" }),
  built("no grain at all", { grains: ["absent", "absent"] }),
  built("header version 1", { ...small, version: 1 }),
  converted("qemu: streamOptimized", mixed(1, 400_384)),
]);

/** What is wrong with what an extent reads: nothing, or grains that fail, or the first wrong byte. */
function failingGrains(extent: SparseExtent, { disk, grainSize }: BuiltStream): number[] {
  return [...Array(Math.ceil(disk.length / grainSize)).keys()].filter((grain) => {
    const at = grain * grainSize;
    const length = Math.min(grainSize, disk.length - at);
    return (
      imageErrorOf(() =>
        expect(difference(readExtent(extent, at, length), disk.subarray(at, at + length)), `grain ${grain}`).toBeUndefined(),
      ) !== undefined
    );
  });
}

const stored = (index: number) => grains[index] !== "absent";
const all = [...grains.keys()];

describe("how stream-optimized extents map", () => {
  test("what it is, it tells", () => {
    expect(openBytes(buildStream(small).image)).toMatchObject({
      kind: "streamOptimized",
      size: 40 * 1024,
      notes: [],
      details: { "header version": 3, "grain size": 1024, "grain table entries": 8, compression: "deflate", markers: true },
    });
  });

  test("each grain is a block of its own, absent ones are one extent", () => {
    const { image, positions } = buildStream({ grains: ["text", "text", "absent", "absent", "noise"], size: 4 * 4096 + 512 });
    const extent = openBytes(image);
    expect(extent.map(10, 9999)).toMatchObject({ kind: "packed", length: 4086, skip: 10, block: { size: 4096, position: positions[0] } });
    expect(extent.map(8192, 2 ** 30)).toEqual({ kind: "parent", length: 8192, offset: 8192 });
    expect(extent.map(4 * 4096 + 1, 2 ** 30)).toMatchObject({ kind: "packed", length: 511, skip: 1, block: { size: 512 } });
  });

  test("blocks have a key of their own in the process", () => {
    const { image } = buildStream(small);
    const keys = [openBytes(image), openBytes(image)].flatMap((extent) =>
      all.filter(stored).map((grain) => {
        const found = extent.map(grain * 1024, 1);
        return found.kind === "packed" ? found.block.key : "";
      }),
    );
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("the footer counts, not the header", () => {
    const { image, disk, footer } = buildStream({ ...small, size: 39 * 1024 });
    image.writeBigUInt64LE(1n, 12);
    image.writeUInt32LE(7, 44);
    const extent = openBytes(image);
    expect(extent.size).toBe(disk.length);
    expect(difference(readExtent(extent, 0, disk.length), disk)).toBeUndefined();
    expect(image.readBigUInt64LE(footer + 12)).toBe(78n);
  });

  test("a header that does not know the capacity yet", () => {
    const { image, disk } = buildStream(small);
    image.writeBigUInt64LE(0n, 12);
    expect(difference(readExtent(openBytes(image), 0, disk.length), disk)).toBeUndefined();
  });

  test("padding is noted", () => {
    expect(openBytes(buildStream({ ...small, padding: Buffer.alloc(1024) }).image).notes).toEqual([
      "1024 bytes follow the end of the stream.",
    ]);
    expect(openBytes(buildStream({ ...small, padding: noise(1, 700) }).image).notes).toEqual(["700 bytes follow the end of the stream."]);
    expect(openBytes(buildStream({ ...small, without: "end of stream" }).image).notes).toEqual(["The end-of-stream marker is missing."]);
  });

  test("zeros behind the end, more than one piece of them", () => {
    const { image, disk } = buildStream({ ...small, padding: Buffer.alloc(200_000) });
    expect(difference(readExtent(openBytes(image), 0, disk.length), disk)).toBeUndefined();
  });
});

describe("cut streams", () => {
  test("no footer, but the directory: everything is there", () => {
    for (const shape of [
      { ...small, without: "footer" as const },
      { ...small, tables: "end" as const, without: "footer" as const },
    ]) {
      const sparse = buildStream(shape);
      const extent = openBytes(sparse.image);
      expect(failingGrains(extent, sparse)).toEqual([]);
      expect(extent.notes).toEqual([expect.stringContaining("grain directory was found by scanning") as string]);
    }
  });

  test("no directory: grains are found by their markers, and nothing else is guessed", () => {
    const sparse = buildStream({ ...small, tables: "end", order: anyOrder(3, 40) });
    const extent = openBytes(sparse.image.subarray(0, sparse.grainsEnd));
    expect(failingGrains(extent, sparse)).toEqual(all.filter((index) => !stored(index)));
    expect(extent.notes).toEqual([
      `The file is cut or damaged at byte ${sparse.grainsEnd}: ${all.filter(stored).length} grains were found by scanning; what else there was cannot be read.`,
    ]);
    const absent = grains.indexOf("absent");
    expect(extent.map(absent * 1024, 1)).toMatchObject({
      kind: "damaged",
      length: 1,
      error: { code: "TRUNCATED", position: sparse.grainsEnd },
    });
  });

  test("a table that is there tells which of its grains never were", () => {
    const sparse = buildStream(small);
    // Behind the second of five tables.
    const extent = openBytes(sparse.image.subarray(0, (sparse.tables[1] ?? 0) + 512));
    expect(failingGrains(extent, sparse)).toEqual(all.slice(16));
    expect(extent.map(16 * 1024 + 5, 2 ** 20)).toMatchObject({ kind: "damaged", length: 24 * 1024 - 5 });
    const [, absent = 0] = all.filter((index) => !stored(index));
    expect(extent.map(absent * 1024, 1)).toMatchObject({ kind: "parent" });
  });

  test("a table that contradicts the grains is not believed", () => {
    const sparse = buildStream(small);
    const [table = 0] = sparse.tables;
    const cut = Buffer.from(sparse.image.subarray(0, table + 512));
    const first = all.slice(0, 8).findIndex(stored);
    const entry = all.findIndex((index) => index > first && stored(index));
    cut.writeUInt32LE(0, table + 4 * entry);
    expect(failingGrains(openBytes(cut), sparse)).toEqual(all.filter((index) => index >= 8 || !stored(index)));
    cut.writeUInt32LE(cut.readUInt32LE(table + 4 * first), table + 4 * entry);
    expect(failingGrains(openBytes(cut), sparse)).toEqual(all.filter((index) => index >= 8 || !stored(index)));
  });

  test("zeroed grains of a table that is there", () => {
    const shape: StreamShape = { grains: ["zeroed", "text", "absent", "text", "text", "zeroed"], tableEntries: 3 };
    const sparse = buildStream(shape);
    const extent = openBytes(sparse.image.subarray(0, (sparse.tables[0] ?? 0) + 512));
    expect(failingGrains(extent, sparse)).toEqual([3, 4, 5]);
    expect(extent.map(0, 9999)).toEqual({ kind: "zero", length: 4096 });
    expect(extent.map(8192, 9999)).toEqual({ kind: "parent", length: 4096, offset: 8192 });
  });

  test("every cut shows grains as they were, or fails", () => {
    for (const shape of [
      small,
      { ...small, tables: "end" as const, order: anyOrder(5, 40) },
      { ...small, progress: true, counts: false },
    ]) {
      const sparse = buildStream(shape);
      let last = Number.POSITIVE_INFINITY;
      for (let length = 512 * 21; length <= sparse.image.length; length += 384) {
        const failing = failingGrains(openBytes(sparse.image.subarray(0, length)), sparse).length;
        expect(failing, `cut to ${length}`).toBeLessThanOrEqual(last);
        last = failing;
      }
      expect(last).toBe(0);
    }
  });

  test("zeros in place of the end are no absent grains", () => {
    const sparse = buildStream({ ...small, tables: "end" });
    const half = sparse.positions[20] || sparse.positions[21] || 0;
    const image = Buffer.from(sparse.image).fill(0, half);
    expect(failingGrains(openBytes(image), sparse)).toEqual(all.filter((index) => index >= 20 || !stored(index)));
  });

  test.each(["interleaved", "end", "together"] as const)(
    "bytes missing in the middle never move what is behind them, tables %s",
    (tables) => {
      const sparse = buildStream({ ...small, tables });
      for (let at = sparse.positions.find((position) => position > 0) ?? 0; at < sparse.image.length - 512; at += 512) {
        for (const missing of [512, 1536, 100, 4096]) {
          const image = Buffer.concat([sparse.image.subarray(0, at), sparse.image.subarray(at + missing)]);
          imageErrorOf(() => failingGrains(openBytes(image), sparse));
        }
      }
    },
  );

  test.each(["interleaved", "end"] as const)("bytes that became zeros are no absent grains, tables %s", (tables) => {
    const sparse = buildStream({ ...small, tables });
    for (let at = sparse.positions.find((position) => position > 0) ?? 0; at < sparse.image.length; at += 512) {
      // With its marker a table is never taken for one; alone it could be, so holes begin with the markers.
      if (sparse.tables.includes(at) || sparse.directory === at) continue;
      for (const hole of [512, 4096]) {
        imageErrorOf(() =>
          failingGrains(openBytes(Buffer.from(sparse.image).fill(0, at, Math.min(sparse.image.length, at + hole))), sparse),
        );
      }
    }
  });

  test("a header that counts more overhead than there is", () => {
    const sparse = buildStream({ ...small, tables: "end", overHead: 30 });
    expect(failingGrains(openBytes(sparse.image.subarray(0, sparse.grainsEnd)), sparse)).toEqual(all.filter((index) => !stored(index)));
    const none = buildStream({ ...small, tables: "end", overHead: 0 });
    expect(failingGrains(openBytes(none.image.subarray(0, none.grainsEnd)), none)).toEqual(all.filter((index) => !stored(index)));
  });

  test("without a capacity nothing can be found", () => {
    const { image, grainsEnd } = buildStream(small);
    image.writeBigUInt64LE(0n, 12);
    expect(imageErrorOf(() => openBytes(image.subarray(0, grainsEnd)))).toMatchObject({ code: "TRUNCATED" });
  });

  test("a marker that cannot be one ends the search", () => {
    const sparse = buildStream({ ...small, tables: "end" });
    const stop = all.findIndex((index) => index >= 20 && stored(index));
    const at = sparse.positions[stop] ?? 0;
    const cut = sparse.image.subarray(0, sparse.grainsEnd);
    const expected = all.filter((index) => index >= stop || !stored(index));
    for (const [place, bytes] of [
      [0, [1]], // not a multiple of the grain
      [0, [80]], // behind the disk
      [4, [1]],
      [8, [0xff, 0xff, 0xff, 0x7f]], // larger than any stream
      [8, [0, 0, 0, 0, 9, 0, 0, 0]], // a type that nobody knows
      [12, [0]], // no zlib stream
    ] as const) {
      const image = Buffer.from(cut);
      image.set(bytes, at + place);
      expect(failingGrains(openBytes(image), sparse), `byte ${place}`).toEqual(expected);
    }
    const twice = Buffer.from(cut);
    sparse.image.copy(twice, at, sparse.positions[all.findIndex(stored)] ?? 0, (sparse.positions[all.findIndex(stored)] ?? 0) + 8);
    expect(failingGrains(openBytes(twice), sparse)).toEqual(expected);
  });

  test("without markers nothing can be found", () => {
    const sparse = buildStream({ ...small, markers: false, tables: "end" });
    const open = () => openBytes(sparse.image.subarray(0, sparse.grainsEnd));
    expect(imageErrorOf(open)).toMatchObject({ code: "TRUNCATED", message: expect.stringContaining("footer") as string });
  });

  test("a search that takes too much memory is refused", () => {
    const { image, grainsEnd, positions } = buildStream({
      grains: Array.from({ length: 40 }, (): StreamGrain => "text"),
      grainSize: 1,
      tableEntries: 512,
    });
    const cut = Buffer.from(image.subarray(0, grainsEnd));
    cut.writeUInt32LE(2 ** 20, 44);
    cut.writeBigUInt64LE(2n ** 40n, 12);
    positions.forEach((position, index) => cut.writeBigUInt64LE(BigInt(index) << 20n, position));
    expect(imageErrorOf(() => openBytes(cut))).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("33554432") as string,
    });
  });
});

describe("damaged streams", () => {
  const sparse = buildStream(small);
  const target = all.findIndex((index) => index > 10 && stored(index));
  const at = sparse.positions[target] ?? 0;
  function changed(place: number, bytes: readonly number[]): Buffer {
    const copy = Buffer.from(sparse.image);
    copy.set(bytes, place);
    return copy;
  }

  test.each([
    ["a marker of another grain", 0, [0], "CORRUPT", "is marked as sector 0"],
    ["no size", 8, [0, 0, 0, 0], "CORRUPT", "takes 0 bytes"],
    ["a size over the limit", 8, [0, 0, 1, 0], "CORRUPT", "takes 65536 bytes"],
    ["a stream that does not decode", 20, [0xff, 0xff, 0xff, 0xff], "CORRUPT", "does not decode"],
  ])("%s damages that grain only", (_, place, bytes, code, message) => {
    const image = changed(at + place, bytes);
    expect(failingGrains(openBytes(image), sparse)).toEqual([target]);
    expect(imageErrorOf(() => readExtent(openBytes(image), target * 1024, 1024))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      file: "test.vmdk",
      position: at,
    });
  });

  test("tables that point to each other's grains give errors, never another grain's content", () => {
    const image = Buffer.from(sparse.image);
    const [table = 0] = sparse.tables;
    const [a = 0, b = 0] = all.slice(0, 8).filter(stored);
    image.writeUInt32LE((sparse.positions[a] ?? 0) / 512, table + 4 * b);
    image.writeUInt32LE((sparse.positions[b] ?? 0) / 512, table + 4 * a);
    expect(failingGrains(openBytes(image), sparse)).toEqual([a, b]);
  });

  test("a grain that decodes to less than a grain", () => {
    const short = deflateSync(noise(1, 100));
    const image = changed(at + 12, [...short]);
    image.writeUInt32LE(short.length, at + 8);
    expect(failingGrains(openBytes(image), sparse)).toEqual([target]);
  });

  test("a grain behind the end, and one that the end cuts", () => {
    const front = buildStream({ ...small, tables: "front" });
    const last = all.findLastIndex(stored);
    const place = front.positions[last] ?? 0;
    for (const length of [place, place + 5, place + 12, place + 40]) {
      const extent = openBytes(front.image.subarray(0, length));
      expect(failingGrains(extent, front)).toEqual([last]);
      expect(imageErrorOf(() => readExtent(extent, last * 1024, 1))).toMatchObject({ code: "TRUNCATED" });
      expect(extent.map(last * 1024, 1).kind).toBe(length <= place + 12 ? "damaged" : "packed");
    }
  });

  test("a footer that is none is passed over", () => {
    const { footer } = sparse;
    for (const [place, bytes] of [
      [footer, [0]],
      [footer + 4, [9]],
      [footer - 512 + 12, [2]],
      [footer + 56, Array<number>(8).fill(255)],
    ] as const) {
      expect(failingGrains(openBytes(changed(place, bytes)), sparse), `byte ${place - footer}`).toEqual([]);
    }
    // It names a place that is not marked as a directory, full of zeros: those would be absent tables.
    const elsewhere = Buffer.from(sparse.image);
    elsewhere.writeBigUInt64LE(BigInt((footer + 512) / 512), footer + 56);
    expect(failingGrains(openBytes(elsewhere), sparse)).toEqual([]);
  });

  test("a large grain with a short last one stored whole", () => {
    const shape: StreamShape = { grains: ["text", "text"], grainSize: 512, size: 512 * 512 + 512 };
    const large = buildStream(shape);
    expect(failingGrains(openBytes(large.image), large)).toEqual([]);
  });

  test("grains over the limit for compressed ones are refused", () => {
    const image = Buffer.from(sparse.image);
    image.writeBigUInt64LE(2n ** 17n, 20);
    expect(imageErrorOf(() => openBytes(image))).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("65536 are the limit for compressed") as string,
    });
  });

  test("what cannot be read is an error of the system, not a missing footer", () => {
    const inner = memorySource("bad.vmdk", sparse.image);
    const read = (target: Uint8Array, position: number) => {
      if (position > 0) throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
      inner.read(target, position);
    };
    expect(() => openSparse({ ...inner, read })).toThrow("EIO");
  });
});

describe("streams that other programs read", () => {
  const directory = tempDirectory();
  const wide: StreamShape = { grains: manyGrains(6, 600), grainSize: 16 };

  function write(shape: StreamShape): { readonly path: string; readonly disk: Buffer } {
    const { image, disk } = buildStream(shape);
    const path = join(subdirectory(directory), "stream.vmdk");
    writeFileSync(path, image);
    return { path, disk };
  }

  test.skipIf(!requireProgram("qemu-img")).each<readonly [string, StreamShape]>([
    ["directory at the end", wide],
    ["directory in front", { ...wide, tables: "front" }],
    ["small tables, grains in any order", { ...small, order: anyOrder(8, 40) }],
  ])("qemu-img: %s", (_, shape) => {
    const { path, disk } = write(shape);
    expect(difference(flat(path, { format: "vmdk" }), disk)).toBeUndefined();
  });

  test.skipIf(!requireProgram("7z")).each<readonly [string, StreamShape]>([
    ["directory at the end", wide],
    ["tables at the end, grains in any order", { ...wide, tables: "end", order: anyOrder(8, 600) }],
  ])("7z: %s", (_, shape) => {
    const { path, disk } = write(shape);
    const home = subdirectory(directory);
    run("7z", ["x", "-tvmdk", `-o${home}`, "-y", path]);
    expect(difference(onlyFileOf(home), disk)).toBeUndefined();
  });
});
