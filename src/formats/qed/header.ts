import { readBytes, readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { features, header, limits, MAGIC } from "./layout.js";

/** The header, checked. */
export interface QedHeader {
  /** Bytes of the virtual disk. */
  readonly size: number;
  readonly clusterSize: number;
  /** Entries of an L1 or L2 table. */
  readonly tableEntries: number;
  readonly l1TableOffset: number;
  /** Entries of the L1 table that the disk needs; the rest of it maps nothing. */
  readonly l1Entries: number;
  /** Where the first regular cluster is. */
  readonly headerBytes: number;
  readonly needCheck: boolean;
  readonly backing: { readonly name: string; readonly raw: boolean } | undefined;
}

const has = (bits: bigint, bit: number) => ((bits >> BigInt(bit)) & 1n) === 1n;
const isPowerOfTwo = (value: number) => value > 0 && (value & (value - 1)) === 0;

/** Reads the header; throws for everything that makes the whole image unreadable. */
export function readHeader(source: Source): QedHeader {
  const fields = readStruct(source, 0, header);
  const { magic, clusterSize, tableSize, headerSize, l1TableOffset, imageSize: size } = fields;
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  if (magic !== MAGIC) throw fail("WRONG_FORMAT", 0, `the signature is ${hex(magic)}, not ${hex(MAGIC)}`);
  refuseUnknown(source, fields.features);

  const [leastCluster, mostCluster] = limits.clusterSize;
  if (!isPowerOfTwo(clusterSize) || clusterSize < leastCluster || clusterSize > mostCluster) {
    throw fail("CORRUPT", 4, `the cluster size is ${clusterSize}, not a power of two from ${leastCluster} to ${mostCluster}`);
  }
  const [leastTable, mostTable] = limits.tableSize;
  if (!isPowerOfTwo(tableSize) || tableSize > mostTable) {
    throw fail("CORRUPT", 8, `a table has ${tableSize} clusters, not a power of two from ${leastTable} to ${mostTable}`);
  }
  if (headerSize === 0) throw fail("CORRUPT", 12, "the header has 0 clusters");
  const tableEntries = (tableSize * clusterSize) / 8;
  if (size % 512 !== 0) throw fail("CORRUPT", 48, `the disk has ${size} bytes, which is not a multiple of 512`);
  const most = tableEntries * tableEntries * clusterSize;
  if (size > most) throw fail("CORRUPT", 48, `the disk has ${size} bytes; such tables map ${most} at the most`);

  const l1Entries = Math.ceil(size / (tableEntries * clusterSize));
  if (l1TableOffset % clusterSize !== 0 || l1TableOffset === 0) {
    throw fail("CORRUPT", 40, `the L1 table at ${hex(l1TableOffset)} is not at a cluster behind the header`);
  }
  if (l1TableOffset + l1Entries * 8 > source.size) {
    throw fail("TRUNCATED", 40, `the L1 table, ${l1Entries * 8} bytes at ${hex(l1TableOffset)}, leaves the file of ${source.size} bytes`);
  }
  const headerBytes = headerSize * clusterSize;
  return {
    size,
    clusterSize,
    tableEntries,
    l1TableOffset,
    l1Entries,
    headerBytes,
    needCheck: has(fields.features, features.needCheck),
    backing: has(fields.features, features.backingFile)
      ? {
          name: readBackingName(source, fields.backingFilenameOffset, fields.backingFilenameSize, headerBytes),
          raw: has(fields.features, features.backingFormatNoProbe),
        }
      : undefined,
  };
}

function refuseUnknown(source: Source, bits: bigint): void {
  const known = Object.values(features).reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);
  const unknown = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => has(bits & ~known, bit));
  if (unknown.length === 0) return;
  const names = unknown.map((bit) => `feature bit ${bit}`).join(", ");
  throw new ImageError("UNSUPPORTED", `the image uses ${names}, which this version does not know`, { file: source.name, position: 16 });
}

function readBackingName(source: Source, offset: number, length: number, headerBytes: number): string {
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  if (length === 0) throw fail("CORRUPT", 60, "the image has a backing file, and its name has 0 bytes");
  if (length > limits.backingName)
    throw fail("CORRUPT", 60, `the name of the backing file has ${length} bytes; ${limits.backingName} are the limit`);
  const place = `the name of the backing file, ${length} bytes at ${hex(offset)},`;
  if (offset + length > headerBytes) throw fail("CORRUPT", 56, `${place} leaves the header of ${headerBytes} bytes`);
  if (offset + length > source.size) throw fail("TRUNCATED", 56, `${place} leaves the file of ${source.size} bytes`);
  return readBytes(source, offset, length).toString("utf8");
}
