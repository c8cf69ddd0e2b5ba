import { packedDriverOf } from "../../source/packed/registry.js";
import { sliceSource } from "../../source/slice.js";
import { readBytes, type Source } from "../../source/source.js";
import { createWindow } from "../../source/window.js";
import { ImageError } from "../../util/errors.js";
import { explain } from "../../util/explain.js";
import { quote } from "../../util/text.js";
import { decodeText } from "../../util/decode-text.js";
import { type CpioFormat, type CpioHeader, decodeHeader, HEADER_LIMIT } from "./header.js";

/** One entry of an archive. */
export interface Member extends CpioHeader {
  readonly name: string;
  /** Where its data is. */
  readonly source: Source;
  readonly position: number;
}

/** An initramfs is archives one behind the other; the last may be compressed, and be several again. */
export interface Segment {
  readonly format: CpioFormat;
  /** How it is compressed, as the field calls it. */
  readonly packing: string | undefined;
  readonly entries: number;
}

/** Whoever looks at the archives, one entry after the other. */
export interface Visitor {
  /** What `source` unpacks to if it is compressed. Closes `source` with it. */
  unpack(source: Source, label: string): Source | undefined;
  /** A new archive begins: inodes of the one before mean nothing in it. */
  begin(): void;
  add(member: Member): void;
  /** What is unusual: a sentence. */
  note(sentence: string): void;
  /** What cannot be shown since something is wrong: a sentence. */
  damage(sentence: string): void;
}

const TRAILER = "TRAILER!!!";
/** Longer names are none that a path can have. */
const NAME_LIMIT = 64 * 1024;
const MEMBER_LIMIT = 4_000_000;
const SEGMENT_LIMIT = 65_536;
/** Headers of small members lie in it together. */
const WINDOW = 64 * 1024;
/** Zeros between archives, in bytes. */
const PADDING_LIMIT = 64 * 2 ** 20;
const SIGNATURE_SIZE = 64;

/** Goes through everything in `disk`, and in what is compressed in it. Damage ends it. Throws `UNSUPPORTED` for more than can be. */
export function walkArchives(disk: Source, visitor: Visitor): readonly Segment[] {
  const segments: Segment[] = [];
  let members = 0;
  walk(disk, undefined);
  return segments;

  function walk(source: Source, packing: string | undefined): void {
    const read = createWindow(source, WINDOW);
    const headerAt = (position: number) =>
      position < source.size ? decodeHeader(read(position, Math.min(HEADER_LIMIT, source.size - position))) : undefined;
    for (let position: number | undefined = 0; position !== undefined; ) {
      position = skipZeros(source, position);
      if (position === undefined) {
        visitor.damage(`More than ${PADDING_LIMIT} zeros stand between its archives: what may follow them is not looked for.`);
        return;
      }
      if (position >= source.size) return;
      if (!headerAt(position)) {
        inner(source, position, packing);
        return;
      }
      if (segments.length === SEGMENT_LIMIT) {
        throw new ImageError("UNSUPPORTED", `it has more than ${SEGMENT_LIMIT} archives`, { file: disk.name });
      }
      position = archive(source, position, { packing, read, headerAt });
    }
  }

  /** Something else than an archive: one that is compressed, which is followed by nothing else. */
  function inner(source: Source, position: number, outer: string | undefined): void {
    const rest = { ...sliceSource(source, position, source.size - position), close: () => undefined };
    const packing = outer === undefined ? packedDriverOf(readBytes(rest, 0, Math.min(SIGNATURE_SIZE, rest.size)))?.name : undefined;
    if (packing === undefined) {
      visitor.damage(`What stands at byte ${position} is neither an archive nor compressed in a way that is known: it is not shown.`);
      return;
    }
    let unpacked: Source | undefined;
    try {
      unpacked = visitor.unpack(rest, `at ${position}`);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      visitor.damage(`What is compressed with ${packing} at byte ${position} cannot be unpacked: ${explain(error)}.`);
      return;
    }
    if (unpacked) walk(unpacked, packing);
    else visitor.damage(`What is compressed with ${packing} at byte ${position} cannot be unpacked: it is not shown.`);
  }

  /** Where what follows the archive at `start` begins; undefined if it is damaged. */
  function archive(
    source: Source,
    start: number,
    {
      packing,
      read,
      headerAt,
    }: {
      readonly packing: string | undefined;
      readonly read: (position: number, length: number) => Buffer;
      readonly headerAt: (position: number) => CpioHeader | undefined;
    },
  ): number | undefined {
    const format = headerAt(start)?.format ?? "newc";
    let entries = 0;
    let isCut = false;
    let position = start;
    visitor.begin();
    // The end mark may be missing: then zeros, another archive or the end of the file follow the last entry.
    for (let header = headerAt(start); header; header = headerAt(position)) {
      const data: number = position + aligned(header.headerSize + header.nameSize, header.alignment);
      if (header.nameSize === 0 || header.nameSize > NAME_LIMIT || data > source.size) {
        visitor.damage(`The archive is damaged or cut at byte ${position}: what follows is not shown.`);
        segments.push({ format, packing, entries });
        return undefined;
      }
      const name = nameIn(read(position + header.headerSize, header.nameSize));
      position = data + aligned(header.size, header.alignment);
      if (name === TRAILER) {
        segments.push({ format, packing, entries });
        return position;
      }
      members += 1;
      if (members > MEMBER_LIMIT) throw new ImageError("UNSUPPORTED", `it has more than ${MEMBER_LIMIT} entries`, { file: disk.name });
      isCut = data + header.size > source.size;
      if (isCut) visitor.damage(`The archive is cut inside ${quote(name)}.`);
      visitor.add({ ...header, name, source, position: data });
      entries += 1;
    }
    segments.push({ format, packing, entries });
    if (!isCut) visitor.note(`The archive that ends at byte ${position} has no end mark: it may be cut.`);
    return position;
  }
}

/** Up to its NUL: some programs write several, so that the data begins where they want it. */
function nameIn(content: Buffer): string {
  const end = content.indexOf(0);
  return decodeText(end < 0 ? content : content.subarray(0, end));
}

function aligned(size: number, alignment: number): number {
  return Math.ceil(size / alignment) * alignment;
}

const zeros = Buffer.alloc(WINDOW);

/** Archives are set apart by any number of zeros: where they end; undefined if there are more than can be. */
function skipZeros(source: Source, start: number): number | undefined {
  for (let position = start; position < source.size; ) {
    if (position - start > PADDING_LIMIT) return undefined;
    // Mostly there are none, or few.
    const content = readBytes(source, position, Math.min(position === start ? 512 : WINDOW, source.size - position));
    if (!content.equals(zeros.subarray(0, content.length))) return position + content.findIndex((byte) => byte !== 0);
    position += content.length;
  }
  return Math.max(start, source.size);
}
