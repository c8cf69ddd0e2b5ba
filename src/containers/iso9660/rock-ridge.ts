// RRIP (IEEE P1282, Rock Ridge): names, modes, owners, links, device numbers and times in System Use entries. Versions 1.09 to 1.12.
import type { Source } from "../../source/source.js";
import { decodeText } from "../../util/decode-text.js";
import { type DirectoryRecord, timeOf, zoneOf } from "./record.js";
import { CONTINUATION_LIMIT, continuation } from "./susp.js";

/** What the entries of one record say; undefined is what they do not. Always of one shape: there may be hundreds of thousands. */
export interface RockRidge {
  name: string | undefined;
  /** All of st_mode. */
  mode: number | undefined;
  links: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
  modified: number | undefined;
  target: string | undefined;
  device: { readonly major: number; readonly minor: number } | undefined;
  /** CL: this stands for a directory, whose "." is at this logical block. */
  childBlock: number | undefined;
  /** RE: this directory was moved here from elsewhere and does not belong here. */
  relocated: boolean;
  /** ZF, and Z2 where Linux is not to see it: the file is stored packed. */
  packed: PackedFile | undefined;
  /** SF: the file is stored in pieces that tables of its own describe; its bytes with the holes. */
  sparse: number | undefined;
}

/** The "ZF" entry: zisofs, version 1 ("pz") or 2 ("PZ" and others). */
export interface PackedFile {
  readonly algorithm: string;
  readonly headerSize: number;
  /** Bytes of a block once decoded. */
  readonly blockSize: number;
  /** Bytes of the file once decoded. */
  readonly size: number;
}

/** RRIP 4.1.4: NM flags. CURRENT and PARENT name "." and "..", which say nothing new. */
const nameFlags = { goesOn: 1, current: 2, parent: 4 } as const;

/** The two letters that entries begin with. */
const entries = {
  CE: 0x4345,
  CL: 0x434c,
  NM: 0x4e4d,
  PN: 0x504e,
  PX: 0x5058,
  RE: 0x5245,
  SF: 0x5346,
  SL: 0x534c,
  ST: 0x5354,
  TF: 0x5446,
  Z2: 0x5a32,
  ZF: 0x5a46,
} as const;

/** How the System Use fields of a volume are to be read. */
export interface SystemUse {
  readonly disk: Source;
  /** Bytes of each field that are left out. */
  readonly skip: number;
  /** Bytes of a logical block. */
  readonly blockSize: number;
}

/** What a record says that has no such entries. */
export function noRockRidge(): RockRidge {
  return {
    name: undefined,
    mode: undefined,
    links: undefined,
    uid: undefined,
    gid: undefined,
    modified: undefined,
    target: undefined,
    device: undefined,
    childBlock: undefined,
    relocated: false,
    packed: undefined,
    sparse: undefined,
  };
}

/** What the System Use field of `record` says, its continuation areas included. Rubbish ends it. */
export function readRockRidge({ disk, skip, blockSize }: SystemUse, record: DirectoryRecord): RockRidge {
  const found = noRockRidge();
  const parts: Parts = { name: undefined, nameStart: 0, nameEnd: 0, link: undefined };
  let area = record.content;
  let at = record.useStart + skip;
  let end = record.useEnd;
  for (let round = 0; round <= CONTINUATION_LIMIT; round += 1) {
    let next: Buffer | undefined;
    while (at + 4 <= end) {
      const length = area[at + 2] ?? 0;
      if (length < 4 || at + length > end) break;
      const name = ((area[at] ?? 0) << 8) | (area[at + 1] ?? 0);
      if (name === entries.ST) break;
      if (name === entries.CE && length >= 28) next = continuation(disk, area, at + 4, blockSize);
      else takeEntry(found, parts, name, area, at + 4, at + length);
      at += length;
    }
    if (!next) break;
    area = next;
    at = 0;
    end = next.length;
  }
  if (parts.name) found.name = decodeText(parts.name, parts.nameStart, parts.nameEnd);
  found.target = parts.link?.target();
  return found;
}

/** What may be said in several entries. */
interface Parts {
  /** The name, from `nameStart` to `nameEnd` of this. */
  name: Buffer | undefined;
  nameStart: number;
  nameEnd: number;
  link: Link | undefined;
}

/** One entry: what follows its name, length and version, from `start` to `end` of `area`. */
function takeEntry(found: RockRidge, parts: Parts, name: number, area: Buffer, start: number, end: number): void {
  const size = end - start;
  if (name === entries.NM) takeName(parts, area, start, end);
  else if (name === entries.PX && size >= 32) readPosix(found, area, start);
  else if (name === entries.TF) found.modified = modifiedOf(area, start, end) ?? found.modified;
  else if (name === entries.SL) (parts.link ??= createLink()).add(area.subarray(start, end));
  else if (name === entries.PN && size >= 16) found.device = deviceOf(area.readUInt32LE(start), area.readUInt32LE(start + 8));
  else if (name === entries.CL && size >= 8) found.childBlock = area.readUInt32LE(start);
  else if (name === entries.RE) found.relocated = true;
  else if ((name === entries.ZF || name === entries.Z2) && size >= 12) found.packed = packedOf(area.subarray(start, end));
  else if (name === entries.SF && size >= 8) found.sparse = sparseSize(area, start, size);
}

