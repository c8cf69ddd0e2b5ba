import { createBlockCache } from "../../../src/disk/cache.js";
import { createIndexStore } from "../../../src/disk/index-store.js";
import { type Members, openMember } from "../../../src/disk/members.js";
import { createUnpacker } from "../../../src/disk/unpack.js";
import { checkShown } from "../../../src/tree/check.js";
import { holdsFiles } from "../../../src/tree/contents.js";
import type { DirectoryNode, FlatFile, Node } from "../../../src/tree/node.js";
import { type Shown, SPAN, show } from "../../../src/tree/shown.js";
import { ImageError } from "../../../src/util/errors.js";
import { attempt, isCount, Problem, promise, textOf } from "../problem.js";
import { hashOf } from "../random.js";
import type { Run } from "../run.js";

const DIRECTORIES = 24;
const ENTRIES = 200;
const FILES = 16;

/** What a mount of the input's first file does, from finding out what it is to reading what is shown. */
export function checkView(run: Run): void {
  const shown = openShown(run);
  if (shown instanceof ImageError) {
    run.tell(textOf(shown));
  } else {
    const [top] = shown;
    if (!top) throw new Error("nothing is shown");
    try {
      walk(run, top.root, (id) => shown[Math.floor(id / SPAN)]?.node(id % SPAN));
      if (run.thorough) {
        for (const { severity, message } of attemptList(() => checkShown(top, "it", () => undefined))) run.tell(severity, message);
      }
    } finally {
      top.close();
    }
  }
  const left = run.left();
  if (left.length > 0) throw new Problem("leak", `left open: ${left.join()}`);
}

function attemptList<T>(action: () => readonly T[]): readonly T[] {
  const result = attempt(action);
  return result instanceof ImageError ? [] : result;
}

function openShown(run: Run): readonly Shown[] | ImageError {
  const { files } = run.input;
  const members: Members = {
    open(path) {
      const index = files.findIndex(({ name }) => name === path);
      return index < 0 ? undefined : run.open(index);
    },
    beside: () => files.map(({ name }) => name),
  };
  const unpacker = createUnpacker(createIndexStore({}, undefined), { degraded: false });
  const shown: Shown[] = [];
  return attempt(() => {
    const opened = openMember(members, files[0]?.name ?? "", unpacker, "fuzz", { passwords: ["password"], holdsFiles });
    try {
      show(opened, { mode: 0o444, modified: 0, cache: createBlockCache(2 ** 20), options: {}, shown });
    } catch (error) {
      opened.layer.close();
      throw error;
    }
    return shown;
  });
}

function walk(run: Run, root: DirectoryNode, nodeOf: (id: number) => Node | undefined): void {
  const queue: DirectoryNode[] = [root];
  const visited = new Set<number>();
  let entries = 0;
  let files = 0;
  for (let index = 0; index < queue.length && visited.size < DIRECTORIES; index += 1) {
    const directory = queue[index]!;
    if (visited.has(directory.id)) continue;
    visited.add(directory.id);
    const list = attempt(() => [...directory.entries()]);
    if (list instanceof ImageError) {
      run.tell(textOf(list));
      continue;
    }
    for (const { name, node } of list) {
      entries += 1;
      if (entries > ENTRIES) return;
      promise(
        name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name) && Buffer.byteLength(name) <= 255,
        () => `a file called ${JSON.stringify(name)}`,
      );
      promise(isCount(node.id) && node.id >= 1, () => `a node with the number ${node.id}`);
      const again = attempt(() => [nodeOf(node.id), directory.child(name)]);
      if (!(again instanceof ImageError)) {
        for (const other of again)
          if (other?.kind !== node.kind || other.id !== node.id)
            throw new Problem("differs", `${name} is a ${node.kind}, and by its number a ${other?.kind}`);
      }
      run.tell(name, node.kind, node.id);
      if (node.kind === "directory") queue.push(node);
      if (node.kind === "file" && files < FILES) {
        files += 1;
        checkFile(run, name, node.file);
      }
    }
  }
}

function checkFile(run: Run, name: string, file: FlatFile): void {
  const { size } = file;
  promise(isCount(size), () => `${name} has ${size} bytes`);
  for (let range = 0; range < 2 && size > 0; range += 1) {
    const offset = range === 0 ? 0 : run.random.below(size);
    const length = Math.min(size - offset, 1 + run.random.below(2000));
    const located = attempt(() => file.locate(offset, length));
    if (!(located instanceof ImageError)) {
      const { extent } = located;
      promise(extent.length >= 1 && extent.length <= length, () => `${name}: a run of ${extent.length} of ${length} bytes`);
    }
    const [one, other] = [0xee, 0x11].map((filling) => {
      const target = Buffer.alloc(length, filling);
      const result = attempt(() => file.read(target, offset));
      return result instanceof ImageError ? textOf(result) : hashOf(target);
    });
    if (one !== other) throw new Problem("differs", `${length} bytes at ${offset} of ${name}: ${one}, then ${other}`);
    run.tell(one);
  }
  promise(isCount(attemptNumber(() => file.allocated())), () => `${name}: allocated bytes`);
}

function attemptNumber(action: () => number): number {
  const result = attempt(action);
  return result instanceof ImageError ? 0 : result;
}
