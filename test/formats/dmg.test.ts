import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { FileEnds, Layer, Opener } from "../../src/formats/driver.js";
import { unpackBzip2 } from "../../src/formats/bzip2.js";
import { dmg } from "../../src/formats/dmg/index.js";
import { unpackLzfse } from "../../src/formats/dmg/lzfse.js";
import { unpackXz } from "../../src/formats/xz.js";
import { memorySource } from "../../src/source/memory.js";
import { mixed, noise, text } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { type BuiltDmg, buildDmg, type ChunkKind, type DmgShape, footerOf } from "../support/dmg-builder.js";
import { lzfse } from "../support/lzfse-builder.js";
import { flat, requireProgram, run } from "../support/qemu.js";
import { difference, imageErrorOf, readRange } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const one = (...kinds: readonly ChunkKind[]) => ({ chunks: kinds.map((kind, index) => ({ kind, sectors: 5 + index })) });

/** Every shape that the builder makes, by name. */
const shapes = {
  "all kinds of chunks": { tables: [one("zlib", "raw", "zero", "adc", "bzip2", "ignore", "lzfse", "lzma", "zlib")], comments: true },
  "zlib, in the file backwards": { tables: [one("zlib", "raw", "zlib", "zlib", "raw")], backwards: true },
  ADC: {
    tables: [
      {
        chunks: [
          { kind: "adc", sectors: 60 },
          { kind: "adc", sectors: 3 },
          { kind: "raw", sectors: 1 },
        ],
      },
    ],
  },
  bzip2: {
    tables: [
      {
        chunks: [
          { kind: "bzip2", sectors: 40 },
          { kind: "bzip2", sectors: 1 },
        ],
      },
    ],
    comments: true,
  },
  LZFSE: {
    tables: [
      {
        chunks: [
          { kind: "lzfse", sectors: 40 },
          { kind: "zero", sectors: 3 },
          { kind: "lzfse", sectors: 2 },
        ],
      },
    ],
  },
  LZMA: {
    tables: [
      {
        chunks: [
          { kind: "lzma", sectors: 40 },
          { kind: "lzma", sectors: 1 },
        ],
      },
    ],
  },
  "several tables": { tables: [one("raw"), one("zlib", "zero", "zlib"), one("ignore"), one("zlib", "raw")], comments: true },
  "sectors between and behind the tables": {
    tables: [
      { gap: 3, ...one("raw", "zlib") },
      { gap: 40, ...one("zlib") },
    ],
    freeSectors: 7,
  },
  "a footer of more sectors than tables": { tables: [one("zlib")], sectorCount: 5 },
  "a resource fork": { tables: [one("zlib", "zero", "raw"), one("adc", "raw")], directory: "resources" },
  "a property list and a resource fork": { tables: [one("zlib", "raw"), one("zlib")], directory: "both" },
  "a footer at the start": { tables: [one("zlib", "raw", "zero"), one("adc")], footer: "start", directory: "resources" },
  "a data fork that starts later, and tables that count from later": {
    tables: [one("zlib", "raw", "zlib")],
    dataForkPosition: 1000,
    dataOffset: 77,
  },
  plain: { tables: [one("raw", "raw", "zero", "raw")] },
} as const satisfies Record<string, DmgShape>;

function sampleOf([name, shape]: readonly [string, DmgShape]): Sample {
  const { image, disk } = buildDmg(shape);
  return { name, image, disk };
}

const programs = ["bzip2", "xz"].every((program) => requireProgram(program));
const readable = Object.entries<DmgShape>(shapes).filter(
  ([, { tables }]) => programs || !tables.some(({ chunks }) => chunks.some(({ kind }) => kind === "bzip2" || kind === "lzma")),
);

/** No property list and no resource fork: the data fork is the disk. */
const stub: Sample = (() => {
  const disk = noise(77, 30 * 512);
  return {
    name: "neither a property list nor a resource fork",
    disk,
    image: Buffer.concat([disk, footerOf({ dataFork: 0, dataSize: disk.length, fork: [0, 0], plist: [0, 0], sectors: 30, segments: 0 })]),
  };
})();

describeDriver(dmg, [...readable.map(sampleOf), stub]);

const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function openBytes(image: Uint8Array, options = {}): Layer {
  return dmg.open(memorySource("test.dmg", image), nothingElse, options);
}

function endsOf(image: Buffer): FileEnds {
  return { head: image.subarray(0, 65536), tail: image.subarray(-512), size: image.length };
}

