import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { bytesOf, type Sound } from "../cd/audio.js";
import { type Sectors, sectorsOf } from "../cd/data.js";
import type { DiscTrack } from "../cd/disc.js";
import { addressOf, RAW } from "../cd/sectors.js";
import type { createClock } from "../cd/session.js";
import { corruptSheet, namesFor, type Parts } from "../cd/sheet.js";
import { readSamples, whole } from "../cd/wave.js";
import type { Amount, TocMode, TocRun, TocTrack } from "./parse.js";

export interface Surroundings {
  readonly sheet: string;
  readonly plain: boolean;
  readonly parts: Parts;
  readonly degraded: boolean;
  readonly notes: string[];
}

/** Bytes of a sample of both channels. */
const SAMPLE = 4;

export function trackOf(track: TocTrack, number: number, clock: ReturnType<typeof createClock>, around: Surroundings): DiscTrack {
  const { mode } = track;
  const place = { number, session: 1 };
  if (mode.kind === undefined) {
    const sounds = track.runs.map((run) => soundOf(run, mode, around));
    const [pregap, content] = splitSounds(sounds, pregapBytes(track, sounds));
    const length = Math.ceil(bytesOf(content) / RAW);
    const start = clock({
      session: 1,
      data: false,
      length,
      address: undefined,
      pregap: gapOf(
        pregap.every(({ stored }) => !stored),
        Math.ceil(bytesOf(pregap) / RAW),
      ),
    });
    return { ...place, kind: "audio", start, pregap, content };
  }
  const runs = track.runs.map((run) => sectorsFor(run, mode, around));
  const before = "runs" in track.start ? sectorsOf(runs.slice(0, track.start.runs)) : track.start.sectors;
  const content = skipSectors(runs, before);
  const first = content[0]?.stored;
  const address = first?.layout.kind === "raw" ? addressOf(first.source, first.position) : undefined;
  const start = clock({ session: 1, data: true, length: sectorsOf(content), address, pregap: gapOf(false, before) });
  return { ...place, kind: "data", start, content };
}

function gapOf(silent: boolean, sectors: number): { readonly stored: number; readonly silent: number } {
  return silent ? { stored: 0, silent: sectors } : { stored: sectors, silent: 0 };
}

/** "START": up to the end of the sector, if it ends inside one. */
function pregapBytes({ start, runs }: TocTrack, sounds: readonly Sound[]): number {
  if ("sectors" in start) return start.sectors * RAW;
  const bytes = bytesOf(sounds.slice(0, start.runs));
  return start.runs === runs.length ? bytes : Math.ceil(bytes / RAW) * RAW;
}

function splitSounds(sounds: readonly Sound[], at: number): readonly [before: readonly Sound[], behind: readonly Sound[]] {
  const [before, behind]: [Sound[], Sound[]] = [[], []];
  let left = at;
  for (const sound of sounds) {
    const head = Math.min(left, sound.size);
    if (head > 0) before.push({ ...sound, size: head });
    if (sound.size > head) behind.push(advanced(sound, head));
    left -= head;
  }
  return [before, behind];
}

/** What is left of a run of sound behind its first `bytes`. */
function advanced({ size, stored, error }: Sound, bytes: number): Sound {
  if (!stored || bytes === 0) return { size: size - bytes, stored, error };
  const position = stored.position + Math.floor(bytes / RAW) * stored.stride + (bytes % RAW);
  return { size: size - bytes, stored: { ...stored, position }, error };
}

function skipSectors(list: readonly Sectors[], sectors: number): readonly Sectors[] {
  let left = sectors;
  return list.flatMap((run): readonly Sectors[] => {
    const skipped = Math.min(left, run.count);
    left -= skipped;
    if (skipped === run.count) return [];
    const { stored } = run;
    const moved = stored && { ...stored, position: stored.position + skipped * stored.layout.stride };
    return [{ ...run, count: run.count - skipped, stored: moved }];
  });
}

