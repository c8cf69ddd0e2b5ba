import type { DirectoryNode, FileNode, Node } from "../tree/node.js";
import { quote } from "../util/text.js";
import { PathError } from "./errors.js";

/** As many as the kernel follows in one path. */
const LINK_LIMIT = 40;

/** What stands at `path` below `root`; a link at its end is followed if `follow`. Throws a `PathError`. Nothing leads above `root`. */
export function nodeAtPath(root: Node, path: string, follow: boolean): Node {
  const way: Node[] = [];
  const pending = path.split("/");
  let links = 0;
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name === "" || name === ".") continue;
    const here = way.at(-1) ?? root;
    if (here.kind !== "directory") throw new PathError("ENOTDIR", `${quote(path)}: what is to hold ${quote(name)} is no directory`, path);
    if (name === "..") {
      way.pop();
      continue;
    }
    const node = here.child(name);
    if (!node) throw new PathError("ENOENT", `there is no ${quote(path)} in the image`, path);
    if (node.kind !== "symlink" || (!follow && pending.every((rest) => rest === ""))) {
      way.push(node);
      continue;
    }
    links += 1;
    if (links > LINK_LIMIT) throw new PathError("ELOOP", `${quote(path)}: its links form a circle`, path);
    if (node.target.startsWith("/")) {
      throw new PathError(
        "ENOENT",
        `${quote(path)}: ${quote(name)} is a link to ${quote(node.target)}, which leads out of the image`,
        path,
      );
    }
    pending.unshift(...node.target.split("/"));
  }
  return way.at(-1) ?? root;
}

/** The same for what has to be a directory. */
export function directoryAtPath(root: Node, path: string): DirectoryNode {
  const node = nodeAtPath(root, path, true);
  if (node.kind === "directory") return node;
  throw new PathError("ENOTDIR", `${quote(path)} is a ${node.kind} and no directory`, path);
}

/** The same for what has to be a file. */
export function fileAtPath(root: Node, path: string): FileNode {
  const node = nodeAtPath(root, path, true);
  if (node.kind === "file") return node;
  const code = node.kind === "directory" ? "EISDIR" : "EINVAL";
  throw new PathError(code, `${quote(path)} is a ${node.kind}: it has no content`, path);
}
