// The property list of a sparse bundle. References: documentation/Mac OS disk image types.asciidoc in the libmodi sources; sparsebundlefs.
import { SaxesParser } from "saxes";
import { readBytes, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";

const BUNDLE_TYPE = "com.apple.diskimage.sparsebundle";

export interface BundleInfo {
  /** Bytes of the disk. */
  readonly size: number;
  /** Bytes of a band; the last one may have less. */
  readonly bandSize: number;
  readonly version: string;
}

/** It has some hundred bytes. */
const SIZE_LIMIT = 2 ** 20;
/** Of the list's head, to be recognised. */
const HEAD = 4096;
const limits = { bandSize: 2 ** 40, bands: 2 ** 24 } as const;

/** Whether a file begins like the property list of a sparse bundle. */
export function isInfo(head: Uint8Array): boolean {
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, HEAD)).toString("latin1");
  return /^(?:\xef\xbb\xbf)?\s*(?:<\?xml|<!DOCTYPE plist|<plist)/.test(text) && text.includes(BUNDLE_TYPE);
}

export function readInfo(source: Source): BundleInfo {
  const fail = (code: ErrorCode, message: string) => new ImageError(code, message, { file: source.name });
  if (source.size > SIZE_LIMIT) throw fail("CORRUPT", `the property list has ${source.size} bytes; ${SIZE_LIMIT} are the limit`);
  let values: ReadonlyMap<string, string>;
  try {
    values = valuesIn(readBytes(source, 0, source.size).toString("utf8"));
  } catch (cause) {
    throw new ImageError("CORRUPT", `the property list cannot be understood: ${cause instanceof Error ? cause.message : String(cause)}`, {
      file: source.name,
      cause,
    });
  }
  const type = values.get("diskimage-bundle-type");
  if (type !== BUNDLE_TYPE) throw fail("WRONG_FORMAT", `the type of the bundle is ${quote(type ?? "")}, not ${quote(BUNDLE_TYPE)}`);
  const version = values.get("bundle-backingstore-version") ?? "1";
  if (version !== "1") throw fail("UNSUPPORTED", `the bundle has the version ${quote(version)}; version 1 is read here`);
  const number = (key: string): number => {
    const text = values.get(key) ?? "";
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value === 0) throw fail("CORRUPT", `the property list says ${quote(text)} for ${key}`);
    return value;
  };
  const info = { size: number("size"), bandSize: number("band-size"), version };
  if (info.bandSize % 512 !== 0 || info.bandSize > limits.bandSize) throw fail("CORRUPT", `a band is said to have ${info.bandSize} bytes`);
  if (info.size / info.bandSize > limits.bands) throw fail("UNSUPPORTED", `the disk has more than ${limits.bands} bands`);
  return info;
}

/** The keys of the list's own dictionary, with the text of their values. */
function valuesIn(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  let depth = 0;
  let key: string | undefined;
  let content: string[] = [];
  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", () => {
    depth += 1;
    content = [];
  });
  parser.on("text", (part) => content.push(part));
  parser.on("closetag", ({ name }) => {
    depth -= 1;
    // plist, dict, and what stands in that.
    if (depth !== 2) return;
    const value = content.join("").trim();
    if (name === "key") key = value;
    else if (key !== undefined) {
      if (!values.has(key)) values.set(key, value);
      key = undefined;
    }
  });
  parser.write(text.replace(/^\uFEFF/, "").trimStart()).close();
  return values;
}
