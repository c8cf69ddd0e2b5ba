// ova.xml, a value of XML-RPC. Reference: xmlrpc.com/spec; the members of a VDI are those of the class in the XenServer Management API.
import { SaxesParser } from "saxes";

/** A disk that the manifest tells of. */
export interface VdiFacts {
  /** Such as `Ref:4`: what its chunks' names begin with. */
  readonly id: string;
  /** As people call it; may be empty. */
  readonly name: string;
  /** Bytes; undefined if it says none. */
  readonly size: number | undefined;
}

/** Values inside each other; a disk's are eight deep. */
const DEPTH_LIMIT = 64;

/** The disks in `text`. Throws an `Error` if it is no such manifest. */
export function vdisOf(text: string): VdiFacts[] {
  const objects = memberOf(parseValue(text), "objects");
  if (!Array.isArray(objects)) throw new Error('it has no array "objects"');
  return objects.flatMap((object) => {
    const id = memberOf(object, "id");
    if (memberOf(object, "class") !== "VDI" || typeof id !== "string") return [];
    const snapshot = memberOf(object, "snapshot");
    const name = memberOf(snapshot, "name_label");
    const size = memberOf(snapshot, "virtual_size");
    const bytes = typeof size === "string" && /^\d+$/.test(size) ? Number(size) : undefined;
    return [{ id, name: typeof name === "string" ? name : "", size: Number.isSafeInteger(bytes) ? bytes : undefined }];
  });
}

/** Everything but arrays and structs is its text. */
type Value = string | Value[] | Map<string, Value>;

function memberOf(value: Value | undefined, key: string): Value | undefined {
  return value instanceof Map ? value.get(key) : undefined;
}

function parseValue(text: string): Value | undefined {
  /** The arrays and structs that are open; a struct's key is the one whose value comes next. */
  const open: { readonly value: Value[] | Map<string, Value>; key: string }[] = [];
  let content: string[] = [];
  /** The array or struct that has just ended, for the `value` around it. */
  let ended: Value | undefined;
  let root: Value | undefined;

  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name }) => {
    if (name === "value") ended = undefined;
    if (name === "value" || name === "name") content = [];
    if (name !== "struct" && name !== "array") return;
    if (open.length >= DEPTH_LIMIT) throw new Error(`it has more than ${DEPTH_LIMIT} levels`);
    open.push({ value: name === "struct" ? new Map<string, Value>() : [], key: "" });
  });
  parser.on("text", (part) => content.push(part));
  parser.on("cdata", (part) => content.push(part));
  parser.on("closetag", ({ name }) => {
    const outer = open.at(-1);
    if (name === "struct" || name === "array") {
      ended = open.pop()?.value;
    } else if (name === "name" && outer) {
      outer.key = content.join("");
    } else if (name === "value") {
      const value = ended ?? content.join("");
      ended = undefined;
      if (!outer) root = value;
      else if (Array.isArray(outer.value)) outer.value.push(value);
      else outer.value.set(outer.key, value);
    }
  });
  parser.write(text).close();
  return root;
}