function changed(image: Buffer, at: number, bytes: readonly number[] | string): Buffer {
  const copy = Buffer.from(image);
  copy.set(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, at);
  return copy;
}

const u64 = (value: number | bigint) => [...Buffer.from(BigInt(value).toString(16).padStart(16, "0"), "hex")];

describe("what is a disk image of Apple's", () => {
  const { image, footerPosition } = buildDmg(shapes.plain);

  test.each([
    ["another version", 4, [0, 0, 0, 5]],
    ["a footer of another size", 8, [0, 0, 1, 0]],
    ["a data fork that leaves the file", 32, u64(2 ** 40)],
    ["a property list that leaves the file", 216, u64(2 ** 40)],
    ["a position beyond 2^53", 216, u64(2n ** 60n)],
  ])("a guest's last sector is taken for no footer: %s", (_, at, bytes) => {
    expect(dmg.probe(endsOf(image))).toBe(true);
    const other = changed(image, footerPosition + at, bytes);
    expect(dmg.probe(endsOf(other))).toBe(false);
    expect(imageErrorOf(() => openBytes(other))).toMatchObject({ code: "CORRUPT", file: "test.dmg" });
  });

  test("a footer at the start must be followed by its data", () => {
    const old = buildDmg(shapes["a footer at the start"]).image;
    expect(dmg.probe(endsOf(old))).toBe(true);
    expect(dmg.probe(endsOf(changed(old, 24, u64(0))))).toBe(false);
  });

  test.each([
    ["version 2", Buffer.concat([Buffer.from("encrcdsa"), noise(4, 5000)])],
    ["version 1", Buffer.concat([noise(5, 5000), Buffer.from("cdsaencr")])],
  ])("encrypted, %s", (_, content) => {
    expect(dmg.probe(endsOf(content))).toBe(true);
    expect(imageErrorOf(() => openBytes(content))).toMatchObject({
      code: "KEY_NEEDED",
      message: expect.stringContaining("encrypted") as string,
    });
  });

  test("a segment of an image", () => {
    const { image: segment } = buildDmg({ ...shapes.plain, segmentCount: 3 });
    expect(dmg.probe(endsOf(segment))).toBe(true);
    expect(imageErrorOf(() => openBytes(segment))).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("segment 1 of 3") as string,
    });
  });

  test("a file without a footer, also a very short one", () => {
    for (const content of [noise(1, 4000), Buffer.alloc(100), Buffer.alloc(0)]) {
      expect(imageErrorOf(() => openBytes(content))).toMatchObject({ code: "WRONG_FORMAT" });
    }
  });

  test("snapshots and disks by name, which there are none of", () => {
    expect(imageErrorOf(() => openBytes(image, { snapshot: "1" }))).toMatchObject({ code: "UNSUPPORTED" });
    expect(imageErrorOf(() => openBytes(image, { disk: "1" }))).toMatchObject({ code: "UNSUPPORTED" });
  });
});

