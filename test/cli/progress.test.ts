import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createProgressBar } from "../../src/cli/progress.js";
import type { Io } from "../../src/cli/io.js";
import { fakeIo } from "./fake-io.js";

describe("progress", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function run(progress: Io["progress"], seconds: number): string {
    let text = "";
    const io = { ...fakeIo(), progress, columns: 200, err: (part: string) => void (text += part) };
    const bar = createProgressBar(io, "reading through");
    for (let at = 0; at <= seconds * 10; at += 1) {
      bar.step({ file: "/x/disk.raw.gz", done: at * 2 ** 20, size: 100 * 2 ** 20 });
      vi.advanceTimersByTime(100);
    }
    bar.end();
    return text;
  }

  test("tells part, rate and what is left, and goes away", () => {
    const lines = run("bar", 4).split("\r\x1b[K");
    expect(lines.at(-2)).toBe("reading through disk.raw.gz [##########--------------] 40 % 10 MiB/s, 6 s left");
    expect(lines.at(-1)).toBe("");
  });

  test.each([
    [1000, "1 min 39 s"],
    [100_000, "2 h 46 min"],
  ])("what takes long is told in minutes and hours: %d s", (seconds, left) => {
    let text = "";
    const io = { ...fakeIo(), progress: "bar" as const, columns: 200, err: (part: string) => void (text += part) };
    const bar = createProgressBar(io, "converting");
    bar.step({ file: "disk.raw", done: 0, size: seconds * 2 ** 20 });
    const passed = seconds === 1000 ? 901 : 90_010;
    vi.advanceTimersByTime(passed * 1000);
    bar.step({ file: "disk.raw", done: passed * 2 ** 20, size: seconds * 2 ** 20 });
    expect(text).toMatch(/^\r.{3}converting disk\.raw \[/);
    expect(text).toContain(`1 MiB/s, ${left} left`);
  });

  test("tells programs all of it, the first and the last step too, in lines", () => {
    const lines = run("lines", 0.9)
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    const size = 100 * 2 ** 20;
    const line = (done: number, seconds: number, remaining: number) => ({
      ...{ what: "reading through", file: "/x/disk.raw.gz", done: done * 2 ** 20, size, seconds, remaining },
    });
    expect(lines).toEqual([line(0, 0, 0), line(2, 0.2, 10), line(4, 0.4, 10), line(6, 0.6, 10), line(8, 0.8, 10), line(9, 0.9, 10)]);
  });

  test("a step that follows another is told of from its beginning", () => {
    const told: string[] = [];
    const bar = createProgressBar({ ...fakeIo(), progress: "lines", err: (text) => told.push(text) }, "converting");
    bar.step({ file: "a", done: 1, size: 2 });
    bar.step({ file: "a", done: 2, size: 2 });
    bar.step({ what: "verifying", file: "a", done: 0, size: 2 });
    bar.end();
    expect(told.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { what: "converting", done: 1 },
      { what: "converting", done: 2 },
      { what: "verifying", done: 0 },
    ]);
  });

  test("says nothing of what is quick, or to a program", () => {
    expect(run("bar", 0.9)).toBe("");
    expect(run("none", 4)).toBe("");
  });
});
