// The bytes of a descriptor as text. What the "encoding" key names is what its file names are in.
/** Labels that VMware writes, in lower case, beside those that the Encoding Standard knows. */
const aliases: ReadonlyMap<string, string> = new Map([
  ["utf-8", "utf-8"],
  ["gb2312", "gbk"],
  ["windows-936", "gbk"],
  ["windows-949", "euc-kr"],
  ["windows-950", "big5"],
  ["windows-932", "shift_jis"],
  ["cp437", "ibm866"],
]);

/** The descriptor as text; `encoding` is what it says itself, if it is one that is known. */
export function decodeDescriptor(content: Uint8Array): { readonly text: string; readonly encoding: string; readonly known: boolean } {
  const plain = Buffer.from(content.buffer, content.byteOffset, content.length);
  const end = plain.indexOf(0);
  const bytes = end < 0 ? plain : plain.subarray(0, end);
  const declared = /^\s*encoding\s*=\s*"?([^"\r\n]*?)"?\s*$/im.exec(bytes.toString("latin1"))?.[1]?.toLowerCase() ?? "utf-8";
  const text = decode(bytes, aliases.get(declared) ?? declared);
  if (text !== undefined) return { text, encoding: declared, known: true };
  return { text: decode(bytes, "utf-8") ?? bytes.toString("latin1"), encoding: declared, known: false };
}

/** Undefined where the encoding is not known here, or the bytes are none of it. */
function decode(bytes: Uint8Array, label: string): string | undefined {
  try {
    return new TextDecoder(label, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
