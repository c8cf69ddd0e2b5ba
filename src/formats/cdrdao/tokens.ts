import { corruptSheet } from "../cd/sheet.js";

export interface Token {
  readonly kind: "word" | "text" | "mark";
  /** Of a text, what is between its quotes, without escapes. */
  readonly value: string;
  readonly line: number;
}

const pattern = /\/\/[^\r\n]*|"((?:[^"\\]|\\[\s\S]){0,8192})"|[{},]|[^\s{},"]+|\r\n|\r|\n|[^\S\r\n]+|"/g;

/** The words of a toc-file. Throws `CORRUPT` for a text that does not end, or not soon. */
export function* tokensOf(text: string, sheet: string): Generator<Token> {
  let line = 1;
  for (const [found, quoted] of text.matchAll(pattern)) {
    if (quoted !== undefined) {
      yield { kind: "text", value: unescaped(quoted), line };
      line += quoted.split(/\r\n|\r|\n/).length - 1;
    } else if (found === '"') throw corruptSheet(sheet, line, "a text does not end");
    else if (/^[\r\n]/.test(found)) line += 1;
    else if (/^[{},]$/.test(found)) yield { kind: "mark", value: found, line };
    else if (!found.startsWith("//") && /\S/.test(found)) yield { kind: "word", value: found, line };
  }
}

/** `\"`, and bytes in octal: `\344`. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3}|[\s\S])/g, (_, escaped: string) =>
    escaped.length === 3 ? String.fromCharCode(Number.parseInt(escaped, 8) & 255) : escaped,
  );
}
