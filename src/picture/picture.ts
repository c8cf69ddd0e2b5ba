import type { Lanes } from "./areas.js";
import { kinds } from "./kinds.js";
import type { Survey } from "./survey.js";

/** All that is drawn, whatever with. Texts are safe to print; they are not safe in markup. */
export interface Picture {
  /** The image's file. */
  readonly name: string;
  /** Such as `qcow2, version 3`. */
  readonly format: string;
  /** Bytes that the image's files take on their file systems. */
  readonly stored: number;
  readonly survey: Survey;
  readonly areas: Lanes;
}

/** A row of a picture: the whole disk, or what one image of the chain has of it. */
export interface Row {
  readonly title: string;
  /** The images, by their depths, from `first` up to below `end`. */
  readonly first: number;
  readonly end: number;
  /** What it is made of, in words. */
  readonly detail: string;
}

/** The disk as it reads, then each image of a chain. Where there are more than `limit`, the last ones are one row. */
export function rowsOf({ chain }: Survey, limit: number): readonly Row[] {
  const disk: Row = { title: "Disk", first: 0, end: chain.length, detail: "as it reads" };
  if (chain.length === 1) return [disk];
  const shown = chain.length <= limit ? chain.length : limit - 1;
  const images = chain.slice(0, shown).map(({ file, format }, depth): Row => {
    return { title: `Layer ${depth}`, first: depth, end: depth + 1, detail: `${baseName(file)}, ${format}` };
  });
  if (shown === chain.length) return [disk, ...images];
  const rest: Row = { title: `Layers ${shown}–${chain.length - 1}`, first: shown, end: chain.length, detail: "the rest of the chain" };
  return [disk, ...images, rest];
}

/** Whether a part is drawn in a row. What no image has is of the disk alone, and not of the image where the search ended. */
export function isInRow({ kind, depth }: { readonly kind: string; readonly depth: number }, row: Row): boolean {
  return depth >= row.first && depth < row.end && (kind !== "absent" || row.title === "Disk");
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1) || path;
}

/** The kinds that are there. */
export function kindsIn({ totals }: Survey) {
  return kinds.filter((kind) => totals[kind] > 0);
}
