import type { BlockCache } from "../disk/cache.js";
import { type Located, locate, readDisk } from "../disk/read.js";
import type { Piece } from "../disk/volumes/volume.js";
import type { Layer, Track } from "../formats/driver.js";
import { memorySource } from "../source/memory.js";
import { checkRange, type Source } from "../source/source.js";
import type { FlatFile } from "./node.js";

/** Extents counted before `allocated` gives an estimate instead: a few milliseconds' worth. */
const COUNT_LIMIT = 4096;

/** The flat disk of an image. `stored`: bytes that its files take, the estimate for disks with very many extents. */
export function diskFile(layer: Layer, cache: BlockCache, stored: number): FlatFile {
  const file: FlatFile = {
    size: layer.size,
    read: (target, offset) => readDisk(layer, target, offset, cache),
    locate: (offset, length) => locate(layer, offset, length),
    allocated: once(() => countAllocated(file) ?? Math.min(layer.size, stored)),
  };
  return file;
}

/** The flat disk as what a container is opened on. Closing it closes nothing. */
export function diskSource(layer: Layer, cache: BlockCache): Source {
  const source: Source = {
    name: layer.name,
    size: layer.size,
    read(target, position) {
      checkRange(source, target.length, position);
      readDisk(layer, target, position, cache);
    },
    close: () => undefined,
  };
  return source;
}

/** A file that an image holds beside its disk. */
export function trackFile(track: Track, cache: BlockCache): FlatFile {
  return {
    size: track.size,
    read: (target, offset) => readDisk(track, target, offset, cache),
    locate: (offset, length) => locate(track, offset, length),
    allocated: () => track.size,
  };
}

/** `size` bytes of another file from `start` on; they lie in it. */
export function windowFile(whole: FlatFile, start: number, size: number): FlatFile {
  const file: FlatFile = {
    size,
    read: (target, offset) => whole.read(target, start + offset),
    locate: (offset, length) => whole.locate(start + offset, length),
    allocated: once(() => countAllocated(file) ?? Math.min(size, whole.allocated())),
  };
  return file;
}

/** A file that lies in pieces of another one: they follow each other without a gap, and lie in it. `size` in bytes, of all of them. */
export function piecesFile(whole: FlatFile, size: number, pieces: readonly Piece[]): FlatFile {
  /** The piece that holds `offset`: the last that begins at or before it. */
  const pieceAt = (offset: number): Piece => {
    let low = 0;
    let high = pieces.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((pieces[middle]?.offset ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return pieces[low] as Piece;
  };
  const file: FlatFile = {
    size,
    read(target, offset) {
      for (let done = 0; done < target.length; ) {
        const piece = pieceAt(offset + done);
        const within = offset + done - piece.offset;
        const length = Math.min(target.length - done, piece.size - within);
        whole.read(target.subarray(done, done + length), piece.start + within);
        done += length;
      }
    },
    locate(offset, length) {
      const piece = pieceAt(offset);
      const within = offset - piece.offset;
      return whole.locate(piece.start + within, Math.min(length, piece.size - within));
    },
    allocated: once(() => countAllocated(file) ?? Math.min(size, whole.allocated())),
  };
  return file;
}

/** Bytes in memory, such as info.json. */
export function memoryFile(name: string, content: Uint8Array): FlatFile {
  const source = memorySource(name, content);
  return {
    size: content.length,
    read: (target, offset) => source.read(target, offset),
    locate: (offset, length) => ({ extent: { kind: "data", length, source, position: offset }, depth: 0 }),
    allocated: () => content.length,
  };
}

/** Whether nothing is stored for the extent: it reads as zeros. */
export function isHole({ extent }: Located): boolean {
  return extent.kind === "zero" || extent.kind === "parent";
}

/** Bytes that are not holes; undefined if there are too many extents to count. */
function countAllocated(file: FlatFile): number | undefined {
  let bytes = 0;
  let offset = 0;
  for (let count = 0; offset < file.size; count += 1) {
    if (count === COUNT_LIMIT) return undefined;
    const located = file.locate(offset, file.size - offset);
    if (!isHole(located)) bytes += located.extent.length;
    offset += located.extent.length;
  }
  return bytes;
}

function once(count: () => number): () => number {
  let known: number | undefined;
  return () => (known ??= count());
}