describe("damaged disk images", () => {
  /** The image with its property list changed; of the same length. */
  function withPlist(built: BuiltDmg, change: (plist: string) => string): Buffer {
    const before = built.image.subarray(built.plistPosition, built.footerPosition).toString("latin1");
    const after = change(before);
    if (after === before) throw new Error("nothing was changed");
    return changed(built.image, built.plistPosition, after.slice(0, before.length).padEnd(before.length));
  }

  const built = buildDmg({ tables: [one("zlib", "raw", "adc")] });

  test.each([
    ["text that ends inside", (plist: string) => plist.slice(0, 300), "cannot be understood"],
    ["no blkx", (plist: string) => plist.replace("blkx", "blky"), "blkx"],
    ["no resource fork", (plist: string) => plist.replace("resource-fork", "resource-fonk"), "blkx"],
    ["an entry without data", (plist: string) => plist.replace("<key>Data<", "<key>Dada<"), '"Data"'],
    ["data that is no base64", (plist: string) => plist.replace("bWlza", "b%lza"), "base64"],
    ["data that is no block table", (plist: string) => plist.replace("bWlza", "cWlza"), "no block table"],
    ["no tables", (plist: string) => plist.replace(/<array>.*<\/array>\s*<key>plst/s, "<array></array><key>plst"), "no block table"],
    ["many levels", () => "<array>".repeat(100), "levels"],
  ])("a property list with %s", (_, change, message) => {
    expect(imageErrorOf(() => openBytes(withPlist(built, change)))).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining(message) as string,
      position: built.plistPosition,
    });
  });

  test("a property list over the limit is not even read", () => {
    const size = 64 * 2 ** 20 + 1;
    const footer = footerOf({ dataFork: 0, dataSize: 0, fork: [0, 0], plist: [0, size], sectors: 8, segments: 1 });
    const source = {
      ...memorySource("huge.dmg", footer),
      size: size + 512,
      read(target: Uint8Array, position: number) {
        if (target.length > 512) expect.fail("the property list was read");
        target.fill(0);
        if (position >= size) target.set(footer.subarray(position - size, position - size + target.length));
      },
    };
    expect(imageErrorOf(() => dmg.open(source, nothingElse, {}))).toMatchObject({
      message: expect.stringContaining("are the limit") as string,
    });
  });

  /** An image whose only block table is changed before it is encoded. */
  function withTable(shape: DmgShape, at: number, bytes: readonly number[]): Buffer {
    const before = buildDmg(shape);
    return withPlist(before, (plist) =>
      plist.replace(/<data>([^<]*)<\/data>/, (_, data: string) => {
        const encoded = changed(Buffer.from(data, "base64"), at, bytes).toString("base64");
        return `<data>${encoded.padEnd(data.length)}</data>`;
      }),
    );
  }
  const entryAt = (index: number, field: number) => 204 + index * 40 + field;

  test.each([
    ["a count of entries that the table has not", 200, [0, 0, 1, 0], "do not fit"],
    ["an entry that leaves its table", entryAt(1, 16), u64(2 ** 30), "leaves its"],
    ["entries over each other", entryAt(1, 8), u64(4), "overlap"],
    ["a sector beyond 2^53", entryAt(1, 8), u64(2n ** 60n), "over 2^53"],
    ["data beyond 2^53", 24, u64(2 ** 53 - 1), "over 2^53"],
    ["a first sector beyond all bytes", 8, u64(2 ** 50), "2^53"],
  ])("a block table with %s", (_, at, bytes, message) => {
    expect(imageErrorOf(() => openBytes(withTable({ tables: [one("raw", "zlib", "raw")] }, at, bytes)))).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining(message) as string,
    });
  });

  /** The chunk at `offset` of the disk fails with `error`, and everything else is as before. */
  function expectDamage(image: Buffer, disk: Buffer, offset: number, length: number, error: object): void {
    const layer = openBytes(image);
    expect(
      imageErrorOf(() => readRange(layer, offset, length)),
      "the damaged range",
    ).toMatchObject(error);
    expect(difference(readRange(layer, 0, offset), disk.subarray(0, offset))).toBeUndefined();
    const end = offset + length;
    expect(difference(readRange(layer, end, disk.length - end), disk.subarray(end))).toBeUndefined();
  }

  const three = { tables: [one("raw", "zlib", "raw")] };
  const { disk } = buildDmg(three);
  const [start, length] = [5 * 512, 6 * 512];

  test.each([
    ["of an unknown type", entryAt(1, 0), [0x80, 0, 0, 9], "UNSUPPORTED", "type 0x80000009"],
    ["behind the end of the file", entryAt(1, 24), u64(2 ** 40), "TRUNCATED", "behind the end"],
    ["that does not decode", entryAt(1, 24), u64(3), "CORRUPT", "does not decode"],
    ["that is too large to be one", entryAt(1, 32), u64(2 ** 40), "UNSUPPORTED", "are the limit"],
    ["plain and shorter than its sectors", entryAt(1, 0), [0, 0, 0, 1], "CORRUPT", "has only"],
  ])("a chunk %s", (_, at, bytes, code, message) => {
    expectDamage(withTable(three, at, bytes), disk, start, length, {
      code,
      message: expect.stringContaining(message) as string,
      file: "test.dmg",
    });
  });

  test("a table that says nothing about some of its sectors", () => {
    const shape = {
      tables: [
        {
          tail: 4,
          chunks: [
            { kind: "raw", sectors: 5 },
            { kind: "raw", sectors: 2, hole: 3 },
          ],
        },
        one("zlib"),
      ],
    } as const;
    const image = buildDmg(shape);
    const layer = openBytes(image.image);
    const whole = image.disk.length + 4 * 512;
    expect(layer.size).toBe(whole);
    for (const [sector, count] of [
      [5, 3],
      [10, 4],
    ] as const) {
      expect(layer.map(sector * 512, whole)).toMatchObject({ kind: "damaged", length: count * 512, error: { code: "CORRUPT" } });
    }
    expect(difference(readRange(layer, 8 * 512, 2 * 512), image.disk.subarray(8 * 512, 10 * 512))).toBeUndefined();
    expect(layer.facts().notes).toEqual([expect.stringContaining("no entry")]);
  });

  test.each(["adc", "zlib", "bzip2", "lzfse", "lzma"] as const)("every changed byte of a %s chunk is noticed or harmless", (kind) => {
    if (!programs && (kind === "bzip2" || kind === "lzma")) return;
    const image = buildDmg({ tables: [{ chunks: [{ kind, sectors: 12 }] }] });
    for (let at = image.chunkPositions[0]!; at < image.plistPosition; at += 7) {
      const layer = openBytes(changed(image.image, at, [image.image[at]! ^ 0x15]));
      imageErrorOf(() => readRange(layer, 0, layer.size));
    }
  });

  test("a stub whose data fork is too short for its disk", () => {
    const footer = footerOf({ dataFork: 0, dataSize: 1024, fork: [0, 0], plist: [0, 0], sectors: 3, segments: 0 });
    expect(imageErrorOf(() => openBytes(Buffer.concat([noise(1, 1024), footer])))).toMatchObject({ code: "CORRUPT" });
  });

  test("a resource fork of more than 64 KiB", () => {
    const many = { chunks: Array.from({ length: 1700 }, () => ({ kind: "zero", sectors: 1 }) as const) };
    const { image, disk: whole } = buildDmg({ tables: [many, one("raw", "zlib")], directory: "resources" });
    const layer = openBytes(image);
    expect(difference(readRange(layer, 0, layer.size), whole)).toBeUndefined();
  });

  test("a resource fork cut short, or with references outside", () => {
    const { image, plistPosition: fork, footerPosition } = buildDmg({ tables: [one("raw"), one("raw")], directory: "resources" });
    const errors = [changed(image, footerPosition + 48, u64(300)), changed(image, fork + 4, [0, 0, 255, 255])];
    for (const content of errors) {
      expect(imageErrorOf(() => openBytes(content))).toMatchObject({
        code: "CORRUPT",
        message: expect.stringContaining("resource fork") as string,
      });
    }
  });
});

