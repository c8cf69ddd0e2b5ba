// Cue sheets: Golden Hawk Technology, "CDRWIN User's Guide", appendix A. REM SESSION and its companions: as IsoBuster, UltraISO and the Redump project write them.
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { SectorKind } from "../cd/sectors.js";
import { corruptSheet, linesOf, notUnderstood, parseTime, type Sheet, TRACK_LIMIT } from "../cd/sheet.js";

export interface CueSheet {
  readonly files: readonly CueFile[];
  readonly tracks: readonly CueTrack[];
  /** By session: where its lead-out begins, in sectors of the file. */
  readonly leadOuts: ReadonlyMap<number, number>;
  readonly notes: readonly string[];
}
export interface CueFile {
  readonly name: string;
  /** In upper case. */
  readonly type: string;
  readonly line: number;
  readonly marks: readonly Mark[];
}
export interface CueTrack {
  readonly number: number;
  readonly mode: TrackMode;
  readonly session: number;
  /** Sectors that are stored nowhere, before and behind. */
  readonly pregap: number;
  readonly postgap: number;
  readonly line: number;
}
/** Where an index of a track is in a file. */
export interface Mark {
  readonly track: CueTrack;
  readonly index: number;
  /** Sectors from the start of the file. */
  readonly time: number;
  readonly line: number;
}
/** `kind`: absent for audio. */
export interface TrackMode {
  readonly kind?: SectorKind;
  readonly stride: number;
}

const modes: Readonly<Record<string, TrackMode>> = {
  AUDIO: { stride: 2352 },
  CDG: { stride: 2448 },
  "MODE1/2048": { kind: "user", stride: 2048 },
  "MODE1/2352": { kind: "raw", stride: 2352 },
  "MODE1/2448": { kind: "raw", stride: 2448 },
  "MODE2/2048": { kind: "user", stride: 2048 },
  "MODE2/2324": { kind: "form 2", stride: 2324 },
  "MODE2/2332": { kind: "short subheader", stride: 2332 },
  "MODE2/2336": { kind: "subheader", stride: 2336 },
  "MODE2/2352": { kind: "raw", stride: 2352 },
  "MODE2/2448": { kind: "raw", stride: 2448 },
  "CDI/2336": { kind: "subheader", stride: 2336 },
  "CDI/2352": { kind: "raw", stride: 2352 },
};

/** What says nothing of where bytes are. */
const ignored: readonly string[] = ["CATALOG", "CDTEXTFILE", "FLAGS", "ISRC", "PERFORMER", "SONGWRITER", "TITLE", "REM"];

const fileLine = /^[ \t]*FILE[ \t]+(?:"[^"\r\n]*"|\S+).*$/im;
const trackLine = /^[ \t]*TRACK[ \t]+\d{1,2}[ \t]+(?:AUDIO|CDG|MODE[12]\/\d{4}|CDI\/\d{4})[ \t]*\r?$/im;

/** Whether a text is a cue sheet: it names a file before a track, and begins with nothing else. */
export function isCue({ text }: Pick<Sheet, "text">): boolean {
  const first = /^\s*([A-Z]+)\b/i.exec(text)?.[1]?.toUpperCase() ?? "";
  if (first !== "FILE" && !ignored.includes(first)) return false;
  const file = fileLine.exec(text);
  const track = trackLine.exec(text);
  return file !== null && track !== null && file.index < track.index;
}

const UNKNOWN_LIMIT = 3;

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type DraftFile = Writable<CueFile> & { marks: Mark[] };

