import { ftruncateSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { BLOCK_BITS } from "./layout.js";
import { type Index, type IndexWish, writeIndex } from "./writer.js";

/** Milliseconds that others wait at most for this thread. */
const TURN = 10;

/** Runs `work` while others get their turn; undefined if it was not wanted any more. */
export async function inTurns<T>(work: Generator<void, T>, ended: () => boolean = () => false): Promise<T | undefined> {
  for (let since = performance.now(); ; ) {
    const step = work.next();
    if (step.done) return step.value;
    if (performance.now() - since < TURN) continue;
    await setImmediate();
    if (ended()) return undefined;
    since = performance.now();
  }
}

/** Writes an index of a whole tree to the empty file `target`, with the largest blocks that all its files allow. */
export async function indexTree(target: number, wish: Omit<IndexWish, "blockBits">): Promise<Index> {
  for (let blockBits: number = BLOCK_BITS.most; ; ) {
    const index = await inTurns(writeIndex(target, { ...wish, blockBits }));
    if (!index) throw new Error("an index was not finished");
    const smaller = Math.min(blockBits, ...index.leftOut.map((left) => left.blockBits ?? blockBits));
    if (smaller === blockBits) return index;
    blockBits = smaller;
    ftruncateSync(target, 0);
  }
}
