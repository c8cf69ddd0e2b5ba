import { extname } from "node:path";
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Sound } from "../cd/audio.js";
import type { Sectors } from "../cd/data.js";
import type { DiscTrack } from "../cd/disc.js";
import { addressOf, RAW } from "../cd/sectors.js";
import { createClock, gapAfter } from "../cd/session.js";
import { namesFor, type Parts, siblings } from "../cd/sheet.js";
import { readSamples, whole } from "../cd/wave.js";
import type { Track } from "../driver.js";
import { storedExtent } from "../stored.js";
import type { CueFile, CueSheet, CueTrack, Mark } from "./parse.js";

export interface Surroundings {
  /** The sheet. */
  readonly source: Source;
  readonly plain: boolean;
  readonly parts: Parts;
  readonly degraded: boolean;
}

export interface Layout {
  readonly tracks: readonly DiscTrack[];
  readonly files: readonly Track[];
  readonly notes: readonly string[];
}

/** A run of a track in a file. */
interface Run {
  readonly file: OpenedFile | ImageError;
  readonly position: number;
  readonly stride: number;
  /** Sound that ends a file may end inside a sector. */
  readonly sectors: number;
}

/** What the files hold of a track, before index 1 and from there on. */
interface Held {
  readonly pregap: Run[];
  readonly content: Run[];
}
type HeldOf = (track: CueTrack) => Held;

/** A file of sectors, or of samples. */
interface OpenedFile {
  readonly source: Source;
  readonly position: number;
  readonly end: number;
  readonly bigEndian: boolean;
  readonly samples: boolean;
}

/** Finds what each track has in the files, and where on the disc it is. Throws `PART_MISSING` for a file that cannot be had. */
export function layOut(sheet: CueSheet, around: Surroundings): Layout {
  const held = new Map<CueTrack, Held>(sheet.tracks.map((track) => [track, { pregap: [], content: [] }]));
  // Every track of the sheet is in the map.
  const heldOf: HeldOf = (track) => held.get(track)!;
  const files: Track[] = [];
  const notes = [...sheet.notes];
  for (const file of sheet.files) {
    const opened = open(file, sheet.files.length === 1, around, notes);
    if (opened instanceof ImageError) lose(file, opened, heldOf, notes);
    else if ("kept" in opened) files.push(opened.kept);
    else hold(file, opened, sheet, heldOf, notes);
  }
  const clock = createClock();
  return { tracks: sheet.tracks.map((track) => place(track, heldOf(track), clock)), files, notes };
}

function open(file: CueFile, only: boolean, around: Surroundings, notes: string[]): OpenedFile | ImageError | { readonly kept: Track } {
  const { parts, source: sheet, degraded } = around;
  let source: Source;
  try {
    // Pairs are renamed together, and what is written in the sheet is forgotten.
    const renamed = only ? siblings(sheet.name, [extname(file.name)]) : [];
    source = parts.open([...namesFor(file.name, around), ...renamed]);
  } catch (error) {
    if (degraded && error instanceof ImageError && /^PART_/.test(error.code)) return error;
    throw error;
  }
  if (file.type === "BINARY" || file.type === "MOTOROLA") {
    return { source, position: 0, end: source.size, bigEndian: file.type === "MOTOROLA", samples: false };
  }
  const wrong = file.marks.find(({ track }) => track.mode.kind !== undefined);
  if (wrong) {
    const message = `line ${file.line}: track ${wrong.track.number} is data and lies in a file of the type ${quote(file.type)}`;
    throw new ImageError("CORRUPT", message, { file: sheet.name });
  }
  const samples = readSamples(source);
  if (typeof samples === "object") {
    const { position, size, bigEndian } = samples;
    return { source, position, end: position + size, bigEndian, samples: true };
  }
  return { kept: keep(file, source, samples ?? `is of the type ${quote(file.type)}`, notes) };
}

/** Sound that is not decoded is shown as the file that it is. */
function keep({ name, marks }: CueFile, source: Source, reason: string, notes: string[]): Track {
  const numbers = marks.filter(({ index }) => index === 1).map(({ track }) => String(track.number).padStart(2, "0"));
  const range = numbers.length > 1 ? `${numbers[0] ?? ""}-${numbers.at(-1) ?? ""}` : (numbers[0] ?? "00");
  const extension = /^\.[a-z0-9]{1,5}$/i.exec(extname(name))?.[0].toLowerCase() ?? ".bin";
  notes.push(`${quote(name)} ${reason}: it is shown as it is (tracks/${range}${extension}).`);
  const { size } = source;
  return { name: range + extension, size, map: (offset, length) => storedExtent(source, offset, Math.min(length, size - offset)) };
}

/** A file that cannot be had: of its last track not even the length is known. */
function lose({ marks, name }: CueFile, error: ImageError, heldOf: HeldOf, notes: string[]): void {
  marks.forEach((mark, at) => {
    const next = marks[at + 1];
    if (!next && mark.track.mode.kind !== undefined) throw error;
    runsOf(heldOf, mark).push({ file: error, position: 0, stride: RAW, sectors: (next ?? mark).time - mark.time });
  });
  notes.push(`${quote(name)} cannot be had: how long track ${marks.at(-1)?.track.number ?? 0} is, is not known.`);
}

