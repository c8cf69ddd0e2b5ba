import { createHash, randomUUID } from "node:crypto";
import { closeSync, fstatSync, futimesSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { debug } from "../util/debug.js";
import { makeFolders } from "../util/folders.js";

const log = debug("index");

/** What was found out about files by reading all of them, such as restart points: kept between mounts, shared by the threads of one. */
export interface IndexStore {
  /** What is kept under `key`, which names a file in one state of it. */
  get(key: string): Uint8Array | undefined;
  /** `lasting`: also for later mounts. That it could not be kept is no failure. */
  put(key: string, content: Uint8Array, options: { readonly lasting: boolean }): void;
  /** All that was asked for or put in; other threads read the same memory. */
  readonly shared: SharedIndexes;
}

export type SharedIndexes = Record<string, Uint8Array>;

/** All files of the folder together; those that were not used for the longest time go first. */
const FOLDER_LIMIT = 2 * 2 ** 30;

/** `shared`: of another thread, or empty. `folder`: where they are kept between mounts, if they are. */
export function createIndexStore(shared: SharedIndexes, folder: string | undefined): IndexStore {
  const fileOf = (key: string) => (folder === undefined ? undefined : join(folder, createHash("sha256").update(key).digest("hex")));
  return {
    shared,
    get(key) {
      const known = shared[key];
      if (known) return known;
      const file = fileOf(key);
      const kept = file === undefined ? undefined : load(file);
      if (kept) shared[key] = kept;
      return kept;
    },
    put(key, content, { lasting }) {
      shared[key] = shareable(content);
      const file = lasting ? fileOf(key) : undefined;
      if (file !== undefined) keep(file, content);
    },
  };
}

function shareable(content: Uint8Array): Uint8Array {
  if (content.buffer instanceof SharedArrayBuffer) return content;
  const copy = new Uint8Array(new SharedArrayBuffer(content.length));
  copy.set(content);
  return copy;
}

function load(path: string): Uint8Array | undefined {
  try {
    const fd = openSync(path, "r");
    try {
      const content = new Uint8Array(new SharedArrayBuffer(fstatSync(fd).size));
      for (let done = 0; done < content.length; ) {
        const count = readSync(fd, content, done, content.length - done, done);
        if (count === 0) return undefined;
        done += count;
      }
      const now = new Date();
      futimesSync(fd, now, now);
      return content;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    log("%s is not used: %o", path, error);
    return undefined;
  }
}

/** Whole or not at all: another process may read it at the same time. */
function keep(path: string, content: Uint8Array): void {
  const temporary = `${path}.${randomUUID()}`;
  try {
    const folder = dirname(path);
    makeFolders(folder, 0o700);
    makeRoom(folder, content.length);
    writeFileSync(temporary, content, { mode: 0o600, flag: "wx" });
    renameSync(temporary, path);
  } catch (error) {
    log("%s is not kept: %o", path, error);
    rmSync(temporary, { force: true });
  }
}

function makeRoom(folder: string, size: number): void {
  const files = readdirSync(folder).map((name) => {
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    return { path, size: stat?.size ?? 0, used: stat?.mtimeMs ?? 0 };
  });
  let total = files.reduce((sum, file) => sum + file.size, size);
  for (const file of files.sort((a, b) => a.used - b.used)) {
    if (total <= FOLDER_LIMIT) return;
    rmSync(file.path, { force: true });
    total -= file.size;
  }
}
