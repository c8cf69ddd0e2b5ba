import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { vhd } from "../../src/formats/vhd/index.js";
import { sliceSource } from "../../src/source/slice.js";
import { memorySource } from "../../src/source/memory.js";
import { noise } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { flatOf, difference, imageErrorOf, readRange } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";
import { buildVhd, ID, signed, type VhdShape, wide } from "../support/vhd-builder.js";
import {
  changed,
  disorder,
  notesOf,
  nothingElse,
  openBytes,
  probe,
  speckled,
  striped,
  u32,
  u64,
  whole,
  wishOf,
  withFooter,
  withHeader,
} from "../support/vhd-images.js";

const MIB = 2 ** 20;
const BASE = "11111111-2222-3333-4455-66778899aabb";

function built(name: string, shape: VhdShape): Sample {
  const { image, disk } = buildVhd(shape);
  return { name, image, disk };
}

/** A differencing image over one of 8 blocks of 4 KiB. */
function over(
  name: string,
  shape: Omit<VhdShape, "parent">,
  base: VhdShape = { blocks: [5, "free", 0, 6, 3, 1, 2, 4], blockSize: 4096, seed: 2 },
): Sample {
  const parent = buildVhd({ ...base, id: BASE });
  const locators = [{ code: "W2ru", content: wide(".\\base.vhd") }];
  const { image, disk } = buildVhd({ blockSize: 4096, ...shape, parent: { id: BASE, disk: parent.disk, name: "base.vhd", locators } });
  return { name, image, disk, parts: { ".\\base.vhd": parent.image } };
}

describeDriver(vhd, [
  built("fixed", { type: 2, blocks: [0, 0, 0, 0] }),
  built("fixed, with a footer of 511 bytes", { type: 2, blocks: [0, 0, 0], footer: 511 }),
  built("fixed, of a size that is no multiple of anything", { type: 2, blocks: [], size: 1234 }),
  built("dynamic, blocks of 512 bytes out of order", { blocks: [3, 0, "free", 2, "free", 1] }),
  built("dynamic, many blocks in disorder", { blocks: disorder(60, 7), blockSize: 1024 }),
  built("dynamic, blocks in order", { blocks: [0, 1, 2, 3], blockSize: 4096 }),
  built("dynamic, blocks of 64 KiB", { blocks: [1, "free", 0], blockSize: 65_536 }),
  built("dynamic, a disk that ends inside a sector", { blocks: [2, "free", 0, 1], blockSize: 1024, size: 3 * 1024 + 577 }),
  built("dynamic, bitmaps that mark nothing", { blocks: [1, 0], blockSize: 4096, marked: () => false }),
  built("dynamic, everything elsewhere, and more entries than needed", {
    blocks: disorder(9, 3),
    blockSize: 2048,
    headerPosition: 2048,
    gap: 1536,
    spare: 200,
  }),
  built("dynamic, with a footer of 511 bytes", { blocks: disorder(9, 4), footer: 511 }),
  built("dynamic, without the footer at the end", { blocks: disorder(9, 5), footer: 0 }),
  built("dynamic, of tapdisk: bitmaps count", {
    blocks: disorder(6, 6),
    blockSize: 32_768,
    creator: "tap\0",
    creatorVersion: 0x00010003,
    batmap: true,
    hidden: true,
    marked: speckled,
  }),
  built("dynamic, of tapdisk 0.1", {
    blocks: disorder(6, 6),
    blockSize: 32_768,
    creator: "tap\0",
    creatorVersion: 1,
    reversed: true,
    marked: speckled,
  }),
  over("differencing", { blocks: ["free", 1, "free", "free", 0, "free", 2, 3], marked: speckled }),
  over("differencing, blocks of 32 KiB over blocks of 4 KiB", { blocks: [0], blockSize: 32_768, marked: speckled }),
  over("differencing, blocks of 512 bytes", { blocks: disorder(64, 8), blockSize: 512, marked: speckled }),
  over("differencing, larger than its parent", {
    blocks: ["free", 0, 1, 2, "free", "free", "free", "free", 3, "free", "free", 4],
    marked: striped,
  }),
  over("differencing, smaller than its parent, and cut inside a sector", { blocks: [1, "free", 0], size: 9000, marked: speckled }),
  over("differencing, of tapdisk 0.1", {
    blocks: [1, "free", 0, 2, "free", "free", "free", "free"],
    creator: "tap\0",
    creatorVersion: 1,
    reversed: true,
    marked: speckled,
  }),
]);

