// The EROFS structures that an index needs. Reference: fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst in the Linux sources; names are that
// header's. Everything is little-endian; positions are from the start of each structure.

export const MAGIC = 0xe0f5e1e2;
/** Where the superblock stands, whatever the size of a block. */
export const SUPERBLOCK_AT = 1024;
export const SUPERBLOCK_SIZE = 128;

/** Incompatible features: files in chunks, a table of devices. */
export const features = { CHUNKED_FILE: 0x4, DEVICE_TABLE: 0x8 } as const;

/** struct erofs_super_block */
export const superblock = {
  magic: 0,
  blockBits: 12,
  rootNid: 14,
  inodes: 16,
  buildTime: 24,
  blocks: 36,
  metaBlock: 40,
  volumeName: 64,
  featureIncompat: 80,
  extraDevices: 86,
  deviceSlotOffset: 88,
} as const;

/** struct erofs_deviceslot; its table is counted in units of its own size. */
export const deviceSlot = { size: 128, blocks: 64 } as const;

/** struct erofs_inode_extended; inodes are numbered by their place, in units of 32 bytes. */
export const inode = {
  size: 64,
  unit: 32,
  format: 0,
  mode: 4,
  bytes: 8,
  /** The first block, the device number, or the format of chunks. */
  address: 16,
  number: 20,
  uid: 24,
  gid: 28,
  seconds: 32,
  nanoseconds: 40,
  links: 44,
} as const;

/** How an inode's bytes are laid out (EROFS_INODE_*), above the bit that says that the inode is an extended one. */
export const layouts = { plain: (0 << 1) | 1, inline: (2 << 1) | 1, chunks: (4 << 1) | 1 } as const;

/** Of a chunk's format: that entries are 8 bytes with a device each; the lower bits tell the size of a chunk in blocks, as a power of two. */
export const CHUNK_INDEXES = 0x20;
export const CHUNK_BITS_LIMIT = 0x1f;
export const CHUNK_ENTRY = 8;
/** The address of a chunk that is a hole. */
export const HOLE = 0xffffffff;

/** struct erofs_dirent; the names of a block follow its entries. */
export const dirent = { size: 12, nid: 0, nameOffset: 8, type: 10 } as const;

/** EROFS_FT_* */
export const entryTypes = {
  file: 1,
  directory: 2,
  "character device": 3,
  "block device": 4,
  fifo: 5,
  socket: 6,
  symlink: 7,
} as const;

/** File types, as in the upper bits of a mode (inode(7)). */
export const fileTypes = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  "character device": 0o020000,
  "block device": 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
} as const;

/** The sizes of a block that the kernel takes, as powers of two: up to the page. */
export const BLOCK_BITS = { least: 9, most: 12 } as const;
