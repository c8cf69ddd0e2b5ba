import { basename } from "node:path";
import type { Progress } from "../disk/unpack.js";
import { formatSize } from "../util/size.js";
import { printable } from "../util/text.js";
import type { Io } from "./io.js";

/** Nothing is said about what takes less, in milliseconds. */
const QUIET = 1000;
/** Between two lines, in milliseconds. */
const INTERVAL = 200;
const BAR_WIDTH = 24;

export interface ProgressBar {
  readonly step: Progress;
  /** Takes the bar away. */
  end(): void;
}

/** Shows on a terminal how far a long step is; says nothing where nobody looks. */
export function createProgressBar({ err, errTerminal, columns }: Io, what: string): ProgressBar {
  if (!errTerminal) return { step: () => undefined, end: () => undefined };
  let started = 0;
  let file = "";
  let shown = 0;
  let isThere = false;
  return {
    step({ file: current, done, size }) {
      const now = Date.now();
      if (current !== file) [started, file] = [now, current];
      if (now - started < QUIET || now - shown < INTERVAL) return;
      shown = now;
      isThere = true;
      const part = size > 0 ? Math.min(1, done / size) : 1;
      const seconds = (now - started) / 1000;
      const left = part > 0 ? Math.ceil((seconds / part) * (1 - part)) : 0;
      const bar = "#".repeat(Math.round(part * BAR_WIDTH)).padEnd(BAR_WIDTH, "-");
      const about = `${what} ${printable(basename(current))}`.trimStart();
      const line = `${about} [${bar}] ${Math.floor(part * 100)} % ${formatSize(Math.round(done / seconds))}/s, ${formatTime(left)} left`;
      err(`\r\x1b[K${line.slice(0, Math.max(20, columns - 1))}`);
    },
    end() {
      if (isThere) err("\r\x1b[K");
      isThere = false;
    },
  };
}

/** `40 s`, `5 min 3 s`, `2 h 10 min`. */
function formatTime(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
