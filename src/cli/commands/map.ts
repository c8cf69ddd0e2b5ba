import { Command, Option } from "@commander-js/extra-typings";
import { type DiskExtent, diskExtents } from "../../disk/extents.js";
import type { OpenedDisk } from "../../disk/open.js";
import type { Layer } from "../../formats/driver.js";
import { drawPage } from "../../picture/page/page.js";
import { drawSvg } from "../../picture/svg.js";
import { terminalLines } from "../../picture/terminal.js";
import { namesBelow } from "../../tree/shown.js";
import type { View } from "../../tree/view.js";
import { UserError } from "../../util/errors.js";
import { explain } from "../../util/explain.js";
import { hex, printable, quote } from "../../util/text.js";
import { summaries } from "../command-names.js";
import type { Io } from "../io.js";
import { writeJsonArray, writeLines } from "../output.js";
import { isUtf8, pictureOf, writePicture } from "../picturing.js";
import { jsonOption, openOptionsOf, withReadingOptions } from "../reading-options.js";
import { alignRow } from "../table.js";
import { viewOf } from "../viewing.js";

/** Memory for the few blocks that partition tables and lists of files are in. */
const CACHE_LIMIT = 4 * 2 ** 20;

export function mapCommand(io: Io) {
  return withReadingOptions(
    new Command("map")
      .summary(summaries.map)
      .description("Shows, run by run, where the bytes of the disk in IMAGE are stored: in which file of the chain, and how.")
      .argument("<image>", "the image"),
  )
    .addOption(jsonOption().conflicts(["picture", "svg", "html"]))
    .option("--picture", "draw it")
    .addOption(new Option("--svg <file>", 'write a drawing as SVG ("-": to standard output)').conflicts("json"))
    .addOption(new Option("--html <file>", "write one HTML page to look into with a browser, zooming").conflicts("json"))
    .option("--force", "replace files that exist")
    .addHelpText("after", help)
    .action((image, { json, picture = false, svg, html, force = false, ...options }) => {
      checkOutputs(picture, svg, html);
      const view = viewOf(io, image, openOptionsOf(options), CACHE_LIMIT);
      try {
        const disk = { ...view.disk, files: view.disk.files, layer: layerOf(view) };
        if (picture || svg !== undefined || html !== undefined) {
          draw(io, image, disk, { picture, svg, html, force });
          return;
        }
        const extents = diskExtents(disk.layer);
        if (json) writeJsonArray(io, mapElements(extents));
        else writeLines(io, mapLines(disk, extents));
      } finally {
        view.close();
      }
    });
}

/** What the disk is mapped by: of a package, that of the disk in it. */
function layerOf({ shown: { diskLayer, disks } }: View): Layer {
  if (diskLayer) return diskLayer;
  const names = disks.flatMap(namesBelow).map(quote).join(", ");
  throw new UserError(
    "it is no disk, but a package of files with none or several in it",
    names === "" ? undefined : `Choose one with --disk: ${names}.`,
  );
}

interface Drawings {
  readonly picture: boolean;
  readonly svg: string | undefined;
  readonly html: string | undefined;
  readonly force: boolean;
}

/** One look through the disk for all that is wanted of it. */
function draw(io: Io, image: string, disk: OpenedDisk, { picture: terminal, svg, html, force }: Drawings): void {
  const picture = pictureOf(io, image, disk);
  if (svg !== undefined) writePicture(io, svg, drawSvg(picture), disk, force);
  if (html !== undefined) writePicture(io, html, drawPage(picture), disk, force);
  if (terminal) writeLines(io, terminalLines(picture, { columns: io.columns, color: io.color, unicode: isUtf8(process.env) }));
}

function checkOutputs(picture: boolean, svg: string | undefined, html: string | undefined): void {
  const outputs = [picture, svg === "-", html === "-"].filter(Boolean).length;
  if (outputs > 1) throw new UserError("standard output can have one drawing only", "Give the others a file.");
  if (svg !== undefined && svg !== "-" && svg === html) throw new UserError("--svg and --html name the same file");
}

const help = `
Kinds: data is stored plainly at POSITION of FILE, compressed is stored encoded, zero reads as zeros because an image
says so, absent reads as zeros because no image of the chain has it, damaged cannot be read. DEPTH counts the images
from IMAGE (0) down its chain.

--json prints what "qemu-img map --output=json" does, with these differences: "offset" is given for data only; holes
that a file system has inside allocated clusters are data; "compressed" is always given, as is "file" where bytes are
stored; a damaged range counts as data and has an "error".

--picture draws where the partitions are, what each image of the chain has, and in which order it stands in its file; as
wide as the terminal, in colours unless NO_COLOR is set. The page of --html needs nothing but itself: it can be mailed.

Examples:
  flatmount map disk.qcow2
  flatmount map --picture disk.qcow2
  flatmount map --html map.html disk.qcow2 && xdg-open map.html
  flatmount map --json disk.qcow2 | jq 'map(select(.data).length) | add'
`;

/** One element of `map --json`. */
export interface MapElement {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  /** Whether an image of the chain has it. */
  readonly present: boolean;
  /** Whether it reads as zeros without a look at any file. */
  readonly zero: boolean;
  readonly data: boolean;
  readonly compressed: boolean;
  /** Byte position in `file`. This one, and those that follow, are left out where they do not apply. */
  readonly offset?: number | undefined;
  readonly file?: string | undefined;
  readonly error?: string | undefined;
}

function* mapElements(extents: Iterable<DiskExtent>): Generator<MapElement> {
  for (const extent of extents) yield mapElement(extent);
}

function mapElement(extent: DiskExtent): MapElement {
  const { start, length, depth, kind } = extent;
  const zero = kind === "zero" || kind === "absent";
  return {
    start,
    length,
    depth,
    present: kind !== "absent",
    zero,
    // A damaged range must not look like one that need not be read: who reads it gets the error.
    data: !zero,
    compressed: kind === "packed",
    offset: kind === "data" ? extent.position : undefined,
    file: kind === "data" || kind === "packed" ? extent.source.name : undefined,
    error: kind === "damaged" ? explain(extent.error) : undefined,
  };
}

function* mapLines({ layer, files }: OpenedDisk, extents: Iterable<DiskExtent>): Generator<string> {
  const header = ["OFFSET", "LENGTH", "KIND", "FILE", "POSITION", "DEPTH"];
  const number = Math.max("OFFSET".length, String(layer.size).length);
  // Rows are written as they are found, so widths are what they may become.
  const file = Math.max("FILE".length, ...files.map(({ path }) => printable(path).length));
  const position = Math.max("POSITION".length, ...files.map(({ size }) => hex(size).length));
  const widths = [number, number, "compressed".length, file, position];
  yield alignRow(header, widths, [0, 1, 4]);
  for (const extent of extents) {
    yield alignRow(cellsOf(extent), widths, [0, 1, 4]);
    if (extent.kind === "damaged") yield `  ${explain(extent.error)}`;
  }
}

function cellsOf(extent: DiskExtent): readonly string[] {
  const { start, length, depth } = extent;
  const kind = extent.kind === "packed" ? "compressed" : extent.kind;
  const file = "source" in extent ? extent.source.name : "-";
  const position = extent.kind === "data" ? hex(extent.position) : "-";
  return [String(start), String(length), kind, file, position, String(depth)];
}
