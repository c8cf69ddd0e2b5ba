import { expect, test } from "vitest";
import { walkBelow } from "../../src/library/tree.js";
import { type DirectoryNode, directoryNode, type Node } from "../../src/tree/node.js";

test("a directory that holds itself, at any depth, is not entered again", () => {
  const root: DirectoryNode = {
    ...directoryNode(1, 0o555, 0, []),
    entries: () => [{ name: "a", node: below }],
  };
  const below: DirectoryNode = {
    ...directoryNode(2, 0o555, 0, []),
    entries: () => [
      { name: "self", node: below },
      { name: "up", node: root },
    ],
  };
  expect(Array.from(walkBelow(root), ({ path }) => path)).toEqual(["a", "a/self", "a/up"]);
});

test("the same directory in two places is entered in both", () => {
  const shared: Node = directoryNode(3, 0o555, 0, [{ name: "x", node: directoryNode(4, 0o555, 0, []) }]);
  const root = directoryNode(1, 0o555, 0, [
    { name: "a", node: shared },
    { name: "b", node: shared },
  ]);
  expect(Array.from(walkBelow(root), ({ path }) => path)).toEqual(["a", "a/x", "b", "b/x"]);
});

test("a tree of any depth is walked", () => {
  let node = directoryNode(20_000, 0o555, 0, []);
  for (let id = 19_999; id > 0; id -= 1) node = directoryNode(id, 0o555, 0, [{ name: "d", node }]);
  expect([...walkBelow(node)]).toHaveLength(19_999);
});