describe("every type and shape", () => {
  test("fixed: the bytes as they are, then the footer", () => {
    const { image, disk } = buildVhd({ type: 2, blocks: [0, 0, 0] });
    const layer = openBytes(image);
    expect(layer.map(100, 9999)).toMatchObject({ kind: "data", length: 1436, position: 100 });
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(layer.facts()).toMatchObject({ variant: "fixed", notes: [] });
  });

  test("fixed: a hole of the file is zeros, and stops at the footer", () => {
    const { image } = buildVhd({ type: 2, blocks: Array<number>(8).fill(0) });
    for (const content of [image, withFooter(image, 48, u64(9999))]) {
      // As if the file were a hole from byte 1000 on.
      const run = (position: number) => ({ data: position < 1000, length: (position < 1000 ? 1000 : content.length) - position });
      const layer = vhd.open({ ...memorySource("test.vhd", content), run }, nothingElse, {});
      expect(layer.map(10, 9989)).toMatchObject({ kind: "data", length: 990, position: 10 });
      expect(layer.map(1000, 8999)).toEqual({ kind: "zero", length: 3096 });
      if (layer.size > 4096) expect(layer.map(4096, 99).kind).toBe("damaged");
    }
  });

  test.each([512, 1024, 4096, 65_536, MIB, 2 * MIB, 4 * MIB])("blocks of %i bytes", (blockSize) => {
    const { image, disk } = buildVhd({ blocks: [2, "free", 0, 1], blockSize, size: 4 * blockSize - 300 });
    const layer = openBytes(image);
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(layer.facts()).toMatchObject({ variant: "dynamic", details: { "block size": blockSize }, notes: [] });
  });

  test("a block is one extent behind its bitmap, and blocks that are not stored are one", () => {
    const { image, slot, bitmapSize } = buildVhd({ blocks: ["free", "free", 1, 0, "free"], blockSize: 8192 });
    const layer = openBytes(image);
    expect(layer.map(5, 99_999)).toEqual({ kind: "parent", length: 2 * 8192 - 5, offset: 5 });
    expect(layer.map(2 * 8192 + 700, 99_999)).toMatchObject({ kind: "data", length: 8192 - 700, position: slot(1) + bitmapSize + 700 });
  });

  test("a bitmap has one bit for a sector, in whole sectors", () => {
    for (const [blockSize, sectors] of [
      [512, 1],
      [2 * MIB, 1],
      [4 * MIB, 2],
      [16 * MIB, 8],
    ] as const) {
      const { image, slot } = buildVhd({ blocks: [0], blockSize });
      expect(openBytes(image).map(0, 1), String(blockSize)).toMatchObject({ kind: "data", position: slot(0) + sectors * 512 });
    }
  });

  test("blocks of 256 MiB, with a bitmap of 64 KiB", () => {
    const { image, slot } = buildVhd({ blocks: [0], parent: { id: BASE, disk: Buffer.alloc(0) } });
    const head = withFooter(withHeader(image, 32, u32(256 * MIB)), 48, u64(200 * MIB));
    const bitmap = Buffer.alloc(65_536);
    // All sectors of the first MiB but the last two, and the first of the second.
    bitmap.fill(0xff, 0, 256).writeUInt16BE(0xfffc, 254);
    bitmap[256] = 0x80;
    const position = slot(0) + bitmap.length;
    const content = Buffer.concat([head.subarray(0, slot(0)), bitmap, noise(1, 2 * MIB), head.subarray(-512)]);
    const { layer } = wishOf(content);
    expect(layer.map(7, 200 * MIB)).toMatchObject({ kind: "data", length: MIB - 1024 - 7, position: position + 7 });
    expect(layer.map(MIB - 1024, 200 * MIB)).toEqual({ kind: "parent", length: 1024, offset: MIB - 1024 });
    expect(layer.map(MIB, 200 * MIB)).toMatchObject({ kind: "data", length: 512, position: position + MIB });
    expect(layer.map(MIB + 512, 200 * MIB)).toEqual({ kind: "parent", length: 199 * MIB - 512, offset: MIB + 512 });
  });

  test("more entries than the disk needs: the view ends with the current size", () => {
    const { image, disk } = buildVhd({ blocks: [1, 0, 2], blockSize: 4096, spare: 1000, size: 2 * 4096 + 512 });
    const layer = openBytes(image);
    expect(layer.size).toBe(2 * 4096 + 512);
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(layer.map(2 * 4096, 9999)).toMatchObject({ kind: "data", length: 512 });
  });

  test("a disk of 2040 GiB takes no memory until it is read", () => {
    const blockSize = 2 * MIB;
    const count = 1020 * 1024;
    const { image, tablePosition } = buildVhd({
      blocks: Array<"free">(count)
        .fill("free")
        .with(-1, 0 as never),
      blockSize: 512,
    });
    const large = withFooter(withHeader(image, 32, u32(blockSize)), 48, u64(count * blockSize));
    const position = Math.ceil((tablePosition + count * 4) / 512) * 512;
    const data = Buffer.concat([large.subarray(0, position), Buffer.alloc(512, 0xff), noise(5, blockSize), large.subarray(-512)]);
    const layer = openBytes(data);
    expect(layer.size).toBe(2040 * 2 ** 30);
    expect(layer.map(0, 2 ** 41)).toEqual({ kind: "parent", length: 16_384 * blockSize, offset: 0 });
    expect(difference(readRange(layer, layer.size - 600, 600), noise(5, blockSize).subarray(-600))).toBeUndefined();
  });

  test("blocks of 512 bytes: a table far larger than its disk", () => {
    const { image, disk } = buildVhd({ blocks: disorder(40_000, 9) });
    expect(difference(whole(openBytes(image)), disk)).toBeUndefined();
  });

  test("a part of another file", () => {
    const { image, disk } = buildVhd({ blocks: disorder(9, 2), blockSize: 1024 });
    const source = sliceSource(memorySource("x", Buffer.concat([noise(1, 777), image, noise(2, 99)])), 777, image.length);
    expect(difference(whole(vhd.open(source, nothingElse, {})), disk)).toBeUndefined();
  });
});

