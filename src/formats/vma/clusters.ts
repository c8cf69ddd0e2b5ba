import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { checksum, type VmaDevice, type VmaHeader } from "./header.js";
import {
  BLOCK,
  BLOCK_INFOS_AT,
  blockInfo,
  CLUSTER,
  CLUSTERS_PER_EXTENT,
  EXTENT_MAGIC,
  extentHeader,
  limits,
  MAX_EXTENT,
} from "./layout.js";

/** Where the clusters of a device are. */
export interface Clusters {
  /**
   * For each cluster the 512-byte sector of its first stored block, times 65536, plus the mask of the blocks that are stored; 0 if no extent has the cluster.
   * Exact up to files of 64 TiB.
   */
  readonly places: Float64Array;
  readonly extents: number;
  /** What was damaged in the archive, in the order of the file. */
  readonly problems: readonly ImageError[];
}

export function maskOf(place: number): number {
  return place % 65536;
}

export function positionOf(place: number): number {
  return Math.floor(place / 65536) * 512;
}

/** Stored blocks of a mask. */
export function countOf(mask: number): number {
  let count = 0;
  for (let left = mask; left !== 0; left &= left - 1) count += 1;
  return count;
}

/** Reads the headers of all extents, 512 bytes for up to 3.7 MiB. */
export function readClusters(source: Source, { uuid, headerSize }: VmaHeader, { id, name, size }: VmaDevice): Clusters {
  const count = Math.ceil(size / CLUSTER);
  // A whole archive lists each cluster in 8 bytes at least.
  if (count * 8 > Math.max(source.size, limits.index)) {
    throw new ImageError(
      "TRUNCATED",
      `a file of ${source.size} bytes cannot hold even the list of the ${count} clusters of ${quote(name)}`,
      {
        file: source.name,
        position: 0,
      },
    );
  }
  const places = new Float64Array(count);
  const problems: ImageError[] = [];
  let extents = 0;
  for (let at = headerSize; at < source.size; ) {
    const extent = readExtent(source, at, uuid);
    if (extent instanceof ImageError) {
      problems.push(extent);
      const next = findExtent(source, at + 512, uuid);
      if (next === undefined) break;
      at = next;
      continue;
    }
    extents += 1;
    let position = at + extentHeader.size;
    for (let index = 0; index < CLUSTERS_PER_EXTENT; index += 1) {
      const { mask, deviceId, cluster } = blockInfo.decode(extent, BLOCK_INFOS_AT + index * blockInfo.size);
      if (deviceId === id && cluster < count) places[cluster] = (position / 512) * 65536 + mask;
      position += countOf(mask) * BLOCK;
    }
    at = position;
  }
  return { places, extents, problems };
}

/** The header of the extent at `at`, or why there is none. */
function readExtent(source: Source, at: number, uuid: Buffer): Buffer | ImageError {
  const fail = (code: "CORRUPT" | "TRUNCATED", message: string) => new ImageError(code, message, { file: source.name, position: at });
  if (at + extentHeader.size > source.size) return fail("TRUNCATED", `the file of ${source.size} bytes ends inside an extent`);
  const content = readBytes(source, at, extentHeader.size);
  const fields = extentHeader.decode(content);
  if (fields.magic !== EXTENT_MAGIC) return fail("CORRUPT", "there is no header of an extent");
  if (!checksum(content, 24).equals(fields.md5sum)) return fail("CORRUPT", "the checksum of an extent's header is wrong");
  if (!uuid.equals(fields.uuid)) return fail("CORRUPT", "the extent belongs to another archive");
  let stored = 0;
  for (let index = 0; index < CLUSTERS_PER_EXTENT; index += 1)
    stored += countOf(content.readUInt16BE(BLOCK_INFOS_AT + index * blockInfo.size));
  if (stored !== fields.blockCount) return fail("CORRUPT", `an extent is said to have ${fields.blockCount} blocks, and lists ${stored}`);
  return content;
}

/** Where the next extent seems to start, at most one extent behind `from`. */
function findExtent(source: Source, from: number, uuid: Buffer): number | undefined {
  const length = Math.min(MAX_EXTENT, source.size - from);
  if (length < extentHeader.size) return undefined;
  const content = readBytes(source, from, length);
  for (let found = content.indexOf(uuid); found >= 0; found = content.indexOf(uuid, found + 1)) {
    const at = found - 8;
    // Header and blocks are made of 512-byte sectors.
    if (at >= 0 && at % 512 === 0 && content.toString("latin1", at, at + 4) === EXTENT_MAGIC) return from + at;
  }
  return undefined;
}
