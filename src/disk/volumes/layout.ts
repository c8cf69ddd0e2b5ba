// BSD: sys/sys/disklabel.h of FreeBSD, NetBSD and OpenBSD. Sun and Solaris: sys/dklabel.h and sys/vtoc.h of illumos.
// md: include/uapi/linux/raid/md_p.h of Linux. LVM: lib/format_text/layout.h of LVM2.
// LDM: "LDM Documentation", Richard Russon (flatcap.github.io/linux-ntfs/ldm).
import { ascii, big64, bytes, struct, u8, u16, u32, u64 } from "../../util/struct.js";

const disklabelFields = {
  d_magic: [0, u32],
  d_packname: [24, ascii(16)],
  d_secsize: [40, u32],
  /** OpenBSD alone. */
  d_uid: [64, bytes(8)],
  /** OpenBSD alone. */
  d_version: [114, u16],
  d_magic2: [132, u32],
  d_checksum: [136, u16],
  d_npartitions: [138, u16],
} as const;

/** Most machines write the first; some of NetBSD's and OpenBSD's have the most significant byte first. */
export const disklabels = {
  little: struct("BSD disklabel", "little", 148, disklabelFields),
  big: struct("BSD disklabel", "big", 148, disklabelFields),
} as const;

const disklabelEntryFields = {
  p_size: [0, u32],
  p_offset: [4, u32],
  /** OpenBSD's version 1 has the high halves of both here, others `p_fsize`. */
  p_offseth: [8, u16],
  p_sizeh: [10, u16],
  p_fstype: [12, u8],
} as const;

export const disklabelEntries = {
  little: struct("BSD disklabel entry", "little", 16, disklabelEntryFields),
  big: struct("BSD disklabel entry", "big", 16, disklabelEntryFields),
} as const;

export const solarisLabel = struct("Solaris label", "little", 512, {
  v_sanity: [12, u32],
  v_version: [16, u32],
  v_sectorsz: [28, u16],
  v_nparts: [30, u16],
  v_part: [72, bytes(192)],
  dkl_magic: [508, u16],
});

export const solarisSlice = struct("Solaris slice", "little", 12, { p_tag: [0, u16], p_start: [4, u32], p_size: [8, u32] });

export const sunLabel = struct("Sun label", "big", 512, {
  v_version: [128, u32],
  v_nparts: [140, u16],
  v_part: [142, bytes(32)],
  v_sanity: [188, u32],
  dkl_nhead: [436, u16],
  dkl_nsect: [438, u16],
  dkl_map: [444, bytes(64)],
  dkl_magic: [508, u16],
});

export const sunTag = struct("Sun slice tag", "big", 4, { p_tag: [0, u16] });
export const sunSlice = struct("Sun slice", "big", 8, { dkl_cylno: [0, u32], dkl_nblk: [4, u32] });

export const mdSuper1 = struct("md superblock 1", "little", 256, {
  magic: [0, u32],
  major_version: [4, u32],
  feature_map: [8, u32],
  set_uuid: [16, bytes(16)],
  set_name: [32, bytes(32)],
  level: [72, u32],
  size: [80, big64],
  raid_disks: [92, u32],
  data_offset: [128, big64],
  super_offset: [144, big64],
  recovery_offset: [152, big64],
  dev_number: [160, u32],
  bblog_size: [186, u16],
  bblog_offset: [188, u32],
  events: [200, big64],
  sb_csum: [216, u32],
  max_dev: [220, u32],
});

/** The superblock of 0.90 has 1024 words of 4 bytes; these are the ones used here. */
export const mdSuper0 = struct("md superblock 0.90", "little", 4096, {
  md_magic: [0, u32],
  major_version: [4, u32],
  minor_version: [8, u32],
  set_uuid0: [20, u32],
  level: [28, u32],
  size: [32, u32],
  raid_disks: [40, u32],
  md_minor: [44, u32],
  set_uuid1: [52, u32],
  set_uuid2: [56, u32],
  set_uuid3: [60, u32],
  sb_csum: [152, u32],
  events: [156, big64],
  this_disk_raid_disk: [3980, u32],
  this_disk_state: [3984, u32],
});

export const lvmLabel = struct("LVM label", "little", 32, {
  id: [0, ascii(8)],
  sector_xl: [8, big64],
  crc_xl: [16, u32],
  offset_xl: [20, u32],
  type: [24, ascii(8)],
});

export const lvmPhysicalVolume = struct("LVM physical volume header", "little", 40, {
  pv_uuid: [0, ascii(32)],
  device_size_xl: [32, big64],
});
export const lvmLocation = struct("LVM disk location", "little", 16, { offset: [0, big64], size: [8, big64] });

export const lvmMetadataHeader = struct("LVM metadata header", "little", 40, {
  checksum_xl: [0, u32],
  magic: [4, ascii(16)],
  version: [20, u32],
  start: [24, big64],
  size: [32, big64],
});

export const lvmRawLocation = struct("LVM raw location", "little", 24, {
  offset: [0, big64],
  size: [8, big64],
  checksum: [16, u32],
  flags: [20, u32],
});

/** What dm-raid keeps in the first sector of a leg's metadata: drivers/md/dm-raid.c of Linux. */
export const dmRaidSuper = struct("dm-raid superblock", "little", 48, {
  magic: [0, u32],
  array_position: [12, u32],
  events: [16, big64],
  failed_devices: [24, big64],
  disk_recovery_offset: [32, big64],
});

export const ldmPrivateHeader = struct("LDM private header", "big", 512, {
  magic: [0, ascii(8)],
  checksum: [8, u32],
  diskGuid: [0x30, ascii(64)],
  diskGroupName: [0xf0, ascii(31)],
  publicStart: [0x11b, u64],
  publicSize: [0x123, u64],
  privateStart: [0x12b, u64],
  privateSize: [0x133, u64],
  primaryToc: [0x13b, u64],
  secondaryToc: [0x143, u64],
});

export const ldmToc = struct("LDM table of contents", "big", 512, {
  magic: [0, ascii(8)],
  checksum: [8, u32],
  sequence: [0x0c, big64],
  regions: [0x24, bytes(340)],
});

export const ldmRegion = struct("LDM region", "big", 34, { name: [0, ascii(8)], flags: [8, u16], start: [10, u64], size: [18, u64] });

export const ldmDatabase = struct("LDM database header", "big", 512, {
  magic: [0, ascii(4)],
  lastVblk: [4, u32],
  vblkSize: [8, u32],
  firstVblk: [12, u32],
  updateStatus: [16, u16],
  versionMajor: [18, u16],
  versionMinor: [20, u16],
  volumes: [0x85, u32],
  components: [0x89, u32],
  partitions: [0x8d, u32],
  disks: [0x91, u32],
});

export const ldmBlock = struct("LDM block header", "big", 16, {
  magic: [0, ascii(4)],
  sequence: [4, u32],
  group: [8, u32],
  index: [12, u16],
  count: [14, u16],
});

export const ldmRecord = struct("LDM record header", "big", 8, { status: [0, u16], flags: [2, u8], type: [3, u8], size: [4, u32] });
