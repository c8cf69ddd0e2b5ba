import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { qed } from "../../src/formats/qed/index.js";
import { raw } from "../../src/formats/raw/index.js";
import { memorySource } from "../../src/source/memory.js";
import { mixed, noise } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { buildQed, type QedCluster, type QedShape } from "../support/qed-builder.js";
import { change, flat, qemuImg, requireProgram, type Step } from "../support/qemu.js";
import { difference, flatOf, imageErrorOf, readRange } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const CLUSTER = 4096;
/** Bytes that one L2 table of one cluster maps. */
const SPAN = 512 * CLUSTER;

function built(name: string, shape: QedShape): Sample {
  const { image, disk } = buildQed(shape);
  return { name, image, disk, ...(shape.backing && { parts: { [shape.backing.name]: shape.backing.disk } }) };
}

const below = buildQed({ clusters: [1, "zero", 0, "absent"] });

describeDriver(qed, [
  built("clusters in order", { clusters: [0, 1, 2, 3] }),
  built("clusters out of order", { clusters: [3, 0, "zero", 1, "absent", "absent", 2, 4], seed: 3 }),
  built("zero clusters without a backing file", { clusters: ["zero", 0, "zero", "zero", "absent"] }),
  built("a disk that ends inside a cluster", { clusters: [1, "absent", 0], size: 2 * CLUSTER + 512 }),
  built("no cluster at all", { clusters: [], size: 10 * CLUSTER }),
  built("L2 tables missing", { clusters: new Map([[1100, 0]]), size: 1200 * CLUSTER, seed: 1 }),
  built("tables of 4 clusters", { clusters: [2, "absent", 0, "zero", 1], tableSize: 4, seed: 5 }),
  built("clusters of 16 KiB", { clusters: [2, "absent", 0, "zero", 1], clusterSize: 16_384, seed: 2 }),
  built("a header of 3 clusters", { clusters: [1, 0], headerSize: 3 }),
  built("needs a check", { clusters: [1, 0, "absent"], needCheck: true }),
  built("unknown compatible and autoclear features", { clusters: [1, 0], compatFeatures: 2n ** 63n, autoclearFeatures: 5n }),
  built("over a raw image that ends before", {
    clusters: ["absent", 0, "zero", "absent", "absent"],
    backing: { name: "base.raw", disk: noise(2, 3 * CLUSTER + 99), raw: true },
  }),
  built("its name in the second cluster of the header", {
    clusters: ["absent", 0],
    headerSize: 2,
    backing: { name: "å base.raw", disk: noise(2, 3 * CLUSTER), at: CLUSTER - 3 },
  }),
  {
    ...built("over a qed image", { clusters: ["absent", "absent", "zero", "absent", 0], backing: { name: "below.qed", disk: below.disk } }),
    parts: { "below.qed": below.image },
  },
]);

const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function openBytes(image: Uint8Array, opener = nothingElse): Layer {
  return qed.open(memorySource("test.qed", image), opener, {});
}

function changed(image: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(image);
  copy.set(bytes, at);
  return copy;
}

const u32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
const u64 = (value: bigint) => [...Buffer.from(value.toString(16).padStart(16, "0"), "hex").reverse()];

