// Kept free of other imports: the daemon loads it first, so that its workers load their modules while it is still loading its own.
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";

let waiting: readonly Worker[] = [];

/** Starts as many workers as a mount will take. They wait for their task, and do not keep the process alive until then. */
export function warmWorkers(): void {
  waiting = Array.from({ length: workerCount() }, startWorker);
  for (const worker of waiting) worker.unref();
}

/** Workers for one mount. Each waits for a `WorkerTask` as its first message. */
export function takeWorkers(): readonly Worker[] {
  const taken = waiting.length > 0 ? waiting : Array.from({ length: workerCount() }, startWorker);
  waiting = [];
  for (const worker of taken) worker.ref();
  return taken;
}

/** Ends the workers that nobody took. */
export async function dismissWorkers(): Promise<void> {
  await Promise.all(waiting.map((worker) => worker.terminate()));
  waiting = [];
}

/** One worker could not answer while it decodes; more than four did not read faster. */
function workerCount(): number {
  return Math.max(2, Math.min(availableParallelism(), 4));
}

function startWorker(): Worker {
  return new Worker(new URL("./worker.js", import.meta.url));
}
