// Apple disk images from the description of UDIF in libyal's documentation (libmodi), byte by byte. Knows nothing of the driver.
import { spawnSync } from "node:child_process";
import { deflateSync } from "node:zlib";
import { noise, text } from "./content.js";
import { lzfse } from "./lzfse-builder.js";

export type ChunkKind = "zero" | "ignore" | "raw" | "adc" | "zlib" | "bzip2" | "lzfse" | "lzma";

const types = {
  zero: 0,
  raw: 1,
  ignore: 2,
  adc: 0x80000004,
  zlib: 0x80000005,
  bzip2: 0x80000006,
  lzfse: 0x80000007,
  lzma: 0x80000008,
} as const;

export interface DmgChunk {
  readonly kind: ChunkKind;
  readonly sectors: number;
  /** Sectors that the table has before it and says nothing about. */
  readonly hole?: number;
}

export interface DmgTable {
  /** Sectors of the disk before it that no table maps. */
  readonly gap?: number;
  readonly chunks: readonly DmgChunk[];
  /** Sectors that the table claims behind its last entry. */
  readonly tail?: number;
}

export interface DmgShape {
  readonly tables: readonly DmgTable[];
  /** Sectors of the disk behind the last table. */
  readonly freeSectors?: number;
  /** Where the footer is, and what holds the tables. */
  readonly footer?: "end" | "start";
  readonly directory?: "plist" | "resources" | "both";
  /** Bytes before the data fork. */
  readonly dataForkPosition?: number;
  /** Bytes from there to where the tables count from. */
  readonly dataOffset?: number;
  /** Chunks in the file in another order than on the disk. */
  readonly backwards?: boolean;
  /** Entries that say nothing, as Apple's tools write them. */
  readonly comments?: boolean;
  readonly sectorCount?: number;
  readonly segmentCount?: number;
  /** Of the content. */
  readonly seed?: number;
}

export interface BuiltDmg {
  readonly image: Buffer;
  readonly disk: Buffer;
  /** Where the stored bytes of each chunk start, in the order of the disk. */
  readonly chunkPositions: readonly number[];
  readonly plistPosition: number;
  readonly footerPosition: number;
}

/** `content` as a chunk of this kind is stored; the programs `bzip2` and `xz` make theirs. */
function packed(kind: ChunkKind, content: Buffer): Buffer {
  switch (kind) {
    case "zero":
    case "ignore":
      return Buffer.alloc(0);
    case "raw":
      return content;
    case "adc":
      return adc(content);
    case "zlib":
      return deflateSync(content);
    case "bzip2":
      return filtered("bzip2", content);
    case "lzma":
      return filtered("xz", content);
    case "lzfse":
      return lzfse(content, content.length < 4096 ? ["lzvn"] : ["packed tables", "lzvn"]);
  }
}

