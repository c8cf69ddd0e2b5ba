// PKWARE, "APPNOTE.TXT - .ZIP File Format Specification", version 6.3.10; section numbers are its.
import { ascii, struct, u16, u32, u64 } from "../../util/struct.js";

/** 4.3.7 */
export const localHeader = struct("local file header", "little", 30, {
  signature: [0, ascii(4)],
  flags: [6, u16],
  method: [8, u16],
  crc32: [14, u32],
  packedSize: [18, u32],
  size: [22, u32],
  nameLength: [26, u16],
  extraLength: [28, u16],
});
export const LOCAL = "PK\x03\x04";

/** 4.3.12 */
export const centralHeader = struct("central directory header", "little", 46, {
  signature: [0, ascii(4)],
  madeBy: [4, u16],
  flags: [8, u16],
  method: [10, u16],
  time: [12, u16],
  date: [14, u16],
  crc32: [16, u32],
  packedSize: [20, u32],
  size: [24, u32],
  nameLength: [28, u16],
  extraLength: [30, u16],
  commentLength: [32, u16],
  disk: [34, u16],
  attributes: [38, u32],
  position: [42, u32],
});
export const CENTRAL = "PK\x01\x02";

/** 4.3.16 */
export const endRecord = struct("end of central directory record", "little", 22, {
  signature: [0, ascii(4)],
  disk: [4, u16],
  directoryDisk: [6, u16],
  countHere: [8, u16],
  count: [10, u16],
  size: [12, u32],
  position: [16, u32],
  commentLength: [20, u16],
});
export const END = "PK\x05\x06";

/** 4.3.15 */
export const locator64 = struct("zip64 end of central directory locator", "little", 20, {
  signature: [0, ascii(4)],
  disk: [4, u32],
  position: [8, u64],
  disks: [16, u32],
});
export const LOCATOR = "PK\x06\x07";

/** 4.3.14 */
export const endRecord64 = struct("zip64 end of central directory record", "little", 56, {
  signature: [0, ascii(4)],
  disk: [16, u32],
  directoryDisk: [20, u32],
  count: [32, u64],
  size: [40, u64],
  position: [48, u64],
});
export const END64 = "PK\x06\x06";

/** 4.4.4 */
export const flags = { encrypted: 1, endMark: 2, strong: 0x40, utf8: 0x800, masked: 0x2000 } as const;

/** 4.4.5 */
export const STORED = 0;
export const DEFLATE = 8;
export const DEFLATE64 = 9;
export const LZMA = 14;
export const methods: Readonly<Record<number, string>> = {
  0: "stored",
  1: "Shrink",
  6: "Implode",
  8: "Deflate",
  9: "Deflate64",
  10: "PKWARE DCL Implode",
  12: "bzip2",
  14: "LZMA",
  20: "zstd",
  93: "zstd",
  94: "MP3",
  95: "xz",
  96: "JPEG",
  97: "WavPack",
  98: "PPMd",
  99: "AES",
};

/** Ids of extra fields: 4.5.2 and 4.6; those of Info-ZIP by its extrafld.txt. */
export const extras = { zip64: 0x0001, ntfs: 0x000a, unicodePath: 0x7075, times: 0x5455, ids: 0x7875 } as const;
