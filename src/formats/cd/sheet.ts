import { basename } from "node:path";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Opener } from "../driver.js";
import { FRAMES } from "./sectors.js";

/** Bytes of a sheet. With titles in eight languages they have some 100,000. */
const SHEET_LIMIT = 2 ** 20;

/** Characters of a line: paths have 4096 at most. */
const LINE_LIMIT = 8192;

/** Files of one disc, each of which takes a descriptor of the process. Two for each track are usual at most. */
const PART_LIMIT = 256;

/** The most that a CD can have. */
export const TRACK_LIMIT = 99;

export interface Sheet {
  readonly text: string;
  /** The encoding is not told: the text is its bytes, as Latin-1. */
  readonly plain: boolean;
}

/** Reads a sheet. Throws `UNSUPPORTED` for what is too long to be one. */
export function readSheet(source: Source): Sheet {
  if (source.size > SHEET_LIMIT) {
    throw new ImageError("UNSUPPORTED", `the sheet has ${source.size} bytes; ${SHEET_LIMIT} are the limit`, { file: source.name });
  }
  return textOf(readBytes(source, 0, source.size));
}

/** The lines of a sheet, trimmed. Throws `CORRUPT` for one that is too long to be one. */
export function linesOf({ text }: Sheet, file: string): readonly string[] {
  return text.split(/\r\n|\r|\n/).map((line, index) => {
    if (line.length > LINE_LIMIT) throw corruptSheet(file, index + 1, `it has ${line.length} characters; ${LINE_LIMIT} are the limit`);
    return line.trim();
  });
}

/** The text at the beginning of a file, for a look at it. */
export function textOf(content: Uint8Array): Sheet {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  const mark = bytes.toString("latin1", 0, 3);
  if (mark === "\xef\xbb\xbf") return { text: bytes.toString("utf8", 3), plain: false };
  if (mark.startsWith("\xff\xfe")) return { text: bytes.toString("utf16le", 2), plain: false };
  if (mark.startsWith("\xfe\xff")) {
    const even = Buffer.from(bytes.subarray(2, bytes.length & ~1));
    return { text: even.swap16().toString("utf16le"), plain: false };
  }
  return { text: bytes.toString("latin1"), plain: true };
}

/** `03:12:74` → sectors; undefined for what is no time. Minutes may go over 99, where a sheet is of a DVD. */
export function parseTime(text: string): number | undefined {
  const [, minutes, seconds, frames] = /^(\d{1,5}):(\d{1,2}):(\d{1,2})$/.exec(text) ?? [];
  if (minutes === undefined || Number(seconds) > 59 || Number(frames) >= FRAMES) return undefined;
  return (Number(minutes) * 60 + Number(seconds)) * FRAMES + Number(frames);
}

/** The files of a sheet, each opened once. */
export interface Parts {
  /** The file that the sheet calls by one of `names`, best first. Throws what the first could not be opened with. */
  open(names: readonly string[]): Source;
  readonly opened: readonly Source[];
  close(): void;
}

export function createParts(opener: Opener): Parts {
  const byName = new Map<string, Source>();
  function openOnce(name: string): Source {
    const known = byName.get(name);
    if (known) return known;
    if (byName.size === PART_LIMIT) throw new ImageError("UNSUPPORTED", `it names more than ${PART_LIMIT} files`);
    const source = opener.part(name);
    byName.set(name, source);
    return source;
  }
  return {
    open(names) {
      let failure: ImageError | undefined;
      for (const name of names) {
        try {
          return openOnce(name);
        } catch (error) {
          if (!(error instanceof ImageError)) throw error;
          failure ??= error;
          // Only where there is no such file its name may be another one.
          if (error.code !== "PART_MISSING") throw error;
        }
      }
      throw failure ?? new ImageError("CORRUPT", "it names no file");
    },
    get opened() {
      return [...byName.values()];
    },
    close() {
      for (const source of byName.values()) source.close();
    },
  };
}

/** Encodings of sheets that do not tell theirs, after UTF-8. */
const encodings = ["utf-8", "windows-1252", "shift_jis", "gbk", "big5", "euc-kr", "windows-1251"] as const;

/** What the file may be called that a sheet names as `name`. Sheets of systems that take upper and lower case for the same are not exact about it. */
export function namesFor(name: string, { plain }: Pick<Sheet, "plain">): readonly string[] {
  const readings = plain && /[\x80-\xff]/.test(name) ? encodings.flatMap((label) => decoded(name, label) ?? []) : [name];
  return [...new Set([...readings, ...readings.flatMap((each) => [each.toLowerCase(), each.toUpperCase()])])];
}

function decoded(name: string, label: string): string | undefined {
  try {
    return new TextDecoder(label, { fatal: true }).decode(Buffer.from(name, "latin1"));
  } catch {
    return undefined;
  }
}

/** The names of files beside the sheet called `sheet` that have its name with one of `extensions`. */
export function siblings(sheet: string, extensions: readonly string[]): readonly string[] {
  const name = basename(sheet);
  const stem = name.replace(/\.[^.]*$/, "");
  return [...new Set([stem, name])].flatMap((each) =>
    extensions.flatMap((extension) => [each + extension, each + extension.toUpperCase()]),
  );
}

/** Extensions of what describes data files of the same name. */
const sheets = [".cue", ".ccd", ".mds", ".toc"] as const;

/** Of the file called `name`, which may hold the sectors of a disc: what may describe it, beside it. It can be opened without, if need be. */
export function sheetNames(name: string): readonly string[] {
  return /\.(?:bin|img|mdf|iso|raw|bwi)$/i.test(name) ? siblings(name, sheets) : [];
}

/** Refuses what a disc has none of. */
export function refuseChoice(source: Source, { snapshot, disk }: { snapshot?: string | undefined; disk?: string | undefined }): void {
  const asked = snapshot !== undefined ? "snapshots" : disk !== undefined ? "several disks" : undefined;
  if (asked !== undefined) throw new ImageError("UNSUPPORTED", `an image of a disc has no ${asked}`, { file: source.name });
}

export function corruptSheet(file: string, line: number, message: string): ImageError {
  return new ImageError("CORRUPT", `line ${line}: ${message}`, { file });
}

export function notUnderstood(line: number, text: string): string {
  return `Line ${line} is not understood and left out: ${quote(text.slice(0, 60))}.`;
}
