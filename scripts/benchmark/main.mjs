// Measures flatmount and its peers side by side. Started by scripts/bench.
import { writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { growthWithReaders, growthWithSize } from "./growth.mjs";
import { caseNames, growingDisks, prepareCases } from "./images.mjs";
import { takeSample, verify } from "./measures.mjs";
import { peers } from "./peers.mjs";
import { versionOf } from "./processes.mjs";
import { asMarkdown, asText, describeMachine, growthAsText } from "./report.mjs";
import { takeAwayAll } from "./views.mjs";

const usage = `Usage: scripts/bench [options]

Measures flatmount and the other programs of this machine that show a disk image as a flat file, in turns, and prints medians and ratios.
With --only none, only what --growth measures.

  --only CASES     of ${caseNames.join(", ")}; separated by commas
  --peers PEERS    of ${peers
    .map(({ name }) => name)
    .slice(1)
    .join(", ")}
  --samples N      samples of each value (5)
  --size SIZE      of the uncompressed disk, in MiB; compressed ones have half of it (2048)
  --quick          1 sample, 256 MiB, random runs of 1 second
  --growth         also how cost grows with the size of the disk and with the number of readers
  --plots DIR      plots of all that as SVG; the page of --markdown shows them
  --cache DIR      where the images are kept between runs (${join(tmpdir(), "flatmount-bench-cache")})
  --json FILE      all samples
  --markdown FILE  the page docs/benchmarks.md
  --help
`;

function readOptions() {
  const text = /** @type {const} */ ({ type: "string" });
  const flag = /** @type {const} */ ({ type: "boolean", default: false });
  const { values } = parseArgs({
    options: {
      only: text,
      peers: text,
      samples: text,
      size: text,
      quick: flag,
      cache: text,
      json: text,
      markdown: text,
      plots: text,
      growth: flag,
      help: flag,
    },
  });
  const samples = Number(values.samples ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(samples) || samples < 1) throw new Error("--samples must be a number from 1 on");
  const size = values.size === undefined ? undefined : Number(values.size) * 2 ** 20;
  if (size !== undefined && !(Number.isInteger(size) && size > 0)) throw new Error("--size must be a number of MiB");
  return {
    ...values,
    samples,
    size,
    only: values.only === "none" ? [] : choose("--only", values.only, caseNames),
    // Ours is always there: everything else is compared with it.
    names: [
      "flatmount",
      ...choose(
        "--peers",
        values.peers,
        peers.slice(1).map(({ name }) => name),
      ),
    ],
    cache: values.cache ?? join(tmpdir(), "flatmount-bench-cache"),
  };
}

/** @param {string} option @param {string | undefined} list @param {readonly string[]} all */
function choose(option, list, all) {
  const wanted = list?.split(",") ?? all;
  const unknown = wanted.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new Error(`${option}: "${unknown}" is not known; there are ${all.join(", ")}`);
  return all.filter((name) => wanted.includes(name));
}

function checkTools() {
  for (const tool of [
    ["qemu-img", "--version"],
    ["fio", "--version"],
    ["dd", "--version"],
  ]) {
    if (versionOf(tool) === undefined) throw new Error(`${tool[0]} is needed and not installed`);
  }
}

/**
 * @param {import("./images.mjs").Case} sample
 * @param {readonly import("./peers.mjs").Peer[]} chosen
 * @param {{ samples: number, seconds: number }} options
 */
async function measureCase(sample, chosen, { samples, seconds }) {
  /** @type {import("./report.mjs").CaseResult} */
  const result = { name: sample.name, title: sample.title, peers: {} };
  const able = chosen.filter(
    ({ formats, command, tree }) =>
      (formats?.includes(sample.format) ?? true) && (command ?? sample.flat) !== undefined && (!sample.tree || tree !== undefined),
  );
  for (const { name } of able) result.peers[name] = { values: {}, failure: undefined };

  /** Does `work` for every program that has not failed yet. One that fails is left out from there on. */
  const inTurn = async (/** @type {string} */ what, /** @type {(peer: import("./peers.mjs").Peer) => Promise<void>} */ work) => {
    for (const peer of chosen) {
      const own = result.peers[peer.name];
      if (!own || own.failure !== undefined) continue;
      process.stderr.write(`${sample.name}: ${what} ${peer.name}\n`);
      await work(peer).catch((/** @type {unknown} */ error) => {
        own.failure = String(error instanceof Error ? error.message : error)
          .trim()
          .split("\n")
          .slice(0, 2)
          .join(" ");
        process.stderr.write(`${own.failure}\n`);
        if (peer === chosen[0]) process.exitCode = 1;
      });
    }
  };

  await inTurn("checking", (peer) => verify(peer, sample));
  for (let index = 1; index <= samples; index += 1) {
    await inTurn(`${index}/${samples}`, async (peer) => {
      const all = /** @type {Record<string, number[]>} */ (result.peers[peer.name]?.values);
      for (const [measure, values] of Object.entries(await takeSample(peer, sample, seconds))) (all[measure] ??= []).push(...values);
    });
  }
  return result;
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return;
  }
  checkTools();
  const chosen = peers.filter(({ name, version }) => options.names.includes(name) && version !== undefined);
  for (const { name, version } of peers) if (version === undefined) process.stderr.write(`${name} is not installed and left out\n`);
  const machine = describeMachine(chosen);
  const load = loadavg()[0] ?? 0;
  if (load > 0.5) process.stderr.write(`The machine is busy (load ${load.toFixed(1)}): the values will be too low.\n`);

  const results = [];
  for (const sample of await prepareCases(options.cache, options)) {
    const result = await measureCase(sample, chosen, { samples: options.samples, seconds: options.quick ? 1 : 4 });
    results.push(result);
    process.stdout.write(`${asText(result)}\n`);
  }
  const growths = options.growth ? await measureGrowth(chosen, options) : [];
  if (options.json)
    writeFileSync(options.json, `${JSON.stringify({ machine, samples: options.samples, load, cases: results, growths }, undefined, 2)}\n`);
  const folder = options.plots;
  // Only who wants plots needs what draws them.
  const plots = folder === undefined ? [] : (await import("./plots.mjs")).writePlots(folder, results, growths);
  if (options.markdown) {
    const from = dirname(resolve(options.markdown));
    const command = ["scripts/bench", ...process.argv.slice(2)].join(" ");
    const shown = plots.map(({ file, title }) => ({ file: relative(from, resolve(folder ?? "", file)), title }));
    writeFileSync(options.markdown, asMarkdown(machine, results, growths, { samples: options.samples, command, plots: shown }));
  }
}

/**
 * @param {readonly import("./peers.mjs").Peer[]} chosen
 * @param {ReturnType<typeof readOptions>} options
 */
async function measureGrowth(chosen, { cache, samples, quick, size }) {
  const growths = await growthWithSize(await growingDisks(cache), chosen, samples);
  for (const disk of await prepareCases(cache, { quick, size, only: ["uncompressed", "zlib"] })) {
    growths.push(await growthWithReaders(disk, chosen, samples));
  }
  for (const growth of growths) process.stdout.write(`${growthAsText(growth)}\n`);
  return growths;
}

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.once(signal, () => {
    takeAwayAll();
    process.exit(130);
  });
}
try {
  await main();
} catch (error) {
  process.stderr.write(`scripts/bench: ${/** @type {Error} */ (error).message}\n`);
  process.exitCode = 1;
} finally {
  takeAwayAll();
}
