// ZIP archives from PKWARE's APPNOTE alone, for what no installable program writes.
import { crc32, deflateRawSync } from "node:zlib";

export interface ZipEntry {
  readonly name: string | Buffer;
  readonly content?: Uint8Array;
  /** 0 or 8; another one only says so. */
  readonly method?: number;
  readonly flags?: number;
  /** The upper byte is the system that made it: 0 DOS, 3 Unix. */
  readonly madeBy?: number;
  readonly attributes?: number;
  /** Extra fields of the directory. */
  readonly extra?: Uint8Array;
  /** Sizes and position in fields of 64 bits. */
  readonly wide?: boolean;
  readonly crc32?: number;
  readonly size?: number;
}

export interface ZipRecipe {
  readonly entries: readonly ZipEntry[];
  readonly comment?: string;
  /** In front of the archive, not counted by it. */
  readonly front?: Uint8Array;
  /** Between the directory and its end. */
  readonly between?: Uint8Array;
  readonly wide?: boolean;
  /** The number of entries, where it is another one. */
  readonly count?: number;
  readonly disk?: number;
}

const ALL_ONES = 0xffffffff;

export function buildZip({ entries, comment = "", front, between, wide = false, count = entries.length, disk = 0 }: ZipRecipe): Buffer {
  const members: Buffer[] = [];
  const directory: Buffer[] = [];
  let position = 0;
  for (const entry of entries) {
    const { content = new Uint8Array(), method = 0, flags = 0, madeBy = 0x031e, attributes = 0o100644 * 65_536 } = entry;
    const name = Buffer.from(entry.name);
    const stored = method === 8 ? deflateRawSync(content) : Buffer.from(content);
    const sum = entry.crc32 ?? crc32(content);
    const size = entry.size ?? content.length;
    const local = Buffer.alloc(30);
    local.write("PK\x03\x04", "latin1");
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(flags, 6);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(sum, 14);
    local.writeUInt32LE(stored.length, 18);
    local.writeUInt32LE(size % 2 ** 32, 22);
    local.writeUInt16LE(name.length, 26);
    // Other extra fields than in the directory, as many programs have it.
    local.writeUInt16LE(4, 28);
    members.push(Buffer.concat([local, name, Buffer.from([0xfe, 0xca, 0, 0]), stored]));

    const extra = Buffer.concat([
      entry.extra ?? new Uint8Array(),
      entry.wide ? wideExtra(size, stored.length, position) : new Uint8Array(),
    ]);
    const central = Buffer.alloc(46);
    central.write("PK\x01\x02", "latin1");
    central.writeUInt16LE(madeBy, 4);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    // 2001-02-03 04:05:06
    central.writeUInt16LE((4 << 11) | (5 << 5) | 3, 12);
    central.writeUInt16LE((21 << 9) | (2 << 5) | 3, 14);
    central.writeUInt32LE(sum, 16);
    central.writeUInt32LE(entry.wide ? ALL_ONES : stored.length, 20);
    central.writeUInt32LE(entry.wide ? ALL_ONES : size, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(extra.length, 30);
    central.writeUInt32LE(attributes >>> 0, 38);
    central.writeUInt32LE(entry.wide ? ALL_ONES : position, 42);
    directory.push(Buffer.concat([central, name, extra]));
    position += members.at(-1)?.length ?? 0;
  }
  const tables = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(disk, 4);
  end.writeUInt16LE(disk, 6);
  end.writeUInt16LE(wide ? 0xffff : count % 65_536, 8);
  end.writeUInt16LE(wide ? 0xffff : count % 65_536, 10);
  end.writeUInt32LE(wide ? ALL_ONES : tables.length, 12);
  end.writeUInt32LE(wide ? ALL_ONES : position, 16);
  end.writeUInt16LE(comment.length, 20);
  const wideEnd = wide ? wideEndOf(count, tables.length, position, position + tables.length + (between?.length ?? 0)) : new Uint8Array();
  return Buffer.concat([
    ...[front ?? new Uint8Array(), ...members, tables, between ?? new Uint8Array()],
    ...[wideEnd, end, Buffer.from(comment, "latin1")],
  ]);
}

function wideExtra(...numbers: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * numbers.length);
  field.writeUInt16LE(1);
  field.writeUInt16LE(8 * numbers.length, 2);
  numbers.forEach((number, index) => field.writeBigUInt64LE(BigInt(number), 4 + 8 * index));
  return field;
}

function wideEndOf(count: number, size: number, position: number, own: number): Buffer {
  const record = Buffer.alloc(56 + 20);
  record.write("PK\x06\x06", "latin1");
  record.writeBigUInt64LE(44n, 4);
  record.writeBigUInt64LE(BigInt(count), 24);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(size), 40);
  record.writeBigUInt64LE(BigInt(position), 48);
  record.write("PK\x06\x07", 56, "latin1");
  record.writeBigUInt64LE(BigInt(own), 64);
  record.writeUInt32LE(1, 72);
  return record;
}

/** An extra field. */
export function zipExtra(id: number, data: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(id);
  head.writeUInt16LE(data.length, 2);
  return Buffer.concat([head, data]);
}
