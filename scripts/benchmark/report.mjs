// From samples to medians, ratios and tables.
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { measures } from "./measures.mjs";

/**
 * @typedef {object} CaseResult
 * @property {string} name
 * @property {string} title
 * @property {Record<string, { values: Partial<Record<keyof typeof measures, number[]>>, failure: string | undefined }>} peers Ours first.
 */

/** The machine and the versions, for whoever compares two reports. */
export function describeMachine(/** @type {readonly import("./peers.mjs").Peer[]} */ chosen) {
  const processors = cpus();
  const cpuinfo = readFileSync("/proc/cpuinfo", "utf8");
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: /^model name\s*:\s*(.+)$/m.exec(cpuinfo)?.[1] ?? processors[0]?.model ?? "unknown",
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    versions: Object.fromEntries(chosen.filter(({ version }) => version).map(({ name, version }) => [name, version])),
  };
}

/** The middle of some values. @param {readonly number[]} values At least one. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle) - 1] ?? Number.NaN)) / 2;
}

/**
 * Rows of cells: a measure per row, a program per column. A ratio tells how many times better ours is: above 1 we win.
 * @param {CaseResult} result
 * @returns {string[][]}
 */
function tableOf({ peers }) {
  const rows = [["", ...Object.keys(peers)]];
  for (const [key, { name, unit, moreIsBetter }] of Object.entries(measures)) {
    const medians = Object.values(peers).map(({ values, failure }) => {
      const list = values[/** @type {keyof typeof measures} */ (key)];
      return list?.length && failure === undefined ? median(list) : undefined;
    });
    if (medians.every((value) => value === undefined)) continue;
    const [ours] = medians;
    const cells = medians.map((value, index) => {
      if (value === undefined) return "–";
      if (ours === undefined || index === 0) return format(value);
      return `${format(value)} (${format(moreIsBetter ? ours / value : value / ours)}×)`;
    });
    rows.push([`${name}, ${unit}`, ...cells]);
  }
  return rows;
}

/** Three significant digits, no exponent. */
function format(/** @type {number} */ value) {
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(value >= 1 ? 3 : 2);
}

/** For the terminal. @param {CaseResult} result */
export function asText(result) {
  const rows = tableOf(result);
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const lines = rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("   "),
  );
  return [result.title, ...lines, ...reasons(result), ""].join("\n");
}

/**
 * The page docs/benchmarks.md.
 * @param {ReturnType<typeof describeMachine>} machine
 * @param {readonly CaseResult[]} results
 * @param {readonly import("./growth.mjs").Growth[]} growths
 * @param {{ samples: number, command: string, plots: readonly { file: string, title: string }[] }} run `plots` by their names from this page on.
 */
export function asMarkdown(machine, results, growths, { samples, command, plots }) {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    "# Benchmarks",
    "",
    `Written by \`${command}\`; run it to get this page for your machine.`,
    "",
    `${machine.date}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}.`,
    `${versions.join(", ")}.`,
    "",
    `Each value is the median of ${samples} ${samples === 1 ? "sample" : "samples"}. The programs take turns (A B C, A B C, …), so that a slow minute of the machine hits all of them.`,
    "In parentheses: how many times better flatmount is; below 1 it is worse.",
    "",
    "- The disk holds the programs and libraries of the machine (a tar archive), and every program's view of it was compared with it byte by byte before it was measured.",
    "- The image is in the page cache. *Cold* is the first read of a fresh mount, so each byte passes through the program; *warm* is the second, answered by the kernel.",
    "- Before each view so much memory is used and freed that none has to be asked from the host of a virtual machine.",
    "- Random reads: `fio`, 4 KiB, psync, 1 and 16 jobs, each block read once, each run on a fresh mount.",
    "- Mount to first byte: from the start of the command until 512 bytes of the disk were read. `info`: of `flatmount info`, `qemu-img info`, `qcowinfo`.",
    "- Resident memory: of all processes that serve the mount, after the run with 16 jobs; shared pages count in each.",
    "- `find` and `tar -c` of all files of a container; *cold* on a fresh mount, *again* with what the kernel keeps.",
    "- `convert`: from the image to a raw file that is on the disk (fsync); `qemu-img convert -t writeback` likewise. Between files on one file system.",
    "- `flatmount` is started as root: what can be, the kernel reads by itself. `flatmount-served` is what ordinary users get, `flatmount-libfuse` what systems without our addon get, `flatmount-erofs` the mount without a process.",
    "- `plain-file` is the same disk as a file, not mounted at all: the ceiling.",
    "",
    ...plots.flatMap(({ file, title }) => [`![${title}](${file})`, ""]),
    ...results.flatMap((result) => [
      `## ${result.title}`,
      "",
      ...markdownTable(tableOf(result)),
      "",
      ...reasons(result).flatMap((line) => [line, ""]),
    ]),
    ...growths.flatMap((growth) => [`## ${growth.title}, ${growth.unit}`, "", ...markdownTable(rowsOf(growth)), ""]),
  ].join("\n");
}

/** A program per column, a step per row. @param {import("./growth.mjs").Growth} growth */
function rowsOf({ steps, peers }) {
  const cell = (/** @type {number[] | undefined} */ samples) => (samples?.length ? format(median(samples)) : "–");
  return [["", ...Object.keys(peers)], ...steps.map((step, index) => [step, ...Object.values(peers).map((values) => cell(values[index]))])];
}

/** For the terminal. @param {import("./growth.mjs").Growth} growth */
export function growthAsText(growth) {
  return [`${growth.title}, ${growth.unit}`, ...rowsOf(growth).map((row) => row.map((cell) => cell.padStart(20)).join(" ")), ""].join("\n");
}

function markdownTable(/** @type {string[][]} */ [head = [], ...rows]) {
  const line = (/** @type {string[]} */ cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? "---" : "--:"))), ...rows.map(line)];
}

/** @param {CaseResult} result */
function reasons({ peers }) {
  return Object.entries(peers).flatMap(([name, { failure }]) => (failure === undefined ? [] : [`${name} failed: ${failure}`]));
}
