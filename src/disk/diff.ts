import type { Extent, Layer } from "../formats/driver.js";
import type { Source } from "../source/source.js";
import { createComparer } from "./diff-bytes.js";
import { type Candidate, type DiskDifference, differenceOf } from "./difference.js";
import { type Located, locate } from "./read.js";

export interface DiffOptions {
  /** Reads what is stored in two places, and leaves out what is the same in both, in sectors of 512 bytes. */
  readonly compare?: boolean;
  /** What tells files that were opened twice from others, by descriptor. */
  readonly identities?: ReadonlyMap<number, string>;
  /** Told how far it is, now and then; bytes of the disk. */
  readonly progress?: (done: number) => void;
}

/** Runs between two words about the progress. */
const STEP = 4096;

/**
 * Where two states of a disk differ, in order; ranges that touch and are of one kind are one. Every byte that differs lies in one of them, and without `compare`
 * also others may: by the tables, two places that hold the same bytes are two places. What reads as zeros is the same however that is stored. What one of the
 * disks is too short for differs. Nothing grows with the number of ranges.
 */
export function* diffDisks(before: Layer, after: Layer, options: DiffOptions = {}): Generator<DiskDifference> {
  const found = options.compare ? createComparer(before, after) : told;
  let last: DiskDifference | undefined;
  for (const candidate of candidates(before, after, options)) {
    for (const next of found(candidate)) {
      if (last && continues(last, next)) {
        last = { ...last, length: last.length + next.length };
        continue;
      }
      if (last) yield last;
      last = next;
    }
  }
  if (last) yield last;
}

function continues(last: DiskDifference, next: DiskDifference): boolean {
  return (
    last.start + last.length === next.start &&
    last.before === next.before &&
    last.after === next.after &&
    last.error?.message === next.error?.message
  );
}

function told(candidate: Candidate): readonly DiskDifference[] {
  return [differenceOf(candidate, candidate.start, candidate.length)];
}

function* candidates(before: Layer, after: Layer, { identities, progress }: DiffOptions): Generator<Candidate> {
  const size = Math.max(before.size, after.size);
  const shared = sharedBy(before, after);
  const place = placesBy(identities);
  const [one, other] = [createCursor(before, shared), createCursor(after, shared)];
  let offset = 0;
  for (let count = 1; offset < size; count += 1) {
    if (count % STEP === 0) progress?.(offset);
    const [from, to] = [one.at(offset), other.at(offset)];
    const end = Math.min(from?.end ?? size, to?.end ?? size);
    // Both in the same image, at the same place: whatever that has there.
    if (from?.stop && to?.stop && from.stop === to.stop && from.at + (offset - from.start) === to.at + (offset - to.start)) {
      offset = end;
      continue;
    }
    const [first, second] = [one.locate(offset, end - offset), other.locate(offset, end - offset)];
    const length = Math.min(end - offset, first?.extent.length ?? size, second?.extent.length ?? size);
    if (!first || !second || !isSame(first.extent, second.extent, place)) yield { start: offset, length, before: first, after: second };
    offset += length;
  }
}

/** A run of a disk that ends in one image of its chain. */
interface Piece {
  readonly start: number;
  readonly end: number;
  /** The image that both chains have, from `at` of which on it is; not looked into. */
  readonly stop: Layer | undefined;
  readonly at: number;
  /** Where there is no such image. */
  readonly extent: Extent | undefined;
  readonly depth: number;
}

interface Cursor {
  /** The piece that `offset` is in; undefined behind the end. */
  at(offset: number): Piece | undefined;
  /** Where the bytes from `offset` on are, at most `length` of them; `offset` is in the piece that `at` told last. */
  locate(offset: number, length: number): Located | undefined;
}

/** Goes through a disk once, asking for each run once however short those of the other disk are. */
function createCursor(layer: Layer, shared: ReadonlySet<Layer>): Cursor {
  let piece: Piece | undefined;
  return {
    at(offset) {
      if (offset >= layer.size) return undefined;
      if (!piece || offset >= piece.end) piece = pieceAt(layer, offset, shared);
      return piece;
    },
    locate(offset, length) {
      if (!piece || offset >= layer.size) return undefined;
      const skip = offset - piece.start;
      if (piece.stop) {
        const { extent, depth } = locate(piece.stop, piece.at + skip, length);
        return { extent, depth: depth + piece.depth };
      }
      return piece.extent && { extent: partOf(piece.extent, skip, length), depth: piece.depth };
    },
  };
}

/** As `locate`, stopping at the first image that both have. */
function pieceAt(layer: Layer, offset: number, shared: ReadonlySet<Layer>): Piece {
  let current = layer;
  let at = offset;
  let left = layer.size - offset;
  for (let depth = 0; ; depth += 1) {
    if (shared.has(current)) return { start: offset, end: offset + left, stop: current, at, extent: undefined, depth };
    const extent = current.map(at, left);
    if (extent.kind !== "parent" || !current.parent || extent.offset >= current.parent.size) {
      return { start: offset, end: offset + extent.length, stop: undefined, at, extent, depth };
    }
    at = extent.offset;
    left = Math.min(extent.length, current.parent.size - at);
    current = current.parent;
  }
}

function partOf(extent: Extent, skip: number, length: number): Extent {
  const rest = Math.min(extent.length - skip, length);
  switch (extent.kind) {
    case "data":
      return { ...extent, length: rest, position: extent.position + skip };
    case "packed":
      return { ...extent, length: rest, skip: extent.skip + skip };
    case "parent":
      return { ...extent, length: rest, offset: extent.offset + skip };
    case "zero":
    case "damaged":
      return { ...extent, length: rest };
  }
}

function sharedBy(before: Layer, after: Layer): ReadonlySet<Layer> {
  const chain = new Set(chainOf(before));
  return new Set(chainOf(after).filter((layer) => chain.has(layer)));
}

/** The image, then what it is a difference to, down to the last. */
export function chainOf(layer: Layer): readonly Layer[] {
  const chain = [layer];
  for (let next = layer.parent; next; next = next.parent) chain.push(next);
  return chain;
}

/** Whether two places in two sources are the same place. */
type SamePlace = (one: Source, position: number, other: Source, otherPosition: number) => boolean;

/** Files that were opened twice are known by their identities. */
function placesBy(identities: ReadonlyMap<number, string> = new Map()): SamePlace {
  return (one, position, other, otherPosition) => {
    if (one === other) return position === otherPosition;
    const [file, otherFile] = [one.file, other.file];
    if (!file || !otherFile || file.offset + position !== otherFile.offset + otherPosition) return false;
    if (file.fd === otherFile.fd) return true;
    const identity = identities.get(file.fd);
    return identity !== undefined && identity === identities.get(otherFile.fd);
  };
}

/** Whether both read the same for certain. What is damaged is never known to. */
function isSame(from: Extent, to: Extent, place: SamePlace): boolean {
  switch (from.kind) {
    case "zero":
    case "parent":
      return to.kind === "zero" || to.kind === "parent";
    case "data":
      return to.kind === "data" && place(from.source, from.position, to.source, to.position);
    case "packed":
      // In two images the same bytes may be decoded in two ways: there each has a source of its own.
      return (
        to.kind === "packed" && from.block.source === to.block.source && from.block.position === to.block.position && from.skip === to.skip
      );
    case "damaged":
      return false;
  }
}
