import { setImmediate } from "node:timers/promises";
import { cloneRange } from "../native/copying.js";
import type { Source } from "../source/source.js";
import { isHole } from "../tree/flat.js";
import type { FlatFile } from "../tree/node.js";

/** What is left to be copied: start and length of each piece, in bytes of the disk, in order. Shared with the threads that copy. */
export type Segments = Float64Array<SharedArrayBuffer>;

export interface Plan {
  readonly segments: Segments;
  /** Bytes of all of them. */
  readonly size: number;
  /** Bytes that the target shares with the image already. */
  readonly cloned: number;
}

export interface Target {
  readonly fd: number;
  /** Bytes of a block of its file system, where blocks may be shared with it. */
  readonly blockSize: number;
  /** Holes have to be written, too: it is a device that may hold anything. */
  readonly dense: boolean;
}

/** Bytes that one thread copies at a time; pieces begin and end at multiples of it, so that compressed blocks are not cut. */
const SEGMENT = 4 * 2 ** 20;
/** Milliseconds that a signal waits at most. */
const TURN = 20;

/** Shares with `target` what the file systems let it share, and tells what is left. Returns undefined if it was stopped. */
export async function clonePlainly(file: FlatFile, target: Target, stopped: () => boolean): Promise<Plan | undefined> {
  const left = createSegments();
  const clones = createCloner(target);
  let since = performance.now();
  for (let at = 0; at < file.size; ) {
    const located = file.locate(at, file.size - at);
    const { extent } = located;
    if (!isHole(located) || target.dense) {
      const done = extent.kind === "data" ? clones.clone(extent.source, extent.position, at, extent.length) : 0;
      left.add(at + done, extent.length - done);
    }
    at += extent.length;
    if (performance.now() - since < TURN) continue;
    await setImmediate();
    if (stopped()) return undefined;
    since = performance.now();
  }
  return { ...left.end(), cloned: clones.bytes() };
}

function createCloner({ fd, blockSize, dense }: Target) {
  let possible = !dense;
  let bytes = 0;
  return {
    bytes: () => bytes,
    /** How many bytes from the start of the run are shared now. */
    clone({ file }: Source, position: number, at: number, length: number): number {
      if (!possible || !file) return 0;
      const from = file.offset + position;
      const whole = length - (length % blockSize);
      if (from % blockSize !== 0 || at % blockSize !== 0 || whole === 0) return 0;
      if (!cloneRange(file.fd, from, fd, at, whole)) {
        // It is the same for all: other file systems, or ones that do not share.
        possible = false;
        return 0;
      }
      bytes += whole;
      return whole;
    },
  };
}

/** Collects pieces: those that follow each other become one, and each is cut where a thread's turn ends. */
function createSegments() {
  let numbers = new Float64Array(1024);
  let count = 0;
  let size = 0;
  const push = (start: number, length: number) => {
    if (2 * count === numbers.length) {
      const more = new Float64Array(2 * numbers.length);
      more.set(numbers);
      numbers = more;
    }
    numbers[2 * count] = start;
    numbers[2 * count + 1] = length;
    count += 1;
  };
  return {
    add(start: number, length: number): void {
      size += length;
      for (let at = start; at < start + length; ) {
        const end = Math.min(start + length, at - (at % SEGMENT) + SEGMENT);
        const last = 2 * (count - 1);
        const follows = count > 0 && (numbers[last] ?? 0) + (numbers[last + 1] ?? 0) === at && at % SEGMENT !== 0;
        if (follows) numbers[last + 1] = end - (numbers[last] ?? 0);
        else push(at, end - at);
        at = end;
      }
    },
    end(): Pick<Plan, "segments" | "size"> {
      const segments: Segments = new Float64Array(new SharedArrayBuffer(16 * count));
      segments.set(numbers.subarray(0, 2 * count));
      return { segments, size };
    },
  };
}
