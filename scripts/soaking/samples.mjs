// Memory, descriptors and threads of the daemons, again and again.
import { readdirSync, readFileSync } from "node:fs";

/** @typedef {{ name: string, seconds: number, memory: number, descriptors: number, threads: number }} Sample Memory in MiB. */

/** What counts as growth of a mount that stays: more memory at the end than after a third of the time, by this factor and that many MiB. */
const GROWTH = { factor: 1.15, more: 16 };

export function createSampler(/** @type {import("./mounts.mjs").Mounts} */ { list }) {
  /** @type {Sample[]} */
  const samples = [];
  const begin = Date.now();
  const of = (/** @type {string} */ wanted) => samples.filter(({ name }) => name === wanted);
  return {
    list: () => samples,
    take() {
      for (const { name, pid } of list) {
        const sample = pid === undefined ? undefined : measure(pid);
        if (sample) samples.push({ name, seconds: Math.round((Date.now() - begin) / 1000), ...sample });
      }
    },
    /** Least and most memory that a daemon had. */
    memory() {
      const all = samples.map(({ memory }) => memory);
      return [Math.min(...all), Math.max(...all)];
    },
    /** @returns {string[]} */
    growth() {
      return list.flatMap(({ name, stays }) => {
        const own = of(name);
        const early = own[Math.floor(own.length / 3)];
        const late = own.at(-1);
        if (!stays || !early || !late) return [];
        const grown = late.memory > early.memory * GROWTH.factor + GROWTH.more;
        return [
          ...(grown ? [`${name}: memory grew from ${early.memory} to ${late.memory} MiB`] : []),
          ...(late.descriptors > early.descriptors ? [`${name}: descriptors grew from ${early.descriptors} to ${late.descriptors}`] : []),
          ...(late.threads > early.threads ? [`${name}: threads grew from ${early.threads} to ${late.threads}`] : []),
        ];
      });
    },
  };
}

/** Undefined for a process that has just ended. */
function measure(/** @type {number} */ pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const field = (/** @type {string} */ name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1]);
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    const memory = Math.round(field("VmRSS") / 1024);
    return Number.isNaN(memory) ? undefined : { memory, descriptors, threads: field("Threads") };
  } catch {
    return undefined;
  }
}
