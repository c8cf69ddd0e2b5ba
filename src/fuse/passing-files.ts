import type { FileNode, Node, Tree } from "../tree/node.js";

/** A file of the view that the kernel may be able to read without us. */
export interface PassingFile {
  /** Below the mount point. */
  readonly path: string;
  readonly node: FileNode;
}

/** More disks, partitions and volumes than anybody has; each takes a descriptor while it is prepared. */
const FILES_LIMIT = 256;
/** Many files, for which asking to open each costs more than it saves: what is in a container, and snapshots, which are not opened before they are wanted. */
const TREES = new Set(["files", "snapshots"]);
const MEMORY = new Set(["info.json", "stats.json"]);

/**
 * The disks of a view, their partitions and volumes. None, where the view is that of a disc: its files are what it is mounted for, and once one file is to be
 * opened, all have to be.
 */
export function passingFiles({ root }: Tree): readonly PassingFile[] {
  if (root.kind === "file") return [{ path: "", node: root }];
  const found: PassingFile[] = [];
  if (root.kind === "directory" && !isDisc(root)) collect(root, "", found);
  return found.slice(0, FILES_LIMIT);
}

function isDisc(root: Node & { readonly kind: "directory" }): boolean {
  return root.child("files") !== undefined && root.child("disk.raw")?.kind === "file";
}

function collect(directory: Node & { readonly kind: "directory" }, path: string, found: PassingFile[]): void {
  for (const { name, node } of directory.entries()) {
    if (node.kind === "file" && !MEMORY.has(name) && node.file.size > 0) found.push({ path: path + name, node });
    if (node.kind === "directory" && !TREES.has(name)) collect(node, `${path}${name}/`, found);
  }
}