/** 4.1.4. A name may go on in the next entry; hardly any does. */
function takeName(parts: Parts, area: Buffer, start: number, end: number): void {
  if (((area[start] ?? 0) & (nameFlags.current | nameFlags.parent)) !== 0) return;
  const { name } = parts;
  parts.name = name ? Buffer.concat([name.subarray(parts.nameStart, parts.nameEnd), area.subarray(start + 1, end)]) : area;
  parts.nameStart = name ? 0 : start + 1;
  parts.nameEnd = name ? parts.name.length : end;
}

/** 4.1.1: mode, links, user, group, each in both byte orders. */
function readPosix(found: RockRidge, content: Buffer, at: number): void {
  found.mode = content.readUInt32LE(at);
  found.links = content.readUInt32LE(at + 8);
  found.uid = content.readUInt32LE(at + 16);
  found.gid = content.readUInt32LE(at + 24);
}

/** 4.1.2: the number may be in two halves, or whole in the lower one, where it is the dev_t of Linux: 12 bits of major number among 20 of minor. */
function deviceOf(high: number, low: number): { major: number; minor: number } {
  if (high !== 0 || low <= 0xff) return { major: high, minor: low };
  return { major: (low >>> 8) & 0xfff, minor: (low & 0xff) | ((low >>> 12) & 0xfff00) };
}

/** 4.1.6: which times are there, in this order: creation, modification, … Long stamps have 17 bytes, short ones 7. */
function modifiedOf(content: Buffer, start: number, end: number): number | undefined {
  const flags = content[start] ?? 0;
  if ((flags & 2) === 0) return undefined;
  const size = (flags & 0x80) === 0 ? 7 : 17;
  const at = start + 1 + (flags & 1 ? size : 0);
  if (at + size > end) return undefined;
  return size === 7 ? timeOf(content, at, true) : longTime(content.subarray(at, at + size));
}

/** ECMA-119, 8.4.26.1: 16 digits down to hundredths of a second, then the offset from GMT in quarters of an hour. */
function longTime(stamp: Buffer): number | undefined {
  const digits = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(stamp.toString("latin1", 0, 16));
  if (!digits) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, hundredth = 0] = digits.slice(1).map(Number);
  if (month === 0) return undefined;
  return Date.UTC(year, month - 1, day, hour, minute, second, hundredth * 10) - zoneOf(stamp.readUInt8(16));
}

interface Link {
  add(data: Buffer): void;
  target(): string;
}

/** 4.1.3: components, each with flags; a component, and the list of them, may go on in the next. */
function createLink(): Link {
  const parts: string[] = [];
  let open: Buffer[] = [];
  const end = () => {
    // genisoimage ends links that it cannot store with an empty component.
    if (open.some(({ length }) => length > 0)) parts.push(decodeText(Buffer.concat(open)));
    open = [];
  };
  return {
    add(data) {
      for (let at = 1; at + 2 <= data.length; ) {
        const flags = data[at] ?? 0;
        const length = data[at + 1] ?? 0;
        const content = data.subarray(at + 2, at + 2 + length);
        at += 2 + length;
        if (flags & 2) parts.push(".");
        else if (flags & 4) parts.push("..");
        else if (flags & 8) parts.push("");
        else {
          open.push(content);
          if (!(flags & 1)) end();
        }
      }
    },
    target() {
      end();
      return parts.length === 1 && parts[0] === "" ? "/" : parts.join("/").replaceAll("\0", "");
    },
  };
}

/** 4.1.7: bytes of the file with its holes, in 32 bits up to version 1.10; in 1.12 in two halves, the high one first, before the depth of its tables. */
function sparseSize(area: Buffer, start: number, size: number): number {
  const first = area.readUInt32LE(start);
  return size >= 17 ? first * 2 ** 32 + area.readUInt32LE(start + 8) : first;
}

/** Algorithm (2 letters), header size / 4, log2 of the block size, decoded size: in both byte orders in version 1, whose algorithm is "pz", else 64 bits. */
function packedOf(data: Buffer): PackedFile {
  const algorithm = data.toString("latin1", 0, 2);
  return {
    algorithm,
    headerSize: (data[2] ?? 0) * 4,
    blockSize: 2 ** (data[3] ?? 0),
    size: algorithm === "pz" ? data.readUInt32LE(4) : Number(data.readBigUInt64LE(4)),
  };
}
