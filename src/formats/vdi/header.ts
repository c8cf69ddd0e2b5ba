import { readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { mixedGuid } from "../../util/guid.js";
import { hex } from "../../util/text.js";
import { header0, header1, header1plus, headerSizes, KNOWN_FLAGS, MAGIC, preHeader, types } from "./layout.js";

export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

/** The header of all versions in one shape, checked. UUIDs are lower-case text, undefined where they are null. */
export interface VdiHeader {
  /** `1.1`, or `1.1 plus` where the header has room for the geometry of the BIOS. */
  readonly version: string;
  readonly type: (typeof types)[keyof typeof types];
  readonly comment: string;
  /** Bytes of the virtual disk; not always a multiple of a sector. */
  readonly size: number;
  readonly tablePosition: number;
  readonly dataPosition: number;
  readonly blockSize: number;
  /** Bytes before the data of every block. */
  readonly blockExtra: number;
  readonly blocksAllocated: number;
  readonly id: string | undefined;
  readonly modification: string | undefined;
  readonly parentId: string | undefined;
  /** What `modification` of the parent was when this image was made. */
  readonly parentModification: string | undefined;
  readonly geometry: Geometry | undefined;
}

type Fail = (code: ErrorCode, position: number, message: string) => ImageError;
/** What the two structures have in common, and where the fields that may be wrong are. */
type Fields = Omit<ReturnType<typeof header1.decode>, "headerSize" | "sectorSize"> & {
  readonly positions: Positions;
  /** As the BIOS tells it; only where the header has room for it. */
  readonly lchs?: Geometry;
};
interface Positions {
  readonly type: number;
  readonly flags: number;
  readonly blockSize: number;
  readonly blockCount: number;
}

/** Reads the header; throws for everything that makes the whole image unreadable. */
export function readHeader(source: Source): VdiHeader {
  const fail: Fail = (code, position, message) => new ImageError(code, message, { file: source.name, position });
  const { signature, version } = readStruct(source, 0, preHeader);
  if (signature !== MAGIC) throw fail("WRONG_FORMAT", 64, `the signature is ${hex(signature)}, not ${hex(MAGIC)}`);
  const major = version >>> 16;
  if (major > 1) throw fail("UNSUPPORTED", 68, `VDI version ${major}.${version & 0xffff} is not known; versions 0 and 1 are read here`);

  const fields = major === 0 ? readVersion0(source) : readVersion1(source, fail);
  const { positions, diskSize, blockSize, blockCount, tablePosition } = fields;
  const type = Object.values(types).find((known) => known === fields.type);
  if (type === undefined) throw fail("UNSUPPORTED", positions.type, `the image type is ${fields.type}; types 1 to 4 are known`);
  const unknown = (fields.flags & ~KNOWN_FLAGS) >>> 0;
  if (unknown !== 0) throw fail("UNSUPPORTED", positions.flags, `the image has the flags ${hex(unknown)}, which are not known`);
  if (blockSize < 512 || (blockSize & (blockSize - 1)) !== 0) {
    throw fail("CORRUPT", positions.blockSize, `the block size is ${blockSize}, not a power of two from 512 on`);
  }
  if (blockCount * blockSize < diskSize) {
    const message = `${blockCount} blocks of ${blockSize} bytes cannot hold a disk of ${diskSize} bytes`;
    throw fail("CORRUPT", positions.blockCount, message);
  }
  if (tablePosition + blockCount * 4 > source.size) {
    const message = `the block map, ${blockCount * 4} bytes at ${hex(tablePosition)}, leaves the file of ${source.size} bytes`;
    throw fail("TRUNCATED", tablePosition, message);
  }

  const geometries = [fields.lchs ?? fields, fields];
  return {
    version: `${major}.${version & 0xffff}${fields.lchs ? " plus" : ""}`,
    type,
    comment: Buffer.from(fields.comment, "latin1").toString("utf8"),
    size: diskSize,
    tablePosition,
    dataPosition: fields.dataPosition,
    blockSize,
    blockExtra: fields.blockExtra,
    blocksAllocated: fields.blocksAllocated,
    id: uuid(fields.id),
    modification: uuid(fields.modification),
    parentId: uuid(fields.parentId),
    parentModification: uuid(fields.parentModification),
    geometry: geometries.find(({ cylinders, heads, sectors }) => cylinders * heads * sectors > 0),
  };
}

function readVersion0(source: Source): Fields {
  const fields = readStruct(source, 0, header0);
  return {
    ...fields,
    tablePosition: header0.size,
    dataPosition: header0.size + fields.blockCount * 4,
    blockExtra: 0,
    parentModification: new Uint8Array(16),
    positions: { type: 72, flags: 76, blockSize: 360, blockCount: 364 },
  };
}

function readVersion1(source: Source, fail: Fail): Fields {
  const fields = readStruct(source, 0, header1);
  const { headerSize, tablePosition, dataPosition, blockCount } = fields;
  if (headerSize < headerSizes.v1) throw fail("CORRUPT", 72, `the header has ${headerSize} bytes; ${headerSizes.v1} are the least`);
  if (tablePosition < header1.size) throw fail("CORRUPT", 340, `the block map at ${hex(tablePosition)} begins inside the header`);
  if (dataPosition < tablePosition + blockCount * 4) {
    const message = `the data at ${hex(dataPosition)} begin before the end of the block map, ${blockCount * 4} bytes at ${hex(tablePosition)}`;
    throw fail("CORRUPT", 344, message);
  }
  return {
    ...fields,
    positions: { type: 76, flags: 80, blockSize: 376, blockCount: 384 },
    ...(headerSize >= headerSizes.v1plus && { lchs: readStruct(source, 0, header1plus) }),
  };
}

/** As VirtualBox prints it: the first three groups are stored little-endian, on every system. */
function uuid(bytes: Uint8Array): string | undefined {
  return bytes.every((byte) => byte === 0) ? undefined : mixedGuid(bytes).toLowerCase();
}
