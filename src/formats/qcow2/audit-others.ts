// What takes clusters of the file beside the tables of the active state: snapshots, bitmaps, the LUKS header.
// Reference: docs/interop/qcow2.rst, sections "Snapshots" and "Bitmaps".
import { readBytes, readStruct, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { struct, u16, u32, u64 } from "../../util/struct.js";
import type { Problem } from "../audit.js";
import { loadTable64 } from "../tables.js";
import { hostOffset } from "./entries.js";
import type { Qcow2Header } from "./header.js";
import { autoclear, extensionHead, extensions, headerV2, headerV3, limits, snapshotExtra, snapshotHead } from "./layout.js";

/** A part of the file that is no table of clusters. */
export interface Part {
  readonly what: string;
  readonly position: number;
  readonly length: number;
}

export interface SnapshotTable {
  readonly parts: readonly Part[];
  readonly l1: readonly { readonly what: string; readonly offset: number; readonly entries: number }[];
}

/** The snapshot table and what it leads to, as far as it can be read. */
export function auditSnapshots(source: Source, header: Qcow2Header, tell: (problem: Problem) => void): SnapshotTable {
  const { snapshotCount: count, snapshotsOffset: start, clusterBits, version } = header;
  const wrong = (message: string, position: number) => tell({ kind: "snapshot table", severity: "error", message, position });
  const l1: { what: string; offset: number; entries: number }[] = [];
  let position = start;
  if (count > 0 && header.dataFile?.raw)
    wrong(`there are ${count} snapshots, which an image with a raw external data file cannot have`, 60);
  for (let index = 0; index < Math.min(count, limits.snapshots); index += 1) {
    if (position + snapshotHead.size > source.size) {
      wrong(`snapshot ${index} leaves the file`, position);
      break;
    }
    const { extraSize, idLength, nameLength, l1TableOffset, l1Size } = readStruct(source, position, snapshotHead);
    const what = `the L1 table of snapshot ${index}`;
    if (version === 3 && extraSize < snapshotExtra.size) wrong(`snapshot ${index} lacks fields that version 3 requires`, position + 36);
    if (extraSize > limits.snapshotExtra) wrong(`snapshot ${index} has ${extraSize} bytes of extra data`, position + 36);
    if (l1TableOffset % 2 ** clusterBits !== 0) wrong(`${what} is not aligned to a cluster`, position);
    else if (l1Size * 8 > limits.l1Bytes) wrong(`${what} has ${l1Size} entries, more than there can be`, position + 8);
    else l1.push({ what, offset: l1TableOffset, entries: l1Size });
    position += snapshotHead.size + extraSize + idLength + nameLength;
    if (index + 1 < count) position = Math.ceil(position / 8) * 8;
  }
  return { parts: count > 0 ? [{ what: "the snapshot table", position: start, length: position - start }] : [], l1 };
}

const bitmapsExtension = struct("bitmaps extension", "big", 24, {
  count: [0, u32],
  directorySize: [8, u64],
  directoryOffset: [16, u64],
});
const bitmapEntry = struct("bitmap directory entry", "big", 24, {
  tableOffset: [0, u64],
  tableSize: [8, u32],
  flags: [12, u32],
  nameSize: [18, u16],
  extraSize: [20, u32],
});

const bitmapLimits = { count: 65535, directory: 64 * 2 ** 20, table: 64 * 2 ** 20 } as const;

/** What bitmaps take; nothing where the autoclear bit says that they are out of date, and so of no use to anybody. */
export function* auditBitmaps(source: Source, header: Qcow2Header, tell: (problem: Problem) => void): Generator<Part> {
  const at = header.bitmaps && header.version === 3 ? bitmapsAt(source) : undefined;
  if (at === undefined) return;
  const wrong = (message: string, position: number) => tell({ kind: "bitmaps", severity: "error", message, position });
  if (((readStruct(source, 0, headerV3).autoclearFeatures >> BigInt(autoclear.bitmaps)) & 1n) === 0n) {
    const message = "the bitmaps are out of date: a program that does not know them has written to the image";
    tell({ kind: "bitmaps", severity: "note", message, position: 88 });
    return;
  }
  const { count, directorySize, directoryOffset } = readStruct(source, at, bitmapsExtension);
  if (count > bitmapLimits.count || directorySize > bitmapLimits.directory || directoryOffset + directorySize > source.size) {
    wrong(`the bitmap directory, ${directorySize} bytes at ${directoryOffset}, does not lie in the file`, at);
    return;
  }
  yield { what: "the bitmap directory", position: directoryOffset, length: directorySize };
  let position = directoryOffset;
  for (let index = 0; index < count; index += 1) {
    if (position + bitmapEntry.size > directoryOffset + directorySize) {
      wrong("the bitmap directory ends too early", at + 8);
      return;
    }
    const { tableOffset, tableSize, nameSize, extraSize } = readStruct(source, position, bitmapEntry);
    yield* bitmapParts(source, header, index, tableOffset, tableSize, wrong);
    position += Math.ceil((bitmapEntry.size + extraSize + nameSize) / 8) * 8;
  }
}

function* bitmapParts(
  source: Source,
  { clusterBits }: Qcow2Header,
  index: number,
  tableOffset: number,
  tableSize: number,
  wrong: (message: string, position: number) => void,
): Generator<Part> {
  const clusterSize = 2 ** clusterBits;
  const length = tableSize * 8;
  yield { what: `the table of bitmap ${index}`, position: tableOffset, length };
  if (tableOffset % clusterSize !== 0 || length > bitmapLimits.table || tableOffset + length > source.size) {
    wrong(`the table of bitmap ${index}, ${length} bytes, does not lie in the file`, tableOffset);
    return;
  }
  const table = loadTable64(source, tableOffset, tableSize);
  for (let entry = 0; entry < tableSize; entry += 1) {
    const [high, low] = [table[2 * entry]!, table[2 * entry + 1]!];
    const position = hostOffset(high, low);
    // Bit 0 tells of all ones, where nothing is stored.
    if (high >>> 24 !== 0 || (low & 0x1fe) !== 0 || (position !== 0 && (low & 1) !== 0) || position % clusterSize !== 0) {
      wrong(`entry ${entry} of bitmap ${index} has bits set that are reserved`, tableOffset + 8 * entry);
    } else if (position !== 0) {
      yield { what: `bitmap ${index}`, position, length: clusterSize };
    }
  }
}

/** Where the data of the bitmaps extension are. */
function bitmapsAt(source: Source): number | undefined {
  const { backingFileOffset, clusterBits } = readStruct(source, 0, headerV2);
  const end = Math.min(backingFileOffset || 2 ** clusterBits, 2 ** clusterBits, source.size);
  for (let position = readStruct(source, 0, headerV3).headerLength; position + extensionHead.size <= end; ) {
    const { type, length } = extensionHead.decode(readBytes(source, position, extensionHead.size));
    position += extensionHead.size;
    if (type === extensions.end) return undefined;
    if (type === extensions.bitmaps) {
      if (length < bitmapsExtension.size)
        throw new ImageError("CORRUPT", "the bitmaps extension is too short", { file: source.name, position });
      return position;
    }
    position += Math.ceil(length / 8) * 8;
  }
  return undefined;
}
