// Sparse members, as GNU tar and star store them: the data of a file without its holes, and a list of where each run belongs.
// Reference: the GNU tar manual, "Sparse Formats", and its tar.h for the headers of both.
import { readBytes, type Source } from "../../source/source.js";
import { BLOCK, numberAt, type TarHeader } from "../../formats/tar-header.js";

/** A run of data: `length` bytes that belong at `offset` of the file. */
export interface Run {
  readonly offset: number;
  readonly length: number;
}

export interface SparseMap {
  /** Bytes of the file with its holes. */
  readonly size: number;
  readonly runs: readonly Run[];
  /** Bytes of the member in front of the data that belong to the list. */
  readonly skip: number;
}

const RUN_LIMIT = 4_000_000;

/** Where a header of type S has four runs, whether a block of 21 more follows, and the size of the file. */
const layouts = { gnu: { runs: 386, goesOn: 482, size: 483 }, star: { runs: 356, goesOn: 355, size: 452 } } as const;

/** star marks its headers at their end, and has POSIX's magic. */
function isStar(block: Buffer): boolean {
  return block.toString("latin1", 257, 263) === "ustar\0" && block.toString("latin1", 508, 512) === "tar\0";
}

/** Type S: runs in the header, then in blocks as long as a byte of each says so. `next` is the position behind the header. */
export function oldSparse(disk: Source, block: Buffer, next: number): (SparseMap & { readonly extraBlocks: number }) | undefined {
  const runs: Run[] = [];
  const take = (from: Buffer, count: number) => {
    for (let index = 0; index < count; index += 1) {
      const offset = numberAt(from, index * 24, 12);
      const length = numberAt(from, index * 24 + 12, 12);
      if (from[index * 24] === 0 && from[index * 24 + 12] === 0) return;
      runs.push({ offset, length });
    }
  };
  const layout = isStar(block) ? layouts.star : layouts.gnu;
  const more = (byte: number | undefined) => byte === 1 || byte === 0x31;
  take(block.subarray(layout.runs, layout.runs + 96), 4);
  let goesOn = more(block[layout.goesOn]);
  let extraBlocks = 0;
  for (; goesOn && runs.length < RUN_LIMIT; extraBlocks += 1) {
    const position = next + extraBlocks * BLOCK;
    if (position + BLOCK > disk.size) return undefined;
    const extra = readBytes(disk, position, BLOCK);
    take(extra, 21);
    goesOn = more(extra[504]);
  }
  const size = numberAt(block, layout.size, 12);
  return Number.isSafeInteger(size) && size >= 0 ? { size, runs, skip: 0, extraBlocks } : undefined;
}

/** pax: versions 0.0 and 0.1 list the runs in the records, 1.0 at the beginning of the member's data. Undefined for a member that is not sparse. */
export function paxSparse(disk: Source, pax: ReadonlyMap<string, string>, data: number, header: TarHeader): SparseMap | undefined {
  const size = Number(pax.get("GNU.sparse.realsize") ?? pax.get("GNU.sparse.size") ?? Number.NaN);
  if (!Number.isSafeInteger(size) || size < 0) return undefined;
  if (pax.get("GNU.sparse.major") === "1") return listedInData(disk, data, header.size, size);
  const numbers = pax.get("GNU.sparse.map")?.split(",").map(Number);
  return numbers ? { size, runs: pairs(numbers), skip: 0 } : undefined;
}

/** 1.0: decimal numbers, a line each: how many, then offset and length of each; filled up to a block. */
function listedInData(disk: Source, data: number, stored: number, size: number): SparseMap | undefined {
  const numbers: number[] = [];
  let pending = "";
  for (let skip = 0; skip < stored; ) {
    if (data + skip + BLOCK > disk.size) return undefined;
    pending += readBytes(disk, data + skip, BLOCK).toString("latin1");
    skip += BLOCK;
    const lines = pending.split("\n");
    pending = lines.pop() ?? "";
    if (pending.length > BLOCK) return undefined;
    numbers.push(...lines.map(Number));
    const wanted = 1 + 2 * (numbers[0] ?? RUN_LIMIT);
    if (wanted > 2 * RUN_LIMIT) return undefined;
    if (numbers.length >= wanted) return { size, runs: pairs(numbers.slice(1, wanted)), skip };
  }
  return undefined;
}

function pairs(numbers: readonly number[]): readonly Run[] {
  return Array.from({ length: numbers.length >> 1 }, (_, index) => ({
    offset: numbers[2 * index] ?? 0,
    length: numbers[2 * index + 1] ?? 0,
  }));
}