function runsOf(heldOf: HeldOf, { track, index }: Mark): Run[] {
  const { pregap, content } = heldOf(track);
  return index === 0 ? pregap : content;
}

/** Goes through a file from mark to mark: each ends what the one before began. */
function hold({ name, marks }: CueFile, file: OpenedFile, { leadOuts }: CueSheet, heldOf: HeldOf, notes: string[]): void {
  const strideOf = ({ track }: Mark) => (file.samples ? RAW : track.mode.stride);
  let { position } = file;
  const [first] = marks;
  // What stands before the first mark is heard, or lies, before its track.
  if (first && first.time > 0) {
    const stride = strideOf(first);
    heldOf(first.track).pregap.push({ file, position, stride, sectors: first.time });
    position += first.time * stride;
  }
  marks.forEach((mark, at) => {
    const stride = strideOf(mark);
    const next = marks[at + 1];
    if (next) {
      const across = next.track.session > mark.track.session;
      const { sectors, advance } = across ? acrossSessions(file.source, position, stride, mark, next, leadOuts) : within(mark, next);
      runsOf(heldOf, mark).push({ file, position, stride, sectors });
      position += advance * stride;
      return;
    }
    const bytes = Math.max(0, file.end - position);
    if (mark.track.mode.kind !== undefined && bytes % stride !== 0) {
      notes.push(`${quote(name)} ends with ${bytes % stride} bytes that are no whole sector.`);
    }
    runsOf(heldOf, mark).push({ file, position, stride, sectors: bytes / stride });
  });
}

interface Span {
  /** Of the earlier mark. */
  readonly sectors: number;
  /** From it to the later one, in the file. */
  readonly advance: number;
}

function within(mark: Mark, next: Mark): Span {
  const sectors = next.time - mark.time;
  return { sectors, advance: sectors };
}

/**
 * Between two sessions in one file. Some programs count the gap between them in the times that follow, some store it, too. The header of the first sector
 * behind it tells, where there is one; otherwise the size of the file.
 */
function acrossSessions(
  source: Source,
  position: number,
  stride: number,
  mark: Mark,
  next: Mark,
  leadOuts: ReadonlyMap<number, number>,
): Span {
  const span = next.time - mark.time;
  const leadOut = leadOuts.get(mark.track.session);
  const told = leadOut !== undefined && leadOut > mark.time && leadOut <= next.time ? leadOut - mark.time : undefined;
  const without = told ?? span - gapAfter(mark.track.session);
  const plain = position + span * stride;
  const raw = next.track.mode.kind === "raw";
  const address = raw ? addressOf(source, plain) : undefined;
  if (address !== undefined) return { sectors: told ?? (address === next.time && without > 0 ? without : span), advance: span };
  const counted = without > 0 && (raw ? addressOf(source, position + without * stride) !== undefined : plain >= source.size);
  return counted ? { sectors: without, advance: without } : { sectors: told ?? span, advance: span };
}

function place({ number, session, mode, pregap, postgap }: CueTrack, held: Held, clock: ReturnType<typeof createClock>): DiscTrack {
  const sectorsIn = (runs: readonly Run[]) => Math.ceil(runs.reduce((sum, { sectors }) => sum + sectors, 0));
  const { kind, stride } = mode;
  const [first] = held.content;
  const arriving = { session, pregap: { stored: sectorsIn(held.pregap), silent: pregap } };
  if (kind === undefined) {
    const gap = (sectors: number): readonly Sound[] => (sectors > 0 ? [{ size: sectors * RAW }] : []);
    const content = [...held.content.map(soundOf), ...gap(postgap)];
    const start = clock({ ...arriving, data: false, length: sectorsIn(held.content) + postgap, address: undefined });
    return { kind: "audio", number, session, start, pregap: [...gap(pregap), ...held.pregap.map(soundOf)], content };
  }
  const sectors = held.content.map(({ file, position, sectors: count }): Sectors => {
    if (file instanceof ImageError) return { count, error: file };
    return { count: Math.floor(count), stored: { source: file.source, position, layout: { kind, stride } } };
  });
  const content = [...sectors, ...(postgap > 0 ? [{ count: postgap }] : [])];
  const length = content.reduce((sum, { count }) => sum + count, 0);
  const address = kind === "raw" && first && !(first.file instanceof ImageError) ? addressOf(first.file.source, first.position) : undefined;
  return { kind: "data", number, session, start: clock({ ...arriving, data: true, length, address }), content };
}

function soundOf({ file, position, stride, sectors }: Run): Sound {
  const size = whole(Math.round(sectors * RAW));
  if (file instanceof ImageError) return { size, error: file };
  return { size, stored: { source: file.source, position, stride, bigEndian: file.bigEndian } };
}
