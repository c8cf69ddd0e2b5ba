// From an offset of the virtual disk to a place in the file. Reference: docs/interop/qcow2.rst, section "Cluster mapping".
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import type { Extent } from "../driver.js";
import { BLOCK_LIMIT, type Encryption, encryptedExtents } from "../encryption/blocks.js";
import { runLength } from "../runs.js";
import { storedExtent, tableError } from "../stored.js";
import { createTableCache, loadTable64 } from "../tables.js";
import { extendedUnits, hostOffset, standardUnits, type UnitReader, unitKinds } from "./entries.js";
import type { Qcow2Header } from "./header.js";
import { packedClusters } from "./packed.js";

/** L2 tables are kept in slices of at most this many bytes, so that one random read of a 2 MiB-cluster image does not load 2 MiB. */
const SLICE_LIMIT = 64 * 1024;
/** Memory for L2 slices, per opened image: with clusters of 64 KiB it maps 64 GiB. */
const SLICES_LIMIT = 8 * 2 ** 20;

export interface MapOptions {
  /** The qcow2 file itself. */
  readonly source: Source;
  readonly header: Qcow2Header;
  /** Where plain clusters lie: the qcow2 file, or its external data file. */
  readonly data: Source;
  /** Of plain clusters; QEMU stores compressed ones, tables and everything else as they are. */
  readonly encryption?: Encryption | undefined;
}

/** Where the L1 table of one state of the disk is. */
export interface L1 {
  readonly offset: number;
  readonly entries: number;
}

/** `map` of the state of the disk that an L1 table stands for. Throws if the table itself cannot be read. */
export type Mapper = (l1: L1) => (offset: number, length: number) => Extent;

/** For all states of an image: what they share of tables and decoded clusters is in memory once. */
export function createMapper({ source, header, data, encryption }: MapOptions): Mapper {
  const { clusterBits, extendedL2, version } = header;
  const clusterSize = 2 ** clusterBits;
  const raw = header.dataFile?.raw === true;
  const units: UnitReader = (extendedL2 ? extendedUnits : standardUnits)({
    version,
    clusterSize,
    externalData: header.dataFile !== undefined,
  });
  const unitSize = clusterSize / units.perEntry;
  const entrySize = units.words * 4;
  const sliceBytes = Math.min(clusterSize, SLICE_LIMIT);
  /** Bytes of the disk that one slice, and one L2 table, maps. */
  const sliceSpan = (sliceBytes / entrySize) * clusterSize;
  const tableSpan = (clusterSize / entrySize) * clusterSize;
  const loadSlice = createTableCache(SLICES_LIMIT, (position) => loadTable64(source, position, sliceBytes / 8));
  const packed = packedClusters(source, clusterBits, header.compression);

  const encrypted = encryption && encryptedExtents(data, encryption);

  const corrupt = (position: number, message: string) => new ImageError("CORRUPT", message, { file: source.name, position });

  /** Clusters of an external raw file stand where the guest sees them; anything else would show other bytes than the raw file does. */
  const isShifted = (position: number, offset: number) => raw && position !== offset;

  function mapUnit(table: Uint32Array, slicePosition: number, sliceStart: number, offset: number, length: number): Extent {
    const inSlice = offset - sliceStart;
    const unit = Math.floor(inSlice / unitSize);
    const most = Math.min(length, sliceSpan - inSlice);
    const kind = units.kind(table, unit);
    const entryPosition = () => slicePosition + Math.floor(unit / units.perEntry) * entrySize;
    const one = () => runLength(inSlice, most, unitSize, () => false);
    switch (kind) {
      case unitKinds.data: {
        const start = units.position(table, unit);
        const position = start + (inSlice - unit * unitSize);
        if (isShifted(position, offset)) {
          return {
            kind: "damaged",
            length: one(),
            error: corrupt(entryPosition(), `the cluster at offset ${hex(offset)} stands elsewhere in the raw data file`),
          };
        }
        const next = (other: number) =>
          units.kind(table, other) === unitKinds.data && units.position(table, other) === start + (other - unit) * unitSize;
        const run = runLength(inSlice, encrypted ? Math.min(most, BLOCK_LIMIT) : most, unitSize, next);
        return encrypted ? encrypted(position, offset, position - start, run, unitSize) : storedExtent(data, position, run);
      }
      case unitKinds.packed: {
        const at = Math.floor(unit / units.perEntry) * units.words;
        const block = packed(table[at]!, table[at + 1]!);
        const skip = inSlice % clusterSize;
        const run = Math.min(clusterSize - skip, most);
        if (block) return { kind: "packed", length: run, block, skip };
        return { kind: "damaged", length: run, error: corrupt(entryPosition(), "a compressed cluster starts behind the end of the file") };
      }
      case unitKinds.zero:
        return { kind: "zero", length: runLength(inSlice, most, unitSize, (other) => units.kind(table, other) === kind) };
      case unitKinds.unallocated:
        return { kind: "parent", length: runLength(inSlice, most, unitSize, (other) => units.kind(table, other) === kind), offset };
      case unitKinds.broken:
        return { kind: "damaged", length: one(), error: corrupt(entryPosition(), `the L2 entry names ${units.problem(table, unit)}`) };
    }
  }

  return (l1) => {
    const l1Table = loadTable64(source, l1.offset, l1.entries);
    const isMapped = (index: number) => index < l1.entries && hostOffset(l1Table[2 * index]!, l1Table[2 * index + 1]!) !== 0;
    return (offset, length) => {
      const l1Index = Math.floor(offset / tableSpan);
      if (!isMapped(l1Index)) {
        return { kind: "parent", length: runLength(offset, length, tableSpan, (index) => !isMapped(index)), offset };
      }
      const tableOffset = hostOffset(l1Table[2 * l1Index]!, l1Table[2 * l1Index + 1]!);
      const slice = Math.floor((offset - l1Index * tableSpan) / sliceSpan);
      const sliceStart = l1Index * tableSpan + slice * sliceSpan;
      const slicePosition = tableOffset + slice * sliceBytes;
      let table: Uint32Array;
      try {
        if (tableOffset % clusterSize !== 0)
          throw corrupt(l1.offset + 8 * l1Index, `the L2 table at ${hex(tableOffset)} is not aligned to a cluster`);
        table = loadSlice(slicePosition);
      } catch (error) {
        return {
          kind: "damaged",
          length: Math.min(length, sliceStart + sliceSpan - offset),
          error: tableError(source, "L2 table", slicePosition, error),
        };
      }
      return mapUnit(table, slicePosition, sliceStart, offset, length);
    };
  };
}
