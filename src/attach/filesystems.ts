// How Linux mounts what was found so that nothing is written and no journal is replayed.
// Reference: Documentation/filesystems of the kernel (ext4, xfs, btrfs-man5, f2fs, nilfs2, ntfs3, ufs), and the manual pages mount(8), xfs(5), btrfs(5).

/** One way to mount: the type, and the options beside `ro`. */
export interface MountWay {
  readonly type: string;
  readonly options: readonly string[];
}

/** What a disk, a partition or a volume holds. Plain data: it is recorded. */
export interface FileSystem {
  /** What people call it. */
  readonly name: string;
  /** The best first; the next ones for kernels that lack those before. None: no kernel mounts it. */
  readonly ways: readonly MountWay[];
  /** What else reads it, or what has to be done first; one sentence. */
  readonly advice?: string;
  /** What is unusual about this one, one sentence each. */
  readonly notes?: readonly string[];
}

const way = (type: string, ...options: readonly string[]): MountWay => ({ type, options });

/** What is known by its mark alone; ext, Btrfs and others are looked into by `recognise.ts`. */
export const fileSystems = {
  xfs: {
    name: "XFS",
    // Its copy may be mounted at the same time: "nouuid".
    ways: [way("xfs", "norecovery", "nouuid")],
    advice: "guestfish reads it without the kernel's help.",
  },
  btrfs: {
    name: "Btrfs",
    // The second for kernels before 5.9.
    ways: [way("btrfs", "rescue=nologreplay"), way("btrfs", "nologreplay")],
    advice: "btrfs restore reads it without the kernel's help.",
  },
  squashfs: { name: "SquashFS", ways: [way("squashfs")], advice: "unsquashfs and squashfuse read it without the kernel's help." },
  erofs: { name: "EROFS", ways: [way("erofs")], advice: "erofsfuse reads it without the kernel's help." },
  f2fs: { name: "F2FS", ways: [way("f2fs", "norecovery")], advice: "No other program is known to read it." },
  // ntfs3 is in the kernel since 5.15; before, there was one that only reads.
  ntfs: {
    name: "NTFS",
    ways: [way("ntfs3"), way("ntfs")],
    advice: 'ntfs-3g reads it without the kernel\'s help ("ntfs-3g -o ro,norecover").',
  },
  fat: { name: "FAT", ways: [way("vfat"), way("msdos")], advice: "mtools reads it without the kernel's help." },
  exfat: { name: "exFAT", ways: [way("exfat")], advice: "exfat-fuse reads it without the kernel's help." },
  iso9660: { name: "ISO 9660", ways: [way("iso9660")], advice: '"flatmount IMAGE DIR" shows the files of a disc below DIR/files.' },
  udf: { name: "UDF", ways: [way("udf"), way("iso9660")], advice: '"flatmount IMAGE DIR" shows the files of a disc below DIR/files.' },
  hfsplus: { name: "HFS+", ways: [way("hfsplus")], advice: "7z reads it without the kernel's help." },
  hfs: { name: "HFS", ways: [way("hfs")], advice: "hfsutils read it without the kernel's help." },
  jfs: { name: "JFS", ways: [way("jfs")] },
  reiserfs: { name: "ReiserFS", ways: [way("reiserfs", "nolog")] },
  nilfs2: { name: "NILFS2", ways: [way("nilfs2", "norecovery")] },
  bcachefs: { name: "bcachefs", ways: [way("bcachefs", "nochanges", "norecovery")] },
  ufs1: { name: "UFS", ways: [way("ufs", "ufstype=44bsd")] },
  ufs2: { name: "UFS2", ways: [way("ufs", "ufstype=ufs2")] },
  cramfs: { name: "cramfs", ways: [way("cramfs")] },
  romfs: { name: "romfs", ways: [way("romfs")] },
  apfs: { name: "APFS", ways: [], advice: "Linux cannot mount it; apfs-fuse reads it." },
  vmfs: { name: "VMFS", ways: [], advice: "Linux cannot mount it; vmfs6-fuse and vmfs-fuse read it." },
  refs: { name: "ReFS", ways: [], advice: "Linux cannot mount it." },
  luks: {
    name: "LUKS",
    ways: [],
    advice: 'It is encrypted: "cryptsetup open --readonly DEVICE NAME" asks for the passphrase, then mount /dev/mapper/NAME read-only.',
  },
  bitlocker: {
    name: "BitLocker",
    ways: [],
    advice:
      'It is encrypted: "cryptsetup open --type bitlk --readonly DEVICE NAME" asks for the password, then mount /dev/mapper/NAME read-only.',
  },
  lvm: {
    name: "LVM",
    ways: [],
    advice: 'It belongs to logical volumes: "flatmount info IMAGE" names those that are whole, and --partition takes such a name.',
  },
  raid: {
    name: "md RAID",
    ways: [],
    advice:
      'It belongs to an array: "flatmount info IMAGE" names it if it is whole, and --partition takes that name; or "mdadm --assemble --readonly".',
  },
  zfs: { name: "ZFS", ways: [], advice: 'It belongs to a pool: "zpool import -o readonly=on -d DEVICE".' },
  bcache: { name: "bcache", ways: [], advice: "It belongs to a bcache, which has to be registered with the kernel." },
  swap: { name: "swap", ways: [], advice: "It holds no files." },
} as const satisfies Readonly<Record<string, FileSystem>>;

/** ext2, ext3 and ext4 are mounted by the driver of ext4, where there is one. `noload`: the journal is left alone. */
export const extWays = {
  ext2: [way("ext4", "noload"), way("ext2")],
  ext3: [way("ext4", "noload"), way("ext3", "noload")],
  ext4: [way("ext4", "noload")],
} as const;
