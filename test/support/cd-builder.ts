// Discs from ECMA-130 and from what is known of the sheets' formats, byte by byte. Knows nothing of the drivers.
import { noise } from "./content.js";

export interface DataShape {
  /** 1, 2 (form 1), or 2 with form 2 where `forms` says so. */
  readonly mode?: 1 | 2;
  /** Bytes of a sector that are kept. */
  readonly sectorSize?: 2048 | 2324 | 2332 | 2336 | 2352;
  /** The sector's number on the disc. */
  readonly first?: number;
  /** Bytes behind every sector. */
  readonly subchannel?: number;
  /** Which sectors are of form 2. */
  readonly form2?: (index: number) => boolean;
}

const bcd = (value: number): number => Math.floor(value / 10) * 16 + (value % 10);

/** Minutes, seconds, frames. */
function msf(sectors: number): readonly [number, number, number] {
  return [Math.floor(sectors / 4500), Math.floor(sectors / 75) % 60, sectors % 75];
}

export function time(sectors: number): string {
  return msf(sectors)
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}

/** One whole sector. What comes behind the data (EDC, ECC) is noise: nothing here looks at it. */
function rawSector(data: Uint8Array, address: number, mode: 1 | 2, form2: boolean): Buffer {
  const sector = noise(address + 77, 2352);
  sector.fill(0xff, 0, 12);
  sector[0] = 0;
  sector[11] = 0;
  msf(address + 150).forEach((part, at) => (sector[12 + at] = bcd(part)));
  sector[15] = mode;
  if (mode === 2) {
    const subheader = [0, 0, form2 ? 0x20 : 0x08, 0];
    sector.set([...subheader, ...subheader], 16);
  }
  sector.set(data, mode === 1 ? 16 : 24);
  return sector;
}

/** `disk` (whole sectors of 2048 bytes; of 2324 where they are of form 2) as it stands in an image. */
export function storeData(disk: Uint8Array, shape: DataShape = {}): Buffer {
  const { mode = 1, sectorSize = 2352, first = 0, subchannel = 0, form2 = () => false } = shape;
  const parts: Buffer[] = [];
  for (let at = 0, index = 0; at < disk.length; index += 1) {
    const size = form2(index) ? 2324 : 2048;
    const raw = rawSector(disk.subarray(at, at + size), first + index, mode, form2(index));
    at += size;
    const begin = { 2048: mode === 1 ? 16 : 24, 2324: 24, 2332: 16, 2336: 16, 2352: 0 }[sectorSize];
    parts.push(raw.subarray(begin, begin + sectorSize), noise(index + 5, subchannel));
  }
  return Buffer.concat(parts);
}

/** Sound of whole sectors, little-endian. */
export function sound(seed: number, sectors: number): Buffer {
  return noise(seed + 1000, sectors * 2352);
}

export function swapped(content: Buffer): Buffer {
  return Buffer.from(content).swap16();
}

/** `bytes` behind every sector of 2352. */
export function withSubchannel(content: Buffer, bytes = 96): Buffer {
  const sectors = content.length / 2352;
  return Buffer.concat(
    Array.from({ length: sectors }, (_, index) => [content.subarray(index * 2352, (index + 1) * 2352), noise(index + 9, bytes)]).flat(),
  );
}

/** A WAV file of 44.1 kHz, 16 bits, stereo. `extra`: a chunk before the samples. */
export function wav(samples: Buffer, { extra = Buffer.alloc(0), rate = 44_100 } = {}): Buffer {
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const u16 = (value: number) => u32(value).subarray(0, 2);
  const format = Buffer.concat([u16(1), u16(2), u32(rate), u32(rate * 4), u16(4), u16(16)]);
  const chunks = [Buffer.from("WAVEfmt "), u32(16), format, extra, Buffer.from("data"), u32(samples.length), samples];
  const size = chunks.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([Buffer.from("RIFF"), u32(size), ...chunks]);
}

/** An AIFF file of the same. */
export function aiff(samples: Buffer): Buffer {
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const common = Buffer.alloc(18);
  common.writeUInt16BE(2, 0);
  common.writeUInt32BE(samples.length / 4, 2);
  common.writeUInt16BE(16, 6);
  common.writeUInt32BE(0x400eac44, 8);
  const content = [
    Buffer.from("AIFFCOMM"),
    u32(18),
    common,
    Buffer.from("SSND"),
    u32(samples.length + 8),
    u32(0),
    u32(0),
    swapped(samples),
  ];
  const size = content.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([Buffer.from("FORM"), u32(size), ...content]);
}