describe("sector bitmaps of dynamic disks", () => {
  test("a bit that is clear: what is stored is given all the same", () => {
    for (const marked of [() => false, speckled]) {
      const { image, disk } = buildVhd({ blocks: [1, 0], blockSize: 65_536, marked });
      expect(difference(whole(openBytes(image)), disk)).toBeUndefined();
      expect(disk.includes(Buffer.alloc(512))).toBe(false);
    }
  });

  test.each([
    ["tap\0", 0x00010003, false],
    ["tap\0", 0x00010001, false],
    ["tap\0", 0x00000001, true],
  ] as const)("tapdisk (%j %i): a bit that is clear is zeros, never what the volume held before", (creator, creatorVersion, reversed) => {
    const { image, disk } = buildVhd({ blocks: [1, 0], blockSize: 65_536, marked: speckled, creator, creatorVersion, reversed });
    const layer = openBytes(image);
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(disk.includes(Buffer.alloc(512))).toBe(true);
    expect(layer.facts().details["sector bitmaps"]).toBe(reversed ? "least significant bit first" : undefined);
  });

  test("tapdisk's map of full blocks changes nothing", () => {
    const shape = { blocks: [1, "free", 0], blockSize: 65_536, marked: speckled, creator: "tap\0", creatorVersion: 0x00010003 } as const;
    const { image, disk } = buildVhd({ ...shape, batmap: true });
    expect(image.includes("tdbatmap")).toBe(true);
    expect(difference(whole(openBytes(image)), disk)).toBeUndefined();
  });
});