describe("how disk images map", () => {
  test("zero and ignored chunks are no data, plain ones are where they are", () => {
    const { image, chunkPositions } = buildDmg({ tables: [one("zero", "raw", "ignore", "zlib")] });
    const layer = openBytes(image);
    expect(layer.map(10, 10_000)).toEqual({ kind: "zero", length: 5 * 512 - 10 });
    expect(layer.map(5 * 512 + 7, 100)).toMatchObject({ kind: "data", length: 100, position: chunkPositions[1]! + 7 });
    expect(layer.map(11 * 512, 10_000)).toEqual({ kind: "zero", length: 7 * 512 });
    expect(layer.map(18 * 512 + 3, 10_000)).toMatchObject({ kind: "packed", length: 8 * 512 - 3, skip: 3, block: { size: 8 * 512 } });
  });

  test("info tells how the image is packed", () => {
    const facts = (shape: DmgShape) => openBytes(buildDmg(shape).image).facts();
    expect(facts(shapes.plain)).toEqual({ variant: "UDRO", details: { compression: "none", "block tables": 1, chunks: 4 }, notes: [] });
    expect(facts(shapes["several tables"])).toMatchObject({ variant: "UDZO", details: { compression: "zlib", "block tables": 4 } });
    expect(facts(shapes["a footer at the start"]).notes).toEqual([expect.stringContaining("at the start")]);
    expect(facts(shapes["a footer of more sectors than tables"]).notes).toEqual([]);
    expect(facts({ tables: [one("raw")], sectorCount: 2 }).notes).toEqual([expect.stringContaining("2 sectors")]);
  });
});

