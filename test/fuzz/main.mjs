// Fuzzing: builds the code with counters, runs each target in a process of its own, watches it, and keeps what it finds. See docs/fuzzing.md.
import { createHash } from "node:crypto";
import { fork } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { instrumenting, prelude } from "./instrument.mjs";

const root = new URL("../..", import.meta.url).pathname;
const usage = `Usage: scripts/fuzz TARGET... [options]    "all": every target, one after the other
       scripts/fuzz --list
       scripts/fuzz TARGET --replay FILE   executes one input, and tells what is wrong

  --time SECONDS      of each target (default 60)
  --executions N      of each target, if they are reached before
  --seed N            other mutants (default 1)
  --corpus DIR        keeps what reached something new there, and goes on from it
  --coverage          tells of each file how many of its lines were reached, and which were not
  --json FILE         writes the numbers there
  --out DIR           where findings are written (default test/fuzz/regressions)
`;

/** Milliseconds after which an execution is taken to go on for ever; the machine may be busy. */
const HANG = 20_000;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
    coverage: { type: "boolean", default: false },
    time: { type: "string", default: "60" },
    executions: { type: "string", default: "Infinity" },
    seed: { type: "string", default: "1" },
    corpus: { type: "string" },
    json: { type: "string" },
    out: { type: "string", default: join(root, "test/fuzz/regressions") },
    replay: { type: "string" },
  },
});

if (options.help || (positionals.length === 0 && !options.list)) {
  process.stdout.write(usage);
  process.exit(options.help ? 0 : 2);
}

const work = mkdtempSync(join(tmpdir(), "flatmount-fuzz-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => process.exit(130));

/** @typedef {{ target: string, executions: number, seconds: number, corpus: number, places: number, findings: Finding[], coverage: FileCoverage[] }} Result */
/** @typedef {{ kind: string, message: string, key: string, stack: string, file: string }} Finding */
/** @typedef {{ file: string, lines: number, covered: number, missed: number[] }} FileCoverage */

const bundle = await makeBundle();
const names = await targetNames();
if (options.list) {
  process.stdout.write(`${names.join("\n")}\n`);
  process.exit(0);
}
const wanted = positionals.includes("all") ? names : positionals;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`scripts/fuzz: there is no target ${unknown.join(", ")}; see scripts/fuzz --list\n`);
  process.exit(2);
}
if (options.corpus !== undefined) mkdirSync(options.corpus, { recursive: true });

/** @type {Result[]} */
const results = [];
for (const name of wanted) {
  const result = await runTarget(name);
  results.push(result);
  if (options.replay === undefined) printResult(result);
}
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
process.exitCode = results.some(({ findings }) => findings.length > 0) ? 1 : 0;

/** One file with everything in it; its counters are known to itself. */
async function makeBundle() {
  const file = join(work, "worker.cjs");
  /** @type {import("./instrument.mjs").Found} */
  const found = { places: [], vocabulary: [] };
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ["test/fuzz/worker.ts"],
    bundle: true,
    write: false,
    format: "cjs",
    platform: "node",
    target: "node20.19",
    sourcemap: "inline",
    external: ["fuse-native", "vitest"],
    plugins: [instrumenting(root, found)],
  });
  // In one line, so that the source map stays right.
  writeFileSync(file, `${prelude(found).replaceAll("\n", " ")}${outputFiles[0]?.text ?? ""}`);
  return file;
}

/** @returns {Promise<string[]>} */
async function targetNames() {
  const file = join(work, "list.cjs");
  writeFileSync(
    join(work, "list.ts"),
    `import { targets } from ${JSON.stringify(join(root, "test/fuzz/targets.ts"))};\nprocess.send?.(targets.map(({ name }) => name));\n`,
  );
  await build({
    absWorkingDir: root,
    entryPoints: [join(work, "list.ts")],
    bundle: true,
    outfile: file,
    format: "cjs",
    platform: "node",
    external: ["fuse-native", "vitest"],
    plugins: [instrumenting(root, { places: [], vocabulary: [] })].slice(1),
    define: { "import.meta.url": JSON.stringify(new URL("../../src/native/binding.ts", import.meta.url).href) },
  });
  return new Promise((answer) =>
    fork(file, { stdio: ["ignore", "inherit", "inherit", "ipc"] }).once("message", (list) => answer(/** @type {string[]} */ (list))),
  );
}

