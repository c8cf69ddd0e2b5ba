import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bochs } from "../../src/formats/bochs/index.js";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { raw } from "../../src/formats/raw/index.js";
import { memorySource } from "../../src/source/memory.js";
import { type BochsShape, buildBochs } from "../support/bochs-builder.js";
import { mixed, noise } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { flat, requireProgram, run } from "../support/qemu.js";
import { difference, flatOf, imageErrorOf, readRange, refusalOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

function built(name: string, shape: BochsShape): Sample {
  const { image, disk } = buildBochs(shape);
  return { name, image, disk };
}

/** A redolog over a flat image. The contract's opener takes the name "" for a parent that has none. */
function over(name: string, subtype: string, shape: Omit<BochsShape, "base">): Sample {
  const base = noise(77, shape.size ?? shape.extents.length * 8192);
  const { image, disk } = buildBochs({ ...shape, subtype, base });
  return { name: `disk.img${name}`, image, disk, parts: { "disk.img": base, "": base } };
}

describeDriver(bochs, [
  built("extents out of order", { extents: [2, "absent", 0, 1] }),
  built("extents in order, all of it stored", { extents: [0, 1, 2], filled: 1 }),
  built("nothing of an extent stored", { extents: [0, 1], filled: 0 }),
  built("almost all of it stored", { extents: [1, 0, 2], filled: 0.97, sectors: 128 }),
  built("version 1", { extents: [2, "absent", 0, 1], version: 1 }),
  built("a disk that ends inside an extent", { extents: [1, 0], size: 8192 + 3 * 512 }),
  built("a disk that ends inside a sector", { extents: [1, 0], size: 8192 + 3 * 512 + 7, filled: 1 }),
  built("extents of 3 sectors", { extents: [4, "absent", 0, 1, "absent", "absent", 2, 3], sectors: 3 }),
  built("extents of 100 sectors", { extents: [1, 0], sectors: 100, filled: 0.8 }),
  built("bitmaps of more than a sector", { extents: [1, "absent", 0], sectors: 80, bitmap: 700 }),
  built("a catalog that the disk does not fill", { extents: [1, 0], catalog: 600 }),
  built("no extent at all", { extents: ["absent", "absent"] }),
  over(".redolog", "Undoable", { extents: [1, "absent", 0] }),
  over(".aB3xYz", "Volatile", { extents: ["absent", 0, 1] }),
]);

const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function openBytes(image: Uint8Array, opener = nothingElse): Layer {
  return bochs.open(memorySource("test.img", image), opener, {});
}

function changed(image: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(image);
  copy.set(bytes, at);
  return copy;
}

const u32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
const directory = tempDirectory();

function write(files: Readonly<Record<string, Uint8Array>>): string {
  const home = subdirectory(directory);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(home, name), content);
  return join(home, Object.keys(files)[0] ?? "");
}

