import type { Source } from "../source/source.js";
import { type ByteOrder, createTableCache, loadTable32, loadTable64 } from "./tables.js";

/** Entries of a slice, and bytes of slices that are kept. */
const SLICE = 16384;
const LIMIT = 4 * 2 ** 20;

/** The entries of a table of 32-bit words, which lies in the file, by number; read as they are asked for. */
export function createTableReader(source: Source, position: number, entries: number, order: ByteOrder): (index: number) => number {
  const load = createTableCache(LIMIT, (slice) =>
    loadTable32(source, position + slice * SLICE * 4, Math.min(SLICE, entries - slice * SLICE), order),
  );
  let current = -1;
  let words = new Uint32Array();
  return (index) => {
    const slice = Math.floor(index / SLICE);
    if (slice !== current) [current, words] = [slice, load(slice) as Uint32Array<ArrayBuffer>];
    return words[index - slice * SLICE] ?? 0;
  };
}

/** The same for words of 64 bits, each as its high and its low half. */
export function createWideReader(
  source: Source,
  position: number,
  entries: number,
  order: ByteOrder,
): (index: number) => readonly [high: number, low: number] {
  const load = createTableCache(LIMIT, (slice) =>
    loadTable64(source, position + slice * SLICE * 8, Math.min(SLICE, entries - slice * SLICE), order),
  );
  return (index) => {
    const slice = Math.floor(index / SLICE);
    const words = load(slice);
    const at = 2 * (index - slice * SLICE);
    return [words[at] ?? 0, words[at + 1] ?? 0];
  };
}
