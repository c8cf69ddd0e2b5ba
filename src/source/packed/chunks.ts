import { checkRange, type Source } from "../source.js";

/** A file that is decoded piece by piece: each chunk decodes as a whole, by itself. */
export interface Chunks {
  /** As the user calls it, for messages. */
  readonly name: string;
  /** Decoded bytes of all chunks together. */
  readonly size: number;
  /** Number of chunks. */
  readonly count: number;
  /** Where chunk `index` starts in the decoded bytes: `start(0)` is 0, `start(count)` is `size`, never less than the one before. */
  start(index: number): number;
  /** The chunk that holds `position`, which is below `size`. Where it is absent, `start` is searched. */
  locate?(position: number): number;
  /** Fills `target`, which is as long as chunk `index`, or throws: then only reads of this chunk fail. `target` is valid until it returns. */
  decode(index: number, target: Uint8Array): void;
  /** Bytes of decoded chunks that are kept. The last one is kept even if it is larger. */
  readonly limit: number;
  readonly modified?: number | undefined;
  close(): void;
}

/** The decoded bytes, of which those used last are kept. Read in order, each chunk is decoded once. */
export function chunkedSource(chunks: Chunks): Source {
  const { name, size, modified } = chunks;
  const cache = createChunkCache(chunks.limit);
  const locate = chunks.locate ? (position: number) => chunks.locate?.(position) ?? 0 : searchIn(chunks);
  /** The chunk read last: most reads go on where the one before ended. */
  let current = { index: -1, start: 0, end: 0 };
  const at = (position: number) => {
    if (position < current.start || position >= current.end) {
      const next = position === current.end ? current.index + 1 : -1;
      const index = next > 0 && next < chunks.count && chunks.start(next + 1) > position ? next : locate(position);
      current = { index, start: chunks.start(index), end: chunks.start(index + 1) };
    }
    return current;
  };
  const source: Source = {
    name,
    size,
    read(target, position) {
      checkRange(source, target.length, position);
      for (let done = 0; done < target.length; ) {
        const { index, start, end } = at(position + done);
        const length = Math.min(target.length - done, end - position - done);
        const skip = position + done - start;
        const known = cache.get(index);
        // The whole chunk is wanted: what asked for it keeps it, so a second copy here would only cost.
        if (!known && length === end - start) chunks.decode(index, target.subarray(done, done + length));
        else {
          const content = known ?? cache.add(index, end - start, (buffer) => chunks.decode(index, buffer));
          target.set(content.subarray(skip, skip + length), done);
        }
        done += length;
      }
    },
    ...(modified !== undefined && { modified }),
    close() {
      cache.clear();
      chunks.close();
    },
  };
  return source;
}

/** The last chunk that starts at or before a position: chunks of no bytes are never found. */
function searchIn(chunks: Chunks): (position: number) => number {
  return (position) => {
    let low = 0;
    let high = chunks.count - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (chunks.start(middle) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  };
}

interface ChunkCache {
  get(index: number): Uint8Array | undefined;
  /** Room is made first, so that what has to go is filled anew. Nothing is kept if `fill` throws. */
  add(index: number, size: number, fill: (target: Uint8Array) => void): Uint8Array;
  clear(): void;
}

/** Least recently used first; a Map keeps the order. Memory beyond `limit`: one buffer to be used again. */
function createChunkCache(limit: number): ChunkCache {
  const kept = new Map<number, Uint8Array<ArrayBuffer>>();
  let spare: ArrayBuffer | undefined;
  let total = 0;
  const buffer = (size: number) => {
    const recycled = spare;
    spare = undefined;
    // A far too large one would be held by a small chunk.
    const fits = recycled && recycled.byteLength >= size && recycled.byteLength <= 2 * size;
    return new Uint8Array(fits ? recycled : new ArrayBuffer(size), 0, size);
  };
  return {
    get(index) {
      const content = kept.get(index);
      if (content && kept.size > 1) {
        kept.delete(index);
        kept.set(index, content);
      }
      return content;
    },
    add(index, size, fill) {
      for (const [oldest, content] of kept) {
        if (total + size <= limit) break;
        kept.delete(oldest);
        total -= content.buffer.byteLength;
        spare = content.buffer;
      }
      const content = buffer(size);
      try {
        fill(content);
      } catch (error) {
        spare = content.buffer;
        throw error;
      }
      kept.set(index, content);
      total += content.buffer.byteLength;
      return content;
    },
    clear() {
      kept.clear();
      spare = undefined;
      total = 0;
    },
  };
}
