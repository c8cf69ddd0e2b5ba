// VHDX images, byte by byte, from [MS-VHDX] alone. Independent of the reader: nothing of src/formats/vhdx is used here.
import { createHash } from "node:crypto";
import type { Source } from "../../src/source/source.js";
import { randomNumbers, shuffled } from "./content.js";

export const MIB = 2 ** 20;
const KIB = 1024;

/** What a payload block is: its content, a state without content, or some of its sectors over the parent's. */
export type VhdxBlock = Buffer | { readonly state: number } | { readonly content: Buffer; readonly here: (sector: number) => boolean };

export interface VhdxItem {
  readonly guid: string;
  readonly content: Buffer;
  /** 1 = user, 2 = of the virtual disk, 4 = required. */
  readonly flags: number;
}
export interface VhdxRegion {
  readonly guid: string;
  readonly required: number;
  /** Bytes; placed behind everything else unless `position` says where. */
  readonly length: number;
  readonly position?: number;
}

export interface VhdxShape {
  /** In the order of the disk; those that are missing at its end are not present. */
  readonly blocks: readonly VhdxBlock[];
  /** Bytes of the disk, if it does not fill its last block or there are more. */
  readonly size?: number;
  readonly blockSize?: number;
  readonly sector?: number;
  readonly physicalSector?: number;
  readonly fixed?: boolean;
  /** Makes a differencing disk. `entries`: of the parent locator. */
  readonly parent?: { readonly disk: Uint8Array; readonly entries: Readonly<Record<string, string>> };
  readonly locatorType?: string;
  readonly dataWriteGuid?: string;
  /** Blocks are stored in another order for every seed. */
  readonly seed?: number;
  /** Bytes that the file is cut to behind the start of its last block. */
  readonly lastBlockBytes?: number;
  /** The log is declared behind everything else and the file ends before it, so that images get smaller. */
  readonly noLog?: boolean;
  readonly items?: readonly VhdxItem[];
  readonly regions?: readonly VhdxRegion[];
  readonly sequence?: bigint;
  readonly blockFlags?: number;
}

export interface Vhdx {
  /** The parts of the file that hold anything; everything between them is zeros. */
  readonly pieces: readonly { readonly position: number; readonly content: Buffer }[];
  readonly fileSize: number;
  /** What a child says its parent is. */
  readonly dataWriteGuid: string;
  readonly positions: {
    readonly log: number;
    readonly metadata: number;
    readonly bat: number;
    /** Of each block that is stored. */
    readonly blocks: ReadonlyMap<number, number>;
    /** Of each chunk's sector bitmap, if it has one. */
    readonly bitmaps: ReadonlyMap<number, number>;
    /** Of a block's entry in the BAT. */
    entry(block: number): number;
  };
}

export const guids = {
  bat: "2dc27766-f623-4200-9d64-115e9bfd4a08",
  metadata: "8b7ca206-4790-4b9a-b8fe-575f050f886e",
  fileParameters: "caa16737-fa36-4d43-b3b6-33f0aa44e76b",
  diskSize: "2fa54224-cd1b-4876-b211-5dbed83bf4b8",
  diskId: "beca12ab-b2e6-4523-93ef-c309e000c746",
  logicalSector: "8141bf1d-a96f-4709-ba47-f233a8faab5f",
  physicalSector: "cda348c7-445d-4471-9cc9-e9885251c556",
  locator: "a8d35f2d-b30b-454d-abf7-d3d84834ab0c",
  vhdxLocator: "b04aefb7-d19e-4a81-b789-25b8e9445913",
} as const;

/** A GUID as it is stored. */
export function guidBytes(guid: string): Buffer {
  const [a = "", b = "", c = "", d = "", e = ""] = guid.split("-");
  const little = (group: string) => Buffer.from(group, "hex").reverse();
  return Buffer.concat([little(a), little(b), little(c), Buffer.from(d + e, "hex")]);
}

/** A GUID that is different for every text. */
export function guidOf(text: string): string {
  return createHash("md5")
    .update(text)
    .digest("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ ((value & 1) === 1 ? 0x82f63b78 : 0);
  return value >>> 0;
});

