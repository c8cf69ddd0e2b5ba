import { closeSync, openSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { BLOCK_BITS } from "../erofs/layout.js";
import { inTurns } from "../erofs/index-tree.js";
import { firstShape } from "../erofs/chunks.js";
import { indexFolders, mountIndex, openIndexed, openIndexFile } from "../erofs/mount.js";
import { NotIndexable } from "../erofs/runs.js";
import { writeIndex } from "../erofs/writer.js";
import type { Source } from "../source/source.js";
import { closeBacking, openBacking } from "../native/mounting.js";
import { directoryNode, type FlatFile } from "../tree/node.js";
import { debug } from "../util/debug.js";
import { reasonOf, systemCode } from "../util/errors.js";
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

/**
 * Lets the kernel answer reads itself, as far as it can: it is told the image file where a file is just that, and else a file of an index that lies over the
 * image. What cannot be passed on is answered by us; nothing of this is ever an error.
 */
export async function passThrough(passing: Passing): Promise<readonly ReadingPath[]> {
  const paths = new Map<PassingFile, ReadingPath>();
  try {
    const { device, table } = passing;
    await whenAgreed(passing);
    const byBits = new Map<number, PassingFile[]>();
    for (const file of passing.files) {
      const image = imageOf(file.node.file);
      if (image === undefined) group(byBits, file, paths);
      else
        paths.set(
          file,
          pass(file, "image", () => settleFile(table, file.node.id, openBacking(device, image), { direct: true })),
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

/** Steps of so many milliseconds, and how many, in which the kernel and the first worker agree on what they can. */
const AGREEMENT = { step: 5, steps: 200 } as const;

/** Returns once the kernel takes backing files. Until it has read the answer to INIT, it says that they are not permitted. */
async function whenAgreed({ device, files, ended }: Passing): Promise<void> {
  const any = openSync("/proc/self/exe", "r");
  try {
    for (let steps = 0; steps < AGREEMENT.steps && files.length > 0 && !ended(); steps += 1) {
      try {
        closeBacking(device, openBacking(device, any));
        return;
      } catch (error) {
        if (systemCode(error) !== "EPERM") return;
      }
      await setTimeout(AGREEMENT.step);
    }
  } finally {
    closeSync(any);
  }
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
    settleFile(table, node.id, openBacking(device, descriptor), { direct: false });
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

/** Runs that are looked at to find out whether a file is another one, byte for byte. */
const RUNS_LIMIT = 100_000;

/** The descriptor of the file that `file` is byte for byte, as far as that can be told. */
function imageOf(file: FlatFile): number | undefined {
  let image: Source | undefined;
  const holes: { readonly start: number; readonly end: number }[] = [];
  let count = 0;
  for (let offset = 0; offset < file.size; count += 1) {
    const { extent } = file.locate(offset, file.size - offset);
    const end = offset + extent.length;
    if (count > RUNS_LIMIT) return undefined;
    if (extent.kind === "data") {
      const { source, position } = extent;
      image ??= source;
      if (source !== image || position !== offset || source.file?.offset !== 0 || source.size !== file.size) return undefined;
    } else if (extent.kind === "zero") holes.push({ start: offset, end });
    else return undefined;
    offset = end;
  }
  return image && holes.every((hole) => isHoleOf(image, hole)) ? image.file?.fd : undefined;
}

/** Whether nothing is stored there, so that it reads as zeros. */
function isHoleOf(source: Source, { start, end }: { readonly start: number; readonly end: number }): boolean {
  for (let at = start; at < end; ) {
    const run = source.run?.(at);
    if (!run || run.data) return false;
    at += run.length;
  }
  return true;
}

function refusal(error: unknown): string {
  return `the kernel refuses: ${reasonOf(error)}`;
}
