import { aboutArea } from "../areas.js";
import type { Cell, Part } from "../cells.js";
import { kinds, meanings } from "../kinds.js";
import { type Picture, rowsOf } from "../picture.js";

const ROW_LIMIT = 24;

/**
 * What the page's script draws, as JSON in an element of its own. Cells follow each other, so that they have lengths only:
 * `[length, runs, part…]`, a part being `[kind, depth, bytes, file, from, to, error]` without what is missing at its end.
 */
export function dataScript({ survey, areas }: Picture): string {
  const data = {
    size: survey.size,
    kinds,
    meanings: kinds.map((kind) => meanings[kind]),
    chain: survey.chain.map(({ file }) => file),
    files: survey.files.map(({ name, size }) => [name, size]),
    errors: survey.errors,
    rows: rowsOf(survey, ROW_LIMIT),
    lanes: areas.lanes.map(({ title, areas: all }) => [title, all.map((area) => [area.start, area.length, area.name, aboutArea(area)])]),
    cells: survey.cells.map(cellData),
    sampleStep: survey.sampleStep,
    samples: survey.samples.map(({ kind, offset, file, position }) => [offset, file, position, kinds.indexOf(kind)]),
  };
  // `<` would end the element, or begin a comment.
  return `<script type="application/json" id="data">${JSON.stringify(data).replaceAll("<", "\\u003c")}</script>`;
}

function cellData({ length, runs, parts }: Cell): readonly unknown[] {
  return [length, runs, ...parts.map(partData)];
}

function partData({ kind, depth, bytes, file, from, to, error }: Part): readonly unknown[] {
  const values: (number | null)[] = [kinds.indexOf(kind), depth, bytes, file ?? null, from ?? null, to ?? null, error ?? null];
  while (values.at(-1) === null) values.pop();
  return values;
}
