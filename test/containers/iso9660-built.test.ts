// Discs that no installable program writes, from a builder that knows the specification alone.
import { execFileSync } from "node:child_process";
import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { openIso } from "../../src/containers/iso9660/index.js";
import type { Container, Item } from "../../src/containers/container.js";
import { memorySource } from "../../src/source/memory.js";
import { noise, text } from "../support/content.js";
import { both32, buildIso, type IsoRecipe, susp } from "../support/iso-builder.js";
import { difference } from "../support/reading.js";
import { contentOf, listContainer } from "../support/trees.js";

function open(recipe: IsoRecipe, change: (disc: Buffer) => Buffer = (disc) => disc): Container {
  return openIso(memorySource("disc.iso", change(buildIso(recipe))));
}

function only(container: Container): Item {
  const [item] = container.list(container.root.id).values();
  if (!item) throw new Error("the directory is empty");
  return item;
}

const SP = susp("SP", Buffer.from([0xbe, 0xef, 0]));
const named = (name: string) => susp("NM", Buffer.concat([Buffer.from([0]), Buffer.from(name)]));
const posix = (mode: number) => susp("PX", Buffer.concat([mode, 1, 1000, 100].map(both32)));

describe("files", () => {
  test.each([512, 1024, 2048] as const)("with logical blocks of %i bytes", (blockSize) => {
    const content = noise(1, 10_000);
    const container = open({ records: [{ name: "A.BIN;1", content }], blockSize });
    expect([...container.list(container.root.id).keys()]).toEqual(["a.bin"]);
    expect(difference(contentOf(container, only(container).id), content)).toBeUndefined();
    expect(only(container).modified).toBe(Date.UTC(2001, 1, 3, 3, 5, 6));
  });

  test("of several extents are one file", () => {
    const parts = [noise(1, 4096), noise(2, 6144), noise(3, 777)];
    const records = parts.map((content, index) => ({ name: "BIG.BIN;1", content, flags: index < 2 ? 128 : 0 }));
    const container = open({ records: [...records, { name: "Z.BIN;1", content: noise(4, 10) }] });
    expect([...container.list(container.root.id).keys()]).toEqual(["big.bin", "z.bin"]);
    expect(only(container).size).toBe(4096 + 6144 + 777);
    expect(difference(contentOf(container, only(container).id), Buffer.concat(parts))).toBeUndefined();
  });

  test.each([
    { unit: 1, gap: 1 },
    { unit: 2, gap: 3 },
    { unit: 3, gap: 1 },
  ])("interleaved: units of $unit blocks, gaps of $gap", ({ unit, gap }) => {
    const content = noise(5, 15 * 2048 + 99);
    const container = open({ records: [{ name: "A.BIN;1", content, unit, gap }] });
    expect(difference(contentOf(container, only(container).id), content)).toBeUndefined();
  });

  test("behind an extended attribute record", () => {
    const content = noise(6, 5000);
    const container = open({ records: [{ name: "A.BIN;1", content, attributeBlocks: 2 }] });
    expect(difference(contentOf(container, only(container).id), content)).toBeUndefined();
  });

  test("with a resource fork (associated file) beside it", () => {
    const records = [
      { name: "A.BIN;1", content: noise(7, 100), flags: 4 },
      { name: "A.BIN;1", content: noise(8, 200) },
    ];
    const container = open({ records });
    expect([...container.list(container.root.id)].map(([name, { size }]) => [name, size])).toEqual([
      ["a.bin.rsrc", 100],
      ["a.bin", 200],
    ]);
  });

  test("cut off: what is there is read, the rest is an error and no zeros", () => {
    const content = noise(9, 9000);
    const container = open({ records: [{ name: "A.BIN;1", content }], space: 0 }, (disc) => disc.subarray(0, disc.length - 7 * 2048));
    const { map } = container.content(only(container).id);
    const kinds: string[] = [];
    for (let offset = 0; offset < 9000; ) {
      const extent = map(offset, 9000 - offset);
      kinds.push(extent.kind);
      offset += extent.length;
    }
    expect(kinds.at(-1)).toBe("damaged");
    expect(kinds).not.toContain("zero");
  });
});

