import { statSync } from "node:fs";
import { basename } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { createBlockCache } from "../../disk/cache.js";
import { diffDisks } from "../../disk/diff.js";
import type { DiskDifference } from "../../disk/difference.js";
import { type OpenedDisk, openDisk } from "../../disk/open.js";
import type { OpenDiskOptions } from "../../disk/options.js";
import { readPartitions } from "../../disk/partitions/read.js";
import { readDisk } from "../../disk/read.js";
import { currentState, type DiskState, earlierState, stateNamed, statesIn } from "../../disk/states.js";
import { readVolumes } from "../../disk/volumes/read.js";
import { lanesOf } from "../../picture/areas.js";
import { surveyChanges } from "../../picture/changes.js";
import { drawChangesPage } from "../../picture/changes-page.js";
import { type ChangesPicture, drawChanges } from "../../picture/changes-svg.js";
import { UserError } from "../../util/errors.js";
import { explain } from "../../util/explain.js";
import { formatSize } from "../../util/size.js";
import { printable, quote } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJsonArray, writeLines } from "../output.js";
import { writePicture } from "../picturing.js";
import { createProgressBar } from "../progress.js";
import { jsonOption, openOptionsOf, withReadingOptions } from "../reading-options.js";
import { alignRow } from "../table.js";

/** Memory for the few blocks that partition tables are in. */
const CACHE_LIMIT = 4 * 2 ** 20;

export function diffCommand(io: Io) {
  return withReadingOptions(
    new Command("diff")
      .summary(summaries.diff)
      .description(
        "Shows which ranges of the disk in IMAGE changed from BEFORE to AFTER: snapshots, images of its chain, or another image.",
      )
      .argument("<image>", "the image")
      .argument("[before]", "the earlier state (default: the snapshot that was made last, or else the parent)")
      .argument("[after]", "the later state (default: current)"),
  )
    .addOption(jsonOption().conflicts(["svg", "html"]))
    .option("-c, --compare", "read what is stored in two places, and leave out what is the same")
    .option("--svg <file>", 'write a drawing as SVG ("-": to standard output)')
    .option("--html <file>", "write one HTML page with the drawing")
    .option("--force", "replace files that exist")
    .addHelpText("after", help)
    .action((image, before, after, { json, svg, html, compare = false, force = false, ...options }) => {
      if (svg !== undefined && svg === html) throw new UserError("--svg and --html name the same file");
      const opened: OpenedDisk[] = [];
      const open = (path: string, how: OpenDiskOptions): OpenedDisk => {
        const disk = openDisk(path, how);
        opened.push(disk);
        return disk;
      };
      const openOptions = openOptionsOf(options);
      const bar = createProgressBar(io, "comparing");
      const out: Io = {
        ...io,
        out(content) {
          bar.end();
          io.out(content);
        },
      };
      try {
        const disk = open(image, openOptions);
        const sides = sidesOf(disk, [before, after], (path) => open(path, optionsOfOther(openOptions)));
        const size = Math.max(sides.before.layer.size, sides.after.layer.size);
        const differences = diffDisks(sides.before.layer, sides.after.layer, {
          // What is in two images is the same by its content, if at all.
          compare: compare || opened.length > 1,
          identities: new Map(opened.flatMap(({ files }) => files.map(({ fd, identity }) => [fd, identity]))),
          progress: (done) => bar.step({ file: image, done, size }),
        });
        if (svg !== undefined || html !== undefined) {
          const picture = pictureOf(image, sides, size, differences);
          bar.end();
          const files = { files: opened.flatMap((each) => each.files) };
          if (svg !== undefined) writePicture(io, svg, drawChanges(picture), files, force);
          if (html !== undefined) writePicture(io, html, drawChangesPage(picture), files, force);
        } else if (json) writeJsonArray(out, elements(differences));
        else writeLines(out, lines(sides, size, differences));
      } finally {
        bar.end();
        for (const each of opened) each.close();
      }
    });
}

