// What is left to be copied, and what has to be compared.
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { planComparison, planCopy } from "../../src/convert/plan.js";
import { bytesOfFirst, createSegments, type Segments } from "../../src/convert/segments.js";
import type { Extent } from "../../src/formats/driver.js";
import { memorySource } from "../../src/source/memory.js";
import type { FlatFile } from "../../src/tree/node.js";
import { ImageError } from "../../src/util/errors.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const KIB = 1024;
const { signal } = new AbortController();
const block = { key: "plan test", size: MIB, source: memorySource("nowhere", new Uint8Array()), position: 0, unpack: () => undefined };

/** Alternates between the kinds, each `size` bytes long. */
function striped(count: number, size: number, kinds: readonly Extent["kind"][]): FlatFile {
  return {
    size: count * size,
    read: () => undefined,
    allocated: () => 0,
    locate(offset, length) {
      const kind = kinds[Math.floor(offset / size) % kinds.length];
      const part = Math.min(length, size - (offset % size));
      const extent: Extent =
        kind === "packed"
          ? { kind, length: part, block, skip: 0 }
          : kind === "damaged"
            ? { kind, length: part, error: new ImageError("CORRUPT", "bad") }
            : { kind: "zero", length: part };
      return { extent, depth: 0 };
    },
  };
}

const rangesOf = (segments: Segments) =>
  Array.from({ length: segments.length / 2 }, (_, index) => [segments[2 * index] ?? 0, segments[2 * index + 1] ?? 0] as const);

describe("plans", () => {
  const directory = tempDirectory();

  function sparse<T>(size: number, use: (fd: number) => T): T {
    const fd = openSync(join(subdirectory(directory), "out"), "w+");
    ftruncateSync(fd, size);
    try {
      return use(fd);
    } finally {
      closeSync(fd);
    }
  }

  test("pieces are whole, in order, apart, and cut at multiples of 4 MiB only", () => {
    const run = fc.tuple(fc.integer({ min: 0, max: 3 * MIB }), fc.integer({ min: 1, max: 9 * MIB }));
    fc.assert(
      fc.property(fc.array(run, { maxLength: 12 }), (runs) => {
        const pieces = createSegments();
        const expected: [number, number][] = [];
        let at = 0;
        for (const [gap, length] of runs) {
          const last = expected.at(-1);
          if (gap === 0 && last) last[1] += length;
          else expected.push([at + gap, length]);
          pieces.add(at + gap, length);
          at += gap + length;
        }
        const { segments, size } = pieces.end();
        const joined: [number, number][] = [];
        for (const [start, length] of rangesOf(segments)) {
          const last = joined.at(-1);
          expect(Math.floor(start / (4 * MIB))).toBe(Math.floor((start + length - 1) / (4 * MIB)));
          if (last && last[0] + last[1] === start && start % (4 * MIB) === 0) last[1] += length;
          else joined.push([start, length]);
        }
        // Runs that touch at such a multiple are joined here though they were added apart, and the other way round.
        expect(joined).toEqual(expected);
        expect(size).toBe(bytesOfFirst(segments, segments.length));
      }),
      { numRuns: 200 },
    );
  });

  test("damage is told before anything is copied; on a device, something is written there all the same", async () => {
    const file = striped(8, MIB, ["packed", "zero", "damaged", "zero"]);
    const lost: number[] = [];
    const lose = ({ start }: { readonly start: number }) => void lost.push(start);
    const target = { fd: -1, blockSize: 4096 };
    const plan = await planCopy(file, { ...target, dense: false }, lose, signal);
    expect(rangesOf(plan.segments)).toEqual([
      [0, MIB],
      [4 * MIB, MIB],
    ]);
    expect(lost).toEqual([2 * MIB, 6 * MIB]);
    expect((await planCopy(file, { ...target, dense: true }, lose, signal)).size).toBe(8 * MIB);
  });

  test("what is lost is not compared, and neither are holes of both", async () => {
    const file = striped(8, 64 * KIB, ["packed", "zero"]);
    const pieces = await sparse(file.size, async (fd) => {
      // Something where there is a hole in the image: a difference that has to be found.
      writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, 3 * 64 * KIB + 8192);
      const target = { fd, blockSize: 4096, dense: false };
      const lost = [
        { start: 1000, end: 2000 },
        { start: 4 * 64 * KIB, end: 5 * 64 * KIB },
      ];
      return rangesOf((await planComparison(file, target, lost, signal)).segments);
    });
    const covers = (at: number) => pieces.some(([start, length]) => at >= start && at < start + length);
    expect([0, 999, 2000, 65_535, 2 * 65_536, 3 * 65_536 + 8192, 6 * 65_536].filter((at) => !covers(at))).toEqual([]);
    expect([1000, 1999, 65_536, 4 * 65_536, 5 * 65_536 - 1, 7 * 65_536].filter(covers)).toEqual([]);
  });

  test("a signal is heard while very many extents are looked at", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    const endless = striped(2 ** 30, 4096, ["packed", "zero"]);
    await expect(planCopy(endless, { fd: -1, blockSize: 4096, dense: false }, () => undefined, controller.signal)).rejects.toThrow(/abort/);
  });
});
