// Section 2.2.3: where the BAT and the metadata are.
import { readStruct, type Source } from "../../source/source.js";
import { type ErrorCode, ImageError } from "../../util/errors.js";
import { mixedGuid } from "../../util/guid.js";
import { hex } from "../../util/text.js";
import { readChecked } from "./checksum.js";
import type { VhdxHeader } from "./header.js";
import { HEADER_SECTION, limits, MIB, REGION_TABLE_SIZE, regionEntry, regionGuids, regionTable, regionTablePositions } from "./layout.js";

/** A part of the file that holds no blocks. Positions and lengths in bytes. */
export interface Region {
  /** For messages: `the BAT`. */
  readonly name: string;
  readonly position: number;
  readonly length: number;
}

export interface Regions {
  readonly bat: Region;
  readonly metadata: Region;
  /** Where blocks cannot be: all of these, the header section and the log. */
  readonly taken: readonly Region[];
}

/** Reads the first region table, or the second where that is damaged. Throws for a region that has to be known and is not. */
export function readRegions(source: Source, { log }: VhdxHeader): Regions {
  const [first, second] = regionTablePositions;
  const intact = readTable(source, first);
  const position = intact ? first : second;
  const table = intact ?? readTable(source, second);
  const fail = (code: ErrorCode, at: number, message: string) =>
    new ImageError(code, message, { file: source.name, position: position + at });
  if (!table) {
    const message = "both of its region tables are damaged: neither has the right checksum";
    throw new ImageError("CORRUPT", message, { file: source.name, position: first });
  }
  const { entryCount } = regionTable.decode(table);
  if (entryCount > limits.entries) throw fail("CORRUPT", 8, `its region table has ${entryCount} entries; ${limits.entries} are the limit`);

  const found = new Map<string, Region>();
  for (let index = 0; index < entryCount; index += 1) {
    const at = regionTable.size + index * regionEntry.size;
    const { guid: bytes, fileOffset, length, required } = readStruct(source, position + at, regionEntry);
    const guid = mixedGuid(bytes);
    const known = guid === regionGuids.bat ? "the BAT" : guid === regionGuids.metadata ? "the metadata" : undefined;
    if (known === undefined && (required & 1) !== 0) {
      throw fail("UNSUPPORTED", at, `it has the region ${guid}, which must be understood to read the file and is not known here`);
    }
    if (found.has(guid)) throw fail("CORRUPT", at, `its region table has the region ${guid} twice`);
    if (fileOffset < HEADER_SECTION || fileOffset % MIB !== 0 || length % MIB !== 0) {
      throw fail(
        "CORRUPT",
        at,
        `the region ${guid}, ${length} bytes at ${hex(fileOffset)}, is not made of whole MiB behind the header section`,
      );
    }
    found.set(guid, { name: known ?? `the region ${guid}`, position: fileOffset, length });
  }

  const taken = [
    { name: "the header section", position: 0, length: HEADER_SECTION },
    { name: "the log", position: log.position, length: log.length },
    ...found.values(),
  ].filter(({ length }) => length > 0);
  refuseOverlap(source, taken, position);
  const [bat, metadata] = [found.get(regionGuids.bat), found.get(regionGuids.metadata)];
  if (!bat) throw fail("CORRUPT", 8, "its region table does not tell where the BAT is");
  if (!metadata) throw fail("CORRUPT", 8, "its region table does not tell where the metadata is");
  return { bat, metadata, taken };
}

/** What is unusual about the two tables. */
export function regionNotes(source: Source): string[] {
  const [first, second] = regionTablePositions.map((position) => readTable(source, position));
  if (!first) return ["Its first region table is damaged; the second one was used."];
  if (!second) return ["Its second region table is damaged; the first one was used."];
  return first.equals(second) ? [] : ["Its two region tables differ; the first one was used."];
}

function readTable(source: Source, position: number): Buffer | undefined {
  return readChecked(source, position, REGION_TABLE_SIZE, "regi");
}

function refuseOverlap(source: Source, regions: readonly Region[], tablePosition: number): void {
  const sorted = regions.toSorted((a, b) => a.position - b.position);
  for (const [index, region] of sorted.entries()) {
    const before = sorted[index - 1];
    if (!before || before.position + before.length <= region.position) continue;
    throw new ImageError("CORRUPT", `${before.name} and ${region.name} overlap at ${hex(region.position)}`, {
      file: source.name,
      position: tablePosition,
    });
  }
}