describe("what QED reads", () => {
  test.each([
    [4096, 1],
    [4096, 16],
    [65_536, 4],
    [2 ** 20, 2],
  ])("clusters of %i bytes, tables of %i", (clusterSize, tableSize) => {
    const clusters: QedCluster[] = [2, "absent", 0, "zero", 1, 3];
    const { image, disk } = buildQed({ clusters, clusterSize, tableSize, size: 6 * clusterSize - 512, seed: 8 });
    expect(difference(readRange(openBytes(image), 0, disk.length), disk)).toBeUndefined();
  });

  test("a zero cluster hides the backing file", () => {
    const backing = { name: "base", disk: noise(1, 4 * CLUSTER) };
    const { image, disk } = buildQed({ clusters: ["zero", "absent", 0, "zero"], backing });
    const layer = openBytes(image, { ...nothingElse, parent: () => raw.open(memorySource("base", backing.disk), nothingElse, {}) });
    expect(difference(readRange(layer, 0, disk.length), disk)).toBeUndefined();
    expect(disk.subarray(0, CLUSTER).equals(Buffer.alloc(CLUSTER))).toBe(true);
  });

  test.each([
    ["declared raw by the no-probe bit", true, "raw"],
    ["otherwise found by content", false, undefined],
  ])("the backing file is %s", (_, isRaw, format) => {
    const { image } = buildQed({ clusters: ["absent"], backing: { name: "å base.img", disk: Buffer.alloc(0), raw: isRaw } });
    const asked: unknown[] = [];
    const parent = (...args: readonly unknown[]) => {
      asked.push(args);
      return raw.open(memorySource("base", Buffer.alloc(4)), nothingElse, {});
    };
    const layer = openBytes(image, { ...nothingElse, parent });
    expect(asked).toEqual([[{ names: ["å base.img"], format }]]);
    expect(layer.facts().notes.length).toBe(isRaw ? 0 : 1);
    expect(layer.facts().details["backing file"]).toBe("å base.img");
  });

  test("an image that needs a check is read, and says so", () => {
    const { image, disk } = buildQed({ clusters: [1, 0], needCheck: true });
    const layer = openBytes(image);
    expect(layer.facts().notes.join()).toContain("needs a check");
    expect(difference(readRange(layer, 0, disk.length), disk)).toBeUndefined();
  });

  test("neighbours in the file are one extent", () => {
    const { image, dataPositions } = buildQed({ clusters: [0, 1, 2, "zero", "zero", "absent", "absent", 4] });
    const layer = openBytes(image);
    const position = (dataPositions.get(0) ?? 0) + 10;
    expect(layer.map(10, 10 ** 9)).toMatchObject({ kind: "data", length: 3 * CLUSTER - 10, position });
    expect(layer.map(3 * CLUSTER, 10 ** 9)).toEqual({ kind: "zero", length: 2 * CLUSTER });
    expect(layer.map(5 * CLUSTER, 10 ** 9)).toEqual({ kind: "parent", length: 2 * CLUSTER, offset: 5 * CLUSTER });
  });

  test("a table of more than one slice", () => {
    const clusters = new Map<number, QedCluster>([
      [5, 0],
      [8192 + 3, 1],
      [8192 + 5, "zero"],
    ]);
    const { image, disk } = buildQed({ clusters, clusterSize: 8192, tableSize: 16 });
    const start = 8192 * 8192;
    const layer = openBytes(image);
    expect(difference(readRange(layer, start, disk.length - start), disk.subarray(start))).toBeUndefined();
    expect(layer.map(start, 10 ** 9)).toEqual({ kind: "parent", length: 3 * 8192, offset: start });
    expect(layer.map(6 * 8192, 10 ** 9)).toEqual({ kind: "parent", length: start - 6 * 8192, offset: 6 * 8192 });
  });

  test("missing L2 tables are one extent, up to the end of the disk", () => {
    const { image } = buildQed({ clusters: new Map([[600, 0]]), size: 4 * SPAN + 512 });
    const layer = openBytes(image);
    expect(layer.map(5, 10 ** 9)).toEqual({ kind: "parent", length: SPAN - 5, offset: 5 });
    expect(layer.map(2 * SPAN, 10 ** 9)).toEqual({ kind: "parent", length: 2 * SPAN + 512, offset: 2 * SPAN });
  });
});

describe("what QED cannot read", () => {
  const plain = buildQed({ clusters: [1, 0, "absent", 2] });

  test.each([
    ["another signature", 0, [0], "WRONG_FORMAT", "signature"],
    ["clusters of 2 KiB", 4, u32(2048), "CORRUPT", "cluster size is 2048"],
    ["clusters of 128 MiB", 4, u32(2 ** 27), "CORRUPT", "cluster size is 134217728"],
    ["clusters of 5000 bytes", 4, u32(5000), "CORRUPT", "cluster size is 5000"],
    ["tables of 0 clusters", 8, u32(0), "CORRUPT", "a table has 0 clusters"],
    ["tables of 3 clusters", 8, u32(3), "CORRUPT", "a table has 3 clusters"],
    ["tables of 32 clusters", 8, u32(32), "CORRUPT", "a table has 32 clusters"],
    ["no header", 12, u32(0), "CORRUPT", "0 clusters"],
    ["unknown features", 16, u64((1n << 63n) | 8n), "UNSUPPORTED", "feature bit 3, feature bit 63"],
    ["a disk of 513 bytes", 48, u64(513n), "CORRUPT", "not a multiple of 512"],
    ["a disk that the tables cannot map", 48, u64(2n ** 40n), "CORRUPT", "1073741824 at the most"],
    ["a disk beyond 2^53 bytes", 48, u64(2n ** 53n), "CORRUPT", "2^53"],
    ["an L1 table at an odd place", 40, u64(4097n), "CORRUPT", "0x1001"],
    ["an L1 table behind the file", 40, u64(2n ** 40n), "TRUNCATED", "leaves the file"],
  ])("refused: %s", (_, at, bytes, code, message) => {
    expect(imageErrorOf(() => openBytes(changed(plain.image, at, bytes)))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      file: "test.qed",
      position: at,
    });
  });

  test.each([
    ["outside the header", CLUSTER - 2, 4, "CORRUPT", "leaves the header"],
    ["too long", 64, 1024, "CORRUPT", "1023 are the limit"],
    ["empty", 64, 0, "CORRUPT", "0 bytes"],
  ])("a backing name that is %s", (_, offset, length, code, message) => {
    const { image } = buildQed({ clusters: ["absent"], backing: { name: "x", disk: Buffer.alloc(0) } });
    const bad = changed(image, 56, [...u32(offset), ...u32(length)]);
    expect(imageErrorOf(() => openBytes(bad))).toMatchObject({ code, message: expect.stringContaining(message) as string });
  });

  test("a snapshot", () => {
    const open = () => qed.open(memorySource("test.qed", plain.image), nothingElse, { snapshot: "1" });
    expect(imageErrorOf(open)).toMatchObject({ code: "UNSUPPORTED", message: "QED images have no snapshots" });
  });

  const l2 = plain.l2Positions.get(0) ?? 0;

  test.each([
    ["behind the end of the file", 2n ** 40n, "TRUNCATED"],
    ["behind every file", 2n ** 63n, "TRUNCATED"],
    ["at an odd place", 4097n * 2n, "CORRUPT"],
    ["with a reserved value", 2n, "CORRUPT"],
    ["at a reserved place in the header", 4095n, "CORRUPT"],
  ])("a cluster %s is an error, and nothing else", (_, value, code) => {
    const layer = openBytes(changed(plain.image, l2, u64(value)));
    expect(layer.map(5, 10 ** 6)).toMatchObject({ kind: "damaged", length: CLUSTER - 5, error: { code } });
    expect(difference(readRange(layer, CLUSTER, 3 * CLUSTER), plain.disk.subarray(CLUSTER))).toBeUndefined();
  });

  test("a cluster or table in the header", () => {
    const { image, l1Position, l2Positions } = buildQed({ clusters: [1, 0], headerSize: 3 });
    for (const at of [l1Position, l2Positions.get(0) ?? 0]) {
      const layer = openBytes(changed(image, at, u64(8192n)));
      expect(layer.map(0, 10)).toMatchObject({ kind: "damaged", error: { code: "CORRUPT" } });
    }
  });

  test.each([
    ["behind the end of the file", 2n ** 40n, "TRUNCATED"],
    ["at an odd place", 4097n, "CORRUPT"],
  ])("an L2 table %s damages what it maps and nothing else", (_, value, code) => {
    const two = buildQed({
      clusters: new Map([
        [0, 0],
        [513, 1],
      ]),
    });
    const layer = openBytes(changed(two.image, two.l1Position, u64(value)));
    expect(layer.map(0, 10 ** 9)).toMatchObject({ kind: "damaged", length: SPAN, error: { code } });
    expect(difference(readRange(layer, SPAN, 2 * CLUSTER), two.disk.subarray(SPAN))).toBeUndefined();
  });
});

