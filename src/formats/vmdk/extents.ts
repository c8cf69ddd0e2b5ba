import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Extent, Opener } from "../driver.js";
import type { Piece } from "../pieces.js";
import { storedExtent } from "../stored.js";
import type { ExtentLine } from "./descriptor.js";
import { isSparse, openSparse, type SparseExtent } from "./sparse/index.js";
import { readBytes } from "../../source/source.js";

/** What the types of extents are, as far as they are read. */
const flatTypes = new Set(["FLAT", "VMFS"]);
const sparseTypes = new Set(["SPARSE", "VMFSSPARSE", "SESPARSE"]);

/** Those that name a device: their data are on another machine's hardware. */
const deviceTypes = new Set(["VMFSRDM", "VMFSRAW"]);

/** An extent of the disk, opened. */
export interface OpenedExtent extends Piece {
  readonly sparse?: SparseExtent;
  readonly notes: readonly string[];
  close(): void;
}

/** Opens what an extent line of `image` names. What cannot be had is an error, or, where the mount is to go on without, damage of just that range. */
export function openExtent(line: ExtentLine, image: string, opener: Opener): OpenedExtent {
  const { access, size, type } = line;
  if (type === "ZERO") return { size, map: (_, length): Extent => ({ kind: "zero", length }), notes: [], close: () => undefined };
  if (access === "NOACCESS") {
    const error = new ImageError("UNSUPPORTED", `the extent ${quote(line.text)} is marked as one that must not be read`, { file: image });
    return lacking(size, error, ["A part of the disk is marked NOACCESS: reading it fails."]);
  }
  try {
    return openStored(line, image, opener);
  } catch (error) {
    if (!opener.degraded || !(error instanceof ImageError)) throw error;
    return lacking(size, error, [`Degraded: ${error.message}. What the extent holds cannot be read.`]);
  }
}

function lacking(size: number, error: ImageError, notes: readonly string[]): OpenedExtent {
  return { size, map: (_, length): Extent => ({ kind: "damaged", length, error }), notes, close: () => undefined };
}

function openStored({ size, type, file, start, text }: ExtentLine, image: string, opener: Opener): OpenedExtent {
  const fail = (why: string, hint?: string) => new ImageError("UNSUPPORTED", `the extent ${quote(text)} ${why}`, { file: image, hint });
  if (deviceTypes.has(type) || (file !== undefined && isDevice(file))) {
    throw fail("is on a device of the machine it was made on", "With --degraded, only reading it fails.");
  }
  if (!flatTypes.has(type) && !sparseTypes.has(type)) throw fail(`is of the type ${type}, which is not known`);
  if (file === undefined) throw new ImageError("CORRUPT", `the extent ${quote(text)} names no file`, { file: image });
  const source = opener.part(file);
  try {
    return flatTypes.has(type) ? flatExtent(source, start, size) : sparseExtent(source, size);
  } catch (error) {
    source.close();
    throw error;
  }
}

/** `/dev/sda`, `\\.\PhysicalDrive0`, `vmhba1:0:0:0`. */
function isDevice(name: string): boolean {
  return /^(?:\/dev\/|\\\\\.\\|\/vmfs\/devices\/|vmhba\d)/i.test(name);
}

function flatExtent(source: Source, start: number, size: number): OpenedExtent {
  const { run } = source;
  return {
    size,
    map(offset, length): Extent {
      const position = start + offset;
      if (!run || position >= source.size) return storedExtent(source, position, length);
      const { data, length: same } = run(position);
      const clipped = Math.min(length, same);
      return data ? storedExtent(source, position, clipped) : { kind: "zero", length: clipped };
    },
    notes: [],
    close: () => source.close(),
  };
}

/** A sparse extent that the descriptor gives `size` bytes of the disk: what it has more is not shown, what it lacks is damaged. */
export function sparseExtent(source: Source, size: number | undefined): OpenedExtent {
  const sparse = openSparse(source, size);
  const whole = size ?? sparse.size;
  const short = new ImageError("TRUNCATED", `the extent holds ${sparse.size} bytes, the descriptor says ${whole}`, { file: source.name });
  return {
    size: whole,
    map(offset, length) {
      if (offset >= sparse.size) return { kind: "damaged", length, error: short };
      return sparse.map(offset, Math.min(length, sparse.size - offset));
    },
    sparse,
    // They may grow while tables are read.
    get notes() {
      return sparse.notes;
    },
    close: () => source.close(),
  };
}

/** Whether the file at hand is a sparse extent itself. */
export function isSparseFile(source: Source): boolean {
  return source.size >= 512 && isSparse(readBytes(source, 0, 512));
}
