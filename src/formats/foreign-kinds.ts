// What files are that no driver reads. Signatures are those of file(1), of the formats' own documents, or of programs that read them.

export interface Foreign {
  /** As a sentence goes on after "it is". */
  readonly what: string;
  /** Bytes at a position of the head (or, negative, counted from the end of the file). */
  readonly marks: readonly (readonly [position: number, signature: string])[];
  readonly hint?: string;
}

const beside = "Its disks are files of their own: name one of those.";

/** Formats that drivers read: a file with the signature that is none of them is damaged or cut. */
export const damaged: readonly Foreign[] = [
  {
    what: "a VMDK image",
    marks: [
      [0, "KDMV"],
      [0, "COWD"],
      [0, "# Disk Descriptor"],
      [0, "#Disk Descriptor"],
      [0, "\xbe\xba\xfe\xca\0\0\0\0"],
    ],
  },
  { what: "a VHDX image", marks: [[0, "vhdxfile"]] },
  {
    what: "a VHD image",
    marks: [
      [0, "conectix"],
      [-512, "conectix"],
      [-511, "conectix"],
    ],
  },
  { what: "a VDI image", marks: [[0x40, "\x7f\x10\xda\xbe"]] },
  { what: "a QED image", marks: [[0, "QED\0"]] },
  {
    what: "a Parallels image",
    marks: [
      [0, "WithoutFreeSpace"],
      [0, "WithouFreSpacExt"],
    ],
  },
  { what: "a Bochs image", marks: [[0, "Bochs Virtual HD Image"]] },
  {
    what: "an Apple disk image (DMG)",
    marks: [
      [-512, "koly"],
      [0, "koly\0\0\0\x04"],
    ],
  },
  { what: "an Android sparse image", marks: [[0, "\x3a\xff\x26\xed"]] },
  { what: "a file compressed with gzip", marks: [[0, "\x1f\x8b\x08"]] },
  { what: "a file compressed with xz", marks: [[0, "\xfd7zXZ\0"]] },
  { what: "a file compressed with zstd", marks: [[0, "\x28\xb5\x2f\xfd"]] },
  { what: "a file compressed with bzip2", marks: [[0, "BZh"]] },
];

/** Other ways to store a disk. Its bytes are not the disk's, whatever the file is called. */
export const unread: readonly Foreign[] = [
  { what: "an AFF image (Advanced Forensic Format)", marks: [[0, "AFF10\r\n\0"]], hint: "affconvert -r writes a raw image." },
  { what: "an AFF4 image (Advanced Forensic Format)", marks: [[30, "container.description"]] },
  { what: "an AccessData custom content image (AD1)", marks: [[0, "ADSEGMENTEDFILE\0"]] },
  {
    what: "a Windows image (WIM, ESD, SWM)",
    marks: [
      [0, "MSWIM\0\0\0"],
      [0, "WLPWM\0\0\0"],
    ],
    hint: "It holds files and no disk: wimlib-imagex applies it to one.",
  },
  { what: "a Windows full flash update (FFU)", marks: [[4, "SignedImage "]] },
  { what: "an Android update (payload.bin)", marks: [[0, "CrAU\0\0\0\0"]], hint: "payload-dumper extracts the partitions." },
  { what: "a MAME disk image (CHD)", marks: [[0, "MComprHD"]], hint: "chdman extracts it." },
  {
    what: "a Macrium Reflect image",
    marks: [
      [-12, "MACRIUM_FILE"],
      [-54, "__79241006_2651_11D4_"],
      [-40, "__79241006_2651_11D4_"],
    ],
  },
  { what: "an Acronis True Image backup", marks: [[0, "\xb4nhD"]] },
  { what: "a Microsoft Tape Format backup (BKF)", marks: [[0, "TAPE\0\0\x03\0"]] },
  { what: "a Partition Image (partimage) file", marks: [[0, "PaRtImAgE-VoLuMe"]] },
  { what: "an ntfsclone image", marks: [[0, "\0ntfsclone-image"]], hint: "ntfsclone --restore-image writes the partition." },
  { what: "an FSArchiver archive", marks: [[0, "FsArCh_0"]] },
  { what: "a btrfs send stream", marks: [[0, "btrfs-stream\0"]], hint: "btrfs receive reads it." },
  {
    what: "a ZFS send stream",
    marks: [
      [8, "\xac\xcb\xba\xf5\x02\0\0\0"],
      [8, "\0\0\0\x02\xf5\xba\xcb\xac"],
    ],
    hint: "zfs receive reads it.",
  },
  { what: "an xfsdump archive", marks: [[0, "xFSdump0"]] },
  {
    what: "an index of Proxmox Backup Server",
    marks: [
      [0, "\x2f\x7f\x41\xed\x91\xfd\x0f\xcd"],
      [0, "\x1c\x91\x4e\xa5\x19\xba\xb3\xcd"],
    ],
    hint: "Its chunks are in the datastore: proxmox-backup-client restores the disk.",
  },
  {
    what: "a snapshot or the suspended state of a VMware machine (.vmsn, .vmss)",
    marks: [
      [0, "\xd0\xbe\xd2\xbe"],
      [0, "\xd2\xbe\xd2\xbe"],
      [0, "\xd3\xbe\xd3\xbe"],
      [0, "\xd1\xba\xd1\xba"],
    ],
    hint: "Its disks are the .vmdk files: name one of those.",
  },
  { what: "the saved state of a VirtualBox machine (.sav)", marks: [[0, "\x7fVirtualBox SavedState"]], hint: beside },
  {
    what: "the saved state of a QEMU machine",
    marks: [
      [0, "QEVM\0\0\0"],
      [0, "LibvirtQemudSave"],
      [0, "LibvirtQemudPart"],
    ],
    hint: beside,
  },
  { what: "a compressed disc of UltraISO (ISZ)", marks: [[0, "IsZ!"]] },
  {
    what: "a compressed disc of PowerISO (DAA)",
    marks: [
      [0, "DAA\0\0\0\0\0"],
      [0, "GBI\0\0\0\0\0"],
    ],
  },
  { what: "a compressed disc of MagicISO (UIF)", marks: [[-64, "bbis"]] },
  {
    what: "a compressed disc of game consoles (CSO, ZSO, DAX, JSO)",
    marks: [
      [0, "CISO"],
      [0, "ZISO"],
      [0, "DAX\0"],
      [0, "JISO"],
    ],
  },
  {
    what: "a CD image of DiscJuggler (CDI)",
    // The version, and behind it where in the file the description is.
    marks: ["\x04", "\x05", "\x06"].map((version) => [-8, `${version}\0\0\x80`] as const),
  },
  { what: "a CD image of BlindWrite (B5T, B6T)", marks: [[0, "BWT5 STREAM SIGN"]] },
  { what: "a CD image without its checksums (ECM)", marks: [[0, "ECM\0"]] },
  { what: "a file compressed with compress (.Z)", marks: [[0, "\x1f\x9d\x90"]] },
];

