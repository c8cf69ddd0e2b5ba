// Partition tables byte by byte. MBR and GPT: UEFI 2.10, chapter 5. Apple: Inside Macintosh: Devices, chapter 3.
import { crc32 } from "node:zlib";
import type { PartitionedDisk } from "../../src/disk/partitions/read.js";

/** Bytes that stand somewhere on a disk. */
export interface Piece {
  readonly at: number;
  readonly content: Uint8Array;
}

export interface SparseDisk extends PartitionedDisk {
  /** How often, and how many bytes, were read. */
  readonly used: { reads: number; bytes: number };
}

/** A disk of zeros with `pieces` on it, later ones on top. `fail` is called before each read. */
export function sparseDisk(size: number, pieces: readonly Piece[], fail?: (offset: number, length: number) => void): SparseDisk {
  const used = { reads: 0, bytes: 0 };
  return {
    size,
    used,
    read(target, offset) {
      if (offset < 0 || offset + target.length > size)
        throw new Error(`${target.length} bytes at ${offset} were asked of a disk of ${size}`);
      fail?.(offset, target.length);
      used.reads += 1;
      used.bytes += target.length;
      target.fill(0);
      for (const { at, content } of pieces) {
        const from = Math.max(at, offset);
        const to = Math.min(at + content.length, offset + target.length);
        if (from < to) target.set(content.subarray(from - at, to - at), from - offset);
      }
    },
  };
}

export interface MbrEntry {
  readonly type: number;
  /** Sectors. */
  readonly start: number;
  readonly count: number;
  readonly indicator?: number;
}

