// EWF images from the description in the libewf sources, byte by byte. Knows nothing of the driver.
import { deflateSync } from "node:zlib";

export interface EwfShape {
  readonly disk: Buffer;
  readonly sectorsPerChunk?: number;
  readonly bytesPerSector?: number;
  /** Which chunks are compressed; all that become smaller, without. */
  readonly packed?: (chunk: number) => boolean;
  /** Chunks of one table. */
  readonly tableEntries?: number;
  /** Tables of one segment; all in one segment, without. */
  readonly tablesPerSegment?: number;
  /** `smart`: chunks within the table's section, no copy, no checksum of the entries, the short volume section. */
  readonly style?: "encase" | "smart";
  /** What table entries count from. */
  readonly base?: boolean;
  /** What the volume section tells instead of the number of sectors. */
  readonly sectors?: number;
  /** Whether the copy of the volume section tells that, too. */
  readonly copySectors?: number;
  readonly identifier?: number;
  readonly digests?: Readonly<Record<"md5" | "sha1", Buffer>>;
  readonly unread?: readonly (readonly [first: number, count: number])[];
  readonly header?: string;
}

export interface BuiltEwf {
  readonly segments: readonly Buffer[];
  /** Where the tables' entries stand, in order; of the copies, too. */
  readonly tables: readonly { readonly segment: number; readonly kind: "table" | "table2"; readonly header: number }[];
}

export function adler(content: Uint8Array): number {
  let [low, high] = [1, 0];
  for (const byte of content) {
    low = (low + byte) % 65521;
    high = (high + low) % 65521;
  }
  return high * 65536 + low;
}

/** `content` with its Adler-32 behind it. */
function summed(content: Buffer): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(adler(content));
  return Buffer.concat([content, sum]);
}

/** A section that follows what `parts` hold. */
function section(type: string, content: Buffer, at: number, last = false): Buffer {
  const head = Buffer.alloc(72);
  head.write(type, 0, "latin1");
  head.writeBigUInt64LE(BigInt(last ? at : at + 76 + content.length), 16);
  head.writeBigUInt64LE(BigInt(76 + content.length), 24);
  return Buffer.concat([summed(head), content]);
}

function volume(shape: EwfShape, chunks: number, sectors: number): Buffer {
  const { sectorsPerChunk = 64, bytesPerSector = 512, style, identifier = 7 } = shape;
  const content = Buffer.alloc(style === "smart" ? 90 : 1048);
  content.writeUInt32LE(style === "smart" ? 1 : 0x01, 0);
  content.writeUInt32LE(chunks, 4);
  content.writeUInt32LE(sectorsPerChunk, 8);
  content.writeUInt32LE(bytesPerSector, 12);
  if (style === "smart") {
    content.writeUInt32LE(sectors, 16);
    content.fill(0x20, 40, 85);
    content.write("SMART", 85);
  } else {
    content.writeBigUInt64LE(BigInt(sectors), 16);
    content.fill(identifier, 64, 80);
  }
  return summed(content);
}

export function buildEwf(shape: EwfShape): BuiltEwf {
  const { disk, sectorsPerChunk = 64, bytesPerSector = 512, tableEntries = 16375, tablesPerSegment = Infinity, style = "encase" } = shape;
  const chunkSize = sectorsPerChunk * bytesPerSector;
  const count = Math.ceil(disk.length / chunkSize);
  const stored = Array.from({ length: count }, (_, chunk) => {
    const content = disk.subarray(chunk * chunkSize, (chunk + 1) * chunkSize);
    const packed = deflateSync(content);
    const isPacked = style === "smart" || (shape.packed?.(chunk) ?? packed.length < content.length);
    return { bytes: isPacked ? packed : summed(content), isPacked };
  });
  const tables: BuiltEwf["tables"][number][] = [];
  const segments: Buffer[] = [];
  const groups: { chunk: number; length: number }[] = [];
  for (let chunk = 0; chunk < count; chunk += tableEntries) groups.push({ chunk, length: Math.min(tableEntries, count - chunk) });
  const segmentCount = Math.max(1, Math.ceil(groups.length / tablesPerSegment));
  for (let number = 1; number <= segmentCount; number += 1) {
    let parts: Buffer[] = [Buffer.from([...Buffer.from("EVF\x09\x0d\x0a\xff\0", "latin1"), 1, number & 255, number >> 8, 0, 0])];
    const at = () => parts.reduce((sum, { length }) => sum + length, 0);
    const add = (type: string, content: Buffer, last = false) => {
      parts = [...parts, section(type, content, at(), last)];
    };
    const last = number === segmentCount;
    if (number === 1) {
      if (shape.header !== undefined) add("header2", deflateSync(Buffer.from(`\uFEFF${shape.header}`, "utf16le")));
      add("volume", volume(shape, count, shape.sectors ?? disk.length / bytesPerSector));
    }
    if (style !== "smart" && (number > 1 || last))
      add("data", volume(shape, count, shape.copySectors ?? shape.sectors ?? disk.length / bytesPerSector));
    const own = groups.slice((number - 1) * tablesPerSegment, number * tablesPerSegment);
    for (const { chunk, length } of own) addTable(chunk, length);
    if (last && style !== "smart") {
      if (shape.unread) add("error2", errorsOf(shape.unread));
      if (shape.digests) {
        add("digest", summed(Buffer.concat([shape.digests.md5, shape.digests.sha1, Buffer.alloc(40)])));
        add("hash", summed(Buffer.concat([shape.digests.md5, Buffer.alloc(16)])));
      }
    }
    add(last ? "done" : "next", Buffer.alloc(0), true);
    segments.push(Buffer.concat(parts));

    function addTable(chunk: number, length: number): void {
      const group = stored.slice(chunk, chunk + length);
      const data = Buffer.concat(group.map(({ bytes }) => bytes));
      const inTable = style === "smart";
      const dataAt = at() + 76 + (inTable ? 24 + 4 * length : 0);
      const base = shape.base === true ? dataAt - 20 : 0;
      const head = Buffer.alloc(20);
      head.writeUInt32LE(length, 0);
      head.writeBigUInt64LE(BigInt(base), 8);
      const entries = Buffer.alloc(4 * length);
      let position = dataAt - base;
      for (const [index, { bytes, isPacked }] of group.entries()) {
        entries.writeUInt32LE((position + (isPacked ? 0x80000000 : 0)) >>> 0, 4 * index);
        position += bytes.length;
      }
      if (inTable) {
        tables.push({ segment: number - 1, kind: "table", header: at() + 76 });
        add("table", Buffer.concat([summed(head), entries, data]));
        return;
      }
      add("sectors", data);
      for (const kind of ["table", "table2"] as const) {
        tables.push({ segment: number - 1, kind, header: at() + 76 });
        add(kind, Buffer.concat([summed(head), summed(entries)]));
      }
    }
  }
  return { segments, tables };
}

function errorsOf(runs: readonly (readonly [number, number])[]): Buffer {
  const head = Buffer.alloc(516);
  head.writeUInt32LE(runs.length, 0);
  const entries = Buffer.alloc(8 * runs.length);
  for (const [index, [first, count]] of runs.entries()) {
    entries.writeUInt32LE(first, 8 * index);
    entries.writeUInt32LE(count, 8 * index + 4);
  }
  return Buffer.concat([summed(head), summed(entries)]);
}