export interface CcdTrackShape {
  readonly number: number;
  readonly session?: number;
  readonly audio?: boolean;
  readonly start: number;
  readonly pregap?: number;
}

/** A CloneCD control file. `leadOuts`: of each session. */
export function ccdText(tracks: readonly CcdTrackShape[], leadOuts: readonly number[], more = ""): string {
  const entries: string[] = [];
  const entry = (session: number, point: number, control: number, plba: number): void => {
    const [minute, second, frame] = msf(plba + 150);
    entries.push(
      `[Entry ${entries.length}]\r\nSession=${session}\r\nPoint=0x${point.toString(16).padStart(2, "0")}\r\nADR=0x01\r\n` +
        `Control=0x0${control}\r\nTrackNo=0\r\nAMin=0\r\nASec=0\r\nAFrame=0\r\nALBA=-150\r\nZero=0\r\nPMin=${minute}\r\n` +
        `PSec=${second}\r\nPFrame=${frame}\r\nPLBA=${plba}\r\n`,
    );
  };
  leadOuts.forEach((leadOut, index) => {
    const own = tracks.filter(({ session = 1 }) => session === index + 1);
    entry(index + 1, 0xa0, 4, 4350);
    entry(index + 1, 0xa1, 4, 4350);
    entry(index + 1, 0xa2, 4, leadOut);
    for (const { number, audio = false, start } of own) entry(index + 1, number, audio ? 0 : 4, start);
  });
  const sections = tracks.map(({ number, audio = false, pregap }) => {
    const index0 = pregap === undefined ? "" : `INDEX 0=${100 - pregap}\r\n`;
    return `[TRACK ${number}]\r\nMODE=${audio ? 0 : 1}\r\n${index0}INDEX 1=${pregap === undefined ? 0 : 100}\r\n`;
  });
  const disc = `[Disc]\r\nTocEntries=${entries.length}\r\nSessions=${leadOuts.length}\r\nDataTracksScrambled=0\r\nCDTextLength=0\r\n`;
  const session = leadOuts.map((_, index) => `[Session ${index + 1}]\r\nPreGapMode=1\r\nPreGapSubC=0\r\n`).join("");
  return `[CloneCD]\r\nVersion=3\r\n${disc}${more}${session}${entries.join("")}${sections.join("")}`;
}

export interface MdsTrackShape {
  readonly number: number;
  readonly session?: number;
  readonly mode: number;
  readonly sectorSize: number;
  readonly subchannel?: boolean;
  readonly start: number;
  readonly position: number;
  readonly pregap?: number;
  readonly length: number;
}

/** A media descriptor of Alcohol 120 %. */
export function buildMds(
  tracks: readonly MdsTrackShape[],
  { medium = 0, files = ["*.mdf"], wide = false, version = [1, 5] as readonly number[] } = {},
): Buffer {
  const sessions = Math.max(...tracks.map(({ session = 1 }) => session));
  const tracksAt = 88 + sessions * 24;
  // Every session has three blocks of its lead-in.
  const blocks = tracks.length + sessions * 3;
  const extraAt = tracksAt + blocks * 80;
  const filesAt = extraAt + tracks.length * 8;
  const namesAt = filesAt + files.length * 16;
  const names = files.map((name) => Buffer.from(`${name}\0`, wide ? "utf16le" : "latin1"));
  const image = Buffer.alloc(namesAt + names.reduce((sum, { length }) => sum + length, 0));
  image.write("MEDIA DESCRIPTOR", 0, "latin1");
  image.set(version, 16);
  image.writeUInt16LE(medium, 18);
  image.writeUInt16LE(sessions, 20);
  image.writeUInt32LE(88, 80);
  let block = tracksAt;
  for (let session = 1; session <= sessions; session += 1) {
    const own = tracks.filter((track) => (track.session ?? 1) === session);
    const at = 88 + (session - 1) * 24;
    image.writeInt32LE((own[0]?.start ?? 0) - 150, at);
    const last = own.at(-1);
    image.writeInt32LE((last?.start ?? 0) + (last?.length ?? 0), at + 4);
    image.writeUInt16LE(session, at + 8);
    image.writeUInt8(own.length + 3, at + 10);
    image.writeUInt8(3, at + 11);
    image.writeUInt32LE(block, at + 20);
    for (const point of [0xa0, 0xa1, 0xa2]) {
      image.writeUInt8(0xaa, block);
      image.writeUInt8(point, block + 4);
      block += 80;
    }
    for (const track of own) {
      const extra = extraAt + tracks.indexOf(track) * 8;
      image.writeUInt8(track.mode, block);
      image.writeUInt8(track.subchannel ? 8 : 0, block + 1);
      image.writeUInt8(track.number, block + 4);
      image.writeUInt32LE(medium >= 0x10 ? track.length : extra, block + 12);
      image.writeUInt16LE(track.sectorSize, block + 16);
      image.writeUInt32LE(track.start, block + 36);
      image.writeBigUInt64LE(BigInt(track.position), block + 40);
      image.writeUInt32LE(files.length, block + 48);
      image.writeUInt32LE(filesAt, block + 52);
      image.writeUInt32LE(track.pregap ?? 0, extra);
      image.writeUInt32LE(track.length, extra + 4);
      block += 80;
    }
  }
  let name = namesAt;
  files.forEach((_, index) => {
    image.writeUInt32LE(name, filesAt + index * 16);
    image.writeUInt32LE(wide ? 1 : 0, filesAt + index * 16 + 4);
    names[index]?.copy(image, name);
    name += names[index]?.length ?? 0;
  });
  return image;
}

