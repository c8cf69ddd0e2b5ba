import { Command } from "@commander-js/extra-typings";
import type { DirectoryNode, Node } from "../../tree/node.js";
import { printable } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJsonArray, writeLines } from "../output.js";
import { jsonOption, openOptionsOf, withReadingOptions } from "../reading-options.js";
import { findNode, shownName } from "../view-path.js";
import { viewOf } from "../viewing.js";

export function lsCommand(io: Io) {
  return withReadingOptions(
    new Command("ls")
      .summary(summaries.ls)
      .description("Lists what a mount of IMAGE would show at PATH, without mounting it.")
      .argument("<image>", "the image")
      .argument("[path]", "where to look (default: everything at the top)", "")
      .option("-l, --long", "with permissions, size in bytes and time of the last change")
      .option("-R, --recursive", "with everything below, too"),
  )
    .addOption(jsonOption())
    .addHelpText("after", help)
    .action((image, path, { json, long, recursive, ...options }) => {
      const view = viewOf(io, image, openOptionsOf(options), CACHE_LIMIT);
      try {
        const { node, path: found } = findNode(view.tree, path);
        const items = node.kind === "directory" ? itemsIn(node, "", recursive === true) : [{ path: found, node }];
        if (json) writeJsonArray(io, elements(items));
        else writeLines(io, long ? longLines(items) : shortLines(items));
      } finally {
        view.close();
      }
    });
}

const help = `
Directories end in a slash. --json prints an array with path, kind, size, mode and modified of each.

Examples:
  flatmount ls disk.qcow2
  flatmount ls -l disk.qcow2 partitions
  flatmount ls -R --json disk.qcow2 | jq -r '.[] | select(.kind == "file").path'
`;

/** Memory for the few blocks that a partition table is in. */
const CACHE_LIMIT = 4 * 2 ** 20;

/** One thing that is listed. `path`: from the directory that was asked for. */
interface Item {
  readonly path: string;
  readonly node: Node;
}

function* itemsIn(directory: DirectoryNode, prefix: string, recursive: boolean): Generator<Item> {
  for (const { name, node } of directory.entries()) {
    const path = `${prefix}${name}`;
    yield { path, node };
    if (recursive && node.kind === "directory") yield* itemsIn(node, `${path}/`, recursive);
  }
}

function* shortLines(items: Iterable<Item>): Generator<string> {
  for (const { path, node } of items) yield shownName({ name: path, node });
}

const typeLetters = {
  directory: "d",
  file: "-",
  symlink: "l",
  "character device": "c",
  "block device": "b",
  fifo: "p",
  socket: "s",
} as const satisfies Record<Node["kind"], string>;

/** Wide enough for 10 TB: lines are written as they are found, so the widest is not known. */
const SIZE_WIDTH = 13;

function* longLines(items: Iterable<Item>): Generator<string> {
  for (const { path, node } of items) {
    const permissions = typeLetters[node.kind] + permissionText(node.mode);
    const size = String(sizeOf(node) ?? "-").padStart(SIZE_WIDTH);
    const target = node.kind === "symlink" ? ` -> ${printable(node.target)}` : "";
    yield `${permissions}  ${size}  ${localTime(node.modified)}  ${shownName({ name: path, node })}${target}`;
  }
}

function permissionText(mode: number): string {
  return Array.from("rwxrwxrwx", (letter, index) => ((mode >> (8 - index)) & 1 ? letter : "-")).join("");
}

function sizeOf(node: Node): number | undefined {
  return node.kind === "file" ? node.file.size : undefined;
}

/** `2026-11-23 05:13` on the clock of this machine, as ls(1) shows it. */
function localTime(milliseconds: number): string {
  const minutes = new Date(milliseconds).getTimezoneOffset();
  return (isoTime(milliseconds - minutes * 60_000) ?? "?").slice(0, 16).replace("T", " ");
}

/** ISO 8601, UTC; undefined for times that no calendar reaches, as a damaged file system may have. */
function isoTime(milliseconds: number): string | undefined {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

function* elements(items: Iterable<Item>): Generator<object> {
  for (const { path, node } of items) {
    yield {
      path,
      kind: node.kind,
      size: sizeOf(node),
      mode: node.mode,
      modified: isoTime(node.modified),
      ...(node.kind === "symlink" && { target: node.target }),
    };
  }
}
