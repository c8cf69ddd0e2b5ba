import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diskExtents } from "../../src/disk/extents.js";
import { lanesOf } from "../../src/picture/areas.js";
import { coarser, createCells } from "../../src/picture/cells.js";
import { kinds } from "../../src/picture/kinds.js";
import { surveyDisk } from "../../src/picture/survey.js";
import { ImageError } from "../../src/util/errors.js";
import { grouped, percent, ticks } from "../../src/picture/words.js";
import { diskOf, exampleDisk, fileOf } from "../support/pictures.js";

const KIB = 1024;

describe("what is drawn", () => {
  test("few runs are cells as they are", () => {
    const disk = exampleDisk();
    const { cells, totals, chain, files, errors, runs } = surveyDisk(disk);
    expect(cells.map(({ start, length, runs: count }) => [start, length, count])).toEqual(
      [...diskExtents(disk)].map(({ start, length }) => [start, length, 1]),
    );
    expect(cells.map(({ parts }) => [parts[0]?.kind, parts[0]?.depth, parts[0]?.from])).toEqual([
      ["data", 0, 0x50000],
      ["data", 0, 0x20000],
      ["zero", 0, undefined],
      ["data", 1, 4096],
      ["compressed", 0, 0x30000],
      ["damaged", 0, undefined],
      ["data", 0, 0x60000],
      ["absent", 0, undefined],
    ]);
    expect(totals).toEqual({ data: 256 * KIB, compressed: 64 * KIB, zero: 64 * KIB, absent: 64 * KIB, damaged: 64 * KIB });
    expect(chain.map(({ file }) => file)).toEqual(["top.img", "base.img"]);
    expect(files.map(({ name }) => name)).toEqual(["top.img", "base.img"]);
    expect(errors).toEqual(["top.img: the entry leads nowhere (at byte 0x40)"]);
    expect(runs).toBe(8);
  });

  test("fragmentation: runs that follow each other in the file, are further on, stand before", () => {
    const file = fileOf("f", 2 ** 20);
    const positions = [0, 512, undefined, 1024, 8192, 4096, undefined, 4608];
    const disk = diskOf("f", 512, positions.length, (index, length) => {
      const position = positions[index];
      return position === undefined ? { kind: "zero", length } : { kind: "data", length, source: file, position };
    });
    // 0 and 512 are one run; 1024 follows it behind the zeros, as 4608 does 4096.
    expect(surveyDisk(disk).fragmentation).toEqual({ runs: 5, follows: 2, ahead: 1, back: 1 });
  });

  test("16 TiB in a million runs: a bounded picture that tells everything all the same", () => {
    const block = 16 * 2 ** 20;
    const source = fileOf("big", 2 ** 44);
    const disk = diskOf("big", block, 2 ** 20, (index, length) =>
      index % 3 === 0 ? { kind: "zero", length } : { kind: "data", length, source, position: ((index * 7919) % 2 ** 20) * block },
    );
    const before = process.memoryUsage().heapUsed;
    const { cells, samples, totals, runs } = surveyDisk(disk);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 2 ** 20);
    expect(cells.reduce((sum, { parts }) => sum + parts.length, 0)).toBeLessThanOrEqual(20_000);
    expect(cells.length).toBeGreaterThan(2000);
    expect(samples.length).toBeLessThanOrEqual(4097);
    expect(runs).toBe(2 ** 20);
    expect(cells.reduce((sum, { runs: count }) => sum + count, 0)).toBe(runs);
    expect(totals.zero).toBe(Math.ceil(2 ** 20 / 3) * block);
    expect(totals.data + totals.zero).toBe(disk.size);
    for (const { length, parts } of cells) expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(length);
  }, 30_000);

  test("one run of 16 TiB, and an empty disk", () => {
    const sparse = diskOf("s", 2 ** 44, 1, (_index, length) => ({ kind: "zero", length }));
    expect(surveyDisk(sparse).cells).toHaveLength(1);
    const empty = diskOf("e", 512, 0, (_index, length) => ({ kind: "zero", length }));
    expect(surveyDisk(empty)).toMatchObject({ size: 0, cells: [], samples: [], runs: 0 });
  });

  test("samples of compressed runs are where the blocks are", () => {
    const source = fileOf("c", 2 ** 20);
    const disk = diskOf("c", 4096, 64, (index, length) => {
      return {
        kind: "packed",
        length,
        skip: 0,
        block: { key: "", size: 4096, source, position: 1000 + index * 10, unpack: () => undefined },
      };
    });
    const { cells, samples } = surveyDisk(disk);
    expect(cells).toHaveLength(1);
    for (const { offset, position } of samples) expect(position).toBe(1000 + Math.floor(offset / 4096) * 10);
    expect(new Set(samples.map(({ position }) => position)).size).toBe(64);
  });

  test("more different errors than anybody reads", () => {
    const disk = diskOf("d", 512, 1000, (index, length) => ({
      kind: "damaged",
      length,
      error: new ImageError("CORRUPT", `${index} ${"x".repeat(1000)}`),
    }));
    const { errors, cells } = surveyDisk(disk);
    expect(errors).toHaveLength(100);
    expect(errors[0]?.length).toBeLessThan(400);
    expect(cells).toHaveLength(1000);
    expect(cells[999]?.parts[0]).toMatchObject({ kind: "damaged", bytes: 512, error: undefined });
  });
});

