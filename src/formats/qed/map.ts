// From an offset of the virtual disk to a place in the file. Reference: docs/interop/qed_spec.rst, section "Tables".
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import type { Extent } from "../driver.js";
import { runLength } from "../runs.js";
import { storedExtent, tableError } from "../stored.js";
import { createTableCache, loadTable64 } from "../tables.js";
import type { QedHeader } from "./header.js";
import { offsets } from "./layout.js";

/** L2 tables are kept in slices of at most this many bytes: one may have 1 GiB. */
const SLICE_LIMIT = 64 * 1024;
/** Memory for L2 slices, per opened image: with clusters of 64 KiB it maps 64 GiB. */
const SLICES_LIMIT = 8 * 2 ** 20;

/** `map` of an image with this header. Throws if the L1 table cannot be read. */
export function createMap(source: Source, header: QedHeader): (offset: number, length: number) => Extent {
  const { size, clusterSize, tableEntries, l1TableOffset, l1Entries, headerBytes } = header;
  const l1Table = loadTable64(source, l1TableOffset, l1Entries, "little");
  const sliceBytes = Math.min(tableEntries * 8, SLICE_LIMIT);
  const loadSlice = createTableCache(SLICES_LIMIT, (position) => loadTable64(source, position, sliceBytes / 8, "little"));
  /** Bytes of the disk that one slice, and one L2 table, maps. */
  const sliceSpan = (sliceBytes / 8) * clusterSize;
  const tableSpan = tableEntries * clusterSize;
  const isRegular = (position: number) => position % clusterSize === 0 && position >= headerBytes;

  function mapCluster(table: Uint32Array, slicePosition: number, offset: number, length: number): Extent {
    const inSlice = offset % sliceSpan;
    const cluster = Math.floor(inSlice / clusterSize);
    const start = valueOf(table, cluster);
    if (start === offsets.unallocated || start === offsets.zero) {
      const run = runLength(inSlice, length, clusterSize, (other) => valueOf(table, other) === start);
      return start === offsets.zero ? { kind: "zero", length: run } : { kind: "parent", length: run, offset };
    }
    const skip = inSlice - cluster * clusterSize;
    if (!isRegular(start)) {
      const message = `the L2 entry names a cluster at ${hex(start)}, which is not at a multiple of ${clusterSize} behind the header`;
      const error = new ImageError("CORRUPT", message, { file: source.name, position: slicePosition + 8 * cluster });
      return { kind: "damaged", length: Math.min(length, clusterSize - skip), error };
    }
    const continues = (other: number) => valueOf(table, other) === start + (other - cluster) * clusterSize;
    return storedExtent(source, start + skip, runLength(inSlice, length, clusterSize, continues));
  }

  return (offset, length) => {
    const l1Index = Math.floor(offset / tableSpan);
    const tableOffset = valueOf(l1Table, l1Index);
    if (tableOffset === offsets.unallocated) {
      const most = Math.min(length, size - offset);
      return { kind: "parent", length: runLength(offset, most, tableSpan, (index) => valueOf(l1Table, index) === 0), offset };
    }
    const slice = Math.floor((offset - l1Index * tableSpan) / sliceSpan);
    const slicePosition = tableOffset + slice * sliceBytes;
    const most = Math.min(length, size - offset, sliceSpan - (offset % sliceSpan));
    let table: Uint32Array;
    try {
      if (!isRegular(tableOffset)) {
        const message = `the L2 table at ${hex(tableOffset)} is not at a multiple of ${clusterSize} behind the header`;
        throw new ImageError("CORRUPT", message, { file: source.name, position: l1TableOffset + 8 * l1Index });
      }
      table = loadSlice(slicePosition);
    } catch (error) {
      return { kind: "damaged", length: most, error: tableError(source, "L2 table", slicePosition, error) };
    }
    return mapCluster(table, slicePosition, offset, most);
  };
}

/** Values over 2^53 lose their last bits; they lie behind the end of any file all the same. */
function valueOf(table: Uint32Array, index: number): number {
  return table[2 * index]! * 2 ** 32 + table[2 * index + 1]!;
}
