import { readBytes, readStruct, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Struct } from "../../util/struct.js";
import { quote } from "../../util/text.js";
import { TRACK_LIMIT } from "../cd/sheet.js";
import { chunkHeader, cueEntry, dao1, dao2, daoHeader, etn1, etn2, footer1, footer2, magics } from "./layout.js";

/** What the chunks tell of a track. */
export interface NrgTrack {
  /** Absent where it is the one behind that of the track before. */
  readonly number?: number;
  /** Bytes of the file: of index 0, of index 1, and behind the end. */
  readonly index0: number;
  readonly index1: number;
  readonly end: number;
  readonly mode: number;
  /** Absent where the mode tells. */
  readonly sectorSize?: number;
  /** The sector at index 1: on the disc, or, for what was written track by track, in the image. */
  readonly sector?: number | undefined;
  readonly atOnce: boolean;
  /** Of its entry. */
  readonly entry: number;
}

const CHUNK_LIMIT = 1024;
/** Bytes of a chunk that is read. */
const CHUNK_SIZE_LIMIT = 2 ** 18;

export type Tail = { readonly version: 1 | 2; readonly position: number };

/** The footer, which `tail` ends with; undefined if this is no Nero image. `size`: of the whole file. */
export function footerOf(tail: Uint8Array, size: number): Tail | undefined {
  const magicAt = (from: number) => (tail.length < from ? "" : Buffer.from(tail.subarray(tail.length - from)).toString("latin1", 0, 4));
  const version = magicAt(12) === magics.version2 ? 2 : magicAt(8) === magics.version1 ? 1 : undefined;
  if (!version) return undefined;
  const layout = version === 2 ? footer2 : footer1;
  try {
    const { position } = layout.decode(tail, tail.length - layout.size);
    return position > 0 && position + chunkHeader.size <= size - layout.size ? { version, position } : undefined;
  } catch (error) {
    // A position over 2^53.
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

interface Chunk {
  readonly id: string;
  /** Of its content. */
  readonly position: number;
  readonly content: Buffer;
}

/** Reads the sessions. Throws `CORRUPT` if the chunks do not end with their mark, or one does not hold what it should. */
export function readSessions(source: Source, { position }: Tail): readonly (readonly NrgTrack[])[] {
  const sessions: (readonly NrgTrack[])[] = [];
  let cue: Chunk | undefined;
  for (const chunk of chunksOf(source, position)) {
    switch (chunk.id) {
      case "CUES":
      case "CUEX":
        cue = chunk;
        break;
      case "DAOI":
      case "DAOX":
        sessions.push(daoSession(source, chunk, cue));
        cue = undefined;
        break;
      case "ETNF":
      case "ETN2":
        sessions.push(taoSession(source, chunk));
        break;
      case "TINF":
        throw new ImageError("UNSUPPORTED", 'its chunk "TINF" is of a version before 5.0, which is not read', {
          file: source.name,
          position: chunk.position,
        });
    }
  }
  const tracks = sessions.reduce((sum, { length }) => sum + length, 0);
  if (tracks > TRACK_LIMIT) throw corrupt(source, position, `there are ${tracks} tracks; ${TRACK_LIMIT} are the limit`);
  return sessions;
}

function* chunksOf(source: Source, start: number): Generator<Chunk> {
  let position = start;
  for (let count = 0; count < CHUNK_LIMIT; count += 1) {
    const header = readStruct(source, position, chunkHeader);
    const id = Buffer.from(header.id).toString("latin1");
    position += chunkHeader.size;
    if (id === "END!") return;
    if (position + header.length > source.size) {
      throw corrupt(source, position, `the chunk ${quote(id)} of ${header.length} bytes leaves the file`);
    }
    const read = /^(?:CUE[SX]|DAO[IX]|ETN[F2]|TINF)$/.test(id);
    if (read && header.length > CHUNK_SIZE_LIMIT) {
      throw corrupt(source, position, `the chunk ${quote(id)} has ${header.length} bytes; ${CHUNK_SIZE_LIMIT} are the limit`);
    }
    yield { id, position, content: read ? readBytes(source, position, header.length) : Buffer.alloc(0) };
    position += header.length;
  }
  throw corrupt(source, position, `there are more than ${CHUNK_LIMIT} chunks`);
}

/** The entries that a chunk holds from `from` on, with the position of each in the file. */
function entriesOf<T>(source: Source, { id, position, content }: Chunk, layout: Struct<T>, from = 0): readonly (T & { entry: number })[] {
  if (content.length < from || (content.length - from) % layout.size !== 0) {
    throw corrupt(source, position, `the chunk ${quote(id)} has ${content.length} bytes, which are no whole entries`);
  }
  return Array.from({ length: (content.length - from) / layout.size }, (_, index) => {
    const at = from + index * layout.size;
    return { ...layout.decode(content, at), entry: position + at };
  });
}

function taoSession(source: Source, chunk: Chunk): readonly NrgTrack[] {
  const entries = chunk.id === "ETN2" ? entriesOf(source, chunk, etn2) : entriesOf(source, chunk, etn1);
  return entries.map(({ start, length, mode, sector, entry }) => {
    return { index0: start, index1: start, end: start + length, mode, sector, atOnce: false, entry };
  });
}

function daoSession(source: Source, chunk: Chunk, cue: Chunk | undefined): readonly NrgTrack[] {
  const { firstTrack } = daoHeader.decode(chunk.content);
  const from = daoHeader.size;
  const entries = chunk.id === "DAOX" ? entriesOf(source, chunk, dao2, from) : entriesOf(source, chunk, dao1, from);
  const sectors = cue?.id === "CUEX" ? startsIn(source, cue) : new Map<number, number>();
  return entries.map((entry, index) => ({ ...entry, number: firstTrack + index, sector: sectors.get(firstTrack + index), atOnce: true }));
}

/** The sectors at index 1, by track. */
function startsIn(source: Source, cue: Chunk): ReadonlyMap<number, number> {
  const starts = entriesOf(source, cue, cueEntry).filter(({ index }) => index === 1);
  return new Map(starts.map(({ track, sector }) => [(track >>> 4) * 10 + (track & 15), sector | 0]));
}

function corrupt(source: Source, position: number, message: string): ImageError {
  return new ImageError("CORRUPT", message, { file: source.name, position });
}