describe("growing images", () => {
  test.each([1, 2] as const)("version %i", (version) => {
    const { image, disk } = buildBochs({ version, extents: [2, "absent", 0, 1] });
    const layer = openBytes(image);
    expect(difference(readRange(layer, 0, disk.length), disk)).toBeUndefined();
    expect(layer.facts()).toEqual({ variant: `version ${version}, growing`, details: { "extent size": 8192 }, notes: [] });
  });

  test("runs of stored sectors are one extent each", () => {
    const { image, dataPosition } = buildBochs({ extents: [1, 0], sectors: 128, filled: 0 });
    // Sectors 3 to 69, and 127 of the first extent, which is in slot 1.
    const bitmap = dataPosition + 512 + 128 * 512;
    const marked = changed(image, bitmap, [0xf8, ...Array<number>(7).fill(0xff), 0x3f, 0, 0, 0, 0, 0, 0, 0x80]);
    const layer = openBytes(marked);
    expect(layer.map(0, 10 ** 6)).toEqual({ kind: "parent", length: 3 * 512, offset: 0 });
    expect(layer.map(3 * 512 + 5, 10 ** 6)).toMatchObject({ kind: "data", length: 67 * 512 - 5, position: bitmap + 512 + 3 * 512 + 5 });
    expect(layer.map(70 * 512, 10 ** 6)).toEqual({ kind: "parent", length: 57 * 512, offset: 70 * 512 });
    expect(layer.map(127 * 512, 10 ** 6)).toMatchObject({ kind: "data", length: 512 });
    expect(layer.map(127 * 512 + 1, 10)).toMatchObject({ kind: "data", length: 10 });
  });

  test("extents that are not there are one extent", () => {
    const { image } = buildBochs({ extents: ["absent", "absent", "absent", 0], filled: 1 });
    expect(openBytes(image).map(100, 10 ** 6)).toEqual({ kind: "parent", length: 3 * 8192 - 100, offset: 100 });
  });

  const plain = buildBochs({ extents: [1, 0, "absent"], filled: 1 });

  test.each([
    ["another signature", 0, [0x41], "WRONG_FORMAT", "signature"],
    ["another type", 32, [0x41], "UNSUPPORTED", '"Aedolog"'],
    ["another subtype", 48, [0x41], "UNSUPPORTED", '"Arowing"'],
    ["version 3", 64, u32(0x30000), "UNSUPPORTED", "0x30000"],
    ["a header of 513 bytes", 68, u32(513), "UNSUPPORTED", "513 bytes"],
    ["extents of 0 bytes", 80, u32(0), "CORRUPT", "0 bytes"],
    ["extents of 1000 bytes", 80, u32(1000), "CORRUPT", "1000 bytes"],
    ["extents of 2 GiB", 80, u32(2 ** 31), "CORRUPT", "2147483648 bytes"],
    ["too small a bitmap", 76, u32(1), "CORRUPT", "bitmap of 1 bytes"],
    ["a bitmap of 2 GiB", 76, u32(2 ** 31), "CORRUPT", "bitmap of 2147483648 bytes"],
    ["too small a catalog", 72, u32(2), "CORRUPT", "catalog of 2 extents"],
    ["a disk beyond 2^53 bytes", 88, [0, 0, 0, 0, 0, 0, 32, 0], "CORRUPT", "2^53"],
  ])("refused: %s", (_, at, bytes, code, message) => {
    expect(imageErrorOf(() => openBytes(changed(plain.image, at, bytes)))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      file: "test.img",
      position: at === 72 ? 88 : at,
    });
  });

  test("a catalog behind the end of the file", () => {
    expect(imageErrorOf(() => openBytes(changed(plain.image, 72, u32(0xffffffff))))).toMatchObject({ code: "TRUNCATED", position: 512 });
  });

  test("a snapshot", () => {
    const open = () => bochs.open(memorySource("test.img", plain.image), nothingElse, { snapshot: "1" });
    expect(imageErrorOf(open)).toMatchObject({ code: "UNSUPPORTED", message: "Bochs images have no snapshots" });
  });

  test("an extent behind the end of the file is an error, and nothing else", () => {
    for (const slot of [9, 0xfffffffe]) {
      const layer = openBytes(changed(plain.image, 512, u32(slot)));
      expect(layer.map(5, 10 ** 6)).toMatchObject({ kind: "damaged", length: 8192 - 5, error: { code: "TRUNCATED" } });
      expect(difference(readRange(layer, 8192, 2 * 8192), plain.disk.subarray(8192))).toBeUndefined();
    }
  });

  test("data that the file ends inside is data up to there", () => {
    const cut = plain.image.subarray(0, -700);
    const layer = openBytes(cut);
    expect(difference(readRange(layer, 0, 8192 - 700), plain.disk.subarray(0, 8192 - 700))).toBeUndefined();
    expect(imageErrorOf(() => readRange(layer, 8192 - 700, 1))).toMatchObject({ code: "TRUNCATED", position: cut.length });
  });
});

