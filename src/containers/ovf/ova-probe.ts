import { readBytes, type Source } from "../../source/source.js";
import { createWindow } from "../../source/window.js";
import { decodeText } from "../../util/decode-text.js";
import { BLOCK, decodeHeader, decodePax, types } from "../../formats/tar-header.js";
import { oldSparse } from "../tar/sparse.js";

/** Headers that are looked at: the descriptor should be the first member, and is among the first ones. */
const HEADER_LIMIT = 64;

/** Bytes of a long name or of pax records. */
const EXTENSION_LIMIT = 64 * 1024;

/** Whether `disk` begins with a tar archive that has a descriptor among its first members. */
export function isOva(disk: Source): boolean {
  for (const name of firstNames(disk)) if (isDescriptorName(name)) return true;
  return false;
}

/** Descriptors stand at the top of the archive, or in the one folder that it has. What macOS stores beside a file begins with `._`. */
export function isDescriptorName(name: string): boolean {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  const last = parts.at(-1) ?? "";
  return parts.length <= 2 && /\.ovf$/i.test(last) && !last.startsWith("._") && !name.endsWith("/");
}

/** The names of the first members, up to what is no header. */
export function* firstNames(disk: Source): Generator<string> {
  const read = createWindow(disk, 8 * BLOCK);
  let records = new Map<string, string>();
  let position = 0;
  for (let count = 0; count < HEADER_LIMIT && position + BLOCK <= disk.size; count += 1) {
    // What it returns is overwritten by the next read.
    const block = Buffer.from(read(position, BLOCK));
    const header = decodeHeader(block);
    if (!header || header.name === "") return;
    const data = position + BLOCK;
    let size = header.size;
    if (header.type === types.paxNext || header.type === types.longName) {
      if (size > EXTENSION_LIMIT || data + size > disk.size) return;
      const content = readBytes(disk, data, size);
      if (header.type === types.paxNext) records = new Map([...records, ...decodePax(content)]);
      else records.set("path", decodeText(content.subarray(0, content.indexOf(0) < 0 ? size : content.indexOf(0))));
    } else if (header.type !== types.paxGlobal && header.type !== types.longLink) {
      yield records.get("path") ?? header.name;
      const recorded = Number(records.get("size") ?? Number.NaN);
      if (Number.isSafeInteger(recorded) && recorded >= 0) size = recorded;
      records = new Map();
    }
    const extra = header.type === types.gnuSparse ? (oldSparse(disk, block, data)?.extraBlocks ?? 0) : 0;
    position = data + extra * BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
}
