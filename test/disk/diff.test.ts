// Which ranges differ between two states of a disk, held against the bytes of both.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { type DiffOptions, diffDisks } from "../../src/disk/diff.js";
import type { DiskDifference } from "../../src/disk/difference.js";
import { openDisk } from "../../src/disk/open.js";
import { earlierState, stateNamed, statesIn } from "../../src/disk/states.js";
import type { Extent, Layer } from "../../src/formats/driver.js";
import { memorySource } from "../../src/source/memory.js";
import { ImageError } from "../../src/util/errors.js";
import { builtDisks } from "../support/built.js";
import { between, mixed, noise, randomNumbers } from "../support/content.js";
import { buildQcow2, type Clusters, type SnapshotRecipe } from "../support/qcow2-builder.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { createEncrypted } from "../support/qemu-encryption.js";
import { change, createImage, flat, qemuImg, requireProgram, type Step } from "../support/qemu.js";
import { withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const KIB = 1024;
const CLUSTER = 4096;
const SECTOR = 512;
const directory = tempDirectory();
const { write } = builtDisks();
const qemu = requireProgram("qemu-img") && requireProgram("qemu-io");

type Told = readonly Pick<DiskDifference, "start" | "length" | "before" | "after">[];

const told = (before: Layer, after: Layer, options?: DiffOptions): Told =>
  [...diffDisks(before, after, options)].map(({ start, length, before: from, after: to }) => ({ start, length, before: from, after: to }));

/** The sectors that differ, as runs. What one of the two is too short for differs, from the byte on where it ends. */
function expectedRuns(one: Buffer, other: Buffer): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  const add = (start: number, end: number) => {
    const last = runs.at(-1);
    if (last?.end === start) last.end = end;
    else runs.push({ start, end });
  };
  const both = Math.min(one.length, other.length);
  for (let at = 0; at < both; at += SECTOR) {
    const end = Math.min(both, at + SECTOR);
    if (!one.subarray(at, end).equals(other.subarray(at, end))) add(at, end);
  }
  if (one.length !== other.length) add(both, Math.max(one.length, other.length));
  return runs;
}

function joined(ranges: Told): { start: number; end: number }[] {
  const runs: { start: number; end: number }[] = [];
  for (const { start, length } of ranges) {
    const last = runs.at(-1);
    if (last?.end === start) last.end = start + length;
    else runs.push({ start, end: start + length });
  }
  return runs;
}

/** In order, apart or of different kinds, inside the disk; by the tables at least what differs, by the bytes exactly that. */
function expectDiff(before: Layer, after: Layer, one: Buffer, other: Buffer, options: DiffOptions = {}): void {
  const byTables = told(before, after, options);
  let end = 0;
  for (const [index, each] of byTables.entries()) {
    expect(each.start).toBeGreaterThanOrEqual(end);
    const last = byTables[index - 1];
    if (last && each.start === end) expect([each.before, each.after]).not.toEqual([last.before, last.after]);
    expect(each.length).toBeGreaterThan(0);
    end = each.start + each.length;
  }
  expect(end).toBeLessThanOrEqual(Math.max(one.length, other.length));
  const differing = expectedRuns(one, other);
  const ranges = joined(byTables);
  for (const run of differing) expect(ranges.some((range) => range.start <= run.start && run.end <= range.end)).toBe(true);
  expect(joined(told(before, after, { ...options, compare: true }))).toEqual(differing);
}

function stateOf(layer: Layer, name: string): Layer {
  const state = stateNamed(layer, name);
  if (!state) throw new Error(`there is no state ${name}`);
  return state.layer;
}

function stored(seed: number, ...numbers: readonly number[]): Clusters {
  return new Map(numbers.map((number): [number, Cluster] => [number, { kind: "data", content: noise(seed * 100 + number, CLUSTER) }]));
}

const snapshot = (id: string, clusters: Clusters, more: Partial<SnapshotRecipe> = {}): SnapshotRecipe => {
  return { id, name: `name of ${id}`, size: 20 * CLUSTER, clusters, ...more };
};

