// The descriptor of a VMDK: VMware, "Virtual Disk Format 5.0", section "The Descriptor File".
import { ImageError } from "../../util/errors.js";
import { quote, withoutTrailingZeros } from "../../util/text.js";
import { type ExtentLine, readExtentLine } from "./extent-line.js";
import { isKnownEncoding, readingsOf } from "./text.js";

/** Bytes. Descriptors have some hundred, and some thousand where there are very many extents. */
export const DESCRIPTOR_LIMIT = 8 * 2 ** 20;

const EXTENT_LIMIT = 65_536;

/** Bytes in which the first line must be found. */
const HEAD = 4096;

export interface Descriptor {
  /** Keys in lower case; values without quotes. */
  readonly values: ReadonlyMap<string, string>;
  /** What `parentFileNameHint` may mean, best first. */
  readonly parentNames: readonly string[];
  readonly extents: readonly ExtentLine[];
  readonly notes: readonly string[];
}

/** The four spellings of the first line. */
const firstLine = /^#[ \t]?Disk[ \t]+Descriptor[ \t]?File/i;

/** What changes the meaning of everything else: it must not stand there twice. */
const decisive: readonly string[] = ["version", "cid", "parentcid", "createtype", "parentfilenamehint", "encoding", "ddb.uuid.parent"];

/**
 * Whether the head of a file is that of a descriptor: it has the first line, after other comments at most, or it has lost it, but begins with a version and
 * has a type.
 */
export function isDescriptor(head: Uint8Array): boolean {
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, HEAD)).toString("latin1");
  for (const line of linesOf(text)) {
    if (firstLine.test(line)) return true;
    if (line !== "" && !line.startsWith("#")) return /^version[ \t]*=[ \t]*\d/i.test(line) && /^[ \t]*createType[ \t]*=/im.test(text);
  }
  return false;
}

/** Trimmed. */
function linesOf(text: string): readonly string[] {
  return text
    .replace(/^\xef\xbb\xbf/, "")
    .split(/\r\n|\r|\n/)
    .map((line) => line.trim());
}

/** Reads a descriptor; `file` names it in errors. Throws `CORRUPT` for a line that cannot be read: an extent left out would shift those behind it. */
export function parseDescriptor(content: Uint8Array, file: string): Descriptor {
  const text = textOf(content, file);
  const lines = linesOf(text);
  const values = readValues(lines, file);
  const encoding = values.get("encoding");
  const readings = (raw: string) => readingsOf(raw, encoding);
  const extents: ExtentLine[] = [];
  lines.forEach((line, index) => {
    const extent = isComment(line) ? undefined : readExtentLine(line, { file, readings, ended: index < lines.length - 1 });
    if (extent) extents.push(extent);
  });
  if (extents.length > EXTENT_LIMIT) {
    throw new ImageError("UNSUPPORTED", `it has ${extents.length} extents; ${EXTENT_LIMIT} are the limit`, { file });
  }
  const hint = values.get("parentfilenamehint") ?? "";
  return {
    values: new Map([...values].map(([key, raw]) => [key, readings(raw)[0] ?? raw])),
    parentNames: hint === "" ? [] : readings(hint),
    extents,
    notes: notesOf(values),
  };
}

/**
 * Bytes that may follow the zeros behind the text: QEMU writes a shorter CID, and with it a shorter text, over the longer one, of which up to 7 bytes
 * stay. No extent line is that short.
 */
const LEFTOVER = 7;

/** The text as Latin-1, without the zeros that fill it up, and what an older, longer text left. */
function textOf(content: Uint8Array, file: string): string {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  const end = bytes.indexOf(0);
  const after = end < 0 ? "" : bytes.toString("latin1", end).replace(/^\0+/, "");
  if (withoutTrailingZeros(after).length > LEFTOVER) {
    throw new ImageError("CORRUPT", "the descriptor has zeros in the midst of its text", { file, position: end });
  }
  return bytes.toString("latin1", 0, end < 0 ? bytes.length : end);
}

/** Values as Latin-1. The first of a name counts. */
function readValues(lines: readonly string[], file: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of lines) {
    const [, name, rest = ""] = /^([^=\s"]+)[ \t]*=(.*)$/.exec(line) ?? [];
    if (isComment(line) || name === undefined) continue;
    const key = name.toLowerCase();
    const value = unquoted(rest.trim());
    const before = values.get(key);
    if (before === undefined) values.set(key, value);
    else if (before !== value && decisive.includes(key)) {
      throw new ImageError("CORRUPT", `the descriptor has ${name} twice: ${quote(before)} and ${quote(value)}`, { file });
    }
  }
  return values;
}

/** The Ctrl-Z is how DOS ended texts. */
function isComment(line: string): boolean {
  return line === "" || line.startsWith("#") || line === "\x1a";
}

function unquoted(text: string): string {
  return (/^"(.*)"/.exec(text)?.[1] ?? text.replace(/^"/, "")).trim();
}

function notesOf(values: ReadonlyMap<string, string>): readonly string[] {
  const encoding = values.get("encoding");
  const version = values.get("version");
  return [
    ...(encoding === undefined || isKnownEncoding(encoding)
      ? []
      : [`Its encoding ${quote(encoding)} is not known here: names of files may be read wrong.`]),
    ...(version === undefined || /^[1-4]$/.test(version) ? [] : [`Its descriptor has the version ${quote(version)}; 1 to 4 are known.`]),
  ];
}