/** @param {string} name @returns {Promise<Result>} */
async function runTarget(name) {
  const corpus = join(options.corpus ?? work, `${name}.corpus`);
  /** @type {Result} */
  const total = { target: name, executions: 0, seconds: 0, corpus: 0, places: 0, findings: [], coverage: [] };
  let left = { seconds: Number(options.time), executions: Number(options.executions) };
  for (let round = 0; round < 50 && left.seconds > 0 && left.executions > 0; round += 1) {
    const order = {
      target: name,
      seconds: left.seconds,
      executions: left.executions === Number.POSITIVE_INFINITY ? 2 ** 50 : left.executions,
      seed: Number(options.seed) + round * 7919,
      watch: join(work, "watch"),
      corpus,
      ...(options.replay !== undefined && { replay: resolve(options.replay) }),
    };
    const { executions, seconds, ended } = await runOnce(order, total);
    total.executions += executions;
    total.seconds += seconds;
    left = { seconds: left.seconds - seconds, executions: left.executions - executions };
    if (ended) break;
  }
  return total;
}

/**
 * One process; it is ended when one input takes too long.
 * @param {{ target: string, watch: string } & Record<string, unknown>} order
 * @param {Result} total
 * @returns {Promise<{ executions: number, seconds: number, ended: boolean }>}
 */
function runOnce(order, total) {
  const begin = performance.now();
  rmSync(order.watch, { force: true });
  const child = fork(bundle, [JSON.stringify(order)], {
    execArgv: ["--enable-source-maps", "--max-old-space-size=3072", "--stack-size=980"],
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  return new Promise((done) => {
    let ended = order["replay"] !== undefined;
    let hung = false;
    let last = { count: 0n, since: performance.now() };
    child.on("message", (/** @type {any} */ message) => {
      if (message.type === "finding") keepFinding(total, order.target, message);
      if (message.type !== "end") return;
      ended = true;
      Object.assign(total, { corpus: message.corpus, places: message.places, coverage: message.coverage });
    });
    const timer = setInterval(() => {
      const { count } = readWatch(order.watch);
      if (count !== last.count) last = { count, since: performance.now() };
      // Nothing was executed yet: seeds are being made.
      const patience = count === 0n ? 6 * HANG : HANG;
      if (performance.now() - last.since < patience) return;
      hung = true;
      child.kill("SIGKILL");
    }, 500);
    child.on("exit", (code, signal) => {
      clearInterval(timer);
      const { count, input } = readWatch(order.watch);
      const bad = hung || signal !== null || code !== 0;
      if (bad && input) {
        const kind = hung ? "hang" : "crash";
        const message = hung ? `more than ${HANG / 1000} s` : `the process ended with ${signal ?? code}`;
        keepFinding(total, order.target, { kind, message, key: `${kind} ${count}`, stack: "", input: gzipSync(input).toString("base64") });
      } else if (bad) {
        throw new Error(`${order.target}: the process ended with ${signal ?? code} before it began`);
      }
      done({ executions: Number(count), seconds: (performance.now() - begin) / 1000, ended: ended && !bad });
    });
  });
}

/** @param {string} file @returns {{ count: bigint, input?: Buffer }} */
function readWatch(file) {
  if (!existsSync(file)) return { count: 0n };
  const bytes = readFileSync(file);
  if (bytes.length < 12) return { count: 0n };
  return { count: bytes.readBigUInt64LE(0), input: bytes.subarray(12, 12 + bytes.readUInt32LE(8)) };
}

/**
 * @param {Result} total
 * @param {string} target
 * @param {{ kind: string, message: string, key: string, stack: string, input: string }} found
 */
function keepFinding(total, target, { kind, message, key, stack, input }) {
  if (total.findings.some((each) => each.key === key)) return;
  const bytes = Buffer.from(input, "base64");
  const folder = join(options.out, target);
  const file = join(folder, `${kind}-${createHash("sha1").update(bytes).digest("hex").slice(0, 10)}.gz`);
  if (options.replay === undefined) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, bytes);
  }
  total.findings.push({ kind, message, key, stack, file });
  const frames = stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 12);
  process.stdout.write(
    `${target}: ${kind}: ${message}\n${frames.map((line) => `${line}\n`).join("")}${options.replay === undefined ? `  ${file}\n` : ""}`,
  );
}

/** @param {Result} result */
function printResult({ target, executions, seconds, corpus, places, findings, coverage }) {
  const lines = coverage.reduce((sum, each) => sum + each.lines, 0);
  const covered = coverage.reduce((sum, each) => sum + each.covered, 0);
  const percent = lines === 0 ? "" : `, ${((100 * covered) / lines).toFixed(1)} % of ${lines} lines`;
  const rate = Math.round(executions / Math.max(seconds, 0.001));
  process.stdout.write(
    `${target.padEnd(15)} ${String(executions).padStart(9)} executions, ${String(rate).padStart(6)}/s, corpus ${corpus}, ${places} places${percent}, findings ${findings.length}\n`,
  );
  if (!options.coverage) return;
  for (const { file, lines: all, covered: reached, missed } of coverage) {
    const share = all === 0 ? 100 : (100 * reached) / all;
    process.stdout.write(
      `  ${share.toFixed(1).padStart(5)} %  ${file}${missed.length > 0 ? `  not reached: ${missed.slice(0, 40).join(", ")}` : ""}\n`,
    );
  }
}