/** A disk of extents that are given, each from its offset on. */
function layerOf(name: string, extents: readonly Extent[], parent?: Layer): Layer {
  const size = extents.reduce((sum, { length }) => sum + length, 0);
  return {
    format: "test",
    name,
    size,
    ...(parent && { parent }),
    map(offset, length) {
      let start = 0;
      for (const extent of extents) {
        const skip = offset - start;
        start += extent.length;
        if (offset >= start) continue;
        const rest = Math.min(length, extent.length - skip);
        if (extent.kind === "data") return { ...extent, length: rest, position: extent.position + skip };
        if (extent.kind === "parent") return { ...extent, length: rest, offset: extent.offset + skip };
        if (extent.kind === "packed") return { ...extent, length: rest, skip: extent.skip + skip };
        return { ...extent, length: rest };
      }
      throw new Error("behind the end");
    },
    facts: () => ({ details: {}, notes: [] }),
    close: () => undefined,
  };
}

describe("by the tables", () => {
  const source = memorySource("a", noise(1, 64 * KIB));
  const other = memorySource("b", noise(1, 64 * KIB));
  const data = (position: number, length: number, from = source): Extent => ({ kind: "data", length, source: from, position });
  const zero = (length: number): Extent => ({ kind: "zero", length });
  const absent = (length: number): Extent => ({ kind: "parent", length, offset: 0 });

  test("the same place is the same, however the runs are cut", () => {
    const whole = layerOf("whole", [data(0, 8192), zero(4096), data(20_000, 4096)]);
    const cut = layerOf("cut", [data(0, 1000), data(1000, 7192), zero(96), absent(4000), data(20_000, 4000), data(24_000, 96)]);
    expect(told(whole, cut)).toEqual([]);
    expect(told(whole, whole)).toEqual([]);
  });

  test("another place, or another file, is not", () => {
    const one = layerOf("one", [data(0, 4096), data(4096, 4096), data(8192, 4096)]);
    const two = layerOf("two", [data(0, 4096), data(4097, 4096), data(8192, 4096, other)]);
    expect(told(one, two)).toEqual([{ start: 4096, length: 8192, before: "data", after: "data" }]);
  });

  test("kinds are told apart, and what is behind the end", () => {
    const one = layerOf("one", [data(0, 4096), zero(4096), absent(4096)]);
    const two = layerOf("two", [zero(4096), data(0, 4096), zero(8192), data(0, 512)]);
    expect(told(one, two)).toEqual([
      { start: 0, length: 4096, before: "data", after: "zero" },
      { start: 4096, length: 4096, before: "zero", after: "data" },
      { start: 12_288, length: 4096, before: "outside", after: "zero" },
      { start: 16_384, length: 512, before: "outside", after: "data" },
    ]);
    expect(told(two, one).at(-1)).toEqual({ start: 16_384, length: 512, before: "data", after: "outside" });
  });

  test("what both have in the same image is not looked into", () => {
    let looks = 0;
    const inner = layerOf("base", [data(0, 64 * KIB)]);
    const base: Layer = {
      ...inner,
      map(offset, length) {
        looks += 1;
        return inner.map(offset, Math.min(length, 16));
      },
    };
    const top = layerOf("top", [absent(32 * KIB), data(100, 16), { kind: "parent", length: 32 * KIB - 16, offset: 32 * KIB + 16 }], base);
    expect(told(base, top)).toEqual([{ start: 32 * KIB, length: 16, before: "data", after: "data" }]);
    expect(looks).toBe(1);
    // The parent at another place is another thing.
    const shifted = layerOf("shifted", [{ kind: "parent", length: 1024, offset: 512 }], base);
    expect(told(layerOf("not", [absent(1024)], base), shifted)).toEqual([{ start: 0, length: 1024, before: "data", after: "data" }]);
  });

  test("what is damaged is never known to be the same", () => {
    const error = new ImageError("CORRUPT", "lost");
    const one = layerOf("one", [data(0, 512), { kind: "damaged", length: 512, error }]);
    for (const compare of [false, true]) {
      expect([...diffDisks(one, one, { compare })]).toEqual([]);
      const again = layerOf("again", [data(0, 512), { kind: "damaged", length: 512, error }]);
      expect([...diffDisks(one, again, { compare })]).toEqual([{ start: 512, length: 512, before: "damaged", after: "damaged", error }]);
    }
  });

  test("files that were opened twice are known by their identities", () => {
    const opened = (fd: number) => ({ ...memorySource("f", noise(1, 4096)), file: { fd, offset: 512 } });
    const one = layerOf("one", [data(0, 1024, opened(3))]);
    const two = layerOf("two", [data(0, 512, opened(4)), data(0, 512, opened(4))]);
    expect(told(one, two)).toHaveLength(1);
    const identities = new Map([
      [3, "1:1"],
      [4, "1:1"],
    ]);
    expect(told(one, two, { identities })).toEqual([{ start: 512, length: 512, before: "data", after: "data" }]);
    expect(told(one, two, { identities: new Map([...identities, [4, "1:2"]]) })).toEqual([
      { start: 0, length: 1024, before: "data", after: "data" },
    ]);
  });

  test("a million ranges take no memory", () => {
    const count = 2 ** 20;
    const striped = (even: Extent["kind"]): Layer => ({
      ...layerOf("striped", []),
      size: count * 1024,
      map: (offset, length) => {
        const run = Math.min(length, 512 - (offset % 512));
        return (Math.floor(offset / 512) % 2 === 0) === (even === "zero") ? zero(run) : data(0, run);
      },
    });
    const before = process.memoryUsage().heapUsed;
    let ranges = 0;
    for (const { length } of diffDisks(striped("zero"), striped("zero"))) ranges += length;
    for (const { length } of diffDisks(striped("zero"), striped("data"))) ranges += length === 512 ? 1 : 0;
    expect(ranges).toBe(2 * count);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(128 * MIB);
  }, 20_000);
});

