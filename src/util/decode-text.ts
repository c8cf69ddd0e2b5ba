const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Names in containers are bytes: UTF-8 where they are that, else Latin-1, so that every one can be shown and opened. Those from `start` to `end`. */
export function decodeText(content: Uint8Array, start = 0, end = content.length): string {
  if (isAscii(content, start, end)) return latin1(content, start, end);
  try {
    return strict.decode(content.subarray(start, end));
  } catch {
    return latin1(content, start, end);
  }
}

/** Most names are, and need no decoder. */
function isAscii(content: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if ((content[at] ?? 0) > 0x7f) return false;
  return true;
}

function latin1(content: Uint8Array, start: number, end: number): string {
  return (Buffer.isBuffer(content) ? content : Buffer.from(content.buffer, content.byteOffset, content.length)).toString(
    "latin1",
    start,
    end,
  );
}
