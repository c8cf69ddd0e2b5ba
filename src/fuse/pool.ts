// Kept free of other imports: the daemon loads it first, so that its worker loads its modules while the daemon still loads its own.
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";

let waiting: Worker | undefined;

/** Starts the first worker ahead of its task. It does not keep the process alive until it gets one. */
export function warmWorker(): void {
  waiting = startWorker();
  waiting.unref();
}

/** A worker that waits for a `WorkerTask` as its first message. */
export function takeWorker(): Worker {
  const worker = waiting ?? startWorker();
  waiting = undefined;
  worker.ref();
  return worker;
}

/** Ends the worker that nobody took. */
export async function dismissWorker(): Promise<void> {
  await waiting?.terminate();
  waiting = undefined;
}

/** Two at least: one may be busy decoding. More than four did not read faster. */
export function workerCount(): number {
  return Math.max(2, Math.min(availableParallelism(), 4));
}

function startWorker(): Worker {
  return new Worker(new URL("../fuse/worker.js", import.meta.url));
}
