// RRIP (IEEE P1282, Rock Ridge): names, modes, owners, links, device numbers and times in System Use entries. Versions 1.09 to 1.12.
import { decodeText } from "../text.js";
import { timeOf } from "./record.js";
import type { SystemUseEntry } from "./susp.js";

/** What the entries of one record say; absent is what they do not. */
export interface RockRidge {
  name?: string;
  /** All of st_mode. */
  mode?: number;
  links?: number;
  uid?: number;
  gid?: number;
  modified?: number;
  target?: string;
  device?: { major: number; minor: number };
  /** CL: this stands for a directory, whose "." is at this logical block. */
  childBlock?: number;
  /** RE: this directory was moved here from elsewhere and does not belong here. */
  relocated?: boolean;
  /** ZF, and Z2 where Linux is not to see it: the file is stored packed. */
  packed?: PackedFile;
  /** SF: the file is stored in pieces that tables of its own describe. */
  sparse?: boolean;
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

export function readRockRidge(entries: Iterable<SystemUseEntry>): RockRidge {
  const found: RockRidge = {};
  const name: Buffer[] = [];
  const link = createLink();
  for (const { name: entry, data } of entries) {
    if (entry === "NM" && ((data[0] ?? 0) & (nameFlags.current | nameFlags.parent)) === 0) name.push(data.subarray(1));
    else if (entry === "PX" && data.length >= 32) readPosix(found, data);
    else if (entry === "PN" && data.length >= 16) found.device = deviceOf(data.readUInt32LE(0), data.readUInt32LE(8));
    else if (entry === "SL") link.add(data);
    else if (entry === "TF") readTimes(found, data);
    else if (entry === "CL" && data.length >= 8) found.childBlock = data.readUInt32LE(0);
    else if (entry === "RE") found.relocated = true;
    else if ((entry === "ZF" || entry === "Z2") && data.length >= 12) found.packed = packedOf(data);
    else if (entry === "SF") found.sparse = true;
  }
  if (name.length > 0) found.name = decodeText(Buffer.concat(name));
  const target = link.target();
  if (target !== undefined) found.target = target;
  return found;
}

/** 4.1.1: mode, links, user, group, each in both byte orders. */
function readPosix(found: RockRidge, data: Buffer): void {
  found.mode = data.readUInt32LE(0);
  found.links = data.readUInt32LE(8);
  found.uid = data.readUInt32LE(16);
  found.gid = data.readUInt32LE(24);
}

/** 4.1.2: the number may be in two halves, or whole in the lower one, where it is the packed dev_t of old Unixes. */
function deviceOf(high: number, low: number): { major: number; minor: number } {
  return high === 0 && low > 0xff ? { major: low >>> 8, minor: low & 0xff } : { major: high, minor: low };
}

/** 4.1.6: which times are there, in this order: creation, modification, … Long stamps have 17 bytes, short ones 7. */
function readTimes(found: RockRidge, data: Buffer): void {
  const flags = data[0] ?? 0;
  if ((flags & 2) === 0) return;
  const size = (flags & 0x80) === 0 ? 7 : 17;
  const at = 1 + (flags & 1 ? size : 0);
  const stamp = data.subarray(at, at + size);
  if (stamp.length < size) return;
  const time = size === 7 ? timeOf(stamp, true) : longTime(stamp);
  if (time !== undefined) found.modified = time;
}

/** ECMA-119, 8.4.26.1: 16 digits down to hundredths of a second, then the offset from GMT in quarters of an hour. */
function longTime(stamp: Buffer): number | undefined {
  const digits = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(stamp.toString("latin1", 0, 16));
  if (!digits) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, hundredth = 0] = digits.slice(1).map(Number);
  if (month === 0) return undefined;
  return Date.UTC(year, month - 1, day, hour, minute, second, hundredth * 10) - stamp.readInt8(16) * 15 * 60_000;
}

/** 4.1.3: components, each with flags; a component, and the list of them, may go on in the next. */
function createLink(): { add(data: Buffer): void; target(): string | undefined } {
  const parts: string[] = [];
  let open: Buffer[] = [];
  let seen = false;
  const end = () => {
    // genisoimage ends links that it cannot store with an empty component.
    if (open.some(({ length }) => length > 0)) parts.push(decodeText(Buffer.concat(open)));
    open = [];
  };
  return {
    add(data) {
      seen = true;
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
      if (!seen) return undefined;
      return parts.length === 1 && parts[0] === "" ? "/" : parts.join("/").replaceAll("\0", "");
    },
  };
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
