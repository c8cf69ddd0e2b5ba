import { formatSize } from "../util/size.js";
import { hex } from "../util/text.js";
import type { Lanes } from "./areas.js";
import { allChanges, type ChangeKind, type Changes, changeKinds } from "./changes.js";
import { element, escapeMarkup } from "./markup.js";
import { drawAxis, drawLane, INNER, MARGIN, round, shorten, text, WIDTH } from "./svg.js";
import { svgStyle } from "./svg-style.js";
import { counted, percent } from "./words.js";

/** Two states of a disk. Texts are safe to print; they are not safe in markup. */
export interface ChangesPicture {
  /** The image's file. */
  readonly name: string;
  /** What is compared, such as `snapshot 1 "before"`. */
  readonly before: string;
  readonly after: string;
  readonly changes: Changes;
  /** What is on the later disk. */
  readonly areas: Lanes;
}

const STRIP = 60;
/** Nothing is too small to be seen. */
const LEAST = 1;

/** A drawing as one SVG document, which needs no other file and follows the reader's choice of dark and light. */
export function drawChanges(picture: ChangesPicture, prefix = "fm"): string {
  const { name, before, after, changes, areas } = picture;
  const parts: string[] = [];
  let y = MARGIN + 18;
  const put = (height: number, ...markup: readonly string[]): void => {
    parts.push(element("g", { transform: `translate(${MARGIN} ${y})` }, markup));
    y += height;
  };
  put(22, text(0, 0, shorten(name, 80), "h"));
  put(20, text(0, 0, shorten(`from ${before} to ${after}`, 150), "f"));
  put(30, text(0, 0, changesLine(changes), "f"));
  for (const lane of areas.lanes) put(58, ...drawLane(lane, changes.size));
  if (changes.size > 0) put(STRIP + 28, ...drawColumns(changes, prefix));
  y -= 4;
  put(34, ...drawAxis(changes.size));
  const kinds = allChanges.filter((kind) => changes.totals[kind] > 0);
  put(kinds.length * 24, ...kinds.flatMap((kind, index) => legendRow(kind, index, changes, prefix)));
  const height = Math.ceil(y + MARGIN - 10);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${prefix}-title" class="${prefix}">`,
    element(
      "title",
      { id: `${prefix}-title` },
      escapeMarkup(`What changed in ${name} from ${before} to ${after}: ${changesLine(changes)}`),
    ),
    svgStyle(prefix),
    element("rect", { class: "paper", width: WIDTH, height }),
    ...parts,
    "</svg>\n",
  ].join("\n");
}

/** `12 ranges, 1.5 MiB, 3 % of 64 MiB`. */
export function changesLine({ totals, ranges, size }: Changes): string {
  const bytes = allChanges.reduce((sum, kind) => sum + totals[kind], 0);
  return ranges === 0
    ? "no differences"
    : `${counted(ranges, "range")}, ${formatSize(bytes)}, ${percent(bytes, size)} of ${formatSize(size)}`;
}

/** How much of each column differs, from its foot up. */
function drawColumns({ columns, step, size }: Changes, prefix: string): readonly string[] {
  const scale = INNER / size;
  const width = round(Math.max(LEAST, step * scale));
  const drawn = Array.from(columns.written.keys(), (column) => {
    const start = column * step;
    const length = Math.min(step, size - start);
    let foot = STRIP;
    const words: string[] = [];
    const rects = allChanges.flatMap((kind) => {
      const bytes = columns[kind][column] ?? 0;
      if (bytes === 0) return [];
      words.push(`${percent(bytes, length)} ${kind}`);
      const height = Math.min(foot, Math.max(2, (bytes / length) * STRIP));
      foot -= height;
      const place = { x: round(start * scale), y: round(foot + 10), width, height: round(height) };
      return [element("rect", { ...place, class: changeKinds[kind].fill, fill: fillOf(kind, prefix), "shape-rendering": "crispEdges" })];
    });
    if (rects.length === 0) return "";
    const about = `offset ${hex(start)}, ${formatSize(length)}\n${words.join(", ")}`;
    return element("g", {}, [element("title", {}, escapeMarkup(about)), ...rects]);
  });
  return [text(0, 4, "Changed", "f"), element("rect", { class: "ground", y: 10, width: INNER, height: STRIP }), ...drawn];
}

function fillOf(kind: ChangeKind, prefix: string): string | undefined {
  const { fill } = changeKinds[kind];
  return fill === "data" ? undefined : `url(#${prefix}-${fill})`;
}

function legendRow(kind: ChangeKind, index: number, { totals, size }: Changes, prefix: string): readonly string[] {
  const { fill, meaning } = changeKinds[kind];
  const words = `${kind}: ${formatSize(totals[kind])}, ${percent(totals[kind], size)}, ${meaning}`;
  return [
    element("rect", { class: `key ${fill}`, fill: fillOf(kind, prefix), y: index * 24 - 12, width: 24, height: 15 }),
    text(34, index * 24, words, "s"),
  ];
}
