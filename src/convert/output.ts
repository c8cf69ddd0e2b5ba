import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { binding } from "../native/binding.js";
import type { OpenedFile } from "../source/file.js";
import { reasonOf, systemCode, UserError } from "../util/errors.js";
import { formatSize } from "../util/size.js";
import type { Target } from "./plan.js";

export interface OutputWish {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Write over what is there. */
  readonly force: boolean;
  /** Go on where an earlier run was stopped, and leave what is done if this one is. */
  readonly resume: boolean;
  /** None of these is ever written to. */
  readonly files: readonly OpenedFile[];
  /** Names what is copied, in its present state. */
  readonly key: string;
}

/** What is written: under another name until it is whole. */
export interface Output extends Target {
  /** Pieces that an earlier run has done. */
  readonly done: number;
  /** Remembers how far it is. */
  note(done: number): void;
  /** It is whole. */
  finish(): void;
  /** It was stopped. What is left is only for a later run. */
  abandon(): void;
}

const PARTIAL = ".partial";

/** Opens what is to be written. Throws a `UserError` if it cannot be. */
export function openOutput(wish: OutputWish): Output {
  const { path, files } = wish;
  const there = statSync(path, { throwIfNoEntry: false });
  const own = there && files.find(({ fd }) => isSame(fstatSync(fd), there));
  if (own) throw new UserError(`${path}: this is a file of the image, which is never written to`, "Choose another name.");
  if (there?.isBlockDevice()) return openDevice(wish);
  if (there && !there.isFile()) throw new UserError(`${path}: it is neither a file nor a block device`, "Choose another name.");
  if (there && !wish.force) throw new UserError(`${path}: there is such a file already`, "--force writes a new one in its place.");
  return openFile(wish);
}

function openDevice({ path, size, force, resume }: OutputWish): Output {
  if (!force) throw new UserError(`${path}: it is a device: all that is on it would be lost`, "--force writes to it.");
  if (resume) throw new UserError(`${path}: --resume is for files, and this is a device`);
  const fd = open(path, constants.O_RDWR | constants.O_EXCL);
  const room = binding?.sizeOf(fd) ?? Number.POSITIVE_INFINITY;
  if (room < size) {
    closeSync(fd);
    throw new UserError(`${path}: it has ${formatSize(room)}, the disk ${formatSize(size)}`);
  }
  return { fd, blockSize: 512, dense: true, done: 0, note: () => undefined, finish: () => closeSync(fd), abandon: () => closeSync(fd) };
}

function openFile({ path, size, resume, key }: OutputWish): Output {
  const partial = join(dirname(path), `${basename(path)}${PARTIAL}`);
  const journal = `${partial}.json`;
  const done = resume ? readJournal(journal, partial, key) : 0;
  if (done === 0) {
    rmSync(partial, { force: true });
    rmSync(journal, { force: true });
  }
  const fd = open(partial, done > 0 ? constants.O_RDWR : constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
  const discard = () => {
    rmSync(partial, { force: true });
    rmSync(journal, { force: true });
  };
  try {
    ftruncateSync(fd, size);
  } catch (error) {
    closeSync(fd);
    discard();
    throw new UserError(`${path}: a file of ${formatSize(size)} cannot be made there: ${reasonOf(error)}`, undefined, error);
  }
  return {
    ...{ fd, done, blockSize: statfsSync(partial).bsize, dense: false },
    note(pieces) {
      if (resume) writeFileSync(journal, JSON.stringify({ key, done: pieces }));
    },
    finish() {
      closeSync(fd);
      renameSync(partial, path);
      rmSync(journal, { force: true });
    },
    abandon() {
      closeSync(fd);
      if (!resume) discard();
    },
  };
}

/** How many pieces were done when the same image was converted to the same file before. */
function readJournal(journal: string, partial: string, key: string): number {
  try {
    const kept = JSON.parse(readFileSync(journal, "utf8")) as { key?: unknown; done?: unknown };
    if (kept.key === key && typeof kept.done === "number" && statSync(partial).isFile()) return kept.done;
  } catch {
    // From the start.
  }
  return 0;
}

function open(path: string, flags: number): number {
  try {
    return openSync(path, flags | constants.O_NOFOLLOW, 0o644);
  } catch (error) {
    const reason = systemCode(error) === "EBUSY" ? "it is in use" : reasonOf(error);
    throw new UserError(`${path}: it cannot be written: ${reason}`, undefined, error);
  }
}

function isSame(a: { readonly dev: number; readonly ino: number }, b: { readonly dev: number; readonly ino: number }): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}
