import { kinds, statuses } from "../../native/gzip.js";
import { ImageError } from "../../util/errors.js";
import type { Source } from "../source.js";
import type { IndexOptions } from "./driver.js";
import { gzipPoints } from "./gzip-points.js";
import { type GzipPlace, type GzipStream, gzipStream, requireAddon } from "./gzip-stream.js";
import { type KeptWindow, WINDOW_SIZE, windowKeeper } from "./gzip-window.js";

const MIB = 2 ** 20;

/** Decoded bytes between two points; twice as many, up to eight times, where a table would grow too large. */
export interface Spacing {
  readonly least: number;
  readonly most: number;
  /** What a table may take for so many decoded bytes, as long as there is a wider spacing. */
  allowed(size: number): number;
}

export const usualSpacing: Spacing = { least: MIB / 4, most: 8 * MIB, allowed: (size) => 4 * MIB + size * 0.007 };

/** Input for one point at most, as far as blocks end: there may be any number of them, and of members, without content. */
const INPUT_LIMIT = 16 * MIB;
/** A point inside a code needs a window that ends up to 257 bytes before it. */
const HISTORY_SIZE = WINDOW_SIZE + 258;
const NO_WINDOW: KeptWindow = { length: 0, data: undefined };
const BEGINNING: GzipPlace = { kind: kinds.member, bit: 0, header: 0, extra: 0, last: false };

/** Decodes all of `source` and checks it; the table of points. */
export function scanGzip(source: Source, options: IndexOptions, spacing: Spacing): Uint8Array {
  const addon = requireAddon(source);
  const stream = gzipStream(source);
  const points = gzipPoints();
  let keep: ReturnType<typeof windowKeeper> | undefined;
  let step = spacing.least;
  let buffer = new Uint8Array(HISTORY_SIZE + step);
  let size = 0;
  points.add(0, BEGINNING, NO_WINDOW);

  for (;;) {
    const limit = stream.position + INPUT_LIMIT;
    const status = stream.fill(buffer.subarray(HISTORY_SIZE), step * 0.75, () => {
      options.progress(stream.position);
      return stream.position < limit;
    });
    const { made } = stream;
    size += made;
    if (made > 0) points.check(addon.crc32(buffer.subarray(HISTORY_SIZE, HISTORY_SIZE + made)));
    if (status !== statuses.full && status !== statuses.ended && status !== statuses.between) {
      finish(source, stream, status, options);
      break;
    }
    const place = stream.mark();
    const window = buffer.subarray(0, HISTORY_SIZE + made - (place.kind === kinds.code ? place.extra : 0));
    const length = windowLengthAt(place);
    if (length > 0) keep ??= windowKeeper(source);
    points.add(size, place, keep && length > 0 ? keep(place, window.subarray(window.length - length)) : NO_WINDOW);
    buffer.copyWithin(0, made, made + HISTORY_SIZE);

    while (points.bytes > spacing.allowed(size) && step < spacing.most) {
      step *= 2;
      points.thin(step, addon.combineCrc32);
      const larger = new Uint8Array(HISTORY_SIZE + step);
      larger.set(buffer.subarray(0, HISTORY_SIZE));
      buffer = larger;
    }
  }
  return points.encode(source, size);
}

/** A member starts with nothing to refer to. */
function windowLengthAt({ kind, extra, written }: ReturnType<GzipStream["mark"]>): number {
  if (kind === kinds.member || kind === kinds.trailer) return 0;
  return Math.min(WINDOW_SIZE, written - (kind === kinds.code ? extra : 0));
}

/** Judges how a file ended. */
function finish(source: Source, stream: GzipStream, status: number, { degraded, damage }: IndexOptions): void {
  const error = status === statuses.damaged ? stream.fault() : truncation(source, stream, status);
  if (error && !degraded) throw error;
  if (error) {
    damage(`It is damaged: ${error.message} (at byte ${error.position ?? 0}). What comes behind that is missing.`);
    return;
  }
  const behind = stream.position - stream.mark().extra;
  const length = source.size - behind;
  if (length === 0) return;
  const what = length === 1 ? "The byte" : `The ${length} bytes`;
  const is = length === 1 ? "is" : "are";
  damage(`${what} behind its gzip data, from byte ${behind} on, ${is} no gzip and ${is} left out.`);
}

function truncation(source: Source, stream: GzipStream, status: number): ImageError | undefined {
  const { kind } = stream.mark();
  if (status === statuses.garbage || (kind === kinds.member && source.size >= 3)) return undefined;
  return new ImageError("TRUNCATED", "its gzip data ends early: the end of the file is missing", {
    file: source.name,
    position: source.size,
  });
}
