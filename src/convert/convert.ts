import { createHash } from "node:crypto";
import { fdatasync, fstatSync, fsync } from "node:fs";
import { promisify } from "node:util";
import type { OpenedFile } from "../source/file.js";
import type { FileNode } from "../tree/node.js";
import { createRangeList } from "../tree/ranges.js";
import type { View, ViewRequest } from "../tree/view.js";
import { explain } from "../util/explain.js";
import { ImageError, systemCode, UserError } from "../util/errors.js";
import { formatSize } from "../util/size.js";
import { Difference } from "./copy.js";
import { type LostRange, nameOfPlan, type Progressed } from "./journal.js";
import { openOutput, type Output } from "./output.js";
import { type Lost, planComparison, planCopy, type Plan } from "./plan.js";
import { doWork } from "./threads.js";
import { bytesDone, createWork, doneBefore, stop, type Work } from "./work.js";

export interface ConvertWish {
  readonly view: View;
  readonly request: ViewRequest;
  /** The file of the view that is copied, and what it is called. */
  readonly node: FileNode;
  readonly name: string;
  readonly out: string;
  readonly force: boolean;
  readonly resume: boolean;
  /** Read both again afterwards, and compare. */
  readonly verify: boolean;
  /** Leave what cannot be read as a hole, and tell of it. */
  readonly keepGoing: boolean;
  /** Told now and then; what it is about, and bytes of all. */
  readonly progress: (what: string, done: number, size: number) => void;
  /** Told what may go wrong, in one line. */
  readonly warn: (line: string) => void;
  /** When to stop. */
  readonly signal: AbortSignal;
}

export interface Converted {
  /** Bytes: those that both files share now, and those that were copied. */
  readonly cloned: number;
  readonly copied: number;
  /** What could not be read, in order. */
  readonly lost: readonly LostRange[];
}

const syncData = promisify(fdatasync);

/** Milliseconds between two looks at how far it is, and between two notes of it for a later run. */
const INTERVAL = { look: 100, note: 5000 } as const;

/**
 * Writes a file of a view, such as the flat disk, to another file: shares its blocks where the file systems can, lets the kernel copy what is stored plainly,
 * and decodes the rest by all processors. Holes stay holes. The file has its name only when it is whole and on the disk.
 */
export async function convert(wish: ConvertWish): Promise<Converted> {
  const { view, node, signal } = wish;
  const { files } = view.disk;
  const output = openOutput({ ...wish, path: wish.out, size: node.file.size, files, key: keyOf(wish) });
  try {
    const lost = collectLost(wish);
    let plan = await planCopy(node.file, output, lost.lose, signal);
    const planName = wish.resume ? nameOfPlan(plan.segments) : "";
    const earlier = output.earlier?.plan === planName ? output.earlier : undefined;
    if (output.earlier && !earlier) {
      // Other pieces: what is done of them cannot be told.
      output.empty();
      plan = await planCopy(node.file, output, lost.lose, signal);
    }
    await copy(wish, output, { ...plan, name: planName, earlier }, lost);
    refuseChanged(files);
    await promisify(fsync)(output.fd);
    signal.throwIfAborted();
    if (wish.verify) await verify(wish, output, lost.ranges());
    output.finish();
    return { cloned: plan.cloned, copied: plan.size, lost: lost.ranges() };
  } catch (error) {
    output.abandon(error instanceof Difference || error instanceof ImageChanged);
    if (error instanceof Difference) throw differs(error, wish.out);
    throw isFull(error) ? noRoom(wish, undefined, error) : error;
  }
}

/** Names what is copied, and how the image was opened. What opens an encrypted image changes nothing of what is in it. */
function keyOf({ view, request, node, name }: ConvertWish): string {
  const options = { ...request.options, passwords: undefined, privateKey: undefined, cacheFolder: undefined };
  return createHash("sha256")
    .update(JSON.stringify([view.disk.key, options, node.id, name, node.file.size]))
    .digest("hex");
}

interface LostList {
  /** How often it was told of something. */
  told(): number;
  readonly lose: (lost: Lost) => void;
  ranges(): readonly LostRange[];
}

/** Collects what cannot be read, or throws what tells of it. */
function collectLost({ keepGoing, name }: ConvertWish): LostList {
  const list = createRangeList<string>();
  let told = 0;
  return {
    told: () => told,
    lose({ start, length, error }) {
      if (!keepGoing) throw unreadable(name, start, length, error);
      told += 1;
      list.add(start, length, explain(error));
    },
    ranges: () => list.ranges(),
  };
}

function unreadable(name: string, start: number, length: number, cause: Error): Error {
  const message = `bytes ${start} to ${start + length - 1} of ${name} cannot be read: `;
  const last = "With --keep-going such ranges become holes, and are told.";
  if (!(cause instanceof ImageError)) return new UserError(message + explain(cause), last, cause);
  const { code, file, position, hint } = cause;
  return new ImageError(code, message + cause.message, {
    file,
    position,
    cause,
    hint: hint === undefined ? last : `${hint.replace(/\.?$/, ".")} ${last}`,
  });
}

