import { posix } from "node:path";
import type { Container, Content, Item } from "../containers/container.js";
import type { Extent, Layer, PackedBlock } from "../formats/driver.js";
import { ImageError } from "../util/errors.js";
import { explain } from "../util/explain.js";
import type { CheckProgress } from "../util/finding.js";
import { auditLayer } from "./audit.js";
import { bytesWithin, createRangeList, firstEndingAfter, type Range, type RangeList } from "./ranges.js";
import type { Shown } from "./shown.js";

/** `unreadable`: reading it fails. `doubtful`: it can be read, and may not be what was written. */
export type AffectedState = "unreadable" | "doubtful";

/** Bytes of a disk, and why they are affected. */
export interface AffectedRange {
  readonly start: number;
  readonly length: number;
  readonly state: AffectedState;
  readonly reason: string;
}

/** How many bytes of a thing are affected. */
export interface Loss {
  readonly unreadable: number;
  readonly doubtful: number;
}

/** What is affected of one disk. */
export interface DiskSalvage extends Loss {
  /** The image, or the way to it in the image it lies in. */
  readonly name: string;
  readonly size: number;
  /** In order; none overlap. */
  readonly ranges: readonly AffectedRange[];
  /** Those that are affected. */
  readonly partitions: readonly (Loss & {
    readonly number: number;
    readonly start: number;
    readonly size: number;
    readonly file: string;
  })[];
  /** Files of its file system that are affected, and directories whose entries are lost. */
  readonly files: readonly (Loss & { readonly path: string; readonly reason: string })[];
  /** More of them, which are not listed. */
  readonly moreFiles: number;
}

/** Files of one disk that are listed. */
const FILES_LIMIT = 100_000;

/** What is affected of an image and of the disks in it, in order. */
export function salvageShown(
  { layer, container, disks, description }: Shown,
  name: string,
  progress: CheckProgress,
): readonly DiskSalvage[] {
  const affected = affectedOf(layer, name, progress);
  const ranges = affected.map(({ start, end, reason }): AffectedRange => ({ start, length: end - start, ...reason }));
  const lossOf = (start: number, end: number) => lossIn(affected, start, end);
  const partitions = description.partitions
    .map(({ number, start, size, file }) => ({ number, start, size, file, ...lossOf(start, start + size) }))
    .filter(isLoss);
  const lost = container ? filesOf(container, layer, lossOf) : { files: [], moreFiles: 0 };
  const own = { name, size: layer.size, ranges, partitions, ...lost, ...lossOf(0, layer.size) };
  return [own, ...disks.flatMap(({ member, shown }) => salvageShown(shown, `${name}: ${member.path}`, progress))];
}

interface Reason {
  readonly state: AffectedState;
  readonly reason: string;
}

type Affected = readonly (Range & { readonly reason: Reason })[];

function affectedOf(layer: Layer, file: string, progress: CheckProgress): Affected {
  const doubtful = doubtfulOf(layer, file, progress);
  const affected = createRangeList<Reason>();
  const reasons = new Map<string, Reason>();
  // One object per reason, so that equal ones are the same.
  const reasonOf = (state: AffectedState, reason: string) => {
    const key = `${state} ${reason}`;
    const known = reasons.get(key) ?? { state, reason };
    if (reasons.size < 10_000) reasons.set(key, known);
    return known;
  };
  const problemOf = decoder();
  for (let offset = 0; offset < layer.size; ) {
    const { extent, image, at } = place(layer, offset);
    const problem = problemOf(extent);
    if (problem) affected.add(offset, extent.length, reasonOf("unreadable", explain(problem)));
    else if (extent.kind !== "parent")
      addDoubtful(doubtful.get(image) ?? [], at, extent.length, offset - at, (start, length, why) =>
        affected.add(start, length, reasonOf("doubtful", why)),
      );
    offset += extent.length;
    progress({ file, done: offset, size: layer.size });
  }
  return affected.ranges();
}

/** What the extent at `offset` is, in which image of the chain, and at which offset of that one's disk. */
function place(layer: Layer, offset: number): { readonly extent: Extent; readonly image: Layer; readonly at: number } {
  let image = layer;
  let at = offset;
  let left = layer.size - offset;
  for (;;) {
    const extent = image.map(at, left);
    if (extent.kind !== "parent" || !image.parent || extent.offset >= image.parent.size) return { extent, image, at };
    at = extent.offset;
    left = Math.min(extent.length, image.parent.size - at);
    image = image.parent;
  }
}

function doubtfulOf(
  layer: Layer,
  file: string,
  progress: CheckProgress,
): ReadonlyMap<Layer, readonly (Range & { readonly reason: string })[]> {
  const byImage = new Map<Layer, readonly (Range & { readonly reason: string })[]>();
  for (let image: Layer | undefined = layer; image; image = image.parent) {
    const list: RangeList<string> = createRangeList();
    auditLayer(image, {
      found: () => undefined,
      doubtful: ({ start, length }, reason) => list.add(start, length, reason),
      progress: (done, size) => progress({ file: `${file} (structure)`, done, size }),
    });
    byImage.set(image, list.ranges());
  }
  return byImage;
}

