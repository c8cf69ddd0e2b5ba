import { LRUCache } from "lru-cache";
import { readBytes, type Source } from "../source/source.js";

export type ByteOrder = "big" | "little";

/**
 * A table of `entries` 64-bit words in `order` at `position` of `source`, as pairs of 32-bit words in host order: high word of entry i at 2·i, low word
 * at 2·i + 1, whatever the order in the file. Bit masks work on the halves; a `bigint` per entry would cost an allocation each. Throws what `source.read` throws.
 */
export function loadTable64(source: Source, position: number, entries: number, order: ByteOrder = "big"): Uint32Array {
  const content = readBytes(source, position, entries * 8);
  if (order === "little") content.swap64();
  if (hostIsLittleEndian) content.swap32();
  return new Uint32Array(content.buffer, content.byteOffset, entries * 2);
}

/**
 * A table of `entries` 32-bit words in `order` at `position` of `source`, in host order; in the memory of `spare`, a table that is not needed any more,
 * if it is of that size. Throws what `source.read` throws.
 */
export function loadTable32(source: Source, position: number, entries: number, order: ByteOrder, spare?: Uint32Array): Uint32Array {
  const own = spare?.length === entries ? Buffer.from(spare.buffer, spare.byteOffset, spare.byteLength) : undefined;
  const content = own ?? Buffer.allocUnsafeSlow(entries * 4);
  source.read(content, position);
  if ((order === "little") !== hostIsLittleEndian) content.swap32();
  return new Uint32Array(content.buffer, content.byteOffset, entries);
}

const hostIsLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/**
 * Tables by their position, loaded when first wanted, the least recently used ones dropped beyond `limit` bytes. `load` gets one that was dropped, to
 * use its memory again: small tables read at random would else leave garbage faster than it is collected. So a table is good until the next one is wanted.
 */
export function createTableCache(
  limit: number,
  load: (position: number, spare?: Uint32Array) => Uint32Array,
): (position: number) => Uint32Array {
  let spare: Uint32Array | undefined;
  const tables = new LRUCache<number, Uint32Array>({
    maxSize: limit,
    sizeCalculation: (table) => table.byteLength || 1,
    dispose: (table) => {
      spare = table;
    },
  });
  return (position) => {
    const known = tables.get(position);
    if (known) return known;
    const unused = spare;
    spare = undefined;
    const table = load(position, unused);
    tables.set(position, table);
    return table;
  };
}
