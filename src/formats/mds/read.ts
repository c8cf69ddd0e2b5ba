import { concatSource } from "../../source/concat.js";
import { readBytes, readStruct, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import type { DiscTrack } from "../cd/disc.js";
import { kinds, RAW, type SectorLayout, USER } from "../cd/sectors.js";
import { type Parts, siblings, TRACK_LIMIT } from "../cd/sheet.js";
import {
  extraBlock,
  fileBlock,
  FIRST_DVD,
  header as headerLayout,
  MAGIC,
  modes,
  SUBCHANNEL,
  sessionBlock,
  subchannels,
  trackBlock,
} from "./layout.js";

type Header = ReturnType<typeof headerLayout.decode>;
type TrackBlock = ReturnType<typeof trackBlock.decode>;
type SessionBlock = ReturnType<typeof sessionBlock.decode>;

const FILE_LIMIT = 64;
/** Bytes of a name. */
const NAME_LIMIT = 1024;

export function isMds(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, 16)).toString("latin1") === MAGIC;
}

/** Refuses what is encrypted: version 2, which Alcohol 120 % and DAEMON Tools write. */
export function readHeader(source: Source): Header {
  const found = readStruct(source, 0, headerLayout);
  if (!isMds(found.signature)) throw new ImageError("WRONG_FORMAT", "it is no media descriptor", { file: source.name });
  if (found.major === 2) {
    throw new ImageError("UNSUPPORTED", "it is a media descriptor of version 2 (MDX, or MDS of newer programs), which is encrypted", {
      file: source.name,
      hint: "DAEMON Tools and Alcohol 120 % can convert it to version 1, or to ISO.",
    });
  }
  if (found.major !== 1) {
    throw new ImageError("UNSUPPORTED", `the version ${found.major}.${found.minor} of media descriptors is not known`, {
      file: source.name,
    });
  }
  if (found.sessions === 0 || found.sessions > TRACK_LIMIT) throw corrupt(source, 20, `it has ${found.sessions} sessions`);
  return found;
}

export function readTracks(source: Source, { medium, sessions, sessionsPosition }: Header, parts: Parts): readonly DiscTrack[] {
  const tracks: DiscTrack[] = [];
  for (let index = 0; index < sessions; index += 1) {
    const at = sessionsPosition + index * sessionBlock.size;
    const session = readStruct(source, at, sessionBlock);
    for (let block = 0; block < session.blocks; block += 1) {
      const position = session.tracksPosition + block * trackBlock.size;
      const track = readStruct(source, position, trackBlock);
      if (track.point >= 1 && track.point <= TRACK_LIMIT)
        tracks.push(trackFrom(source, track, position, medium, session, index + 1, parts));
    }
  }
  return tracks.toSorted((a, b) => a.start - b.start);
}

function trackFrom(
  source: Source,
  track: TrackBlock,
  position: number,
  medium: number,
  session: SessionBlock,
  sessionNumber: number,
  parts: Parts,
): DiscTrack {
  const { point, mode, subchannel, sectorSize, startSector, startPosition } = track;
  if (subchannel !== subchannels.none && subchannel !== subchannels.interleaved) {
    throw new ImageError("UNSUPPORTED", `track ${point} has subchannels of an unknown kind (${hex(subchannel)})`, {
      file: source.name,
      position,
    });
  }
  const main = sectorSize - (subchannel === subchannels.interleaved ? SUBCHANNEL : 0);
  const file = fileOf(source, track, position, parts);
  // Negative ones are those before sector 0.
  const start = startSector | 0;
  if (start < 0) throw corrupt(source, position + 36, `track ${point} begins at sector ${start}`);
  const { length, pregap } = lengthOf(source, track, medium, session, file, sectorSize);
  const place = { number: point, session: sessionNumber, start };
  if ((mode & 7) === modes.audio) {
    if (main !== RAW) throw corrupt(source, position + 16, `track ${point} is audio with sectors of ${sectorSize} bytes`);
    // A pregap is stored nowhere; the two seconds before sector 0 are no sound of any track.
    const silence = pregap > 0 && start >= pregap ? [{ size: pregap * RAW }] : [];
    const stored = { source: file, position: startPosition, stride: sectorSize, bigEndian: false };
    return { ...place, kind: "audio", pregap: silence, content: [{ size: length * RAW, stored }] };
  }
  const layout = { kind: kindOf(source, track, main, position), stride: sectorSize };
  return { ...place, kind: "data", content: [{ count: length, stored: { source: file, position: startPosition, layout } }] };
}

/** DVDs have the length where CDs have a block with the pregap and the length. */
function lengthOf(
  source: Source,
  { extraPosition, point }: TrackBlock,
  medium: number,
  session: SessionBlock,
  file: Source,
  sectorSize: number,
): { readonly length: number; readonly pregap: number } {
  if (medium < FIRST_DVD) {
    if (extraPosition === 0) throw corrupt(source, extraPosition, `track ${point} has no length`);
    return readStruct(source, extraPosition, extraBlock);
  }
  const told = extraPosition || Math.max(0, (session.end | 0) - (session.start | 0));
  return { length: told || Math.floor(file.size / sectorSize), pregap: 0 };
}

function kindOf(source: Source, { mode, point }: TrackBlock, main: number, position: number): SectorLayout["kind"] {
  if (main === USER) return "user";
  const kind = (["raw", "subheader", "short subheader", "form 2"] as const).find((each) => kinds[each].main === main);
  const known = Object.values(modes).includes((mode & 7) as 1);
  if (kind && known) return kind;
  throw new ImageError("UNSUPPORTED", `track ${point} has sectors of ${main} bytes in mode ${hex(mode)}, which is not known`, {
    file: source.name,
    position,
  });
}

/** The file of a track, or several that are one. */
function fileOf(source: Source, { files, filesPosition, point }: TrackBlock, position: number, parts: Parts): Source {
  if (files > FILE_LIMIT) throw corrupt(source, position + 48, `track ${point} is said to be in ${files} files`);
  if (files === 0 || filesPosition === 0) return parts.open(siblings(source.name, [".mdf"]));
  const opened = Array.from({ length: files }, (_, index) => {
    const at = filesPosition + index * fileBlock.size;
    const { namePosition, wide } = readStruct(source, at, fileBlock);
    return parts.open(namesOf(source, readName(source, namePosition, wide !== 0)));
  });
  const [only] = opened;
  return opened.length === 1 && only ? only : concatSource(only?.name ?? source.name, opened);
}

/** `*.mdf` stands for the descriptor's own name. */
function namesOf(source: Source, name: string): readonly string[] {
  const extension = /\.[^.\\/]{1,5}$/.exec(name)?.[0] ?? ".mdf";
  const own = siblings(source.name, [extension]);
  return name === "" || name.startsWith("*") ? own : [name, ...own];
}

function readName(source: Source, position: number, wide: boolean): string {
  const content = readBytes(source, Math.min(position, source.size), Math.max(0, Math.min(NAME_LIMIT, source.size - position)));
  const text = content.toString(wide ? "utf16le" : "latin1", 0, wide ? content.length & ~1 : content.length);
  const end = text.indexOf("\0");
  if (end < 0) throw corrupt(source, position, "the name of a data file does not end");
  return text.slice(0, end);
}

function corrupt(source: Source, position: number, message: string): ImageError {
  return new ImageError("CORRUPT", message, { file: source.name, position });
}
