import { ImageError } from "../util/errors.js";
import { quote } from "../util/text.js";
import type { ParentWish } from "./driver.js";

/** A file that an image names, understood. */
export interface NamedFile {
  readonly path: string;
  /** The format the name itself declares (`json:{"driver":"qcow2",…}`). */
  readonly format?: string;
}

/** What `image` wishes for when it calls its backing file `name`, and perhaps declares its format. */
export function backingWish(image: string, name: string, declared?: string): ParentWish {
  const { path, format } = parseNameIn(image, name);
  if (format !== undefined && declared !== undefined && format !== declared) {
    const message = `its backing file is declared as ${quote(declared)}, and as ${quote(format)} in its name`;
    throw new ImageError("CORRUPT", message, { file: image });
  }
  return { names: [path], format: format ?? declared };
}

/** `parseName`, with errors about the file `image` that holds the name. */
export function parseNameIn(image: string, name: string): NamedFile {
  try {
    return parseName(name);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw new ImageError(error.code, error.message, { hint: error.hint, file: image, cause: error });
  }
}

/** Options of a block device that do not change which bytes it has. */
const harmless =
  /^(?:file\.){0,2}(?:driver|filename|node-name|read-only|auto-read-only|discard|detect-zeroes|locking|aio|cache\.(?:direct|no-flush))$/;

/**
 * Reads a file name as QEMU writes it into images: a path, `file:PATH`, or `json:{…}` that comes down to one plain file.
 * Throws `UNSUPPORTED` for everything that is not a local file.
 */
export function parseName(name: string): NamedFile {
  if (name.startsWith("json:")) return parseJson(name);
  if (name.startsWith("file:")) return { path: name.slice("file:".length) };
  // As in QEMU: a colon before the first slash makes a protocol.
  const protocol = /^([^/:]+):/.exec(name)?.[1];
  if (protocol !== undefined) throw unsupported(name, `the protocol ${quote(protocol)}`);
  return { path: name };
}

function parseJson(name: string): NamedFile {
  let options: ReadonlyMap<string, unknown>;
  try {
    options = flatten(JSON.parse(name.slice("json:".length)) as unknown);
  } catch {
    throw unsupported(name, "a description that is not JSON");
  }
  const strange = [...options.keys()].find((key) => !harmless.test(key));
  if (strange !== undefined) throw unsupported(name, `the option ${quote(strange)}`);

  const inner = [options.get("file.driver"), options.get("file.file.driver")];
  const files = [...options].filter(([key]) => /(?:^|\.)filename$/.test(key)).map(([, value]) => value);
  const [path] = files;
  if (files.length !== 1 || typeof path !== "string") throw unsupported(name, "not exactly one file name");
  // The file itself as the outermost driver means its bytes as they are, whatever they look like.
  const outer = options.get("driver");
  const format = outer === "file" ? "raw" : outer;
  const others = inner.filter((driver) => driver !== undefined && driver !== "file" && driver !== "raw");
  if (others.length > 0 || (format !== undefined && typeof format !== "string")) throw unsupported(name, "more than one format");
  return { path, ...(format !== undefined && { format }) };
}

/** `{"a":{"b":1}}` and `{"a.b":1}` are the same to QEMU. */
function flatten(value: unknown, prefix = ""): Map<string, unknown> {
  if (typeof value !== "object" || value === null) return new Map([[prefix, value]]);
  const entries = Object.entries(value).flatMap(([key, inner]) => [...flatten(inner, prefix === "" ? key : `${prefix}.${key}`)]);
  return new Map(entries);
}

function unsupported(name: string, found: string): ImageError {
  return new ImageError("UNSUPPORTED", `it refers to ${quote(name)}: only local files can be opened, and this has ${found}`);
}
