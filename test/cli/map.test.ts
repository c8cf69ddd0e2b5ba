import { truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { type MapElement, mapCommand } from "../../src/cli/commands/map.js";
import { writeJsonArray } from "../../src/cli/output.js";
import { diskExtents } from "../../src/disk/extents.js";
import type { Layer } from "../../src/formats/driver.js";
import { binding } from "../../src/native/binding.js";
import { memorySource } from "../../src/source/memory.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { buildQcow2 } from "../support/qcow2-builder.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { buildTar } from "../support/ovf-builder.js";
import { tempDirectory } from "../support/temp.js";
import { buildZip } from "../support/zip-builder.js";
import { fakeIo, outputOf, run } from "./fake-io.js";

const KIB = 1024;

async function mapOf(image: string, ...words: readonly string[]): Promise<MapElement[]> {
  return JSON.parse(await outputOf(mapCommand, "--json", image, ...words)) as MapElement[];
}

describe("map", () => {
  const disks = builtDisks();
  const directory = tempDirectory();
  const data = (seed: number): Cluster => ({ kind: "data", content: noise(seed, 4096) });

  test("as text", async () => {
    const clusters = new Map<number, Cluster>([
      [0, data(1)],
      [1, data(2)],
      [3, { kind: "zero" }],
    ]);
    const image = disks.write({
      "top.qcow2": { size: 8 * 4096, clusters, backing: { name: "base.raw", format: "raw" } },
      "base.raw": noise(3, 5 * 4096),
    });
    const { data: places } = buildQcow2({ size: 8 * 4096, clusters, backing: { name: "base.raw", format: "raw" } });
    const position = `0x${(places.get(0) ?? 0).toString(16)}`;
    const width = image.length;
    const base = join(dirname(image), "base.raw");
    const line = (...[offset, length, kind, file, at, depth]: readonly string[]) =>
      [offset?.padStart(6), length?.padStart(6), kind?.padEnd(10), file?.padEnd(width), at?.padStart(8), depth].join("  ");
    expect(await outputOf(mapCommand, image)).toBe(
      [
        line("OFFSET", "LENGTH", "KIND", "FILE", "POSITION", "DEPTH"),
        line("0", "8192", "data", image, position, "0"),
        line("8192", "4096", "data", base, "0x2000", "1"),
        line("12288", "4096", "zero", "-", "-", "0"),
        line("16384", "4096", "data", base, "0x4000", "1"),
        line("20480", "12288", "absent", "-", "-", "0"),
        "",
      ].join("\n"),
    );
  });

  test("of a package: of the disk in it, or the one that is chosen, in packages in packages too", async () => {
    const [one, two] = [noise(1, 20_480), noise(2, 40_960)];
    const inner = buildTar([
      { name: "one.img", content: one },
      { name: "folder/two.img", content: two },
    ]);
    const image = (name: string, content: Uint8Array) => {
      writeFileSync(join(directory, name), content);
      return join(directory, name);
    };
    const single = image("single.tar", buildTar([{ name: "one.img", content: one }]));
    expect(await mapOf(single)).toMatchObject([{ length: one.length, data: true, file: "one.img" }]);
    const several = image("several.tar", inner);
    const nested = image("nested.zip", buildZip({ entries: [{ name: "inner.tar", content: inner }] }));
    for (const archive of [several, nested]) {
      for (const name of ["two", ...(archive === several ? ["folder/two.img"] : [])]) {
        expect(await mapOf(archive, "--disk", name)).toMatchObject([{ length: two.length, file: "folder/two.img" }]);
      }
      await expect(mapOf(archive)).rejects.toMatchObject({ hint: 'Choose one with --disk: "one", "two".' });
      await expect(mapOf(archive, "--disk", "three")).rejects.toMatchObject({ hint: 'There are: "one", "two".' });
    }
  });

  test("an empty disk has an empty map", async () => {
    const image = disks.write({ "disk.qcow2": { size: 0, clusters: new Map() } });
    expect(await mapOf(image)).toEqual([]);
    expect((await outputOf(mapCommand, image)).split("\n")).toHaveLength(2);
  });

  test("of a snapshot", async () => {
    const snapshots = [{ id: "1", name: "one", size: 8192, clusters: new Map([[0, data(1)]]) }];
    const image = disks.write({ "disk.qcow2": { size: 8192, clusters: new Map([[1, data(2)]]), snapshots } });
    expect((await mapOf(image)).map(({ data: stored }) => stored)).toEqual([false, true]);
    expect((await mapOf(image, "--snapshot", "one")).map(({ data: stored }) => stored)).toEqual([true, false]);
  });

  test("damage is told where it is, and only there", async () => {
    const clusters = new Map<number, Cluster>([
      [0, data(1)],
      [1, { kind: "entry", entry: 0x8000_0000_4000_0000n }],
      [2, data(2)],
    ]);
    const image = disks.write({ "disk.qcow2": { size: 4 * 4096, clusters } });
    const found = await mapOf(image);
    expect(found.map(({ start, length }) => [start, length])).toEqual([
      [0, 4096],
      [4096, 4096],
      [8192, 4096],
      [12_288, 4096],
    ]);
    // Not zeros, and not something to skip.
    expect(found[1]).toMatchObject({ present: true, zero: false, data: true, compressed: false });
    expect(found[1]?.error).toContain(`${image}: `);
    expect(found[1]).not.toHaveProperty("offset");
    expect(found.map(({ error }) => error === undefined)).toEqual([true, false, true, true]);
    expect(await outputOf(mapCommand, image)).toMatch(/^ +4096 +4096 +damaged +- +- +0\n {2}\S+disk\.qcow2: .*\n +8192 +4096 +data/m);
  });
});

describe("the map is made as it is written", () => {
  const directory = tempDirectory();

  /** A disk whose blocks of 512 bytes are data and zeros by turns. */
  function fragmented(blocks: number): Layer {
    const source = memorySource("disk", Buffer.alloc(512));
    return {
      format: "test",
      name: "disk",
      size: blocks * 512,
      map: (offset) => (offset % 1024 === 0 ? { kind: "data", length: 512, source, position: 0 } : { kind: "zero", length: 512 }),
      facts: () => ({ details: {}, notes: [] }),
      close: () => undefined,
    };
  }

  test("a million extents", () => {
    const io = fakeIo();
    const started = performance.now();
    writeJsonArray(io, diskExtents({ ...fragmented(10 ** 6) }));
    expect(io.writes()).toBeGreaterThan(500);
    expect(io.bytes().length / io.writes()).toBeLessThan(100 * KIB);
    expect(performance.now() - started).toBeLessThan(10_000);
  }, 30_000);

  test("the first line does not wait for the last", () => {
    const extents = diskExtents({ ...fragmented(2 ** 40) });
    expect(extents.next().value).toMatchObject({ start: 0, length: 512, kind: "data" });
    expect(extents.next().value).toMatchObject({ start: 512, length: 512, kind: "zero" });
  });

  test("neighbours are one extent only where they go on in the same file", () => {
    const [a, b] = [memorySource("a", Buffer.alloc(9)), memorySource("b", Buffer.alloc(9))];
    const runs = [
      { kind: "data", length: 1, source: a, position: 0 },
      { kind: "data", length: 1, source: a, position: 1 },
      { kind: "data", length: 1, source: a, position: 2 },
      { kind: "data", length: 1, source: a, position: 1 },
      { kind: "data", length: 1, source: b, position: 2 },
      { kind: "data", length: 1, source: b, position: 4 },
      { kind: "zero", length: 1 },
      { kind: "parent", length: 1, offset: 7 },
    ] as const;
    const layer: Layer = { ...fragmented(0), size: runs.length, map: (offset) => runs[offset] ?? { kind: "zero", length: 1 } };
    expect([...diskExtents(layer)].map(({ start, length, kind }) => [start, length, kind])).toEqual([
      [0, 3, "data"],
      [3, 1, "data"],
      [4, 1, "data"],
      [5, 1, "data"],
      [6, 1, "zero"],
      [7, 1, "absent"],
    ]);
  });

  test("2^40 bytes of nothing are one extent", async () => {
    const image = join(directory, "sparse.raw");
    writeFileSync(image, "");
    truncateSync(image, 2 ** 40);
    const io = fakeIo();
    await run(mapCommand(io), ["--json", image], io);
    const found = JSON.parse(io.text()) as MapElement[];
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ start: 0, length: 2 ** 40, depth: 0, present: true, zero: binding !== undefined });
  });
});
