import { describe, expect, test } from "vitest";
import { cdrdao } from "../../src/formats/cdrdao/index.js";
import type { Layer } from "../../src/formats/driver.js";
import { sound, storeData, swapped, time, wav, withSubchannel } from "../support/cd-builder.js";
import { mixed } from "../support/content.js";
import { describeDriver } from "../support/contract.js";
import { contentOf, discDifferences, type Files, openDisc, runsOf, trackNamed } from "../support/discs.js";
import { difference, imageErrorOf } from "../support/reading.js";

const disk = mixed(1, 40 * 2048);
const other = mixed(2, 30 * 2048);
const [a, b, c] = [sound(1, 30), sound(2, 25), sound(3, 20)];
const silence = (sectors: number) => Buffer.alloc(sectors * 2352);

function openToc(text: string | Uint8Array, files: Files, degraded = false): Layer {
  return openDisc(cdrdao, "disc.toc", text, files, degraded);
}

describeDriver(cdrdao, [
  {
    name: "data in whole sectors, and sound",
    image: Buffer.from(
      'CD_ROM\n\n// Track 1\nTRACK MODE1_RAW\nNO COPY\nDATAFILE "data.bin"\n\n// Track 2\nTRACK AUDIO\nNO COPY\nNO PRE_EMPHASIS\n' +
        'TWO_CHANNEL_AUDIO\nSILENCE 00:02:00\nSTART\nFILE "sound.bin" #0 0 00:00:30\n\n',
    ),
    disk,
    parts: { "data.bin": storeData(disk), "sound.bin": swapped(a) },
  },
]);

describe("sectors", () => {
  test.each([
    ["MODE1", storeData(disk, { sectorSize: 2048 })],
    ["MODE1_RAW", storeData(disk)],
    ["MODE1_RAW RW_RAW", storeData(disk, { subchannel: 96 })],
    ["MODE2", storeData(disk, { mode: 2, sectorSize: 2336 })],
    ["MODE2_RAW", storeData(disk, { mode: 2 })],
    ["MODE2_FORM1", storeData(disk, { mode: 2, sectorSize: 2048 })],
    ["MODE2_FORM2", storeData(disk, { mode: 2, sectorSize: 2324 })],
    ["MODE2_FORM_MIX", storeData(disk, { mode: 2, sectorSize: 2336 })],
    ["MODE2_FORM_MIX RW", storeData(disk, { mode: 2, sectorSize: 2336, subchannel: 96 })],
  ])("%s", (mode, image) => {
    const layer = openToc(`CD_ROM_XA\nTRACK ${mode}\nDATAFILE "a.bin"\n`, { "a.bin": image });
    expect(discDifferences(layer, disk, {})).toEqual([]);
    expect(layer.facts().variant).toBe("CD_ROM_XA");
  });
});

describe("tracks", () => {
  test("one file for all, as read-cd writes it", () => {
    const image = Buffer.concat([storeData(disk), swapped(a), swapped(b)]);
    const layer = openToc(
      'CD_ROM\nCD_TEXT {\n LANGUAGE_MAP { 0 : EN }\n LANGUAGE 0 { TITLE "A \\"title\\" // no comment" PERFORMER "\\344" GENRE { 0, 27, 0 } }\n}\n' +
        `TRACK MODE1_RAW\nDATAFILE "a.bin" 00:00:40 // length in bytes: 94080\n` +
        `TRACK AUDIO\nISRC "ABCDE1234567"\nFILE "a.bin" #94080 0 00:00:30\n` +
        `TRACK AUDIO\nFILE "a.bin" #94080 00:00:30 00:00:25\nSTART 00:00:05\nINDEX 00:00:03\n`,
      { "a.bin": image },
    );
    const pause = b.subarray(0, 5 * 2352);
    expect(discDifferences(layer, disk, { "02.wav": wav(Buffer.concat([a, pause])), "03.wav": wav(b.subarray(5 * 2352)) })).toEqual([]);
  });

  test("pieces of files, silence, zeros", () => {
    const layer = openToc(
      `CD_DA\nTRACK AUDIO\nPREGAP 0:2:0\nFILE "a.raw" 0:0:10 0:0:5\nSILENCE 0:0:2\nAUDIOFILE "b.wav" 588 1176\nFILE "c.raw" SWAP 0\n`,
      { "a.raw": swapped(a), "b.wav": wav(b), "c.raw": c },
    );
    const expected = Buffer.concat([a.subarray(10 * 2352, 15 * 2352), silence(2), b.subarray(2352, 3 * 2352), c]);
    expect(discDifferences(layer, Buffer.alloc(0), { "01.wav": wav(expected) })).toEqual([]);
    const data = openToc(
      `CD_ROM\nTRACK MODE1\nDATAFILE "data" 00:00:10\nZERO 00:00:03\nDATAFILE "data" #${10 * 2048} ${5 * 2048}\nTRACK MODE1\nZERO 00:02:00\nSTART\nDATAFILE "other"\n`,
      { data: disk, other },
    );
    expect(runsOf(data)).toEqual(["stored from 0", "zero from 10", "stored from 13", "zero from 18", "stored from 168"]);
    expect(difference(contentOf(trackNamed(data, "02.iso")), other)).toBeUndefined();
    expect(difference(contentOf(trackNamed(data, "01.iso")).subarray(13 * 2048), disk.subarray(10 * 2048, 15 * 2048))).toBeUndefined();
  });

  test("sound cut inside a sector", () => {
    const layer = openToc('CD_DA\nTRACK AUDIO\nFILE "a.raw" 100 1000\nFILE "a.raw" 2000 77\nFILE "b.wav" 1\n', {
      "a.raw": swapped(a),
      "b.wav": wav(b),
    });
    const expected = Buffer.concat([a.subarray(400, 4400), a.subarray(8000, 8308), b.subarray(4)]);
    expect(discDifferences(layer, Buffer.alloc(0), { "01.wav": wav(expected) })).toEqual([]);
  });

  test("a pregap that is stored, within one file and as a file of its own", () => {
    const layer = openToc('CD_DA\nTRACK AUDIO\nFILE "a.raw" 0\nSTART\nFILE "b.raw" 0\nTRACK AUDIO\nFILE "c.raw" 0\nSTART 0:0:8\n', {
      "a.raw": swapped(a),
      "b.raw": swapped(b),
      "c.raw": swapped(c),
    });
    expect(
      discDifferences(layer, Buffer.alloc(0), {
        "00.wav": wav(a),
        "01.wav": wav(Buffer.concat([b, c.subarray(0, 8 * 2352)])),
        "02.wav": wav(c.subarray(8 * 2352)),
      }),
    ).toEqual([]);
  });

  test("sound with subchannels", () => {
    const layer = openToc('CD_DA\nTRACK AUDIO RW_RAW\nFILE "a.raw" 0\n', { "a.raw": withSubchannel(swapped(a)) });
    expect(discDifferences(layer, Buffer.alloc(0), { "01.wav": wav(a) })).toEqual([]);
  });

  test("a file that is missing is named; with --degraded what it holds is damaged", () => {
    const text = `CD_ROM\nTRACK MODE1\nDATAFILE "a" 00:00:10\nDATAFILE "b" 00:00:10\nTRACK AUDIO\nFILE "c.raw" 0 ${time(5)}\n`;
    expect(imageErrorOf(() => openToc(text, { a: disk }))).toMatchObject({ code: "PART_MISSING" });
    const layer = openToc(text, { a: disk }, true);
    expect(runsOf(layer)).toEqual(["stored from 0", "damaged from 10"]);
    expect(imageErrorOf(() => contentOf(trackNamed(layer, "02.wav")))).toMatchObject({ code: "PART_MISSING" });
  });
});