/** Calls `add` for what `ranges` have of the `length` bytes from `at` on, moved by `shift`. */
function addDoubtful(
  ranges: readonly (Range & { readonly reason: string })[],
  at: number,
  length: number,
  shift: number,
  add: (start: number, length: number, reason: string) => void,
): void {
  for (let index = firstEndingAfter(ranges, at); index < ranges.length; index += 1) {
    const { start, end, reason } = ranges[index]!;
    if (start >= at + length) return;
    const from = Math.max(at, start);
    add(from + shift, Math.min(at + length, end) - from, reason);
  }
}

/** Tells why an extent cannot be read, if it cannot; compressed blocks are decoded for that, each once in a row. */
function decoder(): (extent: Extent) => ImageError | undefined {
  let buffer = Buffer.alloc(0);
  let last: { readonly key: string; readonly problem: ImageError | undefined } | undefined;
  const problemOf = (block: PackedBlock): ImageError | undefined => {
    if (buffer.length < block.size) buffer = Buffer.allocUnsafeSlow(block.size);
    return imageErrorOf(() => block.unpack(buffer.subarray(0, block.size)));
  };
  return (extent) => {
    if (extent.kind === "damaged") return extent.error;
    if (extent.kind !== "packed") return undefined;
    if (last?.key !== extent.block.key) last = { key: extent.block.key, problem: problemOf(extent.block) };
    return last.problem;
  };
}

function lossIn(affected: Affected, start: number, end: number): Loss {
  let doubtful = 0;
  for (let index = firstEndingAfter(affected, start); index < affected.length; index += 1) {
    const range = affected[index]!;
    if (range.start >= end) break;
    if (range.reason.state === "doubtful") doubtful += Math.min(end, range.end) - Math.max(start, range.start);
  }
  return { unreadable: bytesWithin(affected, start, end) - doubtful, doubtful };
}

export function isLoss({ unreadable, doubtful }: Loss): boolean {
  return unreadable > 0 || doubtful > 0;
}

/** The files of a container that lie in what is affected, or cannot be read themselves. */
function filesOf(
  container: Container,
  layer: Layer,
  lossOf: (start: number, end: number) => Loss,
): Pick<DiskSalvage, "files" | "moreFiles"> {
  const files: (Loss & { readonly path: string; readonly reason: string })[] = [];
  let moreFiles = 0;
  const add = (path: string, loss: Loss, reason: string) => {
    if (files.length < FILES_LIMIT) files.push({ path, ...loss, reason });
    else moreFiles += 1;
  };
  const waiting = [{ path: "", id: container.root.id }];
  const seen = new Set<number>();
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    if (seen.has(next.id)) continue;
    seen.add(next.id);
    const { path, id } = next;
    const problem = imageErrorOf(() => {
      for (const [entry, item] of container.list(id)) {
        const below = posix.join(path, entry);
        if (item.kind === "directory") waiting.push({ path: below, id: item.id });
        else if (item.kind === "file") addFile(container, layer, item, lossOf, (loss, reason) => add(below, loss, reason));
      }
    });
    if (problem) add(path === "" ? "/" : path, { unreadable: 0, doubtful: 0 }, `what is in it cannot be listed: ${explain(problem)}`);
  }
  return { files, moreFiles };
}

function addFile(
  container: Container,
  layer: Layer,
  item: Item,
  lossOf: (start: number, end: number) => Loss,
  add: (loss: Loss, reason: string) => void,
): void {
  let content: Content | undefined;
  const problem = imageErrorOf(() => {
    content = container.content(item.id);
  });
  if (problem || !content) {
    add({ unreadable: item.size, doubtful: 0 }, problem ? explain(problem) : "");
    return;
  }
  let unreadable = 0;
  let doubtful = 0;
  let reason = "it lies in what is affected of the disk";
  const { size } = content;
  const problemOf = decoder();
  for (let offset = 0; offset < size; ) {
    const extent = content.map(offset, size - offset);
    const failure = problemOf(extent);
    if (failure) {
      unreadable += extent.length;
      reason = explain(failure);
    } else if (extent.kind === "data" && extent.source.name === layer.name && extent.source.size === layer.size) {
      const loss = lossOf(extent.position, extent.position + extent.length);
      unreadable += loss.unreadable;
      doubtful += loss.doubtful;
    }
    offset += extent.length;
  }
  if (unreadable > 0 || doubtful > 0) add({ unreadable, doubtful }, reason);
}

function imageErrorOf(action: () => void): ImageError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
}
