import { ImageError } from "../../util/errors.js";
import { formatSize } from "../../util/size.js";
import type { Source } from "../source.js";
import { chunkedSource } from "./chunks.js";
import type { Units } from "./units.js";

/** The decoded bytes of a file. */
export interface Unpacked extends Source {
  /** What a user should know of it, one sentence. */
  readonly note?: string;
}

/** Decodes one unit, from its start on. */
export interface UnitDecoder {
  /** Fills `target`, or as much of it as there is: fewer bytes only behind the last one, whose checks are then done. Throws `CORRUPT` at damage. */
  read(target: Uint8Array): number;
  /** Bytes of memory that it takes, about. */
  readonly memory: number;
  close(): void;
}

/** How the units of a format are decoded. */
export interface UnitFormat {
  /** As the field calls a unit, such as `xz block`. */
  readonly unit: string;
  /** What makes smaller units of it, as a sentence. */
  readonly advice?: string;
  open(unit: number): UnitDecoder;
}

/** Units of up to this many decoded bytes are decoded to their end, and checked, before any byte of them is shown. */
const WHOLE_LIMIT = 32 * 2 ** 20;
/** What larger ones are decoded in. */
const PIECE_SIZE = 2 ** 20;
/** Decoded bytes that are kept. */
const KEPT_LIMIT = 2 * WHOLE_LIMIT;
/** Pieces that were passed on the way to the one wanted: readers ahead are often answered before those behind. */
const PASSED_LIMIT = 16;
/** Decoders that wait inside of large units, for readers that take turns: their number, and the memory of all but one. */
const WAITING_LIMIT = 4;
const WAITING_MEMORY = 256 * 2 ** 20;

interface Waiting {
  readonly unit: number;
  readonly decoder: UnitDecoder;
  /** The piece that it decodes next. */
  next: number;
}

/** The decoded bytes of `packed` by its units. Closing it closes `packed`. */
export function unpackedSource(packed: Source, units: Units, format: UnitFormat): Unpacked {
  const pieces = createPieces(units);
  const streams = createStreams(packed.name, units, format);
  const decodeWhole = (unit: number, target: Uint8Array): void => {
    const decoder = format.open(unit);
    try {
      fill(decoder, target, mismatch(packed.name, units, format, unit));
      if (!isCut(units, unit)) finish(decoder, mismatch(packed.name, units, format, unit));
    } finally {
      decoder.close();
    }
  };
  const source = chunkedSource({
    name: packed.name,
    size: units.size,
    count: pieces.count,
    start: pieces.start,
    locate: pieces.locate,
    limit: KEPT_LIMIT,
    modified: packed.modified,
    decode(index, target) {
      const unit = pieces.unitOf(index);
      if (sizeOf(units, unit) <= WHOLE_LIMIT) decodeWhole(unit, target);
      else streams.decode(unit, index - pieces.first(unit), target);
    },
    close() {
      streams.close();
      packed.close();
    },
  });
  const note = noteOf(units, format);
  return note === undefined ? source : { ...source, note };
}

function sizeOf(units: Units, unit: number): number {
  return units.offset(unit + 1) - units.offset(unit);
}

function isCut(units: Units, unit: number): boolean {
  return units.cut && unit === units.count - 1;
}

function mismatch(name: string, units: Units, { unit: what }: UnitFormat, unit: number): () => ImageError {
  return () =>
    new ImageError("CORRUPT", `the ${what} does not decode to the ${sizeOf(units, unit)} bytes that the file says`, {
      file: name,
      position: units.start(unit),
    });
}

function fill(decoder: UnitDecoder, target: Uint8Array, wrong: () => ImageError): void {
  if (decoder.read(target) !== target.length) throw wrong();
}

function finish(decoder: UnitDecoder, wrong: () => ImageError): void {
  if (decoder.read(new Uint8Array(1)) !== 0) throw wrong();
}

