import { formatSize } from "../util/size.js";
import { aboutArea, type Lane } from "./areas.js";
import { type Cell, coarser } from "./cells.js";
import { type Kind, kinds, meanings } from "./kinds.js";
import { element, escapeMarkup } from "./markup.js";
import { isInRow, kindsIn, type Picture, type Row, rowsOf } from "./picture.js";
import { svgStyle } from "./svg-style.js";
import { drawPlot } from "./svg-plot.js";
import { cellLines, exactSize, fragmentationLine, headline, percent, ticks } from "./words.js";

/** Units of a drawing; it may be shown at any size. */
export const WIDTH = 1000;
export const MARGIN = 16;
export const INNER = WIDTH - 2 * MARGIN;
const STRIP = 30;
const ROW_LIMIT = 12;
/** So many parts are drawn as they are; of more, neighbours are joined. */
const PART_LIMIT = 2000;
/** Nothing is too small to be seen. */
const LEAST = 0.8;

export interface SvgOptions {
  /** Stands before ids and class names, so that several drawings can be in one page. */
  readonly prefix?: string;
}

/** A drawing as one SVG document, which needs no other file and follows the reader's choice of dark and light. */
export function drawSvg(picture: Picture, { prefix = "fm" }: SvgOptions = {}): string {
  const { survey, areas, name } = picture;
  const cells = coarser(survey.cells, PART_LIMIT);
  const parts: string[] = [];
  let y = MARGIN + 18;
  const put = (height: number, ...markup: readonly string[]): void => {
    parts.push(element("g", { transform: `translate(${MARGIN} ${y})` }, markup));
    y += height;
  };
  put(22, text(0, 0, shorten(name, 80), "h"));
  put(30, text(0, 0, headline(picture), "f"));
  for (const lane of areas.lanes) put(58, ...drawLane(lane, survey.size));
  for (const row of survey.size > 0 ? rowsOf(survey, ROW_LIMIT) : []) put(58, ...drawRow(row, cells, picture, prefix));
  y -= 4;
  put(34, ...drawAxis(survey.size));
  const plots = survey.size > 0 ? drawPlot(picture, INNER) : [];
  for (const { height, markup } of plots) put(height, ...markup);
  put(0, ...drawLegend(picture, prefix));
  y += kindsIn(survey).length * 24 + 8;
  const fragmentation = fragmentationLine(survey);
  if (fragmentation !== undefined) put(20, text(0, 0, shorten(fragmentation, 150), "f"));
  const height = Math.ceil(y + MARGIN - 10);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="${prefix}-title" class="${prefix}">`,
    element("title", { id: `${prefix}-title` }, escapeMarkup(`Where the bytes of ${name} are stored: ${headline(picture)}`)),
    svgStyle(prefix),
    element("rect", { class: "paper", width: WIDTH, height }),
    ...parts,
    "</svg>\n",
  ].join("\n");
}

export function text(x: number, y: number, words: string, className: string, anchor?: string): string {
  return element("text", { x: round(x), y: round(y), class: className, "text-anchor": anchor }, escapeMarkup(words));
}

export function round(value: number): number {
  return Number(value.toFixed(2));
}

/** Names may be as long as paths: their ends tell more than their starts. */
export function shorten(words: string, limit: number): string {
  return words.length > limit ? `${words.slice(0, limit / 2)}…${words.slice(-limit / 2 + 1)}` : words;
}

export function drawLane({ title, areas }: Lane, size: number): readonly string[] {
  const boxes = areas.map((area) => {
    const { start, length, name } = area;
    const x = (start / size) * INNER;
    const width = Math.max(LEAST, (length / size) * INNER);
    const words = `${name} · ${aboutArea(area)}`;
    const room = Math.floor((width - 10) / 7);
    const shown = room < name.length ? "" : words.length <= room ? words : room < 4 ? name : `${words.slice(0, room - 1)}…`;
    const about = element("title", {}, escapeMarkup(`${words}\noffset ${start}, ${exactSize(length)}`));
    return element("g", {}, [
      about,
      element("rect", { class: "area", x: round(x), y: 6, width: round(width), height: STRIP - 8, rx: Math.min(3, width / 3) }),
      ...(shown === "" ? [] : [text(x + 6, 22, shown, "s")]),
    ]);
  });
  return [text(0, 2, title, "f"), ...boxes];
}

function drawRow(row: Row, cells: readonly Cell[], { survey }: Picture, prefix: string): readonly string[] {
  const scale = INNER / survey.size;
  const drawn = cells.flatMap((cell) => {
    const shown = cell.parts.filter((part) => isInRow(part, row) && part.kind !== "absent");
    if (shown.length === 0) return [];
    const width = Math.max(LEAST, cell.length * scale);
    let bottom = STRIP;
    const rects = kinds.flatMap((kind) => {
      const bytes = shown.reduce((sum, part) => (part.kind === kind ? sum + part.bytes : sum), 0);
      if (bytes === 0) return [];
      const height = Math.min(bottom, Math.max(1, (bytes / cell.length) * (STRIP - 4)));
      bottom -= height;
      const place = { x: round(cell.start * scale), y: round(bottom + 6), width: round(width), height: round(height) };
      return [element("rect", { ...place, class: kind, fill: fillOf(kind, prefix) })];
    });
    return [element("g", {}, [element("title", {}, escapeMarkup(cellLines(cell, survey).join("\n"))), ...rects])];
  });
  const ground = element("rect", { class: "ground", y: 10, width: INNER, height: STRIP - 4 });
  return [text(0, 4, `${row.title}: ${shorten(row.detail, 90)}`, "f"), ground, ...drawn];
}

function fillOf(kind: Kind, prefix: string): string | undefined {
  return kind === "compressed" || kind === "zero" || kind === "damaged" ? `url(#${prefix}-${kind})` : undefined;
}

export function drawAxis(size: number): readonly string[] {
  if (size === 0) return [text(0, 0, "The disk is empty.", "f")];
  return [...ticks(0, size, 8), size].flatMap((at, index, all) => {
    const x = (at / size) * INNER;
    // The end has its own mark; one that would stand in it is left out.
    if (index < all.length - 1 && INNER - x < 70) return [];
    const anchor = index === 0 ? "start" : at === size ? "end" : "middle";
    return [element("path", { class: "tick", d: `M${round(x)} -16v5` }), text(x, 0, formatSize(at), "s", anchor)];
  });
}

function drawLegend({ survey }: Picture, prefix: string): readonly string[] {
  return kindsIn(survey).flatMap((kind, index) => [
    element("rect", { class: `key ${kind}`, fill: fillOf(kind, prefix), y: index * 24 - 12, width: 24, height: 15 }),
    text(
      34,
      index * 24,
      `${kind}: ${formatSize(survey.totals[kind])}, ${percent(survey.totals[kind], survey.size)}, ${meanings[kind]}`,
      "s",
    ),
  ]);
}