describe("volumes", () => {
  test("High Sierra", () => {
    const content = noise(1, 3000);
    const container = open({ kind: "high sierra", records: [{ name: "README.TXT;1", content }] });
    expect(container.facts().variant).toBe("High Sierra");
    expect(difference(contentOf(container, only(container).id), content)).toBeUndefined();
    expect([...container.list(container.root.id).keys()]).toEqual(["readme.txt"]);
  });

  test("ISO 9660:1999 keeps names as they are", () => {
    const records = ["A long name, with Case.and.dots", "a\nb."].map((name) => ({ name, content: noise(1, 3) }));
    const container = open({ kind: "enhanced", records });
    expect([...container.list(container.root.id).keys()]).toEqual(["A long name, with Case.and.dots", "a\nb"]);
  });

  test("without a terminator", () => {
    expect([...listContainer(open({ terminator: false, records: [{ name: "A.;1", content: noise(1, 3) }] }), ["size"]).keys()]).toEqual([
      "a",
    ]);
  });

  test("whose directory takes several sectors", () => {
    const records = Array.from({ length: 150 }, (_, index) => ({ name: `FILE${index}.BIN;1`, content: noise(index, 5) }));
    const container = open({ records });
    expect(container.list(container.root.id).size).toBe(150);
  });
});

