import { hasStreams, type NativeStream, openStream, type StreamFailure, type StreamStart } from "../../native/streams.js";
import { ImageError } from "../../util/errors.js";
import { formatSize } from "../../util/size.js";
import { readBytes, type Source } from "../source.js";
import type { UnitDecoder } from "./unpacked.js";

/** Part of a file that the addon decodes. Positions are of `source`. */
export interface StreamPlace {
  readonly source: Source;
  readonly start: number;
  readonly end: number;
  /** As the field calls what is there, such as `xz block`, for messages. */
  readonly what: string;
  /** The decoder for what stands at `position`; it takes the bytes from `data` on. */
  begin(position: number): { readonly stream: StreamStart; readonly data: number };
  /** What comes where a stream ends before `end`: another one, or more for the same decoder. Absent: nothing, that is the end. */
  readonly next?: "another" | "more";
  /** Where the user finds the damage, if `source` is not the file itself. */
  readonly shownAt?: number;
}

/** How much memory a decoder may take: dictionaries of up to 256 MiB, and what else belongs to it. */
export const MEMORY_LIMIT = 260 * 2 ** 20;
/** zstd itself refuses larger windows than 2^27 bytes, unless it is told otherwise. */
export const WINDOW_LOG_LIMIT = 27;
const INPUT_SIZE = 256 * 1024;

/** Throws `UNSUPPORTED` where the addon is missing. `format` as the field calls it. */
export function requireStreams(name: string, format: string): void {
  if (hasStreams) return;
  throw new ImageError("UNSUPPORTED", `it is compressed with ${format}, which needs the native addon`, {
    file: name,
    hint: "Build the addon with scripts/setup.",
  });
}

/** A decoder of one place. */
export interface StreamedUnit extends UnitDecoder {
  /** Where in the file it is. */
  readonly position: number;
  /** Decoded bytes so far, also those of a read that failed. */
  readonly produced: number;
  /** Sets up the decoder, which reading does by itself. Throws what cannot be decoded at all. */
  prepare(): void;
}

/** Decodes the place from its start on. */
export function streamedUnit(place: StreamPlace): StreamedUnit {
  const { source, end, what } = place;
  const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(INPUT_SIZE, end - place.start)));
  let stream: NativeStream | undefined;
  let input = buffer.subarray(0, 0);
  /** Of the first byte of `input`. */
  let position = place.start;
  let produced = 0;
  let ended = false;
  let late: ImageError | undefined;

  const fail = (failure: StreamFailure): ImageError => errorOf(failure, what, { file: source.name, position: place.shownAt ?? position });

  function refill(): void {
    input = buffer.subarray(0, Math.min(buffer.length, end - position));
    source.read(input, position);
  }

  function begin(): NativeStream {
    const { stream: start, data } = place.begin(position);
    const opened = openStream(start);
    if (typeof opened === "string") throw fail(opened);
    input = input.subarray(Math.min(input.length, data - position));
    position = data;
    return opened;
  }

  /** One step of the decoder; the bytes that it wrote. */
  function step(target: Uint8Array): number {
    if (late) throw late;
    stream ??= begin();
    if (input.length === 0 && position < end) refill();
    const state = stream.step(input, target);
    const { taken, written } = stream;
    input = input.subarray(taken);
    position += taken;
    produced += written;
    if (state === "ended") {
      ended = position >= end || place.next === undefined;
      if (place.next !== "more") {
        stream.close();
        stream = undefined;
      }
    } else if (state !== "goes on") {
      // What was decoded is good as far as it goes: the check behind it is the next thing that is read.
      if (written === target.length && written > 0) late = fail(state);
      else throw fail(state);
    } else if (taken === 0 && written === 0 && (input.length > 0 || position >= end)) {
      throw position >= end
        ? new ImageError("CORRUPT", `the ${what} ends early`, { file: source.name, position: place.shownAt ?? position })
        : fail("damaged");
    }
    return written;
  }

  return {
    get position() {
      return position;
    },
    get produced() {
      return produced;
    },
    prepare() {
      stream ??= begin();
    },
    get memory() {
      return buffer.length + (stream?.memory ?? 0);
    },
    read(target) {
      let done = 0;
      while (done < target.length && !ended) done += step(target.subarray(done));
      return done;
    },
    close: () => stream?.close(),
  };
}

function errorOf(failure: StreamFailure, what: string, place: { readonly file: string; readonly position: number }): ImageError {
  switch (failure) {
    case "damaged":
      return new ImageError("CORRUPT", `the ${what} is damaged: it does not decode, or fails its check`, place);
    case "unknown":
      return new ImageError("UNSUPPORTED", `the ${what} uses a filter or an option that is not known here`, place);
    case "too large":
      return new ImageError("UNSUPPORTED", `the ${what} needs more than ${formatSize(MEMORY_LIMIT)} of memory to be decoded`, place);
    case "no memory":
      return new ImageError("UNREADABLE", `there is not enough memory to decode the ${what}`, place);
  }
}

/** How many bytes `decoder` gives up to its end, or up to where it fails; it is closed. `progress` is told of every few MiB that were read. */
export function countDecoded(
  decoder: StreamedUnit,
  progress: (done: number) => void,
): { readonly size: number; readonly end: number; readonly error?: ImageError } {
  const target = new Uint8Array(2 ** 20);
  try {
    for (let count = target.length; count === target.length; ) {
      count = decoder.read(target);
      progress(decoder.position);
    }
    return { size: decoder.produced, end: decoder.position };
  } catch (error) {
    if (!(error instanceof ImageError) || (error.code !== "CORRUPT" && error.code !== "UNSUPPORTED")) throw error;
    return { size: decoder.produced, end: decoder.position, error };
  } finally {
    decoder.close();
  }
}

/** A repeated match of 273 bytes takes a third of a bit at least: that is 7000 to one. */
const LZMA_RATIO = 2 ** 14;

/** Refuses a size that `packed` bytes of LZMA cannot decode to: it would be shown as the size of the file. */
export function checkLzmaSize(
  packed: number,
  decoded: number,
  what: string,
  place: { readonly file: string; readonly position: number },
): void {
  if (decoded <= packed * LZMA_RATIO) return;
  throw new ImageError("CORRUPT", `the ${what} of ${packed} bytes cannot decode to ${decoded} bytes`, place);
}

/** Whether every byte of `source` from `position` to `end` is zero: padding to whole blocks, which means nothing. */
export function zerosUpTo(source: Source, position: number, end: number): boolean {
  const size = 2 ** 20;
  for (let at = position; at < end; at += size) {
    if (readBytes(source, at, Math.min(size, end - at)).some((byte) => byte !== 0)) return false;
  }
  return true;
}
