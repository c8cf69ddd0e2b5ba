/** Adler-32 (RFC 1950). The specification starts it with 1, as zlib does. */
export function adler32(content: Uint8Array, from = 1): number {
  let low = from & 0xffff;
  let high = from >>> 16;
  for (let at = 0; at < content.length; ) {
    // As many as fit into 32 bits.
    const end = Math.min(content.length, at + 5552);
    for (; at < end; at += 1) {
      low += content[at]!;
      high += low;
    }
    low %= 65521;
    high %= 65521;
  }
  return ((high << 16) | low) >>> 0;
}
