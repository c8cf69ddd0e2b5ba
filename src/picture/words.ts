import { formatSize } from "../util/size.js";
import { hex } from "../util/text.js";
import type { Cell, Part } from "./cells.js";
import type { Picture } from "./picture.js";
import type { Survey } from "./survey.js";

/** `12 %`; what is there is never `0 %`, and what is not all of it never `100 %`. */
export function percent(part: number, whole: number): string {
  if (whole === 0 || part === 0) return "0 %";
  const share = (part / whole) * 100;
  if (share < 0.1) return "< 0.1 %";
  if (part < whole && share > 99.9) return "> 99.9 %";
  return `${Number(share.toFixed(share < 10 || share > 99 ? 1 : 0))} %`;
}

/** `1,234,567`. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1.5 MiB (1,572,864 bytes)`. */
export function exactSize(bytes: number): string {
  return bytes < 1024 ? formatSize(bytes) : `${formatSize(bytes)} (${grouped(bytes)} bytes)`;
}

export function counted(count: number, one: string): string {
  return `${grouped(count)} ${one}${count === 1 ? "" : "s"}`;
}

/** What a cell is, a fact per line. */
export function cellLines({ start, length, runs, parts }: Cell, survey: Survey): readonly string[] {
  const range = `offset ${hex(start)}, ${exactSize(length)}`;
  const [only] = parts;
  if (runs === 1 && only) return [only.kind, range, ...partLines(only, survey, true)];
  const mixed = parts.length > 1 ? "mixed" : (only?.kind ?? "");
  return [
    `${mixed}: ${counted(runs, "run")}`,
    range,
    ...parts.map((part) => {
      const { kind, bytes } = part;
      return [`${percent(bytes, length)} ${kind}`, ...partLines(part, survey, false)].join(", ");
    }),
  ];
}

/** Where the bytes of a part are. */
function partLines({ kind, depth, file, from, to, error }: Part, { chain, files, errors }: Survey, exact: boolean): readonly string[] {
  const place = file === undefined ? undefined : files[file]?.name;
  const positions =
    from === undefined || to === undefined
      ? ""
      : kind === "compressed"
        ? exact || from === to
          ? `from a block at ${hex(from)} on in `
          : `in blocks at ${hex(from)} to ${hex(to)} of `
        : exact
          ? `at ${hex(from)} of `
          : `between ${hex(from)} and ${hex(to)} of `;
  return [
    ...(place === undefined ? [] : [`${positions}${place}`]),
    ...(error === undefined ? [] : [errors[error] ?? ""]),
    ...(chain.length > 1 && kind !== "absent" ? [`layer ${depth}`] : []),
  ];
}

/** How the runs of plain data stand in their files, in one sentence; undefined where there are none. */
export function fragmentationLine({ fragmentation, totals }: Survey): string | undefined {
  const { runs, follows, ahead, back } = fragmentation;
  if (runs === 0) return undefined;
  const pairs = follows + ahead + back;
  const average = formatSize(Math.round(totals.data / runs));
  if (pairs === 0) return `${counted(runs, "run")} of data, ${average} on average`;
  const shares = [`${percent(follows, pairs)} go on where the one before ended in the file`];
  if (ahead > 0) shares.push(`${percent(ahead, pairs)} stand further on`);
  if (back > 0) shares.push(`${percent(back, pairs)} stand before it`);
  return `${counted(runs, "run")} of data, ${average} on average; ${shares.join(", ")}`;
}

/** `qcow2, version 3 · 10 GiB disk · 1.5 GiB stored in 2 files`. */
export function headline({ format, stored, survey: { size, files } }: Picture): string {
  const where = files.length > 1 ? ` in ${counted(files.length, "file")}` : "";
  return `${format} · ${formatSize(size)} disk · ${formatSize(stored)} stored${where}`;
}

/** Round places for the marks of an axis from `first` to `end`, about `count` of them: binary units, so that they read well. */
export function ticks(first: number, end: number, count: number): readonly number[] {
  const step = 2 ** Math.max(0, Math.ceil(Math.log2((end - first) / Math.max(1, count))));
  const found: number[] = [];
  for (let at = Math.ceil(first / step) * step; at < end; at += step) found.push(at);
  return found;
}