/** Writes the CRC-32C of `structure` into its bytes 4 to 7. */
export function seal(structure: Buffer): Buffer {
  structure.writeUInt32LE(0, 4);
  let crc = 0xffffffff;
  for (const byte of structure) crc = (crc >>> 8) ^ (crcTable[(crc ^ byte) & 255] ?? 0);
  structure.writeUInt32LE((crc ^ 0xffffffff) >>> 0, 4);
  return structure;
}

export interface HeaderFields {
  readonly sequence: bigint;
  readonly dataWriteGuid: string;
  readonly logGuid?: string;
  readonly logVersion?: number;
  readonly version?: number;
  readonly logLength?: number;
  readonly logPosition: number;
}

export function headerBytes(fields: HeaderFields): Buffer {
  const header = Buffer.alloc(4 * KIB);
  header.write("head", 0, "latin1");
  header.writeBigUInt64LE(fields.sequence, 8);
  guidBytes(guidOf(`file write ${fields.dataWriteGuid}`)).copy(header, 16);
  guidBytes(fields.dataWriteGuid).copy(header, 32);
  if (fields.logGuid !== undefined) guidBytes(fields.logGuid).copy(header, 48);
  header.writeUInt16LE(fields.logVersion ?? 0, 64);
  header.writeUInt16LE(fields.version ?? 1, 66);
  header.writeUInt32LE(fields.logLength ?? MIB, 68);
  header.writeBigUInt64LE(BigInt(fields.logPosition), 72);
  return seal(header);
}

export function regionTableBytes(
  regions: readonly { readonly guid: string; readonly position: number; readonly length: number; readonly required: number }[],
): Buffer {
  const table = Buffer.alloc(64 * KIB);
  table.write("regi", 0, "latin1");
  table.writeUInt32LE(regions.length, 8);
  for (const [index, { guid, position, length, required }] of regions.entries()) {
    const at = 16 + 32 * index;
    guidBytes(guid).copy(table, at);
    table.writeBigUInt64LE(BigInt(position), at + 16);
    table.writeUInt32LE(length, at + 24);
    table.writeUInt32LE(required, at + 28);
  }
  return seal(table);
}

function metadataBytes(items: readonly VhdxItem[]): Buffer {
  const region = Buffer.alloc(MIB);
  region.write("metadata", 0, "latin1");
  region.writeUInt16LE(items.length, 10);
  // Items are not aligned, and in no order.
  let offset = 64 * KIB + items.reduce((sum, { content }) => sum + content.length + 3, 0);
  for (const [index, { guid, content, flags }] of items.entries()) {
    offset -= content.length + 3;
    const at = 32 + 32 * index;
    guidBytes(guid).copy(region, at);
    region.writeUInt32LE(offset, at + 16);
    region.writeUInt32LE(content.length, at + 20);
    region.writeUInt32LE(flags, at + 24);
    content.copy(region, offset);
  }
  return region.subarray(0, 128 * KIB);
}

/** A parent locator; keys and values stand in no order behind the table. */
export function locatorBytes(entries: Readonly<Record<string, string>>, type: string = guids.vhdxLocator): Buffer {
  const pairs = Object.entries(entries);
  const table = Buffer.alloc(20 + 12 * pairs.length);
  guidBytes(type).copy(table);
  table.writeUInt16LE(pairs.length, 18);
  const texts: Buffer[] = [];
  let end = table.length;
  const put = (text: string): readonly [number, number] => {
    const bytes = Buffer.from(text, "utf16le");
    texts.push(bytes, Buffer.from([0xee, 0xee]));
    end += bytes.length + 2;
    return [end - bytes.length - 2, bytes.length];
  };
  for (const [index, [key, value]] of pairs.entries()) {
    const [valueOffset, valueLength] = put(value);
    const [keyOffset, keyLength] = put(key);
    const at = 20 + 12 * index;
    table.writeUInt32LE(keyOffset, at);
    table.writeUInt32LE(valueOffset, at + 4);
    table.writeUInt16LE(keyLength, at + 8);
    table.writeUInt16LE(valueLength, at + 10);
  }
  return Buffer.concat([table, ...texts]);
}

