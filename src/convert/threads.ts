import { availableParallelism } from "node:os";
import { parentPort, Worker } from "node:worker_threads";
import type { OpenedFile } from "../source/file.js";
import type { FlatFile, Tree } from "../tree/node.js";
import { openView, type ViewRequest } from "../tree/view.js";
import { ImageError } from "../util/errors.js";
import { createComparer, createCopier, Difference, type Lost } from "./copy.js";
import type { Segments } from "./plan.js";

/** What all threads work on together. */
export interface Work {
  readonly purpose: "copy" | "compare";
  readonly segments: Segments;
  /** The next piece, and whether to stop. */
  readonly control: Int32Array<SharedArrayBuffer>;
  /** For each thread: the piece that it is at, and bytes that it has done. */
  readonly progress: Float64Array<SharedArrayBuffer>;
  readonly target: number;
  readonly dense: boolean;
  /** What cannot be read is told, not thrown. */
  readonly keepGoing: boolean;
}

interface ThreadTask {
  readonly work: Work;
  readonly view: ViewRequest;
  readonly files: readonly OpenedFile[];
  /** Of the file that is copied. */
  readonly node: number;
  readonly thread: number;
}

type ThreadMessage =
  | { readonly kind: "lost"; readonly start: number; readonly length: number; readonly error: ErrorRecord }
  | { readonly kind: "failed"; readonly error: ErrorRecord };

/** An error as it goes from one thread to another. */
interface ErrorRecord {
  readonly message: string;
  readonly image?: Pick<ImageError, "code" | "file" | "position" | "hint">;
  readonly system?: { readonly code: string; readonly syscall: string | undefined };
  readonly position?: number;
}

const NEXT = 0;
const STOP = 1;

/** Less than this is done before a thread has started. */
const ALONE = 16 * 2 ** 20;

export function createWork(of: Pick<Work, "purpose" | "segments" | "target" | "dense" | "keepGoing">, first: number): Work {
  const control = new Int32Array(new SharedArrayBuffer(8));
  control[NEXT] = first;
  return { ...of, control, progress: new Float64Array(new SharedArrayBuffer(16 * threadCount())).fill(first) };
}

/** Ends the work after the pieces that are under way. */
export function stop({ control }: Work): void {
  Atomics.store(control, STOP, 1);
}

/** How many pieces are done, of those that come first. */
export function doneBefore({ progress }: Work): number {
  return Math.min(...Array.from({ length: progress.length / 2 }, (_, thread) => progress[2 * thread] ?? 0));
}

/** Bytes that were copied. */
export function bytesDone({ progress }: Work): number {
  let bytes = 0;
  for (let thread = 0; thread < progress.length / 2; thread += 1) bytes += progress[2 * thread + 1] ?? 0;
  return bytes;
}

function threadCount(): number {
  return Math.max(2, Math.min(availableParallelism(), 4));
}

/** Does the work of one thread. */
function run(
  { purpose, segments, control, progress, target, dense }: Work,
  file: FlatFile,
  thread: number,
  lose: (lost: Lost) => void,
): void {
  const use = purpose === "copy" ? createCopier(file, target, dense, lose) : createComparer(file, target, lose);
  const count = segments.length / 2;
  progress[2 * thread + 1] = 0;
  for (;;) {
    const stopped = Atomics.load(control, STOP) !== 0;
    const index = stopped ? Atomics.load(control, NEXT) : Atomics.add(control, NEXT, 1);
    progress[2 * thread] = Math.min(index, count);
    if (stopped || index >= count) return;
    const length = segments[2 * index + 1] as number;
    use(segments[2 * index] as number, length);
    progress[2 * thread + 1] = (progress[2 * thread + 1] ?? 0) + length;
  }
}

/** Does all of it, by threads if it is much. Throws the first error; without `keepGoing` also the first that cannot be read. */
export async function doWork(
  work: Work,
  task: Omit<ThreadTask, "work" | "thread"> & { readonly file: FlatFile; readonly size: number },
): Promise<readonly Lost[]> {
  const { file, size, ...others } = task;
  const lost: Lost[] = [];
  const lose = (one: Lost) => {
    if (!work.keepGoing) throw one.error;
    const last = lost.at(-1);
    if (last && last.start + last.length === one.start && last.error.message === one.error.message) {
      lost[lost.length - 1] = { ...last, length: last.length + one.length };
    } else lost.push(one);
  };
  if (size <= ALONE) {
    for (let thread = 1; thread < threadCount(); thread += 1) work.progress[2 * thread] = Number.POSITIVE_INFINITY;
    for (let thread = 0; thread < threadCount(); thread += 1) work.progress[2 * thread + 1] = 0;
    run(work, file, 0, lose);
    return lost;
  }
  for (let thread = 0; thread < threadCount(); thread += 1) work.progress[2 * thread + 1] = 0;
  const threads = Array.from({ length: threadCount() }, (_, thread) => runThread({ ...others, work, thread }, lose));
  const results = await Promise.allSettled(threads);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
  return lost.toSorted((a, b) => a.start - b.start);
}

function runThread(task: ThreadTask, lose: (lost: Lost) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("../convert/worker.js", import.meta.url));
    const fail = (error: unknown) => {
      stop(task.work);
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    worker.on("message", (message: ThreadMessage) => {
      const error = errorOf(message.error);
      if (message.kind === "failed") fail(error);
      else {
        try {
          lose({ start: message.start, length: message.length, error });
        } catch (reason) {
          fail(reason);
        }
      }
    });
    worker.once("error", fail);
    worker.once("exit", () => resolve());
    worker.postMessage(task);
  });
}

/** A thread: does what its first message tells. */
export function waitForWork(): void {
  parentPort?.once("message", (task: ThreadTask) => {
    const tell = (message: ThreadMessage) => parentPort?.postMessage(message);
    try {
      const { tree, close } = openView({ ...task.view, options: { ...task.view.options, opened: task.files } });
      run(task.work, fileOf(tree, task.node), task.thread, (lost) => {
        if (!task.work.keepGoing) throw lost.error;
        tell({ kind: "lost", start: lost.start, length: lost.length, error: recordOf(lost.error) });
      });
      close();
    } catch (error) {
      stop(task.work);
      tell({ kind: "failed", error: recordOf(error) });
    }
  });
}

function fileOf({ node }: Tree, id: number): FlatFile {
  const found = node(id);
  if (found?.kind !== "file") throw new Error(`node ${id} is no file`);
  return found.file;
}

function recordOf(error: unknown): ErrorRecord {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ImageError) {
    const { code, file, position, hint } = error;
    return { message, image: { code, file, position, hint } };
  }
  if (error instanceof Difference) return { message, position: error.position };
  const { code, syscall } = error as NodeJS.ErrnoException;
  return { message, ...(code !== undefined && { system: { code, syscall } }) };
}

function errorOf({ message, image, system, position }: ErrorRecord): Error {
  if (image) return new ImageError(image.code, message, image);
  return position === undefined ? Object.assign(new Error(message), system) : new Difference(position);
}
