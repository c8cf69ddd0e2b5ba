// The FUSE kernel protocol, 7.31 and later, as far as a read-only file system meets it. All numbers are in host order.
// Reference: include/uapi/linux/fuse.h in the Linux sources; names are that header's, positions are from the start of each structure.
import { endianness } from "node:os";

/** For DataView: the kernel speaks the host's byte order. */
export const little = endianness() === "LE";

export const VERSION = { major: 7, minor: 40, least: 31 } as const;

export const opcodes = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  READLINK: 5,
  OPEN: 14,
  READ: 15,
  STATFS: 17,
  RELEASE: 18,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  ACCESS: 34,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  READDIRPLUS: 44,
  LSEEK: 46,
} as const;

/** Operations that would change something. */
export const writingOpcodes: ReadonlySet<number> = new Set([
  4, // SETATTR
  6, // SYMLINK
  8, // MKNOD
  9, // MKDIR
  10, // UNLINK
  11, // RMDIR
  12, // RENAME
  13, // LINK
  16, // WRITE
  21, // SETXATTR
  24, // REMOVEXATTR
  35, // CREATE
  43, // FALLOCATE
  45, // RENAME2
  47, // COPY_FILE_RANGE
  51, // TMPFILE
]);

/** fuse_in_header */
export const inHeader = { size: 40, opcode: 4, unique: 8, nodeid: 16 } as const;
/** fuse_out_header */
export const outHeader = { size: 16, length: 0, error: 4, unique: 8 } as const;

/** fuse_init_in and fuse_init_out */
export const initIn = { major: 0, minor: 4, maxReadahead: 8, flags: 12, flags2: 16 } as const;
export const initOut = {
  size: 64,
  major: 0,
  minor: 4,
  maxReadahead: 8,
  flags: 12,
  maxBackground: 16,
  congestionThreshold: 18,
  maxWrite: 20,
  timeGran: 24,
  maxPages: 28,
  flags2: 32,
  maxStackDepth: 36,
} as const;
export const initFlags = {
  ASYNC_READ: 1 << 0,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  /** There are more flags: flags2 are bits 32 to 63. */
  INIT_EXT: 1 << 30,
} as const;
export const initFlags2 = { PASSTHROUGH: 1 << (37 - 32) } as const;

/** fuse_open_in, fuse_open_out and fuse_release_in */
export const openIn = { flags: 0 } as const;
export const openOut = { size: 16, handle: 0, flags: 8, backing: 12 } as const;
export const openFlags = { KEEP_CACHE: 1 << 1, NOFLUSH: 1 << 5, PASSTHROUGH: 1 << 7 } as const;
export const releaseIn = { handle: 0 } as const;

/** fuse_attr */
export const attr = {
  size: 88,
  ino: 0,
  bytes: 8,
  blocks: 16,
  atime: 24,
  mtime: 32,
  ctime: 40,
  atimensec: 48,
  mtimensec: 52,
  ctimensec: 56,
  mode: 60,
  nlink: 64,
  uid: 68,
  gid: 72,
  rdev: 76,
  blksize: 80,
} as const;
/** fuse_attr_out */
export const attrOut = { size: 104, attrValid: 0, attr: 16 } as const;
/** fuse_entry_out */
export const entryOut = { size: 128, nodeid: 0, entryValid: 16, attrValid: 24, attr: 40 } as const;

/** fuse_read_in, for READ, READDIR and READDIRPLUS */
export const readIn = { offset: 8, size: 16 } as const;
/** fuse_dirent; a name follows, padded to 8 bytes */
export const dirent = { size: 24, ino: 0, off: 8, namelen: 16, type: 20 } as const;
/** fuse_lseek_in and fuse_lseek_out */
export const lseekIn = { offset: 8, whence: 16 } as const;
export const lseekOut = { size: 8, offset: 0 } as const;
export const whence = { SEEK_DATA: 3, SEEK_HOLE: 4 } as const;
/** fuse_statfs_out */
export const statfsOut = { size: 80, blocks: 0, files: 24, bsize: 40, namelen: 44, frsize: 48 } as const;

/** File types, as in the upper bits of a mode (inode(7)); a dirent has them shifted right by 12. */
export const fileTypes = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  "character device": 0o020000,
  "block device": 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
} as const;

/** What an image shows never changes, so the kernel may keep what it was told: for a day, in seconds. */
export const VALID = 86_400;

/** Longest read that the kernel asks for: max_pages pages of 4 KiB. */
export const MAX_PAGES = 256;
export const MAX_READ = MAX_PAGES * 4096;
/** The kernel wants room for max_write and headers, at least 8 KiB (FUSE_MIN_READ_BUFFER). Nothing is written here, names are short. */
export const REQUEST_SIZE = 16 * 1024;
export const MAX_WRITE = 4096;
