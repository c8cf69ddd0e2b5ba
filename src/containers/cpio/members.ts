import { readBytes, type Source } from "../../source/source.js";
import { createWindow } from "../../source/window.js";
import { sliceSource } from "../../source/slice.js";
import { ImageError } from "../../util/errors.js";
import { decodeText } from "../text.js";
import { type CpioHeader, decodeHeader, HEADER_LIMIT } from "./header.js";

/** One entry of an archive. */
export interface Member extends CpioHeader {
  readonly name: string;
  readonly source: Source;
  /** Of its header and of its data, in `source`. */
  readonly position: number;
  readonly data: number;
  /** Of the part it is in. */
  readonly segment: number;
}

/** An initramfs is several archives one behind the other; the last may be compressed. */
export interface Segment {
  readonly compressed: boolean;
  readonly entries: number;
  readonly bytes: number;
}

export interface Members {
  readonly members: readonly Member[];
  readonly segments: readonly Segment[];
  readonly notes: readonly string[];
}

const TRAILER = "TRAILER!!!";
/** Longer names are none that a path can have. */
const NAME_LIMIT = 64 * 1024;
const MEMBER_LIMIT = 4_000_000;
const SEGMENT_LIMIT = 15;
/** Headers of small members lie in it together. */
const WINDOW = 64 * 1024;

/** Everything in `disk`, and in what `unpack` makes of what is compressed in it. Damage ends it, with a note. */
export function readMembers(disk: Source, unpack: (source: Source, label: string) => Source | undefined): Members {
  const members: Member[] = [];
  const segments: Segment[] = [];
  const notes: string[] = [];
  walk(disk, false);
  return { members, segments, notes };

  function walk(source: Source, compressed: boolean): void {
    const read = createWindow(source, WINDOW);
    const at = (position: number) => read(position, Math.min(HEADER_LIMIT, source.size - position));
    let position = skipZeros(source, 0);
    while (position < source.size) {
      if (segments.length === SEGMENT_LIMIT) {
        notes.push(`It has more than ${SEGMENT_LIMIT} archives: those behind them are not shown.`);
        return;
      }
      if (!decodeHeader(at(position))) {
        inner(source, position, compressed);
        return;
      }
      const end = archive(source, position, at, compressed);
      if (end === undefined) return;
      position = skipZeros(source, end);
    }
  }

  /** Something else than an archive: a compressed one is followed by nothing else. */
  function inner(source: Source, position: number, compressed: boolean): void {
    const unpacked = compressed
      ? undefined
      : unpack(sliceSource({ ...source, close: () => undefined }, position, source.size - position), `at ${position}`);
    if (unpacked) walk(unpacked, true);
    else notes.push(`What stands at byte ${position} is neither an archive nor compressed in a way that is known: it is not shown.`);
  }

  /** Where what follows the archive at `start` begins; undefined if it is damaged. */
  function archive(source: Source, start: number, at: (position: number) => Buffer, compressed: boolean): number | undefined {
    const segment = segments.length;
    let entries = 0;
    let position = start;
    const done = () => segments.push({ compressed, entries, bytes: position - start });
    for (;;) {
      const header = position < source.size ? decodeHeader(at(position)) : undefined;
      const data = header && position + aligned(header.headerSize + header.nameSize, header.alignment);
      if (!header || data === undefined || header.nameSize === 0 || header.nameSize > NAME_LIMIT || data > source.size) {
        notes.push(`The archive is damaged or cut at byte ${position}: what follows is not shown.`);
        done();
        return undefined;
      }
      const name = decodeText(readBytes(source, position + header.headerSize, header.nameSize - 1));
      const next = data + aligned(header.size, header.alignment);
      if (name === TRAILER) {
        position = next;
        done();
        return position;
      }
      if (members.length >= MEMBER_LIMIT)
        throw new ImageError("UNSUPPORTED", `it has more than ${MEMBER_LIMIT} entries`, { file: source.name });
      members.push({ ...header, name, source, position, data, segment });
      if (data + header.size > source.size) notes.push(`The archive is cut inside ${name}.`);
      entries += 1;
      position = next;
    }
  }
}

function aligned(size: number, alignment: number): number {
  return Math.ceil(size / alignment) * alignment;
}

/** Archives are set apart by any number of zeros. */
function skipZeros(source: Source, start: number): number {
  for (let position = start; position < source.size; ) {
    const content = readBytes(source, position, Math.min(WINDOW, source.size - position));
    const found = content.findIndex((byte) => byte !== 0);
    if (found >= 0) return position + found;
    position += content.length;
  }
  return source.size;
}
