// Sparse extents of VMDK that store grains as they are, byte by byte from VMware's "Virtual Disk Format 5.0"; seSparse from what QEMU's block/vmdk.c
// reads. Independent of the reader: nothing of src/formats/vmdk is used here.
import { noise, randomNumbers, shuffled } from "./content.js";

export const SECTOR = 512;

/** What a grain is: stored in the slot of that number, zeroed by its entry, or not there. seSparse knows zeros of two kinds. */
export type Grain = number | "zeroed" | "unmapped" | "absent";

export interface SparseShape {
  readonly grains: readonly Grain[];
  /** Bytes of the disk, if it does not fill its last grain; a multiple of 512. */
  readonly size?: number;
  /** Orders grain tables; 0 leaves them in order. */
  readonly seed?: number;
}

export interface HostedShape extends SparseShape {
  /** Sectors. */
  readonly grainSize?: number;
  readonly tableEntries?: number;
  readonly version?: number;
  /** Keeps directory and tables twice. */
  readonly redundant?: boolean;
  /** The flag for zeroed grains; set where a grain is "zeroed", unless told. */
  readonly zeroedFlag?: boolean;
  /** The embedded descriptor; `sectors` of room for it, 20 unless told. */
  readonly descriptor?: string;
  readonly unclean?: boolean;
  /** Grain tables are there even where all grains are absent. */
  readonly everyTable?: boolean;
}

export interface BuiltSparse {
  readonly image: Buffer;
  readonly disk: Buffer;
  /** Bytes. */
  readonly grainSize: number;
  /** Where the directory and each table are, in bytes; 0 where there is no table. */
  readonly directory: number;
  readonly tables: readonly number[];
  readonly redundantDirectory: number;
  readonly redundantTables: readonly number[];
  /** Where slot 0 is. */
  readonly data: number;
}

/** The disk: each stored grain holds noise of its own, all others zeros. */
function diskOf(grains: readonly Grain[], grainSize: number): Buffer {
  const disk = Buffer.alloc(grains.length * grainSize);
  grains.forEach((grain, index) => {
    if (typeof grain === "number") noise(index + 1, grainSize).copy(disk, index * grainSize);
  });
  return disk;
}

function slotsOf(grains: readonly Grain[], disk: Buffer, grainSize: number): Buffer {
  const slots = Math.max(-1, ...grains.filter((grain) => typeof grain === "number")) + 1;
  const stored = Buffer.alloc(slots * grainSize);
  grains.forEach((grain, index) => {
    if (typeof grain === "number") disk.copy(stored, grain * grainSize, index * grainSize, (index + 1) * grainSize);
  });
  return stored;
}

/** Hands out room in a file, in whole sectors. */
function allocator(start: number): { take(bytes: number): number; end(): number } {
  let end = start;
  return {
    take(bytes) {
      const position = end;
      end += Math.ceil(bytes / SECTOR) * SECTOR;
      return position;
    },
    end: () => end,
  };
}

/** One place for every table that is wanted, in an order that `seed` tells. */
function placeTables(wanted: readonly boolean[], bytes: number, take: (bytes: number) => number, seed: number): number[] {
  const numbers = wanted.flatMap((want, index) => (want ? [index] : []));
  const places = new Array<number>(wanted.length).fill(0);
  for (const index of seed === 0 ? numbers : shuffled(numbers, randomNumbers(seed))) places[index] = take(bytes);
  return places;
}

/** Which tables an extent needs. */
function wantedTables(grains: readonly Grain[], tableEntries: number, every: boolean): boolean[] {
  return Array.from({ length: Math.ceil(grains.length / tableEntries) }, (_, index) =>
    grains.slice(index * tableEntries, (index + 1) * tableEntries).some((grain) => every || grain !== "absent"),
  );
}

export interface HeaderFields {
  readonly version: number;
  readonly flags: number;
  readonly capacity: number;
  readonly grainSize: number;
  readonly descriptorOffset: number;
  readonly descriptorSize: number;
  readonly tableEntries: number;
  readonly redundantDirectory: number;
  /** Sectors; `"end"` writes all ones. */
  readonly directory: number | "end";
  readonly overHead: number;
  readonly unclean?: boolean;
  readonly algorithm?: number;
}

