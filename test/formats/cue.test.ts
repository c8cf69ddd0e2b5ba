import { describe, expect, test } from "vitest";
import { cue } from "../../src/formats/cue/index.js";
import type { Layer } from "../../src/formats/driver.js";
import { aiff, sound, storeData, swapped, time, wav, withSubchannel } from "../support/cd-builder.js";
import { mixed } from "../support/content.js";
import { describeDriver } from "../support/contract.js";
import { contentOf, discDifferences, type Files, openDisc, runsOf, trackNamed } from "../support/discs.js";
import { difference, imageErrorOf } from "../support/reading.js";

const disk = mixed(1, 40 * 2048);
const other = mixed(2, 30 * 2048);
const lines = (...text: string[]) => `${text.join("\r\n")}\r\n`;

function openCue(text: string | Uint8Array, files: Files, degraded = false) {
  return openDisc(cue, "disc.cue", text, files, degraded);
}

describeDriver(cue, [
  {
    name: "data in whole sectors, then sound in another file",
    image: Buffer.from(
      lines(
        'FILE "data.bin" BINARY',
        "  TRACK 01 MODE1/2352",
        "    INDEX 01 00:00:00",
        'FILE "02.bin" BINARY',
        "  TRACK 02 AUDIO",
        "    INDEX 00 00:00:00",
        "    INDEX 01 00:00:05",
      ),
    ),
    disk,
    parts: { "data.bin": storeData(disk), "02.bin": sound(1, 20) },
  },
  {
    name: "data alone in sectors of 2048 bytes",
    image: Buffer.from(lines('FILE "data.bin" BINARY', "  TRACK 01 MODE1/2048", "    INDEX 01 00:00:00")),
    disk,
    parts: { "data.bin": disk },
  },
]);

