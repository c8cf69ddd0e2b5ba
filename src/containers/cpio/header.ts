// Headers of cpio archives: "newc" and "crc" (070701, 070702; Linux, Documentation/driver-api/early-userspace/buffer-format.rst), "odc" (070707, POSIX.1)
// and the old binary one in either byte order.

export type CpioFormat = "newc" | "crc" | "odc" | "binary";

export interface CpioHeader {
  readonly format: CpioFormat;
  /** Bytes of the header, without the name. */
  readonly headerSize: number;
  /** With its NUL. */
  readonly nameSize: number;
  readonly size: number;
  /** Header with name, and data, are each filled up to a multiple of it. */
  readonly alignment: 1 | 2 | 4;
  /** All of st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** Seconds since 1970. */
  readonly modified: number;
  /** Of a device file. */
  readonly major: number;
  readonly minor: number;
  /** The device and the number on it: what names of the same file have in common. */
  readonly device: number;
  readonly inode: number;
  /** The sum of the data's bytes, modulo 2^32, where it is recorded. */
  readonly sum?: number;
}

/** Bytes of the longest header. */
export const HEADER_LIMIT = 110;
const OLD_SIZE = 26;
const ODC_SIZE = 76;

/** The header at the start of `content`, which may be shorter than one; undefined if it is none. */
export function decodeHeader(content: Buffer): CpioHeader | undefined {
  if (content.length < OLD_SIZE) return undefined;
  // "07" of the formats that are text.
  if (content[0] === 0x30 && content[1] === 0x37) return textHeader(content);
  if (content.readUInt16LE(0) === 0o070707) return old((word) => content.readUInt16LE(word * 2));
  if (content.readUInt16BE(0) === 0o070707) return old((word) => content.readUInt16BE(word * 2));
  return undefined;
}

function textHeader(content: Buffer): CpioHeader | undefined {
  const magic = content.toString("latin1", 0, 6);
  if (magic === "070707") return content.length < ODC_SIZE ? undefined : odc(content);
  return (magic === "070701" || magic === "070702") && content.length >= HEADER_LIMIT ? newc(content, magic === "070702") : undefined;
}

/** 13 fields of 8 hexadecimal digits behind the magic. */
function newc(content: Buffer, hasSum: boolean): CpioHeader | undefined {
  const text = content.toString("latin1", 6, HEADER_LIMIT);
  if (!/^[0-9A-Fa-f]{104}$/.test(text)) return undefined;
  const field = (index: number) => Number.parseInt(text.slice(index * 8, index * 8 + 8), 16);
  return {
    format: hasSum ? "crc" : "newc",
    headerSize: HEADER_LIMIT,
    nameSize: field(11),
    size: field(6),
    alignment: 4,
    mode: field(1),
    uid: field(2),
    gid: field(3),
    links: field(4),
    modified: field(5),
    major: field(9),
    minor: field(10),
    device: field(7) * 2 ** 20 + field(8),
    inode: field(0),
    ...(hasSum && { sum: field(12) }),
  };
}

/** Octal digits; device numbers are packed as old Unixes had them. */
function odc(content: Buffer): CpioHeader | undefined {
  const text = content.toString("latin1", 6, ODC_SIZE);
  if (!/^[0-7]{70}$/.test(text)) return undefined;
  const field = (at: number, size: number) => Number.parseInt(text.slice(at, at + size), 8);
  const device = field(36, 6);
  return withNumbers({
    format: "odc",
    headerSize: ODC_SIZE,
    nameSize: field(53, 6),
    size: field(59, 11),
    alignment: 1,
    mode: field(12, 6),
    uid: field(18, 6),
    gid: field(24, 6),
    links: field(30, 6),
    modified: field(42, 11),
    major: device >>> 8,
    minor: device & 0xff,
    device: field(0, 6),
    inode: field(6, 6),
  });
}

/** 16-bit words; numbers of 32 bits have their upper half first, whatever the order of bytes. */
function old(word: (index: number) => number): CpioHeader {
  const long = (index: number) => word(index) * 65_536 + word(index + 1);
  const device = word(7);
  return withNumbers({
    format: "binary",
    headerSize: OLD_SIZE,
    nameSize: word(10),
    size: long(11),
    alignment: 2,
    mode: word(3),
    uid: word(4),
    gid: word(5),
    links: word(6),
    modified: long(8),
    major: device >>> 8,
    minor: device & 0xff,
    device: word(1),
    inode: word(2),
  });
}

/** HP-UX numbers devices with more bits than the formats have, says "0, 1", and keeps the number where the size would be; so does GNU cpio, in the way of Linux. */
function withNumbers(header: CpioHeader): CpioHeader {
  const { mode, size, major, minor } = header;
  const isDevice = [2, 6].includes((mode >>> 12) & 15);
  if (!isDevice || size === 0 || major !== 0 || minor !== 1) return header;
  const numbers =
    size >= 2 ** 24
      ? { major: Math.floor(size / 2 ** 24), minor: size % 2 ** 24 }
      : { major: (size >>> 8) & 0xfff, minor: (size & 0xff) | ((size >>> 12) & 0xfff00) };
  return { ...header, ...numbers, size: 0 };
}
