// What starts the program and its threads: loads the bundle together with the code that V8 made of it the last time, since compiling it takes longer than
// most commands. Kept small: this has to be compiled each time.
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { Script } from "node:vm";
import type { Bundle, EntryName } from "./entries.js";
import { makeFolders } from "../util/folders.js";

/** Others must not be able to write what is run here. */
const WRITABLE_BY_OTHERS = 0o022;
/** Milliseconds after which a daemon has done for the first time what it does. */
const SETTLED = 2000;

/** What a CommonJS module is to Node. */
type Wrapper = (exports: object, require: NodeJS.Require, module: object, file: string, directory: string) => void;

/** Runs an entry of the bundle that lies beside the folder `directory`. */
export function launch(entry: EntryName, directory: string): void {
  const file = join(directory, "../bundle/flatmount.js");
  const source = readFileSync(file, "latin1");
  // A worker does what the daemon has done before it.
  const cache = cacheFile(file, entry === "cli" || entry === "copier" ? "cli" : "daemon");
  const cachedData = cache === undefined ? undefined : read(cache);
  const script = new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, { filename: file, cachedData });
  const module = { exports: {} };
  (script.runInThisContext() as Wrapper)(module.exports, createRequire(file), module, file, dirname(file));
  if (cache !== undefined && (!cachedData || script.cachedDataRejected)) {
    const keep = () => write(cache, script.createCachedData());
    if (entry === "cli") process.once("exit", keep);
    if (entry === "daemon") setTimeout(keep, SETTLED).unref();
  }
  (module.exports as Bundle).run(entry);
}

/** Where the code is kept: by what it was made from, and by which Node. Undefined where nothing can be kept. */
function cacheFile(file: string, name: string): string | undefined {
  try {
    const { mtimeMs, size, ino } = statSync(file);
    const folder = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "flatmount/code");
    return join(folder, `${name}-${process.version}-${process.arch}-${ino}-${size}-${Math.floor(mtimeMs)}`);
  } catch {
    return undefined;
  }
}

/** What is kept, unless somebody else may have had his hands in it: another user's folder, such as with sudo, is none to take code from. */
function read(file: string): Buffer | undefined {
  let descriptor: number | undefined;
  try {
    if (!isOwn(statSync(dirname(file)))) return undefined;
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
    return isOwn(fstatSync(descriptor)) ? readFileSync(descriptor) : undefined;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** That it could not be kept is no failure. */
function write(file: string, code: Uint8Array): void {
  const folder = dirname(file);
  try {
    makeFolders(folder, 0o700);
    if (!isOwn(statSync(folder))) return;
    const [name] = file.slice(folder.length + 1).split("-v");
    for (const old of readdirSync(folder)) if (old.startsWith(`${name ?? ""}-`)) rmSync(join(folder, old), { force: true });
    const unfinished = `${file}.${process.pid}`;
    writeFileSync(unfinished, code, { mode: 0o600, flag: "wx" });
    renameSync(unfinished, file);
  } catch {
    // Compiled again the next time.
  }
}

function isOwn({ uid, mode }: { readonly uid: number; readonly mode: number }): boolean {
  return uid === process.geteuid?.() && (mode & WRITABLE_BY_OTHERS) === 0;
}