describe("sectors", () => {
  test.each([
    ["MODE1/2048", storeData(disk, { sectorSize: 2048 })],
    ["MODE1/2352", storeData(disk)],
    ["MODE1/2448", storeData(disk, { subchannel: 96 })],
    ["MODE2/2048", storeData(disk, { mode: 2, sectorSize: 2048 })],
    ["MODE2/2324", storeData(disk, { mode: 2, sectorSize: 2324 })],
    ["MODE2/2332", storeData(disk, { mode: 2, sectorSize: 2332 })],
    ["MODE2/2336", storeData(disk, { mode: 2, sectorSize: 2336 })],
    ["MODE2/2352", storeData(disk, { mode: 2 })],
    ["MODE2/2448", storeData(disk, { mode: 2, subchannel: 96 })],
    ["CDI/2336", storeData(disk, { mode: 2, sectorSize: 2336 })],
    ["CDI/2352", storeData(disk, { mode: 2 })],
    // A sheet may be wrong about the mode: the sectors say it.
    ["MODE1/2352", storeData(disk, { mode: 2 })],
    ["MODE2/2352", storeData(disk)],
  ])("%s", (mode, image) => {
    const layer = openCue(lines('FILE "a.bin" BINARY', `TRACK 01 ${mode}`, "INDEX 01 00:00:00"), { "a.bin": image });
    expect(discDifferences(layer, disk, {})).toEqual([]);
    expect(layer.sessions).toEqual([0]);
    expect(layer.sectorSize).toBe(2048);
  });

  test("of form 2 among those of form 1: the first 2048 bytes, and told", () => {
    const form2 = (index: number) => index % 3 === 1;
    const contents = Array.from({ length: 30 }, (_, index) => mixed(index, form2(index) ? 2324 : 2048));
    const image = storeData(Buffer.concat(contents), { mode: 2, form2 });
    const layer = openCue(lines('FILE "a.bin" BINARY', "TRACK 01 MODE2/2352", "INDEX 01 00:00:00"), { "a.bin": image });
    expect(discDifferences(layer, Buffer.concat(contents.map((content) => content.subarray(0, 2048))), {})).toEqual([]);
    expect(layer.facts().notes.join()).toContain("the first 2048");
  });

  test("with CD+G: sound without its subchannels", () => {
    const samples = sound(3, 20);
    const layer = openCue(lines('FILE "a.bin" BINARY', "TRACK 01 CDG", "INDEX 01 00:00:00"), { "a.bin": withSubchannel(samples) });
    expect(discDifferences(layer, Buffer.alloc(0), { "01.wav": wav(samples) })).toEqual([]);
  });

  test("with CD+G, cut inside one", () => {
    const samples = sound(3, 20);
    const image = withSubchannel(samples).subarray(0, 10 * 2448 + 1224);
    const layer = openCue(lines('FILE "a.bin" BINARY', "TRACK 01 CDG", "INDEX 01 00:00:00"), { "a.bin": image });
    expect(discDifferences(layer, Buffer.alloc(0), { "01.wav": wav(samples.subarray(0, 10 * 2352 + 1176)) })).toEqual([]);
  });

  test("several are one read: a run of up to 64 is one block", () => {
    const large = mixed(3, 200 * 2048);
    const layer = openCue(lines('FILE "a.bin" BINARY', "TRACK 01 MODE1/2352", "INDEX 01 00:00:00"), { "a.bin": storeData(large) });
    expect(layer.map(0, large.length)).toMatchObject({ kind: "packed", length: 64 * 2048, skip: 0 });
    expect(layer.map(2048 * 5, 5000)).toMatchObject({ kind: "packed", length: 4096, skip: 0, block: { size: 4096, position: 5 * 2352 } });
    expect(layer.map(2048 * 5 + 9, 50_000)).toMatchObject({ kind: "packed", length: 2039, skip: 9, block: { size: 2048 } });
  });

  test.each([
    ["without its sync pattern", 0, "does not begin with the sync pattern"],
    ["of mode 3", 15, "mode 3"],
    ["of mode 2 without a subheader", 20, "no subheader"],
  ])("one %s is an error for itself alone", (_, at, message) => {
    const image = storeData(disk, { mode: 2 });
    image[7 * 2352 + at] = at === 15 ? 3 : (image[7 * 2352 + at] ?? 0) ^ 0x55;
    const layer = openCue(lines('FILE "a.bin" BINARY', "TRACK 01 MODE2/2352", "INDEX 01 00:00:00"), { "a.bin": image });
    expect(rangeError(layer, 7 * 2048 + 100, 10)).toMatchObject({
      code: "CORRUPT",
      position: 7 * 2352,
      message: expect.stringContaining(message) as string,
    });
    expect(rangeError(layer, 0, 7 * 2048)).toBeUndefined();
    expect(rangeError(layer, 8 * 2048, disk.length - 8 * 2048)).toBeUndefined();
    expect(rangeError(layer, 6 * 2048, 3 * 2048)).toMatchObject({ code: "CORRUPT" });
  });

  test("of mode 0 are zeros", () => {
    const image = storeData(disk);
    image.fill(0, 3 * 2352 + 15, 4 * 2352);
    const layer = openCue(lines('FILE "a.bin" BINARY', "TRACK 01 MODE1/2352", "INDEX 01 00:00:00"), { "a.bin": image });
    const expected = Buffer.from(disk);
    expected.fill(0, 3 * 2048, 4 * 2048);
    expect(difference(contentOf(layer), expected)).toBeUndefined();
  });

  test("that are whole, where the sheet says 2048 bytes, are refused: all would be shifted", () => {
    const text = lines('FILE "a.bin" BINARY', "TRACK 01 MODE1/2048", "INDEX 01 00:00:00");
    expect(imageErrorOf(() => openCue(text, { "a.bin": storeData(disk) }))).toMatchObject({ code: "CORRUPT" });
  });

  test("a file that ends inside one: the others are read, and it is told", () => {
    const image = storeData(disk).subarray(0, -100);
    const layer = openCue(lines('FILE "a.bin" BINARY', "TRACK 01 MODE1/2352", "INDEX 01 00:00:00"), { "a.bin": image });
    expect(difference(contentOf(layer), disk.subarray(0, -2048))).toBeUndefined();
    expect(layer.facts().notes.join()).toContain("2252 bytes");
  });
});

