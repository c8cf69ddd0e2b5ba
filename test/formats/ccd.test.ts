import { describe, expect, test } from "vitest";
import { ccd } from "../../src/formats/ccd/index.js";
import type { Layer } from "../../src/formats/driver.js";
import { ccdText, sound, storeData, wav } from "../support/cd-builder.js";
import { mixed } from "../support/content.js";
import { describeDriver } from "../support/contract.js";
import { contentOf, discDifferences, type Files, openDisc, runsOf, trackNamed } from "../support/discs.js";
import { difference, imageErrorOf } from "../support/reading.js";

const disk = mixed(1, 40 * 2048);
const other = mixed(2, 30 * 2048);
const [a, b] = [sound(1, 30), sound(2, 25)];

function openCcd(text: string, files: Files): Layer {
  return openDisc(ccd, "disc.ccd", text, files);
}

describeDriver(ccd, [
  {
    name: "data, and sound",
    image: Buffer.from(
      ccdText(
        [
          { number: 1, start: 0 },
          { number: 2, start: 40, audio: true },
        ],
        [70],
      ),
    ),
    disk,
    parts: { "data, and sound.img": Buffer.concat([storeData(disk), a]) },
  },
]);

test("one track of mode 2", () => {
  const layer = openCcd(ccdText([{ number: 1, start: 0 }], [40]), { "disc.img": storeData(disk, { mode: 2 }) });
  expect(discDifferences(layer, disk, {})).toEqual([]);
  expect(layer.facts()).toMatchObject({ variant: "version 3", details: { sessions: 1, tracks: 1, "data in tracks": "1" } });
});

test("data, a pause, and sound", () => {
  const image = Buffer.concat([storeData(disk), sound(9, 10), a, b]);
  const text = ccdText(
    [
      { number: 1, start: 0 },
      { number: 2, start: 50, audio: true, pregap: 10 },
      { number: 3, start: 80, audio: true },
    ],
    [105],
  );
  const layer = openCcd(text, { "disc.img": image });
  expect(discDifferences(layer, disk, { "02.wav": wav(a), "03.wav": wav(b) })).toEqual([]);
});

test("sound before the first track", () => {
  const layer = openCcd(ccdText([{ number: 1, start: 30, audio: true }], [55]), { "disc.img": Buffer.concat([a, b]) });
  expect(discDifferences(layer, Buffer.alloc(0), { "00.wav": wav(a), "01.wav": wav(b) })).toEqual([]);
});

test("a control field that says sound where there is data", () => {
  const layer = openCcd(ccdText([{ number: 1, start: 0, audio: true }], [40]), { "disc.img": storeData(disk) });
  expect(discDifferences(layer, disk, {})).toEqual([]);
});

describe("two sessions", () => {
  const start = 40 + 11_400;
  const text = ccdText(
    [
      { number: 1, start: 0 },
      { number: 2, session: 2, start },
    ],
    [40, start + 30],
  );
  const second = storeData(other, { first: start });
  test.each([
    ["without what is between them", Buffer.concat([storeData(disk), second])],
    ["with the pause before the second", Buffer.concat([storeData(disk), storeData(mixed(7, 150 * 2048), { first: start - 150 }), second])],
    ["with all that is between them", Buffer.concat([storeData(disk), Buffer.alloc(11_400 * 2352), second])],
  ])("%s", (_, image) => {
    const layer = openCcd(text, { "disc.img": image });
    expect(runsOf(layer)).toEqual(["stored from 0", "zero from 40", `stored from ${start}`]);
    expect(layer.sessions).toEqual([0, start * 2048]);
    expect(difference(contentOf(trackNamed(layer, "01.iso")), disk)).toBeUndefined();
    expect(difference(contentOf(trackNamed(layer, "02.iso")), other)).toBeUndefined();
  });
});

test("three sessions", () => {
  const [second, third] = [11_440, 11_440 + 30 + 6900];
  const text = ccdText(
    [
      { number: 1, start: 0 },
      { number: 2, session: 2, start: second },
      { number: 3, session: 3, start: third },
    ],
    [40, second + 30, third + 40],
  );
  const image = Buffer.concat([storeData(disk), storeData(other, { first: second }), storeData(disk, { first: third })]);
  const layer = openCcd(text, { "disc.img": image });
  expect(layer.sessions).toEqual([0, second * 2048, third * 2048]);
  expect(difference(contentOf(trackNamed(layer, "03.iso")), disk)).toBeUndefined();
  expect(difference(contentOf(layer).subarray(third * 2048), disk)).toBeUndefined();
});

test("the image may be called .bin, or in upper case", () => {
  for (const name of ["disc.IMG", "disc.bin"]) {
    expect(discDifferences(openCcd(ccdText([{ number: 1, start: 0 }], [40]), { [name]: storeData(disk) }), disk, {})).toEqual([]);
  }
});

const good = ccdText([{ number: 1, start: 0 }], [40]);
test.each([
  ["something else", "[Disc]\n", "WRONG_FORMAT", "no CloneCD"],
  ["scrambled data", good.replace("Scrambled=0", "Scrambled=1"), "UNSUPPORTED", "scrambled"],
  ["entries that are missing", good.replace("TocEntries=4", "TocEntries=5"), "CORRUPT", "4 entries, and announces 5"],
  ["no number of entries", good.replace("TocEntries=4", ""), "CORRUPT", "no TocEntries"],
  ["a section twice", `${good}[Entry 0]\r\n`, "CORRUPT", "there twice"],
  ["a number that is none", good.replace("PLBA=0", "PLBA=x"), "CORRUPT", '"x"'],
  ["an entry without a point", good.replace("Point=0x01\r\n", ""), "CORRUPT", "lacks Session, Point or PLBA"],
  ["no lead-out", good.replace("0xa2", "0xa3"), "CORRUPT", "no lead-out"],
  ["a lead-out before the track", ccdText([{ number: 1, start: 50 }], [40]), "CORRUPT", "ends before it begins"],
  ["a sector that is not that of its time", good.replace("PLBA=40", "PLBA=4"), "CORRUPT", "says sector 4, and by its time 40"],
])("what cannot be read: %s", (_, text, code, message) => {
  const error = imageErrorOf(() => openCcd(text, { "disc.img": storeData(disk) }));
  expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string });
});

test("an image that is missing is named", () => {
  expect(imageErrorOf(() => openCcd(good, {}))).toMatchObject({
    code: "PART_MISSING",
    message: expect.stringContaining("disc.img") as string,
  });
});

test("an image that is cut: what is there is read", () => {
  const layer = openCcd(good, { "disc.img": storeData(disk).subarray(0, 20 * 2352 + 5) });
  expect(runsOf(layer)).toEqual(["stored from 0", "damaged from 20"]);
  expect(layer.facts().notes.join()).toContain("5 bytes");
});
