import { inflateZlib } from "../../native/unpack.js";
import type { Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { type Extent, packedKeys } from "../driver.js";
import { behindEnd, storedExtent } from "../stored.js";
import { loadTable64 } from "../tables.js";
import { unpackXz } from "../xz.js";
import type { CloopHeader } from "./header.js";
import { methods } from "./layout.js";

/** `map` of an image with this header. Throws if the table cannot be read. */
export function createMap(source: Source, header: CloopHeader): (offset: number, length: number) => Extent {
  const { blockSize, blockCount, tablePosition, uzip } = header;
  const size = blockSize * blockCount;
  const table = loadTable64(source, tablePosition, blockCount + 1);
  const keys = packedKeys();
  let scratch = Buffer.alloc(0);

  const highMask = header.methods ? 0x0fffffff : 0xffffffff;
  /** Values over 2^53 lose their last bits; they lie behind the end of any file all the same. */
  const positionOf = (block: number) => ((table[2 * block]! & highMask) >>> 0) * 2 ** 32 + table[2 * block + 1]!;

  function damaged(block: number, length: number, code: ErrorCode, message: string): Extent {
    const error = new ImageError(code, `block ${block}: ${message}`, { file: source.name, position: tablePosition + 8 * block });
    return { kind: "damaged", length, error };
  }

  function packed(index: number, position: number, stored: number, method: number, skip: number, length: number): Extent {
    const block = {
      key: keys + String(index),
      size: blockSize,
      source,
      position,
      unpack(target: Uint8Array) {
        if (scratch.length < stored) scratch = Buffer.allocUnsafeSlow(stored);
        const content = scratch.subarray(0, stored);
        source.read(content, position);
        if (method === 0 ? inflateZlib(content, target) : unpackXz(content, target)) return;
        const message = `the block at ${hex(position)} (${stored} bytes, ${methods[method] ?? ""}) does not decode to ${blockSize} bytes`;
        throw new ImageError("CORRUPT", message, { file: source.name, position });
      },
    };
    return { kind: "packed", length, block, skip };
  }

  return (offset, length) => {
    const block = Math.floor(offset / blockSize);
    const skip = offset - block * blockSize;
    const most = Math.min(length, size - offset, blockSize - skip);
    const position = positionOf(block);
    const stored = positionOf(block + 1) - position;
    const method = header.methods ? table[2 * block]! >>> 28 : 0;
    if (stored === 0 && uzip) return { kind: "zero", length: most };
    // Twice the block: more than any of the methods makes of noise.
    if (stored <= 0 || stored > 2 * blockSize + 4096) return damaged(block, most, "CORRUPT", `it is said to have ${stored} bytes`);
    switch (method) {
      case 0:
      case 2:
        if (position + stored > source.size) return { kind: "damaged", length: most, error: behindEnd(source, position, stored) };
        return packed(block, position, stored, method, skip, most);
      case 1:
        if (stored !== blockSize) return damaged(block, most, "CORRUPT", `it is plain and has ${stored} bytes`);
        return storedExtent(source, position + skip, most);
      default:
        return damaged(block, most, "UNSUPPORTED", `it is compressed with ${methods[method] ?? `method ${method}`}, which is not read`);
    }
  };
}