describe("recognised", () => {
  const probe = (text: string) => cdrdao.probe({ head: Buffer.from(text), tail: Buffer.alloc(0), size: text.length });
  test.each([
    ["at once", "CD_DA\n", true],
    ["behind comments and a number", '// made by\n// hand\nCATALOG "1234567890123"\nCD_ROM_XA // multi\n', true],
    ["not as another word", "CD_DATA\n", false],
    ["not later", "hello\nCD_DA\n", false],
    ["not in time that grows with blanks", `${" ".repeat(60_000)}x`, false],
    ["not in time that grows with comments", `${"// x\n ".repeat(9000)}x`, false],
  ])("%s", (_, text, expected) => {
    expect(probe(text)).toBe(expected);
  });
});

test.each([
  ["no type", "TRACK AUDIO\n", "WRONG_FORMAT", "no toc-file"],
  ["no track", "CD_DA\n", "CORRUPT", "describes no track"],
  ["an empty track", "CD_DA\nTRACK AUDIO\n", "CORRUPT", "line 2: the track holds nothing"],
  ["an unknown statement", 'CD_DA\nTRACK AUDIO\nFOO\nFILE "a" 0\n', "CORRUPT", 'line 3: "FOO" is no statement'],
  ["a name of every object", "CD_DA\nconstructor\n", "CORRUPT", '"constructor" is no statement'],
  ["an unknown mode", 'CD_DA\nTRACK MODE7\nFILE "a" 0\n', "UNSUPPORTED", '"MODE7"'],
  ["a text without an end", 'CD_DA\nTRACK AUDIO\nFILE "a 0\n', "CORRUPT", "line 3: a text does not end"],
  ["a text that is very long", `CD_DA\nTRACK AUDIO\nFILE "${"a".repeat(500_000)}" 0\n`, "CORRUPT", "does not end"],
  ["a block without an end", 'CD_DA\nCD_TEXT { TITLE "a"\n', "CORRUPT", "block does not end"],
  ["a block without a beginning", "CD_DA\nCD_TEXT TITLE\n", "CORRUPT", "block does not begin"],
  ["a length that is none", 'CD_DA\nTRACK AUDIO\nFILE "a" x\n', "CORRUPT", '"x" is no length'],
  ["data before a track", 'CD_DA\nFILE "a" 0\n', "CORRUPT", "before any track"],
  ["bytes that are no sectors", 'CD_ROM\nTRACK MODE1\nDATAFILE "a" 1000\n', "CORRUPT", "no whole sectors"],
  ["a pipe", 'CD_DA\nTRACK AUDIO\nFIFO "a" 1000\n', "UNSUPPORTED", "pipe"],
  ["standard input", 'CD_DA\nTRACK AUDIO\nFILE "-" 0\n', "UNSUPPORTED", "standard input"],
  ["compressed sound", 'CD_DA\nTRACK AUDIO\nFILE "a.mp3" 0\n', "UNSUPPORTED", "not decoded"],
  ["100 tracks", `CD_DA\n${'TRACK AUDIO\nFILE "a" 0\n'.repeat(100)}`, "CORRUPT", "more than 99"],
  ["a length beyond all discs", `CD_DA\nTRACK AUDIO\n${"SILENCE 999999999999999\n".repeat(5000)}`, "CORRUPT", "are the limit"],
])("what cannot be read: %s", (_, text, code, message) => {
  const error = imageErrorOf(() => openToc(text, { a: disk, "a.mp3": disk }));
  expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string });
});
