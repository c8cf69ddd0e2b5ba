import { readStruct, type Source } from "../../../source/source.js";
import { type ErrorCode, ImageError } from "../../../util/errors.js";
import { hex } from "../../../util/text.js";
import { compression, GD_AT_END, hostedFlags, hostedHeader, LINE_ENDS, limits, SECTOR } from "./layout.js";

/** A hosted sparse extent's header, or its footer, checked. Sizes and positions in bytes. */
export interface HostedHeader {
  readonly version: number;
  readonly size: number;
  readonly grainSize: number;
  readonly tableEntries: number;
  /** Undefined: the footer tells. */
  readonly directory: number | undefined;
  /** Where the redundant directory is, if the tables are kept twice. */
  readonly redundant: number | undefined;
  readonly descriptor: { readonly position: number; readonly length: number } | undefined;
  /** Where grains begin. */
  readonly overHead: number;
  readonly zeroedGrains: boolean;
  readonly compressed: boolean;
  readonly markers: boolean;
  readonly unclean: boolean;
}

/** Reads the header at `position`; throws if it cannot be relied on. */
export function readHostedHeader(source: Source, position: number): HostedHeader {
  const raw = readStruct(source, position, hostedHeader);
  const fail = (code: ErrorCode, field: number, message: string, hint?: string) =>
    new ImageError(code, message, { file: source.name, position: position + field, hint });
  const { version, flags, capacity, grainSize, numGTEsPerGT, rgdOffset, gdOffset, compressAlgorithm } = raw;
  const has = (flag: number) => (flags & flag) !== 0;

  if (has(hostedFlags.lineEndTest) && !raw.lineEnds.every((byte, index) => byte === LINE_ENDS[index])) {
    throw fail(
      "CORRUPT",
      73,
      "the file was transferred in text mode: the line ends that its header keeps for this test have changed",
      "Copy it again, in binary mode.",
    );
  }
  if (version < 1 || version > 3) throw fail("UNSUPPORTED", 4, `the version of the sparse extent is ${version}; 1 to 3 are known`);
  const unknown = (flags & hostedFlags.incompatible & ~(hostedFlags.compressed | hostedFlags.markers)) >>> 0;
  if (unknown !== 0) throw fail("UNSUPPORTED", 8, `the incompatible flags ${hex(unknown)} are set, which this version does not know`);
  const compressed = has(hostedFlags.compressed);
  const markers = has(hostedFlags.markers);
  if (compressAlgorithm > compression.deflate) throw fail("UNSUPPORTED", 77, `the compression algorithm ${compressAlgorithm} is not known`);
  if (compressed !== (compressAlgorithm === compression.deflate)) {
    throw fail(
      "CORRUPT",
      77,
      `the flag for compressed grains is ${compressed ? "set" : "clear"}, the compression algorithm is ${compressAlgorithm}`,
    );
  }
  if (markers && !compressed) throw fail("CORRUPT", 8, "the flag for markers is set, the one for compressed grains is not");
  if (capacity >= 2 ** 44) throw fail("CORRUPT", 12, `the capacity is ${capacity} sectors, over 2^53 bytes`);
  const size = capacity * SECTOR;
  if (size > 0) checkGeometry(fail, { capacity, grainSize, numGTEsPerGT, compressed });

  return {
    version,
    size,
    grainSize: grainSize * SECTOR,
    tableEntries: numGTEsPerGT,
    directory: gdOffset === GD_AT_END ? undefined : bytesOf(gdOffset),
    redundant: has(hostedFlags.redundantTables) && rgdOffset !== 0n && rgdOffset !== GD_AT_END ? bytesOf(rgdOffset) : undefined,
    descriptor: raw.descriptorOffset === 0 ? undefined : { position: raw.descriptorOffset * SECTOR, length: raw.descriptorSize * SECTOR },
    overHead: raw.overHead * SECTOR,
    zeroedGrains: has(hostedFlags.zeroedGrains),
    compressed,
    markers,
    unclean: raw.uncleanShutdown !== 0,
  };
}

type Fail = (code: ErrorCode, field: number, message: string) => ImageError;
type Geometry = Pick<ReturnType<typeof hostedHeader.decode>, "capacity" | "grainSize" | "numGTEsPerGT"> & { readonly compressed: boolean };

function checkGeometry(fail: Fail, { capacity, grainSize, numGTEsPerGT, compressed }: Geometry): void {
  if (grainSize === 0) throw fail("CORRUPT", 20, "the grain size is 0");
  // "Virtual Disk Format 5.0", 4.2: a power of 2. Any other one comes from damage, and would shift all that follows.
  if (!Number.isInteger(Math.log2(grainSize))) throw fail("CORRUPT", 20, `the grain size is ${grainSize} sectors, not a power of 2`);
  const most = compressed ? limits.packedGrainSectors : limits.grainSectors;
  if (grainSize > most) {
    throw fail("CORRUPT", 20, `the grain size is ${grainSize} sectors; ${most} are the limit${compressed ? " for compressed grains" : ""}`);
  }
  if (numGTEsPerGT === 0 || numGTEsPerGT > limits.tableEntries) {
    throw fail("CORRUPT", 44, `a grain table has ${numGTEsPerGT} entries, not 1 to ${limits.tableEntries}`);
  }
  const entries = Math.ceil(capacity / (grainSize * numGTEsPerGT));
  if (entries > limits.directoryEntries) {
    throw fail(
      "CORRUPT",
      12,
      `the capacity of ${capacity} sectors needs ${entries} grain tables; ${limits.directoryEntries} are the limit`,
    );
  }
}

/** Of a sector number; one that no file reaches stays one that no file reaches. */
function bytesOf(sector: bigint): number {
  return Number(sector) * SECTOR;
}

/** The embedded descriptor without its padding; undefined if there is none. Throws if it does not lie in the file. */
export function readDescriptor(source: Source, { descriptor }: HostedHeader): Uint8Array | undefined {
  if (!descriptor || descriptor.length === 0) return undefined;
  const { position, length } = descriptor;
  if (length > limits.descriptorBytes) {
    throw new ImageError("CORRUPT", `the embedded descriptor has ${length} bytes; ${limits.descriptorBytes} are the limit`, {
      file: source.name,
      position: 36,
    });
  }
  if (position + length > source.size) {
    throw new ImageError(
      "TRUNCATED",
      `the embedded descriptor (${length} bytes at ${hex(position)}) leaves the file of ${source.size} bytes`,
      { file: source.name, position: 28 },
    );
  }
  const content = new Uint8Array(length);
  source.read(content, position);
  const end = content.indexOf(0);
  if (end === 0) return undefined;
  return end < 0 ? content : content.subarray(0, end);
}