describe("by the bytes", () => {
  test("only the sectors that differ, however the runs are cut", () => {
    const random = randomNumbers(5);
    for (let round = 0; round < 40; round += 1) {
      const size = between(random, 1, 2 * MIB + 70_000);
      const one = mixed(round, size);
      const other = Buffer.from(mixed(round, between(random, 0, 3) === 0 ? between(random, 1, size) : size));
      for (let count = between(random, 0, 12); count > 0; count -= 1) {
        const at = between(random, 0, other.length - 1);
        other.writeUInt8(other.readUInt8(at) ^ 1, at);
      }
      const cut = (content: Buffer): Layer => {
        const source = memorySource("disk", content);
        const extents: Extent[] = [];
        for (let at = 0; at < content.length; ) {
          const length = Math.min(content.length - at, SECTOR * between(random, 1, 800));
          extents.push({ kind: "data", length, source, position: at });
          at += length;
        }
        return layerOf("disk", extents);
      };
      expectDiff(cut(one), cut(other), one, other);
    }
  });

  test("a sector that is cut: the part that differs", () => {
    const one = mixed(1, 8192);
    const other = Buffer.from(one);
    other.writeUInt8(other.readUInt8(1000) ^ 1, 1000);
    const cut = (content: Buffer, at: number) => {
      const source = memorySource("disk", content);
      const data = (position: number, length: number): Extent => ({ kind: "data", length, source, position });
      return layerOf("disk", [data(0, at), data(at, content.length - at)]);
    };
    expect(told(cut(one, 999), cut(other, 1003), { compare: true })).toEqual([{ start: 999, length: 4, before: "data", after: "data" }]);
  });

  test("a range that cannot be read is told with the reason, and those around it are compared", () => {
    const fail = new ImageError("CORRUPT", "does not decode");
    const source = memorySource("disk", noise(1, 8192));
    const packed = (key: string, unpack: (target: Uint8Array) => void): Extent => {
      return { kind: "packed", length: 4096, skip: 0, block: { key, size: 4096, source, position: 0, unpack } };
    };
    const throwing = packed("x", () => {
      throw fail;
    });
    const good = packed("y", (target) => source.read(target, 4096));
    const one = layerOf("one", [{ kind: "zero", length: 4096 }, throwing, good]);
    const two = layerOf("two", [
      {
        kind: "data",
        length: 12_288,
        source: memorySource("z", Buffer.concat([Buffer.alloc(8192), noise(1, 8192).subarray(4096)])),
        position: 0,
      },
    ]);
    expect([...diffDisks(one, two, { compare: true })]).toEqual([
      { start: 4096, length: 4096, before: "compressed", after: "data", error: fail },
    ]);
  });
});

