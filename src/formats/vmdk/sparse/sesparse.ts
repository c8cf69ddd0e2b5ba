// Space-efficient sparse extents (seSparse) of VMFS 6. No public specification; reference: QEMU, block/vmdk.c.
import { readStruct, type Source } from "../../../source/source.js";
import { type ErrorCode, ImageError } from "../../../util/errors.js";
import { hex } from "../../../util/text.js";
import { createTableCache, loadTable64 } from "../../tables.js";
import type { SparseExtent } from "./extent.js";
import { createGrainMap, type GrainReader, type GrainTables, grainKinds } from "./grains.js";
import {
  limits,
  SE_CONST_MAGIC,
  SE_GRAIN,
  SE_TABLE,
  SE_VERSION,
  SE_VOLATILE_MAGIC,
  SECTOR,
  seConstHeader,
  seVolatileHeader,
} from "./layout.js";
import { misplaced, plainStore } from "./words.js";

const GRAIN_SIZE = SE_GRAIN * SECTOR;
const TABLE_BYTES = SE_TABLE * SECTOR;
const TABLE_ENTRIES = TABLE_BYTES / 8;
/** High word of a directory entry that names a table; its number is the low word. */
const TABLE_ALLOCATED = 0x1000_0000;

const types = { unallocated: 0, unmapped: 1, zero: 2, allocated: 3 } as const;

type Header = ReturnType<typeof seConstHeader.decode>;

export function openSeSparse(source: Source): SparseExtent {
  const header = readHeader(source);
  const notes: string[] = [];
  const size = header.capacity * SECTOR;
  return {
    size,
    kind: "seSparse",
    descriptor: undefined,
    map: createGrainMap({
      source,
      size,
      grainSize: GRAIN_SIZE,
      tableEntries: TABLE_ENTRIES,
      tables: readTables(source, header),
      grains: doubleGrains(header.grainsOffset, notes),
      store: plainStore(source),
      broken: (position, problem) => new ImageError("CORRUPT", problem, { file: source.name, position }),
    }),
    details: { "header version": "2.1", "grain size": GRAIN_SIZE, "grain table entries": TABLE_ENTRIES },
    notes,
  };
}

/** Both headers; throws for whatever QEMU refuses, since nobody else tells what it would mean. */
function readHeader(source: Source): Header {
  const header = readStruct(source, 0, seConstHeader);
  const fail = (code: ErrorCode, position: number, message: string, hint?: string) =>
    new ImageError(code, message, { file: source.name, position, hint });
  const { magic, version, capacity, grainSize, grainTableSize, flags, reserved, padding } = header;
  if (magic !== SE_CONST_MAGIC) throw fail("CORRUPT", 0, "this is no seSparse header");
  if (version !== SE_VERSION) {
    throw fail("UNSUPPORTED", 8, `the version of the seSparse extent is 0x${version.toString(16)}; 0x${SE_VERSION.toString(16)} is known`);
  }
  if (grainSize !== SE_GRAIN) throw fail("UNSUPPORTED", 24, `the grain size is ${grainSize} sectors; ${SE_GRAIN} is known`);
  if (grainTableSize !== SE_TABLE) throw fail("UNSUPPORTED", 32, `a grain table has ${grainTableSize} sectors; ${SE_TABLE} is known`);
  if (flags !== 0n) throw fail("UNSUPPORTED", 40, `the flags 0x${flags.toString(16)} are set, which this version does not know`);
  if (reserved.some((byte) => byte !== 0)) throw fail("UNSUPPORTED", 48, "reserved fields of the header are set");
  if (padding.some((byte) => byte !== 0)) throw fail("UNSUPPORTED", 208, "there are more fields in the header than this version knows");
  if (capacity >= 2 ** 44) throw fail("CORRUPT", 16, `the capacity is ${capacity} sectors, over 2^53 bytes`);
  checkVolatile(source, header.volatileHeaderOffset * SECTOR, fail);
  return header;
}

function checkVolatile(
  source: Source,
  position: number,
  fail: (code: ErrorCode, position: number, message: string, hint?: string) => ImageError,
): void {
  const { magic, replayJournal, padding } = readStruct(source, position, seVolatileHeader);
  if (magic !== SE_VOLATILE_MAGIC) throw fail("CORRUPT", position, "this is no volatile header of a seSparse extent");
  if (replayJournal !== 0n) {
    throw fail(
      "UNSUPPORTED",
      position + 24,
      "the journal of the seSparse extent was not replayed: its last writer did not close it, and the format of the journal is not public",
      "Let the host that wrote it open the disk once, for example by starting the virtual machine and shutting it down.",
    );
  }
  if (padding.some((byte) => byte !== 0)) {
    throw fail("UNSUPPORTED", position + 32, "there are more fields in the volatile header than this version knows");
  }
}

