import { setImmediate } from "node:timers/promises";
import { parentPort, Worker } from "node:worker_threads";
import type { OpenedFile } from "../source/file.js";
import type { FlatFile, Tree } from "../tree/node.js";
import { openView, type ViewRequest } from "../tree/view.js";
import { ImageError } from "../util/errors.js";
import { Difference } from "./copy.js";
import type { Lost } from "./plan.js";
import { stop, takePieces, threadsOf, type Work } from "./work.js";

/** What the work is about. */
export interface Task {
  readonly view: ViewRequest;
  readonly files: readonly OpenedFile[];
  /** Of the file that is copied. */
  readonly node: number;
}

interface ThreadTask extends Task {
  readonly work: Work;
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

/** Does all of it, here and in other threads. Throws the first error, and what `lose` throws when it is told what cannot be read. */
export async function doWork(work: Work, task: Task & { readonly file: FlatFile }, lose: (lost: Lost) => void): Promise<void> {
  const { file, ...others } = task;
  const threads = Array.from({ length: threadsOf(work) - 1 }, (_, index) => runThread({ ...others, work, thread: index + 1 }, lose));
  const results = await Promise.allSettled([workHere(work, file, lose), ...threads]);
  const failed = results.find((result) => result.status === "rejected");
  if (failed) throw failed.reason;
}

/** This thread's share. It starts at once, while the others are still made; in between, signals and messages get their turn. */
async function workHere(work: Work, file: FlatFile, lose: (lost: Lost) => void): Promise<void> {
  try {
    const pieces = takePieces(work, file, 0, lose);
    while (!pieces.next().done) await setImmediate();
  } catch (error) {
    stop(work);
    throw error;
  }
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
    worker.once("exit", (code) => {
      if (code === 0) resolve();
      else fail(new Error(`a thread ended with status ${code}`));
    });
    worker.postMessage(task);
  });
}

/** A thread: does what its first message tells. */
export function waitForWork(): void {
  parentPort?.once("message", (task: ThreadTask) => {
    const tell = (message: ThreadMessage) => parentPort?.postMessage(message);
    try {
      const { tree, close } = openView({ ...task.view, options: { ...task.view.options, opened: task.files } });
      const pieces = takePieces(task.work, fileOf(tree, task.node), task.thread, ({ start, length, error }) =>
        tell({ kind: "lost", start, length, error: recordOf(error) }),
      );
      while (!pieces.next().done);
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
