import { type Counters, createReached, inScope, type Reached } from "./counters.js";
import type { Input } from "./input.js";
import { mutate, type Parent, type Vocabulary } from "./mutate.js";
import { Problem, type ProblemKind } from "./problem.js";
import { createRandom } from "./random.js";
import { createRun } from "./run.js";
import type { Target } from "./target.js";

/** Bytes that an execution may ask for in all, where the target names no other number: images here have some KiB. */
const MEMORY_LIMIT = 2 ** 28;
/** Milliseconds of processor time, where it took as long; measured twice, for a collection may fall into it. */
const TIME_LIMIT = 1000;
/** Milliseconds; what takes longer is chosen the less often. */
const CHEAP = 0.5;
/** Every so many executions everything is looked at, twice. */
const THOROUGH_EVERY = 6;

export interface Finding {
  readonly kind: ProblemKind;
  readonly message: string;
  /** The same for the same mistake, mostly. */
  readonly key: string;
  readonly stack: string;
  readonly input: Input;
}

/** Executes `input` once, or twice to compare; what is wrong about that is thrown. */
function execute(target: Target, input: Input, thorough: boolean, marks?: Uint8Array): void {
  const counters = globalThis.fuzzCounters;
  const told = [1, 2].slice(0, thorough ? 2 : 1).map((round) => {
    if (counters) counters.allocated = 0;
    const run = createRun(input, { thorough, marks: round === 1 ? marks : undefined });
    target.execute(run);
    const taken = counters?.allocated ?? 0;
    if (taken > (target.memory ?? MEMORY_LIMIT))
      throw new Problem("memory", `${taken} bytes of memory for ${input.data.length} bytes of image`);
    return run.told();
  });
  if (told.length === 2 && told[0] !== told[1]) throw new Problem("differs", "the second time it tells something else");
}

