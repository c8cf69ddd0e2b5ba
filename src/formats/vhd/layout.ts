// Microsoft "Virtual Hard Disk Image Format Specification" 1.0 (2006-10-11); section names are that document's. All numbers are big-endian.
// What Xen's tapdisk adds: include/vhd.h in the blktap sources.
import { ascii, big64, bytes, struct, u8, u16, u32, u64 } from "../../util/struct.js";

export const SECTOR_SIZE = 512;

/** Section "Hard Disk Footer Format". Programs before Virtual PC 2004 wrote 511 bytes: without the last reserved one. */
export const footer = struct("VHD footer", "big", 512, {
  cookie: [0, ascii(8)],
  features: [8, u32],
  fileFormatVersion: [12, u32],
  /** Position of the dynamic disk header; all ones for fixed disks. */
  dataOffset: [16, big64],
  timeStamp: [24, u32],
  creatorApplication: [28, bytes(4)],
  creatorVersion: [32, u32],
  creatorHostOs: [36, ascii(4)],
  originalSize: [40, big64],
  currentSize: [48, big64],
  cylinders: [56, u16],
  heads: [58, u8],
  sectors: [59, u8],
  diskType: [60, u32],
  checksum: [64, u32],
  uniqueId: [68, bytes(16)],
  savedState: [84, u8],
  /** Reserved in the specification. tapdisk: the image is kept for its children only. */
  hidden: [85, u8],
});

export const SHORT_FOOTER_SIZE = 511;
export const COOKIE = "conectix";
/** What Xen's vhd-util writes instead while it rebuilds an image. */
export const POISONED_COOKIE = "v_poison";
export const VERSION = 0x00010000;
export const diskTypes = { fixed: 2, dynamic: 3, differencing: 4 } as const;
export const CHECKSUM_POSITION = { footer: 64, dynamicHeader: 36 } as const;

/** Section "Dynamic Disk Header Format". Its own data offset, at 8, is all ones. */
export const dynamicHeader = struct("VHD dynamic disk header", "big", 1024, {
  cookie: [0, ascii(8)],
  tableOffset: [16, u64],
  headerVersion: [24, u32],
  maxTableEntries: [28, u32],
  blockSize: [32, u32],
  checksum: [36, u32],
  parentUniqueId: [40, bytes(16)],
  parentTimeStamp: [56, u32],
  parentUnicodeName: [64, bytes(512)],
  parentLocators: [576, bytes(8 * 24)],
});

export const DYNAMIC_COOKIE = "cxsparse";

/** An entry of `parentLocators`. The data space is sectors in the specification and bytes in what Microsoft's programs write, so it is not used. */
export const parentLocator = struct("VHD parent locator", "big", 24, {
  platformCode: [0, ascii(4)],
  dataLength: [8, u32],
  dataOffset: [16, big64],
});

/** A block that is not stored. */
export const UNUSED_ENTRY = 0xffffffff;

/** Seconds from 1970 to 2000, from where time stamps count. */
export const EPOCH = 946_684_800;

/** Section "CHS Calculation": the geometry of every disk that is larger than it can tell, 127 GiB. */
export const LARGEST_GEOMETRY = 65535 * 16 * 255 * SECTOR_SIZE;

export const limits = {
  /** Bytes of one parent locator; the longest path of Windows takes 64 KiB. */
  locator: 65536,
  /** Bytes between the data of a fixed disk and its footer, for a file to be taken for one by that footer alone. */
  padding: 2 * 2 ** 20,
} as const;