const help = `
BEFORE and AFTER are each one of these:
  current    what IMAGE is now (with --snapshot: that one)
  NAME       a snapshot by its id or name
  @1, @2 ... what IMAGE is a difference to, and so on down its chain; or the name of such a file
  FILE       another image. If it is all that is given, it is AFTER, and IMAGE is BEFORE

What is stored at the same place in both is the same, as are zeros however they are stored. All else differs by the
tables of the image: no byte of the disk is read. That may be too much, never too little: bytes may have been written again.
--compare reads those ranges and leaves only the sectors (512 bytes) that differ; so does another image.

Kinds are those of "flatmount map"; outside: the disk ends before. A range that cannot be read in one of the two is
told with the reason. The exit status is 0 whether there are differences or not.

Examples:
  flatmount diff disk.qcow2
  flatmount diff disk.qcow2 before-upgrade after-upgrade
  flatmount diff --compare overlay.qcow2 @1
  flatmount diff --json monday.qcow2 tuesday.qcow2 | jq 'map(.length) | add'
`;

interface Sides {
  readonly before: DiskState;
  readonly after: DiskState;
}

function sidesOf(disk: OpenedDisk, [first, second]: readonly (string | undefined)[], open: (path: string) => OpenedDisk): Sides {
  const { layer } = disk;
  const other = (path: string): DiskState => ({ title: quote(path), layer: open(path).layer });
  const stateOf = (wanted: string): DiskState => {
    const state = stateNamed(layer, wanted);
    if (state) return state;
    if (isFile(wanted)) return other(wanted);
    throw new UserError(`there is no state ${quote(wanted)} in the image, and no such file`, `There are: ${statesIn(layer).join(", ")}.`);
  };
  if (first === undefined) {
    const before = earlierState(layer);
    if (before) return { before, after: currentState(layer) };
    throw new UserError("the image has no snapshots and is no difference to another", "Name another image to compare it with.");
  }
  const named = stateNamed(layer, first);
  if (second === undefined && !named && isFile(first))
    return { before: { ...currentState(layer), title: quote(disk.files[0]?.path ?? layer.name) }, after: other(first) };
  return { before: named ?? stateOf(first), after: second === undefined ? currentState(layer) : stateOf(second) };
}

function pictureOf(image: string, { before, after }: Sides, size: number, differences: Iterable<DiskDifference>): ChangesPicture {
  const { layer } = after;
  const cache = createBlockCache(CACHE_LIMIT);
  const disk = { size: layer.size, read: (target: Uint8Array, offset: number) => readDisk(layer, target, offset, cache) };
  const table = readPartitions(disk);
  return {
    name: printable(basename(image)),
    before: before.title,
    after: after.title,
    changes: surveyChanges(size, differences),
    areas: lanesOf(layer.size, table, readVolumes(disk, table)),
  };
}

/** What is said of the first image says nothing about which the other one is. */
function optionsOfOther({ passwords, allow, search, degraded, cacheFolder }: OpenDiskOptions): OpenDiskOptions {
  return { passwords, allow, search, degraded, cacheFolder };
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** One element of `diff --json`. */
export interface DiffElement extends Omit<DiskDifference, "error"> {
  readonly error?: string | undefined;
}

function* elements(differences: Iterable<DiskDifference>): Generator<DiffElement> {
  for (const { start, length, before, after, error } of differences) {
    yield { start, length, before, after, error: error && explain(error) };
  }
}

function* lines({ before, after }: Sides, size: number, differences: Iterable<DiskDifference>): Generator<string> {
  yield `before: ${before.title}, ${formatSize(before.layer.size)}; after: ${after.title}, ${formatSize(after.layer.size)}`;
  const number = Math.max("OFFSET".length, String(size).length);
  const widths = [number, number, "compressed".length];
  let count = 0;
  let bytes = 0;
  for (const each of differences) {
    if (count === 0) yield alignRow(["OFFSET", "LENGTH", "BEFORE", "AFTER"], widths, [0, 1]);
    count += 1;
    bytes += each.length;
    yield alignRow([String(each.start), String(each.length), each.before, each.after], widths, [0, 1]);
    if (each.error) yield `  ${printable(explain(each.error))}`;
  }
  yield count === 0 ? "no differences" : `${count} range${count === 1 ? "" : "s"}, ${formatSize(bytes)}`;
}
