import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { systemCode } from "../util/errors.js";
import { harmlessJson } from "../util/text.js";
import type { Io } from "./io.js";

/** The reader of our output has gone, as `head` does when it has enough. Ends a command, and is no failure. */
export class OutputClosed extends Error {
  constructor(cause: unknown) {
    super("nobody reads the output any more", { cause });
    this.name = "OutputClosed";
  }
}

/** The process's own standard output and standard error. */
export function standardIo(): Io {
  const terminal = isatty(1);
  return {
    out: (content) => writeFully(1, typeof content === "string" ? Buffer.from(content) : content),
    err: (text) => writeFully(2, Buffer.from(text)),
    terminal,
    progress: isatty(2) ? "bar" : "none",
    color: terminal && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb",
    // process.stdout is touched only for terminals: it would make a pipe non-blocking, for us and for everybody who shares it.
    columns: terminal ? process.stdout.columns : 80,
  };
}

/** Writes all of `content` to `fd`, waiting as long as its reader takes. Throws `OutputClosed` if there is no reader any more. */
export function writeFully(fd: number, content: Uint8Array): void {
  let done = 0;
  while (done < content.length) {
    try {
      done += writeSync(fd, content, done);
    } catch (error) {
      const code = systemCode(error);
      if (code === "EPIPE") throw new OutputClosed(error);
      if (code !== "EAGAIN") throw error;
      pause(1);
    }
  }
}

const never = new Int32Array(new SharedArrayBuffer(4));

function pause(milliseconds: number): void {
  Atomics.wait(never, 0, 0, milliseconds);
}

/** Text collected before it is written: a system call per line would cost more than the line. */
const BATCH = 64 * 1024;

/** Writes lines as they are made, so that there may be any number of them. If making one fails, those before it are written. */
export function writeLines(io: Io, lines: Iterable<string>): void {
  let batch = "";
  try {
    for (const line of lines) {
      batch += `${line}\n`;
      if (batch.length < BATCH) continue;
      const full = batch;
      batch = "";
      io.out(full);
    }
  } finally {
    if (batch !== "") io.out(batch);
  }
}

/** Writes `value` as indented JSON. */
export function writeJson(io: Io, value: unknown): void {
  io.out(`${harmlessJson(value, 2)}\n`);
}

/** Writes a JSON array as it is made, an element per line. */
export function writeJsonArray(io: Io, elements: Iterable<unknown>): void {
  writeLines(io, jsonArrayLines(elements));
}

function* jsonArrayLines(elements: Iterable<unknown>): Generator<string> {
  let before: string | undefined;
  for (const element of elements) {
    yield before === undefined ? "[" : `${before},`;
    before = `  ${harmlessJson(element)}`;
  }
  if (before === undefined) {
    yield "[]";
    return;
  }
  yield before;
  yield "]";
}