describe("the decoders of disk images", () => {
  const contents = [Buffer.alloc(20_000), noise(2, 20_000), text(3, 40_000), mixed(4, 30_000), Buffer.from("a")];

  test.each([["stored"], ["lzvn"], ["tables"], ["packed tables"], ["packed tables", "stored", "lzvn", "tables"]] as const)(
    "LZFSE blocks: %s",
    (...kinds) => {
      for (const content of contents.slice(0, kinds.length === 1 ? 5 : 4)) {
        const target = Buffer.alloc(content.length, 0xee);
        const packed = lzfse(content, kinds);
        expect(unpackLzfse(packed, target)).toBe(true);
        expect(difference(target, content)).toBeUndefined();
        expect(unpackLzfse(packed, Buffer.alloc(content.length + 1))).toBe(false);
        expect(unpackLzfse(packed, Buffer.alloc(content.length - 1))).toBe(false);
        for (let cut = 0; cut < packed.length; cut += 101) expect(unpackLzfse(packed.subarray(0, cut), target)).toBe(false);
      }
    },
  );

  const filters: readonly (readonly [string, readonly string[], (packed: Buffer, target: Uint8Array) => boolean])[] = [
    ["bzip2", ["-1"], unpackBzip2],
    ["bzip2", ["-9"], unpackBzip2],
    ["xz", ["-6"], unpackXz],
    ["xz", ["-9e", "--check=crc32"], unpackXz],
    ["xz", ["--check=sha256", "--lzma2=lc=1,lp=3,pb=4"], unpackXz],
    ["xz", ["--check=none", "--lzma2=lc=4,lp=0,pb=0"], unpackXz],
    ["xz", ["--block-size=10000"], unpackXz],
  ];
  test.skipIf(!programs).each(filters)("what %s %s writes", (program, options, unpack) => {
    for (const content of [...contents, Buffer.concat([mixed(9, 300_000), text(8, 1000)])]) {
      const packed = spawnSync(program, ["-c", ...options], { input: content }).stdout;
      const target = Buffer.alloc(content.length, 0xee);
      expect(unpack(packed, target)).toBe(true);
      expect(difference(target, content)).toBeUndefined();
      expect(unpack(packed, Buffer.alloc(content.length + 1))).toBe(false);
      expect(unpack(packed, Buffer.alloc(content.length - 1))).toBe(false);
      // Their checksums tell what the codes do not.
      if (options.includes("--check=none") || content.length > 50_000) continue;
      for (let at = 20; at < packed.length - 40; at += 997) expect(unpack(changed(packed, at, [packed[at]! ^ 4]), target)).toBe(false);
    }
  });
});

describe("disk images that other programs read too", () => {
  const directory = tempDirectory();
  const write = (image: Buffer) => {
    const path = join(subdirectory(directory), "image.dmg");
    writeFileSync(path, image);
    return path;
  };

  /** 7-Zip gives the partitions as files, numbered in the order of their tables. */
  test.skipIf(!requireProgram("7z") || !programs).each(readable)("7z: %s", (_, shape) => {
    const { image, disk } = buildDmg(shape);
    const path = write(image);
    const out = subdirectory(directory);
    run("7z", ["x", "-y", "-tdmg", `-o${out}`, path]);
    let sector = 0;
    const names = run("ls", [out]).trim().split("\n");
    expect(names).toHaveLength(shape.tables.length);
    for (const [index, { gap = 0, chunks }] of shape.tables.entries()) {
      sector += gap;
      const sectors = chunks.reduce((sum, chunk) => sum + chunk.sectors, 0);
      const found = readFileSync(join(out, names[index]!));
      expect(difference(found, disk.subarray(sector * 512, (sector + sectors) * 512)), names[index]).toBeUndefined();
      sector += sectors;
    }
  });

  const qemuReads = readable.filter(([name]) => /zlib|several|resource|plain/i.test(name) && !name.includes("start"));
  test.skipIf(!requireProgram("qemu-img")).each(qemuReads)("qemu-img: %s", (_, shape) => {
    const plain = {
      ...shape,
      tables: shape.tables.map((each) => ({
        ...each,
        chunks: each.chunks.map((chunk) => (chunk.kind === "adc" ? { ...chunk, kind: "zlib" as const } : chunk)),
      })),
    };
    const { image, disk } = buildDmg(plain);
    expect(difference(flat(write(image), { format: "dmg" }), disk)).toBeUndefined();
  });

  test.skipIf(!requireProgram("dmg2img")).each(readable.filter(([name]) => /ADC|zlib|several|plain/.test(name)))(
    "dmg2img: %s",
    (_, shape) => {
      const { image, disk } = buildDmg(shape);
      const path = write(image);
      run("dmg2img", ["-s", path, `${path}.raw`]);
      expect(difference(readFileSync(`${path}.raw`), disk)).toBeUndefined();
    },
  );
});
