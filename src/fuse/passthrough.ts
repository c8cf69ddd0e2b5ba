import { closeSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { BLOCK_BITS } from "../erofs/layout.js";
import { firstShape } from "../erofs/chunks.js";
import { indexFolders, mountIndex, openIndexed, openIndexFile } from "../erofs/mount.js";
import { NotIndexable } from "../erofs/runs.js";
import { type Index, writeIndex } from "../erofs/writer.js";
import { openBacking } from "../native/mounting.js";
import { directoryNode, type FlatFile } from "../tree/node.js";
import { debug } from "../util/debug.js";
import { reasonOf } from "../util/errors.js";
import { type PassingTable, settle, settleFile } from "./opens.js";
import type { PassingFile } from "./passing-files.js";

const log = debug("passthrough");

/** How a file of the view is read. */
export interface ReadingPath {
  /** Below the mount point. */
  readonly file: string;
  /** `image`: the kernel reads the image file itself; `index`: it reads it through an index; `server`: each read is answered by us. */
  readonly path: "image" | "index" | "server";
  /** Why not better. */
  readonly reason?: string | undefined;
}

/** What serves a view, and what it is of. */
export interface Passing {
  /** A descriptor of the FUSE connection. */
  readonly device: number;
  readonly table: PassingTable;
  readonly files: readonly PassingFile[];
  /** How many files the image has. */
  readonly imageFiles: number;
  /** True once the view is gone: what is not done is not needed any more. */
  ended(): boolean;
}

/** Milliseconds that others wait at most for this thread. */
const TURN = 10;

/**
 * Lets the kernel answer reads itself, as far as it can: it is told the image file where a file is just that, and else a file of an index that lies over the
 * image. What cannot be passed on is answered by us; nothing of this is ever an error.
 */
export async function passThrough(passing: Passing): Promise<readonly ReadingPath[]> {
  const paths = new Map<PassingFile, ReadingPath>();
  try {
    const { device, table } = passing;
    const byBits = new Map<number, PassingFile[]>();
    for (const file of passing.files) {
      const image = imageOf(file.node.file);
      if (image === undefined) group(byBits, file, paths);
      else
        paths.set(
          file,
          pass(file, "image", () => settleFile(table, file.node.id, openBacking(device, image))),
        );
    }
    for (let bits: number = BLOCK_BITS.most; bits >= BLOCK_BITS.least; bits -= 1) {
      const files = byBits.get(bits);
      if (files && !passing.ended()) await passIndexed(passing, { files, bits, byBits }, paths);
    }
  } catch (error) {
    log("%o", error);
  } finally {
    settle(passing.table);
  }
  return passing.files.map((file) => paths.get(file) ?? { file: file.path, path: "server" });
}

/** Sorts a file to those of which an index with blocks of the same size can tell. */
function group(byBits: Map<number, PassingFile[]>, file: PassingFile, paths: Map<PassingFile, ReadingPath>): void {
  try {
    add(byBits, firstShape(file.node.file).blockBits, file);
  } catch (error) {
    if (!(error instanceof NotIndexable)) throw error;
    paths.set(file, { file: file.path, path: "server", reason: error.message });
  }
}

function add(byBits: Map<number, PassingFile[]>, bits: number, file: PassingFile): void {
  const files = byBits.get(bits);
  if (files) files.push(file);
  else byBits.set(bits, [file]);
}

interface Group {
  readonly files: readonly PassingFile[];
  readonly bits: number;
  /** Takes those that turn out to need smaller blocks. */
  readonly byBits: Map<number, PassingFile[]>;
}

async function passIndexed(passing: Passing, { files, bits, byBits }: Group, paths: Map<PassingFile, ReadingPath>): Promise<void> {
  const names = new Map(files.map((file, index) => [String(index), file]));
  const root = directoryNode(
    0,
    0o500,
    0,
    [...names].map(([name, { node }]) => ({ name, node })),
  );
  const wish = { root, uid: 0, gid: 0, blockBits: bits, deviceLimit: passing.imageFiles };
  for (const folder of indexFolders) {
    let index: number | undefined;
    let mounted: number | undefined;
    try {
      index = openIndexFile(folder);
      const written = await inTurns(writeIndex(index, wish), () => passing.ended());
      if (!written) return;
      mounted = mountIndex(index, written);
      for (const { path, reason, blockBits } of written.leftOut) {
        const file = names.get(path);
        if (file && blockBits !== undefined) add(byBits, blockBits, file);
        else if (file) paths.set(file, { file: file.path, path: "server", reason });
        names.delete(path);
      }
      for (const [name, file] of names)
        paths.set(
          file,
          pass(file, "index", () => passOne(passing, file, mounted as number, name)),
        );
      return;
    } catch (error) {
      log("index in %s: %o", folder, error);
      for (const file of names.values()) paths.set(file, { file: file.path, path: "server", reason: refusal(error) });
    } finally {
      if (mounted !== undefined) closeSync(mounted);
      if (index !== undefined) closeSync(index);
    }
  }
}

function passOne({ device, table }: Passing, { node }: PassingFile, mounted: number, name: string): void {
  const descriptor = openIndexed(mounted, name);
  try {
    settleFile(table, node.id, openBacking(device, descriptor));
  } finally {
    closeSync(descriptor);
  }
}

function pass({ path: file }: PassingFile, path: "image" | "index", action: () => void): ReadingPath {
  try {
    action();
    return { file, path };
  } catch (error) {
    log("%s: %o", file, error);
    return { file, path: "server", reason: refusal(error) };
  }
}

/** Runs `work` while others get their turn; undefined if it was not wanted any more. */
async function inTurns(work: Generator<void, Index>, ended: () => boolean): Promise<Index | undefined> {
  for (let since = performance.now(); ; ) {
    const step = work.next();
    if (step.done) return step.value;
    if (performance.now() - since < TURN) continue;
    await setImmediate();
    if (ended()) return undefined;
    since = performance.now();
  }
}

/** The descriptor of the file that `file` is byte for byte. */
function imageOf(file: FlatFile): number | undefined {
  const { extent } = file.locate(0, file.size);
  if (extent.kind !== "data" || extent.length !== file.size || extent.position !== 0) return undefined;
  const { source } = extent;
  return source.file?.offset === 0 && source.size === file.size ? source.file.fd : undefined;
}

function refusal(error: unknown): string {
  return `the kernel refuses: ${reasonOf(error)}`;
}
