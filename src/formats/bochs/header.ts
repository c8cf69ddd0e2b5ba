import { readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex, quote } from "../../util/text.js";
import { EXTENT_LIMIT, header, headerV1, MAGIC, SECTOR, type Subtype, subtypes, TYPE, versions } from "./layout.js";

/** The header, checked. */
export interface BochsHeader {
  readonly version: 1 | 2;
  readonly subtype: Subtype;
  /** Bytes of the virtual disk. */
  readonly size: number;
  /** Bytes of an extent, and of the disk that it maps. */
  readonly extentSize: number;
  /** Bytes before the data of an extent. */
  readonly bitmapSize: number;
  readonly catalogPosition: number;
  readonly catalogEntries: number;
  /** Where extent 0 is, with its bitmap. */
  readonly dataPosition: number;
}

const inSectors = (bytes: number) => Math.ceil(bytes / SECTOR) * SECTOR;

/** Reads the header; throws for everything that makes the whole image unreadable. */
export function readHeader(source: Source): BochsHeader {
  const fields = readStruct(source, 0, header);
  const { headerSize, catalog, bitmap, extent } = fields;
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  if (fields.magic !== MAGIC) throw fail("WRONG_FORMAT", 0, `the signature is ${quote(fields.magic)}, not ${quote(MAGIC)}`);
  if (fields.type !== TYPE) throw fail("UNSUPPORTED", 32, `the type is ${quote(fields.type)}; ${TYPE} is read here`);
  const subtype = subtypes.find((known) => known === fields.subtype);
  if (!subtype) throw fail("UNSUPPORTED", 48, `the subtype is ${quote(fields.subtype)}; ${subtypes.join(", ")} are read here`);
  const version = fields.version === versions.v1 ? 1 : fields.version === versions.v2 ? 2 : undefined;
  if (!version)
    throw fail("UNSUPPORTED", 64, `the version is ${hex(fields.version)}; ${hex(versions.v1)} and ${hex(versions.v2)} are read here`);
  // Bochs and QEMU find the extents in different places if it is another one.
  if (headerSize !== header.size) throw fail("UNSUPPORTED", 68, `the header has ${headerSize} bytes; ${header.size} are known`);

  if (extent === 0 || extent % SECTOR !== 0 || extent > EXTENT_LIMIT) {
    throw fail("CORRUPT", 80, `an extent has ${extent} bytes, not a multiple of ${SECTOR} up to ${EXTENT_LIMIT}`);
  }
  if (bitmap * 8 * SECTOR < extent || bitmap > EXTENT_LIMIT) {
    throw fail("CORRUPT", 76, `a bitmap of ${bitmap} bytes does not fit an extent of ${extent / SECTOR} sectors`);
  }
  const size = version === 1 ? readStruct(source, 0, headerV1).disk : fields.disk;
  if (size > catalog * extent) {
    throw fail(
      "CORRUPT",
      version === 1 ? 84 : 88,
      `the disk has ${size} bytes, its catalog of ${catalog} extents maps ${catalog * extent}`,
    );
  }
  const dataPosition = headerSize + catalog * 4;
  if (dataPosition > source.size) {
    throw fail("TRUNCATED", headerSize, `the catalog, ${catalog * 4} bytes at ${headerSize}, leaves the file of ${source.size} bytes`);
  }
  return {
    version,
    subtype,
    size,
    extentSize: extent,
    bitmapSize: inSectors(bitmap),
    catalogPosition: headerSize,
    catalogEntries: Math.ceil(size / extent),
    dataPosition,
  };
}
