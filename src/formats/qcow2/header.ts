import { readBytes, readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex, quote, withoutTrailingZeros } from "../../util/text.js";
import {
  autoclear,
  COMPRESSION_TYPE_POSITION,
  compatible,
  compressionTypes,
  CRYPT_METHOD_POSITION,
  cryptMethods,
  encryptionHeader,
  extensionHead,
  extensions,
  featureName,
  headerV2,
  headerV3,
  incompatible,
  limits,
} from "./layout.js";

/** The header of both versions in one shape, checked. */
export interface Qcow2Header {
  readonly version: 2 | 3;
  /** Bytes of the virtual disk. */
  readonly size: number;
  readonly clusterBits: number;
  readonly l1TableOffset: number;
  /** Entries of the active L1 table. */
  readonly l1Size: number;
  readonly refcountBits: number;
  readonly compression: "zlib" | "zstd";
  readonly extendedL2: boolean;
  readonly dirty: boolean;
  readonly corrupt: boolean;
  readonly lazyRefcounts: boolean;
  readonly bitmaps: boolean;
  readonly snapshotCount: number;
  readonly snapshotsOffset: number;
  readonly backingFile: string | undefined;
  readonly backingFormat: string | undefined;
  readonly encryption:
    | { readonly method: "aes" }
    | { readonly method: "luks"; readonly offset: number; readonly length: number }
    | undefined;
  readonly dataFile: { readonly name: string | undefined; readonly raw: boolean } | undefined;
  /** Autoclear bits that this reader does not know; harmless when reading. */
  readonly unknownAutoclear: bigint;
}

interface Features {
  readonly incompatible: bigint;
  readonly compatible: bigint;
  readonly autoclear: bigint;
  readonly refcountOrder: number;
  readonly headerLength: number;
}

const has = (features: bigint, bit: number) => ((features >> BigInt(bit)) & 1n) === 1n;
const known = (bits: Readonly<Record<string, number>>) => Object.values(bits).reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);

/** Reads the header and its extensions; throws for everything that makes the whole image unreadable. */
export function readHeader(source: Source): Qcow2Header {
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  const base = readStruct(source, 0, headerV2);
  const { version, clusterBits } = base;
  if (version !== 2 && version !== 3) throw fail("UNSUPPORTED", 4, `qcow version ${version} is not known; versions 2 and 3 are read here`);
  const [least, most] = limits.clusterBits;
  if (clusterBits < least || clusterBits > most) {
    throw fail("CORRUPT", 20, `the cluster size is 2^${clusterBits} bytes; 2^${least} to 2^${most} are possible`);
  }

  const features = readFeatures(source, version);
  if (features.headerLength > 2 ** clusterBits) {
    throw fail("CORRUPT", 100, `the header of ${features.headerLength} bytes is longer than a cluster of ${2 ** clusterBits} bytes`);
  }
  const area = readExtensions(source, features.headerLength, base.backingFileOffset, 2 ** clusterBits);
  const unknown = features.incompatible & ~known(incompatible);
  if (unknown !== 0n) {
    throw fail(
      "UNSUPPORTED",
      72,
      `the image uses ${namesOf(unknown, area.get(extensions.featureNames))}, which this version does not know`,
    );
  }
  const encryption = readEncryption(source, base.cryptMethod, area.get(extensions.encryption));
  checkTables(source, base, 2 ** clusterBits);

  return {
    version,
    size: base.size,
    clusterBits,
    l1TableOffset: base.l1TableOffset,
    l1Size: base.l1Size,
    refcountBits: 2 ** features.refcountOrder,
    compression: compressionOf(source, features),
    extendedL2: extendedL2Of(source, features, clusterBits),
    dirty: has(features.incompatible, incompatible.dirty),
    corrupt: has(features.incompatible, incompatible.corrupt),
    lazyRefcounts: has(features.compatible, compatible.lazyRefcounts),
    bitmaps: area.has(extensions.bitmaps),
    snapshotCount: base.snapshotCount,
    snapshotsOffset: Number(base.snapshotsOffset),
    backingFile: readBackingName(source, base.backingFileOffset, base.backingFileSize, 2 ** clusterBits),
    backingFormat: textOf(area.get(extensions.backingFormat)),
    encryption,
    dataFile: has(features.incompatible, incompatible.externalDataFile)
      ? { name: textOf(area.get(extensions.dataFile)), raw: has(features.autoclear, autoclear.rawExternalData) }
      : undefined,
    unknownAutoclear: features.autoclear & ~known(autoclear),
  };
}

/** Version 2 has no feature fields: what stands at byte 72 there is header extensions. */
function readFeatures(source: Source, version: number): Features {
  if (version === 2) return { incompatible: 0n, compatible: 0n, autoclear: 0n, refcountOrder: 4, headerLength: headerV2.size };
  const { incompatibleFeatures, compatibleFeatures, autoclearFeatures, refcountOrder, headerLength } = readStruct(source, 0, headerV3);
  if (headerLength < headerV3.size || headerLength % 8 !== 0) {
    throw new ImageError("CORRUPT", `the header length is ${headerLength}, not a multiple of 8 from ${headerV3.size} on`, {
      file: source.name,
      position: 100,
    });
  }
  return {
    incompatible: incompatibleFeatures,
    compatible: compatibleFeatures,
    autoclear: autoclearFeatures,
    // Only refcounts depend on it, and those are not needed to read.
    refcountOrder: Math.min(refcountOrder, 6),
    headerLength,
  };
}

