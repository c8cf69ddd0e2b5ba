/** What a file is when it is nothing that can be read here. Shown raw it would be wrong data, so it is refused by name. */
interface Foreign {
  readonly what: string;
  /** Bytes at a position of the head (or, negative, counted from the end of the file). */
  readonly marks: readonly (readonly [position: number, signature: string])[];
}

/** Other ways to store a disk. Its bytes are not the disk's, whatever the file is called. */
const images: readonly Foreign[] = [
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
  { what: "an Apple disk image (DMG)", marks: [[-512, "koly"]] },
  { what: "an Android sparse image", marks: [[0, "\x3a\xff\x26\xed"]] },
  {
    what: "an EWF (EnCase) image",
    marks: [
      [0, "EVF\x09\x0d\x0a\xff\0"],
      [0, "EVF2\x0d\x0a\x81\0"],
    ],
  },
  {
    what: "a CD image of DiscJuggler (CDI)",
    // The version, and behind it where in the file the description is.
    marks: ["\x04", "\x05", "\x06"].map((version) => [-8, `${version}\0\0\x80`] as const),
  },
  { what: "a CD image of BlindWrite (B5T, B6T)", marks: [[0, "BWT5 STREAM SIGN"]] },
  { what: "a compressed hunks of data image (CHD)", marks: [[0, "MComprHD"]] },
  {
    what: "a PowerISO image (DAA)",
    marks: [
      [0, "DAA\0\0\0\0\0"],
      [0, "GBI\0\0\0\0\0"],
    ],
  },
  { what: "a MagicISO image (UIF)", marks: [[-64, "bbis"]] },
  { what: "an UltraISO image (ISZ)", marks: [[0, "IsZ!"]] },
  {
    what: "a compressed disc image of game consoles (CSO, ZSO, DAX, JSO)",
    marks: [
      [0, "CISO"],
      [0, "ZISO"],
      [0, "DAX\0"],
      [0, "JISO"],
    ],
  },
  { what: "a CD image without its checksums (ECM)", marks: [[0, "ECM\0"]] },
  {
    what: "a Windows image (WIM, ESD, SWM)",
    marks: [
      [0, "MSWIM\0\0\0"],
      [0, "WLPWM\0\0\0"],
    ],
  },
  { what: "a file compressed with gzip", marks: [[0, "\x1f\x8b\x08"]] },
  { what: "a file compressed with xz", marks: [[0, "\xfd7zXZ\0"]] },
  { what: "a file compressed with zstd", marks: [[0, "\x28\xb5\x2f\xfd"]] },
  { what: "a file compressed with bzip2", marks: [[0, "BZh"]] },
  { what: "a file compressed with compress (.Z)", marks: [[0, "\x1f\x9d\x90"]] },
];

/** No disk either, but a disk may begin with anything: a name that says raw is believed. */
const documents: readonly Foreign[] = [
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
  { what: "an archive of ar, such as a Debian package", marks: [[0, "!<arch>\n"]] },
  { what: "an RPM package", marks: [[0, "\xed\xab\xee\xdb"]] },
  { what: "a PDF document", marks: [[0, "%PDF-"]] },
  { what: "a PNG picture", marks: [[0, "\x89PNG"]] },
  { what: "a JPEG picture", marks: [[0, "\xff\xd8\xff"]] },
  { what: "a program (ELF)", marks: [[0, "\x7fELF"]] },
];

/** What the file with this head and tail is, if it is known and no raw disk, for a sentence that begins with the file's name. `namedRaw`: the name ends like that of a raw disk. */
export function foreignKind(
  { head, tail }: { readonly head: Uint8Array; readonly tail: Uint8Array },
  namedRaw: boolean,
): string | undefined {
  if (!namedRaw && isWindowsProgram(head)) return "it is a program of Windows or EFI, not a disk image";
  const known = (namedRaw ? images : [...images, ...documents]).find(({ marks }) =>
    marks.some(([position, signature]) => hasAt(position < 0 ? tail : head, position, signature)),
  );
  if (known)
    return images.includes(known)
      ? `it has the signature of ${known.what}, and is none that can be read`
      : `it is ${known.what}, not a disk image`;
  return !namedRaw && isText(head) ? "it is text, not a disk image" : undefined;
}

/** "MZ", and where the number at 0x3c says, "PE" (Microsoft, "PE Format"). */
function isWindowsProgram(head: Uint8Array): boolean {
  if (!hasAt(head, 0, "MZ") || head.length < 0x40) return false;
  return hasAt(head, new DataView(head.buffer, head.byteOffset, 0x40).getUint32(0x3c, true), "PE\0\0");
}

function hasAt(content: Uint8Array, position: number, signature: string): boolean {
  const at = position < 0 ? content.length + position : position;
  if (at < 0 || at + signature.length > content.length) return false;
  return Buffer.from(content.buffer, content.byteOffset + at, signature.length).toString("latin1") === signature;
}

/** Disks hold NUL bytes, and hardly ever nothing but UTF-8 without control characters. */
function isText(head: Uint8Array): boolean {
  const sample = head.subarray(0, 4096);
  if (sample.length === 0 || sample.some((byte) => byte < 32 && ![9, 10, 12, 13, 27].includes(byte))) return false;
  try {
    // `stream`: the sample may end inside a character.
    new TextDecoder("utf-8", { fatal: true }).decode(sample, { stream: true });
    return true;
  } catch {
    return false;
  }
}
