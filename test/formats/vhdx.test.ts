import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Layer, Opener, ParentWish } from "../../src/formats/driver.js";
import { vhdx } from "../../src/formats/vhdx/index.js";
import { memorySource } from "../../src/source/memory.js";
import { mixed, noise, randomNumbers } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { change, createImage, qemuImg } from "../support/qemu.js";
import { difference, imageErrorOf, readRange } from "../support/reading.js";
import {
  buildVhdx,
  expectedVhdx,
  guidOf,
  guids,
  locatorBytes,
  MIB,
  type VhdxBlock,
  type VhdxShape,
  vhdxImage,
  vhdxSource,
} from "../support/vhdx-builder.js";
import { type LoggedWrite, withLog } from "../support/vhdx-log-builder.js";

const absent = { state: 0 } as const;
const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function build(name: string, shape: VhdxShape, parts?: Sample["parts"]): Sample {
  return { name, image: vhdxImage(buildVhdx(shape)), disk: expectedVhdx(shape), ...(parts && { parts }) };
}

/** Some sectors of a block, in runs of every length; the first and the last are here. */
function someSectors(seed: number, sectors: number): (sector: number) => boolean {
  const random = randomNumbers(seed);
  const here = new Uint8Array(sectors);
  for (let at = 0, value = 1; at < sectors; value = 1 - value) {
    const run = 1 + Math.floor(random() ** 4 * 300);
    here.fill(value, at, at + run);
    at += run;
  }
  here[sectors - 1] = 1;
  return (sector) => here[sector] === 1;
}

/** A base of two and a half blocks, and what a child says of it. */
const baseShape: VhdxShape = { blocks: [noise(11, MIB), absent, noise(12, MIB / 2)], size: 2.5 * MIB, seed: 3, noLog: true };
const base = buildVhdx(baseShape);
const baseParts = { "..\\base.vhdx": vhdxImage(base) };
const locatorOf = (linkage: string) => ({
  parent_linkage: `{${linkage}}`,
  absolute_win32_path: "\\\\?\\D:\\vm\\base.vhdx",
  relative_path: "..\\base.vhdx",
  volume_path: "\\\\?\\Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}\\vm\\base.vhdx",
});
const parent = { disk: expectedVhdx(baseShape), entries: locatorOf(base.dataWriteGuid) };
const partial = (seed: number, sectors: number): VhdxBlock => ({ content: noise(seed, MIB), here: someSectors(seed, sectors) });

/** A log that moves block 1 to where another was, and zeros what was there before. */
function dirtySample(): Sample {
  const shape: VhdxShape = { blocks: [noise(21, MIB), absent, noise(22, MIB / 4)], size: 2.25 * MIB, lastBlockBytes: MIB / 4 };
  const built = buildVhdx(shape);
  const { positions } = built;
  const bat = Buffer.alloc(4096);
  bat.writeBigUInt64LE(BigInt(positions.blocks.get(0) ?? 0) | 6n, 8);
  bat.writeBigUInt64LE(BigInt(positions.blocks.get(2) ?? 0) | 6n, 16);
  const writes: LoggedWrite[] = [{ at: positions.bat, content: bat }];
  const entry = { start: 8192, sequence: 5n, tail: 8192, writes, flushed: built.fileSize, last: built.fileSize };
  const disk = Buffer.concat([Buffer.alloc(MIB), noise(21, MIB), noise(22, MIB / 4)]);
  return { name: "a log that has to be replayed", image: withLog(vhdxImage(built), built, [entry]), disk };
}

