// What every command takes that reads an image, as the command line says it.
import { writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { Command, InvalidArgumentError } from "@commander-js/extra-typings";
import { describe, expect, test } from "vitest";
import { catCommand } from "../../src/cli/commands/cat.js";
import { infoCommand } from "../../src/cli/commands/info.js";
import { lsCommand } from "../../src/cli/commands/ls.js";
import { mapCommand } from "../../src/cli/commands/map.js";
import { mountCommand } from "../../src/cli/commands/mount.js";
import { openOptionsOf, type ReadingOptions, sectorArgument, sizeArgument, withReadingOptions } from "../../src/cli/reading-options.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { bootRecord, gpt, type Piece } from "../support/partition-builder.js";
import type { Recipe } from "../support/qcow2-builder.js";
import { difference } from "../support/reading.js";
import { failureOf, fakeIo, outputOf, run } from "./fake-io.js";

const CLUSTER = 4096;
const MIB = 2 ** 20;
const { write } = builtDisks();

/** What a command line comes to. */
async function optionsOf(words: readonly string[], window?: "image-"): Promise<ReadingOptions> {
  let found: ReadingOptions = {};
  const command = withReadingOptions(new Command("x").argument("<image>"), window).action((_, options) => {
    found = options;
  });
  await run(command, words);
  return found;
}

const usageError = async (words: readonly string[], window?: "image-") =>
  optionsOf(words, window).then(
    () => undefined,
    (error: unknown) => (error as { code?: string }).code,
  );

describe("the options", () => {
  test("none", async () => {
    const options = await optionsOf(["image"]);
    expect(options).toEqual({});
    const given = Object.entries(openOptionsOf(options)).filter(([, value]) => value !== undefined);
    expect(given.map(([name]) => name)).toEqual(["cacheFolder"]);
  });

  test("all of them", async () => {
    const path = write({ a: Buffer.from("secret\r\nmore\n"), b: noise(2, 10), "s/x": noise(3, 10), "t/x": noise(3, 10) });
    const home = dirname(path);
    const words = [
      "-f",
      "qcow2",
      "--snapshot",
      "1",
      "--disk",
      "scsi0",
      "--degraded",
      "--swab",
      "--offset",
      "0x200",
      "--size",
      "64K",
      "--sector-size",
      "4K",
      "--names",
      "joliet",
      "--session",
      "2",
      "--password-file",
      path,
      "--key-file",
      path,
    ];
    const lists = { "--allow": ["s", "t"], "--search": ["t", "s"], "--parent": ["a", "b"], "--part": ["b", "a"] };
    const given = Object.entries(lists).flatMap(([name, values]) =>
      values.flatMap((value) => [name, relative(process.cwd(), join(home, value))]),
    );
    const under = (names: readonly string[]) => names.map((name) => join(home, name));
    expect(openOptionsOf(await optionsOf(["image", ...words, ...given]))).toEqual({
      format: "qcow2",
      snapshot: "1",
      disk: "scsi0",
      degraded: true,
      swab: true,
      window: { offset: 512, size: 65_536 },
      sectorSize: 4096,
      names: "joliet",
      session: 2,
      passwords: ["secret"],
      privateKey: "secret\r\nmore\n",
      cacheFolder: join(process.env["XDG_CACHE_HOME"] ?? "", "flatmount"),
      allow: under(["s", "t"]),
      search: under(["t", "s"]),
      parents: under(["a", "b"]),
      parts: under(["b", "a"]),
    });
  });

  test("a window needs only one of its two, and may begin at 0", async () => {
    expect(openOptionsOf(await optionsOf(["image", "--offset", "0"])).window).toEqual({ offset: 0, size: undefined });
    expect(openOptionsOf(await optionsOf(["image", "--size", "1M"])).window).toEqual({ offset: 0, size: MIB });
  });

  test("under other names where --offset means something else", async () => {
    expect(await optionsOf(["image", "--image-offset", "5", "--image-size", "6"], "image-")).toEqual({ imageOffset: 5, imageSize: 6 });
    expect(await usageError(["image", "--offset", "5"], "image-")).toBe("commander.unknownOption");
  });

  test("two commands do not share them", async () => {
    const home = dirname(write({ a: noise(1, 10) }));
    await optionsOf(["image", "--allow", home]);
    expect((await optionsOf(["image", "--allow", home])).allow).toHaveLength(1);
  });

  test.each([
    ["--format", "frob"],
    ["--offset", "-1"],
    ["--offset", "x"],
    ["--size", "1.5"],
    ["--sector-size", "513"],
    ["--sector-size", "8K"],
    ["--allow", "/nowhere"],
    ["--allow", "/etc/hostname"],
    ["--search", "/nowhere"],
    ["--parent", "/nowhere"],
    ["--part", "/nowhere"],
    ["--names", "long"],
    ["--session", "0"],
    ["--password-file", "/nowhere"],
    ["--key-file", "/nowhere"],
  ])("%s %s is wrong usage", async (...words) => {
    expect(await usageError(["image", ...words])).toBe("commander.invalidArgument");
  });

  test("sizes and sectors", () => {
    expect([sizeArgument("0"), sizeArgument("0x10"), sizeArgument("1.5k"), sizeArgument("2MiB")]).toEqual([0, 16, 1536, 2 * MIB]);
    expect(["512", "1K", "2048", "0x1000"].map(sectorArgument)).toEqual([512, 1024, 2048, 4096]);
    for (const text of ["", "-1", "1.5", "9000P", "1 000"]) expect(() => sizeArgument(text), text).toThrow(InvalidArgumentError);
    for (const text of ["", "0", "256", "1536", "4097", "x"]) expect(() => sectorArgument(text), text).toThrow(InvalidArgumentError);
  });

  test("paths become absolute, for the daemon works elsewhere", () => {
    expect(openOptionsOf({ allow: ["a"], search: ["../b"], parent: ["/c"], part: ["./d"] })).toMatchObject({
      allow: [resolve("a")],
      search: [resolve("../b")],
      parents: ["/c"],
      parts: [resolve("d")],
    });
  });
});

describe("every command that reads an image", () => {
  test.each([
    ["info", infoCommand, "offset"],
    ["map", mapCommand, "offset"],
    ["ls", lsCommand, "offset"],
    ["mount", mountCommand, "offset"],
    ["cat", catCommand, "image-offset"],
  ] as const)("%s has them", (_, create, offset) => {
    const names = create(fakeIo()).options.map(({ long }) => long);
    const shared = ["format", "snapshot", "disk", "allow", "parent", "search", "part", "degraded", "sector-size"];
    expect(names).toEqual(expect.arrayContaining([...shared, offset, offset.replace("offset", "size")].map((name) => `--${name}`)));
    expect(new Set(names).size).toBe(names.length);
  });

  const base = noise(7, 4 * CLUSTER);
  const top: Recipe = {
    size: base.length,
    clusters: new Map([[1, { kind: "data", content: noise(8, CLUSTER) }]]),
    backing: { name: "/gone/base.bin", format: "raw" },
  };

  test("cat, with a parent that is given, searched or missing", async () => {
    const path = write({ "top.qcow2": top, "s/base.bin": base });
    const home = dirname(path);
    const expected = Buffer.concat([base.subarray(0, CLUSTER), noise(8, CLUSTER), base.subarray(2 * CLUSTER)]);
    for (const words of [
      ["--parent", join(home, "s", "base.bin")],
      ["--search", join(home, "s")],
    ]) {
      const io = fakeIo();
      await run(catCommand(io), [path, ...words]);
      expect(difference(io.bytes(), expected)).toBeUndefined();
    }
    expect(await failureOf(catCommand, path)).toMatchObject({ code: "PART_MISSING" });
    expect(await failureOf(catCommand, path, "--degraded")).toMatchObject({ code: "PART_MISSING" });
    const io = fakeIo();
    await run(catCommand(io), [path, "--degraded", "--offset", "4K", "--length", "4K"]);
    expect(difference(io.bytes(), noise(8, CLUSTER))).toBeUndefined();
  });

  test("cat, of a window and of listed parts", async () => {
    const path = write({ big: Buffer.concat([noise(1, 1000), base]), rest: noise(2, 500) });
    const io = fakeIo();
    await run(catCommand(io), [
      path,
      "--format",
      "raw",
      "--image-offset",
      "1000",
      "--image-size",
      "8192",
      "--offset",
      "1",
      "--length",
      "9000",
    ]);
    expect(difference(io.bytes(), base.subarray(1, 8192))).toBeUndefined();
    const parted = fakeIo();
    await run(catCommand(parted), [path, "--format", "raw", "--part", join(dirname(path), "rest")]);
    expect(difference(parted.bytes(), Buffer.concat([noise(1, 1000), base, noise(2, 500)]))).toBeUndefined();
  });

  test("map, degraded: what is missing is damaged", async () => {
    const path = write({ "top.qcow2": top });
    const elements = JSON.parse(await outputOf(mapCommand, "--json", "--degraded", path)) as { data: boolean; error?: string }[];
    expect(elements.map(({ data, error }) => [data, error === undefined])).toEqual([
      [true, false],
      [true, true],
      [true, false],
    ]);
    expect(await outputOf(mapCommand, "--degraded", path)).toMatch(/damaged[^]*its parent "\/gone\/base\.bin" is missing/);
  });

  test("info, degraded and not", async () => {
    const path = write({ "top.qcow2": top });
    expect(await outputOf(infoCommand, "--degraded", path)).toContain("Degraded: ");
    writeFileSync(join(dirname(path), "base.bin"), base);
    const told = await outputOf(infoCommand, path);
    expect(told).toContain("FOUND");
    expect(told).toContain("by its name, beside the image");
    expect(await outputOf(infoCommand, "--degraded", path)).toBe(told);
  });
});

describe("the sector size", () => {
  const size = 8 * MIB;
  const image = (pieces: readonly Piece[]) => {
    const content = Buffer.alloc(size);
    for (const { at, content: piece } of pieces) content.set(piece, at);
    return write({ "disk.raw": content });
  };
  const wide = gpt({ diskSize: size, sectorSize: 4096, entries: [{ number: 2, first: 256, last: 300 }] });
  const narrow = gpt({ diskSize: size, entries: [{ number: 1, first: 2048, last: 4095 }], entryCount: 8 });

  async function partitions(path: string, ...words: readonly string[]): Promise<unknown> {
    const told = JSON.parse(await outputOf(infoCommand, "--json", path, ...words)) as {
      partitions: { number: number; start: number; size: number }[];
    };
    const listed = (JSON.parse(await outputOf(lsCommand, "-R", "--json", path, ...words)) as { path: string; size: number }[])
      .filter((element) => element.path.startsWith("partitions/"))
      .map((element) => [element.path, element.size]);
    expect(listed).toEqual(told.partitions.map(({ number, size: bytes }) => [`partitions/${number}.raw`, bytes]));
    return told.partitions.map(({ number, start, size: bytes }) => [number, start, bytes]);
  }

  test("of a GPT for sectors of 4096 bytes is found", async () => {
    const path = image(wide);
    for (const words of [[], ["--sector-size", "4096"], ["--sector-size", "512"]])
      expect(await partitions(path, ...words)).toEqual([[2, MIB, 45 * 4096]]);
  });

  test("chooses between two tables", async () => {
    const path = image([...narrow, wide[1], wide[2]]);
    expect(await partitions(path)).toEqual([[1, MIB, MIB]]);
    expect(await partitions(path, "--sector-size", "4K")).toEqual([[2, MIB, 45 * 4096]]);
    expect(await partitions(path, "--sector-size", "512")).toEqual([[1, MIB, MIB]]);
  });

  test("is what an MBR counts in", async () => {
    const path = image([{ at: 0, content: bootRecord([{ type: 0x83, start: 256, count: 10 }]) }]);
    expect(await partitions(path)).toEqual([[1, 256 * 512, 5120]]);
    expect(await partitions(path, "--sector-size", "4096")).toEqual([[1, MIB, 40_960]]);
  });

  test("and a partition is read where it says", async () => {
    const path = image([
      { at: 0, content: bootRecord([{ type: 0x83, start: 256, count: 10 }]) },
      { at: MIB, content: noise(5, 40_960) },
    ]);
    const io = fakeIo();
    await run(catCommand(io), [path, "partitions/1.raw", "--sector-size", "4096"]);
    expect(difference(io.bytes(), noise(5, 40_960))).toBeUndefined();
  });
});
