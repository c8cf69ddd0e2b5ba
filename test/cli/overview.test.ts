import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { commandNames, summaries } from "../../src/cli/command-names.js";
import { missingFileHint, nearest } from "../../src/cli/nearest.js";
import { overview } from "../../src/cli/overview.js";
import { everyCommand, runProgram } from "../../src/cli/program.js";
import { openDisk } from "../../src/disk/open.js";
import { tempDirectory } from "../support/temp.js";
import { fakeIo } from "./fake-io.js";

describe("all commands at a glance", () => {
  test("names each of them once, with what its own help says", async () => {
    const commands = await everyCommand(fakeIo());
    expect(commands.map((command) => command.name())).toEqual(commandNames);
    for (const command of commands) {
      expect(command.summary()).toBe(summaries[command.name() as keyof typeof summaries]);
      expect(overview().split(`\n  ${command.name().padEnd(12)}${command.summary()}\n`)).toHaveLength(2);
    }
  });

  test.each([[[]], [["help"]], [["--help"]], [["-h"]]])("is what %j prints", async (words) => {
    const io = fakeIo();
    await runProgram(io, words);
    expect(io.text()).toBe(overview());
  });

  test("fits a terminal", () => {
    for (const line of overview().split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  });
});

describe("did you mean", () => {
  const directory = tempDirectory();
  test.each([
    ["mout", "mount"],
    ["Info", "info"],
    ["conevrt", "convert"],
    ["unmout", "unmount"],
    ["x", undefined],
    ["photographs", undefined],
  ])("%s: %s", (word, expected) => {
    expect(nearest(word, [...commandNames, "unmount"])).toBe(expected);
  });

  test("a misspelt command is not taken for an image", async () => {
    const failure = runProgram(fakeIo(), ["inof", "x"]);
    await expect(failure).rejects.toMatchObject({
      message: 'there is no command "inof", and no image of that name',
      hint: 'Did you mean "flatmount info"?',
    });
  });

  test("the file beside the one that is not there", () => {
    writeFileSync(join(directory, "server.qcow2"), "");
    const hintFor = (name: string) => {
      try {
        openDisk(join(directory, name), {});
      } catch (error) {
        return missingFileHint(error);
      }
      return "opened";
    };
    expect(hintFor("sever.qcow2")).toBe(`There is "${join(directory, "server.qcow2")}".`);
    expect(hintFor("else.vmdk")).toBeUndefined();
    expect(missingFileHint(new Error("else"))).toBeUndefined();
  });
});
