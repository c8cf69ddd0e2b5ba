// The property list of a disk image. Reference: Apple's DTD PropertyList-1.0.
import { SaxesParser } from "saxes";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { limits } from "./layout.js";

/** A block table, not decoded yet. */
export interface TableData {
  /** Such as `disk image (Apple_HFS : 4)`; may be empty. */
  readonly name: string;
  readonly content: Buffer;
}

/** Dictionaries and arrays inside each other; those of a disk image have four. */
const DEPTH_LIMIT = 64;

/** The block tables that the property list holds, in its order. Throws `CORRUPT` if it is none. */
export function readPlist(source: Source, position: number, size: number): TableData[] {
  const fail = (message: string) => new ImageError("CORRUPT", message, { file: source.name, position });
  if (size > limits.plist) throw fail(`the property list has ${size} bytes; ${limits.plist} are the limit`);
  const text = readBytes(source, position, size).toString("utf8");
  try {
    const blkx = memberOf(memberOf(parsePlist(text), "resource-fork"), "blkx");
    if (!Array.isArray(blkx)) throw new Error('it has no array "blkx" in "resource-fork"');
    return blkx.map(tableData);
  } catch (error) {
    throw fail(`the property list cannot be understood: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function tableData(entry: PlistValue): TableData {
  const data = memberOf(entry, "Data");
  if (typeof data !== "string") throw new Error('an entry of "blkx" has no "Data"');
  // Node passes over what is no base64; here that would be damage.
  if (/[^\sA-Za-z0-9+/=]/.test(data)) throw new Error('an entry of "blkx" has "Data" that is no base64');
  const name = [memberOf(entry, "Name"), memberOf(entry, "CFName")].find((each) => typeof each === "string" && each !== "");
  return { name: typeof name === "string" ? name : "", content: Buffer.from(data, "base64") };
}

/** Everything but arrays and dictionaries is its text. */
type PlistValue = string | PlistValue[] | Map<string, PlistValue>;

function memberOf(value: PlistValue | undefined, key: string): PlistValue | undefined {
  return value instanceof Map ? value.get(key) : undefined;
}

function parsePlist(text: string): PlistValue | undefined {
  /** The arrays and dictionaries that are open; a dictionary's key is the one whose value comes next. */
  const open: { readonly value: PlistValue[] | Map<string, PlistValue>; key: string }[] = [];
  let content: string[] = [];
  let root: PlistValue | undefined;

  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name }) => {
    content = [];
    if (name !== "dict" && name !== "array") return;
    if (open.length >= DEPTH_LIMIT) throw new Error(`it has more than ${DEPTH_LIMIT} levels`);
    open.push({ value: name === "dict" ? new Map<string, PlistValue>() : [], key: "" });
  });
  parser.on("text", (part) => content.push(part));
  parser.on("cdata", (part) => content.push(part));
  parser.on("closetag", ({ name }) => {
    if (name === "plist") return;
    const value = name === "dict" || name === "array" ? open.pop()?.value : content.join("");
    const outer = open.at(-1);
    if (value === undefined) return;
    if (outer === undefined) root = value;
    else if (name === "key" && typeof value === "string") outer.key = value;
    else if (Array.isArray(outer.value)) outer.value.push(value);
    else outer.value.set(outer.key, value);
    content = [];
  });
  parser.write(text).close();
  return root;
}
