import { describe, expect, test } from "vitest";
import type { Layer } from "../../src/formats/driver.js";
import { nrg } from "../../src/formats/nrg/index.js";
import { buildNrg, sound, storeData, wav, withSubchannel } from "../support/cd-builder.js";
import { mixed } from "../support/content.js";
import { describeDriver } from "../support/contract.js";
import { contentOf, discDifferences, openDisc, runsOf, trackNamed } from "../support/discs.js";
import { difference, imageErrorOf } from "../support/reading.js";

const disk = mixed(1, 40 * 2048);
const other = mixed(2, 30 * 2048);
const [a, b] = [sound(1, 30), sound(2, 25)];
const pause = (sectors: number) => Buffer.alloc(sectors * 2352);
const plain = { mode: 0, sectorSize: 2048, content: disk, start: 0 };
const raw = { mode: 5, sectorSize: 2352, pregap: 150, content: Buffer.concat([pause(150), storeData(disk)]), start: 0 };
const audio = { mode: 7, sectorSize: 2352, content: a, start: 40 };

const openNrg = (image: Uint8Array): Layer => openDisc(nrg, "disc.nrg", image);

describeDriver(nrg, [
  { name: "version 2, track by track", image: buildNrg([[plain]], 2, false), disk },
  { name: "version 1, track by track", image: buildNrg([[plain]], 1, false), disk },
  { name: "version 2, disc at once", image: buildNrg([[raw, audio]], 2, true), disk },
  { name: "version 1, disc at once", image: buildNrg([[raw, audio]], 1, true), disk },
]);

describe.each([1, 2] as const)("version %i", (version) => {
  test("disc at once: data and sound, with pauses", () => {
    const third = { mode: 7, sectorSize: 2352, pregap: 10, content: Buffer.concat([sound(9, 10), b]), start: 80 };
    const layer = openNrg(buildNrg([[raw, audio, third]], version, true));
    expect(discDifferences(layer, disk, { "02.wav": wav(Buffer.concat([a, sound(9, 10)])), "03.wav": wav(b) })).toEqual([]);
    expect(layer.facts().variant).toBe(`version ${version}`);
  });

  test("track by track: data and sound", () => {
    const layer = openNrg(buildNrg([[plain, { ...audio, content: a, start: 40 }]], version, false));
    // The pause between them is stored nowhere.
    expect(discDifferences(layer, disk, { "02.wav": wav(a) })).toEqual([]);
  });

  test("track by track: two of data, with the pause that every writer leaves", () => {
    const layer = openNrg(buildNrg([[plain, { ...plain, content: other, start: 40 }]], version, false));
    expect(runsOf(layer)).toEqual(["stored from 0", "zero from 40", "stored from 190"]);
    expect(difference(contentOf(trackNamed(layer, "02.iso")), other)).toBeUndefined();
  });

  test("disc at once: sound before the first track is one of its own, but not the two seconds that every disc has", () => {
    const first = (sectors: number) => ({
      ...audio,
      pregap: sectors,
      content: Buffer.concat([sound(4, sectors), a]),
      start: sectors - 150,
    });
    expect(discDifferences(openNrg(buildNrg([[first(150)]], version, true)), Buffer.alloc(0), { "01.wav": wav(a) })).toEqual([]);
    const hidden = openNrg(buildNrg([[first(170)]], version, true));
    expect((hidden.tracks ?? []).map(({ name }) => name)).toEqual(["00.wav", "01.wav"]);
  });

  test.each([
    ["2048", 0x02, 2048, storeData(disk, { mode: 2, sectorSize: 2048 })],
    ["2336", 0x03, 2336, storeData(disk, { mode: 2, sectorSize: 2336 })],
    ["2352, mode 1", 0x05, 2352, storeData(disk)],
    ["2352, mode 2", 0x06, 2352, storeData(disk, { mode: 2 })],
    ["2336, mode 2, with the number of 2352", 0x06, 2336, storeData(disk, { mode: 2, sectorSize: 2336 })],
    ["2448, mode 1", 0x0f, 2448, storeData(disk, { subchannel: 96 })],
    ["2448, mode 2", 0x11, 2448, storeData(disk, { mode: 2, subchannel: 96 })],
  ])("sectors of %s", (_, mode, sectorSize, content) => {
    for (const atOnce of [true, false]) {
      expect(discDifferences(openNrg(buildNrg([[{ mode, sectorSize, content, start: 0 }]], version, atOnce)), disk, {})).toEqual([]);
    }
  });

  test("sound with subchannels", () => {
    const image = buildNrg([[{ mode: 0x10, sectorSize: 2448, content: withSubchannel(a), start: 0 }]], version, true);
    expect(discDifferences(openNrg(image), Buffer.alloc(0), { "01.wav": wav(a) })).toEqual([]);
  });

  test.each([true, false])("two sessions, at once: %s", (atOnce) => {
    const start = 11_440;
    const second = {
      ...raw,
      content: Buffer.concat([pause(atOnce ? 150 : 0), storeData(other, { first: start })]),
      pregap: atOnce ? 150 : 0,
      start,
    };
    const first = { ...raw, content: storeData(disk), pregap: 0 };
    const layer = openNrg(buildNrg([[first], [second]], version, atOnce));
    expect(runsOf(layer)).toEqual(["stored from 0", "zero from 40", `stored from ${start}`]);
    expect(layer.sessions).toEqual([0, start * 2048]);
    expect(difference(contentOf(trackNamed(layer, "02.iso")), other)).toBeUndefined();
  });
});

