import { setImmediate } from "node:timers/promises";
import { binding } from "../native/binding.js";
import { cloneRange } from "../native/copying.js";
import type { Source } from "../source/source.js";
import { isHole } from "../tree/flat.js";
import type { FlatFile } from "../tree/node.js";
import { firstEndingAfter, type Range } from "../tree/ranges.js";
import type { Located } from "../disk/read.js";
import { createSegments, type Segments } from "./segments.js";

export interface Plan {
  readonly segments: Segments;
  /** Bytes of all of them. */
  readonly size: number;
}

export interface Target {
  readonly fd: number;
  /** Bytes of a block of its file system, where blocks may be shared with it. */
  readonly blockSize: number;
  /** Holes have to be written, too: it is a device that may hold anything. */
  readonly dense: boolean;
}

/** A range that could not be read. */
export interface Lost {
  /** Bytes of the file that is copied. */
  readonly start: number;
  readonly length: number;
  readonly error: Error;
}

/** Milliseconds that a signal waits at most. */
const TURN = 20;

/** Shares with `target` what the file systems let it share, and tells what is left. What is known to be damaged is told to `lose`, which may throw. */
export async function planCopy(
  file: FlatFile,
  target: Target,
  lose: (lost: Lost) => void,
  signal: AbortSignal,
): Promise<Plan & { readonly cloned: number }> {
  const left = createSegments();
  const cloner = createCloner(target);
  await walk(file, signal, (at, located) => {
    const { extent } = located;
    if (extent.kind === "damaged") lose({ start: at, length: extent.length, error: extent.error });
    // What a device holds there must not stay.
    if (target.dense || (extent.kind !== "damaged" && !isHole(located))) {
      const done = extent.kind === "data" ? cloner.clone(extent.source, extent.position, at, extent.length) : 0;
      left.add(at + done, extent.length - done);
    }
  });
  return { ...left.end(), cloned: cloner.bytes() };
}

/** What has to be compared: all but the ranges in `lost`, and holes in both. */
export async function planComparison(file: FlatFile, target: Target, lost: readonly Range[], signal: AbortSignal): Promise<Plan> {
  const pieces = createSegments();
  const addKept = (start: number, end: number) => {
    let from = start;
    for (let index = firstEndingAfter(lost, start); from < end; index += 1) {
      const range = lost[index];
      const until = Math.min(end, range?.start ?? end);
      if (until > from) pieces.add(from, until - from);
      from = Math.max(from, range ? range.end : end);
    }
  };
  await walk(file, signal, (at, located) => {
    const end = at + located.extent.length;
    if (!isHole(located) || target.dense || !binding) addKept(at, end);
    else for (const { start, end: until } of dataIn(target.fd, at, end)) addKept(start, until);
  });
  return pieces.end();
}

/** Where the file `fd` stores something between `start` and `end`. */
function* dataIn(fd: number, start: number, end: number): Generator<Range> {
  for (let at = start; binding && at < end; ) {
    const data = binding.seekData(fd, at);
    if (data < 0 || data >= end) return;
    at = Math.min(end, binding.seekHole(fd, data));
    if (at <= data) return;
    yield { start: data, end: at };
  }
}

async function walk(file: FlatFile, signal: AbortSignal, visit: (at: number, located: Located) => void): Promise<void> {
  let since = performance.now();
  for (let at = 0; at < file.size; ) {
    const located = file.locate(at, file.size - at);
    visit(at, located);
    at += located.extent.length;
    if (performance.now() - since < TURN) continue;
    await setImmediate();
    signal.throwIfAborted();
    since = performance.now();
  }
  signal.throwIfAborted();
}

function createCloner({ fd, blockSize, dense }: Target) {
  /** Files that cannot share: of other file systems, or of ones that never do. */
  const strange = new Set<number>();
  let bytes = 0;
  return {
    bytes: () => bytes,
    /** How many bytes from the start of the run are shared now. */
    clone({ file }: Source, position: number, at: number, length: number): number {
      if (dense || !file || strange.has(file.fd)) return 0;
      const from = file.offset + position;
      const whole = length - (length % blockSize);
      if (from % blockSize !== 0 || at % blockSize !== 0 || whole === 0) return 0;
      if (!cloneRange(file.fd, from, fd, at, whole)) {
        strange.add(file.fd);
        return 0;
      }
      bytes += whole;
      return whole;
    },
  };
}
