// All segments of an image, and what they say of the disk.
import { basename } from "node:path";
import { readBytes, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Opener } from "../driver.js";
import { limits, mediaTypes, OLD_VOLUME_SIZE, SET_IDENTIFIER, volume as volumeLayout } from "./layout.js";
import { segmentName } from "./names.js";
import { readSegment, type Section, type Segment } from "./segment.js";

export interface EwfImage {
  readonly segments: readonly Segment[];
  /** Bytes of the disk; undefined where the acquisition did not come to write it. */
  readonly size: number | undefined;
  readonly chunkSize: number;
  readonly sectorSize: number;
  readonly medium: string;
  /** Why the chunks behind the last table cannot be had; undefined if there is nothing behind it. */
  readonly lost: ImageError | undefined;
}

/** Opens what follows `source`, which is the first segment. Closes what it opened if it throws. */
export function openImage(source: Source, opener: Opener): EwfImage {
  const first = readSegment(source);
  if (first.number !== 1) {
    throw new ImageError("PART_MISSING", `it is segment ${first.number} of an image; the first one is needed`, {
      file: source.name,
      hint: "Name the first segment, which ends with 01, such as .E01; the others are found beside it.",
    });
  }
  const volume = volumeOf(first);
  const segments = [first];
  try {
    const lost = openOthers(source, opener, segments, volume.set);
    return { ...sizesOf(source, volume.fields, segments), segments, medium: mediaTypes[volume.fields.mediaType] ?? "unknown", lost };
  } catch (error) {
    for (const segment of segments.slice(1)) segment.source.close();
    throw error;
  }
}

/** Adds the segments that follow to `segments`. Gives why there are no more where one is missing. */
function openOthers(source: Source, opener: Opener, segments: Segment[], set: Uint8Array | undefined): ImageError | undefined {
  for (;;) {
    const last = segments.at(-1) as Segment;
    if (last.ending === "done") return undefined;
    if (last.ending instanceof ImageError) return last.ending;
    const number = segments.length + 1;
    const name = number > limits.segments ? undefined : segmentName(basename(source.name), number);
    if (name === undefined) {
      throw new ImageError(
        "PART_MISSING",
        `segment ${number} of the image follows, and cannot be found by the name ${quote(basename(source.name))}`,
        {
          file: source.name,
          hint: "Give the segments their usual names: .E01, .E02 and so on.",
        },
      );
    }
    let part: Source;
    try {
      part = opener.part(name);
    } catch (error) {
      if (!opener.degraded || !(error instanceof ImageError) || !error.code.startsWith("PART_")) throw error;
      return error;
    }
    try {
      const segment = readSegment(part);
      checkSegment(segment, number, set);
      segments.push(segment);
    } catch (error) {
      part.close();
      throw error;
    }
  }
}

/** Throws for a file of the right name that belongs to another image. */
function checkSegment(segment: Segment, number: number, set: Uint8Array | undefined): void {
  const fail = (message: string) => new ImageError("CORRUPT", message, { file: segment.source.name });
  if (segment.number !== number) throw fail(`it says that it is segment ${segment.number}, and should be segment ${number}`);
  const own = segment.sections.filter(({ type }) => type === "data").map((section) => identifierOf(segment.source, section));
  if (set && own.some((each) => each && Buffer.compare(each, set) !== 0))
    throw fail("it belongs to another image: its set identifier is another one");
}

/** The set identifier of a section that tells of the disk; undefined where there is none. */
function identifierOf(source: Source, { start, end }: Section): Uint8Array | undefined {
  if (end - start < SET_IDENTIFIER.end || start + SET_IDENTIFIER.end > source.size) return undefined;
  const identifier = readBytes(source, start + SET_IDENTIFIER.at, SET_IDENTIFIER.size);
  return identifier.every((byte) => byte === 0) ? undefined : identifier;
}

type VolumeFields = ReturnType<typeof volumeLayout.decode>;

function volumeOf({ source, sections, ending }: Segment): { readonly fields: VolumeFields; readonly set: Uint8Array | undefined } {
  const section = sections.find(({ type }) => type === "volume" || type === "disk") ?? sections.find(({ type }) => type === "data");
  if (!section || section.start + volumeLayout.size > source.size) {
    throw ending instanceof ImageError
      ? ending
      : new ImageError("CORRUPT", "it has no section that tells the size of the disk", { file: source.name });
  }
  return { fields: fieldsOf(source, section), set: identifierOf(source, section) };
}

function fieldsOf(source: Source, { start, end }: Section): VolumeFields {
  const fields = volumeLayout.decode(readBytes(source, start, volumeLayout.size));
  // The old form has 32 bits there.
  return end - start > OLD_VOLUME_SIZE ? fields : { ...fields, mediaType: 1, sectors: fields.sectors & 0xffff_ffffn };
}

function sizesOf(source: Source, fields: VolumeFields, segments: readonly Segment[]): Pick<EwfImage, "size" | "chunkSize" | "sectorSize"> {
  const { sectorsPerChunk, bytesPerSector } = fields;
  const fail = (code: ErrorCode, message: string) => new ImageError(code, message, { file: source.name });
  const chunkSize = sectorsPerChunk * bytesPerSector;
  if (bytesPerSector < 512 || bytesPerSector > 65536 || bytesPerSector % 4 !== 0) {
    throw fail("CORRUPT", `a sector is said to have ${bytesPerSector} bytes`);
  }
  if (chunkSize === 0 || chunkSize > limits.chunk)
    throw fail("CORRUPT", `a chunk is said to have ${chunkSize} bytes; ${limits.chunk} are the limit`);
  // Some programs do not come back to fill it in; the copy at the end has it then.
  const sectors = fields.sectors === 0n ? sectorsInCopy(segments) : fields.sectors;
  const size = Number(sectors) * bytesPerSector;
  if (!Number.isSafeInteger(size)) throw fail("CORRUPT", `the disk is said to have ${sectors} sectors, which is more than 2^53 bytes`);
  return { size: size === 0 ? undefined : size, chunkSize, sectorSize: bytesPerSector };
}

function sectorsInCopy(segments: readonly Segment[]): bigint {
  for (const { source, sections } of segments.toReversed()) {
    const section = sections.findLast(({ type }) => type === "data");
    if (section && section.start + volumeLayout.size <= source.size) return fieldsOf(source, section).sectors;
  }
  return 0n;
}
