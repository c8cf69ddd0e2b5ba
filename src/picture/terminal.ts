import { formatSize } from "../util/size.js";
import { aboutArea } from "./areas.js";
import type { Cell } from "./cells.js";
import { type Kind, kinds } from "./kinds.js";
import { baseName, isInRow, kindsIn, type Picture, type Row, rowsOf } from "./picture.js";
import { createPlot } from "./terminal-plot.js";
import { counted, fragmentationLine, headline, percent } from "./words.js";

export interface TerminalOptions {
  /** Characters that fit into a line. */
  readonly columns: number;
  readonly color: boolean;
  /** Whether more than ASCII can be shown. */
  readonly unicode: boolean;
}

interface Style extends TerminalOptions {
  /** Characters of a drawing. */
  readonly width: number;
  /** Characters of the titles before it. */
  readonly margin: number;
}

const glyphs: Readonly<Record<"unicode" | "ascii", Readonly<Record<Kind, string>>>> = {
  unicode: { data: "█", compressed: "▓", zero: "░", absent: "·", damaged: "╳" },
  ascii: { data: "#", compressed: "%", zero: "0", absent: ".", damaged: "X" },
};
/** What is of several kinds: as high as what is stored of it. */
const mixed = { unicode: "▁▂▃▄▅▆▇", ascii: "+" } as const;

/** Codes of the sixteen colours that every terminal has, which its owner has chosen to be readable. */
const colors: Readonly<Record<Kind, string>> = { data: "36", compressed: "33", zero: "90", absent: "90", damaged: "1;31" };

const MIN_WIDTH = 16;
const MAX_WIDTH = 400;
const ROW_LIMIT = 8;
/** A column is shown as stored in one way if so much of it is. Zeros are shown only where nothing is stored. */
const MOSTLY = 0.9;

/** The picture as lines of text, none longer than `columns` where that leaves room for a drawing at all; names are never cut. */
export function terminalLines(picture: Picture, options: TerminalOptions): readonly string[] {
  const { survey } = picture;
  const rows = rowsOf(survey, ROW_LIMIT);
  const titles = [...rows.map(({ title }) => title), ...(picture.areas.lanes.length > 0 ? ["Partitions"] : []), "In the file"];
  const wide = options.columns >= 60;
  const margin = wide ? Math.max(...titles.map((title) => title.length)) + 2 : 0;
  const width = Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, options.columns - margin - 1));
  const style: Style = { ...options, width, margin };
  const head = [...wrap(picture.name, options.columns), ...wrap(plain(headline(picture), options), options.columns), ""];
  if (survey.size === 0) return [...head, "The disk is empty."];
  const fragmentation = fragmentationLine(survey);
  return [
    ...head,
    ...laneLines(picture, style),
    ...rows.flatMap((row) => titled(plain(row.title, options), drawRow(survey.cells, survey.size, row, style), style)),
    ...titled("", axis(survey.size, style), style),
    "",
    ...plotLines(picture, style),
    ...legend(picture, style),
    ...(fragmentation === undefined ? [] : ["", ...wrap(fragmentation, options.columns)]),
    ...chainLines(picture, rows, options),
  ];
}

/** A drawing with its title: before it, or above it where lines are short. */
function titled(title: string, drawing: string, { margin }: Style): readonly string[] {
  if (margin > 0) return [`${title.padEnd(margin)}${drawing}`.trimEnd()];
  return title === "" ? [drawing] : [title, drawing];
}

function drawRow(cells: readonly Cell[], size: number, row: Row, style: Style): string {
  const { width } = style;
  const bytes = Object.fromEntries(kinds.map((kind) => [kind, new Float64Array(width)])) as Record<Kind, Float64Array>;
  const scale = width / size;
  for (const { start, length, parts } of cells) {
    const shown = parts.filter((part) => isInRow(part, row));
    if (shown.length === 0) continue;
    const end = (start + length) * scale;
    for (let column = Math.floor(start * scale); column < Math.min(width, end); column += 1) {
      const overlap = Math.min(end, column + 1) - Math.max(start * scale, column);
      for (const { kind, bytes: share } of shown) bytes[kind][column]! += (overlap * share) / length;
    }
  }
  return paint(
    Array.from({ length: width }, (_, column) => cellOf((kind) => bytes[kind][column] ?? 0, style)),
    style,
  );
}

type Drawn = readonly [glyph: string, kind: Kind | undefined];

/** One column, `share` of which is of each kind; damage shows however little it is. */
function cellOf(share: (kind: Kind) => number, { unicode }: Style): Drawn {
  const set = unicode ? "unicode" : "ascii";
  const all = glyphs[set];
  if (share("damaged") > 0) return [all.damaged, "damaged"];
  const whole = (["data", "compressed"] as const).find((kind) => share(kind) >= MOSTLY);
  if (whole) return [all[whole], whole];
  const stored = share("data") + share("compressed");
  if (stored > 0) {
    const steps = mixed[set];
    return [
      steps[Math.min(steps.length - 1, Math.floor(stored * steps.length))] ?? "",
      share("data") >= share("compressed") ? "data" : "compressed",
    ];
  }
  if (share("zero") > 0) return [all.zero, "zero"];
  return share("absent") > 0 ? [all.absent, "absent"] : [" ", undefined];
}