export interface NrgTrackShape {
  readonly mode: number;
  readonly sectorSize: number;
  /** Sectors before index 1 that `content` begins with. */
  readonly pregap?: number;
  readonly content: Buffer;
  /** The sector at index 1. */
  readonly start: number;
}

/** A Nero image. `atOnce`: disc at once, else track by track. */
export function buildNrg(sessions: readonly (readonly NrgTrackShape[])[], version: 1 | 2, atOnce: boolean): Buffer {
  const number = (value: number, bytes: number) => Buffer.from(value.toString(16).padStart(bytes * 2, "0"), "hex");
  const offset = (value: number) => number(value, version === 2 ? 8 : 4);
  const chunk = (id: string, content: Buffer) => Buffer.concat([Buffer.from(id), number(content.length, 4), content]);
  const signed = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const place = (sector: number) => (version === 2 ? signed(sector) : Buffer.from([0, ...msf(sector + 150)]));
  let position = 0;
  let track = 0;
  const chunks = sessions.flatMap((tracks) => {
    const first = track + 1;
    const entries = tracks.map(({ mode, sectorSize, pregap = 0, content, start }) => {
      const [index0, index1, end] = [position, position + pregap * sectorSize, position + content.length];
      position = end;
      track += 1;
      const at = (index: number, sector: number) => {
        return Buffer.concat([Buffer.from([0x41, bcd(track), index, 0]), place(sector)]);
      };
      const size = Buffer.concat([number(sectorSize, 2), Buffer.from([mode, 0, 0, 1])]);
      return {
        dao: Buffer.concat([Buffer.alloc(12), size, offset(index0), offset(index1), offset(end)]),
        cue: Buffer.concat([at(0, start - pregap), at(1, start)]),
        etn: Buffer.concat([
          offset(index0),
          offset(content.length),
          number(mode, 4),
          number(start, 4),
          Buffer.alloc(version === 2 ? 8 : 4),
        ]),
      };
    });
    const info = chunk("SINF", number(tracks.length, 4));
    if (!atOnce) return [chunk(version === 2 ? "ETN2" : "ETNF", Buffer.concat(entries.map(({ etn }) => etn))), info];
    const end = tracks.reduce((_, { start, content, sectorSize, pregap = 0 }) => start + content.length / sectorSize - pregap, 0);
    const leadIn = Buffer.concat([Buffer.from([0x41, 0, 0, 0]), place((tracks[0]?.start ?? 0) - 150)]);
    const leadOut = Buffer.concat([Buffer.from([0x41, 0xaa, 1, 0]), place(end)]);
    const head = Buffer.concat([Buffer.alloc(20), Buffer.from([first, track])]);
    return [
      chunk(version === 2 ? "CUEX" : "CUES", Buffer.concat([leadIn, ...entries.map(({ cue }) => cue), leadOut])),
      chunk(version === 2 ? "DAOX" : "DAOI", Buffer.concat([head, ...entries.map(({ dao }) => dao)])),
      info,
    ];
  });
  const data = sessions.flat().map(({ content }) => content);
  const footer = version === 2 ? [Buffer.from("NER5"), number(position, 8)] : [Buffer.from("NERO"), number(position, 4)];
  return Buffer.concat([...data, ...chunks, chunk("MTYP", number(1, 4)), chunk("END!", Buffer.alloc(0)), ...footer]);
}