describeDriver(vhdx, [
  build("blocks out of order, and a last one that the disk does not fill", {
    blocks: [noise(1, MIB), absent, noise(2, MIB), noise(3, MIB / 4)],
    size: 3.125 * MIB + 512,
    seed: 4,
    lastBlockBytes: MIB / 2,
    noLog: true,
  }),
  build("every state without content", {
    blocks: [...[1, 2, 3, 5, 0].map((state) => ({ state })), noise(4, MIB / 8)],
    size: 5 * MIB + 65_536,
    lastBlockBytes: MIB / 8,
    noLog: true,
  }),
  build("fixed, and the file ends with the disk", {
    blocks: [noise(5, MIB), noise(6, MIB / 2)],
    size: 1.5 * MIB,
    seed: 2,
    fixed: true,
    lastBlockBytes: MIB / 2,
    noLog: true,
  }),
  build("blocks of 2 MiB, logical sectors of 4096 bytes", {
    blocks: [noise(7, 2 * MIB), noise(8, MIB / 2)],
    size: 2 * MIB + 12_288,
    blockSize: 2 * MIB,
    sector: 4096,
    seed: 2,
    lastBlockBytes: MIB / 2,
    noLog: true,
  }),
  build(
    "differencing, partially present blocks",
    { blocks: [partial(31, 2048), absent, partial(32, 2048)], size: 2.5 * MIB, seed: 5, parent, lastBlockBytes: MIB / 2, noLog: true },
    baseParts,
  ),
  build(
    "differencing, logical sectors of 4096 bytes",
    { blocks: [partial(33, 256), absent, { state: 2 }], size: 2.5 * MIB, sector: 4096, seed: 6, parent, noLog: true },
    baseParts,
  ),
  build(
    "differencing, every state, and larger than its parent",
    { blocks: [{ state: 1 }, noise(9, MIB), absent, { state: 3 }, { state: 5 }, absent], seed: 7, parent, noLog: true },
    baseParts,
  ),
  dirtySample(),
  {
    name: "written by QEMU, dynamic, blocks of 1 MiB",
    needs: "qemu-img",
    image(directory) {
      const image = join(directory, "disk.vhdx");
      createImage(image, 3 * MIB + 512, { format: "vhdx", options: { block_size: MIB } });
      change(image, [{ kind: "write", at: MIB - 4096, content: mixed(5, 12_288) }], "vhdx");
      return image;
    },
    disk: Buffer.concat([Buffer.alloc(MIB - 4096), mixed(5, 12_288), Buffer.alloc(2 * MIB + 512 - 8192)]),
  },
  {
    name: "written by QEMU, fixed",
    needs: "qemu-img",
    image(directory) {
      const image = join(directory, "disk.vhdx");
      qemuImg("create", "-q", "-f", "vhdx", "-o", "subformat=fixed,block_size=1M", image, String(MIB + 65_536));
      change(image, [{ kind: "write", at: MIB - 4096, content: noise(5, 12_288) }], "vhdx");
      return image;
    },
    disk: Buffer.concat([Buffer.alloc(MIB - 4096), noise(5, 12_288), Buffer.alloc(65_536 - 8192)]),
  },
]);

function openShape(shape: VhdxShape, opener = nothingElse): Layer {
  return vhdx.open(memorySource("test.vhdx", vhdxImage(buildVhdx(shape))), opener, {});
}

function expectShape(shape: VhdxShape, opener = nothingElse): Layer {
  const layer = openShape(shape, opener);
  const expected = expectedVhdx(shape);
  expect(layer.size).toBe(expected.length);
  expect(difference(readRange(layer, 0, layer.size), expected)).toBeUndefined();
  return layer;
}