function rangeError(layer: Layer, offset: number, length: number) {
  return imageErrorOf(() => contentOf({ size: length, map: (at, most) => layer.map(offset + at, most) }));
}

describe("tracks", () => {
  const [a, b, c] = [sound(1, 30), sound(2, 25), sound(3, 20)];

  test("in one file: data, then sound; the pause before a track is played by the one before it", () => {
    const image = Buffer.concat([storeData(disk), a, b, c]);
    const layer = openCue(
      lines(
        'FILE "a.bin" BINARY',
        "  TRACK 01 MODE1/2352",
        "    INDEX 01 00:00:00",
        "  TRACK 02 AUDIO",
        `    INDEX 01 ${time(40)}`,
        "  TRACK 03 AUDIO",
        `    INDEX 00 ${time(70)}`,
        `    INDEX 01 ${time(95)}`,
      ),
      { "a.bin": image },
    );
    expect(discDifferences(layer, disk, { "02.wav": wav(Buffer.concat([a, b])), "03.wav": wav(c) })).toEqual([]);
    expect(layer.facts()).toEqual({
      details: { sessions: 1, tracks: 3, "data in tracks": "1", "audio in tracks": "2, 3" },
      notes: [],
    });
  });

  test("the disk ends where the pause before the sound begins", () => {
    const image = Buffer.concat([storeData(disk), storeData(disk.subarray(0, 20_480), { first: 40 }), a]);
    const layer = openCue(
      lines(
        'FILE "a.bin" BINARY',
        "TRACK 01 MODE1/2352",
        "INDEX 01 00:00:00",
        "TRACK 02 AUDIO",
        `INDEX 00 ${time(40)}`,
        `INDEX 01 ${time(50)}`,
      ),
      { "a.bin": image },
    );
    expect(discDifferences(layer, disk, { "02.wav": wav(a) })).toEqual([]);
  });

  test("sectors of several sizes in one file", () => {
    const image = Buffer.concat([disk, a, storeData(other, { mode: 2, sectorSize: 2336 })]);
    const layer = openCue(
      lines(
        'FILE "a.bin" BINARY',
        "TRACK 01 MODE1/2048",
        "INDEX 01 00:00:00",
        "TRACK 02 AUDIO",
        `INDEX 01 ${time(40)}`,
        "TRACK 03 MODE2/2336",
        `INDEX 01 ${time(70)}`,
      ),
      { "a.bin": image },
    );
    expect(runsOf(layer)).toEqual(["stored from 0", "damaged from 40", "stored from 70"]);
    expect(difference(contentOf(trackNamed(layer, "01.iso")), disk)).toBeUndefined();
    expect(difference(contentOf(trackNamed(layer, "03.iso")), other)).toBeUndefined();
    expect(difference(contentOf(trackNamed(layer, "02.wav")), wav(a))).toBeUndefined();
    expect(rangeError(layer, 70 * 2048, other.length)).toBeUndefined();
    expect(rangeError(layer, 50 * 2048, 1)).toMatchObject({ code: "UNSUPPORTED", hint: "It is shown as tracks/02.wav." });
  });

  test("sound before the first index is a track of its own", () => {
    const layer = openCue(
      lines('FILE "a.bin" BINARY', "TRACK 01 AUDIO", "INDEX 00 00:00:00", `INDEX 01 ${time(30)}`, "TRACK 02 AUDIO", `INDEX 01 ${time(55)}`),
      { "a.bin": Buffer.concat([a, b, c]) },
    );
    expect(discDifferences(layer, Buffer.alloc(0), { "00.wav": wav(a), "01.wav": wav(b), "02.wav": wav(c) })).toEqual([]);
    const bare = openCue(lines('FILE "a.bin" BINARY', "TRACK 01 AUDIO", `INDEX 01 ${time(30)}`), { "a.bin": Buffer.concat([a, b]) });
    expect(discDifferences(bare, Buffer.alloc(0), { "00.wav": wav(a), "01.wav": wav(b) })).toEqual([]);
    expect(layer.facts().notes.join()).toContain("disk.raw is empty");
    expect(layer.sessions).toEqual([]);
  });

  test("PREGAP and POSTGAP: silence that is stored nowhere", () => {
    const layer = openCue(
      lines(
        'FILE "a.bin" BINARY',
        "TRACK 01 AUDIO",
        "INDEX 01 00:00:00",
        `POSTGAP ${time(4)}`,
        "TRACK 02 AUDIO",
        `PREGAP ${time(6)}`,
        `INDEX 01 ${time(30)}`,
        'FILE "b.bin" BINARY',
        "TRACK 03 MODE1/2352",
        `PREGAP ${time(150)}`,
        "INDEX 01 00:00:00",
      ),
      { "a.bin": Buffer.concat([a, b]), "b.bin": storeData(other, { first: 215 }) },
    );
    expect(difference(contentOf(trackNamed(layer, "01.wav")), wav(Buffer.concat([a, Buffer.alloc(10 * 2352)])))).toBeUndefined();
    expect(difference(contentOf(trackNamed(layer, "02.wav")), wav(b))).toBeUndefined();
    expect(runsOf(layer)).toEqual(["zero from 0", "stored from 215"]);
    expect(layer.sessions).toEqual([215 * 2048]);
  });

  test("high bytes first: MOTOROLA", () => {
    const layer = openCue(lines('FILE "a.bin" MOTOROLA', "TRACK 01 AUDIO", "INDEX 01 00:00:00"), { "a.bin": swapped(a) });
    expect(discDifferences(layer, Buffer.alloc(0), { "01.wav": wav(a) })).toEqual([]);
  });

  test("in WAV files, also where pauses lie in the file before", () => {
    const list = Buffer.concat([Buffer.from("LIST"), Buffer.from([5, 0, 0, 0]), Buffer.from("tests\0")]);
    const layer = openCue(
      lines(
        'PERFORMER "Somebody"',
        'FILE "01.wav" WAVE',
        "TRACK 01 AUDIO",
        "INDEX 01 00:00:00",
        "TRACK 02 AUDIO",
        `INDEX 00 ${time(20)}`,
        'FILE "02.wav" WAVE',
        "INDEX 01 00:00:00",
        'FILE "03.aiff" AIFF',
        "TRACK 03 AUDIO",
        "INDEX 01 00:00:00",
      ),
      { "01.wav": wav(a, { extra: list }), "02.wav": wav(b.subarray(0, -1000)), "03.aiff": aiff(c) },
    );
    expect(discDifferences(layer, Buffer.alloc(0), { "01.wav": wav(a), "02.wav": wav(b.subarray(0, -1000)), "03.wav": wav(c) })).toEqual(
      [],
    );
  });

  test("sound that is not decoded is shown as it is", () => {
    const layer = openCue(
      lines(
        'FILE "a.flac" WAVE',
        "TRACK 01 AUDIO",
        "INDEX 01 00:00:00",
        "TRACK 02 AUDIO",
        `INDEX 01 ${time(20)}`,
        'FILE "b.MP3" MP3',
        "TRACK 03 AUDIO",
        "INDEX 01 00:00:00",
        'FILE "c.wav" WAVE',
        "TRACK 04 AUDIO",
        "INDEX 01 00:00:00",
      ),
      { "a.flac": Buffer.from("fLaC and so on"), "b.MP3": Buffer.from("ID3 and so on"), "c.wav": wav(c, { rate: 48_000 }) },
    );
    expect(
      discDifferences(layer, Buffer.alloc(0), {
        "01-02.flac": Buffer.from("fLaC and so on"),
        "03.mp3": Buffer.from("ID3 and so on"),
        "04.wav": wav(c, { rate: 48_000 }),
      }),
    ).toEqual([]);
    expect(layer.facts().notes.join()).toContain('"c.wav" has 2 channels of 16 bits, 48000 Hz');
  });

  test("of Video CDs: the film as it is", () => {
    const film = mixed(9, 25 * 2324);
    const image = Buffer.concat([storeData(disk, { mode: 2 }), storeData(film, { mode: 2, form2: () => true, first: 40 })]);
    const layer = openCue(
      lines('FILE "a.bin" BINARY', "TRACK 01 MODE2/2352", "INDEX 01 00:00:00", "TRACK 02 MODE2/2352", `INDEX 01 ${time(40)}`),
      { "a.bin": image },
    );
    expect((layer.tracks ?? []).map(({ name }) => name)).toEqual(["01.iso", "02.mpg"]);
    expect(difference(contentOf(trackNamed(layer, "02.mpg")), film)).toBeUndefined();
    expect(layer.size).toBe(65 * 2048);
    expect(difference(contentOf(layer).subarray(40 * 2048, 41 * 2048), film.subarray(0, 2048))).toBeUndefined();
  });
});

