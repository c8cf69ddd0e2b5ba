import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openDisk } from "../../src/disk/open.js";
import type { Layer, Opener, ParentWish } from "../../src/formats/driver.js";
import { raw } from "../../src/formats/raw/index.js";
import { vdi } from "../../src/formats/vdi/index.js";
import { memorySource } from "../../src/source/memory.js";
import { mixed, noise, randomNumbers, shuffled } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { change, flat, qemuImg, requireProgram, run } from "../support/qemu.js";
import { difference, flatOf, imageErrorOf, readRange, refusalOf, withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { buildVdi, type VdiBlock, type VdiShape } from "../support/vdi-builder.js";

const MIB = 2 ** 20;
const BASE = "11111111-2222-3333-4455-66778899aabb";
const MIDDLE = "21111111-2222-3333-4455-66778899aabb";

function built(name: string, shape: VdiShape): Sample {
  const { image, disk } = buildVdi(shape);
  return { name, image, disk };
}

/** A differencing image over one of 8 blocks. The contract's opener takes the name "" for the parent that has none. */
function over(
  name: string,
  shape: Omit<VdiShape, "parent">,
  base: VdiShape = { blocks: [5, "zero", 0, "free", 3, 1, 2, 4], seed: 2 },
): Sample {
  const parent = buildVdi({ ...base, id: BASE });
  const { image, disk } = buildVdi({ type: 4, ...shape, parent: { id: BASE, disk: parent.disk } });
  return { name, image, disk, parts: { "": parent.image } };
}

/** Blocks in any order, some of them absent; the same ones on every run. */
function disorder(count: number, seed: number): VdiBlock[] {
  const slots = shuffled(
    Array.from({ length: count }, (_, index) => index),
    randomNumbers(seed),
  );
  return slots.map((slot, index) => (index % 5 === 3 ? "free" : index % 7 === 5 ? "zero" : slot));
}

const oddSize = { blocks: [2, "free", 0, 1], size: 3 * 512 + 77 } as const;
const someBlocks = (version: NonNullable<VdiShape["version"]>) => ({ version, blocks: disorder(9, 1) }) as const;

describeDriver(vdi, [
  built("blocks out of order", { blocks: [3, 0, "zero", 2, "free", 1] }),
  built("many blocks in disorder", { blocks: disorder(120, 7) }),
  built("blocks in order", { blocks: [0, 1, 2, 3, 4, 5] }),
  built("version 0.1", { version: "0.1", blocks: disorder(9, 2) }),
  built("version 1.0", { version: "1.0", blocks: disorder(9, 3) }),
  built("version 1.1 plus", { version: "1.1plus", blocks: disorder(9, 4), geometry: [2, 16, 63] }),
  built("fixed", { type: 2, blocks: [0, 1, 2, 3] }),
  built("bytes before every block", { blocks: [1, 0, 2, "free", 3], extra: 512 }),
  built("bytes before every block, in order, not a multiple of anything", { blocks: [0, 1, 2, 3], extra: 24 }),
  built("blocks of 4 KiB", { blocks: disorder(9, 5), blockSize: 4096 }),
  built("blocks of 64 KiB", { blocks: [1, "free", 0], blockSize: 65_536 }),
  built("block map and data at odd positions", { blocks: disorder(9, 6), gap: 77 }),
  built("a disk that ends inside a sector", oddSize),
  built("a disk of 77 bytes", { blocks: [0], size: 77 }),
  built("two blocks of the disk in one place", { blocks: [0, 1, 0, "free", 1, 1] }),
  built("more entries than the disk needs", { blocks: [1, 0], spare: 5 }),
  over("a differencing image", { blocks: [1, "free", "zero", "free", "free", "zero", 0, "free"] }),
  over("an undo image", { type: 3, blocks: ["free", "free", 0, "zero", "free", 1, "free", "free"] }),
  over("a differencing image with other blocks than its parent", { blocks: [1, "free", 0], blockSize: 2048, size: 4 * 1024 + 512 }),
  over("a differencing image larger than its parent", { blocks: ["free", 0, ...Array<VdiBlock>(10).fill("free")] }),
  over("a differencing image of version 0.1", { version: "0.1", blocks: [1, "free", 0, "zero"] }),
]);

const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function openBytes(image: Uint8Array, opener = nothingElse): Layer {
  return vdi.open(memorySource("test.vdi", image), opener, {});
}

function changed(image: Buffer, at: number, bytes: readonly number[]): Buffer {
  const copy = Buffer.from(image);
  copy.set(bytes, at);
  return copy;
}

const u32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
const whole = (layer: Layer) => readRange(layer, 0, layer.size);
const directory = tempDirectory();

/** Writes images beside each other; the path of the first. */
function write(files: Readonly<Record<string, Uint8Array>>): string {
  const home = subdirectory(directory);
  const paths = Object.entries(files).map(([name, content]) => {
    const path = join(home, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, content);
    return path;
  });
  return paths[0] ?? home;
}

describe("every version and shape", () => {
  test.each(["0.1", "1.0", "1.1", "1.1plus"] as const)("version %s", (version) => {
    const { image, disk } = buildVdi(someBlocks(version));
    const layer = openBytes(image);
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(layer.facts().variant).toBe(`version ${version.replace("plus", " plus")}, dynamic`);
  });

  test.each([
    [1, "dynamic"],
    [2, "fixed"],
  ] as const)("type %i is %s", (type, name) => {
    const { image, disk } = buildVdi({ type, blocks: [1, 0, 2] });
    const layer = openBytes(image);
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(layer.facts().variant).toContain(name);
  });

  test.each([512, 1024, 4096, 65_536, MIB, 4 * MIB])("blocks of %i bytes", (blockSize) => {
    const { image, disk } = buildVdi({ blocks: [2, "free", 0, 1], blockSize, size: 4 * blockSize - 300 });
    expect(difference(whole(openBytes(image)), disk)).toBeUndefined();
  });

  test.each([16, 512, 4096, 65_536])("%i bytes before every block are no data", (extra) => {
    for (const blocks of [
      [0, 1, 2, 3],
      [3, 1, "free", 0, 2],
    ] as const) {
      const { image, disk } = buildVdi({ blocks, extra });
      expect(difference(whole(openBytes(image)), disk)).toBeUndefined();
    }
  });

  test("block map and data need no alignment", () => {
    for (const gap of [1, 7, 513]) {
      const { image, disk } = buildVdi({ blocks: [2, 0, "zero", 1], gap });
      expect(difference(whole(openBytes(image)), disk)).toBeUndefined();
    }
  });

  test.each([1, 511, 513, 1024 + 77])("a disk of %i bytes", (size) => {
    const { image, disk } = buildVdi({ blocks: size > 1024 ? [1, 0, 2] : size > 512 ? [1, 0] : [0], size });
    const layer = openBytes(image);
    expect(layer.size).toBe(size);
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(layer.facts().notes.join()).toContain(size % 512 === 0 ? "" : "not a multiple of 512");
  });

  test("any text before the signature", () => {
    for (const text of [
      "<<< innotek VirtualBox Disk Image >>>\n",
      "<<< Sun xVM VirtualBox Disk Image >>>\n",
      "<<< QEMU VM Virtual Disk Image >>>\n",
      "",
    ]) {
      const { image, disk } = buildVdi({ blocks: [1, 0], text });
      expect(vdi.probe({ head: image, tail: image.subarray(-512), size: image.length })).toBe(true);
      expect(difference(whole(openBytes(image)), disk)).toBeUndefined();
    }
  });

  test("two entries may name one block", () => {
    const { image, disk } = buildVdi({ blocks: [0, 0, 1, 0] });
    expect(difference(whole(openBytes(image)), disk)).toBeUndefined();
  });

  test("a block map of more than one slice", () => {
    const blocks = disorder(40_000, 9);
    const { image, disk } = buildVdi({ blocks });
    expect(difference(whole(openBytes(image)), disk)).toBeUndefined();
  });

  test("a disk of 2 TiB takes no memory until it is read", () => {
    const count = 2 ** 21;
    const { image } = buildVdi({ blocks: ["free"], blockSize: MIB, version: "1.1" });
    const table = Buffer.alloc(count * 4, 0xff);
    table.writeUInt32LE(0, (count - 1) * 4);
    const head = changed(Buffer.from(image.subarray(0, 456)), 384, u32(count));
    head.writeBigUInt64LE(BigInt(count) * BigInt(MIB), 368);
    head.writeUInt32LE(456 + table.length, 344);
    const layer = openBytes(Buffer.concat([head, table, noise(1, MIB)]));
    expect(layer.size).toBe(2 ** 41);
    expect(layer.map(0, 2 ** 41)).toEqual({ kind: "parent", length: 16_384 * MIB, offset: 0 });
    expect(difference(readRange(layer, 2 ** 41 - 600, 600), noise(1, MIB).subarray(MIB - 600))).toBeUndefined();
  });
});

describe("how VDI maps", () => {
  test("neighbours in the file are one extent", () => {
    const { image, dataPosition } = buildVdi({ blocks: [2, 3, 4, 0, "free", "free", "zero", "zero", 1] });
    const layer = openBytes(image);
    expect(layer.map(10, 9999)).toMatchObject({ kind: "data", length: 3 * 512 - 10, position: dataPosition + 2 * 512 + 10 });
    expect(layer.map(4 * 512, 9999)).toEqual({ kind: "parent", length: 2 * 512, offset: 4 * 512 });
    expect(layer.map(6 * 512 + 1, 9999)).toEqual({ kind: "zero", length: 2 * 512 - 1 });
    expect(layer.map(8 * 512, 9999)).toMatchObject({ kind: "data", length: 512 });
  });

  test("no extent leaves the disk", () => {
    const { image } = buildVdi({ blocks: [0, 1, "free", "free"], size: 3 * 512 + 77 });
    expect(openBytes(image).map(1024, 9999)).toEqual({ kind: "parent", length: 512 + 77, offset: 1024 });
    expect(openBytes(buildVdi({ blocks: [0, 1], size: 600 }).image).map(1, 9999)).toMatchObject({ kind: "data", length: 599 });
  });

  test("bytes before every block keep neighbours apart", () => {
    const { image, dataPosition } = buildVdi({ blocks: [0, 1, 2], extra: 512 });
    expect(openBytes(image).map(512, 9999)).toMatchObject({ kind: "data", length: 512, position: dataPosition + 1024 + 512 });
  });
});

describe("differencing images", () => {
  const base = buildVdi({ blocks: [1, "zero", 0, 2], id: BASE, modification: MIDDLE, seed: 5 });
  const child = (shape: Partial<VdiShape> = {}, modification?: string) =>
    buildVdi({
      type: 4,
      blocks: ["free", "free", 0, "zero"],
      parent: { id: BASE, disk: base.disk, ...(modification !== undefined && { modification }) },
      ...shape,
    });

  test.each([3, 4] as const)("type %i: a free block is the parent's, never zeros", (type) => {
    const { image, disk } = child({ type });
    const path = write({ "child.vdi": image, "any name.img": base.image });
    expect(difference(flatOf(path), disk)).toBeUndefined();
    withDisk(path, {}, (layer) => expect(layer.parent?.name).toContain("any name.img"));
    expect(disk.subarray(0, 512).equals(base.disk.subarray(0, 512))).toBe(true);
  });

  test("a zero block is zeros, even over a parent that has data there", () => {
    const { image } = child();
    const bytes = flatOf(write({ "child.vdi": image, "base.vdi": base.image })).subarray(3 * 512);
    expect(bytes.equals(Buffer.alloc(512))).toBe(true);
    expect(base.disk.subarray(3 * 512).equals(bytes)).toBe(false);
  });

  test("a chain of three, found by UUID", () => {
    const middle = child({ id: MIDDLE });
    const top = buildVdi({ type: 4, blocks: [0, "free", "free", "free"], seed: 9, parent: { id: MIDDLE, disk: middle.disk } });
    const path = write({
      "{a}.vdi": top.image,
      "{b}.vdi": middle.image,
      "x.vdi": base.image,
      "other.vdi": child({ id: "0".repeat(8) + BASE.slice(8) }).image,
    });
    expect(difference(flatOf(path), top.disk)).toBeUndefined();
  });

  test("the UUID is that of the text VirtualBox prints", () => {
    const wishes: ParentWish[] = [];
    const parent = (wish: ParentWish) => {
      wishes.push(wish);
      return raw.open(memorySource("base", base.disk), nothingElse, {});
    };
    openBytes(child().image, { ...nothingElse, parent });
    expect(wishes).toEqual([{ names: [], identities: [{ kind: "UUID", value: BASE }] }]);
    expect(vdi.identities?.(memorySource("base.vdi", base.image))).toEqual([{ kind: "UUID", value: BASE }]);
    // As stored by VirtualBox: the first three groups little-endian.
    expect(base.image.subarray(392, 408).toString("hex")).toBe("1111111122223333445566778899aabb");
    expect(changed(base.image, 392, [1, 2, 3, 4, 5, 6, 7, 8]).subarray(392, 396).toString("hex")).toBe("01020304");
    expect(vdi.identities?.(memorySource("base.vdi", changed(base.image, 392, [1, 2, 3, 4, 5, 6, 7, 8])))).toEqual([
      { kind: "UUID", value: "04030201-0605-0807-4455-66778899aabb" },
    ]);
  });

  test("the parent is missing", () => {
    const path = write({ "child.vdi": child().image, "other.vdi": buildVdi({ blocks: [0] }).image });
    expect(refusalOf(path)).toMatchObject({ code: "PART_MISSING", message: expect.stringContaining(BASE) as string });
    expect(flatOf(path, { parents: [write({ "base.vdi": base.image })] }).length).toBe(4 * 512);
  });

  test("a parent that was changed since is told", () => {
    const notes = (modification: string | undefined) => {
      const disk = openDisk(write({ "child.vdi": child({}, modification).image, "base.vdi": base.image }));
      const found = disk.layer.facts().notes.join();
      disk.close();
      return found;
    };
    expect(notes(BASE)).toContain(`was changed after this image was made (modification UUID ${MIDDLE}, not ${BASE})`);
    expect(notes(MIDDLE)).toBe("");
    expect(notes(undefined)).toBe("");
  });

  test("names no parent at all", () => {
    const { image, disk } = child({ parent: { id: "00000000-0000-0000-0000-000000000000", disk: base.disk } });
    const path = write({ "child.vdi": image });
    expect(refusalOf(path)).toMatchObject({ code: "PART_MISSING" });
    expect(difference(flatOf(path, { parents: [write({ "base.vdi": base.image })] }), disk)).toBeUndefined();
  });

  test("a base image that names a parent is complete all the same, and says so", () => {
    const { image } = child({ type: 1 });
    const layer = openBytes(image);
    expect(layer.parent).toBeUndefined();
    expect(layer.facts().notes.join()).toContain(`names a parent (UUID ${BASE})`);
  });

  test("degraded: what the missing parent holds fails to be read", () => {
    const { image, disk } = child();
    withDisk(write({ "child.vdi": image }), { degraded: true }, (layer) => {
      expect(imageErrorOf(() => readRange(layer, 0, 1))).toMatchObject({ code: "PART_MISSING" });
      expect(difference(readRange(layer, 1024, 1024), disk.subarray(1024))).toBeUndefined();
    });
  });
});

describe("what VDI cannot read", () => {
  const plain = buildVdi({ blocks: [1, 0, "free", 2] });
  const old = buildVdi({ blocks: [1, 0], version: "0.1" });

  test.each([
    ["version 2", 68, u32(0x20000), "UNSUPPORTED", "VDI version 2.0"],
    ["type 0", 76, u32(0), "UNSUPPORTED", "image type is 0"],
    ["type 5", 76, u32(5), "UNSUPPORTED", "image type is 5"],
    ["unknown flags", 80, u32(2), "UNSUPPORTED", "flags 0x2"],
    ["a header of 383 bytes", 72, u32(383), "CORRUPT", "383 bytes"],
    ["blocks of 0 bytes", 376, u32(0), "CORRUPT", "block size is 0"],
    ["blocks of 256 bytes", 376, u32(256), "CORRUPT", "block size is 256"],
    ["blocks of 1536 bytes", 376, u32(1536), "CORRUPT", "block size is 1536"],
    ["blocks of 3 GiB", 376, u32(0xc0000000), "CORRUPT", "block size is 3221225472"],
    ["too few blocks", 384, u32(3), "CORRUPT", "3 blocks of 512 bytes cannot hold a disk of 2048 bytes"],
    ["a disk beyond 2^53 bytes", 368, [0, 0, 0, 0, 0, 0, 32, 0], "CORRUPT", "2^53"],
    ["a block map in the header", 340, u32(455), "CORRUPT", "inside the header"],
    ["data in the block map", 344, u32(456 + 15), "CORRUPT", "before the end of the block map"],
  ])("refused: %s", (_, at, bytes, code, message) => {
    expect(imageErrorOf(() => openBytes(changed(plain.image, at, bytes)))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      file: "test.vdi",
      position: at,
    });
  });

  test("version 0.1 has its fields elsewhere", () => {
    expect(imageErrorOf(() => openBytes(changed(old.image, 360, u32(100))))).toMatchObject({ code: "CORRUPT", position: 360 });
    expect(imageErrorOf(() => openBytes(changed(old.image, 72, u32(9))))).toMatchObject({ code: "UNSUPPORTED", position: 72 });
    expect(imageErrorOf(() => openBytes(changed(old.image, 364, u32(1))))).toMatchObject({ code: "CORRUPT", position: 364 });
  });

  test("a block map behind the end of the file", () => {
    const far = changed(changed(plain.image, 340, u32(0x7fffff00)), 344, u32(0x7fffffff));
    expect(imageErrorOf(() => openBytes(far))).toMatchObject({ code: "TRUNCATED", position: 0x7fffff00 });
    expect(imageErrorOf(() => openBytes(changed(changed(plain.image, 384, u32(2 ** 31)), 344, u32(0xffffffff))))).toBeDefined();
  });

  test("a snapshot", () => {
    const open = () => vdi.open(memorySource("test.vdi", plain.image), nothingElse, { snapshot: "1" });
    expect(imageErrorOf(open)).toMatchObject({ code: "UNSUPPORTED", hint: expect.stringContaining("Snapshots") as string });
  });

  test("a block behind the end of the file is an error, not zeros", () => {
    for (const slot of [4, 2 ** 31, 0xfffffffd]) {
      const layer = openBytes(changed(plain.image, plain.tablePosition + 4, u32(slot)));
      expect(layer.map(512, 99), String(slot)).toMatchObject({ kind: "damaged", length: 99, error: { code: "TRUNCATED" } });
      expect(difference(readRange(layer, 1024, 1024), plain.disk.subarray(1024))).toBeUndefined();
      expect(difference(readRange(layer, 0, 512), plain.disk.subarray(0, 512))).toBeUndefined();
    }
  });

  test("entries that run into the special values are not joined", () => {
    const table = [0xfffffffc, 0xfffffffd, 0xfffffffe, 0xffffffff].flatMap(u32);
    const layer = openBytes(changed(plain.image, plain.tablePosition, table));
    expect(layer.map(512, 9999)).toMatchObject({ kind: "damaged", length: 512 });
    expect(layer.map(1024, 9999)).toEqual({ kind: "zero", length: 512 });
    expect(layer.map(1536, 9999)).toEqual({ kind: "parent", length: 512, offset: 1536 });
  });

  test("a last block that is short in the file is data up to there", () => {
    const cut = plain.image.subarray(0, -100);
    const layer = openBytes(cut);
    expect(difference(readRange(layer, 3 * 512, 412), plain.disk.subarray(3 * 512, 3 * 512 + 412))).toBeUndefined();
    expect(imageErrorOf(() => readRange(layer, 3 * 512 + 412, 1))).toMatchObject({ code: "TRUNCATED", position: cut.length });
    // What the disk does not reach may be missing.
    const short = buildVdi({ blocks: [0, 1], size: 512 + 77 });
    expect(difference(whole(openBytes(short.image.subarray(0, -435))), short.disk)).toBeUndefined();
  });
});

