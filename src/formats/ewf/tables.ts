// From the number of a chunk to where it is stored.
import { readBytes } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { hex } from "../../util/text.js";
import { tableError } from "../stored.js";
import { createTableCache } from "../tables.js";
import { adler32 } from "./adler.js";
import { COMPRESSED, ENTRY_SIZE, table as tableLayout } from "./layout.js";
import { type ChunkTable, type Section, tableHeader } from "./segment.js";

/** Memory for tables, of which each of EnCase's takes 256 KiB and maps 512 MiB. */
const TABLES_LIMIT = 8 * 2 ** 20;

/** Where a chunk is. */
export interface Place {
  readonly table: ChunkTable;
  /** In the segment file of its table. */
  readonly position: number;
  /** Bytes up to the next chunk or the end of all chunks. */
  readonly room: number;
  readonly compressed: boolean;
}

export interface ChunkIndex {
  /** Chunks that the tables tell of. */
  readonly count: number;
  /** Throws for a chunk whose table cannot be had, or whose entry cannot be. `chunk` is below `count`. */
  place(chunk: number): Place;
}

/** The index over all tables of all segments, in order. */
export function createIndex(tables: readonly ChunkTable[]): ChunkIndex {
  const firsts: number[] = [];
  let count = 0;
  for (const { entries } of tables) {
    firsts.push(count);
    count += entries;
  }
  const bases = new Float64Array(tables.length);
  const load = createTableCache(TABLES_LIMIT, (index) => {
    const table = tables[index] as ChunkTable;
    try {
      const { base, words } = readTable(table);
      bases[index] = base;
      return words;
    } catch (error) {
      throw tableError(table.source, "table", table.copies[0].start, error);
    }
  });

  function tableOf(chunk: number): number {
    let low = 0;
    let high = tables.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((firsts[middle] ?? 0) <= chunk) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  return {
    count,
    place(chunk) {
      const index = tableOf(chunk);
      const table = tables[index] as ChunkTable;
      const words = load(index);
      const entry = chunk - (firsts[index] ?? 0);
      const position = (bases[index] ?? 0) + (words[2 * entry] ?? 0);
      const kind = words[2 * entry + 1] ?? broken;
      const last = entry + 1 === table.entries;
      const end = last ? table.dataEnd : (bases[index] ?? 0) + (words[2 * entry + 2] ?? 0);
      if (kind === broken || end <= position) {
        const at = table.copies[0].start + tableLayout.size + entry * ENTRY_SIZE;
        const message = `the table entry of chunk ${chunk} leads to ${hex(position)}, which cannot be`;
        throw new ImageError("CORRUPT", message, { file: table.source.name, position: at });
      }
      return { table, position, room: end - position, compressed: kind === packed };
    },
  };
}

const [plain, packed, broken] = [0, 1, 2];

/** The entries as pairs: the position behind the base, and what is there. */
function readTable(table: ChunkTable): { readonly base: number; readonly words: Uint32Array } {
  const { content, base } = contentOf(table);
  const words = new Uint32Array(table.entries * 2);
  let before = 0;
  // EnCase 6.7.1 went on behind 2 GiB with all 32 bits, and without compression.
  let overflown = false;
  for (let entry = 0; entry < table.entries; entry += 1) {
    const value = content.readUInt32LE(entry * ENTRY_SIZE);
    const low = value & ~COMPRESSED;
    if (!overflown && low < before && value >= before) overflown = true;
    const position = overflown ? value : low;
    words[2 * entry] = position;
    words[2 * entry + 1] = position < before ? broken : !overflown && low !== value ? packed : plain;
    before = position;
  }
  return { base, words };
}

/** The entries of whichever copy is sound. Where neither has the right checksum, they must be the same: then the writer had an idea of its own. */
function contentOf(table: ChunkTable): { readonly content: Buffer; readonly base: number } {
  const copies = table.copies.map((section) => readCopy(table, section));
  const sound = copies.find((copy) => copy?.valid);
  if (sound) return sound;
  const [first, second] = copies;
  if (first && second && first.base === second.base && first.content.equals(second.content)) return first;
  const [{ start }] = table.copies;
  const message = `the table at ${hex(start)} has a wrong checksum${second ? ", and so has its copy, which is another one" : ""}`;
  throw new ImageError("CORRUPT", message, { file: table.source.name, position: start });
}

function readCopy(
  { source, entries }: ChunkTable,
  section: Section,
): { readonly content: Buffer; readonly base: number; readonly valid: boolean } | undefined {
  const header = tableHeader(source, section);
  if (header?.entries !== entries) return undefined;
  const start = section.start + tableLayout.size;
  const length = entries * ENTRY_SIZE;
  if (start + length > source.size) return undefined;
  const content = readBytes(source, start, length);
  return { content, base: header.base, valid: header.valid && isChecked(source, section.end, start + length, content) };
}

/** Whether the checksum behind the entries fits. The first specification has none: there chunks follow, or the section ends. */
function isChecked({ size, read }: ChunkTable["source"], end: number, position: number, content: Buffer): boolean {
  if (position + 4 !== end) return true;
  if (position + 4 > size) return false;
  const stored = Buffer.alloc(4);
  read(stored, position);
  return stored.readUInt32LE(0) === adler32(content);
}
