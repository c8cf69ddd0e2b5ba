// Programs: run to their end, left running in the background, found again by a mark in their environment.
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

const MARK = "FLATMOUNT_BENCH";

/**
 * Runs a program to its end and gives what it printed; throws what it said if it fails.
 * @param {readonly string[]} command
 * @param {{ seconds?: number }} [limits]
 * @returns {Promise<{ stdout: string, stderr: string }>}
 */
export async function run([program = "", ...args], { seconds = 300 } = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, LC_ALL: "C" }, timeout: seconds * 1000 });
  const output = collect(child);
  const [code, signal] = await ended(child);
  if (code === 0) return output;
  throw new Error(`${program} ${args.join(" ")}: ended with ${signal ?? `status ${code}`}\n${output.stderr}`);
}

/**
 * Starts a program that serves a view. It, and every daemon it leaves behind, carries `mark` in its environment.
 * @param {readonly string[]} command
 * @param {string} mark
 */
export function start([program = "", ...args], mark) {
  // A session of its own: Ctrl-C must reach the benchmark alone, which then unmounts in order.
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, env: { ...process.env, [MARK]: mark } });
  const state = { child, output: collect(child), /** @type {string | undefined} */ end: undefined, failed: false };
  child.once("error", (error) => Object.assign(state, { end: error.message, failed: true }));
  child.once("exit", (code, signal) => Object.assign(state, { end: signal ?? `status ${code}`, failed: code !== 0 }));
  return state;
}

/** @param {import("node:child_process").ChildProcess} child */
function collect(child) {
  const output = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text) => (output.stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text) => (output.stderr += text));
  return output;
}

/** @returns {Promise<[number | null, NodeJS.Signals | null]>} */
function ended(/** @type {import("node:child_process").ChildProcess} */ child) {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve([code, signal]));
  });
}

/**
 * The processes that carry `mark`.
 * @param {string} mark
 * @returns {number[]}
 */
export function marked(mark) {
  const pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return pids.filter((pid) => readProc(pid, "environ").split("\0").includes(`${MARK}=${mark}`));
}

/**
 * Resident memory of the processes that carry `mark`, summed, in bytes. `peak` sums what each needed at most.
 * @param {string} mark
 */
export function memoryOf(mark) {
  const sum = (/** @type {string} */ field) =>
    marked(mark).reduce(
      (total, pid) => total + 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readProc(pid, "status"))?.[1] ?? 0),
      0,
    );
  return { now: sum("VmRSS"), peak: sum("VmHWM") };
}

/** Empty for a process that has gone, or is somebody else's. */
function readProc(/** @type {number} */ pid, /** @type {string} */ name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return "";
  }
}

/**
 * What a program prints about its version, the number only; undefined if it is not installed.
 * @param {readonly string[]} command
 */
export function versionOf([program = "", ...args]) {
  const { error, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return error ? undefined : (/\d+(?:\.\d+)+|\d{8}/.exec(stdout + stderr)?.[0] ?? "unknown version");
}

/** @param {number} milliseconds */
export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
