import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { drivers } from "../../src/formats/registry.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("the support matrix", () => {
  test("of docs/formats.md is what the drivers declare (else run scripts/format-docs.mjs)", () => {
    const { status } = spawnSync(process.execPath, [join(root, "scripts/format-docs.mjs"), "--check"]);
    expect(status).toBe(0);
  });

  test.each(drivers)("of $name has rows, none twice", ({ variants }) => {
    expect(variants.length).toBeGreaterThan(0);
    const names = variants.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test.each(drivers.flatMap(({ name, variants }) => variants.map((variant) => ({ format: name, ...variant }))))(
    "$format, $name: there is the test that proves it",
    ({ proof }) => {
      const [file = "", ...title] = proof.split(": ");
      const path = join(root, "test", file);
      expect(existsSync(path), file).toBe(true);
      expect(readFileSync(path, "utf8")).toContain(title.join(": "));
    },
  );
});
