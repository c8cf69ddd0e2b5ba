// Keeps many mounts under load for a bounded time. Started by scripts/soak.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { keepChanging } from "./changes.mjs";
import { makeImages } from "./images.mjs";
import { createMounts } from "./mounts.mjs";
import { startReaders } from "./readers.mjs";
import { createSampler } from "./samples.mjs";

const usage = `Usage: scripts/soak [options]

Mounts images of several formats, reads from them at random places and compares every byte with what the image was made of, while some of the mounts
are unmounted, ended or killed and made again. Ends with status 0 if nothing differed, failed, hung, grew or was left behind.

  --time SECONDS   how long to read (1800)
  --readers N      that read at once (64)
  --seed N         of places, sizes and changes (1)
  --json FILE      all that was counted, and every sample
  --help
`;

/** Milliseconds between two samples of memory and descriptors. */
const SAMPLE_INTERVAL = 5000;

function readOptions() {
  const text = /** @type {const} */ ({ type: "string" });
  const { values } = parseArgs({
    options: { time: text, readers: text, seed: text, json: text, help: { type: "boolean", default: false } },
  });
  const number = (/** @type {string} */ name, /** @type {string | undefined} */ value, /** @type {number} */ otherwise) => {
    const result = Number(value ?? otherwise);
    if (!Number.isInteger(result) || result < 1) throw new Error(`--${name} must be a whole number from 1 on`);
    return result;
  };
  return {
    ...values,
    time: number("time", values.time, 1800) * 1000,
    readers: number("readers", values.readers, 64),
    seed: number("seed", values.seed, 1),
  };
}

async function main() {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(usage);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "flatmount-soak-"));
  const stopping = new AbortController();
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.once(signal, () => stopping.abort());
  const views = makeImages(folder, options.seed);
  const mounts = createMounts(folder, views);
  let readers;
  try {
    await mounts.mountAll();
    process.stderr.write(`${views.length} mounts, ${options.readers} readers, ${options.time / 1000} s\n`);
    const sampler = createSampler(mounts);
    readers = startReaders(mounts, options);
    const end = Date.now() + options.time;
    const changing = keepChanging(mounts, options.seed, () => stopping.signal.aborted || Date.now() >= end);
    while (Date.now() < end && !stopping.signal.aborted) {
      await sleep(Math.min(SAMPLE_INTERVAL, end - Date.now()), undefined, { signal: stopping.signal }).catch(() => undefined);
      sampler.take();
    }
    const changes = await changing;
    const counts = await readers.stop();
    await mounts.unmountAll();
    const problems = [...counts.problems, ...mounts.problems(), ...sampler.growth(), ...(await mounts.leftovers())];
    const report = { ...counts, changes, memory: sampler.memory(), problems };
    if (options.json !== undefined) writeFileSync(options.json, JSON.stringify({ ...report, samples: sampler.list() }, undefined, 2));
    for (const problem of problems) process.stderr.write(`${problem}\n`);
    const gib = (counts.bytes / 2 ** 30).toFixed(1);
    const [least, most] = report.memory;
    process.stdout.write(
      `${counts.reads} reads, ${gib} GiB compared, ${counts.interrupted} interrupted by ${changes} changes; memory ${least} to ${most} MiB; ${problems.length} problems\n`,
    );
    process.exitCode = problems.length === 0 ? 0 : 1;
  } finally {
    await readers?.stop();
    await mounts.unmountAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
