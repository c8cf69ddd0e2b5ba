import { endianness } from "node:os";
import type { Located } from "../disk/read.js";
import type { Source } from "../source/source.js";
import type { FlatFile } from "../tree/node.js";
import { BLOCK_BITS, CHUNK_BITS_LIMIT, CHUNK_ENTRY, HOLE } from "./layout.js";
import { NotIndexable, type Run, runsOf, storedOf } from "./runs.js";

/** How a file is cut: powers of two, in bytes. */
export interface Shape {
  readonly blockBits: number;
  readonly chunkBits: number;
}

/** Numbers the files that hold the bytes, from 1 on. */
export type Devices = (fd: number) => number;

/** Takes what is made, in order. */
export type Sink = (bytes: Uint8Array) => void;

/** A block number is 32 bits wide, the last one means a hole. */
const ADDRESS_LIMIT = HOLE - 1;
/** More chunks are 256 MiB of index. */
const CHUNKS_LIMIT = 2 ** 25;
/** A chunk of 1 GiB: larger ones would not make anything smaller. */
const CHUNK_BITS = { most: 30, sample: 1024 } as const;
/** Entries that are collected before they are written. */
const BUFFERED = 2 ** 16;
/** Runs after which others get their turn. */
const TURN = 2048;

const bigEndian = endianness() === "BE";

/** The shape that the first runs of a file allow, with blocks no larger than `blockBits`. The rest may need a finer one. */
export function firstShape(file: FlatFile, blockBits: number = BLOCK_BITS.most): Shape {
  let shape: Shape = { blockBits, chunkBits: Math.min(CHUNK_BITS.most, Math.max(blockBits, Math.ceil(Math.log2(Math.max(1, file.size))))) };
  let count = 0;
  for (const run of runsOf(file)) {
    if (count === CHUNK_BITS.sample) break;
    count += 1;
    shape = fit(shape, run);
  }
  return shape;
}

/** The shape that also allows `run`. Throws `NotIndexable` if there is none. */
function fit({ blockBits, chunkBits }: Shape, { start, length, stored }: Run): Shape {
  let bits = Math.min(blockBits, alignment(start), stored ? alignment(stored.position) : blockBits);
  // The kernel reads whole blocks, and an error is what it makes of one that its file ends in.
  while (stored && bits >= BLOCK_BITS.least && Math.ceil((stored.position + length) / 2 ** bits) * 2 ** bits > stored.size) bits -= 1;
  if (bits < BLOCK_BITS.least) throw new NotIndexable("its parts do not lie at multiples of 512 bytes");
  return { blockBits: bits, chunkBits: Math.min(chunkBits, alignment(start), bits + CHUNK_BITS_LIMIT) };
}

/** The largest power of two that divides `value`, as an exponent. */
function alignment(value: number): number {
  if (value === 0) return 52;
  let bits = 0;
  let rest = value;
  while (rest % 65536 === 0) {
    bits += 16;
    rest /= 65536;
  }
  const low = rest % 65536;
  return bits + (31 - Math.clz32(low & -low));
}

/**
 * Writes the entries of a file's chunks to `sink`. Returns undefined, or a finer shape where this one does not do: then what was written is to be forgotten.
 * Yields now and then, so that others get their turn. Written out, without an object for each run: a disk may have some ten million of them.
 */
export function* writeChunks(file: FlatFile, shape: Shape, devices: Devices, sink: Sink): Generator<void, Shape | undefined> {
  const blockSize = 2 ** shape.blockBits;
  const chunkSize = 2 ** shape.chunkBits;
  const chunks = Math.ceil(file.size / chunkSize);
  if (chunks > CHUNKS_LIMIT) throw new NotIndexable(`it would need ${chunks} entries`);
  const entries = createEntries(sink, Math.min(BUFFERED, chunks));
  /** Where the next chunk starts. */
  let chunk = 0;
  /** What stores the run that was met last, and what the bytes behind it would have to be for it to go on. */
  let source: Source | undefined;
  let device = 0;
  let base = 0;
  /** Whole blocks that the file of `source` has, in bytes. */
  let blocksEnd = 0;
  let next = NOWHERE;
  let turn = 0;
  for (let offset = 0; offset < file.size; ) {
    const located = file.locate(offset, file.size - offset);
    const { extent } = located;
    const end = offset + extent.length;
    let position = HOLE_POSITION;
    if (extent.kind === "data") {
      if (extent.source !== source) {
        ({ source } = extent);
        // What goes on at the same place of another file does not go on.
        next = NOWHERE;
        const stored = storedOf(located) as NonNullable<Run["stored"]>;
        base = stored.position - extent.position;
        device = devices(stored.fd);
        blocksEnd = Math.floor(stored.size / blockSize) * blockSize;
      }
      position = base + extent.position;
      if (position !== next && (offset % chunkSize !== 0 || position % blockSize !== 0)) return finer(shape, offset, located);
      if (position + extent.length > blocksEnd) {
        const fitting = finer(shape, offset, located);
        if (fitting.blockBits !== shape.blockBits) return fitting;
      }
      if ((position + extent.length) / blockSize > ADDRESS_LIMIT) throw new NotIndexable("its file is too large for blocks of that size");
      next = position + extent.length;
    } else {
      storedOf(located);
      if (next !== HOLE_POSITION && offset % chunkSize !== 0) return finer(shape, offset, located);
      next = HOLE_POSITION;
    }
    for (; chunk < end; chunk += chunkSize) {
      if (position === HOLE_POSITION) entries.put(0, HOLE);
      else entries.put(device, (position + chunk - offset) / blockSize);
      if (entries.full()) {
        entries.flush();
        yield;
      }
    }
    offset = end;
    turn += 1;
    if (turn % TURN === 0) yield;
  }
  entries.flush();
  return undefined;
}

/** Of what is stored nowhere. */
const HOLE_POSITION = -2;
/** Where no run ends. */
const NOWHERE = -1;

/** The shape that also allows what starts at `start`. */
function finer(shape: Shape, start: number, located: Located): Shape {
  return fit(shape, { start, length: located.extent.length, stored: storedOf(located) });
}

/** Collects entries, and writes them when there are `count`. */
function createEntries(sink: Sink, count: number) {
  const words = new Uint32Array(2 * count);
  const bytes = Buffer.from(words.buffer);
  let filled = 0;
  return {
    /** The device's number stands above 16 bits that are not used. */
    put(device: number, block: number): void {
      words[filled] = device * 65536;
      words[filled + 1] = block;
      filled += 2;
    },
    full: () => filled === words.length,
    flush(): void {
      if (bigEndian) bytes.subarray(0, 4 * filled).swap32();
      sink(bytes.subarray(0, 4 * filled));
      filled = 0;
    },
  };
}

/** Bytes of the entries of a file's chunks. */
export function chunksSize(size: number, { chunkBits }: Shape): number {
  return Math.ceil(size / 2 ** chunkBits) * CHUNK_ENTRY;
}
