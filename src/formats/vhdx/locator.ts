// Section 2.6.2.6: which disk this one is a difference to.
import type { Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { mixedGuid } from "../../util/guid.js";
import { quote, withoutTrailingZeros } from "../../util/text.js";
import { locatorEntry, locatorHeader, VHDX_LOCATOR } from "./layout.js";

export interface ParentLocator {
  /** As they are recorded, in the order in which they are to be tried. */
  readonly names: readonly string[];
  /** What the parent's DataWriteGuid may be: two values while a child is being merged into it. Lower case, without braces. */
  readonly linkages: readonly string[];
}

const nameKeys = ["relative_path", "volume_path", "absolute_win32_path"] as const;
const linkageKeys = ["parent_linkage", "parent_linkage2"] as const;
const knownKeys: ReadonlySet<string> = new Set([...nameKeys, ...linkageKeys]);
/** Bytes of the longest of them. */
const LONGEST_KEY = 2 * "absolute_win32_path".length;

/** Understands the locator `item`, which stands at `position` of `source`. */
export function readLocator(source: Source, position: number, item: Buffer): ParentLocator {
  const fail = (code: ErrorCode, at: number, message: string) =>
    new ImageError(code, message, { file: source.name, position: position + at });
  if (item.length < locatorHeader.size) throw fail("CORRUPT", 0, `the parent locator has only ${item.length} bytes`);
  const { locatorType, keyValueCount } = locatorHeader.decode(item);
  const type = mixedGuid(locatorType);
  if (type !== VHDX_LOCATOR) throw fail("UNSUPPORTED", 0, `its parent is recorded by a locator of the type ${type}, which is not known`);
  if (locatorHeader.size + keyValueCount * locatorEntry.size > item.length) {
    throw fail("CORRUPT", 18, `the ${keyValueCount} entries of the parent locator leave its ${item.length} bytes`);
  }

  const values = new Map<string, string>();
  for (let index = 0; index < keyValueCount; index += 1) {
    const at = locatorHeader.size + index * locatorEntry.size;
    const { keyOffset, keyLength, valueOffset, valueLength } = locatorEntry.decode(item, at);
    if (keyLength > LONGEST_KEY || keyOffset + keyLength > item.length) continue;
    const key = textOf(item, keyOffset, keyLength);
    if (!knownKeys.has(key)) continue;
    if (valueOffset + valueLength > item.length) throw fail("CORRUPT", at, `the value of ${quote(key)} leaves the parent locator`);
    if (values.has(key)) throw fail("CORRUPT", at, `the parent locator has ${quote(key)} twice`);
    values.set(key, textOf(item, valueOffset, valueLength));
  }

  const linkages = linkageKeys.flatMap((key) => {
    const value = values.get(key);
    if (value === undefined) return [];
    const guid = /^\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?$/.exec(value.toLowerCase())?.[1];
    if (guid === undefined) throw fail("CORRUPT", 0, `its ${key} is ${quote(value)}, which is no GUID`);
    return [guid];
  });
  if (!values.has("parent_linkage")) throw fail("CORRUPT", 0, "its parent locator does not tell the parent's identity (parent_linkage)");
  const names = nameKeys.flatMap((key) => values.get(key) ?? []);
  return { names: [...new Set(names.filter((name) => name !== ""))], linkages };
}

/** Strings have no NUL at their end; some writers put one there all the same. */
function textOf(item: Buffer, offset: number, length: number): string {
  return withoutTrailingZeros(item.toString("utf16le", offset, offset + length));
}
