// What `map --json` tells, against `qemu-img map --output=json` on the same images.
import { closeSync, existsSync, openSync, readSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type MapElement, mapCommand } from "../../src/cli/commands/map.js";
import { binding } from "../../src/native/binding.js";
import { activity } from "../support/activity.js";
import { mixed, noise, text } from "../support/content.js";
import { change, createImage, flat, type QemuExtent, qemuImg, qemuMap, requireProgram, type Step } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { outputOf } from "./fake-io.js";

const MIB = 2 ** 20;
const KIB = 1024;

async function mapOf(image: string): Promise<MapElement[]> {
  return JSON.parse(await outputOf(mapCommand, "--json", image)) as MapElement[];
}

/** Images whose map QEMU knows, too. Each is made in a folder of its own and gives the image's path. */
const images: Readonly<Record<string, (home: string) => string>> = {
  "plain clusters, shuffled": (home) => used(home, { also: [] }),
  "clusters of 512 bytes": (home) => used(home, { options: { cluster_size: 512 } }),
  "version 2": (home) => used(home, { options: { compat: "0.10" } }),
  "compressed with zlib": (home) => used(home, { also: ["packed"] }),
  "compressed with zstd": (home) => used(home, { options: { compression_type: "zstd" }, also: ["packed"] }),
  "zero clusters, plain and allocated": (home) => used(home, { also: ["zero", "zero-unmap"] }),
  "discarded clusters": (home) => used(home, { also: ["discard"] }),
  "extended L2 entries": (home) => used(home, { options: { extended_l2: "on" }, also: ["zero", "zero-unmap", "discard"] }),
  "preallocated metadata": (home) => used(home, { options: { preallocation: "metadata" } }),
  "nothing written": (home) => made(home, "disk.img", 3 * MIB),
  "a data file": (home) => used(home, { options: { data_file: join(home, "data.raw") } }),
  "a raw data file": (home) => used(home, { options: { data_file: join(home, "data.raw"), data_file_raw: "on" } }),
  "qcow version 1": (home) => used(home, { format: "qcow" }),
  "a sparse raw file": (home) => sparse(home, "disk.raw"),
  "a chain of three": (home) => {
    made(home, "base.img", 2 * MIB, activity({ size: 2 * MIB, clusterSize: 65_536, seed: 1, also: ["packed"], steps: 8 }));
    made(
      home,
      "middle.img",
      3 * MIB,
      activity({ size: 3 * MIB, clusterSize: 65_536, seed: 2, also: ["zero-unmap"], steps: 8 }),
      "base.img",
    );
    return made(
      home,
      "top.img",
      4 * MIB,
      activity({ size: 3 * MIB, clusterSize: 65_536, seed: 3, also: ["discard"], steps: 8 }),
      "middle.img",
    );
  },
  "an overlay longer than its sparse raw parent": (home) => {
    sparse(home, "base.raw");
    return made(home, "top.img", 5 * MIB, [{ kind: "discard", at: 64 * KIB, length: 64 * KIB }], "base.raw", "raw");
  },
  "an overlay shorter than its parent": (home) => {
    made(home, "base.img", 3 * MIB, [{ kind: "write", at: MIB - 100, content: noise(1, MIB) }]);
    return made(home, "top.img", MIB + 512, [{ kind: "write", at: 0, content: noise(2, 512) }], "base.img");
  },
};

interface Used {
  readonly options?: Readonly<Record<string, string | number>>;
  readonly also?: Parameters<typeof activity>[0]["also"];
  readonly format?: "qcow2" | "qcow";
}

function used(home: string, { options = {}, also = [], format = "qcow2" }: Used): string {
  const image = join(home, "disk.img");
  const size = 2 * MIB + 1024;
  createImage(image, size, { format, options });
  change(image, activity({ size, clusterSize: Number(options["cluster_size"] ?? 65_536), seed: 5, also }), format);
  return image;
}

function made(home: string, name: string, size: number, steps: readonly Step[] = [], backing?: string, backingFormat = "qcow2"): string {
  const image = join(home, name);
  createImage(image, size, backing === undefined ? {} : { backing, backingFormat });
  if (steps.length > 0) change(image, steps);
  return image;
}

function sparse(home: string, name: string): string {
  const image = join(home, name);
  writeFileSync(image, mixed(1, 200 * KIB));
  truncateSync(image, 3 * MIB);
  return image;
}

