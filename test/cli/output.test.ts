import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { OutputClosed, writeFully, writeJson, writeJsonArray, writeLines } from "../../src/cli/output.js";
import { noise } from "../support/content.js";
import { difference } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";
import { fakeIo } from "./fake-io.js";

describe("writing to a pipe", () => {
  const directory = tempDirectory();

  /** Opens a pipe whose other end `script` reads, with the pipe's path as $0, as shells hand them over when they share one. */
  async function pipeTo(name: string, script: string): Promise<{ fd: number; ended: Promise<unknown> }> {
    const path = join(directory, name);
    execFileSync("mkfifo", [path]);
    const reader = spawn("sh", ["-c", script, path], { cwd: directory, stdio: "ignore" });
    const ended = once(reader, "exit");
    for (;;) {
      try {
        return { fd: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK), ended };
      } catch {
        // ENXIO: the reader has not opened it yet.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  test("waits for a slow reader of a pipe that does not block", async () => {
    const content = noise(1, 3 * 2 ** 20 + 17);
    const { fd, ended } = await pipeTo("slow", 'exec < "$0"; sleep 0.3; cat > slow.out');
    writeFully(fd, content);
    closeSync(fd);
    await ended;
    expect(difference(readFileSync(join(directory, "slow.out")), content)).toBeUndefined();
  });

  test("ends with OutputClosed when the reader goes", async () => {
    const { fd, ended } = await pipeTo("short", 'exec < "$0"; head -c 1000 > short.out');
    expect(() => writeFully(fd, noise(2, 3 * 2 ** 20))).toThrow(OutputClosed);
    closeSync(fd);
    await ended;
    expect(readFileSync(join(directory, "short.out"))).toHaveLength(1000);
  });

  test("any other failure is passed on", () => {
    const fd = openSync("/dev/null", "r");
    expect(() => writeFully(fd, noise(3, 10))).toThrow("EBADF");
    closeSync(fd);
  });
});

describe("lines", () => {
  test("are collected, but not all of them", () => {
    const io = fakeIo();
    const lines = Array.from({ length: 50_000 }, (_, index) => `line ${index}`);
    writeLines(io, lines);
    expect(io.text()).toBe(`${lines.join("\n")}\n`);
    expect(io.writes()).toBeGreaterThan(5);
    expect(io.writes()).toBeLessThan(50);
  });

  test("before a failure are written", () => {
    const io = fakeIo();
    function* lines() {
      yield "one";
      yield "two";
      throw new Error("no more");
    }
    expect(() => writeLines(io, lines())).toThrow("no more");
    expect(io.text()).toBe("one\ntwo\n");
  });
});

describe("JSON", () => {
  const arrayText = (elements: readonly unknown[]) => {
    const io = fakeIo();
    writeJsonArray(io, elements);
    return io.text();
  };

  test("an array has an element per line", () => {
    expect(arrayText([])).toBe("[]\n");
    expect(arrayText([{ a: 1 }])).toBe('[\n  {"a":1}\n]\n');
    expect(arrayText([{ a: 1 }, "b", 3])).toBe('[\n  {"a":1},\n  "b",\n  3\n]\n');
  });

  test("means the same with everything escaped that steers a terminal", () => {
    const value = { name: "\x00\x1b[31m\x7f\u009b2J\u202e\u2028\u{e0001}\ud800 end", list: ["é", "日本", "😀"] };
    const io = fakeIo();
    writeJson(io, value);
    expect(io.text()).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\p{Cf}\p{Zl}]/u);
    expect(io.text()).toContain("日本");
    expect(JSON.parse(io.text())).toEqual(value);
    expect(JSON.parse(arrayText([value]))).toEqual([value]);
  });
});