describe("what is told of a VDI", () => {
  test("facts", () => {
    const { image } = buildVdi({
      blocks: [0, "free"],
      version: "1.1plus",
      extra: 8,
      geometry: [10, 16, 63],
      comment: "für später",
      id: BASE,
    });
    expect(openBytes(image).facts()).toEqual({
      variant: "version 1.1 plus, dynamic",
      details: {
        "block size": 512,
        "extra bytes before each block": 8,
        "allocated blocks": 1,
        UUID: BASE,
        "cylinders/heads/sectors": "10/16/63",
        comment: "für später",
      },
      notes: [],
    });
  });

  test("no UUID", () => {
    const { image } = buildVdi({ blocks: [0], id: "00000000-0000-0000-0000-000000000000" });
    expect(vdi.identities?.(memorySource("x", image))).toEqual([]);
    expect(openBytes(image).facts().notes.join()).toContain("no UUID");
  });
});

describe.skipIf(!requireProgram("qemu-img"))("VDI and QEMU", () => {
  const disk = mixed(4, 3 * MIB + 5 * 512);

  test.each([
    ["dynamic", []],
    ["static", ["-o", "static=on"]],
  ])("written by qemu-img, %s", (_, options) => {
    const path = join(subdirectory(directory), "a.vdi");
    writeFileSync(`${path}.raw`, disk);
    qemuImg("convert", "-f", "raw", "-O", "vdi", ...options, `${path}.raw`, path);
    expect(difference(flatOf(path), disk)).toBeUndefined();
    change(path, [{ kind: "write", at: 2 * MIB + 99, content: noise(3, 70_000) }], "vdi");
    expect(difference(flatOf(path), flat(path, { format: "vdi" }))).toBeUndefined();
  });

  test.each([{}, { type: 2 as const }, { size: 5 * MIB - 512 }])("the builder's images are what qemu-img takes them for: %o", (shape) => {
    const { image, disk } = buildVdi({ blocks: [2, "free", 0, "zero", 1], blockSize: MIB, align: 512, ...shape });
    const path = write({ "a.vdi": image });
    expect(difference(flat(path, { format: "vdi" }), disk)).toBeUndefined();
    expect(difference(flatOf(path), disk)).toBeUndefined();
  });
});

describe.skipIf(!requireProgram("7z"))("VDI and 7-Zip", () => {
  test.each([
    // 7-Zip wants the block map at 512 or behind.
    { version: "1.0" as const, gap: 56 },
    { version: "1.1" as const, gap: 77 },
    { version: "1.1plus" as const, gap: 101, type: 2 as const },
    { version: "1.1" as const, gap: 77, size: 3 * MIB - 1536 },
  ])("the builder's images are what 7-Zip takes them for: $version, $gap, $size", (shape) => {
    const { image, disk } = buildVdi({ blocks: [2, 0, 1], blockSize: MIB, ...shape });
    const path = write({ "a.vdi": image });
    run("7z", ["e", "-y", `-o${path}.out`, path]);
    expect(difference(readFileSync(join(`${path}.out`, "a.img")), disk)).toBeUndefined();
    expect(difference(flatOf(path), disk)).toBeUndefined();
  });
});
