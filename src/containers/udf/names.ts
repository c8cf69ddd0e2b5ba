// Text in UDF: OSTA CS0 (UDF 2.1.1), d-strings (ECMA-167, 1/7.2.12) and path components (4/14.16).
import { decodeText } from "../../util/decode-text.js";

/** A compression id, then characters of 8 or of 16 bits, the high byte first. 254 and 255 are those of deleted names. */
export function decodeCs0(content: Buffer): string {
  const characters = content.subarray(1);
  switch (content[0]) {
    case 8:
    case 254:
      return characters.toString("latin1");
    case 16:
    case 255:
      return Buffer.from(characters.subarray(0, characters.length & ~1))
        .swap16()
        .toString("utf16le");
    default:
      return decodeText(content);
  }
}

/** Fixed fields, whose last byte is the length. */
export function decodeDstring(field: Uint8Array): string {
  const content = Buffer.from(field.buffer, field.byteOffset, field.length);
  const length = Math.min(content.at(-1) ?? 0, content.length - 1);
  return length === 0 ? "" : decodeCs0(content.subarray(0, length)).replace(/[\0 ]+$/, "");
}

/** Where a symbolic link leads; undefined if the components make no sense. */
export function decodePath(content: Buffer): string | undefined {
  const parts: string[] = [];
  for (let at = 0; at < content.length; ) {
    if (at + 4 > content.length) return undefined;
    const kind = content[at];
    const length = content[at + 1] ?? 0;
    const name = content.subarray(at + 4, at + 4 + length);
    if (name.length < length) return undefined;
    at += 4 + length;
    // 4/14.16.1.1: 1 is a root agreed upon, if it has a name, and else like 2, the root of the system.
    if (kind === 2 || (kind === 1 && length === 0)) parts.splice(0, parts.length, "");
    else if (kind === 3) parts.push("..");
    else if (kind === 4) parts.push(".");
    else if (kind === 5 || kind === 1) parts.push(decodeCs0(name));
    else return undefined;
  }
  return parts.length === 1 && parts[0] === "" ? "/" : parts.join("/").replaceAll("\0", "").toWellFormed();
}
