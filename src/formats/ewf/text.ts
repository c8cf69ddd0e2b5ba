// What was written down when the image was made: sections "header2" (UTF-16) and "header" (bytes of some code page), zlib-compressed lines of tab-separated values.
import { inflateSync } from "node:zlib";
import { readBytes } from "../../source/source.js";
import { errorRun, errors, limits } from "./layout.js";
import type { Segment } from "./segment.js";

/** The fields that are told, and what they are called in the section. */
const told: readonly (readonly [key: string, name: string])[] = [
  ["c", "case number"],
  ["n", "evidence number"],
  ["a", "description"],
  ["e", "examiner"],
  ["t", "remarks"],
  ["md", "model"],
  ["sn", "serial number"],
  ["av", "program version"],
  ["ov", "system"],
  ["m", "acquired"],
];
/** Characters of a value that are shown. */
const SHOWN = 200;

/** Never throws: it is told, and not relied on. */
export function caseFacts({ source, sections }: Segment): Readonly<Record<string, string>> {
  for (const wanted of ["header2", "header"]) {
    const section = sections.find(({ type }) => type === wanted);
    if (!section || section.end > source.size || section.end - section.start > limits.header) continue;
    try {
      const content = inflateSync(readBytes(source, section.start, section.end - section.start), { maxOutputLength: limits.header });
      return factsIn(textOf(content));
    } catch {
      // The other one may be whole.
    }
  }
  return {};
}

function textOf(content: Buffer): string {
  if (content[0] === 0xff && content[1] === 0xfe) return content.toString("utf16le", 2);
  if (content[0] === 0xfe && content[1] === 0xff)
    return Buffer.from(content.subarray(2, content.length & ~1))
      .swap16()
      .toString("utf16le");
  const utf8 = content.toString("utf8");
  return utf8.includes("\uFFFD") ? content.toString("latin1") : utf8;
}

function factsIn(text: string): Readonly<Record<string, string>> {
  const lines = text.split(/\r\n|\r|\n/);
  const start = lines.indexOf("main");
  const keys = lines[start + 1]?.split("\t") ?? [];
  const values = lines[start + 2]?.split("\t") ?? [];
  const facts: Record<string, string> = {};
  for (const [key, name] of start < 0 ? [] : told) {
    const value = values[keys.indexOf(key)]?.trim() ?? "";
    if (value !== "") facts[name] = key === "m" ? dateOf(value) : value.slice(0, SHOWN);
  }
  return facts;
}

/** Seconds since 1970 with EnCase 4 and later, numbers of year, month, day and so on of some clock with others. */
function dateOf(value: string): string {
  const seconds = /^\d{9,11}$/.test(value) ? Number(value) : undefined;
  return seconds === undefined ? value.slice(0, SHOWN) : new Date(seconds * 1000).toISOString();
}

/** The digests of the disk that were written down; the last ones count. */
export function digestsOf(segments: readonly Segment[]): Readonly<Record<"MD5" | "SHA1", string | undefined>> {
  const found: Record<"MD5" | "SHA1", string | undefined> = { MD5: undefined, SHA1: undefined };
  const { source, sections } = segments.at(-1) as Segment;
  for (const { type, start } of sections) {
    if ((type !== "hash" && type !== "digest") || start + 36 > source.size) continue;
    const content = readBytes(source, start, 36);
    const hexOf = (bytes: Buffer) => (bytes.every((byte) => byte === 0) ? undefined : bytes.toString("hex"));
    found.MD5 = hexOf(content.subarray(0, 16)) ?? found.MD5;
    if (type === "digest") found.SHA1 = hexOf(content.subarray(16, 36)) ?? found.SHA1;
  }
  return found;
}

/** Sectors that could not be read when the image was made; they are stored as zeros. */
export function unreadSectors(segments: readonly Segment[]): number {
  const { source, sections } = segments.at(-1) as Segment;
  const section = sections.find(({ type }) => type === "error2");
  if (!section || section.start + errors.size > source.size) return 0;
  const { entries } = errors.decode(readBytes(source, section.start, errors.size));
  const length = entries * errorRun.size;
  if (entries > limits.errorRuns || section.start + errors.size + length > source.size) return 0;
  const content = readBytes(source, section.start + errors.size, length);
  let sum = 0;
  for (let at = 0; at < length; at += errorRun.size) sum += errorRun.decode(content, at).count;
  return sum;
}
