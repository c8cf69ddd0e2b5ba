/**
 * Bytes from `offset` on that belong to one run of equal-sized blocks: up to the end of its own block, then block by block while `continues` says so,
 * never more than `length`. `continues(block)` is asked for the blocks after the first, in order.
 */
export function runLength(offset: number, length: number, blockSize: number, continues: (block: number) => boolean): number {
  let block = Math.floor(offset / blockSize) + 1;
  let run = block * blockSize - offset;
  while (run < length && continues(block)) {
    run += blockSize;
    block += 1;
  }
  return Math.min(run, length);
}
