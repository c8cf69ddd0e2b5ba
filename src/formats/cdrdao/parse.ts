// Toc-files: the manual page cdrdao(1), section "Toc files".
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { SectorKind } from "../cd/sectors.js";
import { corruptSheet, parseTime, type Sheet, TRACK_LIMIT } from "../cd/sheet.js";
import { type Token, tokensOf } from "./tokens.js";

export interface TocSheet {
  readonly type: string;
  readonly tracks: readonly TocTrack[];
}
export interface TocTrack {
  readonly mode: TocMode;
  readonly line: number;
  readonly runs: readonly TocRun[];
  /** How many of the runs come before index 1; a length, if it ends inside one. */
  readonly start: { readonly runs: number } | { readonly sectors: number };
}
/** `kind`: absent for audio. `stride` with subchannels. */
export interface TocMode {
  readonly kind?: SectorKind;
  readonly main: number;
  readonly stride: number;
}
/** One statement. */
export interface TocRun {
  readonly line: number;
  /** Absent: silence, or zeros. */
  readonly file?: string;
  /** Bytes before what `start` counts from. */
  readonly offset: number;
  readonly start: Amount;
  /** Absent: all that is left of the file. */
  readonly length?: Amount | undefined;
  readonly swapped: boolean;
}
/** In samples for audio and in bytes for data, or in sectors. */
export type Amount = { readonly units: number } | { readonly sectors: number };

const modes: Readonly<Record<string, { readonly kind?: SectorKind; readonly main: number }>> = {
  AUDIO: { main: 2352 },
  MODE0: { kind: "subheader", main: 2336 },
  MODE1: { kind: "user", main: 2048 },
  MODE1_RAW: { kind: "raw", main: 2352 },
  MODE2: { kind: "subheader", main: 2336 },
  MODE2_RAW: { kind: "raw", main: 2352 },
  MODE2_FORM1: { kind: "user", main: 2048 },
  MODE2_FORM2: { kind: "form 2", main: 2324 },
  MODE2_FORM_MIX: { kind: "subheader", main: 2336 },
};
const SUBCHANNEL = 96;
const types: readonly string[] = ["CD_DA", "CD_ROM", "CD_ROM_XA", "CD_I"];
/** Statements per track, for a disc that is put together from pieces. */
const RUN_LIMIT = 10_000;

/** Whether a text begins as a toc-file does: with the type of the session, after comments and a catalogue number at most. */
export function isToc({ text }: Pick<Sheet, "text">): boolean {
  return /^(?:\s|\/\/[^\r\n]*[\r\n])*(?:CATALOG\s+"[^"]*"(?:\s|\/\/[^\r\n]*[\r\n])*)?(?:CD_DA|CD_ROM_XA|CD_ROM|CD_I)(?=\s|\/\/)/.test(text);
}

type DraftTrack = { -readonly [K in keyof TocTrack]: TocTrack[K] } & { runs: TocRun[] };

