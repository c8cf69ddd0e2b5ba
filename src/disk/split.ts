import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ImageError } from "../util/errors.js";
import { quote } from "../util/text.js";

/** How split(1), forensic imagers and archivers number the parts of a file: .001 .002 …, .000 .001 …, .aa .ab …, each as wide as the first. */
const numbered = /^(.*\.)(\d{2,}|[a-z]{2,3})$/;

/** More are nobody's. */
const PARTS_LIMIT = 20_000;

/**
 * The other parts of the file at `path`, in order, if it is the first of a file that was split; none otherwise.
 * Throws `PART_MISSING` if it is another part than the first, or one between is not there.
 */
export function otherParts(path: string): readonly string[] {
  const [, stem = "", first = ""] = numbered.exec(basename(path)) ?? [];
  const number = numberOf(first);
  if (stem === "" || number === undefined) return [];
  const folder = dirname(path);
  const present = new Set(
    readdirSync(folder)
      .filter((name) => name.startsWith(stem) && name.length === stem.length + first.length)
      .map((name) => name.slice(stem.length))
      .filter((suffix) => sameKind(suffix, first)),
  );
  const fail = (message: string, hint: string) => new ImageError("PART_MISSING", message, { file: path, hint });
  if (number > (isDigits(first) ? 1 : 0)) {
    const start = [0, 1].map((each) => suffixOf(each, first)).find((suffix) => present.has(suffix));
    if (start === undefined || !isRun(present, start, first)) return [];
    throw fail("it is a later part of a split image", `Name the first part, ${quote(stem + start)}.`);
  }
  const parts: string[] = [];
  for (let next = number + 1; present.has(suffixOf(next, first)); next += 1) parts.push(suffixOf(next, first));
  if (parts.length > PARTS_LIMIT) throw fail(`it has more than ${PARTS_LIMIT} parts`, "Join them with cat(1).");
  const missing = suffixOf(number + parts.length + 1, first);
  const later = [...present].filter((suffix) => suffix > missing && (numberOf(suffix) ?? 0) > number);
  if (later.length > 0)
    throw fail(`its part ${quote(stem + missing)} is missing, though there are later ones`, "Put it next to the others.");
  return parts.map((suffix) => join(folder, stem + suffix));
}

/** Whether `last` belongs to the parts that begin with `first`: with all between, or nearly so. */
function isRun(present: ReadonlySet<string>, first: string, last: string): boolean {
  return present.has(suffixOf((numberOf(first) ?? 0) + 1, last));
}

function isDigits(suffix: string): boolean {
  return /^\d+$/.test(suffix);
}

function sameKind(suffix: string, other: string): boolean {
  return isDigits(other) ? isDigits(suffix) : /^[a-z]+$/.test(suffix);
}

/** 0 for `aa`, 26 for `ba`; undefined for nothing. */
function numberOf(suffix: string): number | undefined {
  if (suffix === "") return undefined;
  if (isDigits(suffix)) return Number(suffix);
  return [...suffix].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 97, 0);
}

/** The suffix of part `number`, as wide as `like`. */
function suffixOf(number: number, like: string): string {
  if (isDigits(like)) return String(number).padStart(like.length, "0");
  let left = number;
  let suffix = "";
  for (let index = 0; index < like.length; index += 1) {
    suffix = String.fromCharCode(97 + (left % 26)) + suffix;
    left = Math.floor(left / 26);
  }
  return suffix;
}
