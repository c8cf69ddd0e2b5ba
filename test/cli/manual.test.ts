import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { commandNames } from "../../src/cli/command-names.js";
import { documentationFiles } from "../../src/cli/manual/files.js";
import { commandPage } from "../../src/cli/manual/page.js";
import { requireProgram } from "../support/qemu.js";

const pages = [...(await documentationFiles("1.2.3", "2026-01-02"))].filter(([path]) => path.startsWith("man/"));

describe("manual pages", () => {
  test("there is one for each command, and one for the program", () => {
    expect(pages.map(([path]) => path).sort()).toEqual(
      ["man/flatmount.1", ...commandNames.map((name) => `man/flatmount-${name}.1`)].sort(),
    );
  });

  test.skipIf(!requireProgram("mandoc")).each(pages)("%s: mandoc has nothing to say, and prints all of it", (_, page) => {
    const lint = spawnSync("mandoc", ["-T", "lint", "-W", "warning"], { input: page, encoding: "utf8" });
    expect(lint.stdout).toBe("");
    const { stdout } = spawnSync("mandoc", ["-T", "ascii"], { input: page, encoding: "utf8" });
    const shown = stdout.replaceAll(/.\u0008/g, "");
    for (const part of ["NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO", "flatmount 1.2.3", "2026-01-02"]) expect(shown).toContain(part);
  });

  test.skipIf(!requireProgram("mandoc"))("what roff would take for its own is printed as it stands", () => {
    const page = commandPage(
      {
        name: "x",
        aliases: [],
        summary: "try",
        description: ".TH is no macro here, 'nor this, and C:\\new is a path",
        operands: [],
        options: [{ short: undefined, long: "--a-b", description: "do it", value: "file", choices: ["one", "two"] }],
        notes: "Some words.\n\nExamples:\n  flatmount x -o a\n  .hidden",
      },
      "1",
      "2026-01-02",
    );
    const { stdout } = spawnSync("mandoc", ["-T", "ascii"], { input: page, encoding: "utf8" });
    const shown = stdout.replaceAll(/.\u0008/g, "");
    for (const part of [
      ".TH is no macro here, 'nor this, and C:\\new is a path",
      "--a-b file",
      "Do it: one, two.",
      "NOTES",
      "  flatmount x -o a",
      "  .hidden",
    ])
      expect(shown).toContain(part);
  });
});
