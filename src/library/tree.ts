import type { DirectoryNode, Node } from "../tree/node.js";
import { directoryAtPath, nodeAtPath } from "./paths.js";
import type { TreeEntry, TreeItem, TreeStat } from "./types.js";

function statOf(node: Node): TreeStat {
  const { id, kind, mode, modified, uid, gid } = node;
  return {
    id,
    kind,
    size: kind === "file" ? node.file.size : 0,
    mode,
    modified: new Date(modified),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(node.kind === "symlink" && { target: node.target }),
    ...("device" in node && node.device && { device: node.device }),
  };
}

export function listAt(root: Node, path: string): TreeEntry[] {
  return Array.from(directoryAtPath(root, path).entries(), ({ name, node }) => ({ name, ...statOf(node) }));
}

export function statAt(root: Node, path: string, follow: boolean): TreeStat {
  return statOf(nodeAtPath(root, path, follow));
}

/** Depth first. A directory that holds itself, as a damaged disc may have, is not entered again. */
export function* walkBelow(directory: DirectoryNode): Generator<TreeItem> {
  const way = [{ prefix: "", id: directory.id, entries: directory.entries()[Symbol.iterator]() }];
  const above = new Set([directory.id]);
  for (let here = way.at(-1); here; here = way.at(-1)) {
    const next = here.entries.next();
    if (next.done) {
      above.delete(here.id);
      way.pop();
      continue;
    }
    const { name, node } = next.value;
    const path = `${here.prefix}${name}`;
    yield { path, ...statOf(node) };
    if (node.kind !== "directory" || above.has(node.id)) continue;
    above.add(node.id);
    way.push({ prefix: `${path}/`, id: node.id, entries: node.entries()[Symbol.iterator]() });
  }
}