describe("sessions", () => {
  const first = storeData(disk);
  const start = 40 + 11_400;
  const second = storeData(other, { first: start });
  const expectBoth = (layer: Layer) => {
    expect(runsOf(layer)).toEqual(["stored from 0", "zero from 40", `stored from ${start}`]);
    expect(layer.sessions).toEqual([0, start * 2048]);
    expect(difference(contentOf(layer).subarray(0, disk.length), disk)).toBeUndefined();
    expect(difference(contentOf(layer).subarray(start * 2048), other)).toBeUndefined();
    expect(layer.facts().details["last session starts at sector"]).toBe(start);
    expect(layer.facts().notes.join()).toContain(`sbsector=${start}`);
  };
  const sheet = (middle: readonly string[], index: string) =>
    lines(
      "REM SESSION 01",
      'FILE "a.bin" BINARY',
      "TRACK 01 MODE1/2352",
      "INDEX 01 00:00:00",
      ...middle,
      "TRACK 02 MODE1/2352",
      `INDEX 01 ${index}`,
    );

  test("in a file each", () => {
    expectBoth(openCue(sheet(["REM SESSION 02", 'FILE "b.bin" BINARY'], "00:00:00"), { "a.bin": first, "b.bin": second }));
  });

  test("in a file each, of 2048 bytes per sector, with lengths of lead-out and lead-in", () => {
    const middle = ["REM LEAD-OUT 01:30:00", "REM SESSION 02", "REM LEAD-IN 01:00:00", "REM PREGAP 00:02:00", 'FILE "b.bin" BINARY'];
    expectBoth(openCue(sheet(middle, "00:00:00").replaceAll("2352", "2048"), { "a.bin": disk, "b.bin": other }));
  });

  test("in one file, one behind the other", () => {
    expectBoth(openCue(sheet(["REM SESSION 02"], time(40)), { "a.bin": Buffer.concat([first, second]) }));
  });

  test("in one file, the gap counted and not stored", () => {
    expectBoth(openCue(sheet(["REM SESSION 02"], time(start)), { "a.bin": Buffer.concat([first, second]) }));
  });

  test("in one file, the gap counted and stored", () => {
    const gap = Buffer.alloc(11_400 * 2352);
    expectBoth(openCue(sheet(["REM SESSION 02"], time(start)), { "a.bin": Buffer.concat([first, gap, second]) }));
    expectBoth(openCue(sheet(["REM LEAD-OUT 00:00:40", "REM SESSION 02"], time(start)), { "a.bin": Buffer.concat([first, gap, second]) }));
  });

  test("sound, then data (CD-Extra): the disk has zeros before its data, which is told, and the data track is there alone, too", () => {
    const samples = sound(5, 100);
    const at = 100 + 11_400;
    const layer = openCue(
      lines(
        'FILE "a.bin" BINARY',
        "TRACK 01 AUDIO",
        "INDEX 01 00:00:00",
        "REM SESSION 02",
        'FILE "b.bin" BINARY',
        "TRACK 02 MODE2/2352",
        "INDEX 01 00:00:00",
      ),
      { "a.bin": samples, "b.bin": storeData(other, { mode: 2, first: at }) },
    );
    expect(runsOf(layer)).toEqual(["zero from 0", `stored from ${at}`]);
    expect(layer.sessions).toEqual([at * 2048]);
    expect(layer.facts().notes[0]).toContain(`Before its first data, at sector ${at}, disk.raw has zeros`);
    expect(difference(contentOf(trackNamed(layer, "02.iso")), other)).toBeUndefined();
    expect(difference(contentOf(trackNamed(layer, "01.wav")), wav(samples))).toBeUndefined();
  });

  test("of sound: what is before the second is no part of the first", () => {
    const sounds = [sound(5, 20), sound(6, 30)] as const;
    const layer = openCue(
      lines(
        'FILE "a.bin" BINARY',
        "TRACK 01 AUDIO",
        "INDEX 01 00:00:00",
        "REM SESSION 02",
        'FILE "b.bin" BINARY',
        "TRACK 02 AUDIO",
        "INDEX 00 00:00:00",
        `INDEX 01 ${time(10)}`,
      ),
      { "a.bin": sounds[0], "b.bin": sounds[1] },
    );
    expect(discDifferences(layer, Buffer.alloc(0), { "01.wav": wav(sounds[0]), "02.wav": wav(sounds[1].subarray(10 * 2352)) })).toEqual([]);
  });

  test("what the sectors say of where they are is believed, unless it cannot be", () => {
    const at = (address: number) =>
      openCue(sheet(['FILE "b.bin" BINARY'], "00:00:00"), { "a.bin": first, "b.bin": storeData(other, { first: address }) });
    expect(at(190).sessions).toEqual([0]);
    expect(runsOf(at(190))).toEqual(["stored from 0", "zero from 40", "stored from 190"]);
    expect(runsOf(at(12))).toEqual(["stored from 0"]);
    expect(at(12).size).toBe(70 * 2048);
  });
});

