import { readBytes, readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex, quote } from "../../util/text.js";
import { checksumOf, type FooterFields, type FoundFooter, findFooter } from "./footer.js";
import {
  CHECKSUM_POSITION,
  DYNAMIC_COOKIE,
  diskTypes,
  dynamicHeader,
  footer as footerLayout,
  LARGEST_GEOMETRY,
  POISONED_COOKIE,
  SECTOR_SIZE,
  VERSION,
} from "./layout.js";

/** Footer and dynamic disk header, checked. */
export interface VhdHeader {
  readonly type: (typeof diskTypes)[keyof typeof diskTypes];
  readonly footer: FooterFields;
  /** Bytes of the virtual disk. */
  readonly size: number;
  /** What `size` was taken from. */
  readonly rule: "current size" | "geometry";
  /** Bytes of the virtual disk by the rule that was not taken. */
  readonly otherSize: number;
  /** Where the data of the disk end in the file at the latest: at the footer, or at the end of the file. */
  readonly dataEnd: number;
  /** Absent for fixed disks. */
  readonly dynamic: DynamicHeader | undefined;
  /** What is wrong, and does not matter for reading. */
  readonly notes: readonly string[];
}

export type DynamicHeader = ReturnType<typeof dynamicHeader.decode> & {
  readonly position: number;
  readonly valid: boolean;
};

type Fail = (code: ErrorCode, position: number, message: string) => ImageError;

/** Reads both structures; throws for everything that makes the whole image unreadable. */
export function readHeader(source: Source): VhdHeader {
  const { footer: found, all } = findFooter(source);
  if (!found) {
    const message = "neither its end nor its beginning holds the footer of a VHD";
    throw new ImageError("WRONG_FORMAT", message, {
      file: source.name,
      position: Math.max(0, source.size - footerLayout.size),
      hint: "If it is one that was split, name its other files with --part, in order.",
    });
  }
  const { fields } = found;
  const at = found.position;
  const fail: Fail = (code, position, message) => new ImageError(code, message, { file: source.name, position });
  const type = typeOf(fields, (code, position, message) => fail(code, at + position, message));
  const current = Number(fields.currentSize);
  if (!Number.isSafeInteger(current))
    throw fail("CORRUPT", at + 48, `the current size of the disk is ${fields.currentSize} bytes, over 2^53`);

  const dataEnd = found.place === "end" ? at : source.size;
  const dynamic = type === diskTypes.fixed ? undefined : readDynamicHeader(source, fields, fail);
  const room = dynamic ? dynamic.maxTableEntries * dynamic.blockSize : Math.max(current, dataEnd);
  const header = { type, footer: fields, ...sizeOf(fields, current, room), dataEnd, dynamic };
  if (dynamic) checkTable(source, dynamic, header.size, fail);
  return { ...header, notes: [...footerNotes(found, all, source.size), ...headerNotes(header)] };
}

function typeOf({ cookie, fileFormatVersion, diskType }: FooterFields, fail: Fail): VhdHeader["type"] {
  if (cookie === POISONED_COOKIE)
    throw fail("UNSUPPORTED", 0, 'the image is marked as unusable ("v_poison"): vhd-util was rebuilding it, and did not end');
  if (fileFormatVersion >>> 16 !== VERSION >>> 16) {
    throw fail(
      "UNSUPPORTED",
      12,
      `VHD version ${fileFormatVersion >>> 16}.${fileFormatVersion & 0xffff} is not known; version 1 is read here`,
    );
  }
  const type = Object.values(diskTypes).find((known) => known === diskType);
  if (type === undefined)
    throw fail("UNSUPPORTED", 60, `the disk type is ${diskType}; 2 (fixed), 3 (dynamic) and 4 (differencing) are known`);
  return type;
}

/** Who goes by the geometry. All others go by the current size: as in block/vpc.c of QEMU 10. */
const byGeometry: readonly string[] = ["vpc ", "qemu"];

/**
 * The size that a guest sees. Virtual PC and old versions of QEMU show what the geometry tells, unless that is the largest there is. `room` is what the file
 * has place for: a geometry that goes beyond it is not what the disk was used with.
 */
function sizeOf(fields: FooterFields, current: number, room: number): Pick<VhdHeader, "size" | "rule" | "otherSize"> {
  const geometry = fields.cylinders * fields.heads * fields.sectors * SECTOR_SIZE;
  const follows = byGeometry.includes(Buffer.from(fields.creatorApplication).toString("latin1"));
  if (follows && geometry > 0 && geometry !== LARGEST_GEOMETRY && geometry <= room) {
    return { size: geometry, rule: "geometry", otherSize: current };
  }
  return { size: current, rule: "current size", otherSize: geometry };
}

