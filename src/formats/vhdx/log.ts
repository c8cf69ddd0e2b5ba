// Section 2.3: the log, and which of its entries have to be replayed.
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { formatSize } from "../../util/size.js";
import { hex } from "../../util/text.js";
import { hasRightChecksum } from "./checksum.js";
import type { VhdxHeader } from "./header.js";
import {
  dataDescriptor,
  HEADER_SECTION,
  LOG_SECTOR,
  limits,
  LOG_DESCRIPTOR,
  logDataSector,
  logEntry,
  MIB,
  zeroDescriptor,
} from "./layout.js";

/** One write of the log. Positions in the file, in bytes, multiples of `LOG_SECTOR`. */
export interface LogWrite {
  readonly start: number;
  readonly end: number;
  /** What stands there afterwards; absent for zeros. */
  readonly data?: Buffer;
}

/** What has to be done to the file before anything else of it is read. */
export interface Replay {
  /** In the order in which they were made. */
  readonly writes: readonly LogWrite[];
  /** Number of log entries. */
  readonly entries: number;
  /** Bytes that the file has at least afterwards. */
  readonly fileSize: number;
}

interface Entry {
  readonly start: number;
  readonly length: number;
  readonly tail: number;
  readonly sequence: bigint;
  readonly flushedFileOffset: bigint;
  readonly lastFileOffset: bigint;
  readonly writes: readonly LogWrite[];
}

/** Checking an entry costs as much as it is long, and entries that are none may claim the same sectors again and again. */
const CHECKED_LIMIT = 16;

/** What the log of a file that was not closed asks for. Throws if it holds no valid sequence, or the file was cut since. */
export function readLog(source: Source, { log }: VhdxHeader): Replay {
  const { position, length } = log;
  const fail = (message: string) => new ImageError("CORRUPT", message, { file: source.name, position });
  if (position < HEADER_SECTION || position % MIB !== 0 || length % MIB !== 0) {
    throw fail(`its log, ${length} bytes at ${hex(position)}, is not made of whole MiB behind the header section`);
  }
  if (length > limits.logLength) {
    const message = `its log has to be replayed and has ${formatSize(length)}; ${formatSize(limits.logLength)} are the limit`;
    throw new ImageError("UNSUPPORTED", message, { file: source.name, position, hint: 'Let "qemu-img check -r all" replay it in a copy.' });
  }
  if (position + length > source.size) {
    throw new ImageError("TRUNCATED", `its log, which has to be replayed, is behind the end of the file, which has ${source.size} bytes`, {
      file: source.name,
      position,
    });
  }
  const entries = activeSequence(readEntries(readBytes(source, position, length), log.guid, fail));
  const head = entries.at(-1);
  if (!head) throw fail("it was not closed properly, and its log is damaged: it holds no complete sequence of entries to replay");
  if (head.flushedFileOffset > BigInt(source.size)) {
    throw new ImageError("TRUNCATED", `the file was cut: its log says that it has ${head.flushedFileOffset} bytes, it has ${source.size}`, {
      file: source.name,
      position: position + head.start,
    });
  }
  const writes = entries.flatMap((entry) => entry.writes);
  const fileSize = writes.reduce((size, { end }) => Math.max(size, end), Math.max(source.size, Number(head.lastFileOffset)));
  if (!Number.isSafeInteger(fileSize)) throw fail(`its log asks for a file of ${fileSize} bytes`);
  return { writes, entries: entries.length, fileSize };
}

