import { damaged, descriptions, documents, type Foreign, unread } from "./foreign-kinds.js";

/** What a file is when it is nothing that can be read here. Shown raw it would be wrong data, so it is refused by name. */
export interface ForeignKind {
  /** To follow the file's name. */
  readonly message: string;
  readonly hint?: string | undefined;
}

/** What the file with this head and tail is, if it is known and no raw disk. `namedRaw`: the name ends like that of a raw disk. */
export function foreignKind(
  { head, tail }: { readonly head: Uint8Array; readonly tail: Uint8Array },
  namedRaw: boolean,
): ForeignKind | undefined {
  if (!namedRaw && isWindowsProgram(head)) return { message: "it is a program of Windows or EFI, not a disk image" };
  const find = (kinds: readonly Foreign[]) =>
    kinds.find(({ marks }) => marks.some(([position, signature]) => hasAt(position < 0 ? tail : head, position, signature)));
  const broken = find(damaged);
  if (broken) return { message: `it has the signature of ${broken.what}, and is none that can be read` };
  const other = find(unread);
  if (other) return { message: `it is ${other.what}, which cannot be read`, hint: other.hint };
  if (namedRaw) return undefined;
  const document = find(documents);
  if (document) return { message: `it is ${document.what}, not a disk image` };
  return isText(head) ? textKind(head) : undefined;
}

function textKind(head: Uint8Array): ForeignKind {
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString("latin1");
  const known = descriptions.find(({ pattern }) => pattern.test(text));
  return known ? { message: `it is ${known.what}, and no disk`, hint: known.hint } : { message: "it is text, not a disk image" };
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

/** What raw disks, and file systems without a partition table, begin with. */
const beginnings: readonly (readonly [position: number, signature: string])[] = [
  [510, "\x55\xaa"],
  [512, "EFI PART"],
  [4096, "EFI PART"],
  [0, "ER"],
  [512, "PM"],
  [512, "LABELONE"],
  [512, "\x57\x45\x56\x82"],
  [1080, "\x53\xef"],
  [0, "XFSB"],
  [3, "NTFS    "],
  [3, "EXFAT   "],
  [1024, "H+"],
  [1024, "HX"],
  [1024, "BD"],
  [32, "NXSB"],
  [32_769, "CD001"],
  [32_769, "BEA01"],
  [0, "LUKS\xba\xbe"],
  [3, "-FVE-FS-"],
  [0, "hsqs"],
  [1024, "\xe2\xe1\xf5\xe0"],
  [1024, "\x10\x20\xf5\xf2"],
  [4086, "SWAPSPACE2"],
  [4096, "\xfc\x4e\x2b\xa9"],
  [0, "\xfc\x4e\x2b\xa9"],
  [32_768, "JFS1"],
  [8192 + 1372, "\x19\x54\x01\x19"],
  [32_768 + 1372, "\x19\x54\x01\x19"],
];

/** Whether the head is that of a disk, or of a file system that takes all of it. */
export function looksLikeDisk(head: Uint8Array): boolean {
  return beginnings.some(([position, signature]) => hasAt(head, position, signature));
}
