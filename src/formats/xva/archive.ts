import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { CHUNK, limits, MANIFEST } from "./layout.js";
import { type VdiFacts, vdisOf } from "./manifest.js";
import { membersOf } from "./tar.js";

/** The chunks of one disk. */
export interface DiskChunks {
  /** What their names begin with, such as `Ref:4`. */
  readonly id: string;
  readonly count: number;
  /** First byte of each on the disk, ascending. */
  readonly offsets: Float64Array;
  /** Where each is in the file. */
  readonly positions: Float64Array;
  /** Bytes of each; never 0. */
  readonly lengths: Float64Array;
  /** The disk's byte behind the last one. */
  readonly end: number;
  /** Why it cannot be told where the chunks belong. */
  readonly problem: ImageError | undefined;
}

export interface Archive {
  /** In the order of the file. */
  readonly disks: readonly DiskChunks[];
  readonly vdis: readonly VdiFacts[];
  /** Why the manifest could not be understood. */
  readonly manifestProblem: string | undefined;
  /** Where the archive stops being one. */
  readonly broken: ImageError | undefined;
}

/** Reads the manifest and the place of every chunk. Throws for what is no XVA archive. */
export function readArchive(source: Source): Archive {
  const disks = new Map<string, ReturnType<typeof chunkList>>();
  let vdis: VdiFacts[] | undefined;
  let manifestProblem: string | undefined;
  let broken: ImageError | undefined;
  try {
    for (const { name, position, size } of membersOf(source)) {
      if (vdis === undefined) {
        if (name !== MANIFEST) throw noXva(source, `it begins with the member ${quote(name)}, not "${MANIFEST}"`);
        ({ vdis, manifestProblem } = readManifest(source, position, size));
        continue;
      }
      const [, id, number] = /^(.+)\/(\d{8,15})$/.exec(name) ?? [];
      if (id === undefined || number === undefined) continue;
      let disk = disks.get(id);
      if (!disk) {
        if (disks.size >= limits.disks) throw noXva(source, `it has more than ${limits.disks} disks, which are the limit`);
        disk = chunkList(source, id);
        disks.set(id, disk);
      }
      disk.add(Number(number), position, size);
    }
  } catch (error) {
    // Once the disks have begun, what was found before the damage is as good as ever.
    if (!(error instanceof ImageError) || error.code === "WRONG_FORMAT" || vdis === undefined) throw error;
    broken = error;
  }
  if (vdis === undefined) throw noXva(source, "it is no tar archive");
  return { disks: [...disks.values()].map((disk) => disk.finish()), vdis, manifestProblem, broken };
}

function noXva(source: Source, message: string): ImageError {
  return new ImageError("WRONG_FORMAT", message, { file: source.name, position: 0 });
}

function readManifest(
  source: Source,
  position: number,
  size: number,
): { readonly vdis: VdiFacts[]; readonly manifestProblem: string | undefined } {
  if (size > limits.manifest) throw noXva(source, `"${MANIFEST}" has ${size} bytes; ${limits.manifest} are the limit`);
  const text = readBytes(source, position, size).toString("utf8");
  try {
    return { vdis: vdisOf(text), manifestProblem: undefined };
  } catch (error) {
    return { vdis: [], manifestProblem: error instanceof Error ? error.message : String(error) };
  }
}

/** Collects the chunks of a disk. */
function chunkList(source: Source, id: string): { add(number: number, position: number, size: number): void; finish(): DiskChunks } {
  let offsets = new Float64Array(64);
  let positions = new Float64Array(64);
  let lengths = new Float64Array(64);
  let count = 0;
  let last = -1;
  let end = 0;
  let problem: ImageError | undefined;
  /** Bytes that a number left out stands for. */
  let unit = CHUNK;
  return {
    add(number, position, size) {
      if (problem) return;
      if (number <= last) {
        problem = new ImageError("CORRUPT", `chunk ${number} of ${quote(id)} follows chunk ${last}`, { file: source.name, position });
        return;
      }
      // Numbers that are left out are chunks of zeros. A chunk without content only keeps the connection alive, and takes a number but no place.
      end += (number - last - 1) * unit;
      last = number;
      if (size === 0) return;
      if (count === 0) unit = size;
      if (count === offsets.length) {
        offsets = doubled(offsets);
        positions = doubled(positions);
        lengths = doubled(lengths);
      }
      offsets[count] = end;
      positions[count] = position;
      lengths[count] = size;
      count += 1;
      end += size;
      if (!Number.isSafeInteger(end))
        problem = new ImageError("CORRUPT", `${quote(id)} has more than 2^53 bytes`, { file: source.name, position });
    },
    finish: () => ({ id, count, offsets, positions, lengths, end, problem }),
  };
}

function doubled(table: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(table.length * 2);
  larger.set(table);
  return larger;
}
