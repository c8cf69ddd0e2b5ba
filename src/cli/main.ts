#!/usr/bin/env node
import { relative } from "node:path";
import { ImageError, UserError } from "../util/errors.js";
import { hex, printable } from "../util/text.js";
import { createProgram } from "./program.js";

try {
  await createProgram().parseAsync();
} catch (error) {
  for (const line of explain(error)) process.stderr.write(`${line}\n`);
  process.exitCode = 1;
}

/** One line that says what is wrong, and one that says what to do, if the user can do something. */
function explain(error: unknown): readonly string[] {
  if (process.env["DEBUG"]?.includes("flatmount")) console.error(error);
  if (error instanceof ImageError) {
    const file = error.file === undefined ? "" : `${printable(shorten(error.file))}: `;
    const where = error.position === undefined ? "" : ` (at byte ${hex(error.position)})`;
    return [`flatmount: ${file}${error.message}${where}`, ...hint(error.hint)];
  }
  if (error instanceof UserError) return [`flatmount: ${error.message}`, ...hint(error.hint)];
  const message = error instanceof Error ? error.message : String(error);
  return [`flatmount: ${message}`, "hint: Set DEBUG=flatmount:* to see where this comes from."];
}

function hint(text: string | undefined): readonly string[] {
  return text === undefined ? [] : [`hint: ${text}`];
}

/** A file below the current folder is named as seen from there. */
function shorten(path: string): string {
  const way = relative(process.cwd(), path);
  return way === "" || way.startsWith("..") ? path : way;
}
