// Indexes of made-up files, and what they are made of.
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Source } from "../../src/source/source.js";
import { type Index, type IndexWish, writeIndex } from "../../src/erofs/writer.js";
import { directoryNode, type FileNode, type FlatFile } from "../../src/tree/node.js";
import { type Erofs, readErofs } from "./erofs-reader.js";

/** Where a run of a made-up file is; a hole, if `source` is absent. */
export interface Piece {
  readonly length: number;
  readonly source?: Source;
  readonly position?: number;
}

/** A flat file of runs, each handed out as it is. */
export function flatFileOf(pieces: readonly Piece[], read?: FlatFile["read"]): FlatFile {
  const starts: number[] = [];
  let size = 0;
  for (const { length } of pieces) {
    starts.push(size);
    size += length;
  }
  let last = 0;
  const locate: FlatFile["locate"] = (offset, length) => {
    if ((starts[last] ?? 0) > offset) last = 0;
    while (offset >= (starts[last] ?? 0) + (pieces[last]?.length ?? 0)) last += 1;
    const piece = pieces[last] as Piece;
    const skip = offset - (starts[last] ?? 0);
    const left = Math.min(length, piece.length - skip);
    const { source, position = 0 } = piece;
    return {
      depth: 0,
      extent: source ? { kind: "data", length: left, source, position: position + skip } : { kind: "zero", length: left },
    };
  };
  const file: FlatFile = {
    size,
    locate,
    read:
      read ??
      ((target, offset) => {
        for (let done = 0; done < target.length; ) {
          const { extent } = locate(offset + done, target.length - done);
          const part = target.subarray(done, done + extent.length);
          if (extent.kind === "data") extent.source.read(part, extent.position);
          else part.fill(0);
          done += extent.length;
        }
      }),
    allocated: () => size,
  };
  return file;
}

export function contentOf(file: FlatFile): Buffer {
  const content = Buffer.alloc(file.size, 0xee);
  if (file.size > 0) file.read(content, 0);
  return content;
}

function fileNode(id: number, file: FlatFile): FileNode {
  return { kind: "file", id, mode: 0o444, modified: 0, file };
}

/** A generator to its end. */
function drain<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

export interface Written extends Index {
  /** The bytes of the index. */
  readonly image: Buffer;
  /** Throws what is wrong with it. */
  readonly parsed: Erofs;
}

/** Writes an index into `folder` and reads it with the independent reader. */
function written(folder: string, wish: Pick<IndexWish, "root"> & Partial<IndexWish>): Written {
  const path = join(folder, "index");
  const target = openSync(path, "w+");
  try {
    const index = drain(writeIndex(target, { uid: 0, gid: 0, blockBits: 12, deviceLimit: 8, ...wish }));
    const image = readFileSync(path);
    const devices = index.devices.map(({ fd }) => readFileSync(`/proc/self/fd/${fd}`));
    return { ...index, image, parsed: readErofs(image, devices) };
  } finally {
    closeSync(target);
  }
}

/** An index of some files, named "0", "1" and so on. */
export function indexOf(folder: string, files: readonly FlatFile[], wish: Partial<IndexWish> = {}): Written {
  const entries = files.map((file, index) => ({ name: `${index}`, node: fileNode(index + 2, file) }));
  return written(folder, { root: directoryNode(1, 0o555, 0, entries), ...wish });
}