function filtered(program: string, content: Buffer): Buffer {
  const { stdout, status } = spawnSync(program, ["-c"], { input: content, maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`${program} failed`);
  return stdout;
}

/** All three kinds of operations of ADC. */
function adc(content: Buffer): Buffer {
  const out: Buffer[] = [];
  const seen = new Map<number, number>();
  let done = 0;
  const literals = (until: number) => {
    while (done < until) {
      const count = Math.min(128, until - done);
      out.push(Buffer.from([0x80 + count - 1]), content.subarray(done, done + count));
      done += count;
    }
  };
  for (let at = 0; at + 4 <= content.length; ) {
    const key = content.readInt32LE(at);
    const before = seen.get(key);
    seen.set(key, at);
    if (before === undefined || at - before > 65536) {
      at += 1;
      continue;
    }
    let length = 4;
    while (length < 67 && at + length < content.length && content[before + length] === content[at + length]) length += 1;
    const back = at - before - 1;
    literals(at);
    if (back < 1024 && length <= 18) out.push(Buffer.from([((length - 3) << 2) | (back >> 8), back & 255]));
    else out.push(Buffer.from([0x40 + length - 4, back >> 8, back & 255]));
    at += length;
    done = at;
  }
  literals(content.length);
  return Buffer.concat(out);
}

export function buildDmg(shape: DmgShape): BuiltDmg {
  const { tables, footer = "end", directory = "plist", comments = false, dataOffset = 0, seed = 1 } = shape;
  const dataFork = shape.dataForkPosition ?? (footer === "start" ? 512 : 0);
  const disk: Buffer[] = [];
  const stored: { readonly content: Buffer; offset: number }[] = [];
  const layout = tables.map((table) => {
    disk.push(Buffer.alloc((table.gap ?? 0) * 512));
    return table.chunks.map(({ kind, sectors, hole = 0 }) => {
      const content = contentOf(kind, sectors * 512, seed * 1000 + stored.length);
      disk.push(Buffer.alloc(hole * 512), content);
      const chunk = { content: packed(kind, content), offset: 0 };
      stored.push(chunk);
      return { kind, sectors, hole, chunk };
    });
  });
  const free = Buffer.alloc((shape.freeSectors ?? 0) * 512);

  let size = 0;
  const inFile = shape.backwards ? stored.toReversed() : stored;
  for (const chunk of inFile) {
    chunk.offset = size;
    size += chunk.content.length;
  }
  const data = Buffer.concat([noise(9, dataOffset), ...inFile.map(({ content }) => content)]);

  let sector = 0;
  const mish = layout.map((chunks, index) => {
    sector += tables[index]?.gap ?? 0;
    const first = sector;
    const entries: Buffer[] = comments ? [entry(0x7ffffffe, 0, 0, 0, 0, "+beg")] : [];
    let at = 0;
    for (const { kind, sectors, hole, chunk } of chunks) {
      at += hole;
      entries.push(entry(types[kind], at, sectors, chunk.content.length === 0 ? 0 : chunk.offset, chunk.content.length));
      at += sectors;
    }
    if (comments) entries.push(entry(0x7ffffffe, at, 0, size, 0, "+end"));
    at += tables[index]?.tail ?? 0;
    entries.push(entry(0xffffffff, at, 0, size, 0));
    sector += at;
    return table(first, at, dataOffset, index - 1, entries);
  });

  const plist = Buffer.from(plistOf(mish));
  const fork = resourceFork(mish);
  const start = Buffer.alloc(dataFork);
  const plistPosition = dataFork + data.length;
  const forkPosition = plistPosition + (directory === "resources" ? 0 : plist.length);
  const image = Buffer.concat([
    start,
    data,
    directory === "resources" ? Buffer.alloc(0) : plist,
    directory === "plist" ? Buffer.alloc(0) : fork,
  ]);
  const koly = footerOf({
    dataFork,
    dataSize: data.length,
    fork: directory === "plist" ? [0, 0] : [forkPosition, fork.length],
    plist: directory === "resources" ? [0, 0] : [plistPosition, plist.length],
    sectors: shape.sectorCount ?? sector + free.length / 512,
    segments: shape.segmentCount ?? 1,
  });
  if (footer === "start") koly.copy(image);
  return {
    image: footer === "start" ? image : Buffer.concat([image, koly]),
    disk: Buffer.concat([...disk, ...tables.slice(-1).map(({ tail = 0 }) => Buffer.alloc(tail * 512)), free]),
    chunkPositions: stored.map(({ offset }) => dataFork + dataOffset + offset),
    plistPosition,
    footerPosition: footer === "start" ? 0 : image.length,
  };
}

/** Content that suits the kind: noise where it is stored, text where it is packed. */
function contentOf(kind: ChunkKind, length: number, seed: number): Buffer {
  if (kind === "zero" || kind === "ignore") return Buffer.alloc(length);
  return kind === "raw" ? noise(seed, length) : text(seed, length);
}

function table(first: number, sectors: number, dataOffset: number, descriptor: number, entries: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(204);
  head.write("mish");
  head.writeUInt32BE(1, 4);
  head.writeBigUInt64BE(BigInt(first), 8);
  head.writeBigUInt64BE(BigInt(sectors), 16);
  head.writeBigUInt64BE(BigInt(dataOffset), 24);
  head.writeUInt32BE(2056, 32);
  head.writeInt32BE(descriptor, 36);
  head.writeUInt32BE(entries.length, 200);
  return Buffer.concat([head, ...entries]);
}

function entry(type: number, sector: number, sectors: number, offset: number, size: number, comment = ""): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.writeUInt32BE(type);
  bytes.write(comment, 4, "latin1");
  for (const [index, value] of [sector, sectors, offset, size].entries()) bytes.writeBigUInt64BE(BigInt(value), 8 + 8 * index);
  return bytes;
}

