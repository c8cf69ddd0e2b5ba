import { formatSize } from "../util/size.js";
import { element, escapeMarkup } from "./markup.js";
import { baseName, type Picture } from "./picture.js";

export interface Drawn {
  readonly height: number;
  readonly markup: readonly string[];
}

const HEIGHT = 180;
const FILE_LIMIT = 4;
const TITLE = 14;

/** Where in its file a byte of the disk is, for each of the files that hold most of it: the disk from left to right, the file from top to bottom. */
export function drawPlot({ survey, name }: Picture, width: number): readonly Drawn[] {
  const { size, files, cells, samples, sampleStep } = survey;
  const paths = files.map(() => ({ data: "", compressed: "", bytes: 0 }));
  const x = (offset: number) => ((offset / size) * width).toFixed(1);
  const y = (file: number, position: number) => (TITLE + (position / Math.max(1, files[file]?.size ?? 1)) * HEIGHT).toFixed(1);
  for (const { start, length, runs, parts } of cells) {
    for (const { kind, file, from = 0, to = 0, bytes } of parts) {
      const path = file === undefined ? undefined : paths[file];
      if (kind !== "data" || !path || file === undefined) continue;
      path.bytes += bytes;
      // What runs that were joined leave are samples.
      if (runs === 1) path.data += `M${x(start)} ${y(file, from)}L${x(start + length)} ${y(file, to)}`;
    }
  }
  for (const { kind, offset, file, position } of samples) {
    const path = paths[file];
    if (!path) continue;
    if (kind === "compressed") path.bytes += sampleStep;
    path[kind] += `M${x(offset)} ${y(file, position)}h1`;
  }
  const most = [...paths.entries()].filter(([, { bytes }]) => bytes > 0).sort(([, a], [, b]) => b.bytes - a.bytes);
  return most.slice(0, FILE_LIMIT).map(([index, { data, compressed }]) => {
    const file = files[index] ?? { name, size: 0 };
    const title = `Where in ${baseName(file.name)}: its start at the top, its end, ${formatSize(file.size)}, at the bottom`;
    return {
      height: HEIGHT + TITLE + 24,
      markup: [
        element("text", { class: "f", y: 4 }, escapeMarkup(title)),
        element("rect", { class: "frame", y: TITLE, width, height: HEIGHT }),
        ...(data === "" ? [] : [element("path", { class: "line data", d: data })]),
        ...(compressed === "" ? [] : [element("path", { class: "line compressed", d: compressed })]),
      ],
    };
  });
}
