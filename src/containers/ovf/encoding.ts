import { decodeText } from "../../util/decode-text.js";

/** The text of `content`: by its byte order mark, else by how its first letter is stored, else by its XML declaration, else UTF-8 or Latin-1. Throws an `Error`. */
export function decodeDocument(content: Uint8Array): string {
  const encoding = encodingOf(content);
  if (encoding === undefined) return decodeText(content);
  try {
    return new TextDecoder(encoding).decode(content);
  } catch (cause) {
    throw new Error(`its encoding "${encoding}" is not known`, { cause });
  }
}

/** As the WHATWG Encoding Standard calls it; undefined for UTF-8 without a mark, and where nothing is said. */
function encodingOf(content: Uint8Array): string | undefined {
  const [first, second, third, fourth] = content;
  if (first === 0xef && second === 0xbb && third === 0xbf) return "utf-8";
  if (first === 0xff && second === 0xfe) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  if (first === 0x3c && second === 0 && third !== 0 && fourth === 0) return "utf-16le";
  if (first === 0 && second === 0x3c && third === 0 && fourth !== 0) return "utf-16be";
  const start = Buffer.from(content.buffer, content.byteOffset, Math.min(content.length, 256)).toString("latin1");
  const declared = /^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][\w.:-]*)["']/.exec(start)?.[1]?.toLowerCase();
  // Programs that keep text as UTF-16 in memory declare that, whatever they write.
  return declared === undefined || /^utf-?(8|16)|^ucs-?2|^us-ascii/.test(declared) ? undefined : declared;
}
