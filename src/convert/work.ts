import { availableParallelism } from "node:os";
import type { FlatFile } from "../tree/node.js";
import { createComparer, createCopier } from "./copy.js";
import type { Lost } from "./plan.js";
import { bytesOfFirst, type Segments } from "./segments.js";

/** What all threads work on together. */
export interface Work {
  readonly purpose: "copy" | "compare";
  readonly segments: Segments;
  /** The next piece, whether to stop, and two numbers of each thread: see `AT`, `TOLD`. */
  readonly marks: Int32Array<SharedArrayBuffer>;
  /** Bytes that each thread has done. */
  readonly bytes: Float64Array<SharedArrayBuffer>;
  /** Those that were done before. */
  readonly before: number;
  readonly target: number;
  readonly dense: boolean;
}

const NEXT = 0;
const STOP = 1;
/** The piece that a thread is at: it has done all those before that it took. */
const AT = 2;
/** Ranges that it could not read, and told of. */
const TOLD = 3;

/** More were not tried; each has its own tables and blocks of the image in memory. */
const THREAD_LIMIT = 16;

/** Less than this is done by one before there are others. */
const ALONE = 16 * 2 ** 20;

/** `first`: pieces that are done already. */
export function createWork(of: Pick<Work, "purpose" | "segments" | "target" | "dense">, first: number): Work {
  const before = bytesOfFirst(of.segments, first);
  const left = bytesOfFirst(of.segments, of.segments.length) - before;
  const threads = left <= ALONE ? 1 : Math.max(2, Math.min(availableParallelism(), THREAD_LIMIT));
  const marks = new Int32Array(new SharedArrayBuffer(4 * (2 + 2 * threads)));
  marks[NEXT] = first;
  for (let thread = 0; thread < threads; thread += 1) marks[AT + 2 * thread] = first;
  return { ...of, marks, bytes: new Float64Array(new SharedArrayBuffer(8 * threads)), before };
}

export function threadsOf({ bytes }: Work): number {
  return bytes.length;
}

/** Ends the work after the pieces that are under way. */
export function stop({ marks }: Work): void {
  Atomics.store(marks, STOP, 1);
}

/** How many pieces are done, of those that come first, and how many ranges of them were told of. */
export function doneBefore(work: Work): { readonly done: number; readonly told: number } {
  const of = (mark: number) => Array.from({ length: threadsOf(work) }, (_, thread) => Atomics.load(work.marks, mark + 2 * thread));
  const done = Math.min(...of(AT));
  return { done, told: of(TOLD).reduce((sum, count) => sum + count, 0) };
}

/** Bytes that are done, with those that were before. */
export function bytesDone({ bytes, before }: Work): number {
  return bytes.reduce((sum, count) => sum + count, before);
}

/** Takes pieces until there are none, and yields after each. What cannot be read is told to `lose`, which may throw. */
export function* takePieces(work: Work, file: FlatFile, thread: number, lose: (lost: Lost) => void): Generator<void> {
  const { purpose, segments, marks, bytes, target, dense } = work;
  const tell = (lost: Lost) => {
    lose(lost);
    Atomics.add(marks, TOLD + 2 * thread, 1);
  };
  const use = purpose === "copy" ? createCopier(file, target, dense, tell) : createComparer(file, target);
  const count = segments.length / 2;
  for (;;) {
    const stopped = Atomics.load(marks, STOP) !== 0;
    const index = stopped ? Atomics.load(marks, NEXT) : Atomics.add(marks, NEXT, 1);
    Atomics.store(marks, AT + 2 * thread, Math.min(index, count));
    if (stopped || index >= count) return;
    const length = segments[2 * index + 1] ?? 0;
    use(segments[2 * index] ?? 0, length);
    bytes[thread] = (bytes[thread] ?? 0) + length;
    yield;
  }
}
