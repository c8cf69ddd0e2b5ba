// The descriptor of a VMDK: VMware, "Virtual Disk Format 5.0", section "The Descriptor File".
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { decodeDescriptor } from "./text.js";

/** Bytes of a sector, in which extents are counted. */
const SECTOR = 512;

/** Descriptors have some hundred bytes, and some thousand where there are very many extents. */
export const DESCRIPTOR_LIMIT = 8 * 2 ** 20;

const EXTENT_LIMIT = 65_536;

export type Access = "RW" | "RDONLY" | "NOACCESS";

/** One line of the extent description. */
export interface ExtentLine {
  readonly access: Access;
  /** Bytes. */
  readonly size: number;
  /** Upper case, such as FLAT or SPARSE. */
  readonly type: string;
  readonly file: string | undefined;
  /** Bytes: where in the file the extent begins. */
  readonly start: number;
  /** As it stands there, for messages. */
  readonly text: string;
}

export interface Descriptor {
  /** Keys in lower case, without quotes; the first of a name counts. */
  readonly values: ReadonlyMap<string, string>;
  readonly extents: readonly ExtentLine[];
  readonly notes: readonly string[];
}

/** The four spellings of the first line, after blank lines and a byte order mark. */
const firstLine = /^\uFEFF?\s*#\s?Disk\s+Descriptor\s?File/i;

/** Whether the head of a file is that of a descriptor. */
export function isDescriptor(head: Uint8Array): boolean {
  const start = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, 512));
  return firstLine.test(start.toString("utf8"));
}

/** Reads a descriptor; `file` names it in errors. Throws `CORRUPT` for an extent line that cannot be read: what follows it would be shifted. */
export function parseDescriptor(content: Uint8Array, file: string): Descriptor {
  const { text, encoding, known } = decodeDescriptor(content);
  const values = new Map<string, string>();
  const extents: ExtentLine[] = [];
  for (const line of text.split(/\r\n|\r|\n/)) {
    const trimmed = line.replace(/^\uFEFF/, "").trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    const extent = extentLine(trimmed, file);
    if (extent) {
      extents.push(extent);
      if (extents.length > EXTENT_LIMIT) throw new ImageError("UNSUPPORTED", `it has more than ${EXTENT_LIMIT} extents`, { file });
      continue;
    }
    const [, key, value] = /^([^=\s"]+)\s*=\s*(.*)$/.exec(trimmed) ?? [];
    if (key !== undefined && value !== undefined && !values.has(key.toLowerCase())) {
      values.set(key.toLowerCase(), value.replace(/^"(.*)"$/, "$1").trim());
    } else if (/^\S+\s+\d+\s+[A-Za-z]/.test(trimmed)) {
      throw new ImageError("CORRUPT", `the extent line ${quote(trimmed)} cannot be read`, { file });
    }
  }
  const notes = known ? [] : [`Its encoding ${quote(encoding)} is not known here: names of files may be read wrong.`];
  return { values, extents, notes };
}

/**
 * `RW 4192256 SPARSE "disk-s001.vmdk"`: access, sectors, type, and, depending on that, file, start sector, partition UUID, device identifier.
 * Undefined for a line that begins with no access; throws for one that does and is not understood.
 */
function extentLine(line: string, file: string): ExtentLine | undefined {
  const access = /^(RW|RDONLY|NOACCESS)\s/i.exec(line)?.[1]?.toUpperCase();
  if (access === undefined) return undefined;
  const fail = (why: string) => new ImageError("CORRUPT", `the extent line ${quote(line)} cannot be read: ${why}`, { file });
  const [, sectors = "", type = "", rest = ""] = /^\S+\s+(\d+)\s+([A-Za-z]+)\s*(.*)$/.exec(line) ?? [];
  if (type === "") throw fail("it should give a number of sectors and a type");
  const size = Number(sectors) * SECTOR;
  if (!Number.isSafeInteger(size) || size === 0) throw fail(`${sectors} sectors cannot be`);
  const named = /^"([^"]*)"\s*(.*)$/.exec(rest) ?? /^([^"\s]\S*)\s*(.*)$/.exec(rest);
  const [, name, after = ""] = named ?? [];
  const start = /^(\d+)(?:\s|$)/.exec(after)?.[1] ?? "0";
  if (rest !== "" && !named) throw fail("the name of its file has no end");
  if (type.toUpperCase() === "FLAT" && !/^\d/.test(after)) throw fail("a flat extent should say at which sector of its file it starts");
  const startBytes = Number(start) * SECTOR;
  if (!Number.isSafeInteger(startBytes)) throw fail(`the start ${start} cannot be`);
  return { access: access as Access, size, type: type.toUpperCase(), file: name, start: startBytes, text: line };
}