describe("the footer", () => {
  const { image, disk, headerPosition } = buildVhd({ blocks: [2, 0, "free", 1], blockSize: 4096 });
  const fixed = buildVhd({ type: 2, blocks: [0, 0, 0, 0] });

  test("of 511 bytes, as before Virtual PC 2004", () => {
    for (const shape of [{ type: 2, blocks: [0, 0, 0] }, { blocks: [2, "free", 0, 1] }] as const) {
      const short = buildVhd({ ...shape, footer: 511 });
      const layer = openBytes(short.image);
      expect(probe(short.image)).toBe(true);
      expect(difference(whole(layer), short.disk)).toBeUndefined();
      expect(notesOf(layer)).toContain("511 bytes");
    }
  });

  test.each([
    ["missing", image.subarray(0, -512)],
    ["cut", image.subarray(0, -100)],
    ["followed by something", Buffer.concat([image, Buffer.alloc(4096)])],
    ["overwritten", changed(image, image.length - 512, [0])],
  ])("at the end is %s: the copy at the beginning is used", (state, content) => {
    const layer = openBytes(content);
    expect(probe(content)).toBe(true);
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(notesOf(layer)).toContain("Its footer at the end is missing, the copy at the beginning is used");
    expect(state).toBeDefined();
  });

  test("at the end has a wrong checksum: the copy at the beginning is used", () => {
    const content = changed(image, image.length - 512 + 50, [9, 9]);
    const layer = openBytes(content);
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(notesOf(layer)).toContain("Its footer at the end is damaged, the copy at the beginning is used");
  });

  test("the copy at the beginning is not needed", () => {
    const content = changed(image, 0, Array<number>(512).fill(0));
    expect(probe(content)).toBe(true);
    const layer = openBytes(content);
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(notesOf(layer)).toBe("");
  });

  test("both have a wrong checksum, and make sense: read, and told", () => {
    for (const content of [
      changed(changed(image, 300, [1]), image.length - 200, [1]),
      changed(fixed.image, fixed.image.length - 200, [1]),
    ]) {
      expect(probe(content)).toBe(true);
      const layer = openBytes(content);
      expect(difference(whole(layer), content.length === image.length ? disk : fixed.disk)).toBeUndefined();
      expect(notesOf(layer)).toContain("checksum of its footer is wrong");
    }
  });

  test("differs from its copy: told", () => {
    const other = changed(image, 0, [...signed(changed(image.subarray(0, 512), 48, u64(512)), 64)]);
    const layer = openBytes(other);
    expect(layer.size).toBe(disk.length);
    expect(notesOf(layer)).toContain("the copy of it at the beginning differ");
  });

  test("hidden by an early tapdisk, which forgot the checksum", () => {
    const tap = buildVhd({ blocks: [1, 0], creator: "tap\0", creatorVersion: 0x00010001 });
    const layer = openBytes(changed(tap.image, tap.image.length - 512 + 85, [1]));
    expect(layer.facts()).toMatchObject({ details: { hidden: true }, notes: [] });
    const other = buildVhd({ blocks: [1, 0], creator: "tap\0", creatorVersion: 0x00010003, footer: 512 });
    expect(notesOf(openBytes(changed(other.image, other.image.length - 512 + 85, [1])))).toContain("damaged");
  });

  test('byte 85 is Xen\'s flag "hidden", and no reason to refuse', () => {
    const hidden = buildVhd({ blocks: [1, 0], creator: "tap\0", creatorVersion: 0x00010003, hidden: true });
    const layer = openBytes(hidden.image);
    expect(difference(whole(layer), hidden.disk)).toBeUndefined();
    expect(layer.facts().details["hidden"]).toBe(true);
  });

  test("a saved state is told", () => {
    const saved = buildVhd({ blocks: [1, 0], savedState: true });
    const layer = openBytes(saved.image);
    expect(difference(whole(layer), saved.disk)).toBeUndefined();
    expect(layer.facts().details["saved state"]).toBe(true);
    expect(notesOf(layer)).toContain("saved state");
  });

  test("facts", () => {
    const { image: content } = buildVhd({ blocks: [0, "free"], timeStamp: 1, geometry: [900, 16, 63], creator: "vbox" });
    expect(openBytes(content).facts()).toEqual({
      variant: "dynamic",
      details: {
        "block size": 512,
        "size taken from": "current size",
        "cylinders/heads/sectors": "900/16/63",
        "creator application": "vbox 6.1 (VirtualBox)",
        "creator host OS": "Windows",
        created: "2000-01-01T00:00:01.000Z",
        UUID: ID,
      },
      notes: [],
    });
  });

  test("its UUID is what children know it by", () => {
    expect(vhd.identities?.(memorySource("x", image))).toEqual([{ kind: "UUID", value: ID }]);
    expect(image.subarray(68, 72).toString("hex")).toBe(ID.slice(0, 8));
    const none = buildVhd({ blocks: [0], id: "00000000-0000-0000-0000-000000000000" });
    expect(vhd.identities?.(memorySource("x", none.image))).toEqual([]);
    expect(notesOf(openBytes(none.image))).toContain("no UUID");
    expect(headerPosition).toBe(512);
  });
});

