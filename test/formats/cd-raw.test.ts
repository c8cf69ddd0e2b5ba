import { describe, expect, test } from "vitest";
import { cdRaw } from "../../src/formats/cd-raw/index.js";
import { sheetNames } from "../../src/formats/cd/sheet.js";
import type { Layer } from "../../src/formats/driver.js";
import { sound, storeData, wav, withSubchannel } from "../support/cd-builder.js";
import { mixed, noise } from "../support/content.js";
import { describeDriver } from "../support/contract.js";
import { contentOf, discDifferences, openDisc, runsOf } from "../support/discs.js";
import { difference, imageErrorOf } from "../support/reading.js";

const disk = mixed(1, 40 * 2048);
/** With a volume descriptor, by which sectors without a sync pattern are known. */
const iso = Buffer.from(disk);
iso.write("\x01CD001\x01", 16 * 2048, "latin1");
const a = sound(1, 30);

const openRaw = (image: Uint8Array): Layer => openDisc(cdRaw, "disc.bin", image);
const probe = (image: Uint8Array) => cdRaw.probe({ head: image.subarray(0, 65_536), tail: image.subarray(-512), size: image.length });

describeDriver(cdRaw, [
  { name: "mode 1", image: storeData(disk), disk },
  { name: "mode 2, with subchannels", image: storeData(disk, { mode: 2, subchannel: 96 }), disk },
]);

test.each([
  ["2352, mode 1", 40, {}],
  ["2352, mode 2", 40, { mode: 2 }],
  ["2448", 40, { subchannel: 96 }],
  ["2368", 40, { subchannel: 16 }],
  ["2352, a single one", 1, {}],
  ["2352, a few", 5, {}],
] as const)("sectors of %s", (_, sectors, shape) => {
  const content = disk.subarray(0, sectors * 2048);
  const image = storeData(content, shape);
  expect(probe(image)).toBe(true);
  expect(discDifferences(openRaw(image), content, {})).toEqual([]);
});

test.each([
  ["2336", storeData(iso, { mode: 2, sectorSize: 2336 })],
  ["2332", storeData(iso, { mode: 2, sectorSize: 2332 })],
  ["2324", storeData(iso, { mode: 2, sectorSize: 2324 })],
  ["2144", storeData(iso, { sectorSize: 2048, subchannel: 96 })],
])("sectors of %s, known by a volume descriptor", (_, image) => {
  expect(probe(image)).toBe(true);
  expect(discDifferences(openRaw(image), iso, {})).toEqual([]);
});

describe("what is none", () => {
  test.each([
    ["an ISO image", iso],
    ["noise", noise(1, 100_000)],
    ["a sync pattern that no other follows", Buffer.concat([storeData(disk).subarray(0, 2352), noise(1, 10_000)])],
    ["sectors of 2336 bytes without a volume descriptor", storeData(disk, { mode: 2, sectorSize: 2336 })],
    ["less than a sector", storeData(disk).subarray(0, 2351)],
  ])("%s", (_, image) => {
    expect(probe(image)).toBe(false);
    expect(imageErrorOf(() => openRaw(image))).toMatchObject({ code: "WRONG_FORMAT" });
  });
});

describe("sound behind the data", () => {
  test.each([1, 7, 8, 9, 40])("is a track of its own: %i sectors of data", (sectors) => {
    const content = disk.subarray(0, sectors * 2048);
    const layer = openRaw(Buffer.concat([storeData(content), sectors === 1 ? storeData(disk.subarray(0, 2048)) : Buffer.alloc(0), a]));
    expect(layer.size).toBe(Math.max(2, sectors) * 2048);
    expect(difference(contentOf(layer).subarray(0, content.length), content)).toBeUndefined();
    expect((layer.tracks ?? []).map(({ name, size }) => [name, size])).toEqual([["02.wav", wav(a).length]]);
    expect(layer.facts().notes.join()).toContain("no sheet");
  });

  test("with subchannels", () => {
    const layer = openRaw(Buffer.concat([storeData(disk, { subchannel: 96 }), withSubchannel(a)]));
    expect(discDifferences(layer, disk, { "02.wav": wav(a) })).toEqual([]);
  });

  test("damaged sectors are not the end of the data", () => {
    const image = storeData(disk);
    for (const sector of [10, 11, 12, 13, 14, 15, 16]) image.fill(0x55, sector * 2352, (sector + 1) * 2352);
    const layer = openRaw(Buffer.concat([image, a]));
    expect(layer.size).toBe(disk.length);
    expect(imageErrorOf(() => contentOf(layer))).toMatchObject({ code: "CORRUPT", position: 10 * 2352 });
    expect(runsOf(openRaw(image))).toEqual(["stored from 0"]);
  });
});

test("a file that ends inside a sector", () => {
  const layer = openRaw(storeData(disk).subarray(0, -7));
  expect(difference(contentOf(layer), disk.subarray(0, -2048))).toBeUndefined();
  expect(layer.facts().notes).toEqual([expect.stringContaining("2345 bytes")]);
  // The last subchannels may be missing.
  expect(
    openRaw(storeData(disk, { subchannel: 96 }).subarray(0, -50))
      .facts()
      .notes.join(),
  ).not.toContain("whole sector");
});

test("which sheets may describe a file", () => {
  expect(sheetNames("Game.bin")).toEqual(
    expect.arrayContaining(["Game.cue", "Game.CUE", "Game.bin.cue", "Game.toc", "Game.ccd", "Game.mds"]),
  );
  expect(sheetNames("Game.vmdk")).toEqual([]);
});