/** One boot record. Entries take the slots in order; `undefined` leaves one empty. */
export function bootRecord(entries: readonly (MbrEntry | undefined)[], id = 0): Buffer {
  const sector = Buffer.alloc(512);
  sector.writeUInt32LE(id, 440);
  entries.forEach((entry, index) => {
    if (!entry) return;
    const at = 446 + index * 16;
    sector[at] = entry.indicator ?? 0;
    sector[at + 4] = entry.type;
    sector.writeUInt32LE(entry.start, at + 8);
    sector.writeUInt32LE(entry.count, at + 12);
  });
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** An extended partition at `start` (sectors) whose chain has one logical partition of `count` sectors per link, each `step` sectors behind the one before. */
export function extendedChain(start: number, links: number, { step = 4, count = 2, sectorSize = 512 } = {}): Piece[] {
  return Array.from({ length: links }, (_, index) => ({
    at: (start + index * step) * sectorSize,
    content: bootRecord([
      { type: 0x83, start: 1, count },
      index + 1 < links ? { type: 0x05, start: (index + 1) * step, count: step } : undefined,
    ]),
  }));
}

export const linuxType = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

export interface GptEntry {
  /** 1 is the first. */
  readonly number: number;
  /** Sectors, the last one included. */
  readonly first: number | bigint;
  readonly last: number | bigint;
  readonly type?: string;
  readonly uuid?: string;
  readonly name?: string;
  readonly attributes?: bigint;
}

export interface GptShape {
  readonly diskSize: number;
  readonly entries: readonly GptEntry[];
  readonly sectorSize?: number;
  readonly entrySize?: number;
  readonly entryCount?: number;
  readonly id?: string;
  /** Written over header fields before the checksum is taken: `[position in the header, u32]`. */
  readonly patch?: readonly (readonly [at: number, value: number])[];
}

const defaultId = "11111111-2222-3333-4444-555555555555";

function guidBytes(text: string): Buffer {
  const raw = Buffer.from(text.replaceAll("-", ""), "hex");
  return Buffer.concat([raw.subarray(0, 4).reverse(), raw.subarray(4, 6).reverse(), raw.subarray(6, 8).reverse(), raw.subarray(8)]);
}

/** The pieces of a GPT: protective MBR, primary header, primary entries, backup entries, backup header; in this order. */
export function gpt(shape: GptShape): [protective: Piece, header: Piece, entries: Piece, backupEntries: Piece, backupHeader: Piece] {
  const { diskSize, sectorSize = 512, entryCount = 128 } = shape;
  const entries = gptEntries(shape);
  const sectors = Math.floor(diskSize / sectorSize);
  const lastLba = sectors - 1;
  const entrySectors = Math.ceil(entries.length / sectorSize);
  const backupEntriesLba = lastLba - entrySectors;
  const header = (myLba: number, alternateLba: number, entryLba: number) =>
    gptHeader(shape, entries, entryCount, {
      myLba,
      alternateLba,
      entryLba,
      firstUsable: 2 + entrySectors,
      lastUsable: backupEntriesLba - 1,
    });
  return [
    { at: 0, content: bootRecord([{ type: 0xee, start: 1, count: Math.min(lastLba, 0xffffffff) }]) },
    { at: sectorSize, content: header(1, lastLba, 2) },
    { at: 2 * sectorSize, content: entries },
    { at: backupEntriesLba * sectorSize, content: entries },
    { at: lastLba * sectorSize, content: header(lastLba, 1, backupEntriesLba) },
  ];
}

function gptEntries({ entries, entrySize = 128, entryCount = 128 }: GptShape): Buffer {
  const table = Buffer.alloc(entryCount * entrySize);
  for (const {
    number,
    first,
    last,
    type = linuxType,
    uuid = `00000000-0000-0000-0000-${String(number).padStart(12, "0")}`,
    name = "",
    attributes = 0n,
  } of entries) {
    const at = (number - 1) * entrySize;
    guidBytes(type).copy(table, at);
    guidBytes(uuid).copy(table, at + 16);
    table.writeBigUInt64LE(BigInt(first), at + 32);
    table.writeBigUInt64LE(BigInt(last), at + 40);
    table.writeBigUInt64LE(attributes, at + 48);
    table.write(name.slice(0, 36), at + 56, "utf16le");
  }
  return table;
}

interface Lbas {
  readonly myLba: number;
  readonly alternateLba: number;
  readonly entryLba: number;
  readonly firstUsable: number;
  readonly lastUsable: number;
}

function gptHeader({ entrySize = 128, id = defaultId, patch = [] }: GptShape, entries: Buffer, entryCount: number, lbas: Lbas): Buffer {
  const header = Buffer.alloc(92);
  header.write("EFI PART", "latin1");
  header.writeUInt32LE(0x10000, 8);
  header.writeUInt32LE(92, 12);
  header.writeBigUInt64LE(BigInt(lbas.myLba), 24);
  header.writeBigUInt64LE(BigInt(lbas.alternateLba), 32);
  header.writeBigUInt64LE(BigInt(lbas.firstUsable), 40);
  header.writeBigUInt64LE(BigInt(lbas.lastUsable), 48);
  guidBytes(id).copy(header, 56);
  header.writeBigUInt64LE(BigInt(lbas.entryLba), 72);
  header.writeUInt32LE(entryCount, 80);
  header.writeUInt32LE(entrySize, 84);
  header.writeUInt32LE(crc32(entries), 88);
  for (const [at, value] of patch) header.writeUInt32LE(value, at);
  header.writeUInt32LE(crc32(header), 16);
  return header;
}

export interface ApmEntry {
  /** Blocks. */
  readonly start: number;
  readonly count: number;
  readonly name: string;
  readonly type: string;
}

export interface ApmOptions {
  readonly blockSize?: number;
  /** What the map is laid out in, where that is not what the descriptor says. */
  readonly mapBlockSize?: number;
  /** How many entries the map says it has. */
  readonly declared?: number;
}

/** A driver descriptor map and a partition map. */
export function apm(entries: readonly ApmEntry[], { blockSize = 512, mapBlockSize, declared = entries.length }: ApmOptions = {}): Piece[] {
  const step = mapBlockSize ?? blockSize;
  const descriptor = Buffer.alloc(512);
  descriptor.write("ER", "latin1");
  descriptor.writeUInt16BE(blockSize, 2);
  const map = entries.map(({ start, count, name, type }, index) => {
    const content = Buffer.alloc(512);
    content.write("PM", "latin1");
    content.writeUInt32BE(declared, 4);
    content.writeUInt32BE(start, 8);
    content.writeUInt32BE(count, 12);
    content.write(name, 16, "latin1");
    content.write(type, 48, "latin1");
    return { at: (index + 1) * step, content };
  });
  return [{ at: 0, content: descriptor }, ...map];
}

/** The first sector of a FAT16 file system without a partition table around it. */
export function fatBootSector({ mark = "FAT16   " } = {}): Buffer {
  const sector = Buffer.alloc(512);
  sector.set([0xeb, 0x3c, 0x90]);
  sector.write("mkfs.fat", 3, "latin1");
  sector.writeUInt16LE(512, 11);
  sector[13] = 4;
  sector.writeUInt16LE(1, 14);
  sector[16] = 2;
  sector[21] = 0xf8;
  sector.write(mark, 54, "latin1");
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}