describe("what is taken for a VHD", () => {
  const dynamic = buildVhd({ blocks: [2, 0, "free", 1], blockSize: 4096 }).image;
  const fixed = buildVhd({ type: 2, blocks: [0, 0, 0, 0] }).image;
  const footerOf = (content: Buffer) => content.subarray(-512);
  const other = (length: number) => Buffer.concat([Buffer.from("QFI\xfb\0\0\0\x03", "latin1"), noise(3, length - 8)]);

  test("another image whose last sector speaks of conectix is not", () => {
    const text = Buffer.alloc(512);
    text.write("conectix, says the last sector of this image", 0, "latin1");
    expect(probe(Buffer.concat([other(65_536), text]))).toBe(false);
    expect(probe(Buffer.concat([other(65_536), text.subarray(0, 511)]))).toBe(false);
    expect(probe(Buffer.concat([text, other(65_536)]))).toBe(false);
  });

  test("another image that ends with the footer of a dynamic disk is not", () => {
    expect(probe(Buffer.concat([other(65_536), footerOf(dynamic)]))).toBe(false);
  });

  test("another image that ends with the footer of a fixed disk of quite another size is not", () => {
    expect(probe(Buffer.concat([other(3 * MIB), footerOf(fixed)]))).toBe(false);
    const larger = buildVhd({ type: 2, blocks: [0], blockSize: 2 * MIB }).image;
    expect(probe(Buffer.concat([other(MIB), footerOf(larger)]))).toBe(false);
  });

  test("a fixed disk whose guest begins it with a dynamic disk's header is fixed", () => {
    const disk = Buffer.concat([dynamic.subarray(0, 2048), noise(1, 2048)]);
    const size = u64(disk.length);
    const content = Buffer.concat([disk, signed(changed(footerOf(fixed), 48, size), 64)]);
    expect(probe(content)).toBe(true);
    expect(difference(whole(openBytes(content)), disk)).toBeUndefined();
  });

  test("a file that begins with the footer of a fixed disk is not", () => {
    const content = Buffer.concat([footerOf(fixed), noise(1, 4096)]);
    expect(probe(content)).toBe(false);
    expect(imageErrorOf(() => openBytes(content))).toMatchObject({ code: "WRONG_FORMAT" });
  });

  test("a dynamic disk whose header cannot be seen is, and one that was lost is told", () => {
    const far = buildVhd({ blocks: [0], headerPosition: 2 ** 17 });
    expect(probe(far.image)).toBe(true);
    expect(difference(whole(openBytes(far.image)), far.disk)).toBeUndefined();
    const lost = changed(dynamic, 512, [0]);
    expect(probe(lost)).toBe(true);
    expect(imageErrorOf(() => openBytes(lost))).toMatchObject({ code: "CORRUPT", position: 512 });
  });

  test("nothing short or empty is", () => {
    for (const length of [0, 7, 510, 511, 512]) expect(probe(noise(1, length)), String(length)).toBe(false);
    expect(probe(Buffer.from(footerOf(dynamic)))).toBe(false);
  });
});

