/** Bytes of a file, in the way of node:fs: `end` is the last byte that is meant. */
export interface ByteRange {
  /** The first byte; 0 if it is left out. */
  readonly start?: number | undefined;
  /** The last byte, inclusive; that of the file if it is left out. `start` - 1 means no byte at all. */
  readonly end?: number | undefined;
}

/** Throws a `RangeError` unless the `length` bytes at `offset` lie in a file of `size` bytes. */
export function checkSpan(size: number, offset: number, length: number): void {
  checkCount("offset", offset);
  checkCount("length", length);
  if (offset + length > size) throw new RangeError(`${length} bytes at ${offset} are wanted, the file has ${size} bytes`);
}

/** What `range` means in a file of `size` bytes; throws a `RangeError` if it leaves the file. */
export function spanOf(size: number, { start = 0, end = size - 1 }: ByteRange): { readonly offset: number; readonly length: number } {
  checkCount("start", start);
  checkCount("end", end + 1);
  if (end < start - 1) throw new RangeError(`the end, ${end}, stands before the start, ${start}`);
  checkSpan(size, start, end + 1 - start);
  return { offset: start, length: end + 1 - start };
}

/** Throws a `RangeError` unless `value` is a whole number from `least` on. */
export function checkCount(what: string, value: number, least = 0): void {
  if (!Number.isSafeInteger(value) || value < least) throw new RangeError(`${what}: ${value} is not a whole number from ${least} on`);
}
