import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { xva } from "../../src/formats/xva/index.js";
import { memorySource } from "../../src/source/memory.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { requireProgram, run } from "../support/qemu.js";
import { difference, imageErrorOf, readRange } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { buildXva, tarHeader, type XvaDisk, type XvaShape } from "../support/xva-builder.js";

const disk = (chunks: XvaDisk["chunks"], more: Partial<XvaDisk> = {}): XvaDisk => ({ id: "Ref:4", chunks, ...more });

const shapes = {
  "chunks one behind the other": { disks: [disk(["data", "data", "data"])] },
  "chunks left out": { disks: [disk(["data", "left out", "left out", "data", "left out", "data"])] },
  "xxhash members": { disks: [disk(["data", "left out", "data"], { checksum: ".xxhash" })] },
  "a short last chunk": { disks: [disk(["data", "left out", "data"], { last: 700 })] },
  "empty chunks": { disks: [disk(["data", "left out", "empty", "left out", "data", "empty", "data"])] },
  "a last chunk that the disk does not fill": { disks: [disk(["data", "left out", "data"], { virtualSize: 2 * 2048 + 100 })] },
  "one short chunk": { disks: [disk(["data"], { last: 512 })] },
  "no blocks of zeros at the end": { disks: [disk(["data", "data"])], endBlocks: 0 },
  "chunks of 64 KiB": { disks: [disk(["data", "left out", "data"])], chunkSize: 65536 },
} as const satisfies Record<string, XvaShape>;

function sampleOf([name, shape]: readonly [string, XvaShape]): Sample {
  const { image, disks } = buildXva(shape);
  const { id, virtualSize } = shape.disks[0]!;
  return { name, image, disk: disks[id]!.subarray(0, virtualSize ?? undefined) };
}

describeDriver(xva, Object.entries<XvaShape>(shapes).map(sampleOf));

const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function openBytes(image: Uint8Array, options = {}): Layer {
  return xva.open(memorySource("test.xva", image), nothingElse, options);
}

const built = buildXva(shapes["chunks left out"]);

test("chunks left out are zeros, others are where they are", () => {
  const layer = openBytes(built.image);
  expect(layer.map(2048 + 5, 2 ** 20)).toEqual({ kind: "zero", length: 2 * 2048 - 5 });
  expect(layer.map(3 * 2048 + 5, 2 ** 20)).toMatchObject({
    kind: "data",
    length: 2048 - 5,
    position: built.positions["Ref:4/00000003"]! + 5,
  });
});

test("an empty chunk takes a number and no place", () => {
  const { image, disks } = buildXva({
    chunkSize: 2 ** 20,
    disks: [disk(["data", "empty", "data", "left out", "empty", "empty", "data"], { last: 4096 })],
  });
  const layer = openBytes(image);
  expect(layer.size).toBe(3 * 2 ** 20 + 4096);
  expect(difference(readRange(layer, 0, layer.size), disks["Ref:4"]!)).toBeUndefined();
});

test("the disk begins with zeros if its first chunks are left out", () => {
  const { image, disks } = buildXva({ chunkSize: 2 ** 20, disks: [disk(["left out", "left out", "data"])] });
  const layer = openBytes(image);
  expect(layer.map(0, 2 ** 30)).toEqual({ kind: "zero", length: 2 * 2 ** 20 });
  expect(difference(readRange(layer, 0, layer.size), disks["Ref:4"]!)).toBeUndefined();
});

describe("several disks", () => {
  const several = buildXva({
    disks: [
      disk(["data", "data"], { id: "Ref:4", name: "root" }),
      disk(["data", "left out", "data"], { id: "Ref:17", name: "data & more" }),
      disk(["data"], { id: "Ref:9", name: "root" }),
    ],
  });

  test.each([
    ["Ref:4", "Ref:4"],
    ["Ref:17", "Ref:17"],
    ["data & more", "Ref:17"],
    ["Ref:9", "Ref:9"],
  ])("one of several disks is chosen by its reference or its name: %s", (wanted, id) => {
    const layer = openBytes(several.image, { disk: wanted });
    expect(layer.size).toBe(several.disks[id]!.length);
    expect(difference(readRange(layer, 0, layer.size), several.disks[id]!)).toBeUndefined();
    expect(layer.facts().details).toMatchObject({ disk: id, disks: 3 });
  });

  test.each([
    [undefined, "3 disks"],
    ["Ref:1", "none of the disks"],
    ["root", "2 of the disks"],
  ])("without a name that fits one they are listed: %s", (wanted, message) => {
    expect(imageErrorOf(() => openBytes(several.image, { disk: wanted }))).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining(message) as string,
      hint: 'Choose one with --disk: "Ref:4" ("root", 4 KiB), "Ref:17" ("data & more", 6 KiB), "Ref:9" ("root", 2 KiB).',
    });
  });

  test("a wrong name is an error with one disk, too", () => {
    expect(imageErrorOf(() => openBytes(built.image, { disk: "Ref:5" }))).toMatchObject({ code: "UNSUPPORTED" });
    expect(openBytes(built.image, { disk: "Ref:4" }).size).toBe(6 * 2048);
  });
});