/** Small units are one piece, large ones have many. */
function createPieces(units: Units) {
  const firsts = new Float64Array(units.count + 1);
  for (let unit = 0; unit < units.count; unit += 1) {
    const size = sizeOf(units, unit);
    firsts[unit + 1] = firsts[unit]! + (size <= WHOLE_LIMIT ? 1 : Math.ceil(size / PIECE_SIZE));
  }
  /** The last unit for which `before` holds. */
  const last = (before: (unit: number) => boolean): number => {
    let low = 0;
    let high = units.count - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (before(middle)) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const count = firsts[units.count]!;
  const unitOf = (piece: number) => last((unit) => firsts[unit]! <= piece);
  return {
    count,
    unitOf,
    first: (unit: number) => firsts[unit]!,
    start(piece: number) {
      if (piece >= count) return units.size;
      const unit = unitOf(piece);
      return units.offset(unit) + (piece - firsts[unit]!) * PIECE_SIZE;
    },
    locate(position: number) {
      const unit = last((each) => units.offset(each) <= position);
      return firsts[unit]! + (sizeOf(units, unit) <= WHOLE_LIMIT ? 0 : Math.floor((position - units.offset(unit)) / PIECE_SIZE));
    },
  };
}

/** Large units: there is no way into the middle of one but from its start, or from where a decoder waits. */
function createStreams(name: string, units: Units, format: UnitFormat) {
  /** Used last stands last. */
  const waiting: Waiting[] = [];
  const passed = new Map<string, Uint8Array>();
  /** From which piece on a unit cannot be read. */
  const damaged = new Map<number, { readonly piece: number; readonly error: ImageError }>();

  function take(unit: number, piece: number): Waiting {
    const fitting = waiting.filter((each) => each.unit === unit && each.next <= piece);
    const nearest = fitting.reduce<Waiting | undefined>((best, each) => (best && best.next >= each.next ? best : each), undefined);
    if (!nearest) return { unit, decoder: format.open(unit), next: 0 };
    waiting.splice(waiting.indexOf(nearest), 1);
    return nearest;
  }

  function park(decoder: Waiting): void {
    waiting.push(decoder);
    const memory = () => waiting.reduce((sum, each) => sum + each.decoder.memory, 0);
    while (waiting.length > WAITING_LIMIT || (waiting.length > 1 && memory() > WAITING_MEMORY)) waiting.shift()?.decoder.close();
  }

  /** Decodes the next piece of `current` into `target`; the last one is checked. */
  function advance(current: Waiting, target: Uint8Array): void {
    const { unit, decoder } = current;
    const wrong = mismatch(name, units, format, unit);
    fill(decoder, target, wrong);
    current.next += 1;
    if (current.next * PIECE_SIZE < sizeOf(units, unit) || isCut(units, unit)) return;
    try {
      finish(decoder, wrong);
    } catch (error) {
      // Which byte is wrong cannot be known: all of them may be.
      current.next = 0;
      throw error;
    }
  }

  function keep(unit: number, piece: number, content: Uint8Array): void {
    passed.set(`${unit}:${piece}`, content);
    for (const key of passed.keys()) {
      if (passed.size <= PASSED_LIMIT) return;
      passed.delete(key);
    }
  }

  function remember(current: Waiting, error: unknown): void {
    if (!(error instanceof ImageError) || (error.code !== "CORRUPT" && error.code !== "UNSUPPORTED")) return;
    damaged.set(current.unit, { piece: current.next, error });
    passed.clear();
  }

  return {
    /** Fills `target` with piece `piece` of the unit. */
    decode(unit: number, piece: number, target: Uint8Array): void {
      const known = passed.get(`${unit}:${piece}`);
      if (known) {
        target.set(known);
        passed.delete(`${unit}:${piece}`);
        return;
      }
      const failure = damaged.get(unit);
      if (failure && piece >= failure.piece) throw failure.error;
      const current = take(unit, piece);
      const scratch = new Uint8Array(current.next + PASSED_LIMIT < piece ? PIECE_SIZE : 0);
      try {
        while (current.next < piece) {
          const skipped = current.next + PASSED_LIMIT < piece ? scratch : new Uint8Array(PIECE_SIZE);
          advance(current, skipped);
          if (skipped !== scratch) keep(unit, current.next - 1, skipped);
        }
        advance(current, target);
      } catch (error) {
        current.decoder.close();
        remember(current, error);
        throw error;
      }
      if (current.next * PIECE_SIZE >= sizeOf(units, unit)) current.decoder.close();
      else park(current);
    },
    close() {
      for (const { decoder } of waiting.splice(0)) decoder.close();
      passed.clear();
    },
  };
}

function noteOf(units: Units, { unit: what, advice }: UnitFormat): string | undefined {
  let largest = 0;
  for (let unit = 0; unit < units.count; unit += 1) largest = Math.max(largest, sizeOf(units, unit));
  if (largest <= WHOLE_LIMIT) return undefined;
  const article = /^[aeiou]|^x|^l[zZ]/.test(what) ? "an" : "a";
  const size = units.count === 1 ? `It is one ${what}` : `It has ${article} ${what} of ${formatSize(largest)}`;
  return `${size}: reading backwards there starts from its beginning.${advice === undefined ? "" : ` ${advice}`}`;
}