function open({ file = "", line }: TocRun, around: Surroundings): Source | ImageError {
  if (file === "-") {
    throw new ImageError("UNSUPPORTED", `line ${line}: it takes what comes from its standard input`, { file: around.sheet });
  }
  try {
    return around.parts.open(namesFor(file, around));
  } catch (error) {
    if (!around.degraded || !(error instanceof ImageError) || !/^PART_/.test(error.code)) throw error;
    return error;
  }
}

/** Sound is big-endian where the file does not tell. */
function soundOf(run: TocRun, { stride }: TocMode, around: Surroundings): Sound {
  const bytesFor = (amount: Amount) => ("sectors" in amount ? amount.sectors * RAW : amount.units * SAMPLE);
  if (run.file === undefined) return { size: run.length ? bytesFor(run.length) : 0 };
  const opened = open(run, around);
  if (opened instanceof ImageError) {
    if (!run.length) around.notes.push(`${quote(run.file)} cannot be had: how long its track is, is not known.`);
    return { size: run.length ? bytesFor(run.length) : 0, error: opened };
  }
  const { position, end, bigEndian } = samplesOf(run, opened, around);
  // Where subchannels stand between sectors, what is counted are sectors.
  const skipped = bytesFor(run.start);
  const start = position + (stride === RAW ? skipped : Math.floor(skipped / RAW) * stride + (skipped % RAW));
  const left = Math.max(0, end - start);
  const rest = stride === RAW ? left : Math.floor(left / stride) * RAW;
  if (stride !== RAW && (skipped % RAW !== 0 || (run.length && bytesFor(run.length) % RAW !== 0))) {
    throw corruptSheet(around.sheet, run.line, "sound with subchannels is cut inside a sector");
  }
  const size = run.length ? bytesFor(run.length) : whole(rest);
  return { size, stored: { source: opened, position: start, stride, bigEndian: bigEndian !== run.swapped } };
}

function samplesOf(run: TocRun, source: Source, { sheet }: Surroundings): { position: number; end: number; bigEndian: boolean } {
  const wave = /\.wav$/i.test(run.file ?? "");
  if (!wave) {
    if (/\.(?:mp3|ogg|flac)$/i.test(run.file ?? "")) {
      throw new ImageError("UNSUPPORTED", `line ${run.line}: ${quote(run.file ?? "")} is compressed sound, which is not decoded`, {
        file: sheet,
      });
    }
    return { position: run.offset, end: source.size, bigEndian: true };
  }
  const samples = readSamples(source);
  if (typeof samples !== "object") {
    const message = `line ${run.line}: ${quote(run.file ?? "")} ${samples ?? "is no WAV file"}, which no disc has`;
    throw new ImageError("UNSUPPORTED", message, { file: sheet });
  }
  return { position: samples.position + run.offset, end: samples.position + samples.size, bigEndian: samples.bigEndian };
}

function sectorsFor(run: TocRun, { kind, main, stride }: TocMode, around: Surroundings): Sectors {
  if (kind === undefined) throw new Error("audio has no data sectors");
  const countOf = (amount: Amount) => {
    if ("sectors" in amount) return amount.sectors;
    if (amount.units % stride !== 0) {
      throw corruptSheet(around.sheet, run.line, `${amount.units} bytes are no whole sectors of ${stride} bytes`);
    }
    return amount.units / stride;
  };
  if (run.file === undefined) return { count: run.length ? countOf(run.length) : 0 };
  const opened = open(run, around);
  if (opened instanceof ImageError) {
    if (!run.length) throw opened;
    return { count: countOf(run.length), error: opened };
  }
  const left = Math.max(0, opened.size - run.offset);
  if (!run.length && left % stride !== 0 && !(left % stride >= main)) {
    around.notes.push(`${quote(run.file)} ends with ${left % stride} bytes that are no whole sector.`);
  }
  const count = run.length ? countOf(run.length) : Math.floor((left + stride - main) / stride);
  return { count, stored: { source: opened, position: run.offset, layout: { kind, stride } } };
}