/** `SparseExtentHeader`; everything in sectors. */
export function hostedHeaderBytes(fields: HeaderFields): Buffer {
  const head = Buffer.alloc(512);
  head.write("KDMV", 0, "latin1");
  head.writeUInt32LE(fields.version, 4);
  head.writeUInt32LE(fields.flags, 8);
  const u64 = (value: number | bigint, at: number) => head.writeBigUInt64LE(BigInt(value), at);
  u64(fields.capacity, 12);
  u64(fields.grainSize, 20);
  u64(fields.descriptorOffset, 28);
  u64(fields.descriptorSize, 36);
  head.writeUInt32LE(fields.tableEntries, 44);
  u64(fields.redundantDirectory, 48);
  u64(fields.directory === "end" ? 2n ** 64n - 1n : fields.directory, 56);
  u64(fields.overHead, 64);
  head.writeUInt8(fields.unclean ? 1 : 0, 72);
  head.write("\n \r\n", 73, "latin1");
  head.writeUInt16LE(fields.algorithm ?? 0, 77);
  return head;
}

/** A descriptor of one extent, as an embedded one is, or as a file of its own that names `file`. */
export function descriptorText(createType: string, sectors: number, type: string, file: string): string {
  return [
    "# Disk DescriptorFile",
    "version=1",
    "CID=12345678",
    "parentCID=ffffffff",
    `createType="${createType}"`,
    "",
    "# Extent description",
    `RW ${sectors} ${type} "${file}"`,
    "",
    "# The Disk Data Base",
    "#DDB",
    "",
    'ddb.virtualHWVersion = "4"',
    'ddb.geometry.cylinders = "1"',
    'ddb.geometry.heads = "16"',
    'ddb.geometry.sectors = "63"',
    'ddb.adapterType = "ide"',
    "",
  ].join("\n");
}

export const DESCRIPTOR_SECTORS = 20;

/** A hosted sparse extent: monolithicSparse with a descriptor, an extent of twoGbMaxExtentSparse without. */
export function buildHosted(shape: HostedShape): BuiltSparse {
  const { grains, tableEntries = 512, version = 1, redundant = false, descriptor, seed = 1, everyTable = false } = shape;
  const grainSize = (shape.grainSize ?? 8) * SECTOR;
  const full = diskOf(grains, grainSize);
  const disk = full.subarray(0, shape.size ?? full.length);
  const wanted = wantedTables(grains, tableEntries, everyTable);
  const room = allocator(SECTOR);
  const descriptorAt = descriptor === undefined ? 0 : room.take(DESCRIPTOR_SECTORS * SECTOR);
  const copy = (directorySeed: number) => {
    const directory = room.take(wanted.length * 4);
    return { directory, tables: placeTables(wanted, tableEntries * 4, room.take, directorySeed) };
  };
  const second = redundant ? copy(seed * 31) : { directory: 0, tables: [] };
  const first = copy(seed);
  const data = Math.ceil(room.end() / grainSize) * grainSize;

  const head = Buffer.alloc(data);
  const zeroed = shape.zeroedFlag ?? grains.includes("zeroed");
  hostedHeaderBytes({
    version,
    flags: 1 | (redundant ? 2 : 0) | (zeroed ? 4 : 0),
    capacity: disk.length / SECTOR,
    grainSize: grainSize / SECTOR,
    descriptorOffset: descriptorAt / SECTOR,
    descriptorSize: descriptor === undefined ? 0 : DESCRIPTOR_SECTORS,
    tableEntries,
    redundantDirectory: second.directory / SECTOR,
    directory: first.directory / SECTOR,
    overHead: data / SECTOR,
    unclean: shape.unclean ?? false,
  }).copy(head);
  if (descriptor !== undefined) head.write(descriptor, descriptorAt, "utf8");
  for (const { directory, tables } of redundant ? [first, second] : [first]) {
    tables.forEach((table, index) => head.writeUInt32LE(table / SECTOR, directory + 4 * index));
    grains.forEach((grain, index) => {
      const table = tables[Math.floor(index / tableEntries)] ?? 0;
      const entry = typeof grain === "number" ? (data + grain * grainSize) / SECTOR : grain === "zeroed" ? 1 : 0;
      if (table !== 0) head.writeUInt32LE(entry, table + 4 * (index % tableEntries));
    });
  }
  return {
    image: Buffer.concat([head, slotsOf(grains, full, grainSize)]),
    disk,
    grainSize,
    directory: first.directory,
    tables: first.tables,
    redundantDirectory: second.directory,
    redundantTables: second.tables,
    data,
  };
}

export interface CowdShape extends SparseShape {
  /** Sectors; ESX writes 1. */
  readonly grainSize?: number;
  /** The name of a parent, where the root writes a geometry. */
  readonly parent?: string;
  readonly unclean?: boolean;
}

