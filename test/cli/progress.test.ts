import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createProgressBar } from "../../src/cli/progress.js";
import { fakeIo } from "./fake-io.js";

describe("progress", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_000_000 });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function run(errTerminal: boolean, seconds: number): string {
    let text = "";
    const io = { ...fakeIo(), errTerminal, columns: 200, err: (part: string) => void (text += part) };
    const bar = createProgressBar(io, "reading through");
    for (let at = 0; at <= seconds * 10; at += 1) {
      bar.step({ file: "/x/disk.raw.gz", done: at * 2 ** 20, size: 100 * 2 ** 20 });
      vi.advanceTimersByTime(100);
    }
    bar.end();
    return text;
  }

  test("tells part, rate and what is left, and goes away", () => {
    const lines = run(true, 4).split("\r\x1b[K");
    expect(lines.at(-2)).toBe("reading through disk.raw.gz [##########--------------] 40 % 10 MiB/s, 6 s left");
    expect(lines.at(-1)).toBe("");
  });

  test.each([
    [1000, "1 min 39 s"],
    [100_000, "2 h 46 min"],
  ])("what takes long is told in minutes and hours: %d s", (seconds, left) => {
    let text = "";
    const bar = createProgressBar({ ...fakeIo(), errTerminal: true, columns: 200, err: (part: string) => void (text += part) }, "");
    bar.step({ file: "converting disk.raw", done: 0, size: seconds * 2 ** 20 });
    const passed = seconds === 1000 ? 901 : 90_010;
    vi.advanceTimersByTime(passed * 1000);
    bar.step({ file: "converting disk.raw", done: passed * 2 ** 20, size: seconds * 2 ** 20 });
    expect(text).toMatch(/^\r.{3}converting disk\.raw \[/);
    expect(text).toContain(`1 MiB/s, ${left} left`);
  });

  test("says nothing of what is quick, or to a program", () => {
    expect(run(true, 0.9)).toBe("");
    expect(run(false, 4)).toBe("");
  });
});
