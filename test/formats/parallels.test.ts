import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openDisk } from "../../src/disk/open.js";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { parallels } from "../../src/formats/parallels/index.js";
import { memorySource } from "../../src/source/memory.js";
import { ImageError } from "../../src/util/errors.js";
import { mixed, noise, randomNumbers, shuffled } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import {
  buildDescriptor,
  buildParallels,
  type DescriptorShape,
  type ParallelsCluster,
  type ParallelsShape,
} from "../support/parallels-builder.js";
import { change, flat, qemuImg, requireProgram } from "../support/qemu.js";
import { difference, flatOf, imageErrorOf, readRange, refusalOf, withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const TOP = "5fbaabe3-6958-40ff-92a7-860e329aab41";
const FIRST = "11111111-aaaa-bbbb-cccc-000000000001";
const SECOND = "22222222-aaaa-bbbb-cccc-000000000002";
const OLD = "WithoutFreeSpace";

function built(name: string, shape: ParallelsShape): Sample {
  const { image, disk } = buildParallels(shape);
  return { name, image, disk };
}

function disorder(count: number, seed: number): ParallelsCluster[] {
  const slots = shuffled(
    Array.from({ length: count }, (_, index) => index),
    randomNumbers(seed),
  );
  return slots.map((slot, index) => (index % 4 === 3 ? "absent" : slot));
}

/** Three states of a disk of 8 sectors in one storage: the root, a snapshot on it, and the current one. */
function threeStates() {
  const root = buildParallels({ clusters: [0, "absent", 1, "absent", 2, 3, "absent", "absent"], seed: 2 });
  const middle = buildParallels({
    clusters: ["absent", 0, 1, "absent", "absent", "absent", "absent", "absent"],
    seed: 3,
    parent: root.disk,
  });
  const top = buildParallels({
    clusters: ["absent", "absent", "absent", 0, "absent", 1, "absent", "absent"],
    seed: 4,
    parent: middle.disk,
  });
  const images = [
    { id: FIRST, file: "root.hds" },
    { id: SECOND, file: "middle.hds" },
    { id: TOP, file: `disk.hdd.0.{${TOP}}.hds` },
  ];
  const shape: DescriptorShape = {
    sectors: 8,
    storages: [{ start: 0, end: 8, images }],
    shots: [{ id: TOP, parent: SECOND }, { id: SECOND, parent: FIRST, name: "before <the> update" }, { id: FIRST }],
    top: TOP,
  };
  const parts = { "root.hds": root.image, "middle.hds": middle.image, [`disk.hdd.0.{${TOP}}.hds`]: top.image };
  return { root, middle, top, shape, parts };
}

/** A disk of 11 sectors in three storages, the first and the last expandable. */
function split(withSnapshot: boolean) {
  const a = buildParallels({ clusters: [1, "absent", 0, 2], magic: OLD, seed: 5 });
  const plain = noise(6, 3 * 512);
  const c = buildParallels({ clusters: ["absent", 0], sectorsPerCluster: 2, seed: 7 });
  const images = (file: string, type?: string) => [{ id: FIRST, file, ...(type !== undefined && { type }) }];
  const over = [
    buildParallels({ clusters: ["absent", 0, "absent", 1], seed: 15, parent: a.disk }),
    buildParallels({ clusters: [0, "absent", "absent"], seed: 16, parent: plain }),
    buildParallels({ clusters: [0, "absent"], sectorsPerCluster: 2, seed: 17, parent: c.disk }),
  ];
  const shape: DescriptorShape = {
    sectors: 11,
    // Not in the order of the disk.
    storages: [
      { start: 7, end: 11, images: [...images("c.hds"), ...(withSnapshot ? [{ id: TOP, file: "c1.hds" }] : [])] },
      { start: 0, end: 4, images: [...images("a.hds"), ...(withSnapshot ? [{ id: TOP, file: "a1.hds" }] : [])] },
      { start: 4, end: 7, images: [...images("b.hds", "Plain"), ...(withSnapshot ? [{ id: TOP, file: "b1.hds" }] : [])] },
    ],
    shots: withSnapshot ? [{ id: FIRST }, { id: TOP, parent: FIRST }] : [{ id: FIRST }],
  };
  const [a1, b1, c1] = over;
  const disk = withSnapshot ? Buffer.concat(over.map((image) => image.disk)) : Buffer.concat([a.disk, plain, c.disk]);
  const parts = {
    "a.hds": a.image,
    "b.hds": plain,
    "c.hds": c.image,
    ...(withSnapshot && { "a1.hds": a1!.image, "b1.hds": b1!.image, "c1.hds": c1!.image }),
  };
  return { shape, parts, disk };
}

function bundled(
  name: string,
  { shape, parts, disk }: { shape: DescriptorShape; parts: Readonly<Record<string, Uint8Array>>; disk: Uint8Array },
): Sample {
  return { name, image: buildDescriptor(shape), disk, parts };
}

const states = threeStates();

describeDriver(parallels, [
  built("clusters out of order", { clusters: [3, 0, "absent", 1, "absent", "absent", 2, 4] }),
  built("clusters in order", { clusters: [0, 1, 2, 3] }),
  built("many clusters in disorder", { clusters: disorder(200, 3) }),
  built("WithoutFreeSpace: clusters out of order", { magic: OLD, clusters: [3, 0, "absent", 1, "absent", 2], gap: 3 }),
  built("WithoutFreeSpace: clusters of 63 sectors", { magic: OLD, clusters: [2, "absent", 0, 1], sectorsPerCluster: 63 }),
  built("WithoutFreeSpace: no data offset", { magic: OLD, clusters: disorder(30, 5), sectorsPerCluster: 3, dataOffset: false }),
  built("clusters of 252 KiB and a short disk", { clusters: [0, "absent"], sectorsPerCluster: 504, sectors: 700 }),
  built("a disk that ends inside a cluster", { clusters: [1, "absent", 0], sectorsPerCluster: 8, sectors: 17 }),
  built("in use", { clusters: [1, 0], inUse: 0x746f6e59 }),
  built("a format extension between the clusters", { clusters: [2, 0], extensionSlot: 1, sectorsPerCluster: 2 }),
  built("more entries than the disk needs", { clusters: [1, 0], spare: 200 }),
  bundled("a bundle of one image", {
    shape: { sectors: 8, storages: [{ start: 0, end: 8, images: [{ id: FIRST, file: "root.hds" }] }], shots: [{ id: FIRST }] },
    parts: states.parts,
    disk: states.root.disk,
  }),
  bundled("a bundle with two snapshots", { ...states, disk: states.top.disk }),
  bundled("a split bundle, one part of it plain", split(false)),
  bundled("a split bundle with a snapshot", split(true)),
]);

const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function openBytes(image: Uint8Array): Layer {
  return parallels.open(memorySource("test.hds", image), nothingElse, {});
}

function changed(image: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(image);
  copy.set(bytes, at);
  return copy;
}

const u32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
const directory = tempDirectory();

/** A bundle's directory. */
function write(shape: DescriptorShape | Uint8Array, parts: Readonly<Record<string, Uint8Array>>): string {
  const home = join(subdirectory(directory), "disk.hdd");
  mkdirSync(home);
  writeFileSync(join(home, "DiskDescriptor.xml"), shape instanceof Uint8Array ? shape : buildDescriptor(shape));
  for (const [name, content] of Object.entries(parts)) writeFileSync(join(home, name), content);
  return home;
}

describe("expandable images", () => {
  test.each([
    [OLD, 63],
    [OLD, 504],
    [OLD, 512],
    ["WithouFreSpacExt", 1],
    ["WithouFreSpacExt", 2048],
  ] as const)("%s, clusters of %i sectors", (magic, sectorsPerCluster) => {
    const { image, disk } = buildParallels({ magic, sectorsPerCluster, clusters: [2, "absent", 0, 1], sectors: 3 * sectorsPerCluster + 1 });
    const layer = openBytes(image);
    expect(difference(readRange(layer, 0, disk.length), disk)).toBeUndefined();
    expect(layer.facts()).toMatchObject({ variant: magic, details: { "cluster size": sectorsPerCluster * 512, heads: 16, cylinders: 40 } });
  });

  test("a disk of 64 TiB in clusters of 1 MiB", () => {
    const { image, dataPosition } = buildParallels({ clusters: [0], sectorsPerCluster: 2048, spare: 99 });
    const large = changed(image, 36, [...u32(100 * 2048 - 5)]);
    expect(openBytes(large).map(1, 10 ** 9)).toMatchObject({ kind: "data", length: 2 ** 20 - 1, position: dataPosition + 1 });
    expect(openBytes(large).map(2 ** 20, 10 ** 9)).toEqual({ kind: "parent", length: 99 * 2 ** 20 - 5 * 512, offset: 2 ** 20 });
    const huge = changed(image, 36, [...u32(0), ...u32(32)]);
    expect(imageErrorOf(() => openBytes(huge))).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("needs 67108864") as string,
    });
  });

  test("in use or not closed properly is told", () => {
    const { image } = buildParallels({ clusters: [1, 0], inUse: 0x746f6e59, extensionSlot: 2 });
    expect(openBytes(image).facts()).toMatchObject({
      details: { "format extension": true },
      notes: [expect.stringContaining("in use") as string],
    });
    expect(openBytes(buildParallels({ clusters: [0] }).image).facts().notes).toEqual([]);
  });

  test("neighbours in the file are one extent", () => {
    const { image, dataPosition } = buildParallels({ clusters: [2, 3, 4, 0, "absent", "absent"] });
    expect(openBytes(image).map(10, 9999)).toMatchObject({ kind: "data", length: 3 * 512 - 10, position: dataPosition + 2 * 512 + 10 });
    expect(openBytes(image).map(4 * 512, 9999)).toEqual({ kind: "parent", length: 2 * 512, offset: 4 * 512 });
  });

  const plain = buildParallels({ clusters: [1, 0, "absent", 2] });

  test.each([
    ["version 3", 16, u32(3), "UNSUPPORTED", "version is 3"],
    ["clusters of 0 sectors", 28, u32(0), "CORRUPT", "0 sectors"],
    ["clusters of 2 GiB", 28, u32(2 ** 22), "CORRUPT", "4194304 sectors"],
    ["too small a table", 32, u32(3), "CORRUPT", "has 3 entries"],
    ["a disk beyond 2^53 bytes", 36, [...u32(0), ...u32(2 ** 31)], "CORRUPT", "2^53"],
  ])("refused: %s in the header", (_, at, bytes, code, message) => {
    expect(imageErrorOf(() => openBytes(changed(plain.image, at, bytes)))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      file: "test.hds",
      position: at,
    });
  });

  test("a table behind the end of the file", () => {
    expect(imageErrorOf(() => openBytes(changed(plain.image, 32, u32(0xffffffff))))).toMatchObject({ code: "TRUNCATED" });
  });

  test.each([
    ["behind the end of the file", 999, "TRUNCATED"],
    ["behind every file", 0xffffffff, "TRUNCATED"],
    ["in the header, by the old signature", 0, "CORRUPT"],
  ])("a cluster %s is an error, and nothing else", (_, entry, code) => {
    // The table of 200 entries reaches into the second sector.
    const image = buildParallels({ clusters: [1, 0, "absent", 2], spare: 196 });
    const layer = openBytes(changed(image.image, 64, u32(entry === 0 ? 1 : entry)));
    expect(layer.map(5, 9999)).toMatchObject({ kind: "damaged", length: 507, error: { code } });
    expect(difference(readRange(layer, 512, 3 * 512), image.disk.subarray(512))).toBeUndefined();
  });

  test("marked as empty, but with clusters: those are errors, neither data nor zeros", () => {
    const layer = openBytes(buildParallels({ clusters: [1, "absent"], flags: 1 }).image);
    expect(layer.map(0, 9999)).toMatchObject({ kind: "damaged", length: 512, error: { code: "CORRUPT" } });
    expect(layer.map(512, 9999)).toMatchObject({ kind: "parent", length: 512 });
  });

  test("a snapshot of a single image", () => {
    const open = () => parallels.open(memorySource("test.hds", plain.image), nothingElse, { snapshot: "x" });
    expect(imageErrorOf(open)).toMatchObject({ code: "UNSUPPORTED", hint: expect.stringContaining("DiskDescriptor.xml") as string });
  });
});

