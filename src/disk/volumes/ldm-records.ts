import type { Scan } from "../partitions/scan.js";
import { type ldmDatabase, ldmBlock, ldmRecord } from "./layout.js";

export interface LdmVolume {
  readonly id: number;
  readonly name: string;
  readonly components: number;
  /** Sectors. */
  readonly size: number;
  readonly raid5: boolean;
  readonly guid: string;
}

export interface LdmComponent {
  readonly id: number;
  readonly state: string;
  readonly layout: number;
  readonly partitions: number;
  readonly volume: number;
}

interface LdmPartition {
  readonly id: number;
  /** Sectors, from the start of the disk's public region. */
  readonly start: number;
  /** Sectors, in the component. */
  readonly offset: number;
  readonly size: number;
  readonly component: number;
  readonly disk: number;
}

export interface LdmDisk {
  readonly id: number;
  readonly name: string;
  readonly guid: string;
}

/** What is kept about a group of disks, the same on each of them. */
export interface Database {
  readonly volumes: LdmVolume[];
  readonly components: LdmComponent[];
  readonly partitions: LdmPartition[];
  readonly disks: LdmDisk[];
}

/** Records are spread over a few blocks at most. */
const maxBlocksOfRecord = 64;
/** Windows has at most 2000 volumes in a group. */
const maxRecords = 8192;
const CHUNK = 64 * 1024;

/** All records of the database at `start`, `size` bytes, or what is wrong with it. */
export function readRecords(scan: Scan, start: number, size: number, fields: ReturnType<typeof ldmDatabase.decode>): Database | string {
  const { vblkSize, firstVblk, lastVblk } = fields;
  if (vblkSize < 64 || vblkSize > 512 || 512 % vblkSize !== 0) return `its blocks have ${vblkSize} bytes`;
  if (firstVblk < 512 || firstVblk % vblkSize !== 0) return `its first block is at byte ${firstVblk}`;
  const end = Math.min(size, (lastVblk + 1) * vblkSize);
  const database: Database = { volumes: [], components: [], partitions: [], disks: [] };
  const parts = new Map<number, Buffer[]>();
  let problem: string | undefined;
  for (let at = firstVblk; at < end && !isComplete(database, fields); at += CHUNK) {
    const raw = scan.bytes(start + at, Math.min(CHUNK, Math.floor((end - at) / vblkSize) * vblkSize));
    if (!raw) return "its database cannot be read";
    for (let block = 0; block + vblkSize <= raw.length; block += vblkSize) {
      problem = addBlock(database, parts, raw.subarray(block, block + vblkSize));
      if (problem !== undefined) return `its database is damaged at byte ${start + at + block}: ${problem}`;
    }
  }
  return isComplete(database, fields) ? database : "its database does not hold what it says";
}

function isComplete({ volumes, components, partitions, disks }: Database, fields: ReturnType<typeof ldmDatabase.decode>): boolean {
  return (
    volumes.length === fields.volumes &&
    components.length === fields.components &&
    partitions.length === fields.partitions &&
    disks.length === fields.disks
  );
}

/** Takes a block, and the record that it completes. What is wrong with it, if anything is. */
function addBlock(database: Database, parts: Map<number, Buffer[]>, raw: Buffer): string | undefined {
  const { magic, group, index, count } = ldmBlock.decode(raw);
  if (magic !== "VBLK") return "a block has no signature";
  if (count === 0) return undefined;
  if (index >= count || count > maxBlocksOfRecord) return `block ${index} of ${count} of a record`;
  const content = raw.subarray(ldmBlock.size);
  if (count === 1) return addRecord(database, content);
  const known = parts.get(group) ?? [];
  known[index] = content;
  parts.set(group, known);
  if (Object.keys(known).length < count) return undefined;
  parts.delete(group);
  return addRecord(database, Buffer.concat(known));
}

/** Thrown where a record ends before its fields do. */
class Short extends Error {}

function addRecord(database: Database, raw: Buffer): string | undefined {
  const { flags, type, size } = ldmRecord.decode(raw);
  const { volumes, components, partitions, disks } = database;
  if (volumes.length + components.length + partitions.length + disks.length > maxRecords)
    return `there are more than ${maxRecords} records`;
  const kind = type & 0x0f;
  const revision = type >> 4;
  const fields = createCursor(raw.subarray(ldmRecord.size, ldmRecord.size + size));
  try {
    if (kind === 1 && revision === 5) volumes.push(readVolume(fields));
    else if (kind === 2 && revision === 3) components.push(readComponent(fields));
    else if (kind === 3 && revision === 3) partitions.push(readPartition(fields));
    else if (kind === 4 && (revision === 3 || revision === 4)) disks.push(readDisk(fields, revision));
    // Empty, or the group of disks itself.
    else if (kind !== 0 && kind !== 5) return `a record of the unknown type 0x${type.toString(16)}`;
  } catch (error) {
    if (!(error instanceof Short)) throw error;
    return `a record of the type 0x${type.toString(16)}, flags 0x${flags.toString(16)}, is too short`;
  }
  return undefined;
}

type Cursor = ReturnType<typeof createCursor>;

/** Reads fields one behind the other. Numbers and texts have their length before them. */
function createCursor(raw: Buffer) {
  let at = 0;
  const bytes = (length: number): Buffer => {
    if (at + length > raw.length) throw new Short();
    at += length;
    return raw.subarray(at - length, at);
  };
  const byte = (): number => bytes(1)[0] ?? 0;
  return {
    bytes,
    byte,
    u64: (): number => Number(bytes(8).readBigUInt64BE()),
    /** At most 8 bytes; over 2^53 it is not exact, and no place on a disk. */
    number: (): number => {
      const length = byte();
      if (length > 8) throw new Short();
      return bytes(length).reduce((value, each) => value * 256 + each, 0);
    },
    text: (): string => bytes(byte()).toString("latin1").replace(/\0.*$/s, ""),
  };
}

function readVolume(fields: Cursor): LdmVolume {
  const id = fields.number();
  const name = fields.text();
  // Its kind in words, and something that Windows leaves empty mostly.
  fields.text();
  fields.text();
  // The state.
  fields.bytes(14);
  const raid5 = fields.byte() === 4;
  fields.bytes(6);
  const components = fields.number();
  // Numbers of changes.
  fields.bytes(16);
  const size = fields.number();
  // Zeros, and the type of an MBR partition with this content.
  fields.bytes(5);
  return { id, name, components, size, raid5, guid: guidText(fields.bytes(16)) };
}

function readComponent(fields: Cursor): LdmComponent {
  const id = fields.number();
  fields.text();
  const state = fields.text();
  const layout = fields.byte();
  fields.bytes(4);
  const partitions = fields.number();
  fields.bytes(16);
  return { id, state, layout, partitions, volume: fields.number() };
}

function readPartition(fields: Cursor): LdmPartition {
  const id = fields.number();
  fields.text();
  fields.bytes(12);
  const start = fields.u64();
  const offset = fields.u64();
  return { id, start, offset, size: fields.number(), component: fields.number(), disk: fields.number() };
}

function readDisk(fields: Cursor, revision: number): LdmDisk {
  const id = fields.number();
  const name = fields.text();
  return { id, name, guid: revision === 3 ? fields.text().toLowerCase() : guidText(fields.bytes(16)) };
}

function guidText(raw: Uint8Array): string {
  return Buffer.from(raw)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