describe("disks", () => {
  test.each([1, 2, 4, 8])("blocks of %i MiB in any order", (mebibytes) => {
    const blockSize = mebibytes * MIB;
    const blocks = [noise(1, 3000), absent, noise(2, blockSize), { state: 2 }, noise(3, blockSize - 5)];
    const layer = expectShape({ blocks, blockSize, size: 4 * blockSize + 70_144, seed: mebibytes });
    expect(layer.facts()).toMatchObject({
      variant: "dynamic",
      details: { "block size": blockSize, creator: "flatmount test ü" },
      notes: [],
    });
  });

  test("a fixed disk is one whose blocks stay allocated", () => {
    expect(expectShape({ blocks: [noise(1, MIB), absent, { state: 2 }], fixed: true }).facts().variant).toBe("fixed");
  });

  test.each([
    [512, 4096],
    [4096, 4096],
    [512, 512],
  ])("logical sectors of %i bytes, physical ones of %i", (sector, physicalSector) => {
    const layer = expectShape({ blocks: [noise(1, MIB), absent], sector, physicalSector });
    expect(layer.sectorSize).toBe(sector);
    expect(layer.facts().details).toMatchObject({ "logical sector size": sector, "physical sector size": physicalSector });
  });

  test.each([
    [512, 32 * MIB],
    [4096, 256 * MIB],
  ])("the entry of a chunk's sector bitmap is passed over, sectors of %i bytes", (sector, blockSize) => {
    // 128 blocks of 32 MiB make a chunk of 4 GiB; 128 of 256 MiB one of 32 GiB.
    const blocks: VhdxBlock[] = Array.from({ length: 131 }, () => absent);
    for (const block of [126, 127, 128, 129]) blocks[block] = noise(block, 4096);
    const built = buildVhdx({ blocks, blockSize, sector, size: 131 * blockSize - 4096 });
    expect(built.positions.entry(128) - built.positions.entry(127)).toBe(16);
    const layer = vhdx.open(vhdxSource("test.vhdx", built), nothingElse, {});
    for (const block of [126, 127, 128, 129]) {
      const position = built.positions.blocks.get(block) ?? 0;
      expect(layer.map(block * blockSize + 5, 10)).toMatchObject({ kind: "data", position: position + 5 });
      expect(difference(readRange(layer, block * blockSize, 4096), noise(block, 4096))).toBeUndefined();
    }
    expect(layer.map(130 * blockSize, MIB)).toEqual({ kind: "zero", length: MIB });
  });

  test("what stands at the place of a block without content is not looked at", () => {
    // libvhdi#17: blocks that are not present came out as the first bytes of the file.
    for (const state of [0, 1, 2, 3, 5]) {
      const built = buildVhdx({ blocks: [noise(1, MIB), { state }] });
      const image = vhdxImage(built);
      const layer = () => vhdx.open(memorySource("test.vhdx", image), nothingElse, {});
      expect(layer().map(MIB, MIB)).toEqual({ kind: "zero", length: MIB });
      image.writeBigUInt64LE(BigInt(built.positions.blocks.get(0) ?? 0) | BigInt(state), built.positions.entry(1));
      expect(layer().map(MIB, MIB)).toEqual({ kind: "zero", length: MIB });
    }
  });

  test("reserved bits of an entry do not count", () => {
    const shape: VhdxShape = { blocks: [noise(1, MIB), { state: 2 }] };
    const built = buildVhdx(shape);
    const image = vhdxImage(built);
    for (const block of [0, 1])
      image.writeUInt32LE(image.readUInt32LE(built.positions.entry(block)) | 0xffff8, built.positions.entry(block));
    const layer = vhdx.open(memorySource("test.vhdx", image), nothingElse, {});
    expect(difference(readRange(layer, 0, layer.size), expectedVhdx(shape))).toBeUndefined();
  });

  test("an empty disk", () => {
    expect(openShape({ blocks: [] }).size).toBe(0);
  });
});

/** What a differencing disk asks for, and what it gets. */
function withParent(content: Buffer, asked: ParentWish[] = []): Opener {
  return {
    ...nothingElse,
    parent(wish) {
      asked.push(wish);
      return vhdx.open(memorySource("base.vhdx", content), nothingElse, {});
    },
  };
}

