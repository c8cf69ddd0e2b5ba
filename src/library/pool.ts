import { closeSync, constants, openSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { Progress } from "../disk/unpack.js";
import type { OpenedFile } from "../source/file.js";
import { systemCode } from "../util/errors.js";
import { ClosedError, errorOf, WorkerError } from "./errors.js";
import type { Call, CallName, Calls, Reply, WorkerTask } from "./messages.js";
import type { Shape } from "./shape.js";

/** The workers of one image. */
export interface Pool {
  readonly shape: Shape;
  /** Has a worker answer. Rejects with what it threw there, or with the signal's reason. */
  call<Name extends CallName>(name: Name, ask: Calls[Name]["ask"], signal?: AbortSignal): Promise<Calls[Name]["answer"]>;
  /** Rejects what is under way, ends the workers and closes their files. */
  close(): Promise<void>;
}

export interface PoolOptions {
  /** How many workers there may be, at least 1. All but the first start when there is something to do for them. */
  readonly workers: number;
  readonly progress?: Progress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Starts a worker. */
  start(task: WorkerTask): Worker;
}

/** A call that waits for its answer. */
interface Job {
  readonly call: Call;
  settle(error: Error | undefined, answer?: unknown): void;
}

interface Member {
  readonly worker: Worker;
  /** By number, those that it works on. */
  readonly jobs: Map<number, Job>;
}

/** Calls that one worker is given at once: so that it has the next at hand when it has answered one. */
const AHEAD = 2;

/** Opens the image in a first worker; the others will use the files that one opened. Rejects with what opening it throws. */
export async function createPool(task: WorkerTask, options: PoolOptions): Promise<Pool> {
  const { workers: limit, progress, signal, start } = options;
  const members = new Set<Member>();
  const queue: Job[] = [];
  let numbers = 0;
  let failure: Error | undefined;
  let files: readonly OpenedFile[] = [];
  let opening: { resolve(shape: Shape): void; reject(error: unknown): void } | undefined;
  let ended: Promise<void> | undefined;

  /** Nothing can be had any more, for the reason `error`. */
  function end(error: Error): Promise<void> {
    failure ??= error;
    if (ended) return ended;
    opening?.reject(failure);
    for (const job of [...queue.splice(0), ...Array.from(members, ({ jobs }) => [...jobs.values()]).flat()]) job.settle(failure);
    // Not before the last worker is gone: a number that is free again could become another file's.
    ended = Promise.all(Array.from(members, ({ worker }) => worker.terminate())).then(() => {
      for (const { fd } of files) closeSync(fd);
      files = [];
    });
    return ended;
  }

  function add(view: WorkerTask["view"]): Member {
    const member: Member = { worker: start({ view }), jobs: new Map() };
    const { worker, jobs } = member;
    worker.on("message", (reply: Reply) => {
      if (failure) return;
      switch (reply.kind) {
        case "progress":
          return progress?.(reply);
        case "opened":
          files = files.length === 0 ? reopened(reply.files) : files;
          opening?.resolve(reply.shape);
          opening = undefined;
          break;
        case "failed":
          void end(errorOf(reply.error));
          return;
        default: {
          const job = jobs.get(reply.number);
          jobs.delete(reply.number);
          if (reply.kind === "answer") job?.settle(undefined, reply.answer);
          else job?.settle(errorOf(reply.error));
          handOut();
        }
      }
      rest(member);
    });
    worker.on("error", (cause) => void end(new WorkerError(`a worker of the image has failed: ${cause.message}`, cause)));
    worker.on("exit", (code) => void end(new WorkerError(`a worker of the image has ended with status ${code}`)));
    members.add(member);
    return member;
  }

  /** A worker without work does not keep the process alive. */
  function rest({ worker, jobs }: Member): void {
    if (jobs.size === 0) worker.unref();
  }

  /** The worker for the next call, if it need not wait. */
  function free(): Member | undefined {
    const [least] = [...members].toSorted((a, b) => a.jobs.size - b.jobs.size);
    if (least?.jobs.size === 0) return least;
    if (members.size < limit && files.length > 0) return add({ ...task.view, options: { ...task.view.options, opened: files } });
    return least && least.jobs.size < AHEAD ? least : undefined;
  }

  function handOut(): void {
    while (queue.length > 0) {
      const member = free();
      const job = member && queue.shift();
      if (!job) return;
      numbers += 1;
      member.jobs.set(numbers, job);
      member.worker.ref();
      member.worker.postMessage({ number: numbers, ...job.call });
    }
  }

  function call(wanted: Call, given: AbortSignal | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (failure) throw failure;
      given?.throwIfAborted();
      const job: Job = {
        call: wanted,
        settle(error, answer) {
          given?.removeEventListener("abort", abort);
          if (error === undefined) resolve(answer);
          else reject(error);
        },
      };
      // A worker that is at it goes on, and nobody hears of it.
      const abort = (): void => {
        const place = queue.indexOf(job);
        if (place >= 0) queue.splice(place, 1);
        job.settle(given?.reason as Error);
      };
      given?.addEventListener("abort", abort, { once: true });
      queue.push(job);
      handOut();
    });
  }

  signal?.throwIfAborted();
  const abort = (): void => void end(new ClosedError());
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const shape = await new Promise<Shape>((resolve, reject) => {
      opening = { resolve, reject };
      add(task.view);
    });
    signal?.throwIfAborted();
    return {
      shape,
      call: async (name, ask, given) => (await call({ name, ask } as Call, given)) as never,
      close: () => end(new ClosedError()),
    };
  } catch (error) {
    await end(error as Error);
    throw signal?.aborted ? signal.reason : error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * The same files with descriptors of this thread's own: those of a worker go with it, whenever that is. None where the system does not give any; then
 * there is but that one worker.
 */
function reopened(files: readonly OpenedFile[]): readonly OpenedFile[] {
  const own: OpenedFile[] = [];
  try {
    for (const file of files) {
      own.push({ ...file, fd: openSync(`/proc/self/fd/${file.fd}`, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY) });
    }
    return own;
  } catch (error) {
    for (const { fd } of own) closeSync(fd);
    if (systemCode(error) === undefined) throw error;
    return [];
  }
}