/** What is wrong about an execution, with the place in the code. */
export function findingOf(target: Target, input: Input, thorough: boolean): Finding | undefined {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 30;
  const before = process.cpuUsage();
  try {
    execute(target, input, thorough);
    const { user, system } = process.cpuUsage(before);
    const time = (user + system) / 1000;
    if (time <= TIME_LIMIT) return undefined;
    return { kind: "slow", message: `${Math.round(time)} ms`, key: "slow", stack: "", input };
  } catch (error) {
    const kind = error instanceof Problem ? error.kind : "throws";
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    return { kind, message, key: `${kind} ${keyOf(message)} ${placeIn(stack)}`, stack, input };
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** A message without what differs from one image to the next. */
function keyOf(message: string): string {
  return message
    .replace(/"(?:[^"\\]|\\.)*"/g, '""')
    .replace(/[0-9a-f]*\d[0-9a-f]*/gi, "0")
    .slice(0, 120);
}

/** The innermost function of the code under test. */
function placeIn(stack: string): string {
  const frame = stack.split("\n").find((line) => /^\s+at /.test(line) && line.includes("/src/"));
  return frame?.trim().replace(/^at (\S+).*\/(src\/[^:]*).*$/, "$1 $2") ?? "";
}

export interface Engine {
  readonly corpus: readonly Input[];
  readonly executions: number;
  readonly findings: readonly Finding[];
  /** Which places were reached; empty without counters. */
  readonly reached: Reached | undefined;
  /** Executes what is there already, such as seeds: everything in it that is new is kept. */
  add(input: Input): void;
  /** Makes a mutant and executes it. */
  step(): void;
}

export interface EngineOptions {
  readonly seed: number;
  /** Told before each execution. */
  readonly before?: ((input: Input) => void) | undefined;
  readonly onFinding?: ((finding: Finding) => void) | undefined;
}

export function createEngine(target: Target, { seed, before, onFinding }: EngineOptions): Engine {
  const counters = globalThis.fuzzCounters;
  const reached = counters && createReached(counters);
  const random = createRandom(seed);
  const vocabulary = vocabularyOf(target, counters);
  const parents: Parent[] = [];
  const findings = new Map<string, Finding>();
  let executions = 0;
  // What modules do when they are loaded.
  reached?.note();

  function once(input: Input, thorough: boolean): boolean {
    executions += 1;
    before?.(input);
    reached?.clear();
    const start = performance.now();
    let failed = false;
    try {
      execute(target, input, thorough);
    } catch {
      failed = true;
    }
    const news = reached?.note() ?? false;
    if (failed || performance.now() - start > TIME_LIMIT) report(input, thorough);
    return news && !failed;
  }

  function report(input: Input, thorough: boolean): void {
    const finding = findingOf(target, input, thorough);
    if (!finding || findings.has(finding.key)) return;
    before?.(input);
    const smaller = finding.kind === "slow" ? finding : shrink(target, finding, thorough);
    findings.set(finding.key, smaller);
    onFinding?.(smaller);
  }

  function keep(input: Input): void {
    const marks = new Uint8Array(input.data.length);
    const start = performance.now();
    try {
      execute(target, input, false, marks);
    } catch {
      // What was looked at up to there.
    }
    const cost = performance.now() - start;
    parents.push({ input, hot: rangesOf(marks), cost });
  }

  const choose = (): Parent => {
    // What is new leads on.
    const recent = random.once(3) ? Math.min(parents.length, 40) : parents.length;
    for (;;) {
      const parent = parents[parents.length - 1 - random.below(recent)]!;
      // What takes long comes seldom, where time decides how much is tried.
      if (!reached || random.once(Math.ceil(parent.cost / CHEAP))) return parent;
    }
  };

  return {
    get corpus() {
      return parents.map(({ input }) => input);
    },
    get executions() {
      return executions;
    },
    get findings() {
      return [...findings.values()];
    },
    reached,
    add(input) {
      once(input, true);
      keep(input);
    },
    step() {
      const input = mutate(choose(), random.pick(parents).input, random, vocabulary);
      if (target.repair && !random.once(5)) target.repair(input);
      if (once(input, random.once(THOROUGH_EVERY))) keep(input);
    },
  };
}

/** The runs of marked bytes: start, end, start, end ... */
function rangesOf(marks: Uint8Array): number[] {
  const ranges: number[] = [];
  for (let at = marks.indexOf(1); at >= 0; ) {
    const next = marks.indexOf(0, at);
    const end = next < 0 ? marks.length : next;
    ranges.push(at, end);
    at = marks.indexOf(1, end);
  }
  return ranges;
}

/** The constants of the target's own files: what it compares with is what leads on. */
function vocabularyOf({ scope, words = [] }: Target, counters: Counters | undefined): Vocabulary {
  const texts = new Set(words);
  const numbers = new Set<number>();
  for (const [file, word] of counters?.vocabulary ?? []) {
    if (!inScope(file, scope)) continue;
    if (typeof word === "number") numbers.add(word);
    else if (word.length > 0 && word.length <= 40) texts.add(word);
  }
  return { words: [...texts].map((text) => Buffer.from(text, "latin1")), numbers: [...numbers] };
}

/** The same mistake with less in the input: ranges of zeros for whatever does not matter. */
function shrink(target: Target, finding: Finding, thorough: boolean): Finding {
  let best = finding;
  let tries = 0;
  const deadline = performance.now() + 5000;
  for (let size = finding.input.data.length >> 1; size >= 8 && tries < 400; size >>= 1) {
    for (let at = 0; at < best.input.data.length && tries < 400; at += size) {
      const data = Uint8Array.from(best.input.data);
      if (data.subarray(at, at + size).every((byte) => byte === 0)) continue;
      data.fill(0, at, at + size);
      tries += 1;
      if (performance.now() > deadline) return best;
      const found = findingOf(target, { files: best.input.files, data }, thorough);
      if (found?.key === finding.key) best = found;
    }
  }
  return best;
}
