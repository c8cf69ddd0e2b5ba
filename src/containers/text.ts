const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Names in containers are bytes: UTF-8 where they are that, else Latin-1, so that every one can be shown and opened. */
export function decodeText(content: Uint8Array): string {
  if (isAscii(content)) return Buffer.from(content.buffer, content.byteOffset, content.length).toString("latin1");
  try {
    return strict.decode(content);
  } catch {
    return Buffer.from(content.buffer, content.byteOffset, content.length).toString("latin1");
  }
}

/** Most names are, and need no decoder. */
function isAscii(content: Uint8Array): boolean {
  for (let at = 0; at < content.length; at += 1) if ((content[at] ?? 0) > 0x7f) return false;
  return true;
}
