import { LRUCache } from "lru-cache";
import type { PackedBlock } from "../formats/driver.js";

/** Told what became of each read. */
export interface DecodeCounter {
  /** The block was there. */
  hit(): void;
  /** It was not, and `bytes` bytes were decoded. */
  decoded(bytes: number): void;
}

/** Decoded blocks, least recently used ones dropped first. */
export interface BlockCache {
  /** Fills `target` with the decoded bytes of `block` from `skip` on. */
  read(block: PackedBlock, target: Uint8Array, skip: number): void;
}

/** A cache of at most `limit` bytes, or of one block if that is larger: what is beside the bytes that were read is read next. 0: none. */
export function createBlockCache(limit: number, counter?: DecodeCounter): BlockCache {
  // Buffers of dropped blocks are used again: blocks of one image are of one size, and a fresh buffer per block would keep the collector busy.
  const spare: Uint8Array[] = [];
  const decoded = new LRUCache<string, Uint8Array>({
    maxSize: Math.max(1, limit),
    sizeCalculation: (content) => content.length,
    dispose: (content) => {
      if (spare.length < 2) spare.push(content);
    },
  });

  /** The last block that was larger than the limit; its buffer alone, if that holds nothing that is to be kept. */
  let large: { readonly key: string | undefined; readonly content: Uint8Array } | undefined;

  /** A buffer for `size` bytes, whose old content is not known any more. */
  function bufferOf(size: number): Uint8Array {
    const recycled = size > limit ? large?.content : spare.pop();
    const content = recycled?.length === size ? recycled : Buffer.allocUnsafeSlow(size);
    if (size > limit) large = { key: undefined, content };
    return content;
  }

  return {
    read(block, target, skip) {
      const known = block.key === large?.key ? large.content : decoded.get(block.key);
      if (known) {
        counter?.hit();
        target.set(known.subarray(skip, skip + target.length));
        return;
      }
      // The whole block is wanted: what asked for it keeps it, so a second copy here would only cost.
      if (target.length === block.size) {
        block.unpack(target);
        counter?.decoded(block.size);
        return;
      }
      const content = bufferOf(block.size);
      block.unpack(content);
      counter?.decoded(block.size);
      target.set(content.subarray(skip, skip + target.length));
      if (content.length <= limit) decoded.set(block.key, content);
      else if (limit > 0) large = { key: block.key, content };
    },
  };
}
