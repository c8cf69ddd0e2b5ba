// How tests read an image: through the same two calls that every command uses.
import { createBlockCache } from "../../src/disk/cache.js";
import { type OpenedDisk, openDisk } from "../../src/disk/open.js";
import { readDisk } from "../../src/disk/read.js";
import type { Layer } from "../../src/formats/driver.js";
import { ImageError } from "../../src/util/errors.js";

export type ReadOptions = NonNullable<Parameters<typeof openDisk>[1]>;

/** Opens `path`, calls `use`, closes again whatever happens. */
export function withDisk<T>(path: string, options: ReadOptions, use: (layer: Layer) => T): T {
  const disk: OpenedDisk = openDisk(path, options);
  try {
    return use(disk.layer);
  } finally {
    disk.close();
  }
}

/** Sizes that are multiples of nothing, so that reads begin and end everywhere. */
const pieces = [4099, 65_537, 511, 1_000_003, 1, 262_147];

/** The whole disk, read in pieces of odd sizes. What a reader leaves untouched shows as 0xEE. */
export function flatOf(path: string, options: ReadOptions = {}): Buffer {
  return withDisk(path, options, (layer) => {
    const disk = Buffer.alloc(layer.size, 0xee);
    const cache = createBlockCache(2 ** 22);
    let at = 0;
    for (let piece = 0; at < disk.length; piece += 1) {
      const target = disk.subarray(at, at + (pieces[piece % pieces.length] ?? 1));
      readDisk(layer, target, at, cache);
      at += target.length;
    }
    return disk;
  });
}

/** One range of an opened disk. */
export function readRange(layer: Layer, offset: number, length: number): Buffer {
  const target = Buffer.alloc(length, 0xee);
  readDisk(layer, target, offset, createBlockCache(2 ** 22));
  return target;
}

/** What `action` throws; undefined if it ends well. Anything but an `ImageError` is a crash, and passed on. */
export function imageErrorOf(action: () => unknown): ImageError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
}

/** The refusal of a disk that must not be read. */
export function refusalOf(path: string, options: ReadOptions = {}): ImageError {
  const error = imageErrorOf(() => flatOf(path, options));
  if (!error) throw new Error(`${path} was read, and should have been refused`);
  return error;
}

/** Where two disks differ first, as words; undefined if they are the same. Fast on large ones. */
export function difference(found: Uint8Array, expected: Uint8Array): string | undefined {
  if (Buffer.compare(found, expected) === 0) return undefined;
  const shorter = Math.min(found.length, expected.length);
  let at = 0;
  while (at < shorter && found[at] === expected[at]) at += 1;
  const show = (bytes: Uint8Array) => Buffer.from(bytes.subarray(at, at + 8)).toString("hex");
  return `first difference at byte ${at}: found ${show(found)} of ${found.length} bytes, expected ${show(expected)} of ${expected.length} bytes`;
}
