import { ImageError } from "../../util/errors.js";

/** What LVM2 writes its metadata in: sections in braces, `name = value`, comments behind `#`. */
export type Section = ReadonlyMap<string, Value>;
type Value = number | string | readonly (number | string)[] | Section;

/** A volume group's segments lie four deep. */
const maxDepth = 8;

/** Names and numbers. */
const word = /[A-Za-z0-9_.+/-]+/y;
const marks = "={}[],";

interface Reader {
  readonly text: string;
  /** What comes next; undefined: nothing. `text` of a mark is the mark. */
  next: Token | undefined;
  /** Where what comes behind `next` starts. */
  at: number;
}

interface Token {
  readonly kind: "word" | "string" | "mark";
  readonly text: string;
}

/** Decodes LVM metadata; throws `CORRUPT` where it is not that. The time is in proportion to the text. */
export function parseLvmText(text: string): Section {
  const reader: Reader = { text, next: undefined, at: 0 };
  advance(reader);
  const section = readSection(reader, 0);
  if (reader.next) throw unexpected(reader);
  return section;
}

function advance(reader: Reader): void {
  const { text } = reader;
  const at = skipBlanks(text, reader.at);
  const first = text[at];
  reader.at = Math.min(at + 1, text.length);
  if (first === undefined) reader.next = undefined;
  else if (marks.includes(first)) reader.next = { kind: "mark", text: first };
  else if (first === '"') readString(reader);
  else {
    word.lastIndex = at;
    const found = word.exec(text)?.[0];
    if (found === undefined) throw unexpected(reader);
    reader.at = at + found.length;
    reader.next = { kind: "word", text: found };
  }
}

/** Behind blanks and comments; the NUL that the text ends in is one of them. */
function skipBlanks(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === 0x23) {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
    } else if (code <= 0x20) at += 1;
    else return at;
  }
}

/** The rest of a string; a backslash takes the meaning from what follows it. */
function readString(reader: Reader): void {
  const { text, at: start } = reader;
  let at = start;
  while (text[at] !== '"') {
    if (at >= text.length) throw unexpected(reader);
    at += text[at] === "\\" ? 2 : 1;
  }
  reader.at = at + 1;
  reader.next = { kind: "string", text: text.slice(start, at).replace(/\\(.)/gs, "$1") };
}

function isMark({ next }: Reader, mark: string): boolean {
  return next?.kind === "mark" && next.text === mark;
}

function take(reader: Reader): Token {
  const taken = reader.next;
  if (!taken) throw unexpected(reader);
  advance(reader);
  return taken;
}

function readSection(reader: Reader, depth: number): Section {
  if (depth > maxDepth) throw new ImageError("CORRUPT", `the sections are nested more than ${maxDepth} deep`);
  const entries = new Map<string, Value>();
  while (reader.next && !isMark(reader, "}")) {
    const name = take(reader);
    if (name.kind === "mark" || entries.has(name.text)) throw unexpected(reader);
    const mark = take(reader);
    if (mark.kind !== "mark") throw unexpected(reader);
    if (mark.text === "=") {
      entries.set(name.text, isMark(reader, "[") ? readList(reader) : readSingle(reader));
    } else if (mark.text === "{") {
      entries.set(name.text, readSection(reader, depth + 1));
      if (!isMark(reader, "}")) throw unexpected(reader);
      advance(reader);
    } else throw unexpected(reader);
  }
  return entries;
}

function readList(reader: Reader): (number | string)[] {
  const values: (number | string)[] = [];
  advance(reader);
  while (!isMark(reader, "]")) {
    values.push(readSingle(reader));
    if (isMark(reader, ",")) advance(reader);
    else if (!isMark(reader, "]")) throw unexpected(reader);
  }
  advance(reader);
  return values;
}

function readSingle(reader: Reader): number | string {
  const { kind, text } = take(reader);
  if (kind === "string") return text;
  if (kind === "mark" || !/^-?\d+(?:\.\d+)?$/.test(text)) throw unexpected(reader);
  return Number(text);
}

function unexpected({ at }: Reader): ImageError {
  return new ImageError("CORRUPT", `the text is damaged near its byte ${at}`);
}

/** The whole number `name` of a section, at least `least`; throws `CORRUPT` if it is not there. */
export function numberIn(section: Section, name: string, least = 0): number {
  const value = section.get(name);
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least) return value;
  throw new ImageError("CORRUPT", `"${name}" is not a number of ${least} or more`);
}

export function textIn(section: Section, name: string): string | undefined {
  const value = section.get(name);
  return typeof value === "string" ? value : undefined;
}

/** An empty list if it is not there. */
export function listIn(section: Section, name: string): readonly (number | string)[] {
  const value = section.get(name);
  return Array.isArray(value) ? (value as readonly (number | string)[]) : [];
}

export function sectionIn(section: Section, name: string): Section | undefined {
  const value = section.get(name);
  return value instanceof Map ? value : undefined;
}

/** The sections below `section`, in their order. */
export function sectionsOf(section: Section): [name: string, section: Section][] {
  return [...section].flatMap(([name, value]) => (value instanceof Map ? [[name, value as Section] as [string, Section]] : []));
}
