/** A name that came from a file, safe to print: quoted, control characters and lone surrogates escaped. */
export function quote(name: string): string {
  return `"${printable(name)}"`;
}

/** `text` with every control, format and line-separator character escaped, so that it cannot move a terminal's cursor. */
export function printable(text: string): string {
  return text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** `text` without the zero characters at its end. In time that its length bounds: `/\0+$/` tries anew behind every zero. */
export function withoutTrailingZeros(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end -= 1;
  return text.slice(0, end);
}

/** `0x178`. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

/** JSON in which what could steer a terminal is escaped: JSON itself escapes only the first 32 control characters. `indent`: blanks per level. */
export function harmlessJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(/[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`).join(""),
  );
}
