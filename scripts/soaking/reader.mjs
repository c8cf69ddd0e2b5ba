// A thread of readers: each opens a file of a mount, reads here and there, compares, and closes it.
import { open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { STATE } from "./mounts.mjs";
import { createRandom } from "./random.mjs";

/** @typedef {import("./images.mjs").Shown} Shown */

const { views, states, stop, count, seed } =
  /** @type {{ views: readonly { name: string, mountpoint: string, files: readonly Shown[] }[], states: Int32Array, stop: Int32Array, count: number, seed: number }} */ (
    workerData
  );

/** Reads of one file before it is closed, at most. */
const STAY = 50;
const LARGEST = 2 ** 20;
/** Milliseconds. A read that takes longer hangs. */
const PATIENCE = 60_000;

const counts = { reads: 0, bytes: 0, interrupted: 0, problems: /** @type {string[]} */ ([]) };
const stopped = () => Atomics.load(stop, 0) !== 0;

async function readOn(/** @type {number} */ own) {
  const random = createRandom(own);
  const below = (/** @type {number} */ limit) => Math.floor(random() * limit);
  const [found, expected] = [Buffer.alloc(LARGEST), Buffer.alloc(LARGEST)];
  while (!stopped()) {
    const index = below(views.length);
    const view = views[index];
    const shown = view?.files[below(view.files.length)];
    if (!view || !shown) continue;
    const generation = () => Atomics.load(states, STATE.count * index + STATE.generation);
    const before = generation();
    if (before % 2 === 1) {
      await sleep(5);
      continue;
    }
    const name = `${view.name}: ${shown.path}`;
    /** @type {import("node:fs/promises").FileHandle | undefined} */
    let file;
    /** @type {import("node:fs/promises").FileHandle | undefined} */
    let truth;
    Atomics.add(states, STATE.count * index + STATE.readers, 1);
    try {
      truth = await open(shown.truth);
      file = await inTime(open(join(view.mountpoint, shown.path)));
      for (let left = 1 + below(STAY); left > 0 && generation() === before && !stopped(); left -= 1) {
        const size = Math.min(1 + below(2 ** (1 + below(20))), LARGEST);
        const at = below(shown.size + 1);
        const [{ bytesRead }, { bytesRead: wanted }] = await Promise.all([
          inTime(file.read(found, 0, size, at)),
          truth.read(expected, 0, size, at),
        ]);
        counts.reads += 1;
        counts.bytes += bytesRead;
        const same = found.compare(expected, 0, bytesRead, 0, bytesRead) === 0;
        if (!same || bytesRead > wanted) counts.problems.push(`${name}: ${bytesRead} of ${size} bytes at ${at} differ`);
        // What the kernel had when the mount went away.
        else if (bytesRead < wanted && generation() !== before) counts.interrupted += 1;
        else if (bytesRead < wanted) counts.problems.push(`${name}: ${bytesRead} bytes at ${at}, not ${wanted}`);
      }
    } catch (error) {
      // What fails while the mount is taken away has every reason to.
      if (generation() !== before && !(error instanceof Hanging)) counts.interrupted += 1;
      else counts.problems.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await file?.close().catch(() => undefined);
      await truth?.close();
      Atomics.sub(states, STATE.count * index + STATE.readers, 1);
    }
  }
}

class Hanging extends Error {}

/** @template T @param {Promise<T>} work @returns {Promise<T>} */
function inTime(work) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Hanging(`no answer in ${PATIENCE / 1000} s`)), PATIENCE);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

await Promise.all(Array.from({ length: count }, (_, reader) => readOn(seed * 100 + reader)));
parentPort?.postMessage(counts);