function compressionOf(source: Source, { incompatible: bits, headerLength }: Features): Qcow2Header["compression"] {
  const type = headerLength > COMPRESSION_TYPE_POSITION ? (readBytes(source, COMPRESSION_TYPE_POSITION, 1)[0] ?? 0) : compressionTypes.zlib;
  const declared = has(bits, incompatible.compressionType);
  const fail = (code: ErrorCode, message: string) =>
    new ImageError(code, message, { file: source.name, position: COMPRESSION_TYPE_POSITION });
  if (type !== compressionTypes.zlib && type !== compressionTypes.zstd) throw fail("UNSUPPORTED", `compression type ${type} is not known`);
  if (declared !== (type !== compressionTypes.zlib)) {
    throw fail(
      "CORRUPT",
      `the compression type is ${type}, and incompatible feature bit 3, which must tell the same, is ${declared ? "set" : "clear"}`,
    );
  }
  return type === compressionTypes.zstd ? "zstd" : "zlib";
}

function extendedL2Of(source: Source, features: Features, clusterBits: number): boolean {
  const extended = has(features.incompatible, incompatible.extendedL2);
  if (extended && clusterBits < 14) {
    throw new ImageError("CORRUPT", `extended L2 entries need clusters of 16 KiB or more, these have ${2 ** clusterBits} bytes`, {
      file: source.name,
      position: 20,
    });
  }
  return extended;
}

function readEncryption(source: Source, cryptMethod: number, extension: Buffer | undefined): Qcow2Header["encryption"] {
  const fail = (code: ErrorCode, message: string) => new ImageError(code, message, { file: source.name, position: CRYPT_METHOD_POSITION });
  if (extension && cryptMethod !== cryptMethods.luks) {
    throw fail(
      "CORRUPT",
      `the encryption method is ${cryptMethod}, and there is a header extension for LUKS, which is method ${cryptMethods.luks}`,
    );
  }
  if (cryptMethod === cryptMethods.none) return undefined;
  if (cryptMethod === cryptMethods.aes) return { method: "aes" };
  if (cryptMethod !== cryptMethods.luks) throw fail("UNSUPPORTED", `the image is encrypted with method ${cryptMethod}, which is not known`);
  if (!extension)
    throw fail("CORRUPT", "the image is encrypted with LUKS, and has no header extension that tells where the LUKS header is");
  if (extension.length !== encryptionHeader.size)
    throw fail("CORRUPT", `the header extension for LUKS has ${extension.length} bytes instead of ${encryptionHeader.size}`);
  return { method: "luks", ...encryptionHeader.decode(extension) };
}

function checkTables(
  source: Source,
  { l1Size, l1TableOffset, size }: { l1Size: number; l1TableOffset: number; size: number },
  clusterSize: number,
): void {
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  if (l1TableOffset % clusterSize !== 0) throw fail("CORRUPT", 40, `the L1 table at ${hex(l1TableOffset)} is not aligned to a cluster`);
  if (size > 0 && l1Size === 0) throw fail("CORRUPT", 36, `the L1 table is empty, the disk has ${size} bytes`);
}

/** The data of each known extension, by type. The area ends with an end marker, the backing file name or the first cluster. */
function readExtensions(source: Source, start: number, backingFileOffset: number, clusterSize: number): ReadonlyMap<number, Buffer> {
  const end = Math.min(backingFileOffset || clusterSize, clusterSize, source.size);
  const found = new Map<number, Buffer>();
  let position = start;
  while (position + extensionHead.size <= end) {
    const { type, length } = readStruct(source, position, extensionHead);
    if (type === extensions.end) break;
    position += extensionHead.size;
    if (position + length > end) {
      throw new ImageError("CORRUPT", `the header extension ${hex(type)} of ${length} bytes leaves the header, which ends at ${hex(end)}`, {
        file: source.name,
        position: position - extensionHead.size,
      });
    }
    found.set(type, readBytes(source, position, length));
    position += Math.ceil(length / 8) * 8;
  }
  return found;
}

/** `incompatible feature "lizard" (bit 7)`, named by the image's own table where it has one. */
function namesOf(unknown: bigint, table: Buffer | undefined): string {
  const names = new Map<number, string>();
  for (let at = 0; table && at + featureName.size <= table.length; at += featureName.size) {
    const { type, bit, name } = featureName.decode(table, at);
    if (type === 0) names.set(bit, name);
  }
  const list: string[] = [];
  for (let bit = 0; bit < 64; bit += 1) {
    if (!has(unknown, bit)) continue;
    const name = names.get(bit);
    list.push(name ? `the incompatible feature ${quote(name)} (bit ${bit})` : `incompatible feature bit ${bit}`);
  }
  return list.join(", ");
}

function readBackingName(source: Source, offset: number, length: number, clusterSize: number): string | undefined {
  if (offset === 0 || length === 0) return undefined;
  if (length > limits.backingName) {
    throw new ImageError("CORRUPT", `the name of the backing file has ${length} bytes; ${limits.backingName} are the limit`, {
      file: source.name,
      position: 16,
    });
  }
  if (offset + length > clusterSize) {
    throw new ImageError(
      "CORRUPT",
      `the name of the backing file, ${length} bytes at ${hex(offset)}, leaves the first cluster of ${clusterSize} bytes`,
      {
        file: source.name,
        position: 8,
      },
    );
  }
  if (offset + length > source.size) {
    throw new ImageError(
      "TRUNCATED",
      `the name of the backing file, ${length} bytes at ${hex(offset)}, leaves the file of ${source.size} bytes`,
      {
        file: source.name,
        position: 8,
      },
    );
  }
  return readBytes(source, offset, length).toString("utf8");
}

/** Strings in extensions are not NUL-terminated; some writers pad them all the same. */
function textOf(data: Buffer | undefined): string | undefined {
  const text = data && withoutTrailingZeros(data.toString("utf8"));
  return text ? text : undefined;
}