describe("Rock Ridge", () => {
  const rootUse = Buffer.concat([SP, posix(0o040755)]);
  const rock = (...entries: readonly Buffer[]): IsoRecipe => ({
    rootUse,
    records: [{ name: "A.;1", content: noise(1, 50), systemUse: Buffer.concat(entries) }],
  });

  test("a name in several entries, and beyond UTF-8", () => {
    const part = (flags: number, text: string | Buffer) => susp("NM", Buffer.concat([Buffer.from([flags]), Buffer.from(text)]));
    const container = open(rock(part(1, "one "), part(1, "and "), part(0, "two"), posix(0o100640)));
    expect([...container.list(container.root.id)]).toMatchObject([["one and two", { mode: 0o640, uid: 1000, gid: 100, kind: "file" }]]);
    const latin = open(rock(part(0, Buffer.from([0x66, 0xfc, 0x72])), posix(0o100600)));
    expect([...latin.list(latin.root.id).keys()]).toEqual(["für"]);
  });

  test("device numbers, whole and in halves", () => {
    const device = (high: number, low: number) => susp("PN", Buffer.concat([both32(high), both32(low)]));
    const whole = only(open(rock(named("null"), posix(0o020666), device(0, 0x103))));
    expect(whole).toMatchObject({ kind: "character device", device: { major: 1, minor: 3 } });
    const large = only(open(rock(named("disk"), posix(0o060660), device(0, 0x11_11_2c_70))));
    expect(large).toMatchObject({ device: { major: 300, minor: 70_000 } });
    const halves = only(open(rock(named("sda1"), posix(0o060660), device(8, 1))));
    expect(halves).toMatchObject({ kind: "block device", device: { major: 8, minor: 1 } });
  });

  test.each([
    { kind: "fifo", mode: 0o010644 },
    { kind: "socket", mode: 0o140755 },
  ])("a $kind", ({ kind, mode }) => {
    expect(only(open(rock(named("x"), posix(mode)))).kind).toBe(kind);
  });

  test.each([
    ["4 quarters", 4, 3],
    ["as far as there are zones", -48 & 255, 16],
    ["a whole day, which is none", -96 & 255, 4],
  ])("a clock that is ahead of GMT by %s", (_, zone, hour) => {
    const short = susp("TF", Buffer.from([2, 101, 2, 3, 4, 5, 6, zone]));
    expect(only(open(rock(named("a"), posix(0o100644), short))).modified).toBe(Date.UTC(2001, 1, 3, hour, 5, 6));
    const long = susp("TF", Buffer.concat([Buffer.from([0x82]), Buffer.from("2001020304050678"), Buffer.from([zone])]));
    expect(only(open(rock(named("a"), posix(0o100644), long))).modified).toBe(Date.UTC(2001, 1, 3, hour, 5, 6, 780));
  });

  test.each([
    ["1.10", both32(3_000_000_000), 3_000_000_000],
    ["1.12", Buffer.concat([both32(2), both32(5), Buffer.from([4])]), 2 ** 33 + 5],
  ])("a sparse file of version %s has its size, and is not read", (_, entry, size) => {
    const container = open(rock(named("holes"), posix(0o100644), susp("SF", entry)));
    expect(only(container)).toMatchObject({ kind: "file", size });
    expect(() => container.content(only(container).id)).toThrow(/"holes" is stored as a sparse file/);
  });

  test("a link out of all kinds of components", () => {
    const component = (flags: number, text = "") => Buffer.concat([Buffer.from([flags, text.length]), Buffer.from(text)]);
    const link = (flags: number, ...components: readonly Buffer[]) => susp("SL", Buffer.concat([Buffer.from([flags]), ...components]));
    const entries = [
      link(1, component(8), component(0, "usr"), component(1, "sha")),
      link(0, component(0, "re"), component(4), component(2), component(0, "x")),
    ];
    expect(only(open(rock(named("l"), posix(0o120777), ...entries)))).toMatchObject({ kind: "symlink", target: "/usr/share/.././x" });
  });

  test("continuation areas that loop end", () => {
    const use = susp("CE", Buffer.concat([both32(20), both32(0), both32(28)]));
    const container = open(rock(named("a"), posix(0o100644), use), (disc) => {
      use.copy(disc, 20 * 2048);
      return disc;
    });
    expect([...container.list(container.root.id).keys()]).toEqual(["a"]);
  });

  test("names that cannot stand in a directory", () => {
    const records = ["..", "a/b", ""].map((name) => ({
      name: `${name.length}X.;1`,
      content: noise(1, 5),
      systemUse: Buffer.concat([named(name), posix(0o100644)]),
    }));
    const container = open({ rootUse, records });
    expect([...container.list(container.root.id).keys()]).toEqual(["__", "a_b", "_"]);
  });

  test("names longer than those of Linux are cut, and none is lost", () => {
    const long = "文".repeat(100);
    const joliet = (text: string) => Buffer.from(text, "utf16le").swap16();
    const records = [`${long}.iso`, `${long}!.iso`, "\ud800x"].map((name, index) => ({ name: joliet(name), content: noise(index, 5) }));
    const container = open({ kind: "joliet", records });
    const names = [...container.list(container.root.id).keys()];
    expect(names).toEqual([`${"文".repeat(83)}.iso`, `${"文".repeat(83)}.iso~2`, "\ufffdx"]);
    expect(names.every((name) => Buffer.byteLength(name) <= 255)).toBe(true);
  });

  test("the same name twice: both are there", () => {
    const records = [1, 2].map((seed) => ({
      name: `A${seed}.;1`,
      content: noise(seed, 5),
      systemUse: Buffer.concat([named("same"), posix(0o100644)]),
    }));
    const container = open({ rootUse, records });
    expect([...container.list(container.root.id).keys()]).toEqual(["same", "same~2"]);
  });
});

