// The map of a disk in the terms of `qemu-img map`, and the comparison of the two.
import { type Located, locate } from "../../src/disk/read.js";
import type { Layer } from "../../src/formats/driver.js";
import type { QemuExtent } from "./qemu.js";

/** A run of the disk. `absent`: in no image of the chain. `position`: of its first byte in its file, for `data`. */
export interface DiskExtent {
  readonly start: number;
  readonly length: number;
  readonly depth: number;
  readonly kind: "data" | "zero" | "packed" | "absent" | "damaged";
  readonly position?: number;
}

/** All runs of the disk, neighbours that continue each other merged. */
export function extentsOf(layer: Layer): DiskExtent[] {
  const list: DiskExtent[] = [];
  for (let at = 0; at < layer.size; ) {
    const next = describe(at, layer.size - at, locate(layer, at, layer.size - at));
    const last = list.at(-1);
    if (last && continues(last, next)) list[list.length - 1] = { ...last, length: last.length + next.length };
    else list.push(next);
    at += next.length;
  }
  return list;
}

function describe(start: number, asked: number, { extent, depth }: Located): DiskExtent {
  const { kind, length } = extent;
  if (!Number.isSafeInteger(length) || length < 1 || length > asked)
    throw new Error(`a run of ${length} bytes at ${start}, where ${asked} were asked for`);
  if (kind === "data") return { start, length, depth, kind, position: extent.position };
  return { start, length, depth, kind: kind === "parent" ? "absent" : kind };
}

function continues(last: DiskExtent, next: DiskExtent): boolean {
  if (last.kind !== next.kind || last.depth !== next.depth) return false;
  return last.position === undefined || last.position + last.length === next.position;
}

/**
 * Where `ours` tells something else than `qemu-img map`, one line each.
 *
 * What QEMU does that is no difference: it looks for holes in raw files and so calls some data zero; it gives offsets for preallocated zero
 * clusters; it counts the depth of absent runs to wherever it stopped looking.
 */
export function mapDifferences(ours: readonly DiskExtent[], theirs: readonly QemuExtent[]): string[] {
  const differences: string[] = [];
  const cuts = [...new Set([...ours, ...theirs].flatMap(({ start, length }) => [start, start + length]))].toSorted((a, b) => a - b);
  let a = 0;
  let b = 0;
  for (const at of cuts.slice(0, -1)) {
    while (a < ours.length && (ours[a]?.start ?? 0) + (ours[a]?.length ?? 0) <= at) a += 1;
    while (b < theirs.length && (theirs[b]?.start ?? 0) + (theirs[b]?.length ?? 0) <= at) b += 1;
    const found = ours[a];
    const expected = theirs[b];
    const reason = found && expected ? disagreement(found, expected, at) : "only one of the two maps reaches here";
    if (reason !== undefined) differences.push(`at ${at}: ${reason}; ours ${JSON.stringify(found)}, theirs ${JSON.stringify(expected)}`);
  }
  return differences;
}

function disagreement(ours: DiskExtent, theirs: QemuExtent, at: number): string | undefined {
  if (ours.kind === "absent") return theirs.zero && !theirs.data ? undefined : "absent, but not zeros there";
  if (!theirs.present) return "absent there";
  if (ours.depth !== theirs.depth) return "another depth";
  switch (ours.kind) {
    case "zero":
      return theirs.zero && !theirs.data ? undefined : "not zeros there";
    case "packed":
      return theirs.data && theirs.offset === undefined ? undefined : "not compressed there";
    case "damaged":
      return "damaged";
    case "data":
      if (theirs.offset === undefined) return "not stored plainly there";
      return (ours.position ?? 0) - ours.start === theirs.offset - theirs.start
        ? undefined
        : `${at - theirs.start + theirs.offset} is its position there`;
  }
}
