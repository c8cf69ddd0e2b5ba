#!/usr/bin/env node
import { relative } from "node:path";
import { explain, hintOf } from "../util/explain.js";
import { createProgram } from "./program.js";

try {
  await createProgram().parseAsync();
} catch (error) {
  if (process.env["DEBUG"]?.includes("flatmount")) console.error(error);
  const hint = hintOf(error);
  process.stderr.write(`flatmount: ${explain(error, shorten)}\n${hint === undefined ? "" : `hint: ${hint}\n`}`);
  process.exitCode = 1;
}

/** A file below the current folder is named as seen from there. */
function shorten(path: string): string {
  const way = relative(process.cwd(), path);
  return way === "" || way.startsWith("..") ? path : way;
}
