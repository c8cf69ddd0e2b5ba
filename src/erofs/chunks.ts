import { endianness } from "node:os";
import type { FlatFile } from "../tree/node.js";
import { BLOCK_BITS, CHUNK_BITS_LIMIT, CHUNK_ENTRY, HOLE } from "./layout.js";
import { NotIndexable, type Run, runsOf } from "./runs.js";

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
 * Yields now and then, so that others get their turn.
 */
export function* writeChunks(file: FlatFile, shape: Shape, devices: Devices, sink: Sink): Generator<void, Shape | undefined> {
  const { blockBits, chunkBits } = shape;
  const chunkSize = 2 ** chunkBits;
  const chunks = Math.ceil(file.size / chunkSize);
  if (chunks > CHUNKS_LIMIT) throw new NotIndexable(`it would need ${chunks} entries`);
  const chunkBlocks = 2 ** (chunkBits - blockBits);
  const words = new Uint32Array(2 * BUFFERED);
  const bytes = Buffer.from(words.buffer);
  let filled = 0;
  let written = 0;
  const flush = () => {
    if (bigEndian) bytes.subarray(0, 4 * filled).swap32();
    sink(bytes.subarray(0, 4 * filled));
    filled = 0;
  };
  let turn = 0;
  for (const run of runsOf(file)) {
    const finer = fit(shape, run);
    if (finer.blockBits !== blockBits || finer.chunkBits !== chunkBits) return finer;
    const until = Math.ceil((run.start + run.length) / chunkSize);
    const device = run.stored ? devices(run.stored.fd) * 65536 : 0;
    let block = run.stored ? run.stored.position / 2 ** blockBits + (written * chunkSize - run.start) / 2 ** blockBits : HOLE;
    const step = run.stored ? chunkBlocks : 0;
    if (run.stored && block + (until - written) * chunkBlocks > ADDRESS_LIMIT)
      throw new NotIndexable("its file is too large for blocks of that size");
    for (; written < until; written += 1) {
      words[filled] = device;
      words[filled + 1] = block;
      filled += 2;
      block += step;
      if (filled === words.length) {
        flush();
        yield;
      }
    }
    turn += 1;
    if (turn % TURN === 0) yield;
  }
  flush();
  return undefined;
}

/** Bytes of the entries of a file's chunks. */
export function chunksSize(size: number, { chunkBits }: Shape): number {
  return Math.ceil(size / 2 ** chunkBits) * CHUNK_ENTRY;
}
