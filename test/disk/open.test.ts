// How a disk is opened: its parents and parts, windows, what is left away, and again by another thread.
import { execFileSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { describeDisk } from "../../src/disk/describe.js";
import { diskExtents } from "../../src/disk/extents.js";
import { type OpenedDisk, openDisk } from "../../src/disk/open.js";
import type { OpenDiskOptions } from "../../src/disk/options.js";
import type { FormatDriver, Identity, Layer, ParentWish } from "../../src/formats/driver.js";
import { drivers } from "../../src/formats/registry.js";
import { readBytes, type Source } from "../../src/source/source.js";
import { explain } from "../../src/util/explain.js";
import { ImageError, UserError } from "../../src/util/errors.js";
import { builtDisks } from "../support/built.js";
import { mixed, noise } from "../support/content.js";
import { buildQcow2, type Recipe } from "../support/qcow2-builder.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import { difference, flatOf, imageErrorOf, readRange, refusalOf } from "../support/reading.js";

const CLUSTER = 4096;
const SIZE = 8 * CLUSTER;
const { write, expectDisk } = builtDisks();
const base = mixed(1, SIZE);
const stored = (seed: number): Cluster => ({ kind: "data", content: noise(seed, CLUSTER) });

function over(name: string, format = "raw"): Recipe {
  return {
    size: SIZE,
    clusters: new Map([
      [1, stored(20)],
      [2, { kind: "zero" }],
    ]),
    backing: { name, format },
  };
}

const whole: Recipe = { size: SIZE, clusters: new Map([0, 3, 7].map((number) => [number, stored(number)])), seed: 4 };

/** A format with everything a driver may ask of its surroundings: 100 bytes of each part, then 100 of the parent, or of itself. */
interface FakeSpec {
  readonly id?: string;
  readonly parts?: readonly string[];
  readonly parent?: ParentWish;
}

const fakeImage = (spec: FakeSpec) => Buffer.from(`FAKE${JSON.stringify(spec)}`.padEnd(300));
const specOf = (source: Source) => JSON.parse(readBytes(source, 4, source.size - 4).toString()) as FakeSpec;
const uuid = (value: string): Identity => ({ kind: "UUID", value });

const fake: FormatDriver = {
  name: "fake",
  extensions: [".fake"],
  variants: [],
  probe: ({ head }) => Buffer.from(head.subarray(0, 4)).toString() === "FAKE",
  identities: (source) => [uuid(specOf(source).id ?? "")],
  partOf: (name) => {
    const stem = /^([^/]*)-part\d$/.exec(name)?.[1];
    return stem === undefined ? [] : [`${stem}.fake`, `${stem}-other.fake`];
  },
  open(source, opener): Layer {
    const { parts: names = [], parent: wish } = specOf(source);
    const parts: (Source | ImageError)[] = [];
    const close = () => {
      for (const part of parts) if (!(part instanceof ImageError)) part.close();
    };
    try {
      for (const name of names) {
        const part = partOr(name);
        parts.push(part);
      }
      const parent = wish && opener.parent(wish);
      return {
        format: "fake",
        name: source.name,
        size: names.length * 100 + 100,
        ...(parent && { parent }),
        map(offset, length) {
          const part = parts[Math.floor(offset / 100)];
          const run = Math.min(length, 100 - (offset % 100));
          if (part instanceof ImageError) return { kind: "damaged", length: run, error: part };
          if (part) return { kind: "data", length: run, source: part, position: offset % 100 };
          return parent
            ? { kind: "parent", length: run, offset: offset % 100 }
            : { kind: "data", length: run, source, position: offset % 100 };
        },
        facts: () => ({ details: {}, notes: [] }),
        close() {
          parent?.close();
          close();
          source.close();
        },
      };
    } catch (error) {
      close();
      throw error;
    }

    function partOr(name: string): Source | ImageError {
      try {
        return opener.part(name);
      } catch (error) {
        if (opener.degraded && error instanceof ImageError) return error;
        throw error;
      }
    }
  },
};
(drivers as FormatDriver[]).unshift(fake);

/** Everything that can be told of a disk. */
function tellingOf(disk: OpenedDisk) {
  const extents = [...diskExtents(disk.layer)].map((extent) => ({
    ...extent,
    ...("source" in extent && { source: extent.source.name }),
    ...("error" in extent && { error: `${extent.error.code} ${explain(extent.error)} ${extent.error.hint}` }),
    content: extent.kind === "damaged" ? "" : readRange(disk.layer, extent.start, extent.length).toString("base64"),
  }));
  return { description: describeDisk(disk), extents, sectorSize: disk.sectorSize };
}

function telling(path: string, options: OpenDiskOptions = {}) {
  const disk = openDisk(path, options);
  try {
    return tellingOf(disk);
  } finally {
    disk.close();
  }
}

const descriptors = () => readdirSync("/proc/self/fd").length;
const foundOf = (path: string, options?: OpenDiskOptions) => telling(path, options).description.chain.map(({ found }) => found);

describe("windows", () => {
  const image = buildQcow2(whole).bytes;
  const offset = 12_345;

  test("a window of a file is an image like any other", () => {
    const path = write({ "big.bin": Buffer.concat([noise(1, offset), image, noise(2, 777)]) });
    const expected = expectedDisk(whole);
    expect(difference(flatOf(path, { window: { offset, size: image.length } }), expected)).toBeUndefined();
    expect(difference(flatOf(path, { window: { offset } }), expected)).toBeUndefined();
    const { description, extents } = telling(path, { window: { offset } });
    expect(description).toMatchObject({ format: "qcow2", image: path });
    expect(extents.map(({ kind }) => kind)).toContain("data");
  });

  test("of bytes as they are", () => {
    const content = mixed(3, 100_000);
    const path = write({ "disk.img": content });
    for (const [from, size] of [
      [0, 100_000],
      [1, 99_999],
      [4097, 512],
      [99_999, 1],
      [5, undefined],
    ] as const) {
      const expected = content.subarray(from, size === undefined ? undefined : from + size);
      expect(difference(flatOf(path, { format: "raw", window: { offset: from, size } }), expected)).toBeUndefined();
    }
  });

  test("over a hole", () => {
    const path = write({ "disk.img": noise(1, 4096) });
    execFileSync("truncate", ["-s", "1M", path]);
    const { extents } = telling(path, { window: { offset: 100, size: 2 ** 19 } });
    expect(extents.map(({ kind, start }) => [kind, start])).toEqual([
      ["data", 0],
      ["zero", 3996],
    ]);
  });

  test.each([
    [300, undefined],
    [301, undefined],
    [2 ** 52, undefined],
    [0, 301],
    [299, 2],
    [0, 2 ** 52],
  ])("from byte %j, %j long, of a file of 300 are refused", (from, size) => {
    const path = write({ "disk.img": noise(1, 300) });
    expect(refusalOf(path, { window: { offset: from, size } })).toMatchObject({ code: "TRUNCATED", file: path });
  });

  test("of an image that is cut short by them are damaged, not zeros", () => {
    const { bytes, data } = buildQcow2({ ...whole, seed: 0 });
    const path = write({ "disk.img": bytes });
    const { extents } = telling(path, { window: { offset: 0, size: Math.max(...data.values()) + 100 } });
    expect(extents.slice(-2).map(({ kind, start, length }) => [kind, start, length])).toEqual([
      ["data", 7 * CLUSTER, 100],
      ["damaged", 7 * CLUSTER + 100, CLUSTER - 100],
    ]);
  });

  test("have parents named relative to the file", () => {
    const top = over("base.bin");
    const path = write({ "big.bin": Buffer.concat([noise(1, offset), buildQcow2(top).bytes]), "base.bin": base });
    expectDisk(path, top, { parent: base, judge: "none", options: { window: { offset } } });
  });

  test("of a disk in parts that are listed", () => {
    const path = write({ a: noise(1, 1000), b: image.subarray(0, 5000), c: image.subarray(5000) });
    const parts = ["b", "c"].map((name) => join(dirname(path), name));
    expect(difference(flatOf(path, { parts, window: { offset: 1000 } }), expectedDisk(whole))).toBeUndefined();
  });
});

describe("parents that are only named", () => {
  test("one that moved with the image is found beside it, and info says so", () => {
    const top = over("/home/gns3/images/base.bin");
    const path = write({ "top.qcow2": top, "base.bin": base });
    expectDisk(path, top, { parent: base, judge: "none" });
    expect(foundOf(path)).toEqual([undefined, "by its name, beside the image; the image does not tell what else it must be"]);
  });

  test("one where the image says is nothing special", () => {
    expect(foundOf(write({ "top.qcow2": over("base.bin"), "base.bin": base }))).toEqual([undefined, "where the image says"]);
  });

  test("one that is denied is not replaced by another of its name", () => {
    const outside = write({ "base.bin": noise(9, SIZE) });
    const path = write({ "top.qcow2": over(outside), "base.bin": base });
    expect(refusalOf(path)).toMatchObject({ code: "PART_DENIED", file: path });
    expect(refusalOf(path).hint).toContain(`--allow ${dirname(outside)}`);
  });

  test.skipIf(process.geteuid?.() !== 0)("one that cannot be looked at is not replaced by another of its name", () => {
    const path = write({ "top.qcow2": over("secret/base.bin"), "secret/base.bin": noise(9, SIZE), "base.bin": base });
    const home = dirname(path);
    chmodSync(dirname(home), 0o755);
    chmodSync(home, 0o755);
    chmodSync(join(home, "secret"), 0o700);
    process.seteuid?.(65_534);
    try {
      expect(refusalOf(path)).toMatchObject({
        code: "PART_DENIED",
        file: path,
        message: expect.stringContaining("permission denied") as string,
      });
    } finally {
      process.seteuid?.(0);
    }
    expectDisk(path, over(""), { parent: noise(9, SIZE), judge: "none" });
  });

  test("one found beside the image by a link that leads out of the folder is refused", () => {
    const outside = write({ "base.bin": base });
    const path = write({ "top.qcow2": over("/old/base.bin") });
    symlinkSync(outside, join(dirname(path), "base.bin"));
    expect(refusalOf(path).code).toBe("PART_DENIED");
  });

  test("one in a folder of the search, with what it names itself", () => {
    const middle = write({ "middle.qcow2": over("base.bin"), "base.bin": base });
    const path = write({ "top.qcow2": over("/old/middle.qcow2", "qcow2") });
    expect(refusalOf(path).code).toBe("PART_MISSING");
    const search = [dirname(middle)];
    expectDisk(path, over(""), { parent: expectedDisk(over(""), base), judge: "none", options: { search } });
    expect(foundOf(path, { search })[1]).toContain("in a folder of --search");
  });

  test("a folder that is allowed or searched must be there", () => {
    const path = write({ "top.qcow2": over("base.bin"), "base.bin": base });
    const before = descriptors();
    for (const options of [{ allow: ["/nowhere"] }, { search: ["/nowhere"] }]) expect(() => openDisk(path, options)).toThrow(UserError);
    expect(descriptors()).toBe(before);
  });
});

describe("parents that are given", () => {
  test("are taken whatever the images name, one after the other", () => {
    const path = write({ "top.qcow2": over("nothing", "qcow2") });
    const middle = write({ renamed: over("/nothing/either") });
    const bottom = write({ "other.bin": noise(7, SIZE) });
    const parents = [middle, bottom];
    const expected = expectedDisk(over(""), expectedDisk(over(""), noise(7, SIZE)));
    expect(difference(flatOf(path, { parents }), expected)).toBeUndefined();
    const { description } = telling(path, { parents });
    expect(description.chain.map(({ file, found }) => [file, found])).toEqual([
      [path, undefined],
      [middle, "given with --parent; the image does not tell what else it must be"],
      [bottom, "given with --parent; the image does not tell what else it must be"],
    ]);
  });

  test("are taken instead of those that are there, and the rest of the chain as it is named", () => {
    const path = write({ "top.qcow2": over("base.qcow2", "qcow2"), "base.qcow2": whole });
    const given = write({ "given.qcow2": over("deep.bin"), "deep.bin": noise(7, SIZE) });
    // The user trusts the file, not what it names.
    expect(refusalOf(path, { parents: [given] })).toMatchObject({ code: "PART_DENIED", file: given });
    const expected = expectedDisk(over(""), expectedDisk(over(""), noise(7, SIZE)));
    expect(difference(flatOf(path, { parents: [given], allow: [dirname(given)] }), expected)).toBeUndefined();
  });

  test("are of the format that the image says", () => {
    const path = write({ "top.qcow2": over("base.bin") });
    const given = write({ "given.qcow2": whole });
    expectDisk(path, over(""), { parent: buildQcow2(whole).bytes, judge: "none", options: { parents: [given] } });
  });

  test("must be readable, and wanted", () => {
    const path = write({ "top.qcow2": over("base.bin"), "base.bin": base });
    const bottom = join(dirname(path), "base.bin");
    const before = descriptors();
    expect(refusalOf(path, { parents: ["/nowhere"] }).code).toBe("UNREADABLE");
    expect(() => openDisk(path, { parents: [bottom, bottom] })).toThrow(UserError);
    expect(() => openDisk(bottom, { format: "raw", parents: [path] })).toThrow(path);
    expect(refusalOf(path, { parents: [path], format: "qcow2" }).code).toBe("CORRUPT");
    expect(descriptors()).toBe(before);
  });

  test("may be others than the image was made for, and info says so", () => {
    const spec: FakeSpec = { parent: { names: ["b.fake"], identities: [uuid("1")] } };
    const path = write({
      "a.fake": fakeImage(spec),
      "b.fake": fakeImage({ id: "1" }),
      "c.fake": fakeImage({ id: "2" }),
      "d.bin": noise(1, 200),
    });
    const given = (name: string) => foundOf(path, { parents: [join(dirname(path), name)] })[1];
    expect(given("b.fake")).toBe("given with --parent; UUID 1 matches");
    expect(given("c.fake")).toBe("given with --parent; UUID 1 DOES NOT MATCH");
    expect(given("d.bin")).toBe("given with --parent; UUID 1 DOES NOT MATCH");
  });
});

describe("parents whose identity is recorded", () => {
  const child = (names: readonly string[], format?: string) => fakeImage({ id: "top", parent: { names, format, identities: [uuid("1")] } });

  test("are known by it, wherever they are", () => {
    const path = write({ "top.fake": child(["b.fake"]), "b.fake": fakeImage({ id: "2" }), "c.fake": fakeImage({ id: "1" }) });
    expect(foundOf(path)[1]).toBe("by what is written in it; UUID 1 matches");
    const right = write({ "top.fake": child(["b.fake"], "fake"), "b.fake": fakeImage({ id: "1" }), "c.fake": fakeImage({ id: "1" }) });
    expect(foundOf(right)[1]).toBe("where the image says; UUID 1 matches");
    const away = write({ "top.fake": child(["C:\\vm\\b.fake"]), "b.fake": fakeImage({ id: "1" }) });
    expect(foundOf(away)[1]).toBe("by its name, beside the image; UUID 1 matches");
    const nameless = write({ "top.fake": child([]) });
    expect(foundOf(nameless, { search: [dirname(away)] })[1]).toBe("by what is written in it; UUID 1 matches");
    expect(refusalOf(nameless).message).toBe("its parent (UUID 1) is missing");
  });

  test("are looked for among whatever lies there, and nothing stays open", () => {
    const path = write({
      "top.fake": child(["gone"]),
      "a.qcow2": whole,
      "b.bin": noise(1, 5000),
      "broken.fake": Buffer.from("FAKE{".padEnd(300)),
      empty: Buffer.alloc(0),
      "z.fake": fakeImage({ id: "1" }),
    });
    const home = dirname(path);
    rmSync(join(home, "broken.fake"));
    execFileSync("mkfifo", [join(home, "fifo")]);
    symlinkSync("/dev/zero", join(home, "zero"));
    symlinkSync("fifo", join(home, "pipe"));
    mkdirSync(join(home, "folder"));
    const before = descriptors();
    expect(foundOf(path)[1]).toBe("by what is written in it; UUID 1 matches");
    expect(descriptors()).toBe(before);
  });

  test("are not read through links that lead out of the folder", () => {
    const outside = write({ "b.fake": fakeImage({ id: "1" }) });
    const path = write({ "top.fake": child(["gone"]) });
    symlinkSync(outside, join(dirname(path), "link.fake"));
    expect(refusalOf(path).code).toBe("PART_MISSING");
    expect(foundOf(path, { allow: [dirname(outside)] })[1]).toBe("by what is written in it; UUID 1 matches");
  });
});

describe("what belongs to an image", () => {
  test("is opened where the image says, else beside it", () => {
    const path = write({ "a.fake": fakeImage({ parts: ["p", "x/q", "C:\\x\\r"] }), p: noise(1, 100), q: noise(2, 100), r: noise(3, 100) });
    expect(
      flatOf(path)
        .subarray(0, 300)
        .equals(Buffer.concat([1, 2, 3].map((seed) => noise(seed, 100)))),
    ).toBe(true);
  });

  test.each(["../p", "../b/p", "x/../../p", "/etc/hostname", "/dev/zero", "/proc/self/environ", "link"])(
    "%s is denied, not replaced",
    (name) => {
      const outside = write({ p: noise(1, 100), "b/p": noise(1, 100) });
      const home = join(dirname(outside), "home");
      mkdirSync(home);
      for (const each of ["p", "hostname", "zero", "environ"]) writeFileSync(join(home, each), noise(2, 100));
      mkdirSync(join(home, "x"));
      symlinkSync("../p", join(home, "link"));
      writeFileSync(join(home, "a.fake"), fakeImage({ parts: [name] }));
      expect(refusalOf(join(home, "a.fake")).code).toBe("PART_DENIED");
    },
  );

  test.each(["none", "x\0y", "y".repeat(300), ".", "..", "", "/nowhere/none"])("%j is refused", (name) => {
    const path = write({ "a.fake": fakeImage({ parts: [name] }) });
    expect(refusalOf(path).code).toMatch(/^PART_|^UNREADABLE$/);
  });
});

describe("degraded", () => {
  test("a disk without its parent fails exactly where the parent would be read", () => {
    const path = write({ "top.qcow2": over("base.bin") });
    expect(refusalOf(path).hint).toContain("--degraded");
    const { description, extents } = telling(path, { degraded: true });
    expect(extents.map(({ kind, start, length }) => [kind, start / CLUSTER, length / CLUSTER])).toEqual([
      ["damaged", 0, 1],
      ["data", 1, 1],
      ["zero", 2, 1],
      ["damaged", 3, 5],
    ]);
    expect(extents[0]).toMatchObject({ error: expect.stringContaining("PART_MISSING") as string });
    expect(description.chain.map(({ file }) => file)).toEqual([path]);
    expect(description.files.map((file) => file.path)).toEqual([path]);
    expect(description.notes).toEqual([`Degraded: ${path}: its parent "base.bin" is missing. What it holds cannot be read.`]);

    const disk = openDisk(path, { degraded: true });
    expect(readRange(disk.layer, CLUSTER, 2 * CLUSTER).equals(Buffer.concat([noise(20, CLUSTER), Buffer.alloc(CLUSTER)]))).toBe(true);
    for (const [offset, length] of [
      [0, 1],
      [CLUSTER - 1, 2],
      [3 * CLUSTER - 1, 2],
      [SIZE - 1, 1],
    ] as const) {
      expect(imageErrorOf(() => readRange(disk.layer, offset, length))?.code).toBe("PART_MISSING");
    }
    disk.close();
  });

  test("the missing one may be further down, denied, unreadable, or miss something itself", () => {
    const outside = write({ "base.bin": base });
    const lost = (recipe: Recipe, extra: Readonly<Record<string, Uint8Array>> = {}) =>
      telling(write({ "top.qcow2": over("middle.qcow2", "qcow2"), "middle.qcow2": recipe, ...extra }), { degraded: true });
    const deep = lost(over("base.bin"));
    expect(deep.description.chain).toHaveLength(2);
    expect(deep.description.notes).toEqual([expect.stringMatching(/^Degraded: .*middle\.qcow2: its parent "base\.bin" is missing/)]);
    expect(lost(over(outside)).extents.some((extent) => "error" in extent && String(extent.error).includes("PART_DENIED"))).toBe(true);
    // A directory is there, and cannot be read.
    expect(lost(over("sub"), { "sub/x": base }).description.notes[0]).toContain("it is a directory");
    expect(lost(over("base.001"), { "base.001": base, "base.003": base }).description.notes[0]).toContain('"base.002" is missing');
  });

  test("with everything there, it is as ever", () => {
    const path = write({ "top.qcow2": over("base.bin"), "base.bin": base });
    expect(telling(path, { degraded: true })).toEqual(telling(path));
  });

  test("an image that is broken, or its parent, is refused all the same", () => {
    const path = write({ "top.qcow2": over("base.qcow2", "qcow2"), "base.qcow2": base, "loop.qcow2": over("loop.qcow2", "qcow2") });
    expect(refusalOf(path, { degraded: true }).code).toBe("WRONG_FORMAT");
    expect(refusalOf(join(dirname(path), "loop.qcow2"), { degraded: true }).code).toBe("CORRUPT");
    expect(refusalOf(join(dirname(path), "none"), { degraded: true }).code).toBe("UNREADABLE");
  });
});

describe("a mere part of a disk", () => {
  test("is opened as the disk that it is a part of", () => {
    const path = write({ "d-part1": noise(1, 200), "d-part2": noise(2, 200), "d.fake": fakeImage({ parts: ["d-part1", "d-part2"] }) });
    const { description } = telling(path);
    expect(description).toMatchObject({ format: "fake", image: join(dirname(path), "d.fake"), size: 300 });
    expect(description.files).toHaveLength(3);
    expect(flatOf(path).equals(flatOf(join(dirname(path), "d.fake")))).toBe(true);
  });

  test("is what it is where the user says so", () => {
    const path = write({ "d-part1": noise(1, 200), "d.fake": fakeImage({ parts: ["d-part1"] }) });
    for (const options of [{ format: "raw" }, { window: { offset: 0 } }]) {
      expect(telling(path, options).description).toMatchObject({ format: "raw", size: 200 });
    }
  });

  test("belongs to the one of several that has it", () => {
    const path = write({ "d-part1": noise(1, 200), "d.fake": fakeImage({}), "d-other.fake": fakeImage({ parts: ["d-part1"] }) });
    const before = descriptors();
    const { description } = telling(path);
    expect(description.image).toContain("d-other.fake");
    expect(description.files.map((file) => file.path)).toEqual(["d-other.fake", "d-part1"].map((name) => join(dirname(path), name)));
    expect(descriptors()).toBe(before);
  });

  test("through a link, belongs to what lies beside the file itself", () => {
    const path = write({ "d-part1": noise(1, 200), "d.fake": fakeImage({ parts: ["d-part1"] }), "links/x": base });
    const link = join(dirname(path), "links", "d-part1");
    symlinkSync("../d-part1", link);
    expect(telling(link).description).toMatchObject({ format: "fake", image: join(dirname(path), "d.fake") });
  });

  test("is refused where the disk is not there, does not have it, or is itself", () => {
    const before = descriptors();
    const alone = write({ "d-part1": noise(1, 200) });
    expect(refusalOf(alone)).toMatchObject({ code: "PART_MISSING", file: alone });
    expect(refusalOf(alone).message).toContain('"d.fake"');
    expect(refusalOf(write({ "d-part1": noise(1, 200), "d.fake": fakeImage({ parts: [] }) })).code).toBe("PART_MISSING");
    expect(refusalOf(write({ "d-part1": noise(1, 200), "d.fake": fakeImage({ parts: ["d-part2"] }) })).code).toBe("PART_MISSING");
    linkSync(alone, join(dirname(alone), "d.fake"));
    expect(refusalOf(alone).code).toBe("PART_MISSING");
    expect(descriptors()).toBe(before);
  });
});

describe("a directory", () => {
  test("is an image if it has the index of one", () => {
    const path = write({ "vm.hdd/DiskDescriptor.xml": Buffer.from("<nothing/>") });
    expect(refusalOf(dirname(path)).file).toBe(path);
  });

  test("is refused otherwise, like whatever else is no file", () => {
    const home = dirname(write({ x: base }));
    symlinkSync("circle", join(home, "circle"));
    execFileSync("mkfifo", [join(home, "fifo.001")]);
    for (const path of [
      home,
      join(home, "circle"),
      join(home, "fifo.001"),
      join(home, "none", "d.001"),
      join(home, "x", "d.img"),
      "/dev/zero",
      "a\0b",
    ]) {
      expect(refusalOf(path).code, path).toBe("UNREADABLE");
    }
  });
});

describe("opened again by another thread", () => {
  const part = (name: string) =>
    fakeImage({ parts: [name, "../denied", "none"], parent: { names: ["gone", "b.fake"], identities: [uuid("1")] } });
  const cases: Readonly<
    Record<string, { files: Readonly<Record<string, Uint8Array | Recipe>>; options?: (home: string) => OpenDiskOptions }>
  > = {
    "a raw disk": { files: { "d.img": base } },
    "a chain": {
      files: { "top.qcow2": over("middle.qcow2", "qcow2"), "middle.qcow2": over("base.bin"), "base.bin": base },
    },
    "found beside the image": { files: { "top.qcow2": over("/gone/base.bin"), "base.bin": base } },
    "found in a folder of the search": {
      files: { "top.qcow2": over("/gone/base.bin"), "s/base.bin": base },
      options: (home) => ({ search: [join(home, "s")] }),
    },
    given: { files: { "top.qcow2": over("none"), "other.bin": base }, options: (home) => ({ parents: [join(home, "other.bin")] }) },
    "in numbered parts": { files: { "d.001": base.subarray(0, 100), "d.002": Buffer.alloc(0), "d.003": base.subarray(100) } },
    "over one in numbered parts": { files: { "top.qcow2": over("d.aa"), "d.aa": base.subarray(0, 9000), "d.ab": base.subarray(9000) } },
    "in listed parts": {
      files: { a: base.subarray(0, 100), b: base.subarray(100) },
      options: (home) => ({ parts: [join(home, "b")], format: "raw", window: { offset: 50, size: 1000 }, sectorSize: 4096 }),
    },
    "found by its identity, with parts": {
      files: {
        "a.fake": fakeImage({ parts: ["/x/p", "q"], parent: { names: ["gone"], identities: [uuid("1")] } }),
        p: noise(1, 100),
        q: noise(2, 100),
        "b.fake": fakeImage({ id: "1", parts: ["q"] }),
      },
    },
    "degraded, without its parent": { files: { "top.qcow2": over("base.bin") }, options: () => ({ degraded: true }) },
    "degraded, without parts": {
      files: { "a.fake": part("p"), p: noise(1, 100), "b.fake": fakeImage({ id: "1", parts: ["none"] }) },
      options: () => ({ degraded: true }),
    },
    "of which a part was named": { files: { "d-part1": noise(1, 200), "d.fake": fakeImage({ parts: ["d-part1"] }) } },
  };

  test.each(Object.entries(cases))("%s", (_, { files, options }) => {
    const before = descriptors();
    const path = write(files);
    const home = dirname(path);
    writeFileSync(join(dirname(home), "denied"), base);
    const given = options?.(home) ?? {};
    const first = openDisk(path, given);
    const open = descriptors();
    expect(open - before).toBe(first.files.length);
    const told = tellingOf(first);

    // Nothing is where it was: no path may be looked at.
    renameSync(home, `${home}-away`);
    const second = openDisk(path, { ...given, opened: structuredClone(first.files) });
    expect(tellingOf(second)).toEqual(told);
    expect(second.files.map(({ fd }) => fd)).toEqual(first.files.map(({ fd }) => fd));
    expect(descriptors()).toBe(open);
    second.close();
    expect(descriptors()).toBe(open);
    expect(tellingOf(first)).toEqual(told);
    first.close();
    expect(descriptors()).toBe(before);
  });

  test("through a link to the image", () => {
    const path = write({ "real/top.qcow2": over("base.bin"), "real/base.bin": base, "link/x": base });
    const link = join(dirname(dirname(path)), "link", "top.qcow2");
    symlinkSync(path, link);
    const first = openDisk(link);
    rmSync(link);
    expect(tellingOf(openDisk(link, { opened: first.files }))).toEqual(tellingOf(first));
    first.close();
  });
});

describe("nothing stays open", () => {
  const outside = () => write({ x: base });
  const failing: Readonly<Record<string, () => readonly [path: string, options?: OpenDiskOptions]>> = {
    "a missing parent": () => [write({ "top.qcow2": over("none") })],
    "a missing parent of the parent": () => [write({ "top.qcow2": over("m", "qcow2"), m: over("none") })],
    "a denied parent": () => [write({ "top.qcow2": over(outside()) })],
    "a parent that changed into a link": () => [write({ "top.qcow2": over(outside()) }), { allow: [] }],
    "a loop": () => [write({ "top.qcow2": over("m", "qcow2"), m: over("top.qcow2", "qcow2") })],
    "a parent of another format": () => [write({ "top.qcow2": over("m", "qcow2"), m: base })],
    "a part that is missing": () => [write({ "a.fake": fakeImage({ parts: ["p", "q"] }), p: base })],
    "a listed part that is missing": () => [write({ a: base, b: base }), { parts: ["/nowhere"], format: "raw" }],
    "a window behind the end": () => [write({ a: base }), { window: { offset: 2 ** 40 } }],
    "another format": () => [write({ a: base }), { format: "qcow2" }],
    "an unknown format": () => [write({ a: base }), { format: "frob" }],
    "an unknown snapshot": () => [write({ a: whole }), { snapshot: "none" }],
    "two possible parents": () => [
      write({
        "a.fake": fakeImage({ parent: { names: [], identities: [uuid("1")] } }),
        b: fakeImage({ id: "1" }),
        c: fakeImage({ id: "1" }),
      }),
    ],
  };

  test.each(Object.entries(failing))("of %s", (_, make) => {
    const [path, options] = make();
    const before = descriptors();
    for (let round = 0; round < 3; round += 1) expect(imageErrorOf(() => openDisk(path, options))).toBeInstanceOf(ImageError);
    expect(descriptors()).toBe(before);
  });

  test("of a disk that is closed", () => {
    const path = write({ "top.qcow2": over("d.001"), "d.001": base.subarray(0, 10), "d.002": Buffer.alloc(0), "d.003": base.subarray(10) });
    const before = descriptors();
    const disk = openDisk(path);
    expect(descriptors()).toBe(before + 4);
    expect(disk.files).toHaveLength(4);
    disk.close();
    expect(descriptors()).toBe(before);
  });
});