test("two sessions of 2048 bytes per sector, whose places only the chunks tell", () => {
  const image = buildNrg([[plain], [{ ...plain, content: other, start: 12_000 }]], 2, true);
  expect(openNrg(image).sessions).toEqual([0, 12_000 * 2048]);
  // Track by track a number may be one of the image: then the second is where every drive would write it.
  expect(openNrg(buildNrg([[plain], [{ ...plain, content: other, start: 40 }]], 2, false)).sessions).toEqual([0, 11_440 * 2048]);
  expect(openNrg(buildNrg([[plain], [{ ...plain, content: other, start: 12_000 }]], 2, false)).sessions).toEqual([0, 12_000 * 2048]);
});

describe("damage", () => {
  const image = buildNrg([[raw, audio]], 2, true);
  const chunks = image.indexOf("CUEX");
  const dao = image.indexOf("DAOX") + 8 + 22;
  const changed = (at: number, ...bytes: number[]) => {
    const copy = Buffer.from(image);
    copy.set(bytes, at);
    return copy;
  };

  test.each([
    ["a mode that is not known", changed(dao + 14, 0x55), "UNSUPPORTED", "0x55"],
    ["a sector size that does not fit the mode", changed(dao + 12, 8, 0), "CORRUPT", "no sectors of 2048"],
    ["a sector size of 0", changed(dao + 12, 0, 0), "CORRUPT", "sectors of 0 bytes"],
    ["a track that ends before it begins", changed(dao + 34, 0, 0, 0, 0, 0, 0, 0, 1), "CORRUPT", "track 1 lies from"],
    ["a chunk that leaves the file", changed(chunks + 4, 0x70), "CORRUPT", "leaves the file"],
    ["a chunk of no whole entries", changed(dao - 22 - 1, 23), "CORRUPT", "no whole entries"],
    [
      "100 tracks",
      buildNrg([[plain, ...Array.from({ length: 99 }, () => ({ ...plain, content: Buffer.alloc(0) }))]], 2, false),
      "CORRUPT",
      "100 tracks",
    ],
    ["chunks of an older version", buildNrg([[plain]], 1, false).fill("TINF", disk.length, disk.length + 4), "UNSUPPORTED", "TINF"],
  ])("%s", (_, content, code, message) => {
    const error = imageErrorOf(() => openNrg(content));
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string });
  });

  test("a footer that leads out of the file is none", () => {
    const bad = changed(image.length - 8, 0xff);
    expect(nrg.probe({ head: bad, tail: bad.subarray(-512), size: bad.length })).toBe(false);
    const far = changed(image.length - 4, 0xff, 0xff, 0xff, 0xff);
    expect(nrg.probe({ head: far, tail: far.subarray(-512), size: far.length })).toBe(false);
  });
});
