import { readBytes, readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { CRYPT_METHOD_POSITION, cryptMethods, header, limits, VERSION } from "./layout.js";

/** The header, checked. */
export interface QcowHeader {
  /** Bytes of the virtual disk. */
  readonly size: number;
  readonly clusterBits: number;
  readonly l2Bits: number;
  readonly l1TableOffset: number;
  /** Entries of the L1 table; not stored, it follows from the size. */
  readonly l1Size: number;
  readonly encrypted: boolean;
  readonly backingFile: string | undefined;
}

/** Reads the header; throws for everything that makes the whole image unreadable. */
export function readHeader(source: Source): QcowHeader {
  const { version, size, clusterBits, l2Bits, cryptMethod, l1TableOffset, backingFileOffset, backingFileSize } = readStruct(
    source,
    0,
    header,
  );
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  if (version !== VERSION) throw fail("UNSUPPORTED", 4, `the version is ${version}; version ${VERSION} is read here`);
  const [leastCluster, mostCluster] = limits.clusterBits;
  if (clusterBits < leastCluster || clusterBits > mostCluster) {
    throw fail("CORRUPT", 32, `the cluster size is 2^${clusterBits} bytes; 2^${leastCluster} to 2^${mostCluster} are possible`);
  }
  const [leastL2, mostL2] = limits.l2Bits;
  if (l2Bits < leastL2 || l2Bits > mostL2) {
    throw fail("CORRUPT", 33, `an L2 table has 2^${l2Bits} entries; 2^${leastL2} to 2^${mostL2} are possible`);
  }
  if (cryptMethod !== cryptMethods.none && cryptMethod !== cryptMethods.aes) {
    throw fail("UNSUPPORTED", CRYPT_METHOD_POSITION, `the image is encrypted with method ${cryptMethod}, which is not known`);
  }

  const l1Size = Math.ceil(size / 2 ** (clusterBits + l2Bits));
  if (l1Size * 8 > limits.l1Bytes) {
    throw fail("CORRUPT", 24, `a disk of ${size} bytes needs an L1 table of ${l1Size} entries; ${limits.l1Bytes / 8} are the limit`);
  }
  if (l1TableOffset + l1Size * 8 > source.size) {
    throw fail("TRUNCATED", 40, `the L1 table, ${l1Size * 8} bytes at ${hex(l1TableOffset)}, leaves the file of ${source.size} bytes`);
  }
  const encrypted = cryptMethod === cryptMethods.aes;
  return {
    size,
    clusterBits,
    l2Bits,
    l1TableOffset,
    l1Size,
    encrypted,
    backingFile: readBackingName(source, backingFileOffset, backingFileSize),
  };
}

function readBackingName(source: Source, offset: number, length: number): string | undefined {
  if (offset === 0 || length === 0) return undefined;
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  if (length > limits.backingName)
    throw fail("CORRUPT", 16, `the name of the backing file has ${length} bytes; ${limits.backingName} are the limit`);
  if (offset + length > source.size) {
    throw fail("TRUNCATED", 8, `the name of the backing file, ${length} bytes at ${hex(offset)}, leaves the file of ${source.size} bytes`);
  }
  return readBytes(source, offset, length).toString("utf8");
}