/** Neighbours of one colour get it once. */
function paint(drawn: readonly Drawn[], { color }: Style): string {
  if (!color) return drawn.map(([glyph]) => glyph).join("");
  let line = "";
  let current: string | undefined;
  for (const [glyph, kind] of drawn) {
    const wanted = kind && colors[kind];
    if (wanted !== current) {
      if (current !== undefined) line += "\x1b[0m";
      if (wanted !== undefined) line += `\x1b[${wanted}m`;
      current = wanted;
    }
    line += glyph;
  }
  return current === undefined ? line : `${line}\x1b[0m`;
}

/** Partitions and volumes as boxes with as much of their names as fits. */
function laneLines({ areas: { lanes, omitted }, survey }: Picture, style: Style): readonly string[] {
  const { width, unicode } = style;
  const bar = unicode ? "│" : "|";
  const lines = lanes.flatMap(({ title, areas }) => {
    const characters = Array.from({ length: width }, () => " ");
    for (const area of areas) {
      const { start, length, name } = area;
      const from = Math.min(width - 1, Math.floor((start / survey.size) * width));
      const to = Math.max(from, Math.min(width - 1, Math.ceil(((start + length) / survey.size) * width) - 1));
      const inner = to - from - 1;
      characters[from] = bar;
      characters[to] = bar;
      const text = ascii(`${name} ${aboutArea(area)}`, unicode).slice(0, Math.max(0, inner));
      const shown = inner < name.length ? "" : text;
      for (const [index, character] of Array.from(shown.padEnd(Math.max(0, inner), unicode ? "╌" : "-")).entries()) {
        if (from + 1 + index < to) characters[from + 1 + index] = character;
      }
    }
    return titled(title.replace(/ \(.*/, ""), characters.join("").trimEnd(), style);
  });
  return omitted > 0 ? [...lines, `(${counted(omitted, "more area")} not drawn)`] : lines;
}

/** Sizes below the drawing, as many as there is room for. */
function axis(size: number, { width }: Style): string {
  const count = Math.max(1, Math.min(8, Math.floor(width / 16)));
  let line = "";
  for (let index = 0; index <= count; index += 1) {
    const text = formatSize(Math.round((size * index) / count));
    const at = Math.round((index * width) / count);
    const from = index === 0 ? 0 : index === count ? width - text.length : at - Math.floor(text.length / 2);
    if (from > line.length || line === "") line = `${line.padEnd(from)}${text}`;
  }
  return line;
}

/** Where in their files the bytes are: the disk from left to right, the file from top to bottom. Of several files, the one that holds most runs. */
function plotLines({ survey }: Picture, style: Style): readonly string[] {
  const { width, unicode, color } = style;
  const plot = createPlot(survey, { width, height: 8, unicode });
  if (!plot) return [];
  const { file, from, to, lines } = plot;
  const drawn = lines.map((line) => (color && line !== "" ? `\x1b[${colors.data}m${line}\x1b[0m` : line));
  const name = baseName(file);
  const title = plain(`Where in ${ascii(name, unicode)}: ${formatSize(from)} at the top, ${formatSize(to)} at the bottom`, style);
  const before = (text: string) => text.padEnd(style.margin);
  return [
    ...drawn.map((line, index) => `${before(index === 0 && style.margin > 0 ? "In the file" : "")}${line}`.trimEnd()),
    ...wrap(title, style.columns - style.margin).map((line) => `${before("")}${line}`),
    "",
  ];
}

function legend({ survey }: Picture, style: Style): readonly string[] {
  const all = glyphs[style.unicode ? "unicode" : "ascii"];
  const entries = kindsIn(survey).map((kind): [string, string] => {
    const total = survey.totals[kind];
    return [`${paint([[all[kind], kind]], style)} `, `${kind} ${formatSize(total)} (${percent(total, survey.size)})`];
  });
  if (entries.length > 1) entries.push([style.unicode ? "▂▄▆ " : "+ ", style.unicode ? "mixed: as much of it is stored" : "mixed"]);
  const lines: string[] = [];
  let line = "";
  let length = 0;
  for (const [sign, text] of entries) {
    const needed = (text.startsWith("mixed:") ? 4 : 2) + text.length + (line === "" ? 0 : 3);
    if (line !== "" && length + needed > style.columns - 1) {
      lines.push(line);
      [line, length] = ["", 0];
    }
    line += `${line === "" ? "" : "   "}${sign}${text}`;
    length += needed;
  }
  return [...lines, line];
}

function chainLines({ survey: { chain, totalsByDepth } }: Picture, rows: readonly Row[], options: TerminalOptions): readonly string[] {
  if (rows.length === 1) return [];
  const lines = chain.map(({ file, format }, depth) => {
    const totals = totalsByDepth[depth];
    const has = totals ? totals.data + totals.compressed + totals.zero + totals.damaged : 0;
    return `${depth}  ${format}  ${formatSize(has)} of the disk  ${file}`;
  });
  return ["", "Layers:", ...lines.map((line) => `  ${ascii(line, options.unicode)}`)];
}

function plain(text: string, { unicode }: TerminalOptions): string {
  return ascii(text.replaceAll("·", unicode ? "·" : "-").replaceAll("–", unicode ? "–" : "-"), unicode);
}

function ascii(text: string, unicode: boolean): string {
  return unicode ? text : text.replace(/[^\x20-\x7e]/gu, "?");
}

/** Lines of at most `columns` characters; words that are longer are left whole, so that names can be copied. */
function wrap(text: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
