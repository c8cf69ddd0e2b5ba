// ISO 9660 discs from the specification alone (ECMA-119), for what no installable program writes.
import { Buffer } from "node:buffer";

const SECTOR = 2048;

/** One directory record: names as they are stored. */
export interface IsoRecord {
  readonly name: string | Buffer;
  /** Logical block; the builder's own placement without. */
  readonly block?: number;
  readonly content?: Uint8Array;
  readonly flags?: number;
  /** Blocks of the extended attribute record in front of the data. */
  readonly attributeBlocks?: number;
  /** Blocks. */
  readonly unit?: number;
  readonly gap?: number;
  readonly systemUse?: Uint8Array | undefined;
}

export interface IsoRecipe {
  readonly records: readonly IsoRecord[];
  readonly blockSize?: 512 | 1024 | 2048;
  readonly kind?: "iso" | "high sierra" | "joliet" | "enhanced";
  readonly rootUse?: Uint8Array | undefined;
  readonly terminator?: boolean;
  /** Sectors between the volume and the first file. */
  readonly space?: number;
}

/** A disc with one directory. Files lie behind it in reverse order. */
export function buildIso({ records, blockSize = 2048, kind = "iso", rootUse, terminator = true, space = 3 }: IsoRecipe): Buffer {
  const old = kind === "high sierra";
  const perSector = SECTOR / blockSize;
  const directorySector = 24;
  let next = directorySector + 8 + space;
  const placed = [...records].reverse().map((record) => {
    const stored = storedBytes(record, blockSize);
    const block = record.block ?? next * perSector;
    if (record.block === undefined) next += Math.ceil(stored.length / SECTOR) + 1;
    return { record, stored, block };
  });
  const self = (name: string) =>
    encodeRecord({ name, flags: 2, systemUse: name === "\0" ? rootUse : undefined }, directorySector * perSector, 0, old);
  const directory = layOut([
    self("\0"),
    self("\x01"),
    ...placed.reverse().map(({ record, block }) => encodeRecord(record, block, record.content?.length ?? 0, old)),
  ]);
  for (const at of [0, directory.readUInt8(0)]) writeBoth32(directory, at + 10, directory.length);
  const disc = Buffer.alloc((next + 4) * SECTOR);
  directory.copy(disc, directorySector * SECTOR);
  for (const { stored, block } of placed) stored.copy(disc, block * blockSize);
  const descriptor = disc.subarray(16 * SECTOR, 17 * SECTOR);
  writeDescriptor(descriptor, { type: 1, blockSize, old, escapes: "", version: 1 }, next, directory);
  if (kind === "joliet" || kind === "enhanced") {
    const second = disc.subarray(17 * SECTOR, 18 * SECTOR);
    writeDescriptor(
      second,
      { type: 2, blockSize, old, escapes: kind === "joliet" ? "%/E" : "", version: kind === "joliet" ? 1 : 2 },
      next,
      directory,
    );
  }
  if (terminator) disc.write(old ? "\0\0\0\0\0\0\0\0\xffCDROM\x01" : "\xffCD001\x01", 18 * SECTOR, "latin1");
  return disc;
}

function writeDescriptor(
  target: Buffer,
  { type, blockSize, old, escapes, version }: { type: number; blockSize: number; old: boolean; escapes: string; version: number },
  sectors: number,
  directory: Buffer,
): void {
  const shift = old ? 8 : 0;
  target[shift] = type;
  target.write(old ? "CDROM" : "CD001", shift + 1, "latin1");
  target[shift + 6] = version;
  target.write("BUILT".padEnd(32), shift + 40, "latin1");
  if (!old) target.write(escapes, 88, "latin1");
  writeBoth32(target, old ? 88 : 80, (sectors * SECTOR) / blockSize);
  target.writeUInt16LE(blockSize, old ? 136 : 128);
  target.writeUInt16BE(blockSize, (old ? 136 : 128) + 2);
  directory.copy(target, old ? 180 : 156, 0, 34);
  target[old ? 180 : 156] = 34;
}

/** The data with attribute blocks in front, and gaps after each unit. */
function storedBytes({ content = new Uint8Array(), attributeBlocks = 0, unit = 0, gap = 0 }: IsoRecord, blockSize: number): Buffer {
  const parts: Buffer[] = [Buffer.alloc(attributeBlocks * blockSize, 0xaa)];
  if (unit === 0) return Buffer.concat([...parts, Buffer.from(content)]);
  for (let at = 0; at < content.length; at += unit * blockSize) {
    parts.push(Buffer.from(content.subarray(at, at + unit * blockSize)), Buffer.alloc(gap * blockSize, 0xbb));
  }
  return Buffer.concat(parts);
}

/** Clause 9.1. The date is 2001-02-03 04:05:06, 1 hour ahead of GMT. */
function encodeRecord(
  { name, flags = 0, attributeBlocks = 0, unit = 0, gap = 0, systemUse }: IsoRecord,
  block: number,
  size: number,
  old: boolean,
): Buffer {
  const identifier = typeof name === "string" ? Buffer.from(name, "latin1") : name;
  const use = Buffer.from(systemUse ?? new Uint8Array());
  const fixed = 33 + identifier.length + ((identifier.length + 1) & 1);
  const record = Buffer.alloc(fixed + use.length + (use.length & 1));
  record[0] = record.length;
  record[1] = attributeBlocks;
  writeBoth32(record, 2, block);
  writeBoth32(record, 10, size);
  Buffer.from([101, 2, 3, 4, 5, 6, ...(old ? [] : [4])]).copy(record, 18);
  record[old ? 24 : 25] = flags;
  record[26] = unit;
  record[27] = gap;
  record[32] = identifier.length;
  identifier.copy(record, 33);
  use.copy(record, fixed);
  return record;
}

/** Records never cross a sector (6.8.1.1). */
function layOut(records: readonly Buffer[]): Buffer {
  const sectors: Buffer[] = [];
  let sector = Buffer.alloc(SECTOR);
  let at = 0;
  for (const record of records) {
    if (at + record.length > SECTOR) {
      sectors.push(sector);
      sector = Buffer.alloc(SECTOR);
      at = 0;
    }
    record.copy(sector, at);
    at += record.length;
  }
  return Buffer.concat([...sectors, sector]);
}

/** 7.3.3: little-endian, then big-endian. */
function writeBoth32(target: Buffer, at: number, value: number): void {
  target.writeUInt32LE(value, at);
  target.writeUInt32BE(value, at + 4);
}

/** One System Use entry (SUSP 4.1). */
export function susp(name: string, data: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(name, "latin1"), Buffer.from([data.length + 4, 1]), data]);
}

/** A number in both byte orders, 8 bytes. */
export function both32(value: number): Buffer {
  const result = Buffer.alloc(8);
  writeBoth32(result, 0, value);
  return result;
}
