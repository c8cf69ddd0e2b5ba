// The footer of a fixed disk that something was appended to: programs that copy images fill them up to whole MiB, or to the device they are put on.
import { COOKIE, footer, limits } from "./layout.js";

/** Bytes read at once while zeros are passed over. */
const STEP = 64 * 1024;

/** Reads `length` bytes at `position`. */
export type ReadAt = (position: number, length: number) => Uint8Array;

/**
 * Where the word of a footer is that has nothing behind it but zeros, at most `limits.padding` of them; undefined if there is none. Reads back from the end of
 * the file, of `size` bytes, and no further than to the first byte that is none.
 */
export function cookieBeforeZeros(size: number, readAt: ReadAt): number | undefined {
  const lowest = Math.max(0, size - limits.padding - footer.size);
  for (let end = size; end > lowest; ) {
    const start = Math.max(lowest, end - (end === size ? footer.size : STEP));
    const bytes = readAt(start, end - start);
    const last = bytes.findLastIndex((byte) => byte !== 0);
    if (last >= 0) return cookieBefore(start + last + 1, readAt);
    end = start;
  }
  return undefined;
}

/** The footer's own last bytes are zeros too: `end` lies somewhere inside it. */
function cookieBefore(end: number, readAt: ReadAt): number | undefined {
  const start = Math.max(0, end - footer.size);
  const bytes = readAt(start, end - start);
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).lastIndexOf(COOKIE, undefined, "latin1");
  return at < 0 ? undefined : start + at;
}
