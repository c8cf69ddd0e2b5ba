import { readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex, quote } from "../../util/text.js";
import { mapOfTable, noPlace } from "../block-table.js";
import type { Extent, LayerFacts } from "../driver.js";
import { EMPTY_IMAGE, header, IN_USE, MOST_TRACKS, SECTOR, type Signature, signatures, VERSION } from "./layout.js";

/** One expandable image: what is not stored in it is in its parent, which only a bundle names. */
export interface Expandable {
  readonly signature: Signature;
  /** Bytes of the virtual disk. */
  readonly size: number;
  readonly clusterSize: number;
  map(offset: number, length: number): Extent;
  facts(): LayerFacts;
}

export function isExpandable(head: Uint8Array): boolean {
  return signatureOf(Buffer.from(head.subarray(0, 16)).toString("latin1")) !== undefined;
}

function signatureOf(magic: string): Signature | undefined {
  return Object.hasOwn(signatures, magic) ? (magic as Signature) : undefined;
}

/** Reads the header; throws for everything that makes the whole image unreadable. */
export function openExpandable(source: Source): Expandable {
  const fields = readStruct(source, 0, header);
  const { magic, version, tracks, batEntries } = fields;
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  const signature = signatureOf(magic);
  if (!signature) throw fail("WRONG_FORMAT", 0, `the signature is ${quote(magic)}, which no Parallels image has`);
  if (version !== VERSION) throw fail("UNSUPPORTED", 16, `the version is ${version}; version ${VERSION} is read here`);
  if (tracks === 0 || tracks > MOST_TRACKS) throw fail("CORRUPT", 28, `a cluster has ${tracks} sectors; 1 to ${MOST_TRACKS} are possible`);

  const sectors = fields.sectorsLow + (signature === "WithoutFreeSpace" ? 0 : fields.sectorsHigh * 2 ** 32);
  const size = sectors * SECTOR;
  if (!Number.isSafeInteger(size)) throw fail("CORRUPT", 36, `the disk of ${sectors} sectors is over 2^53 bytes`);
  const needed = Math.ceil(sectors / tracks);
  if (batEntries < needed) {
    throw fail("CORRUPT", 32, `the block allocation table has ${batEntries} entries, the disk of ${size} bytes needs ${needed}`);
  }
  const tableEnd = header.size + batEntries * 4;
  if (tableEnd > source.size) {
    const message = `the block allocation table, ${batEntries * 4} bytes at ${hex(header.size)}, leaves the file of ${source.size} bytes`;
    throw fail("TRUNCATED", header.size, message);
  }

  const clusterSize = tracks * SECTOR;
  return {
    signature,
    size,
    clusterSize,
    map: createMap(source, { signature, size, clusterSize, tableEnd, empty: (fields.flags & EMPTY_IMAGE) !== 0 }),
    facts: () => ({
      variant: signature,
      details: {
        "cluster size": clusterSize,
        ...(fields.heads > 0 && { heads: fields.heads, cylinders: fields.cylinders }),
        ...((fields.extensionLow > 0 || fields.extensionHigh > 0) && { "format extension": true }),
      },
      notes: fields.inUse === IN_USE ? ["It is in use, or was not closed properly: what was being written then may be missing."] : [],
    }),
  };
}

interface Shape {
  readonly signature: Signature;
  readonly size: number;
  readonly clusterSize: number;
  readonly tableEnd: number;
  /** Whether the header says that nothing is stored. */
  readonly empty: boolean;
}

/** The data offset of the header is not looked at: programs have written wrong ones, and no cluster is found by it. */
function createMap(source: Source, { signature, size, clusterSize, tableEnd, empty }: Shape): (offset: number, length: number) => Extent {
  const unit = signatures[signature] === "clusters" ? clusterSize : SECTOR;
  return mapOfTable({
    source,
    name: "block allocation table",
    position: header.size,
    order: "little",
    blockSize: clusterSize,
    size,
    place(entry) {
      if (entry === 0) return noPlace.parent;
      const position = entry * unit;
      return position < tableEnd || empty ? noPlace.broken : position;
    },
    problem: (entry) =>
      empty ? "a cluster, although the image is marked as empty," : `a cluster at ${hex(entry * unit)}, which is in the table itself,`,
  });
}
