import { memoryFile } from "../tree/flat.js";
import { directoryNode, type FileNode, type Tree } from "../tree/node.js";
import { STATS_NODE } from "../tree/shown.js";
import { type Counters, type Stats, summarise } from "./counters.js";
import { passedFiles, type PassingTable } from "./opens.js";

const NAME = "stats.json";
/** Characters of a line: the longest name, indented, and a number of 16 digits have room. */
const WIDTH = 48;

/** `tree` with a file beside info.json that tells what `stats` does whenever it is opened. The root of the tree that is a file stays as it is. */
export function withStatsFile(tree: Tree, stats: () => Stats): Tree {
  const { root } = tree;
  if (root.kind !== "directory") return tree;
  const content = () => Buffer.from(statsText(stats()));
  const { length } = content();
  let last = 0;
  const node: FileNode = {
    kind: "file",
    id: STATS_NODE,
    mode: root.child("info.json")?.mode ?? 0o444,
    live: true,
    /** Never the same twice, in milliseconds and below: by this the kernel, or libfuse, sees that what it has read is old. */
    get modified() {
      last = Math.max(last + 1, performance.timeOrigin + performance.now());
      return last;
    },
    file: {
      ...memoryFile(NAME, new Uint8Array(length)),
      read: (target, offset) => target.set(content().subarray(offset, offset + target.length)),
    },
  };
  const entries = [...root.entries()].flatMap((entry) => (entry.name === "info.json" ? [entry, { name: NAME, node }] : [entry]));
  const shown = directoryNode(root.id, root.mode, root.modified, entries);
  return {
    root: shown,
    node(id) {
      if (id === STATS_NODE) return node;
      return id === shown.id ? shown : tree.node(id);
    },
  };
}

/** What the workers have counted. */
export function statsOf(counters: Counters, passing: PassingTable | undefined): Stats {
  return summarise(counters, { opensAsked: passing !== undefined, passedFiles: passing ? passedFiles(passing) : 0 });
}

/** The same length whatever the numbers are, for what stat tells: lines are filled up with blanks, which mean nothing in JSON. Less than a page, so that it is read at once. */
function statsText(stats: Stats): string {
  const lines = JSON.stringify(stats, undefined, 2).split("\n");
  return lines.map((line) => `${line.padEnd(WIDTH)}\n`).join("");
}