function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32LE(value, 4 * index);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function diskSize(shape: VhdxShape): number {
  return shape.size ?? shape.blocks.length * (shape.blockSize ?? MIB);
}

function itemsOf(shape: VhdxShape): VhdxItem[] {
  const { blockSize = MIB, sector = 512, physicalSector = 4096, fixed = false, parent, locatorType } = shape;
  const parameters = shape.blockFlags ?? (fixed ? 1 : 0) | (parent ? 2 : 0);
  return [
    { guid: guids.fileParameters, content: u32(blockSize, parameters), flags: 4 },
    { guid: guids.diskSize, content: u64(diskSize(shape)), flags: 6 },
    { guid: guids.diskId, content: guidBytes(guidOf("disk")), flags: 6 },
    { guid: guids.logicalSector, content: u32(sector), flags: 6 },
    { guid: guids.physicalSector, content: u32(physicalSector), flags: 6 },
    ...(parent ? [{ guid: guids.locator, content: locatorBytes(parent.entries, locatorType), flags: 4 }] : []),
    ...(shape.items ?? []),
  ];
}

export function buildVhdx(shape: VhdxShape): Vhdx {
  const { blocks, blockSize = MIB, sector = 512, parent, seed = 1, noLog = false, sequence = 7n } = shape;
  const ratio = (2 ** 23 * sector) / blockSize;
  const blockCount = Math.ceil(diskSize(shape) / blockSize);
  const entryCount = parent ? Math.ceil(blockCount / ratio) * (ratio + 1) : blockCount + Math.floor(Math.max(0, blockCount - 1) / ratio);
  const batLength = Math.max(1, Math.ceil((entryCount * 8) / MIB)) * MIB;
  const dataWriteGuid = shape.dataWriteGuid ?? guidOf(`data write ${seed}`);

  let end = noLog ? MIB : 2 * MIB;
  const place = (length: number) => {
    end += length;
    return end - length;
  };
  const metadata = place(MIB);
  const bat = place(batLength);

  const partialChunks = [...blocks.entries()].flatMap(([block, what]) => ("here" in what ? [Math.floor(block / ratio)] : []));
  const stored = [...blocks.entries()].filter(([, what]) => !("state" in what)).map(([block]) => ({ block }));
  const jobs = shuffled([...[...new Set(partialChunks)].map((chunk) => ({ chunk })), ...stored], randomNumbers(seed));
  const pieces: { position: number; content: Buffer }[] = [];
  const blockPositions = new Map<number, number>();
  const bitmapPositions = new Map<number, number>();
  const batContent = new Map<number, bigint>();
  let fileSize = end;
  for (const job of jobs) {
    if ("chunk" in job) {
      const position = place(MIB);
      bitmapPositions.set(job.chunk, position);
      pieces.push({ position, content: bitmapOf(blocks, job.chunk, ratio, blockSize / sector) });
      batContent.set(job.chunk * (ratio + 1) + ratio, BigInt(position) | 6n);
      fileSize = end;
      continue;
    }
    const what = blocks[job.block];
    if (what === undefined || "state" in what) continue;
    const content = Buffer.isBuffer(what) ? what : what.content;
    const position = place(blockSize);
    blockPositions.set(job.block, position);
    pieces.push({ position, content });
    batContent.set(job.block + Math.floor(job.block / ratio), BigInt(position) | (Buffer.isBuffer(what) ? 6n : 7n));
    fileSize = shape.lastBlockBytes === undefined ? end : position + shape.lastBlockBytes;
  }
  for (const [block, what] of blocks.entries()) {
    if ("state" in what) batContent.set(block + Math.floor(block / ratio), BigInt(what.state));
  }

  const regions = [
    { guid: guids.bat, position: bat, length: batLength, required: 1 },
    { guid: guids.metadata, position: metadata, length: MIB, required: 1 },
    ...(shape.regions ?? []).map((region) => ({ ...region, position: region.position ?? place(region.length) })),
  ];
  if ((shape.regions ?? []).length > 0) fileSize = end;
  const log = noLog ? Math.ceil(end / MIB) * MIB : MIB;
  const table = regionTableBytes(regions);
  const identifier = Buffer.alloc(520);
  identifier.write("vhdxfile", 0, "latin1");
  identifier.write("flatmount test ü", 8, "utf16le");
  const lastEntry = Math.max(-1, ...batContent.keys());
  const batBytes = Buffer.alloc((lastEntry + 1) * 8);
  for (const [index, entry] of batContent) batBytes.writeBigUInt64LE(entry, index * 8);
  pieces.push(
    { position: 0, content: identifier },
    { position: 64 * KIB, content: headerBytes({ sequence: sequence - 1n, dataWriteGuid: guidOf("older"), logPosition: log }) },
    { position: 128 * KIB, content: headerBytes({ sequence, dataWriteGuid, logPosition: log }) },
    { position: 192 * KIB, content: table },
    { position: 256 * KIB, content: table },
    { position: metadata, content: metadataBytes(itemsOf(shape)) },
    { position: bat, content: batBytes },
  );
  const entry = (block: number) => bat + 8 * (block + Math.floor(block / ratio));
  return {
    pieces,
    fileSize,
    dataWriteGuid,
    positions: { log, metadata, bat, blocks: blockPositions, bitmaps: bitmapPositions, entry },
  };
}

