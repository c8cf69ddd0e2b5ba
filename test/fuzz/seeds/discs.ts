import { aiff, buildMds, buildNrg, ccdText, sound, storeData, swapped, wav } from "../../support/cd-builder.js";
import { mixed } from "../../support/content.js";
import { buildIso } from "../../support/iso-builder.js";
import { type Input, inputOf } from "../input.js";

const data = mixed(1, 3 * 2048);
const a = sound(1, 3);

export function ccd(): readonly Input[] {
  const tracks = [
    { number: 1, start: 0 },
    { number: 2, start: 3, audio: true, pregap: 1 },
    { number: 3, session: 2, start: 11_406 },
  ];
  return [
    inputOf({ "a.ccd": ccdText(tracks.slice(0, 2), [6]), "a.img": Buffer.concat([storeData(data), a]) }),
    inputOf({ "a.ccd": ccdText(tracks, [6, 11_409]), "a.img": Buffer.concat([storeData(data), a, storeData(data, { first: 11_406 })]) }),
    inputOf({ "a.ccd": ccdText([{ number: 1, start: 0 }], [3], "CATALOG=0123456789012\r\n"), "a.img": storeData(data, { mode: 2 }) }),
  ];
}

export function cdRaw(): readonly Input[] {
  const iso = buildIso({ records: [{ name: "A.;1", content: data.subarray(0, 100) }] }).subarray(0, 30 * 2048);
  return [
    inputOf({ "a.bin": storeData(data) }),
    inputOf({ "a.bin": storeData(data, { mode: 2, subchannel: 96 }) }),
    inputOf({ "a.bin": Buffer.concat([storeData(data), a]) }),
    inputOf({ "a.bin": storeData(iso, { mode: 2, sectorSize: 2336 }) }),
    inputOf({ "a.bin": storeData(data, { mode: 2, form2: (index) => index === 1 }) }),
  ];
}

export function cue(): readonly Input[] {
  const sheet = [
    'REM COMMENT "made up"',
    "CATALOG 0123456789012",
    'TITLE "title"',
    'FILE "data.bin" BINARY',
    "  TRACK 01 MODE1/2352",
    "    FLAGS DCP",
    "    INDEX 01 00:00:00",
    'FILE "02.wav" WAVE',
    "  TRACK 02 AUDIO",
    "    ISRC ABCDE1234567",
    "    PREGAP 00:00:01",
    "    INDEX 00 00:00:00",
    "    INDEX 01 00:00:01",
    "    POSTGAP 00:00:02",
    "REM SESSION 02",
    'FILE "03.aiff" AIFF',
    "  TRACK 03 AUDIO",
    "    INDEX 01 00:00:00",
    'FILE "m.bin" MOTOROLA',
    "  TRACK 04 AUDIO",
    "    INDEX 01 00:00:00",
    "",
  ].join("\r\n");
  const files = { "data.bin": storeData(data), "02.wav": wav(a), "03.aiff": aiff(a), "m.bin": swapped(a) };
  const one = (mode: string, content: Uint8Array) =>
    inputOf({
      "a.cue": `FILE "a.bin" BINARY\n TRACK 01 ${mode}\n  INDEX 01 00:00:00\n TRACK 02 ${mode}\n  INDEX 01 00:00:02\n`,
      "a.bin": content,
    });
  return [
    inputOf({ "a.cue": sheet, ...files }),
    one("MODE1/2048", data),
    one("MODE2/2336", storeData(data, { mode: 2, sectorSize: 2336 })),
    one("MODE2/2352", storeData(data, { mode: 2, form2: (index) => index === 2 })),
    one("MODE1/2448", storeData(data, { subchannel: 96 })),
    one("CDG", storeData(data, { subchannel: 96 })),
  ];
}

export function cdrdao(): readonly Input[] {
  const toc =
    'CD_ROM_XA\nCATALOG "0123456789012"\nCD_TEXT {\n LANGUAGE_MAP { 0 : EN }\n LANGUAGE 0 { TITLE "a" SIZE_INFO { 1, 2, 3 } }\n}\n\n// Track 1\nTRACK MODE1_RAW\nNO COPY\n' +
    'DATAFILE "data.bin"\n\nTRACK AUDIO\nNO COPY\nNO PRE_EMPHASIS\nTWO_CHANNEL_AUDIO\nISRC "ABCDE1234567"\nPREGAP 00:00:01\nSILENCE 00:00:02\nSTART\nFILE "sound.bin" #0 0 00:00:03\nINDEX 00:00:01\nEND 00:00:02\n\n' +
    'TRACK MODE2_FORM_MIX RW\nZERO MODE2_FORM_MIX 00:00:01\nDATAFILE "mix.bin" #2 00:00:02\n';
  return [
    inputOf({
      "a.toc": toc,
      "data.bin": storeData(data),
      "sound.bin": swapped(a),
      "mix.bin": storeData(data, { mode: 2, sectorSize: 2336, subchannel: 96 }),
    }),
    inputOf({ "a.toc": 'CD_DA\nTRACK AUDIO\nAUDIOFILE "a.wav" 0\nTRACK AUDIO\nFILE "a.wav" 00:00:01 00:00:01\n', "a.wav": wav(a) }),
    inputOf({ "a.toc": 'CD_ROM\nTRACK MODE1\nDATAFILE "data.bin" 00:00:03\n', "data.bin": data }),
  ];
}

export function mds(): readonly Input[] {
  const track = { number: 1, mode: 0xaa, sectorSize: 2352, start: 0, position: 0, pregap: 150, length: 3 };
  return [
    inputOf({
      "a.mds": buildMds([track, { number: 2, mode: 0xa9, sectorSize: 2352, start: 3, position: 3 * 2352, length: 3 }], {
        files: ["a.mdf"],
      }),
      "a.mdf": Buffer.concat([storeData(data), a]),
    }),
    inputOf({ "a.mds": buildMds([{ ...track, mode: 2, sectorSize: 2048 }], { medium: 0x10, files: ["a.mdf"] }), "a.mdf": data }),
    inputOf({
      "a.mds": buildMds([{ ...track, subchannel: true, sectorSize: 2448 }], { wide: true }),
      "a.mdf": storeData(data, { subchannel: 96 }),
    }),
    inputOf({
      "a.mds": buildMds([{ ...track, mode: 2, sectorSize: 2048 }], { medium: 0x10, files: ["a.mdf", "a.md1"] }),
      "a.mdf": data.subarray(0, 4096),
      "a.md1": data.subarray(4096),
    }),
  ];
}

export function nrg(): readonly Input[] {
  const plain = { mode: 0, sectorSize: 2048, content: data, start: 0 };
  const raw = { mode: 5, sectorSize: 2352, pregap: 1, content: Buffer.concat([Buffer.alloc(2352), storeData(data)]), start: 0 };
  const audio = { mode: 7, sectorSize: 2352, content: a, start: 3 };
  return [
    inputOf({ "a.nrg": buildNrg([[plain, audio]], 2, false) }),
    inputOf({ "a.nrg": buildNrg([[plain], [{ ...plain, start: 11_403 }]], 1, false) }),
    inputOf({ "a.nrg": buildNrg([[raw, audio]], 2, true) }),
    inputOf({ "a.nrg": buildNrg([[raw], [{ ...raw, start: 11_500 }]], 1, true) }),
  ];
}
