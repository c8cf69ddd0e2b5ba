// Both copies of what there are two of, checksums, and the BAT. Section numbers are those of [MS-VHDX].
import { readBytes, type Source } from "../../source/source.js";
import { hex } from "../../util/text.js";
import type { Audit } from "../audit.js";
import { windows } from "../counts.js";
import { createWideReader } from "../table-reader.js";
import { hasRightChecksum, readChecked } from "./checksum.js";
import type { VhdxHeader } from "./header.js";
import {
  BITMAP_PRESENT,
  CHUNK_SECTORS,
  HEADER_SIZE,
  headerPositions,
  LOG_SECTOR,
  limits,
  logEntry,
  MIB,
  payloadStates,
  REGION_TABLE_SIZE,
  regionTablePositions,
} from "./layout.js";
import { batEntries } from "./map.js";
import type { VhdxMetadata } from "./metadata.js";
import type { Regions } from "./regions.js";

/** An opened image. `file`: as it is; `source`: as its log leaves it. */
export interface Opened {
  readonly file: Source;
  readonly source: Source;
  readonly header: VhdxHeader;
  readonly regions: Regions;
  readonly metadata: VhdxMetadata;
}

/** Slots of one MiB that are looked at in one pass. */
const SLOTS = 2 ** 24;

export function auditVhdx(opened: Opened, audit: Audit): void {
  auditCopies(opened, audit);
  if (opened.header.log.dirty) auditLog(opened, audit);
  auditBat(opened, audit);
}

/** 2.2.2 and 2.2.3. One header may be torn when a machine dies; region tables never change. */
function auditCopies({ file, source }: Opened, audit: Audit): void {
  for (const [index, position] of headerPositions.entries()) {
    if (readChecked(file, position, HEADER_SIZE, "head")) continue;
    audit.found({ kind: "checksum wrong", severity: "warning", message: `header ${index + 1} is damaged`, position });
  }
  const tables = regionTablePositions.map((position) => readChecked(source, position, REGION_TABLE_SIZE, "regi"));
  for (const [index, table] of tables.entries()) {
    const position = regionTablePositions[index];
    if (!table) audit.found({ kind: "checksum wrong", severity: "error", message: `region table ${index + 1} is damaged`, position });
  }
  const [first, second] = tables;
  if (first && second && !first.equals(second)) {
    audit.found({ kind: "copies differ", severity: "error", message: "the two region tables differ", position: regionTablePositions[1] });
  }
}

/** 2.3.1. Whether the log as a whole can be replayed was found out when the image was opened. */
function auditLog({ file, header: { log } }: Opened, audit: Audit): void {
  const message = "It was not closed properly. Its log was replayed in memory; the file is unchanged";
  audit.found({ kind: "not closed", severity: "warning", message, position: log.position });
  const end = Math.min(log.length, limits.logLength, file.size - log.position);
  const ring = readBytes(file, log.position, Math.max(0, end));
  for (let at = 0; at + LOG_SECTOR <= ring.length; at += LOG_SECTOR) {
    if (ring.toString("latin1", at, at + 4) !== "loge") continue;
    const { entryLength, logGuid } = logEntry.decode(ring, at);
    if (!log.guid.every((byte, index) => byte === logGuid[index]) || entryLength < LOG_SECTOR || entryLength > ring.length) continue;
    const around = Buffer.concat([ring.subarray(at, at + entryLength), ring.subarray(0, Math.max(0, at + entryLength - ring.length))]);
    if (hasRightChecksum(around)) continue;
    const wrong = `the log entry at ${hex(log.position + at)} has a wrong checksum: it is not replayed`;
    audit.found({ kind: "checksum wrong", severity: "warning", message: wrong, position: log.position + at });
  }
}

/** 2.5.1. */
function auditBat({ source, regions: { bat, taken }, metadata }: Opened, audit: Audit): void {
  const { size, blockSize, logicalSectorSize, parent } = metadata;
  const ratio = (CHUNK_SECTORS * logicalSectorSize) / blockSize;
  const total = batEntries(metadata);
  const entryOf = createWideReader(source, bat.position, total, "little");
  const isBitmap = (index: number) => index % (ratio + 1) === ratio;
  const blockOf = (index: number) => index - Math.floor(index / (ratio + 1));
  const lengthOf = (index: number) => (isBitmap(index) ? MIB : blockSize);
  const nameOf = (index: number) =>
    isBitmap(index) ? `the sector bitmap of chunk ${Math.floor(index / (ratio + 1))}` : `block ${blockOf(index)}`;
  const placeOf = (index: number) => {
    const [high, low] = entryOf(index);
    const state = low & 7;
    const present = isBitmap(index)
      ? state === BITMAP_PRESENT
      : state === payloadStates.fullyPresent || state === payloadStates.partiallyPresent;
    return present ? ((low >>> 20) + high * 4096) * MIB : -1;
  };
  const found = (kind: string, index: number, what: string) => {
    const message = `${nameOf(index)} ${what}`;
    audit.found({ kind, severity: "error", message, position: bat.position + 8 * index });
    return message;
  };
  const known = new Set<number>(Object.values(payloadStates));
  for (let index = 0; index < total; index += 1) {
    const state = entryOf(index)[1] & 7;
    const good = isBitmap(index) ? state === 0 || state === BITMAP_PRESENT : known.has(state);
    if (!good || (!parent && !isBitmap(index) && state === payloadStates.partiallyPresent))
      found("block state", index, `has the state ${state}`);
    if (index % 65536 === 0) audit.progress(index, total);
    const place = placeOf(index);
    if (place < 0) continue;
    const needed = isBitmap(index) ? MIB : Math.min(blockSize, size - blockOf(index) * blockSize);
    if (place + needed > source.size)
      found("behind the end", index, `at ${hex(place)} is behind the end of the file of ${source.size} bytes`);
    const region = taken.find(({ position, length }) => place < position + length && place + lengthOf(index) > position);
    if (region) found("overlap", index, `at ${hex(place)} lies over ${region.name}`);
  }
  const doubtful = (index: number, reason: string) => {
    const blocks = isBitmap(index) ? ratio : 1;
    const start = (isBitmap(index) ? Math.floor(index / (ratio + 1)) * ratio : blockOf(index)) * blockSize;
    if (start < size) audit.doubtful({ start, length: Math.min(blocks * blockSize, size - start) }, reason);
  };
  // Everything stands at a multiple of a MiB and is made of whole ones.
  for (const window of windows(Math.ceil(source.size / MIB), SLOTS)) {
    const owners = new Uint32Array(window.end - window.first);
    for (let index = 0; index < total; index += 1) {
      const place = placeOf(index) / MIB;
      if (place < 0) continue;
      const last = Math.min(window.end, place + lengthOf(index) / MIB);
      for (let slot = Math.max(window.first, place); slot < last; slot += 1) {
        const owner = owners[slot - window.first] ?? 0;
        if (owner === 0) {
          owners[slot - window.first] = index + 1;
          continue;
        }
        const reason = found("overlap", index, `at ${hex(place * MIB)} lies over ${nameOf(owner - 1)}`);
        doubtful(owner - 1, reason);
        doubtful(index, reason);
        break;
      }
    }
  }
}