describe("bundles", () => {
  const { shape, parts, root, middle, top } = states;

  test("by the directory, by the descriptor, by one of its images", () => {
    const home = write(shape, parts);
    for (const path of [home, `${home}/`, join(home, "DiskDescriptor.xml"), join(home, `disk.hdd.0.{${TOP}}.hds`)]) {
      expect(difference(flatOf(path), top.disk), path).toBeUndefined();
    }
  });

  test("an absent cluster is the parent image's", () => {
    withDisk(write(shape, parts), {}, (layer) => {
      expect(layer.parent?.parent?.parent).toBeUndefined();
      expect([layer.name, layer.parent?.name, layer.parent?.parent?.name].map((name) => name?.split("/").at(-1))).toEqual([
        "DiskDescriptor.xml",
        "middle.hds",
        "root.hds",
      ]);
      expect(layer.map(0, 9999)).toEqual({ kind: "parent", length: 3 * 512, offset: 0 });
      expect(layer.map(3 * 512, 9999)).toMatchObject({ kind: "data", length: 512 });
    });
  });

  test.each([
    [FIRST, root],
    [`{${SECOND.toUpperCase()}}`, middle],
    ["before <the> update", middle],
    [TOP, top],
  ])("snapshot %s", (snapshot, image) => {
    expect(difference(flatOf(write(shape, parts), { snapshot }), image.disk)).toBeUndefined();
  });

  test("snapshots are listed, the current state is none", () => {
    withDisk(write(shape, parts), {}, (layer) => {
      expect(layer.facts().snapshots?.map(({ id, name, size }) => [id, name, size])).toEqual([
        [SECOND, "before <the> update", 8 * 512],
        [FIRST, "", 8 * 512],
      ]);
    });
    expect(refusalOf(write(shape, parts), { snapshot: "none" })).toMatchObject({
      code: "PART_MISSING",
      hint: expect.stringContaining(`{${SECOND}} "before <the> update"`) as string,
    });
  });

  test("the current state: declared, predefined, or the only one without a child", () => {
    const untold: DescriptorShape = { sectors: shape.sectors, storages: shape.storages, shots: shape.shots ?? [] };
    expect(difference(flatOf(write(untold, parts)), top.disk)).toBeUndefined();
    expect(difference(flatOf(write({ ...shape, top: SECOND }, parts)), middle.disk)).toBeUndefined();
    const own = { id: "33333333-aaaa-bbbb-cccc-000000000003", file: `disk.hdd.0.{${TOP}}.hds` };
    const [storage] = shape.storages;
    const renamed = { ...untold, storages: [{ ...storage!, images: [...storage!.images.slice(0, 2), own] }] };
    const shots = [{ id: FIRST }, { id: SECOND, parent: FIRST }, { id: own.id, parent: SECOND }];
    expect(difference(flatOf(write({ ...renamed, shots }, parts)), top.disk)).toBeUndefined();
    const two = write({ ...renamed, shots: [...shots.slice(0, 2), { id: own.id, parent: FIRST }] }, parts);
    expect(refusalOf(two)).toMatchObject({ code: "CORRUPT", hint: expect.stringContaining("--snapshot") as string });
    expect(difference(flatOf(two, { snapshot: SECOND }), middle.disk)).toBeUndefined();
  });

  test.each([
    ["without snapshots", false],
    ["with a snapshot", true],
  ])("split into storages, %s", (_, withSnapshot) => {
    const bundle = split(withSnapshot);
    expect(difference(flatOf(write(bundle.shape, bundle.parts)), bundle.disk)).toBeUndefined();
  });

  test("sectors of 4096 bytes are told, positions stay in sectors of 512", () => {
    const disk = openDisk(write({ ...shape, logicalSector: 4096 }, parts));
    expect(disk.sectorSize).toBe(4096);
    disk.close();
    expect(difference(flatOf(write({ ...shape, logicalSector: 4096 }, parts)), top.disk)).toBeUndefined();
  });

  test.each([
    ["a byte order mark", '\ufeff<?xml version="1.0"?>'],
    ["nothing", ""],
    ["comments and blanks", "<?xml version='1.0' encoding='UTF-8'?>\n<!-- <a> --> \n\t<!---->"],
  ])("before the root: %s", (_, prolog) => {
    const home = write({ ...shape, prolog, extra: "<More a='1' b=\"&lt;&#65;\"/><![CDATA[<x>]]><!-- > -->" }, parts);
    expect(difference(flatOf(home), top.disk)).toBeUndefined();
  });

  test("a missing image", () => {
    const rest = Object.fromEntries(Object.entries(parts).filter(([name]) => name !== "middle.hds"));
    expect(refusalOf(write(shape, rest))).toMatchObject({ code: "PART_MISSING", message: expect.stringContaining("middle.hds") as string });
    withDisk(write(shape, rest), { degraded: true }, (layer) => {
      expect(imageErrorOf(() => readRange(layer, 0, 1))).toMatchObject({ code: "PART_MISSING" });
      expect(difference(readRange(layer, 3 * 512, 512), top.disk.subarray(3 * 512, 4 * 512))).toBeUndefined();
    });
  });

  test("an image that cannot be opened leaves no other open", () => {
    const open: string[] = [];
    const part = (name: string) => {
      if (name !== "root.hds") throw new ImageError("PART_MISSING", name);
      open.push(name);
      return { ...memorySource(name, root.image), close: () => void open.pop() };
    };
    const source = { ...memorySource("DiskDescriptor.xml", buildDescriptor(shape)), close: () => expect.fail("the caller closes it") };
    expect(imageErrorOf(() => parallels.open(source, { ...nothingElse, part }, {}))).toMatchObject({ code: "PART_MISSING" });
    expect(open).toEqual([]);
  });

  test("an image outside the bundle is not opened", () => {
    const outside = write(shape, parts);
    const away = {
      ...shape,
      storages: [{ start: 0, end: 8, images: shape.storages[0]!.images.map((each) => ({ ...each, file: join(outside, each.file) })) }],
    };
    const home = write(away, {});
    expect(refusalOf(home)).toMatchObject({ code: "PART_DENIED" });
    expect(difference(flatOf(home, { allow: [outside] }), top.disk)).toBeUndefined();
  });

  test("an image of a bundle alone is refused: it may be a difference", () => {
    const home = subdirectory(directory);
    const path = join(home, `disk.hdd.0.{${TOP}}.hds`);
    writeFileSync(path, top.image);
    expect(refusalOf(path)).toMatchObject({ code: "PART_MISSING", message: expect.stringContaining("DiskDescriptor.xml") as string });
    expect(flatOf(path, { format: "parallels" }).length).toBe(8 * 512);
  });

  test("an image smaller than its storage: what it does not reach is an error", () => {
    const image = { start: 0, end: 10, images: [{ id: FIRST, file: "root.hds" }] };
    withDisk(write({ sectors: 10, storages: [image], shots: [{ id: FIRST }] }, parts), {}, (layer) => {
      expect(difference(readRange(layer, 0, 8 * 512), root.disk)).toBeUndefined();
      expect(layer.map(8 * 512, 1024)).toMatchObject({ kind: "damaged", length: 1024, error: { code: "CORRUPT" } });
    });
    const plain = { start: 0, end: 10, images: [{ id: FIRST, file: "root.hds", type: "Plain" }] };
    withDisk(write({ sectors: 10, storages: [plain] }, { "root.hds": noise(1, 8 * 512) }), {}, (layer) => {
      expect(difference(readRange(layer, 0, 8 * 512), noise(1, 8 * 512))).toBeUndefined();
      expect(imageErrorOf(() => readRange(layer, 8 * 512, 1))).toMatchObject({ code: "TRUNCATED" });
    });
  });

  test("an image larger than its storage shows no more than that, and storages behind the disk are told", () => {
    const image = { start: 0, end: 7, images: [{ id: FIRST, file: "root.hds" }] };
    const home = write({ sectors: 6, storages: [image] }, parts);
    expect(difference(flatOf(home), root.disk.subarray(0, 6 * 512))).toBeUndefined();
    withDisk(home, {}, (layer) => expect(layer.facts().notes.join()).toContain("512 bytes more"));
  });

  const text = buildDescriptor(shape).toString();
  const one = shape.storages[0]!;

  test.each([
    ["another version", { ...shape, version: "2.0" }, "UNSUPPORTED", '"2.0"'],
    ["padding", { ...shape, padding: 1 }, "UNSUPPORTED", "padding"],
    ["encryption", { ...shape, engine: FIRST }, "KEY_NEEDED", "encrypted"],
    [
      "a gap between storages",
      {
        ...shape,
        storages: [
          { ...one, end: 4 },
          { ...one, start: 5 },
        ],
      },
      "CORRUPT",
      "5 to 8",
    ],
    ["storages over each other", { ...shape, storages: [one, { ...one, start: 5, end: 12 }] }, "CORRUPT", "5 to 12"],
    ["storages that end before the disk", { ...shape, sectors: 9 }, "CORRUPT", "8 sectors together"],
    ["no storage", { ...shape, storages: [] }, "CORRUPT", "0 sectors together"],
    [
      "an unknown image type",
      { ...shape, storages: [{ ...one, images: [{ ...one.images[0]!, type: "Zipped" }] }] },
      "UNSUPPORTED",
      '"Zipped"',
    ],
    [
      "no image of a snapshot",
      { ...shape, storages: [{ ...one, images: one.images.slice(1) }] },
      "CORRUPT",
      `no image of the snapshot {${FIRST}}`,
    ],
    ["two images of a snapshot", { ...shape, storages: [{ ...one, images: [...one.images, ...one.images] }] }, "CORRUPT", "more than one"],
    [
      "a plain image over another",
      { ...shape, storages: [{ ...one, images: one.images.map((each) => ({ ...each, type: "Plain" })) }] },
      "UNSUPPORTED",
      "plain",
    ],
    [
      "a loop",
      {
        ...shape,
        shots: [
          { id: TOP, parent: SECOND },
          { id: SECOND, parent: TOP },
        ],
      },
      "CORRUPT",
      "loop",
    ],
    ["a parent that is not there", { ...shape, shots: [{ id: TOP, parent: SECOND }] }, "CORRUPT", `no snapshot {${SECOND}}`],
    ["the same snapshot twice", { ...shape, shots: [{ id: TOP }, { id: TOP }] }, "CORRUPT", "same GUID"],
    ["something that is no GUID", { ...shape, top: "top" }, "CORRUPT", '"{top}"'],
    ["an image without a name", { ...shape, storages: [{ ...one, images: [{ id: FIRST, file: "" }] }] }, "CORRUPT", "no file name"],
  ] as const)("refused: %s", (_, bad, code, message) => {
    expect(refusalOf(write(bad, parts))).toMatchObject({ code, message: expect.stringContaining(message) as string });
  });

  test.each([
    ["a document type", text.replace("<Parallels_disk", "<!DOCTYPE a [<!ENTITY b 'c'>]><Parallels_disk"), "document type"],
    ["a tag that is not closed", text.replace("</Snapshots>", ""), "<Snapshots> is not closed"],
    ["a comment without end", text.replace("<Snapshots>", "<!--"), "comment"],
    ["an unknown character", text.replace("&amp;", "&evil;"), "&evil;"],
    ["two roots", `${text}<a/>`, "exactly one"],
    ["text behind the root", `${text}a`, "exactly one"],
    ["elements nested too deep", text.replace("<Snapshots>", `${"<a>".repeat(40)}<Snapshots>`), "deeper than 32"],
    ["an attribute twice", text.replace("Version=", 'Version="2" Version='), "twice"],
    ["a size that is no number", text.replace("<Disk_size>8", "<Disk_size>-8"), '"-8"'],
    ["a size beyond 2^53 bytes", text.replace("<Disk_size>8", "<Disk_size>99999999999999"), "2^53"],
    ["no size", text.replace(/<Disk_size>8<.Disk_size>/, ""), "no <Disk_size>"],
  ])("not understood: %s", (_, content, message) => {
    // A document type makes a file that no probe knows, so the format is given.
    const read = () =>
      parallels.open(
        memorySource("DiskDescriptor.xml", Buffer.from(content)),
        { ...nothingElse, part: (name) => memorySource(name, Buffer.alloc(0)) },
        {},
      );
    expect(imageErrorOf(read)).toMatchObject({ code: "CORRUPT", message: expect.stringContaining(message) as string });
  });

  test("a descriptor that is not UTF-8, or too large", () => {
    const open = (content: Buffer) => imageErrorOf(() => parallels.open(memorySource("DiskDescriptor.xml", content), nothingElse, {}));
    expect(open(changed(buildDescriptor(shape), 300, [0xff, 0xfe]))).toMatchObject({ message: expect.stringContaining("UTF-8") as string });
    expect(open(Buffer.concat([buildDescriptor(shape), Buffer.alloc(2 ** 20, 32)]))).toMatchObject({
      message: expect.stringContaining("1048576") as string,
    });
  });

  test("other XML is not taken for a bundle", () => {
    for (const content of [
      "<Parallels_disk_images/>",
      "<?xml <Parallels_disk_image>",
      "<plist><Parallels_disk_image/></plist>",
      "<!-- <Parallels_disk_image>",
      "<?a?>".repeat(9999),
    ]) {
      expect(parallels.probe({ head: Buffer.from(content), tail: Buffer.alloc(0), size: 99 }), content.slice(0, 40)).toBe(false);
    }
    expect(parallels.probe({ head: Buffer.from("<?a?>".repeat(9999) + "<Parallels_disk_image>"), tail: Buffer.alloc(0), size: 99 })).toBe(
      true,
    );
  });
});

