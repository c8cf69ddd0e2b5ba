import type { Node, Tree } from "../../src/tree/node.js";

/** The tree below `root`, all of its nodes in memory. */
export function indexTree(root: Node): Tree {
  const byId = new Map<number, Node>();
  const add = (node: Node): void => {
    byId.set(node.id, node);
    if (node.kind === "directory") for (const entry of node.entries()) add(entry.node);
  };
  add(root);
  return { root, node: (id) => byId.get(id) };
}
