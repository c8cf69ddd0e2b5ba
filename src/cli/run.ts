import { relative } from "node:path";
import { warmDaemon } from "../daemon/warm.js";
import { explain, hintOf } from "../util/explain.js";
import { wantsDaemon } from "./command-names.js";
import type { Io } from "./io.js";
import { missingFileHint } from "./nearest.js";
import { MOUNT_FAILED, MOUNT_HELPER, readHelperWords } from "./mount-helper.js";
import { OutputClosed, standardIo } from "./output.js";

/** Runs the command line of this process. */
export async function run(): Promise<void> {
  const io = standardIo();
  const given = process.argv.slice(2);
  const isHelper = given[0] === MOUNT_HELPER;
  const { words, fake } = isHelper ? readHelperWords(given.slice(1)) : { words: given, fake: false };
  if (fake) return;
  try {
    if (wantsDaemon(words)) warmDaemon();
    const { runProgram } = await import("./program.js");
    await runProgram(io, words);
  } catch (error) {
    if (!(error instanceof OutputClosed)) complain(io, error);
    if (isHelper) process.exitCode = MOUNT_FAILED;
  }
}

function complain(io: Io, error: unknown): void {
  if (process.env["DEBUG"]?.includes("flatmount")) console.error(error);
  const hint = hintOf(error) ?? missingFileHint(error);
  io.err(`flatmount: ${explain(error, shorten)}\n${hint === undefined ? "" : `hint: ${hint}\n`}`);
  process.exitCode = 1;
}

/** A file below the current folder is named as seen from there. */
function shorten(path: string): string {
  const way = relative(process.cwd(), path);
  return way === "" || way.startsWith("..") ? path : way;
}
