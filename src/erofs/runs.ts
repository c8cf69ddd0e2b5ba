import type { Located } from "../disk/read.js";
import type { FlatFile } from "../tree/node.js";
import { isHole } from "../tree/flat.js";

/** A run of a file that an index can tell of: a hole, or bytes that lie plainly in a file. `start` and `length` in bytes. */
export interface Run {
  readonly start: number;
  readonly length: number;
  /** The descriptor of the file and where in it; absent for a hole. */
  readonly stored?: { readonly fd: number; readonly position: number; readonly size: number } | undefined;
}

/** Why a file cannot be told of by an index. */
export class NotIndexable extends Error {}

/** The runs of a file, each as long as it goes. Throws `NotIndexable` at the first part that no index can tell of. */
export function* runsOf(file: FlatFile): Generator<Run> {
  let current: Run | undefined;
  for (let offset = 0; offset < file.size; ) {
    const located = file.locate(offset, file.size - offset);
    const { length } = located.extent;
    const stored = storedOf(located);
    if (current && continues(current, stored)) current = { start: current.start, length: current.length + length, stored: current.stored };
    else {
      if (current) yield current;
      current = { start: offset, length, stored };
    }
    offset += length;
  }
  if (current) yield current;
}

/** Where a run's bytes are; undefined for a hole. Throws `NotIndexable`. */
export function storedOf(located: Located): Run["stored"] {
  const { extent } = located;
  if (isHole(located)) return undefined;
  if (extent.kind === "packed") throw new NotIndexable("it is compressed or encrypted");
  if (extent.kind !== "data") throw new NotIndexable("a part of it is damaged");
  const { source, position } = extent;
  if (!source.file) throw new NotIndexable("it is not stored in one piece that the kernel could read");
  const { fd, offset } = source.file;
  return { fd, position: offset + position, size: offset + source.size };
}

function continues({ length, stored }: Run, next: Run["stored"]): boolean {
  if (!stored || !next) return stored === next;
  return stored.fd === next.fd && stored.position + length === next.position;
}
