import { readSync, writeSync } from "node:fs";
import { copyRange } from "../native/copying.js";
import { isHole } from "../tree/flat.js";
import type { FlatFile } from "../tree/node.js";
import { ImageError, systemCode } from "../util/errors.js";
import type { Lost } from "./plan.js";

/** The target differs from what was copied. */
export class Difference extends Error {
  readonly position: number;

  constructor(position: number) {
    super(`it differs at byte ${position}`);
    this.position = position;
  }
}

/** Reads and writes of the size that the page cache serves best. */
const PIECE = 2 ** 20;
/** What is zeros as a whole is left a hole. */
const BLOCK = 4096;

/** Copies ranges of `file` to the same place in the file `target`. `dense`: zeros are written as well. What cannot be read is told to `lose`, which may throw. */
export function createCopier(file: FlatFile, target: number, dense: boolean, lose: (lost: Lost) => void) {
  const buffer = Buffer.allocUnsafeSlow(PIECE);
  /** Files from which the kernel does not copy to this one. */
  const strange = new Set<number>();

  /** As much of a plain run as the kernel copies, in bytes. */
  function copyPlain(fd: number, from: number, at: number, length: number): number {
    let done = 0;
    while (done < length && !strange.has(fd)) {
      const copied = copyInKernel(fd, from + done, target, at + done, length - done);
      if (copied < 0) strange.add(fd);
      // At the source's end, or where it is bad: reading tells what it is.
      if (copied <= 0) break;
      done += copied;
    }
    return done;
  }

  /** Reads a piece and writes what is not zeros. */
  function copyPiece(at: number, length: number): void {
    const piece = buffer.subarray(0, length);
    if (failureOf(() => file.read(piece, at))) copyAround(at, length);
    else writeData(target, piece, at, dense);
  }

  /** The same in the smallest steps, so that no more is lost than has to be. */
  function copyAround(at: number, length: number): void {
    for (let done = 0; done < length; ) {
      const start = at + done;
      const { extent } = file.locate(start, length - done);
      // What is packed is decoded as a whole, or not at all.
      const step = extent.kind === "data" ? Math.min(BLOCK - (start % BLOCK), extent.length) : extent.length;
      const block = buffer.subarray(0, step);
      const error = failureOf(() => file.read(block, start));
      if (error) giveUp(start, step, error);
      else writeData(target, block, start, dense);
      done += step;
    }
  }

  function giveUp(start: number, length: number, error: Error): void {
    lose({ start, length, error });
    // What a device holds there must not stay.
    if (dense) writeZeros(target, start, length);
  }

  return (start: number, length: number): void => {
    const end = start + length;
    for (let at = start; at < end; ) {
      const located = file.locate(at, end - at);
      const { extent } = located;
      if (isHole(located)) {
        if (dense) writeZeros(target, at, extent.length);
        at += extent.length;
      } else if (extent.kind === "damaged") {
        giveUp(at, extent.length, extent.error);
        at += extent.length;
      } else {
        const plain = extent.kind === "data" ? extent.source.file : undefined;
        const until = plain ? at + extent.length : end;
        if (plain && extent.kind === "data") at += copyPlain(plain.fd, plain.offset + extent.position, at, extent.length);
        if (at === until) continue;
        const size = Math.min(PIECE - (at % PIECE), until - at);
        copyPiece(at, size);
        at += size;
      }
    }
  };
}

/** Compares ranges of `file` with the same ones in the file `target`; throws a `Difference` at the first byte that is another. */
export function createComparer(file: FlatFile, target: number) {
  const expected = Buffer.allocUnsafeSlow(PIECE);
  const found = Buffer.allocUnsafeSlow(PIECE);
  return (start: number, length: number): void => {
    for (let at = start; at < start + length; at += PIECE) {
      const size = Math.min(PIECE, start + length - at);
      file.read(expected.subarray(0, size), at);
      for (let done = 0; done < size; ) {
        const count = readSync(target, found, done, size - done, at + done);
        if (count === 0) throw new Difference(at + done);
        done += count;
      }
      if (expected.compare(found, 0, size, 0, size) === 0) continue;
      throw new Difference(at + expected.subarray(0, size).findIndex((byte, index) => byte !== found[index]));
    }
  };
}

/** What `copyRange` gives; 0 as well where the storage fails, whichever of the two. */
function copyInKernel(...range: Parameters<typeof copyRange>): number {
  try {
    return copyRange(...range);
  } catch (error) {
    if (systemCode(error) === "EIO") return 0;
    throw error;
  }
}

/** Why something cannot be read. Anything else it fails with is thrown. */
function failureOf(read: () => void): Error | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof ImageError || (error instanceof Error && systemCode(error) !== undefined)) return error;
    throw error;
  }
}

/** Writes what is not zeros, in whole blocks of the file. */
function writeData(target: number, data: Buffer, at: number, dense: boolean): void {
  if (dense) {
    writeAll(target, data, at);
    return;
  }
  let from = -1;
  for (let start = 0; start < data.length; ) {
    const end = Math.min(data.length, start + BLOCK - ((at + start) % BLOCK));
    const empty = isZero(data, start, end);
    if (empty && from >= 0) writeAll(target, data.subarray(from, start), at + from);
    if (empty) from = -1;
    else if (from < 0) from = start;
    start = end;
  }
  if (from >= 0) writeAll(target, data.subarray(from), at + from);
}

const zeros = Buffer.alloc(PIECE);

function isZero(data: Buffer, start: number, end: number): boolean {
  return data[start] === 0 && data.compare(zeros, 0, end - start, start, end) === 0;
}

function writeZeros(target: number, start: number, length: number): void {
  for (let done = 0; done < length; done += PIECE) writeAll(target, zeros.subarray(0, Math.min(PIECE, length - done)), start + done);
}

function writeAll(target: number, data: Uint8Array, at: number): void {
  for (let done = 0; done < data.length; ) done += writeSync(target, data, done, data.length - done, at + done);
}