describe("the size of the disk", () => {
  /** A dynamic disk of 16 sectors by its current size, and of 2 · 3 · 2 by its geometry. */
  const small = (creator: string, more: Partial<VhdShape> = {}) =>
    openBytes(buildVhd({ blocks: [1, 0], blockSize: 4096, creator, geometry: [2, 3, 2], ...more }).image);

  test.each(["vpc ", "qemu"])("%s: that of the geometry, and told", (creator) => {
    const layer = small(creator);
    expect(layer.size).toBe(12 * 512);
    expect(layer.facts().details["size taken from"]).toBe("geometry");
    expect(notesOf(layer)).toContain("current size of 8192 bytes");
  });

  test.each(["win ", "qem2", "d2v ", "tap\0", "CTXS", "wa\0\0", "vbox", "vs  ", "\0\0\0\0"])("%j: the current size", (creator) => {
    const layer = small(creator);
    expect(layer.size).toBe(16 * 512);
    expect(layer.facts().details["size taken from"]).toBe("current size");
    expect(notesOf(layer)).toBe("");
  });

  test("the largest geometry there is tells nothing", () => {
    const size = 65535 * 16 * 255 * 512;
    const { image } = buildVhd({ blocks: Array<"free">(64).fill("free"), blockSize: 512, creator: "vpc ", geometry: [65535, 16, 255] });
    const large = withFooter(withHeader(image, 32, u32(2 ** 31)), 48, u64(size - 512));
    expect(openBytes(large).size).toBe(size - 512);
    expect(small("vpc ", { geometry: [65535, 16, 255] }).size).toBe(16 * 512);
  });

  test("a geometry of nothing, or beyond what the file has place for, is not used", () => {
    expect(small("vpc ", { geometry: [0, 3, 2] }).size).toBe(16 * 512);
    expect(small("vpc ", { geometry: [4, 5, 1] }).size).toBe(16 * 512);
    // With entries for it, the guest had it.
    expect(small("qemu", { geometry: [4, 5, 1], spare: 1 }).size).toBe(20 * 512);
    const fixed = buildVhd({ type: 2, blocks: Array<number>(16).fill(0), creator: "vpc ", geometry: [17, 1, 1] });
    expect(openBytes(fixed.image).size).toBe(16 * 512);
    expect(openBytes(withFooter(fixed.image, 56, [0, 15])).size).toBe(15 * 512);
  });

  test("a fixed disk that is longer than it says", () => {
    const { image, disk } = buildVhd({ type: 2, blocks: [0, 0], padding: 4096 });
    expect(probe(image)).toBe(true);
    const layer = openBytes(image);
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(notesOf(layer)).toContain("4096 bytes that belong to neither");
  });

  test("a fixed disk that is shorter than it says is damaged behind its end, and the footer is no data", () => {
    const { image, disk } = buildVhd({ type: 2, blocks: [0, 0, 0, 0] });
    for (const length of [4 * 512 + 100, 4 * 512 + 512, 2 ** 43]) {
      const layer = openBytes(withFooter(image, 48, u64(length)));
      expect(layer.size).toBe(length);
      expect(difference(readRange(layer, 0, 2048), disk)).toBeUndefined();
      expect(layer.map(2000, 999)).toMatchObject({ kind: "data", length: 48 });
      expect(layer.map(2048, 10)).toMatchObject({ kind: "damaged", length: 10, error: { code: "CORRUPT", position: 2048 } });
      expect(notesOf(layer)).toContain(`the disk has ${length} bytes, 2048 are there`);
    }
    const layer = openBytes(withFooter(image, 48, u64(9999)));
    expect(layer.map(3000, 10)).toMatchObject({ kind: "damaged", error: { code: "TRUNCATED", position: 3000 } });
  });
});

