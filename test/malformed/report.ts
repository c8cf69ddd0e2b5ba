// Tables of outcomes, for the terminal and for docs/malformed.md.
import { release } from "node:os";
import { outcomes, type Verdict } from "./judge.js";
import { SECONDS } from "./process.js";
import type { Program } from "./programs.js";

export interface Row {
  readonly format: string;
  readonly name: string;
  readonly verdicts: Map<string, Verdict>;
}

/** The rows without the verdicts of programs that do not read the undamaged image of the format: theirs would say nothing of damage. */
function comparable(rows: readonly Row[]): { rows: readonly Row[]; unable: readonly string[] } {
  const unable = rows
    .filter(({ name }) => name === "nothing damaged")
    .flatMap(({ format, verdicts }) =>
      [...verdicts].flatMap(([program, { outcome }]) => (outcome === "right" ? [] : [`${program}: ${format}`])),
    );
  const kept = rows.map((row) => ({
    ...row,
    verdicts: new Map([...row.verdicts].filter(([program]) => !unable.includes(`${program}: ${row.format}`))),
  }));
  return { rows: kept, unable };
}

/** Programs that were asked at least once. */
function present(rows: readonly Row[], asked: readonly Program[]): readonly Program[] {
  return asked.filter(({ name }) => rows.some(({ verdicts }) => verdicts.has(name)));
}

function summary(rows: readonly Row[], asked: readonly Program[]): string[][] {
  const lines = present(rows, asked).map(({ name }) => {
    const all = rows.flatMap(({ verdicts }) => verdicts.get(name)?.outcome ?? []);
    return [name, String(all.length), ...outcomes.map((outcome) => String(all.filter((each) => each === outcome).length))];
  });
  return [["program", "images", ...outcomes], ...lines];
}

function byFormat(rows: readonly Row[]): ReadonlyMap<string, readonly Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) groups.set(row.format, [...(groups.get(row.format) ?? []), row]);
  return groups;
}

function grid(rows: readonly Row[], asked: readonly Program[]): string[][] {
  const columns = present(rows, asked).map(({ name }) => name);
  return [["", ...columns], ...rows.map(({ name, verdicts }) => [name, ...columns.map((column) => verdicts.get(column)?.outcome ?? "–")])];
}

export function asText(all: readonly Row[], asked: readonly Program[]): string {
  const { rows } = comparable(all);
  const tables = [...byFormat(rows)].map(([format, own]) => `${format}\n${columns(grid(own, asked))}`);
  return `${[...tables, columns(summary(rows, asked))].join("\n\n")}\n`;
}

function columns(table: readonly (readonly string[])[]): string {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => (row[column] ?? "").length)));
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function markdownTable([head = [], ...rows]: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)];
}

export function asMarkdown(all: readonly Row[], asked: readonly Program[]): string {
  const { rows, unable } = comparable(all);
  const versions = present(rows, asked).map(({ name, version }) => `${name} ${version ?? ""}`);
  const missing = asked.filter(({ version }) => version === undefined).map(({ name }) => name);
  return [
    "# Damaged images",
    "",
    "Written by `scripts/malformed --markdown docs/malformed.md`; run it to get this page for your machine.",
    "",
    `${new Date().toISOString().slice(0, 10)}, Linux ${/^[\d.]+/.exec(release())?.[0] ?? release()}, Node ${process.versions.node}. ${versions.join(", ")}.`,
    ...(missing.length > 0 ? [`Not installed, and left out: ${missing.join(", ")}.`] : []),
    "",
    `${rows.length} images, each damaged in one way that its row names, and some that are whole. Of each it is known which bytes can still be told, and which cannot.`,
    `Each program that reads the format was asked for all of it, once, with its defaults, ${SECONDS} s and 4 GiB of address space (flatmount, which runs on Node: no limit of memory).`,
    "Programs that mount are read in pieces of 4 KiB; those that convert or unpack are judged by their status and what they wrote.",
    ...(unable.length > 0
      ? [`Left out, because the program does not show the undamaged image of this set as it is: ${unable.join(", ")}.`]
      : []),
    "flatmount tells what it leaves out of an archive in `info.json`; other programs on their standard error: both count as told.",
    "",
    "- **crash**: ended by a signal, or the mount died.",
    `- **hang**: not done after ${SECONDS} s, or folders without an end.`,
    "- **wrong**: no error, and other bytes than the image holds; or bytes (zeros too) for what the image does not hold any more; or a file left out without a word; or bytes of a file outside the image's folder.",
    "- **refused**: an error, when opening or for more than what is lost. Where nothing can be known it is the only right answer.",
    "- **right**: everything that can be known, and errors for the rest alone. A program that converts as a whole cannot reach this for an image that lost a part: its best is *refused*.",
    "",
    "What is wrong for a view of evidence may be meant for another purpose: some programs show zeros, or go on without a part, by design. Some of these images are read as their authors intend: following any name in an image is documented behaviour of QEMU, whose users are told to look at backing files first.",
    "",
    "## All",
    "",
    ...markdownTable(summary(rows, asked)),
    "",
    ...[...byFormat(rows)].flatMap(([format, own]) => [`## ${format}`, "", ...markdownTable(grid(own, asked)), ""]),
  ].join("\n");
}
