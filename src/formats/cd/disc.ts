// A disc as a disk: sector N of the disc is at N · 2048, as file systems count.
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Layer, LayerFacts, Track } from "../driver.js";
import { mapOfPieces, type Piece } from "../pieces.js";
import { bytesOf, type Sound, wavTrack } from "./audio.js";
import { checkPlain, form2Piece, isMode2, isVideo, type Sectors, sectorsOf, userPiece } from "./data.js";
import { RAW, USER } from "./sectors.js";

interface Place {
  /** From 1 on; unique on the disc. */
  readonly number: number;
  /** From 1 on, never less than that of the track before. */
  readonly session: number;
  /** The number of the sector at index 1, counted from the start of the disc. */
  readonly start: number;
}
export interface AudioTrack extends Place {
  readonly kind: "audio";
  /** What is heard before index 1; drives count it to the track before. */
  readonly pregap: readonly Sound[];
  readonly content: readonly Sound[];
}
export interface DataTrack extends Place {
  readonly kind: "data";
  readonly content: readonly Sectors[];
}
export type DiscTrack = AudioTrack | DataTrack;

export interface Disc {
  readonly format: string;
  readonly variant?: string | undefined;
  /** What describes the disc. */
  readonly source: Source;
  /** The files of its tracks, as far as they are others. */
  readonly parts: readonly Source[];
  /** In the order of the disc. */
  readonly tracks: readonly DiscTrack[];
  /** Files of sound that are not decoded here. */
  readonly files?: readonly Track[];
  readonly details?: LayerFacts["details"];
  readonly notes: readonly string[];
}

/** A disc with all of its sessions. */
export interface DiscLayer extends Layer {
  readonly tracks: readonly Track[];
  /** Where each session that has data begins, in bytes of the disk. */
  readonly sessions: readonly number[];
}

/** A double-layer Blu-ray disc has 24 million. */
const SECTOR_LIMIT = 2 ** 31;

/**
 * The disk goes on to the end of the last data track. Gaps, which are stored nowhere, are zeros, and so is audio before the first data: no file system was
 * written yet that could name it, and whatever looks at the start of a disk finds nothing. Audio between data is damaged: a file system may have entries for
 * its tracks, and what these would hold is not what is stored. Throws `CORRUPT` for tracks that are not one behind the other.
 */
export function discLayer(disc: Disc): DiscLayer {
  const { source, parts, tracks } = disc;
  checkOrder(disc);
  const data = tracks.filter((track) => track.kind === "data");
  for (const { content, number } of data) for (const sectors of content) checkPlain(sectors, number);
  const pieces = diskPieces(disc, data.at(-1));
  const starts = new Map(data.toReversed().map(({ session, start }) => [session, start * USER]));
  return {
    format: disc.format,
    name: source.name,
    size: pieces.reduce((sum, { size }) => sum + size, 0),
    sectorSize: USER,
    tracks: distinct([...trackFiles(tracks, data), ...(disc.files ?? [])]).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    sessions: [...starts.values()].toSorted((a, b) => a - b),
    map: mapOfPieces(pieces),
    facts: () => factsOf(disc, data),
    close() {
      for (const part of parts) part.close();
      source.close();
    },
  };
}

function lengthOf(track: DiscTrack): number {
  return track.kind === "data" ? sectorsOf(track.content) : Math.ceil(bytesOf(track.content) / RAW);
}

function checkOrder({ source, tracks }: Disc): void {
  const corrupt = (message: string) => new ImageError("CORRUPT", message, { file: source.name });
  if (tracks.length === 0) throw corrupt("it describes no track");
  const numbers = new Set<number>();
  let end = 0;
  let before: DiscTrack | undefined;
  for (const track of tracks) {
    const { number, session, start } = track;
    if (numbers.has(number)) throw corrupt(`it has two tracks with the number ${number}`);
    numbers.add(number);
    if (session < (before?.session ?? 1)) throw corrupt(`track ${number} is in session ${session}, the one before it in a later one`);
    if (start < end) throw corrupt(`track ${number} begins at sector ${start}, before the end of the one before it at sector ${end}`);
    end = start + lengthOf(track);
    if (end > SECTOR_LIMIT) throw corrupt(`track ${number} ends at sector ${end}; ${SECTOR_LIMIT} are the limit`);
    before = track;
  }
}

const zeros = (size: number): Piece => ({
  size,
  map: (offset, length) => ({ kind: "zero", length: Math.min(length, size - offset) }),
});