/** Where `ours` tells something else than QEMU, one line each. Allowed: what the help of the command names. */
function disagreements(ours: readonly MapElement[], theirs: readonly QemuExtent[]): string[] {
  const cuts = [...new Set([...ours, ...theirs].flatMap(({ start, length }) => [start, start + length]))].toSorted((a, b) => a - b);
  return cuts.slice(0, -1).flatMap((at) => {
    const reaches = ({ start, length }: { start: number; length: number }) => start <= at && at < start + length;
    const found = ours.find(reaches);
    const expected = theirs.find(reaches);
    const reason = found && expected ? disagreement(found, expected) : "only one of the two maps reaches here";
    return reason === undefined ? [] : [`at ${at}: ${reason}; ours ${JSON.stringify(found)}, theirs ${JSON.stringify(expected)}`];
  });
}

function disagreement(ours: MapElement, theirs: QemuExtent): string | undefined {
  if (ours.depth !== theirs.depth) return "another depth";
  if (ours.present !== theirs.present) return "present or not";
  // Without the addon the holes of a raw file are not seen.
  if (!theirs.data && theirs.offset !== undefined && ours.data && !binding) return undefined;
  if (ours.data !== theirs.data) return "data or not";
  // A hole that the file system has inside an allocated cluster is both to QEMU.
  if (ours.zero !== theirs.zero && !theirs.data) return "zeros or not";
  if (ours.compressed !== (theirs.data && theirs.offset === undefined)) return "compressed or not";
  if (ours.offset === undefined) return ours.data && !ours.compressed ? "no position" : undefined;
  return ours.offset - ours.start === (theirs.offset ?? NaN) - theirs.start ? undefined : "another position";
}

/** Plain data must stand in `file` at `offset`, zeros must be zeros. */
function checkBytes(elements: readonly MapElement[], disk: Buffer): void {
  for (const { start, length, data, compressed, offset, file } of elements) {
    const expected = disk.subarray(start, start + length);
    if (!data) expect(expected.equals(Buffer.alloc(length)), `zeros at ${start}`).toBe(true);
    if (compressed) expect(existsSync(file ?? "")).toBe(true);
    if (!data || compressed) continue;
    const found = Buffer.alloc(length);
    const fd = openSync(file ?? "", "r");
    readSync(fd, found, 0, length, offset ?? -1);
    closeSync(fd);
    expect(found.equals(expected), `data at ${start}`).toBe(true);
  }
}

const available = requireProgram("qemu-img") && requireProgram("qemu-io");

describe.skipIf(!available)("map says what qemu-img map says", () => {
  const directory = tempDirectory();

  test.each(Object.entries(images))("%s", async (_, build) => {
    const image = build(subdirectory(directory));
    const found = await mapOf(image);
    expect(disagreements(found, qemuMap(image))).toEqual([]);
    checkBytes(found, flat(image));
  });

  test("compressed clusters of a chain are found at their depth", async () => {
    const home = subdirectory(directory);
    made(home, "base.img", MIB, [{ kind: "packed", at: 0, content: text(1, 65_536) }]);
    const [first, second] = await mapOf(made(home, "top.img", MIB, [], "base.img"));
    expect(first).toMatchObject({
      start: 0,
      length: 65_536,
      depth: 1,
      present: true,
      data: true,
      compressed: true,
      file: join(home, "base.img"),
    });
    expect(first).not.toHaveProperty("offset");
    expect(second).toMatchObject({ start: 65_536, length: MIB - 65_536, depth: 1, present: false, zero: true, data: false });
  });

  test("16 TiB with a few clusters", async () => {
    const image = made(subdirectory(directory), "huge.img", 2 ** 44, [{ kind: "write", at: 2 ** 43, content: noise(1, 512) }]);
    const started = performance.now();
    const found = await mapOf(image);
    expect(found.map(({ start, length, data }) => [start, length, data])).toEqual([
      [0, 2 ** 43, false],
      [2 ** 43, 65_536, true],
      [2 ** 43 + 65_536, 2 ** 43 - 65_536, false],
    ]);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test("a raw size that is no multiple of 512 is kept, where QEMU rounds up", async () => {
    const image = join(subdirectory(directory), "odd.raw");
    writeFileSync(image, noise(1, 70_001));
    expect((await mapOf(image)).reduce((sum, { length }) => sum + length, 0)).toBe(70_001);
    expect(qemuImg("map", "--output=json", "-f", "raw", image)).toContain("70001");
  });
});