/** Copies what is not shared, from where an earlier run was. */
async function copy(
  wish: ConvertWish,
  output: Output,
  { name, earlier, ...plan }: Plan & { readonly name: string; readonly earlier: Progressed | undefined },
  lost: LostList,
): Promise<void> {
  for (const { start, end, reason } of earlier?.lost ?? []) lost.lose({ start, length: end - start, error: new Error(reason) });
  const work = createWork({ purpose: "copy", segments: plan.segments, target: output.fd, dense: output.dense }, earlier?.done ?? 0);
  warnOfRoom(wish, output, plan.size - work.before);
  const toldBefore = lost.told();
  let noted = Date.now();
  /** Gets to the disk what is done, and notes it. It counts as done only if all that is lost of it is known here. */
  const settle = async (due = Date.now() - noted >= INTERVAL.note) => {
    const { done, told } = doneBefore(work);
    const known = lost.told() - toldBefore >= told;
    await syncData(output.fd);
    if (!due || !known) return;
    output.note({ plan: name, done, lost: lost.ranges() });
    noted = Date.now();
  };
  try {
    await carryOut(wish, work, plan, lost.lose, settle);
  } catch (error) {
    // It has failed already; what was noted before still holds.
    if (wish.resume) await settle(true).catch(() => undefined);
    throw isFull(error) ? noRoom(wish, plan.size - bytesDone(work), error) : error;
  }
  if (wish.resume) await settle(true);
}

/** Compares all of it, but what is lost. */
async function verify(wish: ConvertWish, output: Output, lost: readonly LostRange[]): Promise<void> {
  const plan = await planComparison(wish.node.file, output, lost, wish.signal);
  const work = createWork({ purpose: "compare", segments: plan.segments, target: output.fd, dense: output.dense }, 0);
  const lose = ({ error }: Lost) => {
    throw error;
  };
  await carryOut(wish, work, plan, lose, () => Promise.resolve());
}

/** `settle`: done again and again meanwhile, so that the disk has its share of the time. */
async function carryOut(
  { view, request, node, signal, progress }: ConvertWish,
  work: Work,
  { size }: Plan,
  lose: (lost: Lost) => void,
  settle: () => Promise<void>,
): Promise<void> {
  const halt = () => stop(work);
  signal.addEventListener("abort", halt, { once: true });
  let failure: Error | undefined;
  let settling: Promise<void> | undefined;
  const timer = setInterval(() => {
    progress(work.purpose === "copy" ? "converting" : "verifying", bytesDone(work), size);
    settling ??= settle()
      .catch((error: unknown) => {
        // That something did not get to the disk is told once only.
        failure ??= error instanceof Error ? error : new Error(String(error));
        stop(work);
      })
      .finally(() => (settling = undefined));
  }, INTERVAL.look);
  try {
    await doWork(work, { view: request, files: view.disk.files, node: node.id, file: node.file }, lose);
  } finally {
    clearInterval(timer);
    await settling;
    signal.removeEventListener("abort", halt);
  }
  signal.throwIfAborted();
  if (failure) throw failure;
  if (bytesDone(work) !== size) throw new Error(`${bytesDone(work)} of ${size} bytes were done`);
}

function warnOfRoom({ out, warn }: ConvertWish, output: Output, needed: number): void {
  const room = output.room();
  if (room !== undefined && room < needed)
    warn(`${out}: up to ${formatSize(needed)} will be written, and there is room for ${formatSize(room)}`);
}

function isFull(error: unknown): boolean {
  const code = systemCode(error);
  return code === "ENOSPC" || code === "EDQUOT";
}

function noRoom({ out, resume }: ConvertWish, missing: number | undefined, cause: unknown): UserError {
  const more = missing === undefined ? "" : `: up to ${formatSize(missing)} more are needed`;
  const hint = resume ? "With --resume it goes on from there." : "With --resume it can go on later.";
  return new UserError(`${out}: there is no room for it${more}`, hint, cause);
}

/** The image was written while it was read: some of what was copied may be old, some new. */
class ImageChanged extends UserError {}

function refuseChanged(files: readonly OpenedFile[]): void {
  for (const { fd, path, regular, size, modified } of files) {
    const now = fstatSync(fd);
    if (!regular || (now.size === size && now.mtimeMs === modified)) continue;
    throw new ImageChanged(`${path}: it was changed while it was read`, "Convert it when nobody writes to it, such as a virtual machine.");
  }
}

function differs(cause: Difference, out: string): UserError {
  return new UserError(`${out}: what was written differs from the disk at byte ${cause.position}`, "The storage may be failing.", cause);
}
