#!/usr/bin/env node
import { relative } from "node:path";
import { explain, hintOf } from "../util/explain.js";
import { OutputClosed, standardIo } from "./output.js";
import { runProgram } from "./program.js";

const io = standardIo();
try {
  await runProgram(io, process.argv.slice(2));
} catch (error) {
  if (!(error instanceof OutputClosed)) complain(error);
}

function complain(error: unknown): void {
  if (process.env["DEBUG"]?.includes("flatmount")) console.error(error);
  const hint = hintOf(error);
  io.err(`flatmount: ${explain(error, shorten)}\n${hint === undefined ? "" : `hint: ${hint}\n`}`);
  process.exitCode = 1;
}

/** A file below the current folder is named as seen from there. */
function shorten(path: string): string {
  const way = relative(process.cwd(), path);
  return way === "" || way.startsWith("..") ? path : way;
}
