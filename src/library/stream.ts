import { Readable } from "node:stream";
import { type ByteRange, checkCount, spanOf } from "./ranges.js";

/** What is streamed, and how. */
export interface StreamOptions extends ByteRange {
  /** Bytes that are read at a time, and kept ready; 1 MiB if it is left out. */
  readonly highWaterMark?: number | undefined;
  /** Destroys the stream when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** Gives `length` bytes from `offset` on; they lie in the file. The buffer is the reader's to keep. */
export type ReadAt = (offset: number, length: number, signal: AbortSignal) => Promise<Buffer>;

const CHUNK_SIZE = 2 ** 20;

/**
 * A stream over a range of a file of `size` bytes, which `readAt` reads, `ahead` pieces at once. Throws a `RangeError` for a range that leaves the file.
 * What cannot be read ends it with the error, after every byte before it.
 */
export function streamOf(size: number, readAt: ReadAt, ahead: number, options: StreamOptions): Readable {
  const { highWaterMark = CHUNK_SIZE, signal } = options;
  checkCount("highWaterMark", highWaterMark, 1);
  const { offset, length } = spanOf(size, options);
  const end = offset + length;
  const stopped = new AbortController();
  const waiting: Promise<Buffer>[] = [];
  let wanted = offset;
  let given = offset;
  /** What comes next, where the piece that was given last ends before it. */
  let failure: { readonly error: unknown } | undefined;

  const ask = (): void => {
    while (waiting.length < ahead && wanted < end) {
      const piece = readAt(wanted, Math.min(highWaterMark, end - wanted), stopped.signal);
      // Whoever waits for it hears of it; nobody does once the stream is destroyed.
      piece.catch(() => undefined);
      waiting.push(piece);
      wanted += Math.min(highWaterMark, end - wanted);
    }
  };

  /** The piece at `given`. Where only a part of it can be read, that part, and the error comes with the next. */
  async function next(): Promise<Buffer | undefined> {
    if (failure) throw failure.error;
    ask();
    const piece = waiting.shift();
    if (!piece) return undefined;
    try {
      return await piece;
    } catch (error) {
      if (stopped.signal.aborted) throw error;
      const whole = Math.min(highWaterMark, end - given);
      const good = await readableLength(readAt, given, whole, stopped.signal);
      if (good === 0) throw error;
      failure = { error };
      return readAt(given, good, stopped.signal);
    }
  }

  return new Readable({
    highWaterMark,
    ...(signal && { signal }),
    read() {
      next().then(
        (piece) => {
          given += piece?.length ?? 0;
          this.push(piece ?? null);
        },
        (error: unknown) => this.destroy(error as Error),
      );
    },
    destroy(error, done) {
      stopped.abort();
      waiting.length = 0;
      done(error);
    },
  });
}

/** How many of the `length` bytes at `offset`, which cannot be read as a whole, can be. */
async function readableLength(readAt: ReadAt, offset: number, length: number, signal: AbortSignal): Promise<number> {
  let good = 0;
  let bad = length;
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    const isGood = await readAt(offset + good, middle - good, signal).then(
      () => true,
      () => false,
    );
    if (isGood) good = middle;
    else bad = middle;
  }
  return good;
}
