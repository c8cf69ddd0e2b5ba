import type { Layer } from "../formats/driver.js";
import { ImageError, systemCode } from "../util/errors.js";
import { createBlockCache } from "./cache.js";
import { type Candidate, type DiskDifference, differenceOf } from "./difference.js";
import { type Located, readDisk } from "./read.js";

/** What is compared in one go, and kept in memory of each disk. */
const CHUNK = 2 ** 20;
const SECTOR = 512;
/** Memory for decoded blocks, of each disk. */
const CACHE_LIMIT = 8 * 2 ** 20;

/** The sectors of a candidate that differ. What cannot be read is a difference with the reason, as far as it is stored in one piece. */
export function createComparer(before: Layer, after: Layer): (candidate: Candidate) => Generator<DiskDifference> {
  const readers = [createReader(before), createReader(after)] as const;
  return function* (candidate) {
    const { start, length } = candidate;
    if (!isReadable(candidate.before) || !isReadable(candidate.after)) {
      yield differenceOf(candidate, start, length);
      return;
    }
    const end = start + length;
    for (let from = start; from < end; ) {
      // Up to a multiple: sectors are those of the disk.
      const to = Math.min(end, (Math.floor(from / CHUNK) + 1) * CHUNK);
      try {
        const one = readers[0](candidate.before, from, to - from);
        const other = readers[1](candidate.after, from, to - from);
        if (!one.equals(other)) yield* sectors(candidate, from, one, other);
      } catch (error) {
        if (!(error instanceof ImageError) && systemCode(error) !== "EIO") throw error;
        yield differenceOf(candidate, from, to - from, error as Error);
      }
      from = to;
    }
  };
}

function isReadable(located: Located | undefined): boolean {
  return located !== undefined && located.extent.kind !== "damaged";
}

/** Reads into memory of its own, which is good until the next read. */
function createReader(layer: Layer): (located: Located | undefined, offset: number, length: number) => Buffer {
  const cache = createBlockCache(CACHE_LIMIT);
  const zeros = Buffer.alloc(CHUNK);
  let target = Buffer.alloc(0);
  return (located, offset, length) => {
    if (located?.extent.kind === "zero" || located?.extent.kind === "parent") return zeros.subarray(0, length);
    if (target.length === 0) target = Buffer.allocUnsafeSlow(CHUNK);
    const part = target.subarray(0, length);
    readDisk(layer, part, offset, cache);
    return part;
  };
}

/** The runs of sectors that differ in two pieces of the disk from `start` on. */
function* sectors(candidate: Candidate, start: number, one: Buffer, other: Buffer): Generator<DiskDifference> {
  let from: number | undefined;
  for (let at = 0; at < one.length; ) {
    const next = Math.min(one.length, at + SECTOR - ((start + at) % SECTOR));
    const differs = one.compare(other, at, next, at, next) !== 0;
    if (differs) from ??= at;
    else if (from !== undefined) {
      yield differenceOf(candidate, start + from, at - from);
      from = undefined;
    }
    at = next;
  }
  if (from !== undefined) yield differenceOf(candidate, start + from, one.length - from);
}