/** The sector bitmap of a chunk; bits of blocks that it does not count for are set at random, since nobody may look at them. */
function bitmapOf(blocks: readonly VhdxBlock[], chunk: number, ratio: number, sectorsPerBlock: number): Buffer {
  const bitmap = Buffer.alloc(MIB, 0xa5);
  for (const [block, what] of blocks.entries()) {
    if (!("here" in what) || Math.floor(block / ratio) !== chunk) continue;
    const first = (block % ratio) * sectorsPerBlock;
    bitmap.fill(0, first / 8, (first + sectorsPerBlock) / 8);
    for (let index = 0; index < sectorsPerBlock; index += 1) {
      const bit = first + index;
      if (what.here(index)) bitmap[bit >>> 3] = (bitmap[bit >>> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  return bitmap;
}

/** The disk that `shape` describes, said in another way than the image says it. */
export function expectedVhdx(shape: VhdxShape): Buffer {
  const { blocks, blockSize = MIB, sector = 512, parent } = shape;
  const disk = Buffer.alloc(diskSize(shape));
  if (parent) disk.set(parent.disk.subarray(0, disk.length));
  for (const [block, what] of blocks.entries()) {
    const start = block * blockSize;
    const own = disk.subarray(start, start + blockSize);
    if (Buffer.isBuffer(what)) own.set(what.subarray(0, own.length));
    else if ("state" in what) {
      if (what.state !== 0) own.fill(0);
    } else {
      for (let at = 0; at < own.length; at += sector) {
        if (what.here(at / sector)) own.set(what.content.subarray(at, Math.min(at + sector, own.length)), at);
      }
    }
  }
  return disk;
}

/** The file as one buffer. */
export function vhdxImage({ pieces, fileSize }: Vhdx): Buffer {
  const image = Buffer.alloc(fileSize);
  for (const { position, content } of pieces) image.set(content.subarray(0, Math.max(0, fileSize - position)), position);
  return image;
}

/** The file without the memory for its holes; counts what is read. */
export function vhdxSource(name: string, { pieces, fileSize }: Vhdx): Source & { bytesRead: number } {
  return {
    name,
    size: fileSize,
    bytesRead: 0,
    read(target, position) {
      this.bytesRead += target.length;
      target.fill(0);
      for (const piece of pieces) {
        const from = Math.max(position, piece.position);
        const to = Math.min(position + target.length, piece.position + piece.content.length);
        if (from < to) target.set(piece.content.subarray(from - piece.position, to - piece.position), from - position);
      }
    },
    close: () => undefined,
  };
}
