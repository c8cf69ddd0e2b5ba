import { describe, expect, test } from "vitest";
import type { Layer } from "../../src/formats/driver.js";
import { mds } from "../../src/formats/mds/index.js";
import { buildMds, type MdsTrackShape, sound, storeData, wav, withSubchannel } from "../support/cd-builder.js";
import { mixed } from "../support/content.js";
import { describeDriver } from "../support/contract.js";
import { contentOf, discDifferences, type Files, openDisc, runsOf, trackNamed } from "../support/discs.js";
import { difference, imageErrorOf } from "../support/reading.js";

const disk = mixed(1, 40 * 2048);
const other = mixed(2, 30 * 2048);
const [a, b] = [sound(1, 30), sound(2, 25)];
const data: MdsTrackShape = { number: 1, mode: 0xaa, sectorSize: 2352, start: 0, position: 0, pregap: 150, length: 40 };

function openMds(image: Uint8Array, files: Files): Layer {
  return openDisc(mds, "disc.mds", image, files);
}

describeDriver(mds, [
  {
    name: "data, and sound",
    image: buildMds([data, { number: 2, mode: 0xa9, sectorSize: 2352, start: 40, position: 40 * 2352, length: 30 }], {
      files: ["disc.mdf"],
    }),
    disk,
    parts: { "disc.mdf": Buffer.concat([storeData(disk), a]) },
  },
  {
    name: "a DVD",
    image: buildMds([{ ...data, mode: 2, sectorSize: 2048 }], { medium: 0x10, files: ["disc.mdf"] }),
    disk,
    parts: { "disc.mdf": disk },
  },
]);

describe("sectors", () => {
  test.each([
    ["2048, mode 1", 0xaa, storeData(disk, { sectorSize: 2048 }), 2048, false],
    ["2352, mode 1", 0xaa, storeData(disk), 2352, false],
    ["2448, mode 1 with subchannels", 0xaa, storeData(disk, { subchannel: 96 }), 2448, true],
    ["2448, mode 1, its other number", 0xea, storeData(disk, { subchannel: 96 }), 2448, true],
    ["2336, mode 2", 0xab, storeData(disk, { mode: 2, sectorSize: 2336 }), 2336, false],
    ["2352, mode 2 form 1", 0xac, storeData(disk, { mode: 2 }), 2352, false],
    ["2352, mode 2 form 1, its other number", 0xec, storeData(disk, { mode: 2 }), 2352, false],
    ["2324, mode 2 form 2", 0xad, storeData(disk, { mode: 2, sectorSize: 2324 }), 2324, false],
  ] as const)("of %s", (_, mode, image, sectorSize, subchannel) => {
    const layer = openMds(buildMds([{ ...data, mode, sectorSize, subchannel }]), { "disc.mdf": image });
    expect(discDifferences(layer, disk, {})).toEqual([]);
    expect(layer.facts()).toMatchObject({ variant: "version 1.5", details: { medium: "CD" } });
  });

  test("of sound with subchannels, behind data with them", () => {
    const image = Buffer.concat([storeData(disk, { subchannel: 96 }), withSubchannel(a), withSubchannel(b)]);
    const track = (number: number, start: number, length: number): MdsTrackShape => {
      return { number, mode: 0xa9, sectorSize: 2448, subchannel: true, start, position: start * 2448, length };
    };
    const layer = openMds(buildMds([{ ...data, sectorSize: 2448, subchannel: true }, track(2, 40, 30), track(3, 70, 25)]), {
      "disc.mdf": image,
    });
    expect(discDifferences(layer, disk, { "02.wav": wav(a), "03.wav": wav(b) })).toEqual([]);
  });
});

test("a pregap is not stored: the track before plays silence", () => {
  const tracks = [
    { number: 1, mode: 0xa9, sectorSize: 2352, start: 0, position: 0, pregap: 150, length: 30 },
    { number: 2, mode: 0xa9, sectorSize: 2352, start: 40, position: 30 * 2352, pregap: 10, length: 25 },
  ];
  const layer = openMds(buildMds(tracks), { "disc.mdf": Buffer.concat([a, b]) });
  expect(discDifferences(layer, Buffer.alloc(0), { "01.wav": wav(Buffer.concat([a, Buffer.alloc(10 * 2352)])), "02.wav": wav(b) })).toEqual(
    [],
  );
});

test("two sessions", () => {
  const start = 11_440;
  const second = { ...data, number: 2, session: 2, start, position: 40 * 2352, length: 30 };
  const layer = openMds(buildMds([data, second]), { "disc.mdf": Buffer.concat([storeData(disk), storeData(other, { first: start })]) });
  expect(runsOf(layer)).toEqual(["stored from 0", "zero from 40", `stored from ${start}`]);
  expect(layer.sessions).toEqual([0, start * 2048]);
  expect(difference(contentOf(trackNamed(layer, "02.iso")), other)).toBeUndefined();
});

test("a DVD in several files", () => {
  const parts = {
    "disc.mdf": disk.subarray(0, 15 * 2048),
    "disc.i01": disk.subarray(15 * 2048, 16 * 2048),
    "disc.i02": disk.subarray(16 * 2048),
  };
  const image = buildMds([{ ...data, mode: 2, sectorSize: 2048 }], { medium: 0x12, files: ["*.mdf", "*.i01", "*.i02"] });
  const layer = openMds(image, parts);
  expect(discDifferences(layer, disk, {})).toEqual([]);
  expect(layer.facts().details["medium"]).toBe("DVD");
});

test.each([
  ["as it is told", { files: ["other.mdf"] }, "other.mdf"],
  ["in two bytes per character", { files: ["Größe.mdf"], wide: true }, "Größe.mdf"],
  ["like the descriptor", { files: ["*.mdf"], wide: true }, "disc.mdf"],
  ["renamed together with the descriptor", { files: ["old.mdf"] }, "disc.mdf"],
  ["nowhere told", { files: [] }, "disc.mdf"],
])("the file's name: %s", (_, options, name) => {
  expect(discDifferences(openMds(buildMds([data], options), { [name]: storeData(disk) }), disk, {})).toEqual([]);
});

test.each([
  ["version 2, which is encrypted", buildMds([data], { version: [2, 1] }), "UNSUPPORTED", "encrypted"],
  ["version 3", buildMds([data], { version: [3, 0] }), "UNSUPPORTED", "version 3.0"],
  ["something else", Buffer.alloc(100), "WRONG_FORMAT", "no media descriptor"],
  ["unknown subchannels", changed(1, 4, 88 + 24 + 240), "UNSUPPORTED", "unknown kind (0x4)"],
  ["an unknown mode", changed(0, 0xa8, 88 + 24 + 240), "UNSUPPORTED", "mode 0xa8"],
  ["an unknown sector size", changed(16, 1, 88 + 24 + 240), "UNSUPPORTED", "2305 bytes"],
  ["no sessions", changed(20, 0, 0), "CORRUPT", "0 sessions"],
  ["a track before the disc", changed(39, 0xff, 88 + 24 + 240), "CORRUPT", "begins at sector -"],
  ["too many files", changed(49, 1, 88 + 24 + 240), "CORRUPT", "257 files"],
])("what cannot be read: %s", (_, image, code, message) => {
  const error = imageErrorOf(() => openMds(image, { "disc.mdf": storeData(disk) }));
  expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string, file: "disc.mds" });
});

function changed(at: number, value: number, base: number): Buffer {
  const image = buildMds([data]);
  image[base + at] = value;
  return image;
}