describe("the size of the disk", () => {
  test("is what the chunks have where ova.xml does not tell it", () => {
    const { image, disks } = buildXva({ disks: [disk(["data", "left out", "data"], { virtualSize: null })] });
    const layer = openBytes(image);
    expect(difference(readRange(layer, 0, layer.size), disks["Ref:4"]!)).toBeUndefined();
    expect(layer.facts().notes).toEqual([expect.stringContaining("does not tell the size")]);
  });

  test("is what the chunks have where ova.xml is no XML", () => {
    const { image } = buildXva({ disks: [disk(["data", "data"])], manifest: "<value><struct>" });
    const layer = openBytes(image);
    expect(layer.size).toBe(4096);
    expect(layer.facts().notes).toEqual([expect.stringContaining("cannot be understood")]);
  });

  test("is what the chunks have where they reach further than one chunk", () => {
    const { image } = buildXva({ chunkSize: 2 ** 20, disks: [disk(["data", "left out", "data"], { virtualSize: 100 })] });
    expect(openBytes(image).size).toBe(3 * 2 ** 20);
    expect(openBytes(image).facts().notes).toEqual([expect.stringContaining("says 100 bytes")]);
  });
});

describe("damaged archives", () => {
  test("the end of a cut archive is damaged, not zeros", () => {
    const cut = built.image.subarray(0, built.positions["Ref:4/00000003"]! - 512);
    const layer = openBytes(cut);
    expect(layer.size).toBe(6 * 2048);
    expect(difference(readRange(layer, 0, 2048), built.disks["Ref:4"]!.subarray(0, 2048))).toBeUndefined();
    expect(layer.map(2048, 2 ** 20)).toMatchObject({ kind: "damaged", length: 5 * 2048, error: { code: "TRUNCATED" } });
    expect(layer.facts().notes).toEqual([expect.stringContaining("end at 2048")]);
  });

  test("a chunk that the file ends inside is data up to there", () => {
    const end = built.positions["Ref:4/00000005"]! + 77;
    const layer = openBytes(built.image.subarray(0, end));
    const good = 5 * 2048 + 77;
    expect(difference(readRange(layer, 0, good), built.disks["Ref:4"]!.subarray(0, good))).toBeUndefined();
    expect(layer.map(good, 2 ** 20)).toMatchObject({ kind: "damaged", length: 2048 - 77 });
  });

  test("a header that is none ends what can be read", () => {
    const image = Buffer.from(built.image);
    const at = built.positions["Ref:4/00000003"]! - 512;
    image[at + 1]! ^= 1;
    const layer = openBytes(image);
    expect(layer.map(2048, 2 ** 20)).toMatchObject({ kind: "damaged", length: 5 * 2048, error: { position: at } });
    expect(layer.facts().notes).toContainEqual(expect.stringContaining("archive is damaged"));
  });

  const members = (...list: readonly Buffer[]) => Buffer.concat(list);
  test.each([
    ["another first member", members(tarHeader("other.xml", 0)), "WRONG_FORMAT", "other.xml"],
    ["no member at all", Buffer.alloc(1024), "WRONG_FORMAT", "no tar archive"],
    ["no tar archive", Buffer.alloc(1024, 7), "CORRUPT", "no header"],
    ["an empty file", Buffer.alloc(0), "WRONG_FORMAT", "no tar archive"],
    ["no disk", buildXva({ disks: [] }).image, "CORRUPT", "no disk"],
    ["only a damaged header", members(tarHeader("ova.xml", 0), Buffer.alloc(512, 1)), "CORRUPT", "no header"],
    ["chunks out of order", buildXva({ disks: [disk(["data", "data"], { numbers: [5, 4] })] }).image, "CORRUPT", "chunk 4 of"],
    ["a manifest behind the end", members(tarHeader("ova.xml", 3000)), "TRUNCATED", "3000 bytes"],
    ["a manifest over the limit", members(tarHeader("ova.xml", 2 ** 25)), "WRONG_FORMAT", "are the limit"],
    ["names without end", members(tarHeader("ova.xml", 2 ** 20, "L")), "CORRUPT", "are the limit"],
  ])("what cannot be read: %s", (name, image, code, message) => {
    expect(
      imageErrorOf(() => openBytes(image)),
      name,
    ).toMatchObject({ code, message: expect.stringContaining(message) as string });
  });

  test("more disks than a machine can have", () => {
    const many = Array.from({ length: 1025 }, (_, index) => tarHeader(`Ref:${index}/00000000`, 0));
    expect(imageErrorOf(() => openBytes(members(tarHeader("ova.xml", 0), ...many)))).toMatchObject({ code: "WRONG_FORMAT" });
  });

  test("snapshots, which there are none of", () => {
    expect(imageErrorOf(() => openBytes(built.image, { snapshot: "1" }))).toMatchObject({ code: "UNSUPPORTED" });
  });
});

describe.skipIf(!requireProgram("tar"))("archives that tar knows", () => {
  const directory = tempDirectory();

  test("tar lists what the builder makes", () => {
    const path = join(subdirectory(directory), "a.xva");
    writeFileSync(path, built.image);
    expect(run("tar", ["tf", path]).trim().split("\n")).toEqual(built.members.map(({ name }) => name));
  });

  test.each(["ustar", "gnu", "pax", "v7", "oldgnu"])("what tar writes: %s", (format) => {
    const home = subdirectory(directory);
    const long = buildXva({ disks: [disk(["data", "left out", "data"], { id: `Ref:4/${"long/".repeat(40)}${"x".repeat(10)}` })] });
    const archive = format === "v7" || format === "ustar" ? built : long;
    for (const { name, content } of archive.members) {
      mkdirSync(dirname(join(home, name)), { recursive: true });
      writeFileSync(join(home, name), content);
    }
    run("tar", ["-c", "-f", "a.xva", "--force-local", `--format=${format}`, ...archive.members.map(({ name }) => name)], home);
    const layer = openBytes(readFileSync(join(home, "a.xva")));
    expect(difference(readRange(layer, 0, layer.size), Object.values(archive.disks)[0]!)).toBeUndefined();
    expect(layer.facts().notes).toEqual([]);
  });
});
