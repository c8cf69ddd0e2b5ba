// Copy-on-write disks of ESX Server (vmfsSparse). Reference: VMware Virtual Disk Format 5.0, "ESXi Host Sparse Extents".
import { readStruct, type Source } from "../../../source/source.js";
import { type ErrorCode, ImageError } from "../../../util/errors.js";
import type { SparseExtent } from "./extent.js";
import { createGrainMap } from "./grains.js";
import { COWD_TABLE_ENTRIES, cowdHeader, limits, SECTOR } from "./layout.js";
import { directoryEntries, type DirectoryShape, plainStore, readDirectory, wordGrains, wordTables } from "./words.js";

export function openCowd(source: Source): SparseExtent {
  const { version, numSectors, grainSize, gdOffset, numGDEntries, uncleanShutdown } = readStruct(source, 0, cowdHeader);
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  if (version !== 1) throw fail("UNSUPPORTED", 4, `the version of the COWD extent is ${version}; 1 is known`);
  if (grainSize === 0 || grainSize > limits.grainSectors) {
    throw fail("CORRUPT", 16, `the grain size is ${grainSize} sectors, not 1 to ${limits.grainSectors}`);
  }
  const shape: DirectoryShape = {
    grains: Math.ceil(numSectors / grainSize),
    tableEntries: COWD_TABLE_ENTRIES,
    reserved: [{ what: "header", start: 0, end: cowdHeader.size }],
  };
  const needed = directoryEntries(shape);
  if (numGDEntries < needed) throw fail("CORRUPT", 24, `the grain directory has ${numGDEntries} entries; the capacity needs ${needed}`);

  const size = numSectors * SECTOR;
  const position = gdOffset * SECTOR;
  const tables = wordTables(
    source,
    needed === 0 ? new Uint32Array() : readDirectory(source, "grain directory", position, shape),
    position,
    false,
    shape,
  );
  return {
    size,
    kind: "cowd",
    descriptor: undefined,
    map: createGrainMap({
      source,
      size,
      grainSize: grainSize * SECTOR,
      tableEntries: COWD_TABLE_ENTRIES,
      tables,
      grains: wordGrains(false),
      store: plainStore(source),
      broken: (at, problem) => fail("CORRUPT", at, problem),
    }),
    details: { "header version": version, "grain size": grainSize * SECTOR, "grain table entries": COWD_TABLE_ENTRIES },
    notes: uncleanShutdown === 0 ? [] : ["The file was not closed properly by its last writer."],
  };
}