function plistOf(tables: readonly Buffer[]): string {
  const dictionaries = tables.map((content, index) => {
    const lines = content.toString("base64").replace(/.{44}/g, "$&\n\t\t\t\t");
    const name = `part ${index} &amp; more (Apple_HFS : ${index})`;
    return `<dict><key>Attributes</key><string>0x0050</string><key>CFName</key><string>${name}</string>
      <key>Data</key>\n\t\t\t\t<data>\n\t\t\t\t${lines}\n\t\t\t\t</data>
      <key>ID</key><string>${index - 1}</string><key>Name</key><string>${name}</string></dict>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>resource-fork</key>
  <dict>
    <key>blkx</key>
    <array>${dictionaries.join("\n")}</array>
    <key>plst</key>
    <array><dict><key>Attributes</key><string>0x0050</string><key>Data</key><data>AAAA</data><key>ID</key><string>0</string></dict></array>
  </dict>
</dict>
</plist>
`;
}

/** Resources of the types `plst` and `blkx`, the blkx ones with names. */
function resourceFork(tables: readonly Buffer[]): Buffer {
  const names = tables.map((_, index) => Buffer.from(`part ${index} (Apple_HFS : ${index})`));
  const resources = [Buffer.from("none of yours"), ...tables];
  const data: Buffer[] = [];
  const offsets: number[] = [];
  let size = 0;
  for (const resource of resources) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(resource.length);
    offsets.push(size);
    data.push(length, resource);
    size += 4 + resource.length;
  }
  const typeSize = 2 + 2 * 8;
  const head = Buffer.alloc(28);
  const list = Buffer.alloc(typeSize);
  list.writeUInt16BE(1, 0);
  list.write("plst", 2);
  list.writeUInt16BE(0, 6);
  list.writeUInt16BE(typeSize, 8);
  list.write("blkx", 10);
  list.writeUInt16BE(tables.length - 1, 14);
  list.writeUInt16BE(typeSize + 12, 16);
  let nameOffset = 0;
  const references = resources.map((_, index) => {
    const reference = Buffer.alloc(12);
    reference.writeInt16BE(index - 1);
    reference.writeUInt16BE(index === 0 ? 0xffff : nameOffset, 2);
    reference.writeUInt32BE((0x50 * 2 ** 24 + (offsets[index] ?? 0)) >>> 0, 4);
    if (index > 0) nameOffset += 1 + (names[index - 1]?.length ?? 0);
    return reference;
  });
  head.writeUInt16BE(28, 24);
  head.writeUInt16BE(28 + typeSize + references.length * 12, 26);
  const map = Buffer.concat([head, list, ...references, ...names.flatMap((name) => [Buffer.from([name.length]), name])]);
  const header = Buffer.alloc(256);
  header.writeUInt32BE(256, 0);
  header.writeUInt32BE(256 + size, 4);
  header.writeUInt32BE(size, 8);
  header.writeUInt32BE(map.length, 12);
  // The map begins with a copy of the header.
  header.copy(map, 0, 0, 16);
  return Buffer.concat([header, ...data, map]);
}

interface Footer {
  readonly dataFork: number;
  readonly dataSize: number;
  readonly fork: readonly [number, number];
  readonly plist: readonly [number, number];
  readonly sectors: number;
  readonly segments: number;
}

export function footerOf({ dataFork, dataSize, fork, plist, sectors, segments }: Footer): Buffer {
  const bytes = Buffer.alloc(512);
  bytes.write("koly");
  bytes.writeUInt32BE(4, 4);
  bytes.writeUInt32BE(512, 8);
  bytes.writeUInt32BE(1, 12);
  const numbers = [
    [16, 0],
    [24, dataFork],
    [32, dataSize],
    [40, fork[0]],
    [48, fork[1]],
    [216, plist[0]],
    [224, plist[1]],
    [492, sectors],
  ] as const;
  for (const [at, value] of numbers) bytes.writeBigUInt64BE(BigInt(value), at);
  bytes.writeUInt32BE(1, 56);
  bytes.writeUInt32BE(segments, 60);
  noise(3, 16).copy(bytes, 64);
  bytes.writeUInt32BE(1, 488);
  return bytes;
}
