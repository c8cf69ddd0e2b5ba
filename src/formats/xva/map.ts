import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Extent } from "../driver.js";
import { storedExtent } from "../stored.js";
import type { DiskChunks } from "./archive.js";

/** `map` of a disk of `size` bytes in these chunks; `broken`: where the archive stops being one. */
export function createMap(
  source: Source,
  chunks: DiskChunks,
  size: number,
  broken: ImageError | undefined,
): (offset: number, length: number) => Extent {
  const { id, count, offsets, positions, lengths, end } = chunks;

  /** The last chunk that starts at `offset` or before; -1 if there is none. */
  function chunkAt(offset: number): number {
    let low = -1;
    let high = count - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (offsets[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  function lost(length: number): Extent {
    const message = `the chunks of ${quote(id)} end at ${end} of ${size} bytes`;
    const error = new ImageError("TRUNCATED", broken ? `${message}: ${broken.message}` : message, {
      file: source.name,
      position: broken?.position ?? source.size,
      cause: broken,
    });
    return { kind: "damaged", length, error };
  }

  return (offset, length) => {
    const most = Math.min(length, size - offset);
    const index = chunkAt(offset);
    const skip = index < 0 ? 0 : offset - offsets[index]!;
    if (index >= 0 && skip < lengths[index]!) return storedExtent(source, positions[index]! + skip, Math.min(most, lengths[index]! - skip));
    // The last chunk is always there, whatever it holds.
    if (index + 1 >= count) return lost(most);
    return { kind: "zero", length: Math.min(most, offsets[index + 1]! - offset) };
  };
}
