// Where the members of a ZIP archive are told of: its central directory, which stands at its end.
import { crc32 } from "node:zlib";
import { readBytes, type Source } from "../../source/source.js";
import { createWindow } from "../../source/window.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { decodeText } from "../../util/decode-text.js";
import {
  CENTRAL,
  centralHeader,
  END,
  END64,
  endRecord,
  endRecord64,
  extras,
  flags,
  LOCAL,
  LOCATOR,
  localHeader,
  locator64,
  STORED,
} from "./layout.js";

/** One thing in an archive. */
export interface Entry {
  readonly name: string;
  /** Of its own header in the directory: what it is known by. */
  readonly position: number;
  /** Of its local header. */
  readonly start: number;
  readonly flags: number;
  readonly method: number;
  readonly crc32: number;
  /** Bytes, stored and decoded. */
  readonly packedSize: number;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number | undefined;
  readonly nanoseconds?: number;
  /** All of st_mode, where the archive has it. */
  readonly mode: number | undefined;
  readonly isDirectory: boolean;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

export interface Directory {
  readonly entries: readonly Entry[];
  /** Where it begins: behind all members. */
  readonly start: number;
  readonly isZip64: boolean;
}

/** A comment of 64 KiB may follow the last record. */
const TAIL = endRecord.size + 0xffff;

/** More members than that are no disk image's container. */
const ENTRY_LIMIT = 4_000_000;

const ALL_ONES = 0xffffffff;

interface End {
  readonly position: number;
  readonly size: number;
  readonly count: number;
  /** Bytes in front of the archive that its positions do not count, as of programs that unpack themselves. */
  readonly shift: number;
  readonly isZip64: boolean;
}

/** Whether `disk` begins like an archive and ends like one. */
export function isZip(disk: Source): boolean {
  if (disk.size < endRecord.size) return false;
  const head = readBytes(disk, 0, 4).toString("latin1");
  // Some begin with a mark of archives in several files, of which they are the only one (8.5.3).
  return [LOCAL, END, "PK00", "PK\x07\x08"].includes(head) && endPosition(disk) !== undefined;
}

/** Throws `CORRUPT` for a directory that cannot be read, `UNSUPPORTED` for an archive in several files. */
export function readDirectory(disk: Source): Directory {
  const end = readEnd(disk);
  const read = createWindow(disk, 256 * 1024);
  const entries: Entry[] = [];
  const start = end.position + end.shift;
  const limit = start + end.size;
  for (let at = start; at + centralHeader.size <= limit; ) {
    const fields = centralHeader.decode(read(at, centralHeader.size));
    const { nameLength, extraLength, commentLength } = fields;
    if (fields.signature !== CENTRAL) break;
    if (entries.length >= ENTRY_LIMIT) throw new ImageError("UNSUPPORTED", `it has more than ${ENTRY_LIMIT} members`, { file: disk.name });
    const next = at + centralHeader.size + nameLength + extraLength + commentLength;
    if (next > limit) throw damaged(disk, `the header of member ${entries.length + 1} leaves its directory`, at);
    const names = Buffer.from(read(at + centralHeader.size, nameLength + extraLength));
    entries.push(entryOf(fields, names.subarray(0, nameLength), names.subarray(nameLength), at, end.shift));
    at = next;
  }
  // Old programs count modulo 2^16.
  if (entries.length !== end.count && (end.isZip64 || entries.length % 0x10000 !== end.count)) {
    throw damaged(disk, `its directory has ${entries.length} members, and ${end.count} are to be there`, start);
  }
  return { entries: end.isZip64 || start < WRAP ? entries : unwrapped(disk, entries, start), start, isZip64: end.isZip64 };
}

/** Fields of 32 bits count modulo this. */
export const WRAP = 2 ** 32;

/**
 * The Archive Utility of macOS has no zip64: what is 4 GiB or more is counted modulo that. Members stand in the order of the directory, one behind the other,
 * which tells all but the decoded size of those that are compressed.
 */
function unwrapped(disk: Source, entries: readonly Entry[], end: number): readonly Entry[] {
  let before = 0;
  const starts = entries.map(({ start }) => {
    let place = start + Math.ceil(Math.max(0, before - start) / WRAP) * WRAP;
    while (place + WRAP < end && !isLocal(disk, place)) place += WRAP;
    before = place;
    return place;
  });
  return entries.map((entry, index) => {
    const start = starts[index] ?? 0;
    const room = (starts[index + 1] ?? end) - start - localHeader.size;
    const packedSize = entry.packedSize + Math.floor(Math.max(0, room - entry.packedSize) / WRAP) * WRAP;
    return { ...entry, start, packedSize, size: entry.method === STORED ? packedSize : entry.size };
  });
}

function endPosition(disk: Source): number | undefined {
  const first = Math.max(0, disk.size - TAIL);
  const tail = readBytes(disk, first, disk.size - first);
  let found: number | undefined;
  // The last one whose comment ends with the file; else, where something was appended, the last one.
  for (
    let at = tail.lastIndexOf(END, tail.length - endRecord.size, "latin1");
    at >= 0;
    at = at === 0 ? -1 : tail.lastIndexOf(END, at - 1, "latin1")
  ) {
    if (at + endRecord.size + tail.readUInt16LE(at + 20) === tail.length) return first + at;
    found ??= first + at;
  }
  return found;
}

function readEnd(disk: Source): End {
  const at = endPosition(disk);
  if (at === undefined) throw damaged(disk, "it has no directory at its end: it is cut", disk.size);
  const fields = endRecord.decode(readBytes(disk, at, endRecord.size));
  const wide = readEnd64(disk, at);
  const { count, size, position } = wide ?? fields;
  const disks = wide ? wide.directoryDisk + wide.disk : fields.directoryDisk + (fields.disk === 0xffff ? 0 : fields.disk);
  if (disks > 0) {
    throw new ImageError("UNSUPPORTED", "it is the last part of a ZIP archive in several files", {
      file: disk.name,
      hint: "Join them first, such as with: zip -s 0 FILE.zip --out whole.zip",
    });
  }
  const shift = (wide?.at ?? at) - size - position;
  if (size + position > disk.size || shift < 0 || size < count * centralHeader.size) {
    throw damaged(disk, `its directory, ${size} bytes at ${hex(position)}, cannot be: the file may be cut, or joined wrongly`, at);
  }
  // What stands between the directory and its end, such as a signature, is no shift.
  if (isCentral(disk, position)) return { count, size, position, shift: 0, isZip64: wide !== undefined };
  const isWrapped = !wide && shift % WRAP === 0 && isLocal(disk, 0);
  return isWrapped
    ? { count, size, position: position + shift, shift: 0, isZip64: false }
    : { count, size, position, shift, isZip64: wide !== undefined };
}

function isCentral(disk: Source, position: number): boolean {
  return position + 4 <= disk.size && readBytes(disk, position, 4).toString("latin1") === CENTRAL;
}

function isLocal(disk: Source, position: number): boolean {
  return position + 4 <= disk.size && readBytes(disk, position, 4).toString("latin1") === LOCAL;
}

function readEnd64(disk: Source, end: number): (ReturnType<typeof endRecord64.decode> & { readonly at: number }) | undefined {
  const at = end - locator64.size;
  if (at < 0) return undefined;
  const content = readBytes(disk, at, locator64.size);
  if (content.toString("latin1", 0, 4) !== LOCATOR) return undefined;
  const { position } = locator64.decode(content);
  // It stands right in front, unless it is longer; the position it tells may lack what stands in front of the archive.
  for (const place of [position, at - endRecord64.size]) {
    if (place < 0 || place + endRecord64.size > at) continue;
    const record = readBytes(disk, place, endRecord64.size);
    if (record.toString("latin1", 0, 4) === END64) return { ...endRecord64.decode(record), at: place };
  }
  throw damaged(disk, "the end of its directory (zip64) is not where it should be", at);
}

function entryOf(fields: ReturnType<typeof centralHeader.decode>, name: Buffer, extra: Buffer, position: number, shift: number): Entry {
  const found = readExtras(extra, fields);
  const host = fields.madeBy >>> 8;
  const text = nameOf(name, fields.flags, found.unicode, host);
  const isUnix = host === 3 || host === 19;
  const mode = isUnix && fields.attributes >>> 16 !== 0 ? fields.attributes >>> 16 : undefined;
  return {
    name: text,
    position,
    start: found.position + shift,
    flags: fields.flags,
    method: fields.method,
    crc32: fields.crc32,
    packedSize: found.packedSize,
    size: found.size,
    modified: dosTime(fields.date, fields.time),
    ...timeOf(found),
    mode,
    // Bit 4 is the directory's of DOS, which everybody sets.
    isDirectory: text.endsWith("/") || (found.size === 0 && (fields.attributes & 0x10) !== 0),
    uid: found.uid,
    gid: found.gid,
  };
}

interface Extras {
  size: number;
  packedSize: number;
  position: number;
  /** Whole seconds, as milliseconds. */
  modified?: number;
  /** Units of 100 ns since 1601. */
  ticks?: bigint;
  uid?: number;
  gid?: number;
  unicode?: { readonly crc: number; readonly name: Buffer };
}

/** 4.5.3 and what Info-ZIP and Microsoft put there. */
function readExtras(extra: Buffer, fields: ReturnType<typeof centralHeader.decode>): Extras {
  const found: Extras = { size: fields.size, packedSize: fields.packedSize, position: fields.position };
  for (let at = 0; at + 4 <= extra.length; ) {
    const id = extra.readUInt16LE(at);
    const data = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
    at += 4 + extra.readUInt16LE(at + 2);
    if (id === extras.zip64) readWide(data, found);
    else if (id === extras.times && data.length >= 5 && ((data[0] ?? 0) & 1) !== 0) found.modified = data.readInt32LE(1) * 1000;
    else if (id === extras.ntfs && data.length >= 16 && data.readUInt16LE(4) === 1) {
      found.ticks = data.readBigUInt64LE(8);
    } else if (id === extras.ids) readIds(data, found);
    else if (id === extras.unicodePath && data.length > 5 && data[0] === 1)
      found.unicode = { crc: data.readUInt32LE(1), name: data.subarray(5) };
  }
  return found;
}

/** The time of a Unix, and what NTFS has of the same second; that of NTFS alone; or nothing. */
function timeOf({ modified, ticks }: Extras): Pick<Entry, "modified" | "nanoseconds"> | undefined {
  if (ticks !== undefined) {
    const exact = { modified: Number(ticks / 10_000n) - 11_644_473_600_000, nanoseconds: Number(ticks % 10_000_000n) * 100 };
    if (modified === undefined || modified === Math.floor(exact.modified / 1000) * 1000) return exact;
  }
  return modified === undefined ? undefined : { modified };
}

/** Those of the three that are all ones in the header, in this order. */
function readWide(data: Buffer, found: Extras): void {
  let at = 0;
  for (const field of ["size", "packedSize", "position"] as const) {
    if (found[field] !== ALL_ONES || at + 8 > data.length) continue;
    found[field] = Number(data.readBigUInt64LE(at));
    at += 8;
  }
}

/** Version 1: the size of a number, and the number, twice. */
function readIds(data: Buffer, found: Extras): void {
  const uidSize = data[1] ?? 0;
  const gidSize = data[2 + uidSize] ?? 0;
  if (data[0] !== 1 || 3 + uidSize + gidSize > data.length) return;
  if (uidSize >= 1 && uidSize <= 4) found.uid = data.readUIntLE(2, uidSize);
  if (gidSize >= 1 && gidSize <= 4) found.gid = data.readUIntLE(3 + uidSize, gidSize);
}

function nameOf(name: Buffer, flagBits: number, unicode: Extras["unicode"], host: number): string {
  const known = unicode && unicode.crc === crc32(name) ? unicode.name : undefined;
  const text = known || (flagBits & flags.utf8) !== 0 ? decodeText(known ?? name) : decodeOldName(name);
  // Older .NET writes what Windows has between names.
  return host === 0 && !text.includes("/") ? text.replaceAll("\\", "/") : text;
}

/** UTF-8 where it is that, as many programs write it without saying so; else the code page 437 that DOS had (appendix D). */
function decodeOldName(name: Buffer): string {
  try {
    return strict.decode(name);
  } catch {
    return Array.from(name, (byte) => (byte < 0x80 ? String.fromCharCode(byte) : (codePage437[byte - 0x80] ?? "_"))).join("");
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const codePage437 =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

/** 4.4.6: of a clock whose zone nobody knows; taken as UTC. */
function dosTime(date: number, time: number): number | undefined {
  const [month, day] = [(date >>> 5) & 15, date & 31];
  if (month === 0 || day === 0) return undefined;
  return Date.UTC(1980 + (date >>> 9), month - 1, day, time >>> 11, (time >>> 5) & 63, (time & 31) * 2);
}

export function damaged(disk: Source, message: string, position: number): ImageError {
  return new ImageError("CORRUPT", message, { file: disk.name, position });
}