describe("names of files", () => {
  const text = (name: string) => Buffer.from(lines(`FILE ${name} BINARY`, "TRACK 01 MODE1/2048", "INDEX 01 00:00:00"), "latin1");
  const reads = (content: Uint8Array, name: string) => discDifferences(openCue(content, { [name]: disk }), disk, {});

  test.each([
    ["with blanks, in quotes", text('"My Game (Disc 1).bin"'), "My Game (Disc 1).bin"],
    ["without quotes", text("game.bin"), "game.bin"],
    ["without quotes, with blanks", text("my game.bin"), "my game.bin"],
    ["in upper case", text('"GAME.BIN"'), "game.bin"],
    ["in UTF-8", text('"Caf\xc3\xa9.bin"'), "Café.bin"],
    ["in windows-1252", text('"Caf\xe9.bin"'), "Café.bin"],
    ["in Shift_JIS", text('"\x83\x51\x81\x5b\x83\x80.bin"'), "ゲーム.bin"],
    [
      "in UTF-8 with a mark",
      Buffer.concat([Buffer.from("\ufeff"), Buffer.from(text("x").toString().replace("x", '"Café.bin"'))]),
      "Café.bin",
    ],
    ["in UTF-16", Buffer.from(`\ufeff${text("x").toString().replace("x", '"Café.bin"')}`, "utf16le"), "Café.bin"],
    ["renamed together with the sheet", text('"old name.bin"'), "disc.bin"],
    ["with a path of another system", text('"C:\\\\games\\\\a.bin"'), "C:\\\\games\\\\a.bin"],
    [
      "ended by line feeds alone, tabs, lower case",
      Buffer.from('\n\tfile "a.bin" binary\n\ttrack 1 mode1/2048\n\tindex 1 0:0:00\n'),
      "a.bin",
    ],
    ["ended by carriage returns alone", Buffer.from(text("a.bin").toString().replaceAll("\r\n", "\r")), "a.bin"],
    ["ended by Ctrl-Z", Buffer.concat([text("a.bin"), Buffer.from("\x1a")]), "a.bin"],
  ])("%s", (_, content, name) => {
    expect(reads(content, name)).toEqual([]);
  });

  test("a file that is missing is named; with --degraded the others are shown", () => {
    const content = lines(
      'FILE "data.bin" BINARY',
      "TRACK 01 MODE1/2048",
      "INDEX 01 00:00:00",
      'FILE "sound.bin" BINARY',
      "TRACK 02 AUDIO",
      "INDEX 01 00:00:00",
      "TRACK 03 AUDIO",
      `INDEX 01 ${time(10)}`,
    );
    expect(imageErrorOf(() => openCue(content, { "data.bin": disk }))).toMatchObject({ code: "PART_MISSING" });
    const layer = openCue(content, { "data.bin": disk }, true);
    expect(difference(contentOf(layer), disk)).toBeUndefined();
    expect((layer.tracks ?? []).map(({ name, size }) => [name, size])).toEqual([["02.wav", 44 + 10 * 2352]]);
    expect(imageErrorOf(() => contentOf(trackNamed(layer, "02.wav")))).toMatchObject({ code: "PART_MISSING" });
    expect(layer.facts().notes.join()).toContain("how long track 3 is");
    expect(imageErrorOf(() => openCue(content, { "sound.bin": sound(1, 20) }, true))).toMatchObject({ code: "PART_MISSING" });
  });
});

