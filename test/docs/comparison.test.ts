// docs/comparison.md: no cell is left out, and what is said of flatmount is proven by a test or explained.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const folder = fileURLToPath(new URL("../../docs", import.meta.url));
const page = readFileSync(join(folder, "comparison.md"), "utf8");

/** The tables of the page: each a list of rows, the first of which has the names of the columns. */
const tables = page
  .split(/\n\n/)
  .filter((part) => part.startsWith("| feature |"))
  .map((part) =>
    part
      .trimEnd()
      .split("\n")
      .filter((line) => !/^\|(?:-+\|)+$/.test(line))
      .map((line) => line.slice(1, -1).split("|"))
      .map((cells) => cells.map((cell) => cell.trim())),
  );
const rows = tables.flatMap(([head = [], ...others]) => others.map((cells) => ({ head, cells })));

describe("docs/comparison.md", () => {
  test("has both tables, with flatmount first", () => {
    expect(tables.map(([head]) => head?.slice(0, 2))).toEqual([
      ["feature", "flatmount"],
      ["feature", "flatmount"],
    ]);
    expect(rows.length).toBeGreaterThan(40);
  });

  test.each(rows.map(({ head, cells }) => [cells[0] ?? "", head, cells] as const))("%s", (name, head, cells) => {
    expect(cells).toHaveLength(head.length);
    const [own = "", ...others] = cells.slice(1);
    const [, mark, test] = /^\[([YP])\]\(([^)]+)\)(?:: \S.*)?$/.exec(own) ?? [];
    if (mark === undefined) expect(own).toMatch(/^N: \S/);
    else expect(existsSync(join(folder, test ?? ""))).toBe(true);
    // What is had in part says which.
    if (mark === "P") expect(own).toContain("): ");
    for (const cell of others) expect(cell).toMatch(name === "image formats" ? /\S/ : /^(?:Y|P|N|·|\?)(?: \/ [YPN])?(?: \([^)]+\))?$/);
  });
});
