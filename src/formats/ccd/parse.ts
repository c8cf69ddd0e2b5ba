// CloneCD control files, version 3: what the program writes, as the field knows it; the entries are those of READ TOC/PMA/ATIP, format 2 (MMC).
import { ImageError } from "../../util/errors.js";
import { hex, quote } from "../../util/text.js";
import { FRAMES, LEAD } from "../cd/sectors.js";
import { corruptSheet, linesOf, type Sheet, TRACK_LIMIT } from "../cd/sheet.js";

export interface CcdSheet {
  readonly version: string;
  /** In the order of the disc. */
  readonly tracks: readonly CcdTrack[];
  readonly leadOuts: ReadonlyMap<number, number>;
}
export interface CcdTrack {
  readonly number: number;
  readonly session: number;
  /** Bit 2 of its control field. */
  readonly data: boolean;
  /** The sector at index 1. */
  readonly start: number;
  /** Sectors between indexes 0 and 1. */
  readonly pregap: number;
}

type Section = ReadonlyMap<string, string>;

const LEAD_OUT = 0xa2;
const DATA_BIT = 4;
/** Entries of a table of contents: tracks, and three more in each session. */
const SECTION_LIMIT = 2000;

export function isCcd({ text }: Pick<Sheet, "text">): boolean {
  return /^\s*\[CloneCD\]\s*[\r\n]/i.test(text);
}

/** Reads a control file. Throws `CORRUPT` where the table of contents does not make sense. */
export function parseCcd(text: Sheet, sheet: string): CcdSheet {
  const sections = sectionsOf(text, sheet);
  const disc = sections.get("disc");
  const number = (section: Section | undefined, key: string): number | undefined => {
    const value = section?.get(key);
    if (value === undefined) return undefined;
    if (!/^(?:-?\d{1,9}|0x[0-9a-f]{1,8})$/i.test(value)) throw fail(sheet, `${key} is ${quote(value)}, which is no number`);
    return Number(value);
  };
  const entries = [...sections].filter(([name]) => /^entry \d+$/.test(name)).map(([, section]) => section);
  const announced = number(disc, "tocentries");
  if (announced === undefined) throw fail(sheet, "its section [Disc] has no TocEntries");
  if (entries.length !== announced) throw fail(sheet, `it has ${entries.length} entries, and announces ${announced}`);
  if ((number(disc, "datatracksscrambled") ?? 0) !== 0) {
    throw new ImageError("UNSUPPORTED", "its data tracks are stored scrambled, which is not read", { file: sheet });
  }
  const leadOuts = new Map<number, number>();
  const tracks: CcdTrack[] = [];
  for (const entry of entries) {
    const [session, point, start] = [number(entry, "session"), number(entry, "point"), number(entry, "plba")];
    if (session === undefined || point === undefined || start === undefined) throw fail(sheet, "an entry lacks Session, Point or PLBA");
    const times = ["pmin", "psec", "pframe"].map((key) => number(entry, key));
    const [minute, second, frame] = times;
    const told =
      minute === undefined || second === undefined || frame === undefined ? start : (minute * 60 + second) * FRAMES + frame - LEAD;
    // A file that was cut inside a number must not be read as another one.
    if ((point <= TRACK_LIMIT || point === LEAD_OUT) && told !== start) {
      throw fail(sheet, `the entry of point ${hex(point)} says sector ${start}, and by its time ${told}`);
    }
    if (point === LEAD_OUT) leadOuts.set(session, start);
    if (point < 1 || point > TRACK_LIMIT) continue;
    const own = sections.get(`track ${point}`);
    const [index0, index1] = [number(own, "index 0"), number(own, "index 1")];
    const pregap = index0 !== undefined && index1 !== undefined ? Math.max(0, index1 - index0) : 0;
    tracks.push({ number: point, session, data: ((number(entry, "control") ?? 0) & DATA_BIT) !== 0, start, pregap });
  }
  return { version: sections.get("clonecd")?.get("version") ?? "", tracks: tracks.toSorted((a, b) => a.start - b.start), leadOuts };
}

function sectionsOf(text: Sheet, sheet: string): ReadonlyMap<string, Section> {
  const sections = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  linesOf(text, sheet).forEach((line, index) => {
    const name = /^\[([^\]]*)\]$/.exec(line)?.[1]?.toLowerCase().replace(/\s+/g, " ");
    if (name !== undefined) {
      if (sections.size === SECTION_LIMIT) throw corruptSheet(sheet, index + 1, `it has more than ${SECTION_LIMIT} sections`);
      if (sections.has(name)) throw corruptSheet(sheet, index + 1, `the section ${quote(line)} is there twice`);
      current = new Map();
      sections.set(name, current);
      return;
    }
    const equals = line.indexOf("=");
    if (equals > 0) current?.set(line.slice(0, equals).trim().toLowerCase().replace(/\s+/g, " "), line.slice(equals + 1).trim());
  });
  return sections;
}

function fail(file: string, message: string): ImageError {
  return new ImageError("CORRUPT", message, { file });
}
