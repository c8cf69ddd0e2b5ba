// Proxmox's Virtual Machine Archive. Reference: vma_spec.txt in the pve-qemu sources; vma-writer.c there for what the text leaves open. Big-endian, but for the
// lengths in the blob buffer.
import { ascii, bytes, struct, u8, u16, u32, u64 } from "../../util/struct.js";

export const MAGIC = "VMA";
export const VERSION = 1;

/** What follows are the blobs. */
export const header = struct("VMA header", "big", 12288, {
  magic: [0, ascii(4)],
  version: [4, u32],
  uuid: [8, bytes(16)],
  /** Seconds since 1970. */
  ctime: [24, u64],
  md5sum: [32, bytes(16)],
  blobBufferOffset: [48, u32],
  blobBufferSize: [52, u32],
  /** With the blobs. */
  headerSize: [56, u32],
});

/** 256 of these, whose number is the `deviceId` in extents; number 0 is none. */
export const deviceInfo = struct("VMA device info", "big", 32, {
  /** Offset of the blob with its name; 0: there is no such device. */
  name: [0, u32],
  size: [8, u64],
});
export const DEVICES_AT = 4096;
export const DEVICE_COUNT = 256;

/** The state of a running machine, which is no disk. */
export const STATE_DEVICE = "vmstate";

export const extentHeader = struct("VMA extent header", "big", 512, {
  magic: [0, ascii(4)],
  /** Stored blocks of all clusters. */
  blockCount: [6, u16],
  uuid: [8, bytes(16)],
  md5sum: [24, bytes(16)],
});
export const EXTENT_MAGIC = "VMAE";

/** 59 of these, for the clusters of the extent in the order of the file. */
export const blockInfo = struct("VMA block info", "big", 8, {
  /** Which blocks of the cluster are stored, bit 0 for the first; all others are zeros. */
  mask: [0, u16],
  deviceId: [3, u8],
  cluster: [4, u32],
});
export const BLOCK_INFOS_AT = 40;
export const CLUSTERS_PER_EXTENT = 59;

export const BLOCK = 4096;
export const CLUSTER = 65536;
export const MAX_EXTENT = extentHeader.size + CLUSTERS_PER_EXTENT * CLUSTER;

/** Ours: 512 blobs of 65535 bytes, which is all that the header can name, are 32 MiB. */
export const limits = { header: 64 * 2 ** 20, index: 64 * 2 ** 20 } as const;
