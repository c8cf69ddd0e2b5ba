/** What is to be copied: start and length of each piece, in bytes of the file, in order. Shared with the threads that copy. */
export type Segments = Float64Array<SharedArrayBuffer>;

/** Bytes that one thread copies at a time; pieces begin and end at multiples of it, so that compressed blocks are not cut. */
const SEGMENT = 4 * 2 ** 20;

/** Collects pieces, in order: those that follow each other become one, and each is cut where a thread's turn ends. */
export function createSegments() {
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
    /** All of them, and the bytes that they have together. */
    end(): { readonly segments: Segments; readonly size: number } {
      const segments: Segments = new Float64Array(new SharedArrayBuffer(16 * count));
      segments.set(numbers.subarray(0, 2 * count));
      return { segments, size };
    },
  };
}

/** Bytes of the first `count` of them. */
export function bytesOfFirst(segments: Segments, count: number): number {
  let bytes = 0;
  for (let index = 0; index < Math.min(count, segments.length / 2); index += 1) bytes += segments[2 * index + 1] ?? 0;
  return bytes;
}
