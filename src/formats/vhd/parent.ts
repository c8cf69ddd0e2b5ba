import { readBytes, type Source } from "../../source/source.js";
import { quote } from "../../util/text.js";
import type { ParentWish } from "../driver.js";
import { isTapdisk } from "./footer.js";
import type { DynamicHeader, VhdHeader } from "./header.js";
import { limits, parentLocator } from "./layout.js";

/** How a differencing disk names its parent. */
export interface ParentNames {
  readonly wish: ParentWish;
  /** Platform codes of the locators it has. */
  readonly codes: readonly string[];
  /** Locators that cannot be used, one sentence each. */
  readonly notes: readonly string[];
}

/** Section "Parent Locator", as far as a path comes of it. MacX may be relative: Xen writes it so. */
const readers: Readonly<Record<string, (content: Buffer) => string | undefined>> = {
  W2ru: (content) => utf16(content, "little"),
  W2ku: (content) => utf16(content, "little"),
  Wi2r: plainText,
  Wi2k: plainText,
  MacX: fileUrl,
};
const relativeCodes: readonly string[] = ["W2ru", "Wi2r"];

/** Reads all names: relative ones first, since images move together; then that of the header; then absolute ones. Never throws. */
export function readParentNames(source: Source, header: VhdHeader, dynamic: DynamicHeader): ParentNames {
  const codes: string[] = [];
  const notes: string[] = [];
  const relative: string[] = [];
  const absolute: string[] = [];
  for (let at = 0; at < dynamic.parentLocators.length; at += parentLocator.size) {
    const { platformCode, dataLength, dataOffset } = parentLocator.decode(dynamic.parentLocators, at);
    if (platformCode === "") continue;
    codes.push(platformCode);
    // An alias record of Mac OS: no path, but numbers of a volume that only it knows.
    if (platformCode === "Mac ") continue;
    const name = readName(source, platformCode, Number(dataOffset), dataLength);
    if (name.problem !== undefined) notes.push(`Its parent locator ${quote(platformCode)} is not used: ${name.problem}.`);
    else
      (relativeCodes.includes(platformCode) || (platformCode === "MacX" && !name.path.startsWith("/")) ? relative : absolute).push(
        name.path,
      );
  }
  const recorded = utf16(Buffer.from(dynamic.parentUnicodeName), "big");
  const names = [...new Set([...relative, ...(recorded === undefined ? [] : [recorded]), ...absolute])];
  return { wish: wishFor(header, dynamic, names), codes, notes };
}

function wishFor({ footer }: VhdHeader, { parentUniqueId }: DynamicHeader, names: readonly string[]): ParentWish {
  const id = uuid(parentUniqueId);
  if (id !== undefined) return { names, format: "vhd", identities: [{ kind: "UUID", value: id }] };
  // What is raw has no UUID, and is not to be looked into: its first bytes are the guest's.
  return isTapdisk(footer) ? { names, format: "raw" } : { names };
}

type Name = { readonly path: string; readonly problem?: undefined } | { readonly problem: string };

function readName(source: Source, code: string, position: number, length: number): Name {
  const read = readers[code];
  if (!read) return { problem: "its kind is not known" };
  if (length > limits.locator) return { problem: `it has ${length} bytes, and ${limits.locator} are the limit` };
  if (position + length > source.size) return { problem: "it is behind the end of the file" };
  const path = read(readBytes(source, position, length));
  return path === undefined ? { problem: length === 0 ? "it is empty" : "it is no path" } : { path };
}

/**
 * UTF-16 up to a NUL. Writers have mixed up the orders: a path has ASCII in it (a dot, a slash), so the order in which more characters are ASCII is right,
 * `order` if both are.
 */
function utf16(content: Buffer, order: "big" | "little"): string | undefined {
  const even = content.subarray(0, content.length & ~1);
  const little = textOf(even.toString("utf16le"));
  const big = textOf(Buffer.from(even).swap16().toString("utf16le"));
  const [expected, other] = order === "little" ? [little, big] : [big, little];
  const text = asciiIn(other) > asciiIn(expected) ? other : expected;
  return text === "" ? undefined : text;
}

function textOf(decoded: string): string {
  const end = decoded.indexOf("\0");
  return (end < 0 ? decoded : decoded.slice(0, end)).replace(/^\uFEFF/, "");
}

function asciiIn(text: string): number {
  return text.replace(/[^ -~]/g, "").length;
}

/** The deprecated codes hold bytes of an unknown code page with VirtualBox, and UTF-16 with others. */
function plainText(content: Buffer): string | undefined {
  const text = content.toString("utf8");
  if (content.length > 1 && (content[0] === 0 || content[1] === 0)) return utf16(content, "little");
  const plain = textOf(text.includes("\uFFFD") ? content.toString("latin1") : text);
  return plain === "" ? undefined : plain;
}

/** `file://localhost/vm/base%20disk.vhd`, or `file://./base.vhd` of Xen, which escapes nothing. */
function fileUrl(content: Buffer): string | undefined {
  const path = /^file:(?:\/\/(?:localhost(?=\/))?)?(.+)$/is.exec(textOf(content.toString("utf8")))?.[1];
  if (path === undefined) return undefined;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** The 16 bytes as they stand, in the usual groups; undefined if all are zero. */
export function uuid(bytes: Uint8Array): string | undefined {
  if (bytes.every((byte) => byte === 0)) return undefined;
  return Buffer.from(bytes)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