/** `COWDisk_Header` and what it leads to. */
export function buildCowd(shape: CowdShape): BuiltSparse {
  const { grains, seed = 1 } = shape;
  const grainSize = (shape.grainSize ?? 1) * SECTOR;
  const full = diskOf(grains, grainSize);
  const disk = full.subarray(0, shape.size ?? full.length);
  const wanted = wantedTables(grains, 4096, false);
  const room = allocator(2048);
  const directory = room.take(wanted.length * 4);
  const tables = placeTables(wanted, 4096 * 4, room.take, seed);
  const data = room.end();
  const head = Buffer.alloc(data);
  head.write("COWD", 0, "latin1");
  const fields = [1, 3, disk.length / SECTOR, grainSize / SECTOR, directory / SECTOR, wanted.length, data / SECTOR];
  fields.forEach((value, index) => head.writeUInt32LE(value, 4 + 4 * index));
  if (shape.parent === undefined) [1, 16, 63].forEach((value, index) => head.writeUInt32LE(value, 32 + 4 * index));
  else head.write(shape.parent, 32, "utf8");
  head.writeUInt32LE(shape.unclean ? 1 : 0, 1648);
  tables.forEach((table, index) => head.writeUInt32LE(table / SECTOR, directory + 4 * index));
  grains.forEach((grain, index) => {
    const table = tables[Math.floor(index / 4096)] ?? 0;
    if (typeof grain === "number") head.writeUInt32LE((data + grain * grainSize) / SECTOR, table + 4 * (index % 4096));
  });
  return {
    image: Buffer.concat([head, slotsOf(grains, full, grainSize)]),
    disk,
    grainSize,
    directory,
    tables,
    redundantDirectory: 0,
    redundantTables: [],
    data,
  };
}

/** An entry of a seSparse grain table for the grain of that number. */
export function seEntry(grain: number): bigint {
  const number = BigInt(grain);
  return (3n << 60n) | ((number & 0xfffn) << 48n) | (number >> 12n);
}

export interface SeSparseShape extends SparseShape {
  /** Numbers added to every slot, so that numbers need more than 12 bits; the file gets a hole there. */
  readonly firstSlot?: number;
}

/** seSparse: grains of 4 KiB, tables of 32 KiB. */
export function buildSeSparse(shape: SeSparseShape): BuiltSparse & { readonly volatileHeader: number } {
  const { grains, seed = 1, firstSlot = 0 } = shape;
  const grainSize = 4096;
  const tableBytes = 64 * SECTOR;
  const full = diskOf(grains, grainSize);
  const disk = full.subarray(0, shape.size ?? full.length);
  const wanted = wantedTables(grains, 4096, false);
  const room = allocator(SECTOR);
  const volatileHeader = room.take(SECTOR);
  const journal = room.take(2 * SECTOR);
  const directory = room.take(wanted.length * 8);
  const allTables = room.end();
  const tables = placeTables(wanted, tableBytes, room.take, seed);
  const data = Math.ceil(room.end() / grainSize) * grainSize;

  const head = Buffer.alloc(data + firstSlot * grainSize);
  const u64 = (at: number, ...values: readonly (number | bigint)[]) =>
    values.forEach((value, index) => head.writeBigUInt64LE(BigInt(value), at + 8 * index));
  const sectors = (bytes: number) => bytes / SECTOR;
  const slots = slotsOf(grains, full, grainSize);
  u64(0, 0xcafebaben, 0x200000001n, sectors(disk.length), 8, 64, 0);
  u64(80, sectors(volatileHeader), 1, sectors(journal), 1, sectors(journal) + 1, 1);
  u64(128, sectors(directory), Math.ceil((wanted.length * 8) / SECTOR), sectors(allTables), sectors(room.end() - allTables));
  u64(192, sectors(data), sectors(firstSlot * grainSize + slots.length));
  u64(volatileHeader, 0xcafecafen, tables.length, 1, 0);
  tables.forEach((table, index) => {
    if (table !== 0) u64(directory + 8 * index, (1n << 60n) | BigInt((table - allTables) / tableBytes));
  });
  grains.forEach((grain, index) => {
    const table = tables[Math.floor(index / 4096)] ?? 0;
    const entry =
      typeof grain === "number" ? seEntry(grain + firstSlot) : grain === "zeroed" ? 2n << 60n : grain === "unmapped" ? 1n << 60n : 0n;
    if (entry !== 0n) u64(table + 8 * (index % 4096), entry);
  });
  return {
    image: Buffer.concat([head, slots]),
    disk,
    grainSize,
    directory,
    tables,
    redundantDirectory: 0,
    redundantTables: [],
    data,
    volatileHeader,
  };
}
