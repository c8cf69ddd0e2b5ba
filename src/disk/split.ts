import { readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ImageError, reasonOf } from "../util/errors.js";
import { quote } from "../util/text.js";

/** How split(1), forensic imagers and archivers number the parts of a file: .001 .002 …, .000 .001 …, .aa .ab …, as wide as the first as long as they last. */
const numbered = /^(.*\.)(\d{2,6}|[a-z]{2,4})$/s;

/** More are nobody's. */
const PARTS_LIMIT = 20_000;
/** Letters are file extensions, too: those this far behind the last part say that one between is missing, others have nothing to do with it. */
const NEAR = 26;

const OTHERWISE = "If the file is a disk of its own, add --offset 0; if the parts are called otherwise, name each with --part.";

/**
 * The other parts of the file at `path`, in order, if it is the first of a file that was split; none otherwise. A link is followed if it has none itself.
 * `signatureOf` tells what format a file begins with, if any: where two begin alike, both are images of their own.
 * Throws `PART_MISSING` if it is another part than the first, or one between is not there.
 */
export function otherParts(path: string, signatureOf: (path: string) => string | undefined): readonly string[] {
  const parts = partsAfter(path, signatureOf);
  if (parts.length > 0) return parts;
  const real = realOf(path);
  return real === undefined || real === path ? [] : partsAfter(real, signatureOf);
}

function partsAfter(path: string, signatureOf: (path: string) => string | undefined): readonly string[] {
  const [, stem = "", own = ""] = numbered.exec(basename(path)) ?? [];
  const folder = dirname(path);
  const fail = (message: string, hint: string) => new ImageError("PART_MISSING", message, { file: path, hint: `${hint} ${OTHERWISE}` });
  const start = own === "" ? undefined : startOf(own, (suffix) => isFile(join(folder, stem + suffix)));
  if (start === undefined) return [];
  const isAlike = (suffix: string) => {
    const signature = signatureOf(path);
    return signature !== undefined && signature === signatureOf(join(folder, stem + suffix));
  };
  if (start !== own) {
    if (isAlike(start)) return [];
    throw fail("it is a later part of a split image", `Name the first part, ${quote(stem + start)}.`);
  }

  const present = suffixesIn(path, folder, stem);
  const parts: string[] = [];
  let next = following(own);
  for (let part = next.find(isPresent); part !== undefined; part = next.find(isPresent)) {
    if (parts.length === PARTS_LIMIT) throw fail(`it has more than ${PARTS_LIMIT} parts`, "Join them with cat(1).");
    parts.push(part);
    next = following(part);
  }
  const [missing = ""] = next;
  if (next.some((expected) => hasLater(present, expected))) {
    throw fail(`its part ${quote(stem + missing)} is missing, though there are later ones`, "Put it next to the others.");
  }
  if (parts[0] !== undefined && isAlike(parts[0])) return [];
  return parts.map((suffix) => join(folder, stem + suffix));

  function isPresent(suffix: string): boolean {
    return present.has(suffix);
  }
}

/** The number of the first part, if `own` is it or a later one of the same file; undefined if it is neither. */
function startOf(own: string, exists: (suffix: string) => boolean): string | undefined {
  const digits = isDigits(own);
  const number = numberOf(own);
  for (let width = own.length; width >= 2; width -= 1) {
    // Numbers become wider only when the narrower ones are used up.
    if (width < own.length && !lastOf(width, digits).some(exists)) continue;
    const start = (digits ? [0, 1] : [0]).map((each) => suffixOf(each, width, digits)).find(exists);
    if (start === own) return own;
    if (start !== undefined && (number === numberOf(start) + 1 || exists(following(start)[0] ?? ""))) return start;
  }
  return undefined;
}

/** What the suffixes of that width may end with, all used up: all nines, or where split(1) goes on with wider ones. */
function lastOf(width: number, digits: boolean): readonly string[] {
  const base = digits ? 10 : 26;
  const all = digits ? [base ** width - 1] : [];
  return [...all, ...(width % 2 === 0 ? [base ** width - base ** (width / 2) - 1] : [])].map((last) => suffixOf(last, width, digits));
}

/** What may stand behind the part `suffix`. split(1) goes from 89 to 9000 and from yz to zaaa; others go from 999 to 1000. */
function following(suffix: string): readonly string[] {
  const digits = isDigits(suffix);
  const width = suffix.length;
  const number = numberOf(suffix) + 1;
  if (!digits && number === 26 ** width) return [];
  const next = suffixOf(number, width, digits);
  const isLast = lastOf(width, digits).includes(suffix);
  return isLast && next.length === width ? [next, `${next}${suffixOf(0, 2, digits)}`] : [next];
}

/** Whether there are parts behind the one that is missing. */
function hasLater(present: ReadonlySet<string>, missing: string): boolean {
  const digits = isDigits(missing);
  const number = numberOf(missing);
  return [...present].some(
    (suffix) =>
      suffix.length === missing.length && isDigits(suffix) === digits && suffix > missing && (digits || numberOf(suffix) <= number + NEAR),
  );
}

/** What follows `stem` in the names of the folder's files. */
function suffixesIn(path: string, folder: string, stem: string): ReadonlySet<string> {
  try {
    const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.name.startsWith(stem) && !entry.isDirectory());
    return new Set(names.map(({ name }) => name.slice(stem.length)).filter((suffix) => /^(?:\d+|[a-z]+)$/.test(suffix)));
  } catch (cause) {
    const message = `its folder cannot be looked through for the parts that may follow: ${reasonOf(cause)}`;
    throw new ImageError("UNREADABLE", message, { file: path, hint: OTHERWISE, cause });
  }
}

function isDigits(suffix: string): boolean {
  return /^\d+$/.test(suffix);
}

/** 0 for `aa`, 26 for `ba`. */
function numberOf(suffix: string): number {
  if (isDigits(suffix)) return Number(suffix);
  return Buffer.from(suffix).reduce((sum, letter) => sum * 26 + letter - 97, 0);
}

/** The suffix of part `number`, `width` characters wide, or wider where it takes more digits. */
function suffixOf(number: number, width: number, digits: boolean): string {
  if (digits) return String(number).padStart(width, "0");
  let left = number;
  let suffix = "";
  for (let index = 0; index < width; index += 1) {
    suffix = String.fromCharCode(97 + (left % 26)) + suffix;
    left = Math.floor(left / 26);
  }
  return suffix;
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
