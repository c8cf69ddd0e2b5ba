// tar headers: POSIX ustar and pax (POSIX.1-2001), GNU and old V7. Reference: the GNU tar manual, "Basic Tar Format" and "Sparse Formats".
import { decodeText } from "../util/decode-text.js";

export const BLOCK = 512;

/** Type flags. */
export const types = {
  file: "0",
  oldFile: "\0",
  hardLink: "1",
  symlink: "2",
  characterDevice: "3",
  blockDevice: "4",
  directory: "5",
  fifo: "6",
  contiguous: "7",
  paxNext: "x",
  /** The same, as Solaris wrote it before POSIX did. */
  paxSolaris: "X",
  paxGlobal: "g",
  longName: "L",
  longLink: "K",
  gnuSparse: "S",
  /** Of Solaris: an access control list, and no file. */
  accessList: "A",
  /** GNU: a directory, whose data is a list of what it held. */
  dumpDirectory: "D",
  volumeLabel: "V",
  multiVolume: "M",
} as const;

export interface TarHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes stored behind the header. */
  readonly size: number;
  /** Milliseconds since 1970; below 0 before. */
  readonly modified: number;
  readonly type: string;
  readonly link: string;
  readonly device: { readonly major: number; readonly minor: number };
}

/** The header in `block`, which has 512 bytes; undefined if its checksum is wrong, or its size one that no file has. */
export function decodeHeader(block: Buffer): TarHeader | undefined {
  if (!hasChecksum(block) || !isNumber(block, 124, 12)) return undefined;
  const size = numberAt(block, 124, 12);
  if (!Number.isSafeInteger(size) || size < 0) return undefined;
  const ustar = block.toString("latin1", 257, 262) === "ustar";
  // GNU writes blanks behind the magic and keeps other things where the prefix would be.
  const prefix = ustar && block[262] === 0 ? textAt(block, 345, 155) : "";
  const name = textAt(block, 0, 100);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    mode: numberAt(block, 100, 8),
    uid: idOf(numberAt(block, 108, 8)),
    gid: idOf(numberAt(block, 116, 8)),
    size,
    modified: within(numberAt(block, 136, 12) * 1000),
    type: String.fromCharCode(block[156] ?? 0),
    link: textAt(block, 157, 100),
    device: ustar ? { major: numberAt(block, 329, 8), minor: numberAt(block, 337, 8) } : { major: 0, minor: 0 },
  };
}

/** Whoever owns what has an owner that no system knows (POSIX: nobody). */
const NOBODY = 65_534;

/** An owner's number, as far as it can be one: 32 bits. */
export function idOf(number: number): number {
  return Number.isInteger(number) && number >= 0 && number < 2 ** 32 ? number : NOBODY;
}

/** How far from 1970 times reach as JavaScript, and so everything here, has them; milliseconds. */
const FARTHEST = 8_640_000_000_000_000;

function within(milliseconds: number): number {
  return Math.max(-FARTHEST, Math.min(FARTHEST, milliseconds));
}

/** `SECONDS.FRACTION` of a pax record, with as many digits as anyone wants; undefined for what is none. `nanoseconds` are those of the second. */
export function paxTime(text: string | undefined): { readonly modified: number; readonly nanoseconds: number } | undefined {
  const [, sign, whole = "", fraction = ""] = /^(-?)(\d+)(?:\.(\d*))?$/.exec(text ?? "") ?? [];
  if (sign === undefined) return undefined;
  const part = Number(fraction.slice(0, 9).padEnd(9, "0"));
  const [seconds, nanoseconds] =
    sign === "" ? [Number(whole), part] : part === 0 ? [-Number(whole), 0] : [-1 - Number(whole), 1_000_000_000 - part];
  return { modified: within(seconds * 1000 + Math.floor(nanoseconds / 1_000_000)), nanoseconds };
}

/** The sum of all bytes, its own 8 taken as blanks; some old programs summed signed bytes. */
function hasChecksum(block: Buffer): boolean {
  const wanted = numberAt(block, 148, 8);
  let sum = 0;
  let signed = 0;
  for (let at = 0; at < BLOCK; at += 1) {
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
    sum += byte;
    signed += (byte << 24) >> 24;
  }
  return wanted === sum || wanted === signed;
}

function textAt(block: Buffer, at: number, size: number): string {
  const field = block.subarray(at, at + size);
  const end = field.indexOf(0);
  return decodeText(end < 0 ? field : field.subarray(0, end));
}

/** Octal digits, or, with the first bit set, a big-endian number in base 256 (GNU): of members over 8 GiB, and times before 1970. */
export function numberAt(block: Buffer, at: number, size: number): number {
  const first = block[at] ?? 0;
  if (first & 0x80) {
    // Two's complement, whose sign is the bit below: −1 − the number with all bits turned.
    const turned = (first & 0x40) === 0 ? 0 : 0xff;
    let value = (first ^ turned) & 0x3f;
    for (let index = 1; index < size; index += 1) value = value * 256 + ((block[at + index] ?? 0) ^ turned);
    return turned === 0 ? value : -1 - value;
  }
  let value = 0;
  let next = at;
  const end = at + size;
  while (next < end && (block[next] === 0x20 || block[next] === 0)) next += 1;
  for (let digit = (block[next] ?? 0) - 0x30; next < end && digit >= 0 && digit < 8; digit = (block[next] ?? 0) - 0x30) {
    value = value * 8 + digit;
    next += 1;
  }
  return value;
}

/** Whether a field holds a number: octal digits between blanks and zeros, none at all, or base 256. */
function isNumber(block: Buffer, at: number, size: number): boolean {
  return ((block[at] ?? 0) & 0x80) !== 0 || /^[ \0]*[0-7]*(?:[ \0]|$)/.test(block.toString("latin1", at, at + size));
}

/** pax records: `LENGTH KEY=VALUE\n`. What cannot be read ends them. */
export function decodePax(content: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length; ) {
    const blank = content.indexOf(0x20, at);
    const length = blank < 0 ? Number.NaN : Number(content.toString("latin1", at, blank));
    if (!Number.isInteger(length) || length <= blank - at + 1 || at + length > content.length) break;
    const record = content.subarray(blank + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    if (equals > 0) addRecord(records, record.toString("latin1", 0, equals), decodeText(record.subarray(equals + 1)));
    at += length;
  }
  return records;
}

/** Sparse members of version 0.0 repeat two keys, a pair for each run: kept as the list that version 0.1 has. */
function addRecord(records: Map<string, string>, key: string, value: string): void {
  if (key !== "GNU.sparse.offset" && key !== "GNU.sparse.numbytes") {
    records.set(key, value);
    return;
  }
  const list = records.get("GNU.sparse.map");
  records.set("GNU.sparse.map", list === undefined ? value : `${list},${value}`);
}
