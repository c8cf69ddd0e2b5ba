// ECMA-167, 2/8.3 (volume recognition sequence) and 3/8.4.2 with UDF 2.2.3 (anchors): what a UDF disk is known by.
import { readBytes, type Source } from "../../source/source.js";
import { anchor, type SectorExtent, tags } from "./layout.js";
import { tagOf } from "./tag.js";

/** Bytes of a sector, those of discs and of hard disks first. The specification knows no list; these are what mkudffs writes. */
const sectorSizes = [2048, 512, 4096, 1024, 8192, 16_384, 32_768];

/** Sectors where the recognition sequence may go on. */
const RECOGNITION_LIMIT = 64;
const RECOGNITION_START = 32_768;

/** Bytes at the end of a disk that are searched for an anchor: images are often cut or padded by a few hundred sectors. */
const TAIL = 4 * 2 ** 20;

const ANCHOR = 512;

export interface Anchor {
  readonly sectorSize: number;
  /** Bytes of the disc that are not in the image, in front of it. */
  readonly missing: number;
  readonly main: SectorExtent;
  readonly reserve: SectorExtent;
}

/** Whether the recognition sequence that stands behind the first 32 KiB names ECMA-167. Its descriptors have 2048 bytes, or a sector if that is more. */
export function hasRecognition(disk: Source, start = 0): boolean {
  return sectorSizes.some((size) => size >= 2048 && namesNsr(disk, start + RECOGNITION_START, size));
}

function namesNsr(disk: Source, start: number, step: number): boolean {
  for (let index = 0; index < RECOGNITION_LIMIT; index += 1) {
    const position = start + index * step;
    if (position + 7 > disk.size) return false;
    const id = readBytes(disk, position, 7).toString("latin1", 1, 6);
    if (id === "NSR02" || id === "NSR03") return true;
    if (!/^(?:BEA01|BOOT2|CD001|CDW02|TEA01)$/.test(id)) return false;
  }
  return false;
}

/** Anchors where they belong, that say themselves that they belong there. `starts`: where sessions begin, in bytes. */
export function* anchorsInPlace(disk: Source, starts: readonly number[]): Generator<Anchor> {
  for (const sectorSize of sectorSizes) {
    for (const position of placesOf(disk, sectorSize, starts)) {
      const found = anchorAt(disk, position);
      if (found && found.location * sectorSize === position) yield { sectorSize, missing: 0, main: found.main, reserve: found.reserve };
    }
  }
}

/** Anchors that say they are elsewhere: of images that were moved, cut at the front, or padded at the end. More expensive. */
export function* anchorsElsewhere(disk: Source, starts: readonly number[]): Generator<Anchor> {
  for (const sectorSize of sectorSizes) {
    for (const position of placesOf(disk, sectorSize, starts)) {
      const found = anchorAt(disk, position);
      if (!found || found.location * sectorSize === position) continue;
      const { main, reserve, location } = found;
      yield { sectorSize, missing: 0, main, reserve };
      yield { sectorSize, missing: location * sectorSize - position, main, reserve };
    }
  }
  yield* anchorsInTail(disk);
}

/** From the end on: the last is the one that was written last. */
function* anchorsInTail(disk: Source): Generator<Anchor> {
  const first = Math.max(0, Math.ceil((disk.size - TAIL) / ANCHOR)) * ANCHOR;
  if (disk.size - first < ANCHOR) return;
  const tail = readBytes(disk, first, disk.size - first);
  for (let at = Math.floor(tail.length / ANCHOR - 1) * ANCHOR; at >= 0; at -= ANCHOR) {
    if (tagOf(tail, at) !== tags.anchor) continue;
    const { main, reserve, location } = anchor.decode(tail, at);
    for (const sectorSize of sectorSizes) {
      if (location * sectorSize === first + at) yield { sectorSize, missing: 0, main, reserve };
    }
  }
}

/** 256 sectors behind the start, or behind the end, or the last one; 512 on discs that are not closed yet. */
function placesOf(disk: Source, sectorSize: number, starts: readonly number[]): readonly number[] {
  const sectors = Math.floor(disk.size / sectorSize);
  const places = [...starts.toReversed().map((start) => start / sectorSize + 256), sectors - 257, sectors - 1, 512];
  return [...new Set(places)].filter((sector) => Number.isInteger(sector) && sector > 16).map((sector) => sector * sectorSize);
}

function anchorAt(disk: Source, position: number): ReturnType<typeof anchor.decode> | undefined {
  if (position + ANCHOR > disk.size) return undefined;
  const content = readBytes(disk, position, ANCHOR);
  return tagOf(content) === tags.anchor ? anchor.decode(content) : undefined;
}
