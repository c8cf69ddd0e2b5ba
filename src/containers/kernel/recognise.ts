// Kernels as boot loaders and clouds (AKI) take them.
import { readBytes, type Source } from "../../source/source.js";
import { decodeText } from "../../util/decode-text.js";

/** What a kernel says of itself. */
export interface Kernel {
  /** Such as `x86 bzImage, boot protocol 2.15`. */
  readonly variant: string;
  readonly details: Readonly<Record<string, string | number | boolean>>;
  /** The kernel proper, which the file unpacks at its start. Bytes. */
  readonly payload?: { readonly position: number; readonly size: number };
  /** Sums over parts of the file. */
  readonly sums?: readonly { readonly what: string; readonly position: number; readonly size: number; readonly crc32: number }[];
}

/** Enough for every header, and for the text with the version in the setup code. */
const HEAD_SIZE = 64 * 1024;

/** The kernel in `disk`; undefined if it is none. */
export function recogniseKernel(disk: Source): Kernel | undefined {
  if (disk.size < 64) return undefined;
  const head = readBytes(disk, 0, Math.min(HEAD_SIZE, disk.size));
  return x86(head, disk.size) ?? elf(head, disk) ?? uImage(head, disk.size) ?? zboot(head, disk.size) ?? arm(head);
}

/** Linux, Documentation/arch/x86/boot.rst. */
function x86(head: Buffer, size: number): Kernel | undefined {
  if (head.length < 0x260 || head.readUInt16LE(0x1fe) !== 0xaa55 || head.toString("latin1", 0x202, 0x206) !== "HdrS") return undefined;
  const protocol = head.readUInt16LE(0x206);
  const setupSectors = head[0x1f1] === 0 ? 4 : (head[0x1f1] ?? 0);
  const text = head.readUInt16LE(0x20e);
  const version = text === 0 ? "" : textAt(head, text + 0x200);
  const isBig = ((head[0x211] ?? 0) & 1) === 1;
  const position = protocol >= 0x208 ? (setupSectors + 1) * 512 + head.readUInt32LE(0x248) : 0;
  const length = protocol >= 0x208 ? head.readUInt32LE(0x24c) : 0;
  const hasPayload = length > 8 && position + length <= size;
  return {
    variant: `x86 ${isBig ? "bzImage" : "zImage"}, boot protocol ${protocol >> 8}.${String(protocol & 0xff).padStart(2, "0")}`,
    details: {
      ...(version !== "" && { version }),
      ...(protocol >= 0x205 && { relocatable: head[0x234] === 1 }),
      ...(protocol >= 0x20c && { "64-bit entry": (head.readUInt16LE(0x236) & 1) === 1 }),
      "EFI stub": head.toString("latin1", 0, 2) === "MZ",
    },
    ...(hasPayload && { payload: { position, size: length } }),
  };
}

const machines: Readonly<Record<number, string>> = {
  3: "x86",
  8: "MIPS",
  20: "PowerPC",
  21: "PowerPC 64",
  22: "S/390",
  40: "ARM",
  50: "Itanium",
  62: "x86-64",
  183: "ARM64",
  243: "RISC-V",
  258: "LoongArch",
};

/** What boot loaders look for in a program: Multiboot 0.6.96, section 3.1.1, Multiboot2 2.0, section 3.1.1, and xen/include/public/elfnote.h. */
function bootMarks(head: Buffer): readonly string[] {
  const marks: string[] = [];
  for (let at = 0; at + 12 <= Math.min(8192, head.length); at += 4) {
    if (head.readUInt32LE(at) !== 0x1badb002) continue;
    if ((0x1badb002 + head.readUInt32LE(at + 4) + head.readUInt32LE(at + 8)) % 2 ** 32 === 0) marks.push("Multiboot");
  }
  for (let at = 0; at + 16 <= Math.min(32_768, head.length); at += 8) {
    const fields = [0, 4, 8, 12].map((field) => head.readUInt32LE(at + field));
    if (fields[0] === 0xe85250d6 && fields.reduce((sum, field) => sum + field, 0) % 2 ** 32 === 0) marks.push("Multiboot2");
  }
  return [...new Set(marks)];
}

/** Whether one of the notes at `at` is of Xen: the sizes of the name and of the rest, a type, the name. */
function hasXenNote(disk: Source, at: number, size: number): boolean {
  if (size < 16 || at + size > disk.size) return false;
  const notes = readBytes(disk, at, Math.min(size, HEAD_SIZE));
  return notes.indexOf("\x04\0\0\0", 0, "latin1") >= 0 && notes.indexOf("Xen\0", 12, "latin1") >= 12;
}

