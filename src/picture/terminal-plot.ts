import type { Survey } from "./survey.js";

export interface Plot {
  readonly file: string;
  /** Positions in the file at the top and at the bottom. */
  readonly from: number;
  readonly to: number;
  readonly lines: readonly string[];
}

/** Bits of the eight dots of a braille character, by row and column; U+2800 has none of them. */
const dots = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

/** Bytes of the disk and of one file against each other, in `width` by `height` characters; undefined where nothing is known of positions. */
export function createPlot(
  survey: Survey,
  { width, height, unicode }: { width: number; height: number; unicode: boolean },
): Plot | undefined {
  const [across, down] = unicode ? [2, 4] : [1, 1];
  const lines = linesOf(survey);
  const file = fileWithMost(lines);
  if (file === undefined) return undefined;
  const shown = lines.filter((line) => line.file === file);
  const from = shown.reduce((least, line) => Math.min(least, line.from), Number.POSITIVE_INFINITY);
  const to = shown.reduce((most, line) => Math.max(most, line.to), 0);
  const [columns, rows] = [width * across, height * down];
  const cells = new Uint8Array(width * height);
  for (const { start, length, from: first, to: last } of shown) {
    const left = Math.floor((start / survey.size) * columns);
    const right = Math.max(left, Math.ceil(((start + length) / survey.size) * columns) - 1);
    for (let x = left; x <= Math.min(right, columns - 1); x += 1) {
      const at = right === left ? 0 : (x - left) / (right - left);
      const y = Math.min(rows - 1, Math.floor(((first + (last - first) * at - from) / Math.max(1, to - from)) * rows));
      const index = Math.floor(y / down) * width + Math.floor(x / across);
      cells[index]! |= unicode ? (dots[y % 4]?.[x % 2] ?? 0) : 1;
    }
  }
  const glyph = (bits: number) => (unicode ? (bits === 0 ? " " : String.fromCodePoint(0x2800 + bits)) : bits === 0 ? " " : "*");
  return {
    file: survey.files[file]?.name ?? "",
    from,
    to,
    lines: Array.from({ length: height }, (_, row) =>
      Array.from(cells.subarray(row * width, (row + 1) * width), glyph)
        .join("")
        .trimEnd(),
    ),
  };
}

interface Line {
  readonly file: number;
  readonly start: number;
  readonly length: number;
  readonly from: number;
  readonly to: number;
}

function linesOf({ cells, samples, sampleStep }: Survey): readonly Line[] {
  const data = cells.flatMap(({ start, length, runs, parts }) =>
    parts.flatMap(({ kind, file, from, to }): Line[] =>
      kind === "data" && runs === 1 && file !== undefined && from !== undefined && to !== undefined
        ? [{ file, start, length, from, to }]
        : [],
    ),
  );
  return [
    ...data,
    ...samples.map(({ offset, file, position }) => ({ file, start: offset, length: sampleStep, from: position, to: position })),
  ];
}

function fileWithMost(lines: readonly Line[]): number | undefined {
  const bytes = new Map<number, number>();
  for (const { file, length } of lines) bytes.set(file, (bytes.get(file) ?? 0) + length);
  return [...bytes].sort((a, b) => b[1] - a[1])[0]?.[0];
}
