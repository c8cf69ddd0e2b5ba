// A stream-optimized extent whose end is missing, read from its beginning: every grain says by itself where it belongs.
import { readBytes, type Source } from "../../../source/source.js";
import { ImageError } from "../../../util/errors.js";
import { loadTable32 } from "../../tables.js";
import { footerAt, type Footer } from "./footer.js";
import { type GrainKind, type GrainReader, type GrainTables, grainKinds } from "./grains.js";
import type { HostedHeader } from "./hosted-header.js";
import { GRAIN_MARKER_SIZE, limits, marker, markerTypes, SECTOR, ZEROED } from "./layout.js";
import { mostStored } from "./packed.js";
import { directoryEntries } from "./words.js";

/** An entry of a table made here whose grain was not met. As a sector it would be the last one that entries can name. */
const LOST = 0xffff_ffff;

export interface Scan {
  readonly footer: Footer | undefined;
  /** Position of a complete grain directory. */
  readonly directory: number | undefined;
  /** Tables by number, as far as grains were met. */
  readonly tables: ReadonlyMap<number, Uint32Array>;
  readonly grains: number;
  /** Where it ended: at the end of the stream, or where the file ends or makes no sense. */
  readonly end: number;
}

/** Walks from marker to marker and stops at the first thing that cannot be one, so that nothing is ever found in a wrong place. */
export function scanStream(source: Source, header: HostedHeader): Scan {
  const { descriptor, overHead } = header;
  const behindDescriptor = descriptor ? sectorUp(descriptor.position + descriptor.length) : SECTOR;
  // Some writers count tables as overhead that they write at the end; others leave room behind the descriptor.
  const scan = scanFrom(source, header, behindDescriptor);
  return scan.grains === 0 && overHead > behindDescriptor ? scanFrom(source, header, overHead) : scan;
}

function scanFrom(source: Source, header: HostedHeader, start: number): Scan {
  const found = new FoundGrains(source, header);
  const { tableBytes, directoryBytes } = found;
  let footer: Footer | undefined;
  let directory: number | undefined;
  let position = start;
  while (position + marker.size <= source.size) {
    const head = readBytes(source, position, marker.size);
    const value = head.readUInt32LE(4) * 2 ** 32 + head.readUInt32LE(0);
    const size = head.readUInt32LE(8);
    if (size > 0) {
      const end = position + GRAIN_MARKER_SIZE + size;
      if (size > mostStored(header.grainSize) || end > source.size || !isZlib(head, GRAIN_MARKER_SIZE)) break;
      if (!found.add(value, position)) break;
      position = sectorUp(end);
      continue;
    }
    const type = head.readUInt32LE(12);
    const content = position + SECTOR;
    if (type === markerTypes.endOfStream || type > markerTypes.progress) break;
    if (type === markerTypes.footer) {
      footer = footerAt(source, content, true);
      break;
    }
    const expected = type === markerTypes.grainTable ? tableBytes : type === markerTypes.grainDirectory ? directoryBytes : 0;
    // Some writers leave the number of sectors away.
    const end = content + (value > 0 ? value * SECTOR : sectorUp(expected));
    if (end > source.size) break;
    if (type === markerTypes.grainTable && end - content >= expected) found.addTable(content);
    if (type === markerTypes.grainDirectory && end - content >= expected && found.knows(content)) directory ??= content;
    position = end;
  }
  return { footer, directory, tables: found.tables, grains: found.count, end: Math.min(position, source.size) };
}

function sectorUp(position: number): number {
  return Math.ceil(position / SECTOR) * SECTOR;
}

/** Whether a zlib stream can begin so: RFC 1950, section 2.2. */
function isZlib(bytes: Buffer, at: number): boolean {
  return ((bytes[at] ?? 0) & 0x0f) === 8 && bytes.readUInt16BE(at) % 31 === 0;
}