/**
 * A program that lies where only kernels do, in the upper half of the addresses, and without an interpreter; or one that boot loaders or Xen know by
 * what is written in it.
 */
function elf(head: Buffer, disk: Source): Kernel | undefined {
  if (head.toString("latin1", 0, 4) !== "\x7fELF") return undefined;
  const wide = head[4] === 2;
  const big = head[5] === 2;
  const u16 = (at: number) => (big ? head.readUInt16BE(at) : head.readUInt16LE(at));
  const u32 = (at: number) => (big ? head.readUInt32BE(at) : head.readUInt32LE(at));
  if (u16(16) !== 2 && u16(16) !== 3) return undefined;
  // Tables of programs follow the header: less than 4 GiB into the file.
  const table = wide ? u32(big ? 36 : 32) : u32(28);
  const entrySize = u16(wide ? 54 : 42);
  const count = u16(wide ? 56 : 44);
  const least = wide ? 56 : 32;
  let isHigh = false;
  let isXen = false;
  for (let index = 0; index < Math.min(count, 64); index += 1) {
    const at = table + index * entrySize;
    if (entrySize < least || at + entrySize > head.length) break;
    const type = u32(at);
    if (type === 3) return undefined;
    const offset = wide ? u32(at + (big ? 12 : 8)) : u32(at + 4);
    const size = wide ? u32(at + (big ? 36 : 32)) : u32(at + 16);
    if (type === 4 && hasXenNote(disk, offset, size)) isXen = true;
    const upper = wide ? u32(at + (big ? 16 : 20)) : u32(at + 8);
    if (type === 1 && upper >= (wide ? 0xffff0000 : 0x80000000)) isHigh = true;
  }
  const machine = machines[u16(18)] ?? `machine ${u16(18)}`;
  const starters = [...(big ? [] : bootMarks(head)), ...(isXen ? ["Xen"] : [])];
  if (!isHigh && starters.length === 0) return undefined;
  return {
    variant: `ELF, ${machine}`,
    details: { bits: wide ? 64 : 32, ...(starters.length > 0 && { "started by": starters.join(", ") }) },
  };
}

const uImageCompressions = ["none", "gzip", "bzip2", "lzma", "lzo", "lz4", "zstd"] as const;

/** U-Boot, include/image.h: big-endian, 64 bytes, then the image. Type 2 is a kernel. */
function uImage(head: Buffer, size: number): Kernel | undefined {
  if (head.readUInt32BE(0) !== 0x27051956 || head[30] !== 2) return undefined;
  const length = Math.min(head.readUInt32BE(12), size - 64);
  return {
    variant: "uImage",
    details: { name: textAt(head.subarray(0, 64), 32), compression: uImageCompressions[head[31] ?? 0] ?? `number ${head[31]}` },
    ...(length > 0 && { payload: { position: 64, size: length } }),
    sums: [
      // The header's is counted without itself.
      { what: "header", position: 0, size: 64, crc32: head.readUInt32BE(4) },
      { what: "data", position: 64, size: head.readUInt32BE(12), crc32: head.readUInt32BE(24) },
    ],
  };
}

/** EFI zboot (Linux, drivers/firmware/efi/libstub/zboot-header.S). */
function zboot(head: Buffer, size: number): Kernel | undefined {
  if (head.toString("latin1", 0, 2) !== "MZ" || head.toString("latin1", 4, 8) !== "zimg") return undefined;
  const position = head.readUInt32LE(8);
  const length = head.readUInt32LE(12);
  return {
    variant: "EFI zboot",
    details: { compression: textAt(head.subarray(0, 56), 24) },
    ...(length > 0 && position + length <= size && { payload: { position, size: length } }),
  };
}

/** Linux, Documentation/arch/arm64/booting.rst and arch/riscv/boot-image-header.rst; the magic of ARM's zImage is at 0x24. */
function arm(head: Buffer): Kernel | undefined {
  const magic = head.toString("latin1", 56, 60);
  if (magic === "ARM\x64") return { variant: "ARM64 Image", details: { "EFI stub": head.toString("latin1", 0, 2) === "MZ" } };
  if (magic === "RSC\x05") return { variant: "RISC-V Image", details: { "EFI stub": head.toString("latin1", 0, 2) === "MZ" } };
  return head.readUInt32LE(0x24) === 0x016f2818 ? { variant: "ARM zImage", details: {} } : undefined;
}

/** What stands at `at` up to a NUL, no longer than a line. */
function textAt(content: Buffer, at: number): string {
  if (at >= content.length) return "";
  const end = content.indexOf(0, at);
  return decodeText(content.subarray(at, Math.min(end < 0 ? content.length : end, at + 256)))
    .replaceAll(/[\p{Cc}]+/gu, " ")
    .trim();
}
