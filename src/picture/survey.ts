import { type DiskExtent, diskExtents } from "../disk/extents.js";
import { locate } from "../disk/read.js";
import type { Layer } from "../formats/driver.js";
import type { Source } from "../source/source.js";
import { explain } from "../util/explain.js";
import { printable } from "../util/text.js";
import { type Cell, createCells, type Part } from "./cells.js";
import { type Kind, kinds } from "./kinds.js";

/** How the stored runs of the disk stand in their files. Of two that follow each other on the disk and are in the same file, the second one … */
export interface Fragmentation {
  /** Runs of plain data. */
  readonly runs: number;
  /** … begins where the first one ends. */
  readonly follows: number;
  /** … stands further on. */
  readonly ahead: number;
  /** … stands before it. */
  readonly back: number;
}

/** Where a byte of the disk is stored, looked up here and there: what is left of runs that were joined, and of the blocks in a compressed one. */
export interface Sample {
  readonly kind: "data" | "compressed";
  /** Byte of the disk. */
  readonly offset: number;
  /** Index in `files`. */
  readonly file: number;
  readonly position: number;
}

/** Where the bytes of a disk are, small enough to be drawn whatever the size of the disk. Names are safe to print. */
export interface Survey {
  /** Bytes of the disk. */
  readonly size: number;
  readonly chain: readonly { readonly file: string; readonly format: string; readonly size: number }[];
  /** Files in which bytes of the disk are, with their sizes. */
  readonly files: readonly { readonly name: string; readonly size: number }[];
  readonly cells: readonly Cell[];
  readonly samples: readonly Sample[];
  /** Bytes of the disk from one sample to the next, at least. */
  readonly sampleStep: number;
  /** Why something cannot be read: the first of them. */
  readonly errors: readonly string[];
  /** Bytes of each kind, and how many of them each image of the chain gives. */
  readonly totals: Readonly<Record<Kind, number>>;
  readonly totalsByDepth: readonly Readonly<Record<Kind, number>>[];
  /** Runs of every kind. */
  readonly runs: number;
  readonly fragmentation: Fragmentation;
}

export interface SurveyOptions {
  /** Parts of all cells together. */
  readonly limit?: number;
  /** Told how far it is, now and then; bytes of the disk. */
  readonly progress?: (done: number) => void;
}

/** A page of this many parts has about a megabyte, and is drawn without a wait. */
const CELL_LIMIT = 20_000;
const SAMPLES = 4096;
const ERROR_LIMIT = 100;
const ERROR_LENGTH = 300;
/** Runs between two words about the progress. */
const STEP = 4096;

/** Walks through the map of the whole disk once. */
export function surveyDisk(layer: Layer, { limit = CELL_LIMIT, progress }: SurveyOptions = {}): Survey {
  const chain = chainOf(layer);
  const collector = createCells(limit);
  const files = createFiles();
  const errors: string[] = [];
  const fragments = createFragments();
  const samples = createSamples(layer, files.indexOf);
  const totalsByDepth = chain.map(noBytes);
  let runs = 0;

  for (const extent of diskExtents(layer)) {
    runs += 1;
    if (runs % STEP === 0) progress?.(extent.start);
    const sums = totalsByDepth[extent.depth];
    if (sums) sums[kindOf(extent)] += extent.length;
    collector.add({ start: extent.start, length: extent.length, runs: 1, parts: [partOf(extent)] });
  }

  function partOf(extent: DiskExtent): Part {
    const { start, length: bytes, depth } = extent;
    const [file, from, to, error] = [undefined, undefined, undefined, undefined];
    switch (extent.kind) {
      case "data": {
        const { source, position } = extent;
        const index = files.indexOf(source);
        fragments.add(index, position, bytes);
        samples.addData(start, bytes, index, position);
        return { kind: "data", depth, bytes, file: index, from: position, to: position + bytes, error };
      }
      case "packed": {
        const block = samples.addPacked(start, bytes);
        return { kind: "compressed", depth, bytes, file: block?.file, from: block?.position, to: block?.position, error };
      }
      case "damaged":
        return { kind: "damaged", depth, bytes, file, from, to, error: errorIndex(errors, explain(extent.error)) };
      case "zero":
      case "absent":
        return { kind: extent.kind, depth, bytes, file, from, to, error };
    }
  }

  const totals = noBytes();
  for (const sums of totalsByDepth) for (const kind of kinds) totals[kind] += sums[kind];
  return {
    size: layer.size,
    chain: chain.map(({ name, format, size }) => ({ file: printable(name), format, size })),
    files: files.list,
    cells: collector.cells,
    sampleStep: samples.step,
    samples: samplesOf(samples.list, collector.cells),
    errors,
    totals,
    totalsByDepth,
    runs,
    fragmentation: fragments.counts,
  };
}

