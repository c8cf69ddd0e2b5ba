// Starts the threads that read, and collects what they count.
import { Worker } from "node:worker_threads";

const THREADS = 8;
/** What is told of each kind of problem, at most. */
const TOLD = 20;

/** @typedef {{ reads: number, bytes: number, interrupted: number, problems: string[] }} Counts */

export function startReaders(
  /** @type {import("./mounts.mjs").Mounts} */ { list, states },
  /** @type {{ readonly readers: number, readonly seed: number }} */ { readers, seed },
) {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const threads = Math.min(THREADS, readers);
  const running = Array.from({ length: threads }, (_, thread) => {
    const count = Math.floor(readers / threads) + (thread < readers % threads ? 1 : 0);
    const views = list.map(({ name, mountpoint, files }) => ({ name, mountpoint, files }));
    const worker = new Worker(new URL("reader.mjs", import.meta.url), {
      workerData: { views, states, stop, count, seed: seed * 1000 + thread },
    });
    return /** @type {Promise<Counts>} */ (
      new Promise((resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
      })
    );
  });
  /** @type {Promise<Counts> | undefined} */
  let ending;

  async function end() {
    Atomics.store(stop, 0, 1);
    const all = await Promise.all(running);
    const sum = (/** @type {(counts: Counts) => number} */ of) => all.reduce((total, counts) => total + of(counts), 0);
    return {
      reads: sum(({ reads }) => reads),
      bytes: sum(({ bytes }) => bytes),
      interrupted: sum(({ interrupted }) => interrupted),
      problems: all.flatMap(({ problems }) => problems).slice(0, TOLD),
    };
  }

  return { stop: () => (ending ??= end()) };
}