describe("what cannot be read", () => {
  const good = ['FILE "a.bin" BINARY', "TRACK 01 MODE1/2048", "INDEX 01 00:00:00"];
  test.each([
    ["no cue sheet at all", ["TITLE only"], "WRONG_FORMAT", "no cue sheet"],
    [
      "a mode that is not known",
      [...good, "TRACK 02 MODE9/2048", "INDEX 01 00:00:00"],
      "UNSUPPORTED",
      'line 4: the track mode "MODE9/2048"',
    ],
    ["a track without index 01", [...good, "TRACK 02 AUDIO"], "CORRUPT", "track 2 has no index 01"],
    ["a file without tracks", [...good, 'FILE "b.bin" BINARY'], "CORRUPT", 'no track is in the file "b.bin"'],
    ["a file without a type", ['FILE "b.bin"', ...good], "CORRUPT", "line 1"],
    ["a time that is none", [...good, "TRACK 02 AUDIO", "INDEX 01 00:61:00"], "CORRUPT", "line 5"],
    ["a time that was cut", [...good, "TRACK 02 AUDIO", "INDEX 01 00:01:0"], "CORRUPT", "line 5"],
    ["times that go back", [...good, "TRACK 02 AUDIO", "INDEX 01 00:02:00", "INDEX 02 00:01:00"], "CORRUPT", "line 6"],
    ["indexes out of order", [...good, "INDEX 00 00:01:00"], "CORRUPT", "not in order"],
    ["one number for two tracks", [...good, "TRACK 01 MODE1/2048", "INDEX 01 00:00:05"], "CORRUPT", "two tracks with the number 1"],
    ["data in a WAV file", ['FILE "a.bin" WAVE', ...good.slice(1)], "CORRUPT", "is data"],
    ["100 tracks", [...good, ...Array.from({ length: 99 }, (_, index) => `TRACK ${index % 99} AUDIO`)], "CORRUPT", "more than 99"],
  ])("%s", (_, text, code, message) => {
    const error = imageErrorOf(() => openCue(lines(...text), { "a.bin": disk }));
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string, file: "disc.cue" });
  });

  test("a line that means nothing is told", () => {
    const layer = openCue(lines(...good, "GAIN 5", "X-1", "Y", "Z"), { "a.bin": disk });
    expect(layer.facts().notes).toEqual([
      'Line 4 is not understood and left out: "GAIN 5".',
      'Line 5 is not understood and left out: "X-1".',
      'Line 6 is not understood and left out: "Y".',
      "1 more lines are not understood.",
    ]);
  });

  test("a sheet, or a line of it, that is too long", () => {
    expect(imageErrorOf(() => openCue(Buffer.alloc(2 ** 20 + 1, 32), {}))).toMatchObject({ code: "UNSUPPORTED" });
    const long = `${lines(...good)}FILE ${" ".repeat(2 ** 19)}x${" ".repeat(2 ** 18)}`;
    expect(imageErrorOf(() => openCue(long, { "a.bin": disk }))).toMatchObject({ code: "CORRUPT" });
  });

  test("more files than a process may open", () => {
    const each = (index: number) => [`FILE "${index}" BINARY`, `INDEX ${String(index).padStart(2, "0")} 00:00:00`];
    const more = [1, 2, 3, 4].flatMap((track) =>
      ["TRACK 0" + String(track + 1) + " AUDIO"].flatMap((line) => [
        `FILE "t${track}" BINARY`,
        line,
        "INDEX 00 00:00:00",
        ...Array.from({ length: 99 }, (_, index) => each(index + 1).map((text) => text.replace('"', `"${track}-`))).flat(),
      ]),
    );
    const files = new Proxy({}, { get: () => disk }) as Files;
    expect(imageErrorOf(() => openCue(lines(...good, ...more), files))).toMatchObject({ code: "UNSUPPORTED" });
  });

  test("names that two files would have", () => {
    const file = (name: string, ...rest: string[]) => [`FILE "${name}" MP3`, ...rest];
    const text = lines(
      ...file("a.mp3", "TRACK 01 AUDIO", "INDEX 00 00:00:00"),
      ...file("b.mp3", "INDEX 01 00:00:00", "TRACK 02 AUDIO", "INDEX 00 00:00:00"),
      ...file("c.mp3", "INDEX 01 00:00:00", "TRACK 03 AUDIO", "INDEX 00 00:00:00"),
      ...file("d.mp3", "INDEX 01 00:00:00"),
    );
    const four = { "a.mp3": disk, "b.mp3": disk, "c.mp3": disk, "d.mp3": disk };
    expect((openCue(text, four).tracks ?? []).map(({ name }) => name)).toEqual(["00.mp3", "01.mp3", "02.mp3", "03.mp3"]);
    const twice = lines(
      ...file("a.mp3", "TRACK 01 AUDIO", "INDEX 00 00:00:00"),
      ...file("b.mp3", "INDEX 01 00:00:00"),
      ...file("c.mp3", "TRACK 02 AUDIO", "INDEX 00 00:00:00"),
      ...file("d.mp3", "INDEX 01 00:00:00"),
    );
    expect((openCue(twice, four).tracks ?? []).map(({ name }) => name)).toEqual(["00 (2).mp3", "00.mp3", "01.mp3", "02.mp3"]);
  });

  test("tracks that lie before the file's end only by the sheet: what is not there is damaged", () => {
    const layer = openCue(lines(...good, "TRACK 02 AUDIO", `INDEX 01 ${time(60)}`), { "a.bin": disk });
    expect(layer.size).toBe(60 * 2048);
    expect(runsOf(layer)).toEqual(["stored from 0", "damaged from 40"]);
    expect(rangeError(layer, 40 * 2048, 1)).toMatchObject({ code: "TRUNCATED" });
  });
});
