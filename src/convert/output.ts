import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname } from "node:path";
import { binding } from "../native/binding.js";
import type { OpenedFile } from "../source/file.js";
import { reasonOf, systemCode, UserError } from "../util/errors.js";
import { formatSize } from "../util/size.js";
import { type Progressed, readJournal, writeJournal } from "./journal.js";
import { isOwn } from "./own.js";
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
  /** How far an earlier run was. */
  readonly earlier: Progressed | undefined;
  /** Forgets what an earlier run has written. */
  empty(): void;
  /** Bytes that its file system has left; undefined for a device. */
  room(): number | undefined;
  /** Remembers how far it is. */
  note(progressed: Progressed): void;
  /** It is whole, and on the disk. */
  finish(): void;
  /** It was stopped. `worthless`: nothing is left for a later run, either. */
  abandon(worthless: boolean): void;
}

/** Opens what is to be written. Throws a `UserError` if it cannot be. */
export function openOutput(wish: OutputWish): Output {
  const there = statSync(wish.path, { throwIfNoEntry: false });
  if (!there) {
    if (lstatSync(wish.path, { throwIfNoEntry: false }))
      throw new UserError(`${wish.path}: it is a link that leads nowhere`, "Choose another name.");
    return openFile(wish);
  }
  refuseOwn(wish.path, wish.files);
  // What a link leads to is written, and the link stays.
  const path = realpathSync(wish.path);
  if (there.isBlockDevice()) return openDevice({ ...wish, path });
  if (!there.isFile()) throw new UserError(`${wish.path}: it is neither a file nor a block device`, "Choose another name.");
  if (!wish.force) throw new UserError(`${wish.path}: there is such a file already`, "--force writes a new one in its place.");
  return openFile({ ...wish, path });
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
  const nothing = () => undefined;
  const close = () => closeSync(fd);
  return {
    fd,
    blockSize: 512,
    dense: true,
    earlier: undefined,
    empty: nothing,
    room: nothing,
    note: nothing,
    finish: close,
    abandon: close,
  };
}

function openFile({ path, size, force, resume, key, files }: OutputWish): Output {
  const partial = `${path}.partial`;
  const journal = `${partial}.json`;
  const earlier = resume ? readJournal(journal, key) : undefined;
  for (const name of [partial, journal]) refuseOwn(name, files);
  const goesOn = makeWay({ partial, journal, force, resume, earlier });
  const fd = open(partial, goesOn ? constants.O_RDWR : constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
  let isOpen = true;
  const close = () => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  /** Another run may have taken the name since. */
  const isStillThere = () => {
    const named = lstatSync(partial, { throwIfNoEntry: false });
    const own = fstatSync(fd);
    return named?.ino === own.ino && named.dev === own.dev;
  };
  const discard = () => {
    if (!isStillThere()) return;
    rmSync(partial, { force: true });
    rmSync(journal, { force: true });
  };
  const empty = () => {
    ftruncateSync(fd, 0);
    ftruncateSync(fd, size);
  };
  try {
    if (!fstatSync(fd).isFile()) throw new UserError(`${partial}: it is no regular file`);
    if (!goesOn) empty();
    if (resume && !goesOn) writeJournal(journal, key, { plan: "", done: 0, lost: [] });
  } catch (error) {
    if (!goesOn) discard();
    close();
    if (error instanceof UserError) throw error;
    throw new UserError(`${path}: a file of ${formatSize(size)} cannot be made there: ${reasonOf(error)}`, undefined, error);
  }
  return {
    ...{ fd, blockSize: statfsSync(partial).bsize, dense: false, earlier: goesOn ? earlier : undefined, empty },
    room() {
      const { bavail, bsize } = statfsSync(partial);
      return bavail * bsize;
    },
    note(progressed) {
      if (resume && isStillThere()) writeJournal(journal, key, progressed);
    },
    finish() {
      if (!isStillThere()) throw new UserError(`${partial}: something else has taken its place, such as another run`);
      if (!force && lstatSync(path, { throwIfNoEntry: false })) throw new UserError(`${path}: there is such a file by now`);
      renameSync(partial, path);
      rmSync(journal, { force: true });
      close();
      syncFolder(dirname(path));
    },
    abandon(worthless) {
      if (worthless || !resume) discard();
      close();
    },
  };
}

/** Whether what an earlier run has left is gone on with; otherwise there is none afterwards. */
function makeWay({
  partial,
  journal,
  force,
  resume,
  earlier,
}: { readonly partial: string; readonly journal: string; readonly earlier: Progressed | undefined } & Pick<
  OutputWish,
  "force" | "resume"
>): boolean {
  const there = lstatSync(partial, { throwIfNoEntry: false });
  if (there?.isFile() && earlier) return true;
  if (there && !force) {
    const why = resume
      ? "it is not what the same command has left of the same image"
      : "a run that did not end may have left it, or be under way still";
    const goOn = resume ? "" : ", --resume goes on with what a run with --resume has left";
    throw new UserError(`${partial}: there is such a file already: ${why}`, `--force begins anew${goOn}.`);
  }
  rmSync(partial, { force: true });
  rmSync(journal, { force: true });
  return false;
}

function refuseOwn(path: string, files: readonly OpenedFile[]): void {
  const there = statSync(path, { throwIfNoEntry: false });
  if (!there || !isOwn(there, files)) return;
  const what = there.isBlockDevice() ? "this device is, or stands on," : "this is";
  throw new UserError(`${path}: ${what} a file of the image, which is never written to`, "Choose another name.");
}

function open(path: string, flags: number): number {
  try {
    return openSync(path, flags | constants.O_NOFOLLOW, 0o644);
  } catch (error) {
    const reason = systemCode(error) === "EBUSY" ? "it is in use" : reasonOf(error);
    throw new UserError(`${path}: it cannot be written: ${reason}`, undefined, error);
  }
}

/** A name lasts when its folder is on the disk. Not every file system can be told to. */
function syncFolder(folder: string): void {
  try {
    const fd = openSync(folder, "r");
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    // The content is there; at worst it keeps its other name.
  }
}