/** Reads a toc-file. Throws `CORRUPT` for anything that is not understood: what follows would be shifted. */
export function parseToc({ text }: Sheet, sheet: string): TocSheet {
  const tokens = [...tokensOf(text, sheet)];
  const tracks: DraftTrack[] = [];
  let type = "";
  let at = 0;

  const fail = (token: Token | undefined, message: string) => corruptSheet(sheet, token?.line ?? tokens.at(-1)?.line ?? 1, message);
  const peek = (pattern: RegExp): boolean => {
    const token = tokens[at];
    return token?.kind === "word" && pattern.test(token.value);
  };
  const next = (kind: Token["kind"], what: string): Token => {
    const token = tokens[at];
    if (token?.kind !== kind) throw fail(token, `${what} was expected, not ${token ? quote(token.value) : "the end"}`);
    at += 1;
    return token;
  };
  const amount = (): Amount => {
    const token = next("word", "a length");
    const sectors = parseTime(token.value);
    if (sectors !== undefined) return { sectors };
    if (!/^\d{1,15}$/.test(token.value)) throw fail(token, `${quote(token.value)} is no length`);
    return { units: Number(token.value) };
  };
  const current = (token: Token): DraftTrack => {
    const track = tracks.at(-1);
    if (!track) throw fail(token, `${token.value} stands before any track`);
    return track;
  };
  const add = (token: Token, run: Omit<TocRun, "line">): void => {
    const { runs } = current(token);
    if (runs.length === RUN_LIMIT) throw fail(token, `the track has more than ${RUN_LIMIT} pieces`);
    runs.push({ ...run, line: token.line });
  };
  const nothing = { offset: 0, start: { units: 0 }, swapped: false };

  /** What may stand between a file and what is taken of it. */
  const extras = (): { readonly offset: number; readonly swapped: boolean } => {
    let [offset, swapped] = [0, false];
    while (peek(/^(?:#\d{1,15}|SWAP)$/)) {
      const { value } = next("word", "an offset");
      if (value === "SWAP") swapped = true;
      else offset = Number(value.slice(1));
    }
    return { offset, swapped };
  };

  const statements: Readonly<Record<string, (token: Token) => void>> = {
    CATALOG: () => void next("text", "a number"),
    ISRC: () => void next("text", "a number"),
    CD_TEXT: () => skipBlock(),
    NO: () => void next("word", "COPY or PRE_EMPHASIS"),
    COPY: () => undefined,
    PRE_EMPHASIS: () => undefined,
    TWO_CHANNEL_AUDIO: () => undefined,
    FOUR_CHANNEL_AUDIO: () => undefined,
    INDEX: () => void amount(),
    TRACK: (token) => addTrack(token),
    SILENCE: (token) => add(token, { ...nothing, length: amount() }),
    ZERO: (token) => {
      // A mode may stand before the length.
      while (peek(/^(?:AUDIO|MODE[012].*|RW|RW_RAW)$/)) at += 1;
      add(token, { ...nothing, length: amount() });
    },
    FILE: (token) => addSound(token),
    AUDIOFILE: (token) => addSound(token),
    DATAFILE: (token) => {
      const file = next("text", "a file").value;
      const { offset } = extras();
      add(token, { ...nothing, file, offset, length: peek(/^\d/) ? amount() : undefined });
    },
    FIFO: (token) => {
      throw new ImageError("UNSUPPORTED", `line ${token.line}: it takes what comes out of a pipe (FIFO)`, { file: sheet });
    },
    START: (token) => {
      const track = current(token);
      const length = peek(/^\d/) ? amount() : undefined;
      if (length && "units" in length) throw fail(token, "the length of the pregap is no time");
      track.start = length ?? { runs: track.runs.length };
    },
    PREGAP: (token) => {
      const track = current(token);
      if (track.runs.length > 0) throw fail(token, "PREGAP stands behind data");
      add(token, { ...nothing, length: amount() });
      track.start = { runs: 1 };
    },
  };

  function addTrack(token: Token): void {
    const name = next("word", "a track mode").value;
    const mode = modes[name];
    if (!mode) throw new ImageError("UNSUPPORTED", `line ${token.line}: the track mode ${quote(name)} is not known`, { file: sheet });
    const subchannel = peek(/^RW(?:_RAW)?$/) ? SUBCHANNEL : 0;
    if (subchannel > 0) at += 1;
    if (tracks.length === TRACK_LIMIT) throw fail(token, `it has more than ${TRACK_LIMIT} tracks`);
    tracks.push({ mode: { ...mode, stride: mode.main + subchannel }, line: token.line, runs: [], start: { runs: 0 } });
  }

  function addSound(token: Token): void {
    const file = next("text", "a file").value;
    const { offset, swapped } = extras();
    const start = amount();
    const length = peek(/^\d/) ? amount() : undefined;
    const all = !length || ("units" in length ? length.units : length.sectors) === 0;
    add(token, { file, offset, swapped, start, length: all ? undefined : length });
  }

  function skipBlock(): void {
    let depth = 0;
    do {
      const token = tokens[at];
      if (!token) throw fail(token, "a block does not end");
      if (token.kind === "mark" && token.value === "{") depth += 1;
      if (token.kind === "mark" && token.value === "}") depth -= 1;
      if (depth === 0 && token.value !== "}") throw fail(token, "a block does not begin");
      at += 1;
    } while (depth > 0);
  }

  while (at < tokens.length) {
    const token = next("word", "a statement");
    const statement = Object.hasOwn(statements, token.value) ? statements[token.value] : undefined;
    if (types.includes(token.value)) type = token.value;
    else if (statement) statement(token);
    else throw fail(token, `${quote(token.value.slice(0, 60))} is no statement`);
  }
  const bare = tracks.find(({ runs }) => runs.length === 0);
  if (bare) throw corruptSheet(sheet, bare.line, "the track holds nothing");
  return { type, tracks };
}
