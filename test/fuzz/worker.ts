// The process that executes a target until its time, or its number, is over. What it does is written to a file first: whoever watches can tell what it died of.
import { existsSync, openSync, readFileSync, writeFileSync, writevSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";
import { coverageOf } from "./counters.js";
import { createEngine, type Finding, findingOf } from "./engine.js";
import { type Input, packInput, parseInput, partsOf, unpackInput } from "./input.js";
import { targetNamed } from "./targets.js";

/** What the parent asks for; the only argument, as JSON. */
interface Order {
  readonly target: string;
  readonly seconds: number;
  readonly executions: number;
  readonly seed: number;
  /** Bytes 0 to 7: executions so far; 8 to 11: length of the input that follows. */
  readonly watch: string;
  /** Inputs that reached something new, kept from one process to the next. */
  readonly corpus: string;
  /** Executes just this file, thoroughly. */
  readonly replay?: string;
}

const SAVE_EVERY = 15_000;

const order = JSON.parse(process.argv[2] ?? "{}") as Order;
const target = targetNamed(order.target);
// Every refusal is an error object: their stacks are only made for what is found.
Error.stackTraceLimit = 0;

const watch = openSync(order.watch, "w+");
const head = Buffer.alloc(12);
let count = 0n;

/** One call per execution: it costs some microseconds. */
function announce(input: Input): void {
  const [header, data] = partsOf(input);
  count += 1n;
  head.writeBigUInt64LE(count, 0);
  head.writeUInt32LE(header.length + data.length, 8);
  writevSync(watch, [head, header, data], 0);
}

function tell(message: Readonly<Record<string, unknown>>): void {
  process.send?.(message);
}

function tellFinding({ kind, message, key, stack, input }: Finding): void {
  tell({ type: "finding", kind, message, key, stack, input: packInput(input).toString("base64") });
}

if (order.replay !== undefined) {
  const bytes = readFileSync(order.replay);
  const input = bytes[0] === 0x1f ? unpackInput(bytes) : parseInput(bytes);
  announce(input);
  const finding = findingOf(target, input, true);
  if (finding) tellFinding(finding);
} else {
  fuzz();
}
process.disconnect();

function fuzz(): void {
  const engine = createEngine(target, { seed: order.seed, before: announce, onFinding: tellFinding });
  const begin = performance.now();
  for (const input of [...target.seeds(), ...load(order.corpus)]) engine.add(input);
  let saved = performance.now();
  const elapsed = () => performance.now() - begin;
  while (engine.executions < order.executions && elapsed() < order.seconds * 1000) {
    for (let step = 0; step < 64; step += 1) engine.step();
    if (performance.now() - saved < SAVE_EVERY) continue;
    save(order.corpus, engine.corpus);
    saved = performance.now();
  }
  save(order.corpus, engine.corpus);
  const counters = globalThis.fuzzCounters;
  tell({
    type: "end",
    executions: engine.executions,
    seconds: elapsed() / 1000,
    corpus: engine.corpus.length,
    places: engine.reached?.seen.reduce((sum, bits) => sum + (bits === 0 ? 0 : 1), 0) ?? 0,
    coverage: counters && engine.reached ? coverageOf(counters, engine.reached.seen, target.scope) : [],
  });
}

function save(path: string, corpus: readonly Input[]): void {
  const parts = corpus.flatMap((input) => {
    const [header, data] = partsOf(input);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(header.length + data.length);
    return [length, header, data];
  });
  writeFileSync(path, gzipSync(Buffer.concat(parts), { level: 1 }));
}

function load(path: string): readonly Input[] {
  if (!existsSync(path)) return [];
  const all = gunzipSync(readFileSync(path));
  const inputs: Input[] = [];
  for (let at = 0; at + 4 <= all.length; ) {
    const end = at + 4 + all.readUInt32LE(at);
    inputs.push(parseInput(all.subarray(at + 4, end)));
    at = end;
  }
  return inputs;
}