/** The valid entry that starts in each sector of the ring, if one does. */
function readEntries(ring: Buffer, guid: Uint8Array, fail: (message: string) => ImageError): readonly (Entry | undefined)[] {
  let budget = CHECKED_LIMIT * ring.length;
  return Array.from({ length: ring.length / LOG_SECTOR }, (_, sector) => {
    const start = sector * LOG_SECTOR;
    const head = logEntry.decode(ring, start);
    const { entryLength: length, descriptorCount, logGuid } = head;
    if (head.signature !== "loge" || Buffer.compare(logGuid, guid) !== 0) return undefined;
    if (length === 0 || length > ring.length || length % LOG_SECTOR !== 0) return undefined;
    if (head.tail % LOG_SECTOR !== 0 || head.tail >= ring.length || head.sequenceNumber === 0n) return undefined;
    if (logEntry.size + descriptorCount * LOG_DESCRIPTOR > length) return undefined;
    budget -= length;
    if (budget < 0) throw fail("its log is damaged: the entries in it overlap");
    const content = around(ring, start, length);
    const writes = hasRightChecksum(content) ? readWrites(content, head) : undefined;
    const { tail, sequenceNumber: sequence, flushedFileOffset, lastFileOffset } = head;
    return writes && { start, length, tail, sequence, flushedFileOffset, lastFileOffset, writes };
  });
}

/** `length` bytes of the ring, which go on at its start when they reach its end. */
function around(ring: Buffer, start: number, length: number): Buffer {
  if (start + length <= ring.length) return ring.subarray(start, start + length);
  return Buffer.concat([ring.subarray(start), ring.subarray(0, start + length - ring.length)]);
}

/** The writes of an entry; undefined if a descriptor or data sector is not one of this entry. */
function readWrites(
  content: Buffer,
  { descriptorCount, sequenceNumber }: { readonly descriptorCount: number; readonly sequenceNumber: bigint },
): LogWrite[] | undefined {
  const writes: LogWrite[] = [];
  let dataAt = Math.ceil((logEntry.size + descriptorCount * LOG_DESCRIPTOR) / LOG_SECTOR) * LOG_SECTOR;
  for (let index = 0; index < descriptorCount; index += 1) {
    const at = logEntry.size + index * LOG_DESCRIPTOR;
    const zero = zeroDescriptor.decode(content, at);
    const { signature } = zero;
    const start = Number(zero.fileOffset);
    const end = start + (signature === "zero" ? Number(zero.zeroLength) : LOG_SECTOR);
    if (zero.sequenceNumber !== sequenceNumber || !isSectors(start) || !isSectors(end)) return undefined;
    if (signature === "zero") {
      if (end > start) writes.push({ start, end });
      continue;
    }
    if (signature !== "desc" || dataAt + LOG_SECTOR > content.length) return undefined;
    const { leadingBytes, trailingBytes } = dataDescriptor.decode(content, at);
    const sector = logDataSector.decode(content, dataAt);
    if (sector.signature !== "data" || (BigInt(sector.sequenceHigh) << 32n) + BigInt(sector.sequenceLow) !== sequenceNumber) {
      return undefined;
    }
    writes.push({ start, end, data: Buffer.concat([leadingBytes, sector.data, trailingBytes]) });
    dataAt += LOG_SECTOR;
  }
  return writes;
}

function isSectors(value: number): boolean {
  return Number.isSafeInteger(value) && value % LOG_SECTOR === 0;
}

/**
 * The newest complete sequence, oldest entry first: it ends with an entry that no other continues, and begins with the one that this last entry calls
 * its tail. Empty if there is none.
 */
function activeSequence(entries: readonly (Entry | undefined)[]): readonly Entry[] {
  const at = (position: number) => entries[(position / LOG_SECTOR) % entries.length];
  const next = (entry: Entry) => {
    const following = at(entry.start + entry.length);
    return following?.sequence === entry.sequence + 1n ? following : undefined;
  };
  const heads = entries.filter((entry) => entry !== undefined).filter((entry) => next(entry) === undefined);
  for (const head of heads.toSorted((a, b) => (a.sequence < b.sequence ? 1 : -1))) {
    const sequence: Entry[] = [];
    for (let entry = at(head.tail); entry; entry = next(entry)) sequence.push(entry);
    if (sequence.at(-1) === head) return sequence;
  }
  return [];
}
