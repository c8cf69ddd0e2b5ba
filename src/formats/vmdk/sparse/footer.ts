// The footer of a stream-optimized extent. Reference: VMware Virtual Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents".
import { readBytes, type Source } from "../../../source/source.js";
import { ImageError } from "../../../util/errors.js";
import { type HostedHeader, readHostedHeader } from "./hosted-header.js";
import { HOSTED_MAGIC, hostedHeader, limits, markerTypes, SECTOR } from "./layout.js";
import { markedAs } from "./markers.js";

export interface Footer {
  readonly header: HostedHeader & { readonly directory: number };
  readonly position: number;
}

/** The footer, if it is the last thing in the file but for zeros: its place is 1024 bytes before the end, and archives pad. */
export function findFooter(source: Source, markers: boolean): Footer | undefined {
  const last = lastByte(source);
  return last === undefined ? undefined : footerAt(source, last - (last % SECTOR), markers);
}

/** The footer at `position`; undefined if there is none, or one that cannot be relied on. */
export function footerAt(source: Source, position: number, markers: boolean): Footer | undefined {
  if (position < 2 * SECTOR || position + hostedHeader.size > source.size) return undefined;
  if (readBytes(source, position, 4).toString("latin1") !== HOSTED_MAGIC) return undefined;
  if (markers && !markedAs(source, position, markerTypes.footer)) return undefined;
  try {
    const header = readHostedHeader(source, position);
    const { directory } = header;
    return directory === undefined ? undefined : { header: { ...header, directory }, position };
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

/** Position of the last byte that is not 0. */
function lastByte(source: Source): number | undefined {
  const chunk = 64 * 1024;
  const lowest = Math.max(0, source.size - limits.paddingBytes);
  for (let end = source.size; end > lowest; end -= chunk) {
    const start = Math.max(lowest, end - chunk);
    const content = readBytes(source, start, end - start);
    for (let at = content.length - 1; at >= 0; at -= 1) {
      if (content[at] !== 0) return start + at;
    }
  }
  return undefined;
}