function kindOf({ kind }: DiskExtent): Kind {
  return kind === "packed" ? "compressed" : kind;
}

function noBytes(): Record<Kind, number> {
  return { data: 0, compressed: 0, zero: 0, absent: 0, damaged: 0 };
}

function chainOf(layer: Layer): readonly Layer[] {
  const chain = [layer];
  for (let next = layer.parent; next; next = next.parent) chain.push(next);
  return chain;
}

/** Files by their names: parts of one file may be sources of their own. */
function createFiles() {
  const list: { name: string; size: number }[] = [];
  const bySource = new Map<Source, number>();
  return {
    list,
    indexOf(source: Source): number {
      const known = bySource.get(source);
      if (known !== undefined) return known;
      const name = printable(source.name);
      const same = list.findIndex((file) => file.name === name);
      const index = same === -1 ? list.push({ name, size: source.size }) - 1 : same;
      const file = list[index];
      if (file) file.size = Math.max(file.size, source.size);
      bySource.set(source, index);
      return index;
    },
  };
}

/** The index of `error` in the list; undefined if the list is full. */
function errorIndex(errors: string[], error: string): number | undefined {
  const text = error.length > ERROR_LENGTH ? `${error.slice(0, ERROR_LENGTH)}…` : error;
  const known = errors.indexOf(text);
  if (known !== -1) return known;
  return errors.length < ERROR_LIMIT ? errors.push(text) - 1 : undefined;
}

function createFragments() {
  const counts = { runs: 0, follows: 0, ahead: 0, back: 0 };
  /** Where the last run in each file ended. */
  const ends = new Map<number, number>();
  return {
    counts,
    add(file: number, position: number, length: number): void {
      counts.runs += 1;
      const end = ends.get(file);
      if (end !== undefined) counts[position === end ? "follows" : position > end ? "ahead" : "back"] += 1;
      ends.set(file, position + length);
    },
  };
}

/** Of plain data, only those in cells that are not exact: exact ones tell of every byte. Both are in the order of the disk. */
function samplesOf(samples: readonly Sample[], cells: readonly Cell[]): readonly Sample[] {
  let index = 0;
  return samples.filter(({ kind, offset }) => {
    for (let cell = cells[index]; cell && cell.start + cell.length <= offset; cell = cells[index]) index += 1;
    return kind === "compressed" || cells[index]?.runs !== 1;
  });
}

/** Looks up where bytes are, no more often than can be drawn. */
function createSamples(layer: Layer, indexOf: (source: Source) => number) {
  const list: Sample[] = [];
  const step = Math.max(1, Math.ceil(layer.size / SAMPLES));
  /** Nothing before this is wanted any more. */
  let next = 0;

  function take(sample: Sample): void {
    list.push(sample);
    next = (Math.floor(sample.offset / step) + 1) * step;
  }

  function blockAt(offset: number): Sample | undefined {
    const { extent } = locate(layer, offset, 1);
    if (extent.kind !== "packed") return undefined;
    return { kind: "compressed", offset, file: indexOf(extent.block.source), position: extent.block.position };
  }

  return {
    list,
    step,
    addData(start: number, length: number, file: number, position: number): void {
      for (let offset = Math.max(start, next); offset < start + length; offset = next) {
        take({ kind: "data", offset, file, position: position + (offset - start) });
      }
    },
    /** Gives the first block. */
    addPacked(start: number, length: number): Sample | undefined {
      const first = blockAt(start);
      for (let offset = Math.max(start, next); offset < start + length; offset = next) {
        const sample = offset === start ? first : blockAt(offset);
        if (!sample) break;
        take(sample);
      }
      return first;
    },
  };
}