describe("what VHD cannot read", () => {
  const { image, disk, tablePosition, slot, bitmapSize } = buildVhd({ blocks: [2, 0, "free", 1], blockSize: 4096 });
  const open = (content: Buffer) => imageErrorOf(() => openBytes(content));
  const at = image.length - 512;

  test.each([
    ["VHD version 2", 12, u32(0x20000), "UNSUPPORTED", "VHD version 2.0"],
    ["type 0", 60, u32(0), "UNSUPPORTED", "disk type is 0"],
    ["type 5", 60, u32(5), "UNSUPPORTED", "disk type is 5"],
    ["an image that vhd-util has marked", 0, [...Buffer.from("v_poison")], "UNSUPPORTED", "v_poison"],
    ["a current size beyond 2^53 bytes", 48, u64(2n ** 53n), "CORRUPT", "2^53"],
  ] as const)("%s", (_, position, bytes, code, message) => {
    expect(open(withFooter(image, position, bytes))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      file: "test.vhd",
      position: at + position,
    });
  });

  test.each([
    ["no dynamic disk header where it should be", 0, [0x41], "CORRUPT", '"Axsparse"', 512],
    ["version 2 of the dynamic disk header", 24, u32(0x20000), "UNSUPPORTED", "version 2.0", 536],
    ["blocks of 0 bytes", 32, u32(0), "CORRUPT", "block size is 0", 544],
    ["blocks of 256 bytes", 32, u32(256), "CORRUPT", "block size is 256", 544],
    ["blocks of 1536 bytes", 32, u32(1536), "CORRUPT", "block size is 1536", 544],
    ["blocks of 3 GiB", 32, u32(0xc0000000), "CORRUPT", "block size is 3221225472", 544],
    ["too few entries", 28, u32(3), "CORRUPT", "3 blocks of 4096 bytes cannot hold a disk of 16384 bytes", 540],
    ["a table over the header", 16, u64(1528), "CORRUPT", "lies over the dynamic disk header", 528],
    ["a table behind the end of the file", 16, u64(2 ** 40), "TRUNCATED", "leaves the file", 528],
    ["a table beyond 2^53", 16, u64(2n ** 60n), "CORRUPT", "2^53", 528],
  ] as const)("%s", (_, position, bytes, code, message, where) => {
    expect(open(withHeader(image, position, bytes))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
      file: "test.vhd",
      position: where,
    });
  });

  test("a dynamic disk header behind the end of the file", () => {
    for (const position of [BigInt(image.length), 2n ** 40n, 2n ** 64n - 1n]) {
      expect(open(withFooter(image, 16, u64(position)))).toMatchObject({ code: "TRUNCATED" });
    }
  });

  test("a disk that needs fewer entries than its blocks would have is read", () => {
    expect(openBytes(withFooter(withHeader(image, 28, u32(2)), 48, u64(8192))).size).toBe(8192);
  });

  test("a wrong checksum of the dynamic disk header is told", () => {
    const layer = openBytes(changed(image, 512 + 900, [1]));
    expect(difference(whole(layer), disk)).toBeUndefined();
    expect(notesOf(layer)).toContain("checksum of its dynamic disk header is wrong");
  });

  test("a snapshot", () => {
    const error = imageErrorOf(() => vhd.open(memorySource("test.vhd", image), nothingElse, { snapshot: "1" }));
    expect(error).toMatchObject({ code: "UNSUPPORTED", hint: expect.stringContaining(".avhd") as string });
  });

  test("no VHD at all", () => {
    for (const content of [Buffer.alloc(0), Buffer.alloc(511), noise(1, 4096)])
      expect(open(content)).toMatchObject({ code: "WRONG_FORMAT" });
  });

  test("a block behind the end of the file is an error, not zeros", () => {
    for (const sector of [0x7fffffff, 0xfffffffe, Math.ceil(image.length / 512)]) {
      const layer = openBytes(changed(image, tablePosition + 4, u32(sector)));
      expect(layer.map(5000, 99), String(sector)).toMatchObject({ kind: "damaged", length: 99, error: { code: "TRUNCATED" } });
      expect(difference(readRange(layer, 0, 4096), disk.subarray(0, 4096))).toBeUndefined();
      expect(difference(readRange(layer, 8192, 8192), disk.subarray(8192))).toBeUndefined();
    }
  });

  test("a block that runs into the footer is data up to there", () => {
    const layer = openBytes(changed(image, tablePosition + 4, u32((slot(2) + 1024) / 512)));
    expect(layer.map(4096, 9999)).toMatchObject({ kind: "data", length: 4096 - 1024, position: slot(2) + 1024 + bitmapSize });
    expect(layer.map(8192 - 1024, 99)).toMatchObject({ kind: "damaged", length: 99, error: { code: "CORRUPT", position: at } });
    expect(layer.map(8192 - 512, 99)).toMatchObject({ kind: "damaged", length: 99, error: { code: "TRUNCATED" } });
  });

  test.each([
    ["the copy of the footer", 0],
    ["the dynamic disk header", 1],
    ["the table itself", 3],
  ])("a block in the place of %s", (what, sector) => {
    const layer = openBytes(changed(image, tablePosition + 4, u32(sector)));
    const message = `the block allocation table names sector ${sector}, where ${what} is, for block 1`;
    expect(tablePosition).toBe(3 * 512);
    expect(layer.map(4096, 9999)).toMatchObject({
      kind: "damaged",
      length: 4096,
      error: { code: "CORRUPT", message, position: tablePosition + 4 },
    });
  });

  test("a file that is cut: the blocks that are there are read", () => {
    const cut = image.subarray(0, slot(1) + bitmapSize + 1000);
    const layer = openBytes(cut);
    expect(notesOf(layer)).toContain("the copy at the beginning is used");
    expect(difference(readRange(layer, 4096, 4096), disk.subarray(4096, 8192))).toBeUndefined();
    expect(difference(readRange(layer, 3 * 4096, 1000), disk.subarray(3 * 4096, 3 * 4096 + 1000))).toBeUndefined();
    expect(layer.map(3 * 4096 + 1000, 50)).toMatchObject({ kind: "damaged", length: 50, error: { code: "TRUNCATED" } });
    expect(layer.map(0, 50)).toMatchObject({ kind: "damaged", length: 50, error: { code: "TRUNCATED" } });
  });

  test("a table that cannot be read is an error for what it maps", () => {
    const inner = memorySource("test.vhd", image);
    let broken = false;
    const read = (target: Uint8Array, position: number) => {
      if (broken && position === tablePosition) throw Object.assign(new Error("i/o error"), { code: "EIO" });
      inner.read(target, position);
    };
    const layer = vhd.open({ ...inner, read }, nothingElse, {});
    broken = true;
    expect(layer.map(0, 99_999)).toMatchObject({ kind: "damaged", length: 16_384, error: { code: "UNREADABLE" } });
    broken = false;
    expect(layer.map(0, 99_999)).toMatchObject({ kind: "data" });
  });
});

describe("disks that were split", () => {
  const directory = tempDirectory();

  test("into several files, joined with --part", () => {
    for (const shape of [{ blocks: [2, "free", 0, 1], blockSize: 4096 } as const, { type: 2, blocks: Array<number>(30).fill(0) }]) {
      const { image, disk } = buildVhd(shape);
      const [first = "", ...parts] = ["a.vhd", "a.v01", "a.v02"].map((name) => join(directory, name));
      for (const [index, path] of [first, ...parts].entries())
        writeFileSync(path, image.subarray(index * 5000, index === 2 ? undefined : (index + 1) * 5000));
      expect(difference(flatOf(first, { parts }), disk)).toBeUndefined();
    }
  });
});
