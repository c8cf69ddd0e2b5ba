import type { Source } from "../../source/source.js";
import { type Extent, packedKeys } from "../driver.js";
import { storedExtent } from "../stored.js";
import type { Chunks } from "./chunks.js";
import { chunkTypes } from "./layout.js";

/** Filled bytes handed out at once; where it starts does not matter, the pattern has four bytes. */
const FILL_SIZE = 65536;

/** `map` of a disk of `size` bytes in these chunks. */
export function createMap(source: Source, chunks: Chunks, blockSize: number, size: number): (offset: number, length: number) => Extent {
  const { count, starts, types, positions, fills, broken } = chunks;
  const keys = packedKeys();

  function filled(index: number, offset: number, length: number): Extent {
    const pattern = fills[index]!;
    if (pattern === 0) return { kind: "zero", length };
    const skip = offset % 4;
    const block = {
      key: keys + String(pattern),
      size: FILL_SIZE,
      source,
      position: positions[index]!,
      unpack(target: Uint8Array) {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(pattern);
        Buffer.from(target.buffer, target.byteOffset, target.length).fill(bytes);
      },
    };
    return { kind: "packed", length: Math.min(length, FILL_SIZE - skip), block, skip };
  }

  return (offset, length) => {
    const most = Math.min(length, size - offset);
    const index = chunkAt(starts, count, offset / blockSize);
    if (index === count) {
      // Only a disk with lost chunks has blocks behind the last.
      return { kind: "damaged", length: most, error: broken! };
    }
    const start = starts[index]! * blockSize;
    const run = Math.min(most, starts[index + 1]! * blockSize - offset);
    switch (types[index]) {
      case chunkTypes.raw:
        return storedExtent(source, positions[index]! + (offset - start), run);
      case chunkTypes.fill:
        return filled(index, offset, run);
      default:
        return { kind: "zero", length: run };
    }
  };
}

/** The chunk that holds `block`; `count` if none does. */
function chunkAt(starts: Uint32Array, count: number, block: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (starts[middle]! <= block) low = middle;
    else high = middle - 1;
  }
  return low;
}
