const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Names in containers are bytes: UTF-8 where they are that, else Latin-1, so that every one can be shown and opened. */
export function decodeText(content: Uint8Array): string {
  try {
    return strict.decode(content);
  } catch {
    return Buffer.from(content.buffer, content.byteOffset, content.length).toString("latin1");
  }
}