function readTables(source: Source, header: Header): GrainTables {
  const { capacity, grainDirectoryOffset, grainDirectorySize, grainTablesOffset, grainTablesSize } = header;
  const fail = (code: ErrorCode, position: number, message: string) => new ImageError(code, message, { file: source.name, position });
  const position = grainDirectoryOffset * SECTOR;
  const entries = Math.ceil(capacity / (SE_GRAIN * TABLE_ENTRIES));
  if (entries > limits.directoryEntries) {
    throw fail(
      "CORRUPT",
      16,
      `the capacity of ${capacity} sectors needs ${entries} grain tables; ${limits.directoryEntries} are the limit`,
    );
  }
  if (grainDirectorySize * SECTOR < entries * 8) {
    throw fail("CORRUPT", 136, `the grain directory has ${grainDirectorySize} sectors; the capacity needs ${entries} entries`);
  }
  const reserved = [{ what: "header", start: 0, end: SECTOR }];
  const problem = entries > 0 && misplaced(source, position, entries * 8, { reserved });
  if (problem) throw fail(problem.code, 128, `the grain directory ${problem.text}`);
  const directory = loadTable64(source, position, entries, "little");

  const load = createTableCache(limits.cachedTableBytes, (index) => {
    const high = directory[2 * index]!;
    const number = directory[2 * index + 1]!;
    const entryPosition = position + 8 * index;
    if (high !== TABLE_ALLOCATED)
      throw fail("CORRUPT", entryPosition, `the grain directory entry ${entryText(high, number)} is of no known type`);
    if ((number + 1) * SE_TABLE > grainTablesSize) {
      throw fail("CORRUPT", entryPosition, `the grain table ${number} is outside the ${grainTablesSize} sectors of all grain tables`);
    }
    const at = (grainTablesOffset + number * SE_TABLE) * SECTOR;
    const outside = misplaced(source, at, TABLE_BYTES, { reserved });
    if (outside) throw fail(outside.code, entryPosition, `the grain table ${outside.text}`);
    return loadTable64(source, at, TABLE_ENTRIES, "little");
  });
  return {
    whole: (index) => (directory[2 * index] === 0 && directory[2 * index + 1] === 0 ? grainKinds.absent : undefined),
    load,
    entryPosition: (index) => position + 8 * index,
  };
}

function entryText(high: number, low: number): string {
  return `0x${high.toString(16).padStart(8, "0")}${low.toString(16).padStart(8, "0")}`;
}

/** Entries of 64 bits: a type in the topmost 4, then the grain's number with its lower 12 bits in front of the other 48. */
function doubleGrains(grainsOffset: number, notes: string[]): GrainReader {
  let noted = false;
  const highOf = (table: Uint32Array, entry: number) => table[2 * entry]!;
  const lowOf = (table: Uint32Array, entry: number) => table[2 * entry + 1]!;
  const position = (table: Uint32Array, entry: number) => {
    const high = highOf(table, entry);
    const number = ((high & 0xffff) * 2 ** 32 + lowOf(table, entry)) * 4096 + ((high >>> 16) & 0xfff);
    return (grainsOffset + number * SE_GRAIN) * SECTOR;
  };
  return {
    kind(table, entry) {
      const high = highOf(table, entry);
      switch (high >>> 28) {
        case types.unallocated:
          return high === 0 && lowOf(table, entry) === 0 ? grainKinds.absent : grainKinds.broken;
        case types.unmapped:
          if (!noted) notes.push("Some grains were unmapped by the guest; they read as zeros.");
          noted = true;
          return grainKinds.zero;
        case types.zero:
          return grainKinds.zero;
        case types.allocated:
          return Number.isSafeInteger(position(table, entry)) ? grainKinds.stored : grainKinds.broken;
        default:
          return grainKinds.broken;
      }
    },
    position,
    problem: (table, entry) =>
      `the grain table entry ${entryText(highOf(table, entry), lowOf(table, entry))} ${highOf(table, entry) >>> 28 === types.allocated ? `names a grain over ${hex(2 ** 53)}` : "is of no known type"}`,
  };
}