describe("files that are stored packed by zisofs2", () => {
  const plain = Buffer.concat([text(1, 40_000), Buffer.alloc(32_768), noise(2, 5000)]);
  /** Blocks of 32 KiB, each packed by a program; one of zeros takes nothing. */
  function packed(algorithm: number, letters: string, entry: string, pack: (block: Buffer) => Buffer): IsoRecipe {
    const blocks = Array.from({ length: Math.ceil(plain.length / 32_768) }, (_, index) =>
      plain.subarray(index * 32_768, (index + 1) * 32_768),
    );
    const stored = blocks.map((block) => (block.every((byte) => byte === 0) ? Buffer.alloc(0) : pack(block)));
    const header = Buffer.alloc(24 + 8 * (blocks.length + 1));
    header.write("ef2255a1bc1b95a0", "hex");
    header.set([0, 6, algorithm, 15], 8);
    header.writeBigUInt64LE(BigInt(plain.length), 12);
    let at = header.length;
    [...stored, Buffer.alloc(0)].forEach((block, index) => {
      header.writeBigUInt64LE(BigInt(at), 24 + 8 * index);
      at += block.length;
    });
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(plain.length));
    const use = susp(entry, Buffer.concat([Buffer.from(letters), Buffer.from([6, 15]), size]));
    return {
      rootUse: Buffer.concat([SP, posix(0o040755)]),
      records: [
        { name: "A.;1", content: Buffer.concat([header, ...stored]), systemUse: Buffer.concat([named("a"), posix(0o100644), use]) },
      ],
    };
  }
  const run =
    (program: string, ...options: readonly string[]) =>
    (block: Buffer) =>
      execFileSync(program, options, { input: block });
  /** A bare block: literals alone. */
  const literals = (block: Buffer) => {
    const rest = block.length - 15;
    const more = Buffer.alloc(Math.floor(rest / 255) + 1, 255);
    more[more.length - 1] = rest % 255;
    return Buffer.concat([Buffer.from([0xf0]), more, block]);
  };

  test.each<[string, number, string, string, (block: Buffer) => Buffer]>([
    ["zlib", 1, "PZ", "ZF", (block) => deflateSync(block)],
    ["zlib, out of sight of Linux", 1, "PZ", "Z2", (block) => deflateSync(block)],
    ["xz", 2, "XZ", "ZF", run("xz", "-c")],
    ["frames of lz4", 3, "L4", "Z2", run("lz4", "-q", "-c")],
    ["blocks of lz4", 3, "L4", "ZF", literals],
    ["zstd", 4, "ZD", "ZF", run("zstd", "-q", "-c")],
    ["bzip2", 5, "B2", "ZF", run("bzip2", "-c")],
  ])("with %s", (_, algorithm, letters, entry, pack) => {
    const container = open(packed(algorithm, letters, entry, pack));
    const file = only(container);
    expect(file.size).toBe(plain.length);
    expect(contentOf(container, file.id).equals(plain)).toBe(true);
  });

  test("whose directory says another size: no data", () => {
    const recipe = packed(1, "PZ", "ZF", (block) => deflateSync(block));
    const container = open(recipe, (disc) => {
      // 2^32 more, in the directory alone.
      const at = disc.indexOf("ZF\x10\x01PZ", 0, "latin1");
      disc[at + 12] = 1;
      return disc;
    });
    expect(() => container.content(only(container).id)).toThrow(/its directory says/);
  });
});

describe("hostile discs", () => {
  test("bytes changed anywhere end in a listing or an error, in bounded time", () => {
    const records = [
      { name: "A.;1", content: noise(1, 5000), systemUse: Buffer.concat([named("one"), posix(0o100644)]) },
      { name: "B.;1", content: noise(2, 50), systemUse: Buffer.concat([named("two"), posix(0o100644)]) },
    ];
    const disc = buildIso({ records, rootUse: Buffer.concat([SP, posix(0o040755)]) });
    const spots = [...Array(2048).keys()].flatMap((at) => [16 * 2048 + at, 24 * 2048 + at]);
    for (const at of spots) {
      const changed = Buffer.from(disc);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      try {
        const container = openIso(memorySource("disc.iso", changed));
        for (const { id, kind } of container.list(container.root.id).values()) if (kind === "file") container.content(id).map(0, 1);
      } catch (error) {
        expect(error).toMatchObject({ name: "ImageError" });
      }
    }
  });
});