describe("states of an image", () => {
  const home = () => {
    const snapshots = [
      snapshot("1", stored(1, 0), { seconds: 1_600_000_000, name: "2" }),
      snapshot("2", stored(2, 0), { seconds: 1_700_000_000, name: "current" }),
      snapshot("3", stored(3, 0), { seconds: 1_500_000_000, name: "same" }),
      snapshot("4", stored(4, 0), { seconds: 1_500_000_000, name: "same" }),
    ];
    return write({
      "top.qcow2": { size: 20 * CLUSTER, clusters: stored(9, 1), backing: { name: "mid.qcow2", format: "qcow2" }, snapshots },
      "mid.qcow2": { size: 20 * CLUSTER, clusters: stored(8, 2), backing: { name: "base.raw", format: "raw" } },
      "base.raw": noise(1, 5 * CLUSTER),
    });
  };

  test("by id before name, by depth, by file", () => {
    const image = home();
    withDisk(image, {}, (layer) => {
      const title = (name: string) => stateNamed(layer, name)?.title;
      expect(title("current")).toBe("current");
      expect(title("2")).toBe('snapshot 2 "current"');
      expect(title("same")).toBe('snapshot 3 "same"');
      expect(title("@0")).toBe("current");
      expect(title("@1")).toBe('@1 "mid.qcow2"');
      expect(title("base.raw")).toBe('@2 "base.raw"');
      expect(title(join(dirname(image), "mid.qcow2"))).toBe('@1 "mid.qcow2"');
      for (const none of ["@3", "@", "@99999", "nothing", "", "../mid.qcow2"]) expect(title(none)).toBeUndefined();
      expect(statesIn(layer)).toHaveLength(7);
      expect(statesIn(layer, 2)).toHaveLength(3);
      // The last that was made, not the last of the table.
      expect(earlierState(layer)?.title).toBe('snapshot 2 "current"');
    });
    withDisk(join(dirname(image), "mid.qcow2"), {}, (layer) => expect(earlierState(layer)?.title).toBe('@1 "base.raw"'));
    withDisk(join(dirname(image), "base.raw"), {}, (layer) => expect(earlierState(layer)).toBeUndefined());
  });

  test("a snapshot whose table is damaged fails alone", () => {
    const snapshots = [snapshot("1", stored(1, 0)), snapshot("2", stored(2, 0))];
    const { bytes, snapshotTable } = buildQcow2({ size: 20 * CLUSTER, clusters: stored(9, 1), snapshots });
    bytes.writeBigUInt64BE(2n ** 40n, snapshotTable);
    withDisk(write({ "disk.qcow2": bytes }), {}, (layer) => {
      expect(() => stateNamed(layer, "1")).toThrow(ImageError);
      expect(told(stateOf(layer, "2"), layer)).toEqual([
        { start: 0, length: CLUSTER, before: "data", after: "absent" },
        { start: CLUSTER, length: CLUSTER, before: "absent", after: "data" },
      ]);
    });
  });
});

