// Sectors of a CD: ECMA-130, clause 14 (sync, header, modes) and annex A; XA subheaders: Philips and Sony, "System Description CD-ROM XA", as quoted by MMC.
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";

/** Bytes of a sector's data on a disk. */
export const USER = 2048;
/** Bytes of a whole sector, and what an audio sector plays. */
export const RAW = 2352;
/** Bytes of data in a sector of mode 2, form 2. */
export const FORM2 = 2324;
/** Sectors of a second. */
export const FRAMES = 75;
/** Sectors before the one that is counted as 0. */
export const LEAD = 150;

/** What of a data sector an image holds. */
export const kinds = {
  /** The 2048 bytes alone. */
  user: { main: USER, data: 0 },
  /** 2324 bytes of form 2; a disk takes the first 2048. */
  "form 2": { main: FORM2, data: 0 },
  /** Subheader and all behind it. */
  subheader: { main: 2336, data: 8 },
  /** The same without what fills it up. */
  "short subheader": { main: 2332, data: 8 },
  /** All, from the sync pattern on. */
  raw: { main: RAW, data: 16 },
} as const;
export type SectorKind = keyof typeof kinds;

/** How the sectors of a data track stand in a file. */
export interface SectorLayout {
  readonly kind: SectorKind;
  /** Bytes from one sector to the next: what is stored of it, and subchannels. */
  readonly stride: number;
}

const sync = Buffer.from([0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0]);

/** Bit of the submode, the third byte of a subheader, that is set for form 2. */
const FORM2_BIT = 0x20;

export function hasSync(content: Uint8Array, at: number): boolean {
  return at + 16 <= content.length && sync.compare(content, at, at + sync.length) === 0;
}

/** The same in a file, where it may have ended. */
export function hasSyncAt(source: Source, position: number): boolean {
  return position >= 0 && position + 16 <= source.size && hasSync(readBytes(source, position, 16), 0);
}

/** Where the 2048 bytes of the sector at `at` begin, relative to it; why there are none, as words that follow "the sector". */
export function dataIn(kind: SectorKind, content: Uint8Array, at: number): number | string {
  if (kind === "user" || kind === "form 2") return 0;
  if (kind !== "raw") return twice(content, at) ? kinds[kind].data : "has two subheaders that differ";
  if (!hasSync(content, at)) return "does not begin with the sync pattern";
  switch (content[at + 15]! & 3) {
    // Mode 0 is zeros as far as it goes, and they are stored.
    case 0:
    case 1:
      return 16;
    case 2:
      return twice(content, at + 16) ? 24 : "is of mode 2 and has no subheader: which of its bytes are the disk's is not known";
    default:
      return "is of mode 3, which is none";
  }
}

/** A subheader is stored twice, behind itself. */
function twice(content: Uint8Array, at: number): boolean {
  for (let index = at; index < at + 4; index += 1) if (content[index] !== content[index + 4]) return false;
  return true;
}

/** Whether the sector at `at` has 2324 bytes of data. */
export function isForm2(kind: SectorKind, content: Uint8Array, at: number): boolean {
  if (kind === "form 2") return true;
  if (kind === "user" || (kind === "raw" && (!hasSync(content, at) || (content[at + 15]! & 3) !== 2))) return false;
  const subheader = at + (kind === "raw" ? 16 : 0);
  return twice(content, subheader) && (content[subheader + 2]! & FORM2_BIT) !== 0;
}

/** The number of the sector on the disc, as its header tells it; undefined if there is no such sector, or it has no valid header. */
export function addressOf(source: Source, position: number): number | undefined {
  if (position < 0 || position + RAW > source.size) return undefined;
  const header = readBytes(source, position, 16);
  if (!hasSync(header, 0)) return undefined;
  const [minute, second, frame] = [12, 13, 14].map((at) => fromBcd(header[at]!));
  if (minute === undefined || second === undefined || frame === undefined || second > 59 || frame >= FRAMES) return undefined;
  return (minute * 60 + second) * FRAMES + frame - LEAD;
}

function fromBcd(byte: number): number | undefined {
  const [tens, ones] = [byte >>> 4, byte & 15];
  return tens > 9 || ones > 9 ? undefined : tens * 10 + ones;
}

/** The error for a sector that is not what its track says. */
export function badSector(source: Source, position: number, what: string): ImageError {
  return new ImageError("CORRUPT", `the sector ${what}`, { file: source.name, position });
}
