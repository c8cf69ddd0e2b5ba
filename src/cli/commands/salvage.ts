import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { mapfileLines } from "../../tree/mapfile.js";
import { type AffectedRange, type DiskSalvage, isLoss, type Loss, salvageShown } from "../../tree/salvage.js";
import { reasonOf, systemCode, UserError } from "../../util/errors.js";
import type { Finding } from "../../util/finding.js";
import { formatSize } from "../../util/size.js";
import { printable, quote } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJson, writeLines } from "../output.js";
import { createProgressBar } from "../progress.js";
import { jsonOption, openOptionsOf, withReadingOptions } from "../reading-options.js";
import { alignColumns } from "../table.js";
import { viewOf } from "../viewing.js";

export function salvageCommand(io: Io) {
  return withReadingOptions(
    new Command("salvage")
      .summary(summaries.salvage)
      .description(
        "Tells which ranges of the flat disk in IMAGE cannot be read or are doubtful, and which partitions and files lie in them.",
      )
      .argument("<image>", "the image"),
  )
    .addOption(jsonOption())
    .option("--map <file>", "write the ranges of the disk as a mapfile of GNU ddrescue; the file must not exist yet")
    .addHelpText("after", help)
    .action((image, { json, map, ...options }) => {
      const view = viewOf(io, image, openOptionsOf(options), CACHE_LIMIT);
      const bar = createProgressBar(io, "looking at");
      let disks: readonly DiskSalvage[];
      try {
        disks = salvageShown(view.shown, basename(image), bar.step);
      } finally {
        bar.end();
        view.close();
      }
      if (map !== undefined) writeMapfile(map, disks);
      const lost = disks.filter(isAffected);
      if (json) writeJson(io, resultOf(image, disks));
      else
        writeLines(io, lost.length === 0 ? [printable(`${basename(image)}: nothing is affected`)] : lost.flatMap(linesOf).map(printable));
      if (lost.length > 0) process.exitCode = 1;
    });
}

const help = `
A range is unreadable if reading it fails, and doubtful if it can be read but may not be what was written: two clusters of the disk share one
cluster of the file, or two copies of a table differ. What is stored plainly is not read. Of a package, each disk in it is told of.

--map: "+" is what can be read, "-" what cannot, "?" what is doubtful. If IMAGE is a package of several disks, the map is of the package itself.

The exit status is 0 if nothing is affected, 1 if something is.

Examples:
  flatmount salvage disk.qcow2
  flatmount salvage --map lost.map disk.vmdk
  flatmount salvage --json disk.vhdx | jq -r '.disks[].files[].path'
`;

const CACHE_LIMIT = 4 * 2 ** 20;
/** Ranges and files of one disk that are told to people; --json tells of all. */
const ROWS_LIMIT = 50;

function isAffected(disk: DiskSalvage): boolean {
  return isLoss(disk) || disk.files.length > 0;
}

function writeMapfile(path: string, [disk]: readonly DiskSalvage[]): void {
  if (!disk) return;
  try {
    writeFileSync(path, `${[...mapfileLines(disk)].join("\n")}\n`, { flag: "wx" });
  } catch (error) {
    const why = systemCode(error) === "EEXIST" ? "it exists already" : reasonOf(error);
    throw new UserError(`the mapfile ${quote(path)} cannot be written: ${why}`);
  }
}

/** The same shape as that of check, and what is affected of each disk. */
function resultOf(image: string, disks: readonly DiskSalvage[]) {
  const findings = disks.flatMap((disk) => [
    ...disk.ranges.map((range) => findingOf(disk, range)),
    ...disk.files.map((file) => fileFinding(disk, file)),
  ]);
  const damaged = findings.some(({ severity }) => severity === "error");
  return {
    image,
    result: damaged ? "damaged" : findings.length > 0 ? "warnings" : "clean",
    findings,
    disks: disks.map(({ name, size, unreadable, doubtful, partitions, files, moreFiles }) => {
      return { file: name, size, unreadable, doubtful, partitions, files, ...(moreFiles > 0 && { moreFiles }) };
    }),
  };
}

function findingOf({ name }: DiskSalvage, { start, length, state, reason }: AffectedRange): Finding {
  const bytes = `bytes ${start} to ${start + length - 1} of the disk`;
  const range = { start, length };
  if (state === "unreadable")
    return { file: name, kind: "damaged range", severity: "error", message: `${bytes} cannot be read: ${reason}`, range };
  return { file: name, kind: "doubtful range", severity: "warning", message: `${bytes} are doubtful: ${reason}`, range };
}

function fileFinding({ name }: DiskSalvage, { path, reason, unreadable, doubtful }: DiskSalvage["files"][number]): Finding {
  const only = unreadable === 0 && doubtful > 0;
  const message = only ? `${doubtful} bytes of it are doubtful` : reason;
  return { file: `${name}: ${path}`, kind: only ? "doubtful file" : "damaged file", severity: only ? "warning" : "error", message };
}

function linesOf(disk: DiskSalvage): string[] {
  const { name, size, unreadable, doubtful, ranges, partitions, files, moreFiles } = disk;
  const words = [
    ...(unreadable > 0 ? [`${formatSize(unreadable)} cannot be read`] : []),
    ...(doubtful > 0 ? [`${formatSize(doubtful)} are doubtful`] : []),
  ];
  return [
    `${name}: of ${formatSize(size)}, ${words.join(", ") || "nothing; but of the files in it"}`,
    ...section(
      "Ranges:",
      ["OFFSET", "LENGTH", "STATE", "REASON"],
      ranges.map(({ start, length, state, reason }) => [String(start), String(length), state, reason]),
      [0, 1],
    ),
    ...section(
      "Partitions:",
      [...lossHeader, "FILE"],
      partitions.map((partition) => [...lossCells(partition), partition.file]),
      [0, 1],
    ),
    ...section(
      "Files:",
      [...lossHeader, "FILE"],
      files.map((file) => [...lossCells(file), file.path]),
      [0, 1],
      moreFiles,
    ),
  ];
}

const lossHeader = ["UNREADABLE", "DOUBTFUL"];

function lossCells({ unreadable, doubtful }: Loss): string[] {
  return [String(unreadable), String(doubtful)];
}

function section(
  title: string,
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[],
  unlisted = 0,
): string[] {
  if (rows.length === 0) return [];
  const more = Math.max(0, rows.length - ROWS_LIMIT) + unlisted;
  const lines = alignColumns([header, ...rows.slice(0, ROWS_LIMIT)], right).map((line) => `  ${line}`);
  return [title, ...lines, ...(more > 0 ? [`  ... and ${more} more (see --json)`] : [])];
}
