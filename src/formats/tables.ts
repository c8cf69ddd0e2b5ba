import { LRUCache } from "lru-cache";
import { readBytes, type Source } from "../source/source.js";

/**
 * A table of `entries` big-endian 64-bit words at `position` of `source`, as pairs of 32-bit words in host order: high word of entry i at 2·i, low word
 * at 2·i + 1. Bit masks work on the halves; a `bigint` per entry would cost an allocation each. Throws what `source.read` throws.
 */
export function loadTable64(source: Source, position: number, entries: number): Uint32Array {
  const content = readBytes(source, position, entries * 8);
  if (hostIsLittleEndian) content.swap32();
  return new Uint32Array(content.buffer, content.byteOffset, entries * 2);
}

const hostIsLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** Tables by their position, loaded when first wanted, the least recently used ones dropped beyond `limit` bytes. */
export function createTableCache(limit: number, load: (position: number) => Uint32Array): (position: number) => Uint32Array {
  const tables = new LRUCache<number, Uint32Array>({ maxSize: limit, sizeCalculation: (table) => table.byteLength || 1 });
  return (position) => {
    const known = tables.get(position);
    if (known) return known;
    const table = load(position);
    tables.set(position, table);
    return table;
  };
}
