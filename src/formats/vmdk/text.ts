// The bytes of a descriptor as text. Its structure is ASCII in every encoding that VMware writes; what the "encoding" key names is what file names are in.

/** Labels that VMware writes and the Encoding Standard does not know, in lower case. */
const aliases: ReadonlyMap<string, string> = new Map([
  ["windows-932", "shift_jis"],
  ["cp932", "shift_jis"],
  ["windows-936", "gbk"],
  ["cp936", "gbk"],
  ["windows-949", "euc-kr"],
  ["cp949", "euc-kr"],
  ["windows-950", "big5"],
  ["cp950", "big5"],
]);

/**
 * What a text may be that stands in a descriptor as `raw`, its bytes as Latin-1, best first: in the declared encoding, in UTF-8, in windows-1252. Descriptors
 * and files are renamed and copied by programs that know of no encoding.
 */
export function readingsOf(raw: string, encoding: string | undefined): readonly string[] {
  const readings = isAscii(raw) ? [raw] : labelsOf(encoding).flatMap((label) => decode(Buffer.from(raw, "latin1"), label) ?? []);
  // Texts in VMware's configuration files hold characters that have a meaning there as |22.
  const escaped = readings.map((text) =>
    text.replace(/\|([0-9a-f]{2})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16))),
  );
  return [...new Set([...readings, ...escaped])];
}

/** Whether texts in `encoding` can be read. */
export function isKnownEncoding(encoding: string): boolean {
  return decode(new Uint8Array(), labelOf(encoding)) !== undefined;
}

function labelsOf(encoding: string | undefined): readonly string[] {
  return [...(encoding === undefined ? [] : [labelOf(encoding)]), "utf-8", "windows-1252"];
}

function labelOf(encoding: string): string {
  const label = encoding.toLowerCase();
  return aliases.get(label) ?? label;
}

/** What windows-1252 has at 0x80 to 0x9f; elsewhere it is Latin-1. Some versions of Node.js take it for that. */
const windows1252 =
  "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178";

function isAscii(raw: string): boolean {
  return !/[\x80-\xff]/.test(raw);
}

/** Undefined where the encoding is not known, or the bytes are none of it. */
function decode(bytes: Uint8Array, label: string): string | undefined {
  try {
    const decoder = new TextDecoder(label, { fatal: true });
    if (decoder.encoding !== "windows-1252") return decoder.decode(bytes);
    const latin1 = Buffer.from(bytes).toString("latin1");
    return latin1.replace(/[\x80-\x9f]/g, (character) => windows1252[character.charCodeAt(0) - 0x80] ?? character);
  } catch {
    return undefined;
  }
}
