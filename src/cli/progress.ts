import { basename } from "node:path";
import { formatSize } from "../util/size.js";
import { printable } from "../util/text.js";
import type { Io } from "./io.js";

/** A person is told nothing about what takes less, in milliseconds. */
const QUIET = 1000;
/** Between two lines, in milliseconds. */
const INTERVAL = 200;
const BAR_WIDTH = 24;

/** How far a step is. */
export interface Step {
  /** What is done, if that changes meanwhile. */
  readonly what?: string;
  readonly file: string;
  /** Bytes. */
  readonly done: number;
  readonly size: number;
}

export interface ProgressBar {
  readonly step: (step: Step) => void;
  /** Takes the bar away. */
  end(): void;
}

/** A line of `--json-progress` (docs/schemas/progress.schema.json). */
interface ProgressLine extends Required<Step> {
  /** Since the step began. */
  readonly seconds: number;
  /** Estimated. */
  readonly remaining: number;
}

/** Tells how far a long step is, in the way that `io` asks for. `what`: what is done, such as `checking`. */
export function createProgressBar(io: Io, what: string): ProgressBar {
  if (io.progress === "none") return { step: () => undefined, end: () => undefined };
  const bar = io.progress === "lines" ? jsonLines(io) : terminalBar(io);
  let started = 0;
  let current = "";
  let told = 0;
  let last: ProgressLine | undefined;
  const end = () => {
    bar.end(last);
    last = undefined;
  };
  return {
    end,
    step(step) {
      const now = Date.now();
      const line = { what, ...step };
      const key = `${line.what} ${line.file}`;
      if (key !== current) {
        end();
        [started, current, told] = [now, key, 0];
      }
      const part = line.size > 0 ? Math.min(1, line.done / line.size) : 1;
      const seconds = (now - started) / 1000;
      last = { ...line, seconds, remaining: part > 0 ? Math.ceil((seconds / part) * (1 - part)) : 0 };
      if (now - started < bar.quiet || now - told < INTERVAL) return;
      told = now;
      bar.tell(last);
      last = undefined;
    },
  };
}

/** How steps are told. */
interface Teller {
  /** Milliseconds in which nothing is told. */
  readonly quiet: number;
  tell(line: ProgressLine): void;
  /** `untold`: what came last, if it was not told. */
  end(untold: ProgressLine | undefined): void;
}

function jsonLines({ err }: Io): Teller {
  const tell = ({ what, file, done, size, seconds, remaining }: ProgressLine) =>
    err(`${JSON.stringify({ what, file, done, size, seconds, remaining })}\n`);
  return { quiet: 0, tell, end: (untold) => untold && tell(untold) };
}

function terminalBar({ err, columns }: Io): Teller {
  let isThere = false;
  return {
    quiet: QUIET,
    tell({ what, file, done, size, seconds, remaining }) {
      isThere = true;
      const part = size > 0 ? Math.min(1, done / size) : 1;
      const bar = "#".repeat(Math.round(part * BAR_WIDTH)).padEnd(BAR_WIDTH, "-");
      const rate = formatSize(Math.round(done / seconds));
      const line = `${what} ${printable(basename(file))} [${bar}] ${Math.floor(part * 100)} % ${rate}/s, ${formatTime(remaining)} left`;
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