const damaged = (size: number, error: ImageError): Piece => ({
  size,
  map: (offset, length) => ({ kind: "damaged", length: Math.min(length, size - offset), error }),
});

function inAudio({ name }: Source, track: AudioTrack): ImageError {
  return new ImageError("UNSUPPORTED", `track ${track.number} of the disc is audio, which is no data of a disk`, {
    file: name,
    hint: `It is shown as tracks/${fileName(track, "wav")}.`,
  });
}

function diskPieces({ source, tracks }: Disc, last: DataTrack | undefined): readonly Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  const fill = (sectors: number, piece: (size: number) => Piece): void => {
    if (sectors > 0) pieces.push(piece(sectors * USER));
    end += sectors;
  };
  for (const track of last ? tracks.slice(0, tracks.indexOf(last) + 1) : []) {
    if (track.kind === "data") {
      fill(track.start - end, zeros);
      pieces.push(...track.content.filter(({ count }) => count > 0).map(userPiece));
      end += lengthOf(track);
    } else if (pieces.length > 0) {
      fill(track.start - end, zeros);
      fill(lengthOf(track), (size) => damaged(size, inAudio(source, track)));
    }
  }
  return pieces;
}

/** Audio tracks, each with the pause behind it, as a drive plays them. Data tracks, each for itself, unless the only one is the disk. */
function trackFiles(tracks: readonly DiscTrack[], data: readonly DataTrack[]): readonly Track[] {
  const alone = data.length === 1 && data[0]?.start === 0 ? data[0] : undefined;
  const [first] = tracks;
  const hidden = first?.kind === "audio" && first.pregap.some(({ stored }) => stored) ? [wavTrack("00.wav", first.pregap)] : [];
  const files = tracks.flatMap((track, index): readonly Track[] => {
    const next = tracks[index + 1];
    if (track.kind === "audio") {
      const pause = next?.kind === "audio" && next.session === track.session ? next.pregap : [];
      const sounds = [...track.content, ...pause];
      return bytesOf(sounds) > 0 ? [wavTrack(fileName(track, "wav"), sounds)] : [];
    }
    if (track === alone || lengthOf(track) === 0) return [];
    const video = track.content.every(isVideo);
    const pieces = track.content.filter(({ count }) => count > 0).map(video ? form2Piece : userPiece);
    const size = pieces.reduce((sum, piece) => sum + piece.size, 0);
    return [{ name: fileName(track, video ? "mpg" : "iso"), size, map: mapOfPieces(pieces) }];
  });
  return [...hidden, ...files];
}

/** Files that are shown as they are may have the number of a track that is shown, too. */
function distinct(files: readonly Track[]): readonly Track[] {
  const names = new Set<string>();
  return files.map((file) => {
    let { name } = file;
    for (let count = 2; names.has(name); count += 1) name = file.name.replace(/(?=\.[^.]*$)/, ` (${count})`);
    names.add(name);
    return name === file.name ? file : { ...file, name };
  });
}

function fileName({ number }: Place, extension: string): string {
  return `${String(number).padStart(2, "0")}.${extension}`;
}

function factsOf({ tracks, variant, details, notes }: Disc, data: readonly DataTrack[]): LayerFacts {
  const audio = tracks.filter(({ kind }) => kind === "audio");
  const numbers = (list: readonly Place[]) => list.map(({ number }) => number).join(", ");
  const last = data.find(({ session }) => session === data.at(-1)?.session);
  const [first] = data;
  const mode2 = data.filter(({ content }) => content.some(isMode2));
  return {
    ...(variant !== undefined && { variant }),
    details: {
      sessions: tracks.at(-1)?.session ?? 0,
      tracks: tracks.length,
      ...(data.length > 0 && { "data in tracks": numbers(data) }),
      ...(audio.length > 0 && { "audio in tracks": numbers(audio) }),
      ...(last && last.start > 0 && { "last session starts at sector": last.start }),
      ...details,
    },
    notes: [
      ...notes,
      ...(data.length === 0 ? ["The disc has no data track: disk.raw is empty."] : []),
      ...(first && first.start > 0
        ? [`Before its first data, at sector ${first.start}, disk.raw has zeros: audio and gaps are no data.`]
        : []),
      ...(last && last.start > 0
        ? [`Its last session with data begins at sector ${last.start}: to mount disk.raw with Linux, add -o sbsector=${last.start}.`]
        : []),
      ...(mode2.length > 0
        ? [`Of sectors of mode 2, form 2, which have 2324 bytes, disk.raw has the first 2048 (track ${numbers(mode2)}).`]
        : []),
    ],
  };
}
