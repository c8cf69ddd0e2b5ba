import { Command } from "@commander-js/extra-typings";
import type { DiskDescription } from "../../disk/describe.js";
import type { ViewRequest } from "../../tree/view.js";
import { formatSize } from "../../util/size.js";
import { printable } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJson, writeLines } from "../output.js";
import { jsonOption, openOptionsOf, withReadingOptions } from "../reading-options.js";
import { alignColumns } from "../table.js";
import { viewOf } from "../viewing.js";

export function infoCommand(io: Io) {
  return withReadingOptions(
    new Command("info")
      .summary(summaries.info)
      .description(
        "Tells the format and sizes of IMAGE, the images it is a difference to, its snapshots and partitions, and what is unusual about it.",
      )
      .argument("<image>", "the image"),
  )
    .addOption(jsonOption())
    .addHelpText("after", help)
    .action((image, { json, ...options }) => {
      const description = describe(io, image, openOptionsOf(options));
      if (json) writeJson(io, description);
      else writeLines(io, infoLines(description));
    });
}

const help = `
--json prints what info.json in a mount holds. Sizes and positions are in bytes.

Examples:
  flatmount info disk.qcow2
  flatmount info --snapshot before-upgrade disk.qcow2
  flatmount info --json disk.qcow2 | jq '.partitions[0].start'
`;

/** Memory for the few blocks that a partition table is in. */
const CACHE_LIMIT = 4 * 2 ** 20;

function describe(io: Io, image: string, options: ViewRequest["options"]): DiskDescription {
  const view = viewOf(io, image, options, CACHE_LIMIT);
  try {
    return view.description;
  } finally {
    view.close();
  }
}

/** The description for people. What comes from the image may hold any character, so nothing is shown as it is. */
function infoLines(description: DiskDescription): string[] {
  const notes = notesOf(description);
  const lines = [
    ...alignColumns(factsOf(description).map(([label, value]) => [`${label}:`, value])),
    ...section("Chain:", chainRows(description)),
    ...section("Snapshots:", snapshotRows(description)),
    ...section(partitionsTitle(description), partitionRows(description)),
    ...section("Volumes:", volumeRows(description)),
    ...section("Tracks:", trackRows(description)),
    ...section("Disks:", diskRows(description)),
    ...(notes.length > 0 ? ["", "Worth knowing:", ...notes.map((note) => `  - ${note}`)] : []),
  ];
  return lines.map(printable);
}

/** Those of the disks in it, too, each with the name of its disk. */
function notesOf({ notes, disks = [] }: DiskDescription): readonly string[] {
  return [...notes, ...disks.flatMap((disk) => notesOf(disk).map((note) => `${disk.name}: ${note}`))];
}

function factsOf(description: DiskDescription): (readonly [label: string, value: string])[] {
  const { image, format, variant, compression, size, allocated, details, contents, disks, partitionTable } = description;
  return [
    ["image", image],
    ["format", variant === undefined ? format : `${format}, ${variant}`],
    ...(compression ? [["compression", compression.join(" in ")] as const] : []),
    [disks ? "size" : "disk size", exactSize(size)],
    ["stored size", exactSize(allocated)],
    ...Object.entries(details).map(([name, value]) => [name, detailText(name, value)] as const),
    ...(contents ? contentsRows(contents) : []),
    ...(partitionTable || disks || contents ? [] : [["partitions", "none"] as const]),
  ];
}

function contentsRows({ format, variant, details }: NonNullable<DiskDescription["contents"]>): (readonly [string, string])[] {
  const rows = Object.entries(details).map(([name, value]) => [name, detailText(name, value)] as const);
  return [["holds", variant === undefined ? format : `${format}, ${variant}`], ...rows];
}

/** Details are named in the format's own terms: those that are called sizes are in bytes. */
function detailText(name: string, value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" && name.endsWith("size") ? exactSize(value) : String(value);
}

function exactSize(bytes: number): string {
  return bytes < 1024 ? formatSize(bytes) : `${formatSize(bytes)} (${bytes} bytes)`;
}

function section(title: string, rows: readonly (readonly string[])[]): string[] {
  return rows.length > 0 ? ["", title, ...alignColumns(rows).map((line) => `  ${line}`)] : [];
}

function chainRows({ chain }: DiskDescription): string[][] {
  if (chain.length < 2) return [];
  const rows = chain.map(({ file, format, size, found }, depth) => [String(depth), format, formatSize(size), file, found ?? "-"]);
  return [["DEPTH", "FORMAT", "SIZE", "FILE", "FOUND"], ...rows];
}

function volumeRows({ volumes = [] }: DiskDescription): string[][] {
  if (volumes.length === 0) return [];
  const rows = volumes.map(({ name, kind, size, typeName }) => [name, kind, formatSize(size), typeName]);
  return [["NAME", "KIND", "SIZE", "TYPE"], ...rows];
}

function trackRows({ tracks = [] }: DiskDescription): string[][] {
  return tracks.map(({ file, size }) => [file, formatSize(size)]);
}

/** The disks in a container, and in the containers in it. */
function diskRows({ disks = [] }: DiskDescription): string[][] {
  if (disks.length === 0) return [];
  const rowsOf = (prefix: string, all: NonNullable<DiskDescription["disks"]>): string[][] =>
    all.flatMap(({ name, path, role, format, compression, contents, size, disks: inner = [] }) => {
      const kind = format === "raw" && contents ? contents.format : format;
      const packed = [kind, ...(compression ?? [])].join(", ");
      return [[`${prefix}${name}`, role ?? "-", packed, formatSize(size), path], ...rowsOf(`${prefix}${name}/disks/`, inner)];
    });
  return [["NAME", "ROLE", "FORMAT", "SIZE", "FILE"], ...rowsOf("", disks)];
}

function snapshotRows({ snapshots }: DiskDescription): string[][] {
  if (snapshots.length === 0) return [];
  const rows = snapshots.map(({ id, name, size, created, stateSize }) => {
    return [id, created ?? "-", formatSize(size), stateSize > 0 ? formatSize(stateSize) : "-", name];
  });
  return [["ID", "CREATED", "DISK SIZE", "MACHINE STATE", "NAME"], ...rows];
}

function partitionsTitle({ partitionTable }: DiskDescription): string {
  if (!partitionTable) return "";
  const { scheme, sectorSize, id } = partitionTable;
  return `Partitions (${scheme.toUpperCase()}, sectors of ${sectorSize} bytes${id === undefined ? "" : `, ${id}`}):`;
}

function partitionRows({ partitionTable, partitions }: DiskDescription): string[][] {
  if (!partitionTable) return [];
  if (partitions.length === 0) return [["none"]];
  const rows = partitions.map(({ number, start, size, typeName, name }) => {
    return [String(number), String(start), String(size), formatSize(size), typeName, name ?? "-"];
  });
  return [["NUMBER", "START", "BYTES", "SIZE", "TYPE", "NAME"], ...rows];
}