/** Reads a sheet. Throws `CORRUPT` for a line of a file, a track or an index that cannot be read: without it those that follow would be shifted. */
export function parseCue(text: Sheet, sheet: string): CueSheet {
  const files: DraftFile[] = [];
  const tracks: Writable<CueTrack>[] = [];
  const leadOuts = new Map<number, number>();
  const notes: string[] = [];
  let session = 1;
  const told = { leadIn: false };

  linesOf(text, sheet).forEach((raw, index) => {
    const line = index + 1;
    const fail = (message: string) => corruptSheet(sheet, line, message);
    const [, word = "", rest = ""] = /^(\S+)\s*(.*)$/s.exec(raw) ?? [];
    const file = files.at(-1);
    const track = tracks.at(-1);
    switch (word.toUpperCase()) {
      case "":
      case "\x1a":
        return;
      case "FILE": {
        const type = /\S+$/.exec(rest)?.[0] ?? "";
        const named = rest.slice(0, rest.length - type.length).trim();
        const name = /^"([^"]*)"$/.exec(named)?.[1] ?? named;
        if (name === "" || name.startsWith('"')) throw fail(`${quote(rest)} is no file and its type`);
        files.push({ name, type: type.toUpperCase(), line, marks: [] });
        return;
      }
      case "TRACK": {
        const [, digits, name = ""] = /^(\d{1,2})\s+(\S+)$/.exec(rest) ?? [];
        const mode = modes[name.toUpperCase()];
        if (digits === undefined) throw fail(`${quote(rest)} is no track and its mode`);
        if (!mode) throw new ImageError("UNSUPPORTED", `line ${line}: the track mode ${quote(name)} is not known`, { file: sheet });
        if (!file) throw fail("there is a track before any file");
        if (tracks.length === TRACK_LIMIT) throw fail(`it has more than ${TRACK_LIMIT} tracks`);
        tracks.push({ number: Number(digits), mode, session, pregap: 0, postgap: 0, line });
        return;
      }
      case "INDEX": {
        const [, digits, time = ""] = /^(\d{1,2})\s+(\S+)$/.exec(rest) ?? [];
        const sectors = exactTime(time);
        if (digits === undefined || sectors === undefined) throw fail(`${quote(rest)} is no index and its time`);
        if (!file || !track) throw fail("there is an index before any track");
        const before = file.marks.at(-1);
        if (before && before.time > sectors) throw fail(`the index at ${time} comes behind one that is later`);
        file.marks.push({ track, index: Number(digits), time: sectors, line });
        return;
      }
      case "PREGAP":
      case "POSTGAP": {
        const sectors = exactTime(rest);
        if (sectors === undefined) throw fail(`${quote(rest)} is no time`);
        if (!track) throw fail("there is a gap before any track");
        track[word.toUpperCase() === "PREGAP" ? "pregap" : "postgap"] = sectors;
        return;
      }
      case "REM": {
        const [, what = "", value = ""] = /^(SESSION|LEAD-OUT|LEAD-IN)\s+(\S+)$/i.exec(rest) ?? [];
        const number = Number(value);
        if (/^session$/i.test(what) && number > session && number <= TRACK_LIMIT) session = number;
        if (/^lead-in$/i.test(what)) told.leadIn = true;
        const leadOut = /^lead-out$/i.test(what) ? parseTime(value) : undefined;
        if (leadOut !== undefined) leadOuts.set(session, leadOut);
        return;
      }
      default:
        if (!ignored.includes(word.toUpperCase())) notes.push(notUnderstood(line, raw));
    }
  });
  check(files, tracks, sheet);
  const extra = notes.length - UNKNOWN_LIMIT;
  return {
    files,
    tracks,
    // Where lead-ins are told, too, both are lengths.
    leadOuts: told.leadIn ? new Map() : leadOuts,
    notes: [...notes.slice(0, UNKNOWN_LIMIT), ...(extra > 0 ? [`${extra} more lines are not understood.`] : [])],
  };
}

/** All digits must be there: a sheet that was cut must not be read as another one. */
function exactTime(text: string): number | undefined {
  return /:\d\d$/.test(text) ? parseTime(text) : undefined;
}

function check(files: readonly CueFile[], tracks: readonly CueTrack[], sheet: string): void {
  const marks = files.flatMap((file) => file.marks);
  const empty = files.find((file) => file.marks.length === 0);
  if (empty) throw corruptSheet(sheet, empty.line, `no track is in the file ${quote(empty.name)}`);
  for (const track of tracks) {
    const own = marks.filter((mark) => mark.track === track).map(({ index }) => index);
    if (!own.includes(1)) throw corruptSheet(sheet, track.line, `track ${track.number} has no index 01`);
    if (own.some((index, at) => at > 0 && index <= (own[at - 1] ?? 0))) {
      throw corruptSheet(sheet, track.line, `the indexes of track ${track.number} are not in order`);
    }
  }
}
