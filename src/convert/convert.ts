import { fdatasyncSync, fsyncSync } from "node:fs";
import type { FileNode } from "../tree/node.js";
import type { View, ViewRequest } from "../tree/view.js";
import { systemCode, UserError } from "../util/errors.js";
import { Difference, type Lost } from "./copy.js";
import { openOutput, type Output } from "./output.js";
import { clonePlainly, type Plan } from "./plan.js";
import { bytesDone, createWork, doneBefore, doWork, stop, type Work } from "./threads.js";

export interface ConvertWish {
  readonly view: View;
  readonly request: ViewRequest;
  /** The file of the view that is copied. */
  readonly node: FileNode;
  readonly out: string;
  readonly force: boolean;
  readonly resume: boolean;
  /** Read both again afterwards, and compare. */
  readonly verify: boolean;
  /** Leave what cannot be read as a hole, and tell of it. */
  readonly keepGoing: boolean;
  /** Told now and then; what it is about, and bytes of all. */
  readonly progress: (what: string, done: number, size: number) => void;
  /** When to stop. */
  readonly signal: AbortSignal;
}

export interface Converted {
  /** Bytes: those that both files share now, and those that were copied. */
  readonly cloned: number;
  readonly copied: number;
  /** What could not be read, in order. */
  readonly lost: readonly Lost[];
}

/** Milliseconds between two looks at how far it is, and between two notes of it for a later run. */
const INTERVAL = { look: 100, note: 5000 } as const;

/**
 * Writes a file of a view, such as the flat disk, to another file: shares its blocks where the file systems can, lets the kernel copy what is stored plainly,
 * and decodes the rest by all processors. Holes stay holes. The file has its name only when it is whole and on the disk.
 */
export async function convert(wish: ConvertWish): Promise<Converted> {
  const { view, node, signal } = wish;
  const { files, key } = view.disk;
  const output = openOutput({ ...wish, path: wish.out, size: node.file.size, files, key: `${key} ${node.id}` });
  try {
    const plan = await clonePlainly(node.file, output, () => signal.aborted);
    signal.throwIfAborted();
    if (!plan) throw new Error("stopped without a signal");
    const lost = await doPart(wish, output, plan, "copy");
    fsyncSync(output.fd);
    if (wish.verify) await verify(wish, output, lost);
    output.finish();
    return { cloned: plan.cloned, copied: plan.size, lost };
  } catch (error) {
    output.abandon();
    throw explained(error, wish);
  }
}

async function doPart(wish: ConvertWish, output: Output, { segments, size }: Plan, purpose: Work["purpose"]): Promise<readonly Lost[]> {
  const { view, request, node, keepGoing, signal, progress } = wish;
  const work = createWork({ purpose, segments, target: output.fd, dense: output.dense, keepGoing }, purpose === "copy" ? output.done : 0);
  const halt = () => stop(work);
  signal.addEventListener("abort", halt, { once: true });
  let noted = Date.now();
  const timer = setInterval(() => {
    progress(purpose === "copy" ? "converting" : "verifying", bytesDone(work), size);
    if (purpose !== "copy" || !wish.resume || Date.now() - noted < INTERVAL.note) return;
    noted = Date.now();
    note(work, output);
  }, INTERVAL.look);
  try {
    const lost = await doWork(work, { view: request, files: view.disk.files, node: node.id, file: node.file, size });
    signal.throwIfAborted();
    return lost;
  } catch (error) {
    if (purpose === "copy" && wish.resume) note(work, output);
    throw error;
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", halt);
  }
}

/** Only what is on the disk counts as done. */
function note(work: Work, output: Output): void {
  const done = doneBefore(work);
  fdatasyncSync(output.fd);
  output.note(done);
}

/** Compares all of it, holes too. */
async function verify(wish: ConvertWish, output: Output, lost: readonly Lost[]): Promise<void> {
  const whole = { ...output, dense: true, blockSize: Number.MAX_SAFE_INTEGER };
  const plan = await clonePlainly(wish.node.file, whole, () => wish.signal.aborted);
  wish.signal.throwIfAborted();
  if (plan) await doPart({ ...wish, keepGoing: wish.keepGoing && lost.length > 0 }, output, plan, "compare");
}

function explained(error: unknown, { out, resume }: ConvertWish): unknown {
  if (error instanceof Difference) {
    return new UserError(`${out}: what was written differs from the disk at byte ${error.position}`, "The storage may be failing.", error);
  }
  const hint = resume ? "With --resume it goes on from there." : "With --resume it can go on later.";
  if (systemCode(error) === "ENOSPC" || systemCode(error) === "EDQUOT") {
    return new UserError(`${out}: there is no room for it`, hint, error);
  }
  return error;
}
