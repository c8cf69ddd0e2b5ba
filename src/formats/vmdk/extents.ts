import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Extent, Opener } from "../driver.js";
import type { Piece } from "../pieces.js";
import type { ExtentLine } from "./extent-line.js";
import { flatExtent } from "./flat.js";
import type { Parts } from "./parts.js";
import { openSparse, type SparseExtent } from "./sparse/index.js";

const flatTypes: readonly string[] = ["FLAT", "VMFS"];
const sparseTypes: readonly string[] = ["SPARSE", "VMFSSPARSE", "SESPARSE"];

/** What they name is a pointer to a LUN. */
const mappedTypes: readonly string[] = ["VMFSRDM", "VMFSRAW"];

/** An extent of the disk, opened. */
export interface OpenedExtent extends Piece {
  readonly sparse?: SparseExtent;
  /** The file of a sparse extent. */
  readonly source?: Source;
  /** Grow while tables are read. */
  readonly notes: readonly string[];
}

/** Opens what an extent line of `image` names. What cannot be had is an error, or, where the mount is to go on without, damage of just that range. */
export function openExtent(line: ExtentLine, image: string, parts: Parts, { degraded }: Opener): OpenedExtent {
  const { access, size, type } = line;
  if (type === "ZERO") return { size, map: (_, length): Extent => ({ kind: "zero", length }), notes: [] };
  if (access === "NOACCESS") return forbiddenExtent(line, image);
  try {
    return openStored(line, image, parts);
  } catch (error) {
    if (!degraded || !(error instanceof ImageError)) throw error;
    return lacking(size, error, `Degraded: ${error.message}. What the extent holds cannot be read.`);
  }
}

/** An extent marked NOACCESS. */
export function forbiddenExtent({ text, size }: ExtentLine, image: string): OpenedExtent {
  const error = new ImageError("UNSUPPORTED", `the extent ${quote(text)} is marked as one that must not be read`, { file: image });
  return lacking(size, error, "A part of the disk is marked NOACCESS: reading it fails.");
}

function lacking(size: number, error: ImageError, note: string): OpenedExtent {
  return { size, map: (_, length): Extent => ({ kind: "damaged", length, error }), notes: [note] };
}

function openStored(line: ExtentLine, image: string, parts: Parts): OpenedExtent {
  const { size, type, start, text, names } = line;
  const fail = (why: string, hint?: string) => new ImageError("UNSUPPORTED", `the extent ${quote(text)} ${why}`, { file: image, hint });
  const degraded = "With --degraded, only reading that part of the disk fails.";
  if (mappedTypes.includes(type)) throw fail("is a raw device mapping: its data are on a LUN, not in a file", degraded);
  if (names.some(isDevice)) throw fail("is on a device of the machine it was made on", degraded);
  if (flatTypes.includes(type)) return { ...flatExtent(parts.open(line), start, size), notes: [] };
  if (!sparseTypes.includes(type)) throw fail(`is of the type ${type}, which is not known`);
  if (start !== 0) throw fail("is sparse, and starts inside its file: only flat ones can");
  const source = parts.open(line);
  return sparseExtent(source, openSparse(source, size), size);
}

/** `/dev/sda`, `\\.\PhysicalDrive0`, `\\?\Volume{…}`, `vmhba1:0:0:0`. */
function isDevice(name: string): boolean {
  return /^(?:\/dev\/|\\\\[.?]\\|\/vmfs\/devices\/|vmhba\d)/i.test(name);
}

/** A sparse extent that the descriptor gives `size` bytes of the disk: what it has more is not shown, what it lacks is damaged. */
export function sparseExtent(source: Source, sparse: SparseExtent, size: number | undefined): OpenedExtent {
  const whole = size ?? sparse.size;
  const short = new ImageError("TRUNCATED", `the extent holds ${sparse.size} bytes, the descriptor says ${whole}`, { file: source.name });
  return {
    size: whole,
    map(offset, length) {
      if (offset >= sparse.size) return { kind: "damaged", length, error: short };
      return sparse.map(offset, Math.min(length, sparse.size - offset));
    },
    sparse,
    source,
    get notes() {
      return sparse.notes;
    },
  };
}
