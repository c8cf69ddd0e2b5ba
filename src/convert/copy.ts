import { readSync, writeSync } from "node:fs";
import { copyRange } from "../native/copying.js";
import { isHole } from "../tree/flat.js";
import type { FlatFile } from "../tree/node.js";
import { ImageError, systemCode } from "../util/errors.js";

/** A range that could not be read. */
export interface Lost {
  /** Bytes of the disk. */
  readonly start: number;
  readonly length: number;
  readonly error: Error;
}

/** The target differs from the disk. */
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
  let inKernel = true;

  /** As much of a plain run as the kernel copies. */
  function copyPlain(fd: number, from: number, at: number, length: number): number {
    let done = 0;
    while (inKernel && done < length) {
      const copied = copyRange(fd, from + done, target, at + done, length - done);
      if (copied < 0) inKernel = false;
      if (copied <= 0) break;
      done += copied;
    }
    return done;
  }

  /** Reads a piece and writes what is not zeros. */
  function copyPiece(at: number, length: number): void {
    const piece = buffer.subarray(0, length);
    try {
      file.read(piece, at);
    } catch (error) {
      if (!(error instanceof ImageError) && systemCode(error) === undefined) throw error;
      copyAround(at, length);
      return;
    }
    writeData(target, piece, at, dense);
  }

  /** The same in the smallest steps, so that no more is lost than has to be. */
  function copyAround(at: number, length: number): void {
    for (let done = 0; done < length; ) {
      const step = Math.min(BLOCK - ((at + done) % BLOCK), length - done);
      const block = buffer.subarray(0, step);
      try {
        file.read(block, at + done);
        writeData(target, block, at + done, dense);
      } catch (error) {
        if (!(error instanceof ImageError) && (systemCode(error) === undefined || isOfWriting(error))) throw error;
        lose({ start: at + done, length: step, error: error as Error });
      }
      done += step;
    }
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
        lose({ start: at, length: extent.length, error: extent.error });
        at += extent.length;
      } else {
        const plain = extent.kind === "data" ? extent.source.file : undefined;
        if (plain && extent.kind === "data") at += copyPlain(plain.fd, plain.offset + extent.position, at, extent.length);
        if (plain && inKernel) continue;
        const rest = Math.min(PIECE - (at % PIECE), end - at);
        copyPiece(at, plain ? Math.min(rest, extent.length) : rest);
        at += plain ? Math.min(rest, extent.length) : rest;
      }
    }
  };
}

/** Compares ranges of `file` with the same ones in the file `target`; throws a `Difference` at the first byte that is another. */
export function createComparer(file: FlatFile, target: number, lose: (lost: Lost) => void) {
  const expected = Buffer.allocUnsafeSlow(PIECE);
  const found = Buffer.allocUnsafeSlow(PIECE);
  return (start: number, length: number): void => {
    for (let at = start; at < start + length; at += PIECE) {
      const size = Math.min(PIECE, start + length - at);
      try {
        file.read(expected.subarray(0, size), at);
      } catch (error) {
        lose({ start: at, length: size, error: error as Error });
        continue;
      }
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

function isOfWriting(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && (error.syscall === "write" || error.syscall === "pwrite");
}