describe("cells that are joined", () => {
  const runs = fc.array(fc.record({ length: fc.integer({ min: 1, max: 2 ** 34 }), kind: fc.constantFrom(...kinds), depth: fc.nat(5) }), {
    minLength: 1,
    maxLength: 400,
    size: "max",
  });

  test("cover the same bytes, keep every sum, and are no more than may be", () => {
    fc.assert(
      fc.property(runs, fc.integer({ min: 70, max: 300 }), (all, limit) => {
        const collector = createCells(limit);
        let start = 0;
        let [parts, most] = [0, 0];
        for (const { length, kind, depth } of all) {
          collector.add({ start, length, runs: 1, parts: [{ kind, depth, bytes: length }] });
          start += length;
          parts = collector.cells.reduce((sum, cell) => sum + cell.parts.length, 0);
          most = Math.max(most, parts);
        }
        const { cells } = collector;
        expect(most).toBeLessThanOrEqual(limit);
        let at = 0;
        for (const cell of cells) {
          expect(cell.start).toBe(at);
          expect(cell.parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(cell.length);
          at += cell.length;
        }
        expect(at).toBe(start);
        expect(cells.reduce((sum, cell) => sum + cell.runs, 0)).toBe(all.length);
        for (const kind of kinds) {
          const bytes = cells.flatMap(({ parts }) => parts.filter((part) => part.kind === kind)).reduce((sum, part) => sum + part.bytes, 0);
          expect(bytes).toBe(all.filter((run) => run.kind === kind).reduce((sum, { length }) => sum + length, 0));
        }
      }),
      { numRuns: 100 },
    );
  });

  test("long runs stay exact among short ones, and the cells that were given stay as they were", () => {
    const many = Array.from({ length: 1000 }, (_, index) => {
      const part = { kind: index % 2 === 0 ? ("data" as const) : ("zero" as const), depth: 0, bytes: 512 };
      return { start: index * 512, length: 512, runs: 1, parts: [part] };
    });
    const long = {
      start: 512_000,
      length: 2 ** 40,
      runs: 1,
      parts: [{ kind: "data" as const, depth: 0, bytes: 2 ** 40, file: 0, from: 7, to: 7 + 2 ** 40 }],
    };
    const before = JSON.stringify(many);
    const cells = coarser([...many, long], 100);
    expect(cells.at(-1)).toEqual(long);
    expect(cells.length).toBeLessThan(100);
    expect(JSON.stringify(many)).toBe(before);
  });

  test("positions of joined parts are the least and the greatest, and unknown across files", () => {
    const collector = createCells(1);
    const part = (file: number, from: number) => ({ kind: "data" as const, depth: 0, bytes: 512, file, from, to: from + 512 });
    collector.add({ start: 0, length: 512, runs: 1, parts: [part(0, 9000)] });
    collector.add({ start: 512, length: 512, runs: 1, parts: [part(0, 100)] });
    expect(collector.cells).toEqual([
      { start: 0, length: 1024, runs: 2, parts: [{ kind: "data", depth: 0, bytes: 1024, file: 0, from: 100, to: 9512 }] },
    ]);
    collector.add({ start: 1024, length: 512, runs: 1, parts: [part(1, 100)] });
    collector.add({ start: 1536, length: 512, runs: 1, parts: [part(1, 700)] });
    expect(collector.cells[0]?.parts).toEqual([{ kind: "data", depth: 0, bytes: 2048 }]);
  });
});

describe("rows of partitions", () => {
  const partition = (number: number, start: number, size: number) => ({ number, start, size, type: "", typeName: "Linux" });
  const table = (...partitions: ReturnType<typeof partition>[]) => ({ scheme: "mbr" as const, sectorSize: 512, partitions, notes: [] });

  test("what overlaps is in rows of its own; what leaves the disk ends with it", () => {
    const { lanes, omitted } = lanesOf(
      10_000,
      table(partition(1, 0, 1000), partition(2, 1000, 9999), partition(5, 2000, 100), partition(6, 20_000, 5)),
      undefined,
    );
    expect(lanes.map(({ areas }) => areas.map(({ name, start, length }) => [name, start, length]))).toEqual([
      [
        ["1", 0, 1000],
        ["2", 1000, 9000],
      ],
      [["5", 2000, 100]],
    ]);
    // The one behind the end.
    expect(omitted).toBe(1);
  });

  test("more than can be drawn are counted", () => {
    const many = Array.from({ length: 10_000 }, (_, index) => partition(index, index * 10, 5));
    const { lanes, omitted } = lanesOf(2 ** 40, table(...many), undefined);
    expect(lanes[0]?.areas).toHaveLength(400);
    expect(omitted).toBe(9600);
  });
});

test("numbers as words", () => {
  expect([percent(0, 5), percent(1, 10_000), percent(1, 3), percent(997, 1000), percent(99_999, 100_000), percent(5, 5)]).toEqual([
    "0 %",
    "< 0.1 %",
    "33 %",
    "99.7 %",
    "> 99.9 %",
    "100 %",
  ]);
  expect([grouped(1), grouped(1000), grouped(1_234_567)]).toEqual(["1", "1,000", "1,234,567"]);
  expect(ticks(0, 2 ** 30, 4)).toEqual([0, 2 ** 28, 2 ** 29, 3 * 2 ** 28]);
});