function readDynamicHeader(source: Source, { dataOffset }: FooterFields, fail: Fail): DynamicHeader {
  const position = Number(dataOffset);
  if (position + dynamicHeader.size > source.size) {
    throw fail(
      "TRUNCATED",
      Math.min(position, source.size),
      `the dynamic disk header at ${hex(position)} leaves the file of ${source.size} bytes`,
    );
  }
  const fields = readStruct(source, position, dynamicHeader);
  const { cookie, headerVersion, blockSize } = fields;
  if (cookie !== DYNAMIC_COOKIE) {
    throw fail("CORRUPT", position, `the dynamic disk header begins with ${quote(cookie)}, not with ${quote(DYNAMIC_COOKIE)}`);
  }
  if (headerVersion >>> 16 !== VERSION >>> 16) {
    const version = `${headerVersion >>> 16}.${headerVersion & 0xffff}`;
    throw fail("UNSUPPORTED", position + 24, `version ${version} of the dynamic disk header is not known; version 1 is read here`);
  }
  if (blockSize < SECTOR_SIZE || (blockSize & (blockSize - 1)) !== 0) {
    throw fail("CORRUPT", position + 32, `the block size is ${blockSize}, not a power of two from ${SECTOR_SIZE} on`);
  }
  const bytes = readBytes(source, position, dynamicHeader.size);
  return { ...fields, position, valid: checksumOf(bytes, CHECKSUM_POSITION.dynamicHeader) === fields.checksum };
}

function checkTable(source: Source, { position, tableOffset, maxTableEntries, blockSize }: DynamicHeader, size: number, fail: Fail): void {
  const needed = Math.ceil(size / blockSize);
  if (needed > maxTableEntries) {
    throw fail("CORRUPT", position + 28, `${maxTableEntries} blocks of ${blockSize} bytes cannot hold a disk of ${size} bytes`);
  }
  if (tableOffset < position + dynamicHeader.size && tableOffset + needed * 4 > position) {
    throw fail(
      "CORRUPT",
      position + 16,
      `the block allocation table at ${hex(tableOffset)} lies over the dynamic disk header at ${hex(position)}`,
    );
  }
  if (tableOffset + needed * 4 > source.size) {
    const message = `the block allocation table, ${needed * 4} bytes at ${hex(tableOffset)}, leaves the file of ${source.size} bytes`;
    throw fail("TRUNCATED", position + 16, message);
  }
}

function footerNotes(
  { fields, place, position, size, valid }: FoundFooter,
  all: readonly FoundFooter[],
  fileSize: number,
): readonly string[] {
  const notes: string[] = [];
  const behind = fileSize - position - size;
  if (place === "end" && behind > 0)
    notes.push(`Behind its footer are ${behind} bytes of zeros: the file was filled up, or put on something larger.`);
  if (place === "beginning") {
    const lost = all.some((other) => other.place === "end") ? "damaged" : "missing";
    notes.push(
      `Its footer at the end is ${lost}, the copy at the beginning is used: the file may have been cut, or something appended to it.`,
    );
  }
  if (size < footerLayout.size) notes.push("Its footer has 511 bytes, as before Virtual PC 2004.");
  if (!valid) notes.push("The checksum of its footer is wrong: what is told here may be, too.");
  const copy = all.find((other) => other.place === "beginning" && other.valid);
  if (place === "end" && valid && copy && different(fields, copy.fields)) {
    notes.push("Its footer and the copy of it at the beginning differ: the footer is used.");
  }
  return notes;
}

function different(one: FooterFields, other: FooterFields): boolean {
  return (
    (["diskType", "currentSize", "dataOffset"] as const).some((key) => one[key] !== other[key]) ||
    Buffer.compare(one.uniqueId, other.uniqueId) !== 0
  );
}

function headerNotes({ footer, size, rule, otherSize, dataEnd, dynamic }: Omit<VhdHeader, "notes">): readonly string[] {
  const notes: string[] = [];
  if (rule === "geometry" && size !== otherSize) {
    notes.push(
      `Its size is that of its geometry, as with the program that wrote it; the footer also tells a current size of ${otherSize} bytes.`,
    );
  }
  if (dynamic?.valid === false) notes.push("The checksum of its dynamic disk header is wrong: what is told here may be, too.");
  if (!dynamic && dataEnd < size) notes.push(`It is cut: the disk has ${size} bytes, ${dataEnd} are there.`);
  if (!dynamic && dataEnd > size) notes.push(`Between the disk and the footer are ${dataEnd - size} bytes that belong to neither.`);
  if (footer.savedState !== 0) notes.push("It was written while its machine was in a saved state: file systems on it may look unclean.");
  return notes;
}
