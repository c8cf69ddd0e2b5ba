// The log of VHDX images, from [MS-VHDX] 2.3 alone.
import { guidBytes, guidOf, headerBytes, MIB, seal, type Vhdx } from "./vhdx-builder.js";

const SECTOR = 4096;
export const logGuid = guidOf("log");

/** One write: 4096 bytes, or zeros. */
export type LoggedWrite = { readonly at: number; readonly content: Buffer } | { readonly at: number; readonly zeros: number };

export interface LoggedEntry {
  /** Where in the ring it starts. */
  readonly start: number;
  readonly sequence: bigint;
  /** Where the sequence starts that it ends. */
  readonly tail: number;
  readonly writes: readonly LoggedWrite[];
  readonly flushed: number;
  readonly last: number;
  readonly guid?: string;
  /** Sectors behind the last one that is needed. */
  readonly padding?: number;
  /** Spoils it before it is sealed, or after. */
  readonly change?: (entry: Buffer) => void;
  readonly spoil?: (entry: Buffer) => void;
}

export function entryBytes({ sequence, tail, writes, flushed, last, guid = logGuid, padding = 0, change, spoil }: LoggedEntry): Buffer {
  const descriptorSectors = Math.ceil((64 + 32 * writes.length) / SECTOR);
  const dataSectors = writes.filter((write) => "content" in write).length;
  const entry = Buffer.alloc((descriptorSectors + dataSectors + padding) * SECTOR);
  entry.write("loge", 0, "latin1");
  entry.writeUInt32LE(entry.length, 8);
  entry.writeUInt32LE(tail, 12);
  entry.writeBigUInt64LE(sequence, 16);
  entry.writeUInt32LE(writes.length, 24);
  guidBytes(guid).copy(entry, 32);
  entry.writeBigUInt64LE(BigInt(flushed), 48);
  entry.writeBigUInt64LE(BigInt(last), 56);
  let data = descriptorSectors * SECTOR;
  for (const [index, write] of writes.entries()) {
    const at = 64 + 32 * index;
    entry.writeBigUInt64LE(BigInt(write.at), at + 16);
    entry.writeBigUInt64LE(sequence, at + 24);
    if ("zeros" in write) {
      entry.write("zero", at, "latin1");
      entry.writeBigUInt64LE(BigInt(write.zeros), at + 8);
      continue;
    }
    entry.write("desc", at, "latin1");
    write.content.copy(entry, at + 4, SECTOR - 4);
    write.content.copy(entry, at + 8, 0, 8);
    write.content.copy(entry, data, 0, SECTOR);
    entry.write("data", data, "latin1");
    entry.writeUInt32LE(Number(sequence >> 32n), data + 4);
    entry.writeUInt32LE(Number(sequence & 0xffffffffn), data + SECTOR - 4);
    data += SECTOR;
  }
  change?.(entry);
  seal(entry);
  spoil?.(entry);
  return entry;
}

/** Puts the entries into the ring of `image` in their order, and marks the image as not closed. */
export function withLog(
  image: Buffer,
  { positions, dataWriteGuid }: Vhdx,
  entries: readonly LoggedEntry[],
  { logLength = MIB, logPosition = positions.log }: { readonly logLength?: number; readonly logPosition?: number } = {},
): Buffer {
  const dirty = Buffer.from(image);
  for (const entry of entries) {
    const bytes = entryBytes(entry);
    for (let at = 0; at < bytes.length; at += SECTOR) {
      bytes.copy(dirty, logPosition + ((entry.start + at) % logLength), at, at + SECTOR);
    }
  }
  return withHeaders(dirty, { sequence: 90n, dataWriteGuid, logGuid, logPosition, logLength });
}

/** Writes two headers, the second one the newer. */
export function withHeaders(image: Buffer, fields: Parameters<typeof headerBytes>[0]): Buffer {
  headerBytes({ ...fields, sequence: fields.sequence - 1n }).copy(image, 64 * 1024);
  headerBytes(fields).copy(image, 128 * 1024);
  return image;
}