describe("undoable and volatile redologs", () => {
  const base = noise(5, 4 * 8192);
  const redolog = (subtype: string) => buildBochs({ extents: [1, "absent", 0, "absent"], subtype, base });

  test.each([
    ["Undoable", "disk.img.redolog"],
    ["Volatile", "disk.img.Xa81bQ"],
  ])("%s: the base image is found by the name %s", (subtype, name) => {
    const { image, disk } = redolog(subtype);
    expect(difference(flatOf(write({ [name]: image, "disk.img": base })), disk)).toBeUndefined();
  });

  test("the base image has another name", () => {
    const { image, disk } = redolog("Undoable");
    const path = write({ "changes.bin": image, "disk.img": base });
    expect(refusalOf(path)).toMatchObject({ code: "PART_MISSING", hint: expect.stringContaining("--parent") as string });
    expect(difference(flatOf(path, { parents: [join(path, "..", "disk.img")] }), disk)).toBeUndefined();
  });

  test("the base image is missing", () => {
    expect(refusalOf(write({ "disk.img.redolog": redolog("Undoable").image }))).toMatchObject({
      code: "PART_MISSING",
      message: expect.stringContaining('"disk.img"') as string,
    });
  });

  test("a file of another size is not its base image", () => {
    const path = write({ "disk.img.redolog": redolog("Undoable").image, "disk.img": base.subarray(512) });
    expect(refusalOf(path)).toMatchObject({ code: "PART_MISSING", message: expect.stringContaining("32768") as string });
  });

  test("a base image that is refused is closed", () => {
    let closed = 0;
    const wrong = { ...memorySource("disk.img", base.subarray(512)), close: () => void (closed += 1) };
    const opener: Opener = { ...nothingElse, parent: () => raw.open(wrong, nothingElse, {}) };
    expect(imageErrorOf(() => openBytes(redolog("Undoable").image, opener))).toMatchObject({ code: "PART_MISSING" });
    expect(closed).toBe(1);
  });

  test("the base image may be a growing one", () => {
    const growing = buildBochs({ extents: ["absent", 1, 0, "absent"], seed: 3 });
    const top = buildBochs({ extents: [0, 1, "absent", "absent"], subtype: "Undoable", base: growing.disk });
    const path = write({ "a.redolog": top.image, a: growing.image });
    expect(difference(flatOf(path), top.disk)).toBeUndefined();
  });

  test("nothing is opened but the base image, and what it is is told", () => {
    const asked: unknown[] = [];
    const parent = (...args: readonly unknown[]) => {
      asked.push(args);
      return raw.open(memorySource("base", base), nothingElse, {});
    };
    const layer = bochs.open(memorySource("/vm/disk.img.redolog", redolog("Undoable").image), { ...nothingElse, parent }, {});
    expect(asked).toEqual([[{ names: ["disk.img"] }]]);
    expect(layer.facts()).toMatchObject({ variant: "version 2, undoable", notes: [expect.stringContaining("does not name") as string] });
  });
});

describe.skipIf(!requireProgram("qemu-img"))("Bochs and QEMU", () => {
  test.each([
    { extents: [2, "absent", 0, 1] },
    { extents: [2, "absent", 0, 1], version: 1 },
    { extents: [1, 0], sectors: 128, size: 65_536 + 512, catalog: 99 },
  ] as const)("the builder's images are what qemu-img takes them for: %o", (shape) => {
    const { image, disk } = buildBochs(shape);
    expect(difference(flat(write({ "a.img": image }), { format: "bochs" }), disk)).toBeUndefined();
  });
});

describe.skipIf(!requireProgram("bximage"))("Bochs' own images", () => {
  const cylinder = 16 * 63 * 512;

  test("growing, written by bximage", () => {
    const disk = Buffer.concat([mixed(1, 3 * cylinder), Buffer.alloc(4 * cylinder), noise(2, cylinder)]);
    const path = write({ flat: disk });
    run("bximage", ["-func=convert", "-imgmode=growing", "-q", path, `${path}.img`]);
    expect(readFileSync(`${path}.img`).toString("latin1", 48, 55)).toBe("Growing");
    expect(difference(flatOf(`${path}.img`), disk)).toBeUndefined();
  });

  test("growing and empty, created by bximage", () => {
    const path = join(subdirectory(directory), "empty.img");
    run("bximage", ["-func=create", "-hd=10M", "-imgmode=growing", "-q", path]);
    expect(difference(flatOf(path), Buffer.alloc(20 * cylinder))).toBeUndefined();
  });

  test("the builder's redologs are what bximage takes them for", () => {
    const base = noise(6, 2 * cylinder);
    const extents = Array.from({ length: Math.ceil(base.length / 65_536) }, (_, index) => (index % 3 === 0 ? "absent" : 15 - index));
    const { image, disk } = buildBochs({ extents, sectors: 128, size: base.length, catalog: 512, subtype: "Undoable", base });
    const path = write({ "disk.img.redolog": image, "disk.img": base });
    expect(difference(flatOf(path), disk)).toBeUndefined();
    const committed = path.replace(".redolog", "");
    run("bximage", ["-func=commit", "-q", committed, path]);
    expect(difference(readFileSync(committed), disk)).toBeUndefined();
    expect(existsSync(committed)).toBe(true);
  });
});