describe.skipIf(!qemu)("of images by qemu-img", () => {
  function randomSteps(seed: number, size: number): Step[] {
    const random = randomNumbers(seed);
    return Array.from({ length: 6 }, (_, index): Step => {
      const at = SECTOR * between(random, 0, size / SECTOR - 401);
      const length = SECTOR * between(random, 1, 400);
      const cluster = { at: Math.floor(at / 65_536) * 65_536, length: 65_536 };
      const kind = between(random, 0, 3);
      if (kind === 0) return { kind: "zero", at, length };
      if (kind === 1) return { kind: "discard", ...cluster };
      return { kind: "write", at, content: mixed(seed * 10 + index, length) };
    });
  }

  test.each([
    { name: "plain", options: {} },
    { name: "small clusters", options: { cluster_size: 4096 } },
    { name: "subclusters", options: { extended_l2: "on", cluster_size: 65_536 } },
  ])("snapshots, $name: every pair of them", ({ options }) => {
    const image = join(subdirectory(directory), "disk.qcow2");
    createImage(image, 4 * MIB, { options });
    // QEMU compresses what was not written before.
    change(image, [{ kind: "packed", at: MIB, content: mixed(70, 2 * MIB) }]);
    for (let index = 0; index < 3; index += 1) {
      change(image, randomSteps(index + 1, 4 * MIB));
      qemuImg("snapshot", "-c", `s${index}`, image);
    }
    qemuImg("resize", "-q", image, `${5 * MIB}`);
    change(image, [
      // The same again: by the tables that may be another place, by the bytes it is not.
      { kind: "write", at: 0, content: flat(image, { snapshot: "s2" }).subarray(0, 200 * KIB) },
      { kind: "write", at: 4 * MIB + 1024, content: mixed(77, 3000 - (3000 % 512)) },
    ]);
    qemuImg("snapshot", "-c", "s3", image);
    change(image, randomSteps(9, 4 * MIB));
    const names = ["s0", "s1", "s2", "s3", "current"];
    const disks = new Map(names.map((name) => [name, name === "current" ? flat(image) : flat(image, { snapshot: name })]));
    withDisk(image, {}, (layer) => {
      for (const before of names) {
        for (const after of names) {
          if (before === after) expect(told(stateOf(layer, before), stateOf(layer, after))).toEqual([]);
          else expectDiff(stateOf(layer, before), stateOf(layer, after), disks.get(before) as Buffer, disks.get(after) as Buffer);
        }
      }
    });
  });

  test("an image against its parents, of other sizes", () => {
    const home = subdirectory(directory);
    const [base, mid, top] = ["base.qcow2", "mid.qcow2", "top.qcow2"].map((name) => join(home, name)) as [string, string, string];
    createImage(base, 4 * MIB);
    change(base, randomSteps(21, 4 * MIB));
    createImage(mid, 3 * MIB, { backing: base, backingFormat: "qcow2" });
    change(mid, randomSteps(22, 3 * MIB));
    createImage(top, 5 * MIB, { backing: mid, backingFormat: "qcow2", options: { cluster_size: 4096 } });
    change(top, randomSteps(23, 3 * MIB));
    const disks = { "@2": flat(base), "@1": flat(mid), current: flat(top) };
    withDisk(top, {}, (layer) => {
      for (const [before, one] of Object.entries(disks)) {
        for (const [after, other] of Object.entries(disks)) expectDiff(stateOf(layer, before), stateOf(layer, after), one, other);
      }
    });
  });

  test("two overlays over one base: what is in the base is not read", () => {
    const home = subdirectory(directory);
    const [base, one, two] = ["base.raw", "one.qcow2", "two.qcow2"].map((name) => join(home, name)) as [string, string, string];
    writeFileSync(base, mixed(31, 4 * MIB));
    for (const [index, path] of [one, two].entries()) {
      createImage(path, 4 * MIB, { backing: base, backingFormat: "raw" });
      change(path, [{ kind: "write", at: MIB, content: noise(index, 65_536) }]);
    }
    const [first, second] = [openDisk(one), openDisk(two)];
    const identities = new Map([...first.files, ...second.files].map(({ fd, identity }) => [fd, identity]));
    expectDiff(first.layer, second.layer, flat(one), flat(two), { identities });
    expect(told(first.layer, second.layer, { identities })).toEqual([{ start: MIB, length: 65_536, before: "data", after: "data" }]);
    first.close();
    second.close();
  });

  test("two images of different formats", () => {
    const home = subdirectory(directory);
    const [one, two] = [join(home, "one.qcow2"), join(home, "two.vmdk")];
    createImage(one, 4 * MIB);
    change(one, randomSteps(41, 4 * MIB));
    copyFileSync(one, join(home, "copy.qcow2"));
    change(join(home, "copy.qcow2"), randomSteps(42, 4 * MIB));
    qemuImg("convert", "-O", "vmdk", join(home, "copy.qcow2"), two);
    withDisk(one, {}, (before) => withDisk(two, {}, (after) => expectDiff(before, after, flat(one), flat(two, { format: "vmdk" }))));
    expect(readFileSync(two).length).toBeGreaterThan(0);
  });

  test("encrypted snapshots: what was not written since is the same", () => {
    const home = subdirectory(directory);
    const image = join(home, "disk.qcow2");
    const secret = ["--object", "secret,id=s,data=abc"];
    createEncrypted({ path: image, format: "qcow2", password: "abc" }, 2 * MIB, { "encrypt.format": "luks", "encrypt.iter-time": 10 });
    const options = `driver=qcow2,encrypt.key-secret=s,file.filename=${image}`;
    writeFileSync(join(home, "raw"), mixed(51, 2 * MIB));
    qemuImg("convert", ...secret, "-n", "--target-image-opts", join(home, "raw"), options);
    qemuImg("snapshot", ...secret, "--image-opts", "-c", "one", options);
    const changed = Buffer.from(mixed(51, 2 * MIB));
    noise(3, 1024).copy(changed, 700 * KIB);
    writeFileSync(join(home, "raw"), changed);
    qemuImg("convert", ...secret, "-n", "--target-image-opts", join(home, "raw"), options);
    withDisk(image, { passwords: ["abc"] }, (layer) => {
      expectDiff(stateOf(layer, "one"), layer, mixed(51, 2 * MIB), changed);
    });
  });
});
