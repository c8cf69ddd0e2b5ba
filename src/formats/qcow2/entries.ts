// What an L2 entry says. Reference: docs/interop/qcow2.rst, sections "L2 table entry", "Standard Cluster Descriptor", "Extended L2 Entries".

/** How one unit (a cluster, or a subcluster with extended L2 entries) is stored. */
export const unitKinds = { unallocated: 0, zero: 1, data: 2, packed: 3, broken: 4 } as const;
export type UnitKind = (typeof unitKinds)[keyof typeof unitKinds];

/** Reads units out of an L2 table, a `Uint32Array` of high and low words. Called for every cluster of a read: plain arithmetic only. */
export interface UnitReader {
  /** Units per L2 entry. */
  readonly perEntry: number;
  /** u32 words per L2 entry. */
  readonly words: number;
  kind(table: Uint32Array, unit: number): UnitKind;
  /** Position in the file that holds the data, for a unit of kind `data`. */
  position(table: Uint32Array, unit: number): number;
  /** What is wrong with a unit of kind `broken`. */
  problem(table: Uint32Array, unit: number): string;
}

export interface UnitReaderOptions {
  readonly version: 2 | 3;
  readonly clusterSize: number;
  /** With an external data file position 0 is a place like any other, and compressed clusters do not exist. */
  readonly externalData: boolean;
}

const COPIED = 0x80000000; // bit 63, in the high word
const COMPRESSED = 0x40000000; // bit 62, in the high word
const ZERO = 1; // bit 0, in the low word
const SUBCLUSTERS = 32;

/** Bits 9 to 55 of an L1 or L2 entry. */
export function hostOffset(high: number, low: number): number {
  return (high & 0x00ffffff) * 2 ** 32 + ((low & 0xfffffe00) >>> 0);
}

/** Whether the standard descriptor gives a place: 0 is one only in an external data file, and only with the COPIED bit. */
function isPlaced(high: number, low: number, externalData: boolean): boolean {
  return hostOffset(high, low) !== 0 || (externalData && (high & COPIED) !== 0);
}

function isMisaligned(low: number, clusterSize: number): boolean {
  return ((low & 0xfffffe00) >>> 0) % clusterSize !== 0;
}

/** Entries of 8 bytes; the unit is the cluster. */
export function standardUnits({ version, clusterSize, externalData }: UnitReaderOptions): UnitReader {
  return {
    perEntry: 1,
    words: 2,
    kind(table, unit) {
      const high = table[2 * unit]!;
      const low = table[2 * unit + 1]!;
      if ((high & COMPRESSED) !== 0) return externalData ? unitKinds.broken : unitKinds.packed;
      if ((low & ZERO) !== 0) return version === 2 ? unitKinds.broken : unitKinds.zero;
      if (!isPlaced(high, low, externalData)) return unitKinds.unallocated;
      return isMisaligned(low, clusterSize) ? unitKinds.broken : unitKinds.data;
    },
    position: (table, unit) => hostOffset(table[2 * unit]!, table[2 * unit + 1]!),
    problem(table, unit) {
      if ((table[2 * unit]! & COMPRESSED) !== 0) return "a compressed cluster, which an image with an external data file cannot have";
      if ((table[2 * unit + 1]! & ZERO) !== 0) return "a zero cluster, which version 2 does not have";
      return `a cluster at a position that is not a multiple of ${clusterSize}`;
    },
  };
}

/** Entries of 16 bytes with a bitmap of 32 subclusters: low half "allocated", high half "reads as zeros". Bit 0 of the descriptor is reserved. */
export function extendedUnits({ clusterSize, externalData }: UnitReaderOptions): UnitReader {
  const subclusterSize = clusterSize / SUBCLUSTERS;
  return {
    perEntry: SUBCLUSTERS,
    words: 4,
    kind(table, unit) {
      const at = 4 * Math.floor(unit / SUBCLUSTERS);
      const high = table[at]!;
      const low = table[at + 1]!;
      if ((high & COMPRESSED) !== 0) return externalData ? unitKinds.broken : unitKinds.packed;
      const bit = 1 << (unit % SUBCLUSTERS);
      const zero = (table[at + 2]! & bit) !== 0;
      if ((table[at + 3]! & bit) === 0) return zero ? unitKinds.zero : unitKinds.unallocated;
      if (zero || !isPlaced(high, low, externalData) || isMisaligned(low, clusterSize)) return unitKinds.broken;
      return unitKinds.data;
    },
    position(table, unit) {
      const at = 4 * Math.floor(unit / SUBCLUSTERS);
      return hostOffset(table[at]!, table[at + 1]!) + (unit % SUBCLUSTERS) * subclusterSize;
    },
    problem(table, unit) {
      const at = 4 * Math.floor(unit / SUBCLUSTERS);
      if ((table[at]! & COMPRESSED) !== 0) return "a compressed cluster, which an image with an external data file cannot have";
      if ((table[at + 2]! & (1 << (unit % SUBCLUSTERS))) !== 0) return "a subcluster that is marked both allocated and zero";
      if (!isPlaced(table[at]!, table[at + 1]!, externalData)) return "an allocated subcluster of a cluster that has no place";
      return `a cluster at a position that is not a multiple of ${clusterSize}`;
    },
  };
}