describe.skipIf(!requireProgram("qemu-img"))("QED and QEMU", () => {
  const directory = tempDirectory();
  const MIB = 2 ** 20;
  const base = mixed(1, MIB + 512);
  const steps: readonly Step[] = [
    { kind: "write", at: 5, content: noise(1, 70_000) },
    { kind: "write", at: MIB + 99, content: noise(2, 3) },
    { kind: "zero", at: 262_144, length: 200_000 },
  ];

  test.each([
    ["65536", "4"],
    ["4096", "2"],
    ["1048576", "16"],
  ])("written by qemu-img and qemu-io, clusters of %s bytes, tables of %s", (cluster, table) => {
    const home = subdirectory(directory);
    writeFileSync(join(home, "raw"), base);
    const path = join(home, "a.qed");
    qemuImg("convert", "-f", "raw", "-O", "qed", "-o", `cluster_size=${cluster},table_size=${table}`, join(home, "raw"), path);
    expect(difference(flatOf(path), base)).toBeUndefined();
    change(path, steps.slice(0, 1), "qed");
    expect(difference(flatOf(path), flat(path, { format: "qed" }))).toBeUndefined();
  });

  test("chains over raw and qed images", () => {
    const home = subdirectory(directory);
    writeFileSync(join(home, "base.raw"), base);
    qemuImg("create", "-q", "-f", "qed", "-b", "base.raw", "-F", "raw", join(home, "middle.qed"), "3M");
    change(join(home, "middle.qed"), steps, "qed");
    qemuImg("create", "-q", "-f", "qed", "-b", "middle.qed", "-F", "qed", join(home, "top.qed"));
    change(join(home, "top.qed"), [{ kind: "write", at: 300_000, content: noise(5, 1000) }], "qed");
    for (const name of ["middle.qed", "top.qed"]) {
      expect(difference(flatOf(join(home, name)), flat(join(home, name), { format: "qed" })), name).toBeUndefined();
    }
  });

  test("the builder's images are what qemu-img takes them for", () => {
    const home = subdirectory(directory);
    const backing = { name: "base.raw", disk: base.subarray(0, 30_000), raw: true };
    writeFileSync(join(home, "base.raw"), backing.disk);
    for (const seed of [0, 1, 2]) {
      const clusters: QedCluster[] = [3, "absent", "zero", 0, "absent", 1, "zero", "absent", 2];
      const { image, disk } = buildQed({ clusters, backing, seed, tableSize: 2, headerSize: 2 });
      const path = join(home, `${seed}.qed`);
      writeFileSync(path, image);
      expect(difference(flat(path, { format: "qed" }), disk)).toBeUndefined();
      qemuImg("check", "-q", "-f", "qed", path);
    }
  });
});