/** No disk either, but a disk may begin with anything: a name that says raw is believed. */
export const documents: readonly Foreign[] = [
  { what: "a ZIP archive whose end is missing", marks: [[0, "PK\x03\x04"]] },
  {
    what: "a part of a ZIP archive in several files",
    marks: [
      [0, "PK\x07\x08"],
      [-22, "PK\x05\x06"],
    ],
  },
  { what: "a 7-Zip archive", marks: [[0, "7z\xbc\xaf\x27\x1c"]] },
  { what: "a RAR archive", marks: [[0, "Rar!\x1a\x07"]] },
  { what: "a cabinet archive (CAB)", marks: [[0, "MSCF\0\0\0\0"]] },
  { what: "an InstallShield cabinet", marks: [[0, "ISc("]] },
  { what: "an ACE archive", marks: [[7, "**ACE**"]] },
  { what: "an archive of xar, such as a macOS package", marks: [[0, "xar!\0\x1c"]] },
  { what: "an RPM package", marks: [[0, "\xed\xab\xee\xdb"]] },
  { what: "an archive of ar, such as a Debian package", marks: [[0, "!<arch>\n"]] },
  { what: "a Norton Ghost image", marks: [[0, "\xfe\xef\x01"]] },
  { what: "a PDF document", marks: [[0, "%PDF-"]] },
  { what: "a PNG picture", marks: [[0, "\x89PNG"]] },
  { what: "a JPEG picture", marks: [[0, "\xff\xd8\xff"]] },
  { what: "a program (ELF)", marks: [[0, "\x7fELF"]] },
];

/** Texts that say which disks a machine has. */
export const descriptions: readonly { readonly what: string; readonly pattern: RegExp; readonly hint: string }[] = [
  {
    what: "the configuration of a VMware machine (.vmx)",
    pattern: /^[ \t]*(?:config\.version|virtualHW\.version)[ \t]*=/im,
    hint: "Its disks are the .vmdk files that it names: name one of those.",
  },
  { what: "the configuration of a VirtualBox machine (.vbox)", pattern: /<VirtualBox[ \t\r\n>]/, hint: beside },
  { what: "the configuration of a libvirt machine", pattern: /<domain[ \t][^>]*type[ \t]*=/, hint: beside },
  { what: "the configuration of a Parallels machine (.pvs)", pattern: /<ParallelsVirtualMachine[ \t\r\n>]/, hint: beside },
];
