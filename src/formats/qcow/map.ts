// From an offset of the virtual disk to a place in the file. Reference: `get_cluster_offset` and `decompress_cluster` of block/qcow.c in the QEMU sources.
import { inflateRaw } from "../../native/unpack.js";
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { type Extent, packedKeys } from "../driver.js";
import { BLOCK_LIMIT, type Encryption, encryptedExtents } from "../encryption/blocks.js";
import { runLength } from "../runs.js";
import { behindEnd, storedExtent, tableError } from "../stored.js";
import { createTableCache, loadTable64 } from "../tables.js";
import type { QcowHeader } from "./header.js";

/** Memory for L2 tables, per opened image: with clusters of 4 KiB, QEMU's choice, it maps 4 GiB. */
const TABLES_LIMIT = 8 * 2 ** 20;

const COMPRESSED = 0x80000000; // bit 63, in the high word

/** `map` of an image with this header, and of plain clusters in `encryption`: compressed ones are stored as they are. Throws if the L1 table cannot be read. */
export function createMap(
  source: Source,
  { clusterBits, l2Bits, l1TableOffset, l1Size }: QcowHeader,
  encryption?: Encryption,
): (offset: number, length: number) => Extent {
  const clusterSize = 2 ** clusterBits;
  const tableEntries = 2 ** l2Bits;
  /** Bytes of the disk that one L2 table maps. */
  const tableSpan = tableEntries * clusterSize;
  const l1Table = loadTable64(source, l1TableOffset, l1Size);
  const loadL2 = createTableCache(TABLES_LIMIT, (position) => loadTable64(source, position, tableEntries));
  const packed = packedClusters(source, clusterBits);
  const encrypted = encryption && encryptedExtents(source, encryption);

  /** An entry that names a plain cluster is its position and nothing else. */
  const isPlain = (table: Uint32Array, index: number) => (table[2 * index]! & COMPRESSED) === 0 && !isEmpty(table, index);

  function mapCluster(table: Uint32Array, tableOffset: number, offset: number, length: number): Extent {
    const inTable = offset % tableSpan;
    const most = Math.min(length, tableSpan - inTable);
    const cluster = Math.floor(inTable / clusterSize);
    const skip = inTable - cluster * clusterSize;
    if (isEmpty(table, cluster)) {
      return { kind: "parent", length: runLength(inTable, most, clusterSize, (other) => isEmpty(table, other)), offset };
    }
    const one = Math.min(most, clusterSize - skip);
    if (!isPlain(table, cluster)) return packed(table[2 * cluster]!, table[2 * cluster + 1]!, skip, one);
    const start = valueOf(table, cluster);
    if (start % 512 !== 0) {
      const message = `the L2 entry names a cluster at ${hex(start)}, which is not a multiple of 512`;
      return {
        kind: "damaged",
        length: one,
        error: new ImageError("CORRUPT", message, { file: source.name, position: tableOffset + 8 * cluster }),
      };
    }
    const continues = (other: number) => isPlain(table, other) && valueOf(table, other) === start + (other - cluster) * clusterSize;
    const run = runLength(inTable, encrypted ? Math.min(most, BLOCK_LIMIT) : most, clusterSize, continues);
    return encrypted ? encrypted(start + skip, offset, skip, run, clusterSize) : storedExtent(source, start + skip, run);
  }

  return (offset, length) => {
    const l1Index = Math.floor(offset / tableSpan);
    if (isEmpty(l1Table, l1Index)) {
      return { kind: "parent", length: runLength(offset, length, tableSpan, (index) => isEmpty(l1Table, index)), offset };
    }
    const tableOffset = valueOf(l1Table, l1Index);
    let table: Uint32Array;
    try {
      table = loadL2(tableOffset);
    } catch (error) {
      return {
        kind: "damaged",
        length: Math.min(length, (l1Index + 1) * tableSpan - offset),
        error: tableError(source, "L2 table", tableOffset, error),
      };
    }
    return mapCluster(table, tableOffset, offset, length);
  };
}

function isEmpty(table: Uint32Array, index: number): boolean {
  return table[2 * index] === 0 && table[2 * index + 1] === 0;
}

/** Values over 2^53 lose their last bits; they lie behind the end of any file all the same. */
function valueOf(table: Uint32Array, index: number): number {
  return table[2 * index]! * 2 ** 32 + table[2 * index + 1]!;
}

/** The extent of a compressed cluster: its position in the low 63 - clusterBits bits, above them its size in bytes (qcow2 counts sectors there). */
function packedClusters(source: Source, clusterBits: number): (high: number, low: number, skip: number, length: number) => Extent {
  const clusterSize = 2 ** clusterBits;
  // 47 to 54, so always in the high word.
  const sizeShift = 63 - clusterBits - 32;
  const positionMask = 2 ** sizeShift - 1;
  const keys = packedKeys();
  let scratch = Buffer.alloc(0);

  return (high, low, skip, length) => {
    const position = (high & positionMask) * 2 ** 32 + low;
    const stored = (high >>> sizeShift) & (clusterSize - 1);
    if (position + stored > source.size) return { kind: "damaged", length, error: behindEnd(source, position, stored) };
    const block = {
      key: keys + String(position),
      size: clusterSize,
      source,
      position,
      unpack(target: Uint8Array) {
        if (scratch.length < clusterSize) scratch = Buffer.allocUnsafeSlow(clusterSize);
        const content = scratch.subarray(0, stored);
        source.read(content, position);
        if (inflateRaw(content, target)) return;
        throw new ImageError(
          "CORRUPT",
          `the compressed cluster at ${hex(position)} (${stored} bytes) does not decode to ${clusterSize} bytes`,
          {
            file: source.name,
            position,
          },
        );
      },
    };
    return { kind: "packed", length, block, skip };
  };
}
