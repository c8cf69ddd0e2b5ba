// The file as its log leaves it, without a byte of it being changed.
import { checkRange, type Source } from "../../source/source.js";
import type { Extent } from "../driver.js";
import { behindEnd, storedExtent } from "../stored.js";
import type { LogWrite, Replay } from "./log.js";

/** Where the bytes of the file are read from. */
export interface Store {
  /** All of them. */
  readonly source: Source;
  /** Where `length` bytes at `position` are; damaged behind the end. */
  extent(position: number, length: number): Extent;
}

/** A file without a log to replay. */
export function plainStore(source: Source): Store {
  return { source, extent: (position, length) => storedExtent(source, position, length) };
}

/** Bytes that come from one place. */
interface Run {
  /** Of the log; none: they are as they stand in the file. */
  readonly write: LogWrite | undefined;
  /** Up to the end of the run. */
  readonly length: number;
}

/** The file `file` after `replay`. */
export function replayedStore(file: Source, { writes, fileSize }: Replay): Store {
  const runAt = runsOf(writes);
  const source: Source = {
    name: file.name,
    size: fileSize,
    read(target, position) {
      checkRange(source, target.length, position);
      for (let done = 0; done < target.length; ) {
        const at = position + done;
        const { write, length } = runAt(at);
        const part = target.subarray(done, done + length);
        if (write?.data) part.set(write.data.subarray(at - write.start, at - write.start + part.length));
        else if (write) part.fill(0);
        else readPlain(file, part, at);
        done += part.length;
      }
    },
    close: () => undefined,
  };
  return {
    source,
    extent(position, length) {
      if (position >= fileSize) return { kind: "damaged", length, error: behindEnd(source, position, length) };
      const { write, length: run } = runAt(position);
      const most = Math.min(length, run, fileSize - position);
      if (write?.data) return { kind: "data", length: most, source, position };
      // The log makes a file longer that had no time to grow.
      if (write || position >= file.size) return { kind: "zero", length: most };
      return storedExtent(file, position, most);
    },
  };
}

/** Bytes of the file, and zeros where the replay makes it longer. */
function readPlain(file: Source, target: Uint8Array, position: number): void {
  const there = Math.min(target.length, Math.max(0, file.size - position));
  if (there > 0) file.read(target.subarray(0, there), position);
  target.fill(0, there);
}

/** Finds the write that counts at a position: the last one of those that cover it. */
function runsOf(writes: readonly LogWrite[]): (position: number) => Run {
  const cuts = Float64Array.from(new Set(writes.flatMap(({ start, end }) => [start, end]))).sort();
  /** The last piece that begins at or before `position`; piece i reaches from cut i to the next. -1 before the first cut. */
  const pieceAt = (position: number) => {
    let low = -1;
    let high = cuts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (cuts[middle]! <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const owners = new Array<LogWrite | undefined>(cuts.length).fill(undefined);
  /** Leads from each piece to the next one without an owner, over pieces in between; shortened when followed, as in union-find. */
  const free = Int32Array.from({ length: cuts.length + 1 }, (_, piece) => piece);
  const nextFree = (piece: number) => {
    let found = piece;
    while (free[found]! !== found) {
      free[found] = free[free[found]!]!;
      found = free[found]!;
    }
    return found;
  };
  for (const write of writes.toReversed()) {
    const end = pieceAt(write.end);
    for (let piece = nextFree(pieceAt(write.start)); piece < end; piece = nextFree(piece)) {
      owners[piece] = write;
      free[piece] = piece + 1;
    }
  }
  return (position) => {
    const piece = pieceAt(position);
    return { write: owners[piece], length: (cuts[piece + 1] ?? Number.MAX_SAFE_INTEGER) - position };
  };
}
