import { type GzipBinding, statuses } from "../../native/gzip.js";
import { inflateRaw } from "../../native/unpack.js";
import { ImageError } from "../../util/errors.js";
import type { Source } from "../source.js";
import { chunkedSource } from "./chunks.js";
import type { PackedDriver } from "./driver.js";
import { FORMAT, pointOf, startOf, WIDTH } from "./gzip-points.js";
import { scanGzip, usualSpacing } from "./gzip-scan.js";
import { type GzipStream, gzipStream, requireAddon } from "./gzip-stream.js";
import { WINDOW_SIZE } from "./gzip-window.js";
import { openPoints, type PointTable } from "./points.js";

/** Decoded bytes that are kept for each open file. */
const CACHE_SIZE = 24 * 2 ** 20;
/** A code and what may stand before it in its byte: what a chunk needs of the bytes behind the next point. */
const OVERLAP = 16;

/**
 * RFC 1952. One or more members one behind the other, as gzip, pigz and bgzip write them. What follows the last one and is no member is left out, as gzip does;
 * zeros between members are passed over.
 */
export const gzip: PackedDriver = {
  name: "gzip",
  // Not .tgz: what is left without it would not be the name of the archive.
  extensions: [".gz", ".gzip"],
  // Signature, method 8, and the three flags that must be zero (2.3.1).
  probe: (head) => head.length >= 4 && head[0] === 0x1f && head[1] === 0x8b && head[2] === 8 && ((head[3] ?? 0) & 0xe0) === 0,
  index: (source, options) => scanGzip(source, options, usualSpacing),
  open(source, index) {
    const addon = requireAddon(source);
    const table = openPoints(source, index, FORMAT, WIDTH);
    if (!table) return undefined;
    return chunkedSource({
      name: source.name,
      size: table.size,
      count: table.count,
      start: (at) => startOf(table, at),
      decode: chunkDecoder(source, table, addon),
      limit: CACHE_SIZE,
      modified: source.modified,
      close: () => source.close(),
    });
  },
};

/** Decodes what is between two points, and checks that it is what it was when the points were found. */
function chunkDecoder(source: Source, table: PointTable, { crc32 }: GzipBinding): (index: number, target: Uint8Array) => void {
  let stream: GzipStream | undefined;
  const room = new Uint8Array(WINDOW_SIZE);
  return (index, target) => {
    stream ??= gzipStream(source);
    const { place, windowLength, checksum } = pointOf(table, index);
    const position = Math.floor(place.bit / 8);
    const window = room.subarray(0, windowLength).fill(0);
    const kept = table.data(index);
    if (kept.length > 0 && !inflateRaw(kept, window)) {
      throw new ImageError("CORRUPT", "its table of restart points is damaged", { file: source.name, position });
    }
    const end = index + 1 < table.count ? Math.ceil(pointOf(table, index + 1).place.bit / 8) + OVERLAP : source.size;
    stream.restart(place, window, Math.min(end, source.size));
    const status = stream.fill(target);
    if (status === statuses.damaged) throw stream.fault();
    if (status !== statuses.full || crc32(target) !== checksum) {
      throw new ImageError("CORRUPT", "its gzip data does not decode to what it was before", { file: source.name, position });
    }
  };
}