describe("differencing disks", () => {
  const baseImage = vhdxImage(base);

  test("the parent is asked for by all its names, best first, and its DataWriteGuid", () => {
    const asked: ParentWish[] = [];
    const layer = expectShape({ blocks: [absent, absent, absent], size: 2.5 * MIB, parent }, withParent(baseImage, asked));
    expect(asked).toEqual([
      {
        names: ["..\\base.vhdx", "\\\\?\\Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}\\vm\\base.vhdx", "\\\\?\\D:\\vm\\base.vhdx"],
        format: "vhdx",
        identities: [{ kind: "DataWriteGuid", value: base.dataWriteGuid }],
      },
    ]);
    expect(vhdx.identities?.(memorySource("base.vhdx", baseImage))).toEqual(asked[0]?.identities);
    expect(layer.facts()).toMatchObject({ variant: "differencing", details: { parent: "..\\base.vhdx" } });
  });

  test.each([
    ["upper case", `{${base.dataWriteGuid.toUpperCase()}}`],
    ["without braces", base.dataWriteGuid],
    ["a NUL at the end", `{${base.dataWriteGuid}}\0`],
  ])("the parent's identity in another spelling: %s", (_, linkage) => {
    const asked: ParentWish[] = [];
    const entries = { parent_linkage: linkage, relative_path: "b.vhdx\0", absolute_win32_path: "b.vhdx", other_key: "x" };
    expectShape({ blocks: [absent], parent: { ...parent, entries } }, withParent(baseImage, asked));
    expect(asked).toEqual([{ names: ["b.vhdx"], format: "vhdx", identities: [{ kind: "DataWriteGuid", value: base.dataWriteGuid }] }]);
  });

  test("while a child is merged into it, the parent may have the second identity", () => {
    const entries = { ...locatorOf(guidOf("before")), parent_linkage2: `{${base.dataWriteGuid}}` };
    const shape: VhdxShape = { blocks: [absent], parent: { ...parent, entries } };
    const asked: ParentWish[] = [];
    const opener = withParent(baseImage, asked);
    expectShape(shape, opener);
    expect(asked[0]?.identities?.map(({ value }) => value)).toEqual([guidOf("before"), base.dataWriteGuid]);
    // Before the merge it has the first.
    expect(() => openShape(shape, withParent(vhdxImage({ ...base, dataWriteGuid: guidOf("before") }), asked))).not.toThrow();
  });

  test("no path at all: the parent is found by its identity", () => {
    const asked: ParentWish[] = [];
    const entries = { parent_linkage: `{${base.dataWriteGuid}}` };
    expectShape({ blocks: [absent], parent: { ...parent, entries } }, withParent(baseImage, asked));
    expect(asked[0]?.names).toEqual([]);
  });

  test("libvhdi#17: a block that is not here is the parent's, and one without content is zeros", () => {
    const layer = openShape(
      { blocks: [absent, { state: 2 }, { state: 1 }, { state: 3 }, { state: 5 }, absent], parent },
      withParent(baseImage),
    );
    expect(layer.map(5, 3 * MIB)).toEqual({ kind: "parent", length: MIB - 5, offset: 5 });
    expect(layer.map(MIB, 9 * MIB)).toEqual({ kind: "zero", length: 4 * MIB });
    expect(layer.map(5 * MIB + 1, 9 * MIB)).toEqual({ kind: "parent", length: MIB - 1, offset: 5 * MIB + 1 });
  });

  test.each([
    [512, 1],
    [4096, 1],
    [512, 32],
    [4096, 8],
  ])("sector bitmaps of all mixtures, sectors of %i bytes, blocks of %i MiB", (sector, mebibytes) => {
    const blockSize = mebibytes * MIB;
    const sectors = blockSize / sector;
    const patterns: ((at: number) => boolean)[] = [
      () => true,
      () => false,
      (at) => at % 2 === 0,
      (at) => at % 33 === 0,
      (at) => at >= sectors / 2,
      someSectors(mebibytes, sectors),
    ];
    const blocks = patterns
      .slice(mebibytes > 8 ? 5 : mebibytes > 1 ? 3 : 0)
      .map((here, index) => ({ content: noise(index, blockSize), here }));
    const size = blocks.length * blockSize - sector;
    expectShape({ blocks, blockSize, sector, size, seed: 9, parent: { ...parent, disk: parent.disk } }, withParent(baseImage));
  });

  test("a bitmap counts for partially present blocks only", () => {
    // The bits of the full block are a mixture: bitmapOf() fills what nobody may look at with 0xa5.
    const blocks = [noise(1, MIB), { content: noise(2, MIB), here: (at: number) => at > 7 }];
    const layer = expectShape({ blocks, parent, seed: 1 }, withParent(baseImage));
    expect(layer.map(0, MIB)).toMatchObject({ kind: "data", length: MIB });
    expect(layer.map(MIB + 100, MIB)).toEqual({ kind: "parent", length: 8 * 512 - 100, offset: MIB + 100 });
  });

  test("the second chunk has a bitmap of its own", () => {
    // 64 blocks of 64 MiB are 4 GiB.
    const blockSize = 64 * MIB;
    const blocks: VhdxBlock[] = Array.from({ length: 66 }, () => absent);
    blocks[63] = { content: noise(1, 4096), here: (at) => at === 0 };
    blocks[65] = { content: noise(2, 4096), here: (at) => at >= 131_071 };
    const built = buildVhdx({ blocks, blockSize, parent, seed: 3 });
    const layer = vhdx.open(vhdxSource("test.vhdx", built), withParent(baseImage), {});
    const at = 65 * blockSize;
    expect(built.positions.bitmaps.size).toBe(2);
    expect(layer.map(63 * blockSize, 10_000)).toMatchObject({ kind: "data", length: 512 });
    expect(layer.map(63 * blockSize + 512, 2 ** 40)).toMatchObject({ kind: "parent", length: blockSize - 512 });
    expect(layer.map(64 * blockSize, blockSize)).toMatchObject({ kind: "parent", length: blockSize });
    expect(layer.map(at, blockSize)).toMatchObject({ kind: "parent", length: blockSize - 512 });
    expect(layer.map(at + blockSize - 1, 1)).toMatchObject({ kind: "data", length: 1 });
  });

  test("blocks around the ends of chunks and of what is read of the BAT at once", () => {
    // A chunk has 4096 blocks and 4097 entries; slices of the BAT have 8192 entries, so block 8190 is in the first one and its bitmap's entry in the second.
    const blocks: VhdxBlock[] = Array.from({ length: 12_300 }, () => absent);
    const here = (at: number) => at % 5 !== 0;
    for (const block of [0, 4094, 4095, 4096, 8188, 8189, 8190, 8191, 8192, 8193, 12_287, 12_288, 12_299]) {
      blocks[block] = block % 2 === 0 ? { content: noise(block, 4096), here } : noise(block, 4096);
    }
    const built = buildVhdx({ blocks, parent: { ...parent, disk: Buffer.alloc(0) }, seed: 4 });
    const layer = vhdx.open(vhdxSource("test.vhdx", built), withParent(baseImage), {});
    expect(built.positions.bitmaps.size).toBe(4);
    for (let block = 4000; block < blocks.length; block += 1) {
      const expected = Buffer.alloc(4096);
      const what = blocks[block] ?? absent;
      if (Buffer.isBuffer(what)) what.copy(expected);
      else if (!("state" in what)) {
        for (let at = 0; at < 8; at += 1) if (here(at)) what.content.copy(expected, at * 512, at * 512, at * 512 + 512);
      }
      expect(difference(readRange(layer, block * MIB, 4096), expected), `block ${block}`).toBeUndefined();
    }
    expect(layer.map(4 * MIB, 2 ** 50)).toEqual({ kind: "parent", length: 4090 * MIB, offset: 4 * MIB });
    expect(layer.map(8194 * MIB, 2 ** 50)).toEqual({ kind: "parent", length: 4093 * MIB, offset: 8194 * MIB });
  });

  test("a block whose bitmap is read in several pieces", () => {
    const blockSize = 256 * MIB;
    const edge = 131_072;
    const blocks = [{ content: noise(1, 4096), here: (at: number) => at < 3 || (at >= edge + 5 && at < 3 * edge + 7) }];
    const layer = vhdx.open(vhdxSource("test.vhdx", buildVhdx({ blocks, blockSize, parent })), withParent(baseImage), {});
    const kinds: (string | number)[][] = [];
    for (let offset = 0; offset < layer.size; ) {
      const { kind, length } = layer.map(offset, layer.size - offset);
      const last = kinds.at(-1);
      if (last?.[0] === kind) last[1] = Number(last[1]) + length;
      else kinds.push([kind, length]);
      offset += length;
    }
    expect(kinds).toEqual([
      ["data", 3 * 512],
      ["parent", (edge + 2) * 512],
      ["data", (2 * edge + 2) * 512],
      ["parent", (edge - 7) * 512],
    ]);
  });

  test.each([
    ["no locator", { blocks: [absent], blockFlags: 2 }, "CORRUPT", "does not tell which its parent is"],
    ["a locator of another type", { blocks: [absent], parent, locatorType: guidOf("iSCSI") }, "UNSUPPORTED", guidOf("iSCSI").toUpperCase()],
    ["no linkage", { blocks: [absent], parent: { ...parent, entries: { relative_path: "a" } } }, "CORRUPT", "parent_linkage"],
    ["a linkage that is none", { blocks: [absent], parent: { ...parent, entries: { parent_linkage: "{0}" } } }, "CORRUPT", "no GUID"],
  ] as const)("%s: refused", (_, shape, code, message) => {
    const error = imageErrorOf(() => openShape(shape, withParent(baseImage)));
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string, file: "test.vhdx" });
  });

  test.each([
    ["more entries than there is room for", 18, [0xff, 0xff], "CORRUPT"],
    ["a value outside", 24, [0xff, 0xff, 0xff, 0x7f], "CORRUPT"],
    ["a key outside is no known key", 20, [0xff, 0xff, 0xff, 0x7f], "CORRUPT"],
  ])("a locator with %s", (_, at, bytes, code) => {
    const content = locatorBytes({ parent_linkage: `{${base.dataWriteGuid}}` });
    content.set(bytes, at);
    const shape: VhdxShape = { blocks: [absent], blockFlags: 2, items: [{ guid: guids.locator, content, flags: 4 }] };
    expect(imageErrorOf(() => openShape(shape))).toMatchObject({ code });
  });
});