/** Grain tables in the making. */
class FoundGrains {
  readonly tables = new Map<number, Uint32Array>();
  count = 0;
  /** Of one grain table, and of the directory. */
  readonly tableBytes: number;
  readonly directoryBytes: number;
  readonly #source: Source;
  readonly #header: HostedHeader;
  /** Sectors of the tables that were met. */
  readonly #met = new Set<number>();

  constructor(source: Source, header: HostedHeader) {
    const { size, grainSize, tableEntries } = header;
    this.#source = source;
    this.#header = header;
    this.tableBytes = tableEntries * 4;
    this.directoryBytes = directoryEntries({ grains: Math.ceil(size / grainSize), tableEntries }) * 4;
  }

  /** Takes the grain of the disk's sector `sector`, stored at `position`; false if there can be none, or not twice. */
  add(sector: number, position: number): boolean {
    const { size, grainSize, tableEntries } = this.#header;
    const grain = (sector * SECTOR) / grainSize;
    if (!Number.isInteger(grain) || sector * SECTOR >= size || position / SECTOR >= LOST) return false;
    const index = Math.floor(grain / tableEntries);
    const table = this.tables.get(index) ?? this.#newTable(index);
    const entry = grain % tableEntries;
    if (table[entry] !== LOST) return false;
    table[entry] = position / SECTOR;
    this.count += 1;
    return true;
  }

  #newTable(index: number): Uint32Array {
    const { tableEntries } = this.#header;
    if ((this.tables.size + 1) * tableEntries > limits.scannedEntries) {
      throw new ImageError(
        "UNSUPPORTED",
        `the file has no grain directory, and its grains need more than ${limits.scannedEntries} table entries`,
        {
          file: this.#source.name,
        },
      );
    }
    const table = new Uint32Array(tableEntries).fill(LOST);
    this.tables.set(index, table);
    return table;
  }

  /**
   * Takes what the table at `position` says of the grains that are not there, if all others of it are where they were met.
   * Which table it is, the first grain that it names tells.
   */
  addTable(position: number): void {
    const { tableEntries, grainSize } = this.#header;
    this.#met.add(position / SECTOR);
    const said = loadTable32(this.#source, position, tableEntries, "little");
    const first = said.findIndex((sector) => !this.#isNowhere(sector));
    const at = (said[first] ?? 0) * SECTOR;
    if (first < 0 || at + marker.size > this.#source.size) return;
    const head = readBytes(this.#source, at, marker.size);
    const grain = ((head.readUInt32LE(4) * 2 ** 32 + head.readUInt32LE(0)) * SECTOR) / grainSize;
    const table = this.tables.get(Math.floor(grain / tableEntries));
    if (!table || grain % tableEntries !== first) return;
    if (!said.every((sector, entry) => (this.#isNowhere(sector) ? table[entry] === LOST : table[entry] === sector))) return;
    said.forEach((sector, entry) => {
      table[entry] = sector;
    });
  }

  /** Whether the directory at `position` names tables that were met, and one for every grain that was: otherwise bytes are missing before it. */
  knows(position: number): boolean {
    const directory = loadTable32(this.#source, position, this.directoryBytes / 4, "little");
    return (
      directory.every((sector) => this.#isNowhere(sector) || this.#met.has(sector)) &&
      [...this.tables.keys()].every((index) => !this.#isNowhere(directory[index] ?? 0))
    );
  }

  #isNowhere(sector: number): boolean {
    return sector === 0 || (this.#header.zeroedGrains && sector === ZEROED);
  }
}

/** The tables of a scan as a map reads them. */
export function scannedTables({ tables }: Scan): GrainTables {
  return {
    whole: (index) => (tables.has(index) ? undefined : grainKinds.lost),
    load: (index) => tables.get(index) ?? new Uint32Array(),
    entryPosition: () => 0,
  };
}

/** Reads their entries: like `inner`, but for grains that were not met. */
export function scannedGrains(inner: GrainReader): GrainReader {
  return { ...inner, kind: (table, entry): GrainKind => (table[entry] === LOST ? grainKinds.lost : inner.kind(table, entry)) };
}
