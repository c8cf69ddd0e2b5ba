import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const page = fileURLToPath(new URL("../../docs/decisions/003-field-facts.md", import.meta.url));

/** Rows of the page's tables, without their heads. */
const rows = readFileSync(page, "utf8")
  .split("\n")
  .filter((line, index, lines) => line.startsWith("| ") && !/^\|-/.test(lines[index + 1] ?? ""))
  .map((line) => ({ line, links: [...line.matchAll(/\[((?:\\.|[^\]\\])*)\]\(([^)]*)\)/g)] }));

describe("the page of what is known of the field", () => {
  test("has every fact but those that are no matter of reading, and in order", () => {
    const numbers = rows.flatMap(({ line }) => /^\| (\d+) \|/.exec(line)?.[1] ?? []).map(Number);
    const all = Array.from({ length: 123 }, (_, index) => index + 1).filter((number) => number !== 121 && number !== 123);
    expect(numbers).toEqual(all);
  });

  test.each(rows)("$line", ({ links }) => {
    expect(links.length).toBeGreaterThan(0);
    for (const [, text = "", target = ""] of links) {
      const path = join(page, "..", target);
      const title = text.replace(/\\(.)/g, "$1");
      expect(existsSync(path), target).toBe(true);
      const source = readFileSync(path, "utf8");
      // As the whole of a string, not in the midst of one.
      const quoted = ['"', "'", "`"].some((quote) => source.includes(`${quote}${title}${quote}`));
      expect(quoted, `${title} in ${target}`).toBe(true);
    }
  });
});
