// The grain tables of hosted sparse extents, against their second copy, and where they lead. Reference: VMware Virtual Disk Format 5.0.
import type { Source } from "../../../source/source.js";
import { readBytes } from "../../../source/source.js";
import { ImageError } from "../../../util/errors.js";
import { hex } from "../../../util/text.js";
import type { Audit } from "../../audit.js";
import { createRunTeller } from "../../audit.js";
import { findOverlaps } from "../../places.js";
import { createTableCache, loadTable32 } from "../../tables.js";
import { findFooter } from "./footer.js";
import { type HostedHeader, readHostedHeader } from "./hosted-header.js";
import { HOSTED_MAGIC, SECTOR, ZEROED } from "./layout.js";
import { directoryEntries } from "./words.js";

/** Memory for grain tables. */
const TABLES_LIMIT = 8 * 2 ** 20;

export function auditSparse(source: Source, audit: Audit): void {
  if (source.size < SECTOR || readBytes(source, 0, 4).toString("latin1") !== HOSTED_MAGIC) return;
  const first = readHostedHeader(source, 0);
  const footer = first.directory === undefined ? findFooter(source, first.markers) : undefined;
  if (first.unclean || footer?.header.unclean) {
    const message = "The file was not closed properly by its last writer";
    audit.found({ kind: "not closed", severity: "warning", message, position: 72 });
  }
  if (first.directory === undefined && !footer) {
    if (first.size === 0 && !first.compressed) return;
    const message = "the footer that tells where the grain directory is is missing: the file is cut or damaged";
    audit.found({ kind: "footer missing", severity: "error", message, position: source.size });
    return;
  }
  const header = footer?.header ?? first;
  if (header.size === 0 || header.directory === undefined) return;
  for (const field of ["size", "grainSize", "tableEntries"] as const) {
    if (!footer || first[field] === header[field] || first[field] === 0) continue;
    const message = `header and footer differ: ${first[field]} and ${header[field]} (${field})`;
    audit.found({ kind: "copies differ", severity: "error", message, position: footer.position });
  }
  auditTables(source, header, header.directory, audit);
}

/** One copy of the tables. */
interface Tables {
  /** In sectors, as the directory has it; 0 or 1 where there is none. */
  readonly directory: Uint32Array;
  /** Undefined where it does not lie in the file. */
  table(index: number): Uint32Array | undefined;
}

function auditTables(source: Source, header: HostedHeader, position: number, audit: Audit): void {
  const { size, grainSize, tableEntries, zeroedGrains, redundant, overHead, compressed } = header;
  const grains = Math.ceil(size / grainSize);
  const count = directoryEntries({ grains, tableEntries });
  const isTable = (sector: number) => sector !== 0 && !(zeroedGrains && sector === ZEROED);

  function open(what: string, at: number): Tables | undefined {
    try {
      const directory = loadTable32(source, at, count, "little");
      const load = createTableCache(TABLES_LIMIT, (index) => {
        const entries = Math.min(tableEntries, grains - index * tableEntries);
        return loadTable32(source, (directory[index] ?? 0) * SECTOR, entries, "little");
      });
      // Each is asked for once for every grain in it: that it cannot be had is found out once.
      const lost = new Uint8Array(count);
      const table = (index: number): Uint32Array | undefined => {
        const found = lost[index] === 1 ? undefined : attempt(() => load(index));
        if (!found) lost[index] = 1;
        return found;
      };
      return { directory, table };
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      const message = `the ${what}, ${count * 4} bytes at ${hex(at)}, leaves the file`;
      audit.found({ kind: "grain directory", severity: "error", message, position: at });
      return undefined;
    }
  }

  const own = open("grain directory", position);
  const copy = redundant === undefined ? undefined : open("redundant grain directory", redundant);
  const doubtful = (start: number, length: number, reason: string) => {
    if (start < size) audit.doubtful({ start, length: Math.min(length, size - start) }, reason);
  };
  for (const [tables, at, what] of [[own, position, "grain table"] as const, [copy, redundant ?? 0, "redundant grain table"] as const]) {
    for (let index = 0; tables && index < count; index += 1) {
      if (!isTable(tables.directory[index] ?? 0) || tables.table(index)) continue;
      const message = `the ${what} ${index}, at ${hex((tables.directory[index] ?? 0) * SECTOR)}, does not lie in the file`;
      audit.found({ kind: "grain directory", severity: "error", message, position: at + 4 * index });
    }
  }
  if (own && copy) {
    for (let index = 0; index < count; index += 1) compareTables(index);
  }
  if (!own) return;
  auditGrains(own);

  function compareTables(index: number): void {
    const [mine, other] = [own?.directory[index] ?? 0, copy?.directory[index] ?? 0];
    const start = index * tableEntries * grainSize;
    if (isTable(mine) !== isTable(other) || (!isTable(mine) && mine !== other)) {
      const message = `grain table ${index} is in only one of the two grain directories`;
      audit.found({ kind: "copies differ", severity: "error", message, position: position + 4 * index });
      doubtful(start, tableEntries * grainSize, message);
      return;
    }
    if (!isTable(mine)) return;
    // Tables are kept by their number: a copy of one outlives the look at the other.
    const table = own?.table(index)?.slice();
    const second = copy?.table(index);
    if (!table || !second) return;
    const runs = createRunTeller((from, last) => {
      const number = last - from + 1;
      const message = `entries ${from} to ${last} of grain table ${index} and of its redundant copy differ`;
      audit.found({
        kind: "copies differ",
        severity: "error",
        message,
        position: mine * SECTOR + 4 * from,
        ...(number > 1 && { count: number }),
      });
      doubtful(start + from * grainSize, number * grainSize, message);
    });
    for (let entry = 0; entry < table.length; entry += 1) if (table[entry] !== second[entry]) runs.add(entry, "");
    runs.end();
  }

  function auditGrains(tables: Tables): void {
    const placeOf = (grain: number) => {
      const index = Math.floor(grain / tableEntries);
      if (!isTable(tables.directory[index] ?? 0)) return -1;
      const sector = tables.table(index)?.[grain - index * tableEntries] ?? 0;
      return sector === 0 || (zeroedGrains && sector === ZEROED) ? -1 : sector * SECTOR;
    };
    const found = (kind: string, grain: number, what: string) => {
      const index = Math.floor(grain / tableEntries);
      const message = `the grain at offset ${hex(grain * grainSize)} of the disk, at ${hex(placeOf(grain))}, ${what}`;
      const at = (tables.directory[index] ?? 0) * SECTOR + 4 * (grain - index * tableEntries);
      audit.found({ kind, severity: "error", message, position: at });
      return message;
    };
    for (let grain = 0; grain < grains; grain += 1) {
      const place = placeOf(grain);
      if (place >= source.size) found("behind the end", grain, `is behind the end of the file, which has ${source.size} bytes`);
      else if (place >= 0 && place < (compressed ? SECTOR : overHead))
        doubtful(grain * grainSize, grainSize, found("overlap", grain, "lies over headers and tables"));
      if (grain % 65536 === 0) audit.progress(grain, grains);
    }
    // How long a compressed grain is is not in the table: two of them never begin in one sector.
    findOverlaps({ count: grains, length: compressed ? SECTOR : grainSize, end: source.size, placeOf }, (grain, other) => {
      const reason = found("overlap", grain, `lies over the grain at offset ${hex(other * grainSize)}`);
      doubtful(other * grainSize, grainSize, reason);
      doubtful(grain * grainSize, grainSize, reason);
    });
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}