describe.skipIf(!requireProgram("qemu-img"))("Parallels and QEMU", () => {
  const MIB = 2 ** 20;

  test.each([65_536, MIB, 3 * MIB])("written by qemu-img and qemu-io, clusters of %i bytes", (clusterSize) => {
    const path = join(subdirectory(directory), "a.hds");
    const disk = mixed(clusterSize, 4 * MIB + 512);
    writeFileSync(`${path}.raw`, disk);
    qemuImg("convert", "-f", "raw", "-O", "parallels", "-o", `cluster_size=${clusterSize}`, `${path}.raw`, path);
    expect(difference(flatOf(path), disk)).toBeUndefined();
    change(path, [{ kind: "write", at: 99, content: noise(3, 200_000) }], "parallels");
    expect(difference(flatOf(path), flat(path, { format: "parallels" }))).toBeUndefined();
  });

  test.each([
    { magic: OLD, sectorsPerCluster: 63 },
    { magic: OLD, sectorsPerCluster: 504, gap: 5 },
    { magic: OLD, sectorsPerCluster: 8, dataOffset: false },
    { sectorsPerCluster: 8 },
    { sectorsPerCluster: 2048, sectors: 5 * 2048 + 100 },
  ] as const)("the builder's images are what qemu-img takes them for: %o", (shape) => {
    const { image, disk } = buildParallels({ clusters: [3, "absent", 0, 2, "absent", 1], ...shape });
    const path = join(subdirectory(directory), "a.hds");
    writeFileSync(path, image);
    expect(difference(flat(path, { format: "parallels" }), disk)).toBeUndefined();
  });
});
