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

  test("says nothing of what is quick, or to a program", () => {
    expect(run(true, 0.9)).toBe("");
    expect(run(false, 4)).toBe("");
  });
});
