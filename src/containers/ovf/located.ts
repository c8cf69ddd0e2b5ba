import { printable, quote } from "../../util/text.js";
import type { FileReference } from "./descriptor.js";
import { waysOf } from "./href.js";

/** The files among which those of a package are looked for. Paths are relative to the folder of the descriptor. */
export interface PackageFiles {
  /** Bytes of the file; undefined if there is none. Throws what keeps it from being opened, if it is there. */
  size(path: string): number | undefined;
  /** The first `length` bytes of a file that has them. */
  head(path: string, length: number): Uint8Array;
}

/** Where the bytes of a file are: in one file, or in pieces that follow each other; none, and why. */
export interface Located {
  readonly reference: FileReference;
  readonly paths: readonly string[];
  /** Bytes, of all pieces together. */
  readonly size: number;
  /** Why there is none, or what is unusual; a sentence each. */
  readonly notes: readonly string[];
}

/** Pieces of one file. */
const PIECE_LIMIT = 10_000;

/** Looks for a file of the package. `chunkSize`: its pieces are called `NAME.000000000`, `NAME.000000001` and so on (DSP0243, "File references"). */
export function locateFile(reference: FileReference, files: PackageFiles): Located {
  const { href } = reference;
  const without = (note: string): Located => ({ reference, paths: [], size: 0, notes: [`${quote(href)} ${note}.`] });
  const ways = waysOf(href);
  if ("refusal" in ways) return without(`is not opened: it ${ways.refusal}`);
  try {
    for (const path of ways.paths) {
      const whole = files.size(path);
      const first = reference.chunkSize !== undefined || whole === undefined ? files.size(pieceOf(path, 0)) : undefined;
      if (first !== undefined) return ofPieces(reference, path, files);
      if (whole !== undefined) return { reference, paths: [path], size: whole, notes: otherSize(reference, whole) };
    }
  } catch (error) {
    return without(`is not opened: ${error instanceof Error ? printable(error.message) : String(error)}`);
  }
  return without("is missing in the package");
}

function pieceOf(path: string, index: number): string {
  return `${path}.${String(index).padStart(9, "0")}`;
}

function ofPieces(reference: FileReference, path: string, files: PackageFiles): Located {
  const { chunkSize, size: wanted } = reference;
  const paths: string[] = [];
  const sizes: number[] = [];
  for (let size = files.size(pieceOf(path, 0)); size !== undefined; size = files.size(pieceOf(path, paths.length))) {
    if (paths.length >= PIECE_LIMIT) return refused(reference, `it has more than ${PIECE_LIMIT} pieces`);
    paths.push(pieceOf(path, paths.length));
    sizes.push(size);
  }
  const last = paths.length - 1;
  // Snapshots that VMware exported are called the same way: each of them begins like an image.
  if (chunkSize === undefined && beginsLikeVmdk(files, paths[last] ?? "", last === 0 ? 0 : (sizes[last] ?? 0))) {
    const note = `${quote(reference.href)} is there in ${paths.length} states, of which the last is taken.`;
    return { reference, paths: paths.slice(last), size: sizes[last] ?? 0, notes: [note] };
  }
  const step = chunkSize ?? sizes[0];
  const odd = sizes.findIndex((size, index) => index < last && size !== step);
  if (odd >= 0) {
    return refused(reference, `its piece ${odd} has ${sizes[odd]} bytes instead of ${step}, so that what follows would be shifted`);
  }
  const size = sizes.reduce((all, each) => all + each, 0);
  const cut = wanted !== undefined && size < wanted && sizes[last] === step && (chunkSize !== undefined || last > 0);
  if (cut || files.size(pieceOf(path, paths.length + 1)) !== undefined) return refused(reference, `its piece ${paths.length} is missing`);
  return { reference, paths, size, notes: otherSize(reference, size) };
}

function otherSize({ href, size: wanted }: FileReference, size: number): readonly string[] {
  return wanted === undefined || wanted === size ? [] : [`${quote(href)} has ${size} bytes, and the descriptor says ${wanted}.`];
}

function refused(reference: FileReference, reason: string): Located {
  return { reference, paths: [], size: 0, notes: [`${quote(reference.href)} is not opened: ${reason}.`] };
}

function beginsLikeVmdk(files: PackageFiles, path: string, size: number): boolean {
  if (size < 512) return false;
  const head = Buffer.from(files.head(path, 21)).toString("latin1");
  return head.startsWith("KDMV") || head.startsWith("COWD") || head === "# Disk DescriptorFile";
}
