// Stream-optimized extents, byte by byte from VMware's "Virtual Disk Format 5.0", in all the shapes that writers give them.
import { deflateSync } from "node:zlib";
import { noise, text } from "./content.js";
import { DESCRIPTOR_SECTORS, descriptorText, hostedHeaderBytes, SECTOR } from "./vmdk-builder.js";

/** What a grain holds: text, bytes that compression makes larger, or nothing. */
export type StreamGrain = "text" | "noise" | "absent" | "zeroed";

export interface StreamShape {
  readonly grains: readonly StreamGrain[];
  /** Sectors. */
  readonly grainSize?: number;
  readonly tableEntries?: number;
  /** Bytes of the disk, if it does not fill its last grain. */
  readonly size?: number;
  /** The last grain is stored only as far as the disk has it. */
  readonly shortLast?: boolean;
  /** The grains in the order in which they stand in the file; theirs on the disk unless told. */
  readonly order?: readonly number[];
  /**
   * Where the grain directory and the tables are. `interleaved`: behind the grains, each table as soon as its grains are written;
   * `together`: all tables, also those of absent grains, behind one marker.
   */
  readonly tables?: "interleaved" | "end" | "together" | "front";
  /** What the header says in place of the sectors before the first grain. */
  readonly overHead?: number;
  readonly markers?: boolean;
  /** A marker that no specification has, between grains. */
  readonly progress?: boolean;
  /** Metadata markers tell how many sectors follow. */
  readonly counts?: boolean;
  /** What is missing at the end. */
  readonly without?: "footer" | "end of stream";
  readonly padding?: Uint8Array;
  readonly version?: number;
  readonly descriptor?: string;
}

export interface BuiltStream {
  readonly image: Buffer;
  readonly disk: Buffer;
  /** Bytes. */
  readonly grainSize: number;
  /** Of each grain, 0 for one that is not stored. */
  readonly positions: readonly number[];
  /** Behind the last grain. */
  readonly grainsEnd: number;
  readonly directory: number;
  readonly tables: readonly number[];
  readonly footer: number;
}

const types = { grainTable: 1, grainDirectory: 2, footer: 3, progress: 4 } as const;

function metadataMarker(type: number, sectors: number): Buffer {
  const sector = Buffer.alloc(SECTOR);
  sector.writeBigUInt64LE(BigInt(sectors), 0);
  sector.writeUInt32LE(type, 12);
  return sector;
}

function padded(content: Uint8Array): Buffer {
  return Buffer.concat([content, Buffer.alloc((SECTOR - (content.length % SECTOR)) % SECTOR)]);
}

/** A file that only grows. */
class Growing {
  readonly parts: Buffer[] = [];
  end = 0;

  /** Appends whole sectors; tells where. */
  add(content: Uint8Array): number {
    const position = this.end;
    const part = padded(content);
    this.parts.push(part);
    this.end += part.length;
    return position;
  }
}

export function buildStream(shape: StreamShape): BuiltStream {
  const { grains, tableEntries = 512, markers = true, counts = true, tables: place = "interleaved", version = 3, without } = shape;
  const grainSize = (shape.grainSize ?? 8) * SECTOR;
  const disk = streamDisk(grains, grainSize).subarray(0, shape.size ?? grains.length * grainSize);
  const tableCount = Math.ceil(grains.length / tableEntries);
  const descriptor = shape.descriptor ?? descriptorText("streamOptimized", disk.length / SECTOR, "SPARSE", "stream.vmdk");
  const zeroed = grains.includes("zeroed");

  const file = new Growing();
  file.add(Buffer.alloc(SECTOR));
  file.add(Buffer.concat([Buffer.from(descriptor), Buffer.alloc(DESCRIPTOR_SECTORS * SECTOR - Buffer.byteLength(descriptor))]));
  const tableBytes = Math.ceil((tableEntries * 4) / SECTOR) * SECTOR;
  const directoryBytes = Math.ceil((tableCount * 4) / SECTOR) * SECTOR;
  let directory = place === "front" ? file.add(Buffer.alloc(directoryBytes)) : 0;
  const tables = Array.from({ length: tableCount }, () => (place === "front" ? file.add(Buffer.alloc(tableBytes)) : 0));
  const overHead = shape.overHead ?? file.end / SECTOR;

  const positions = new Array<number>(grains.length).fill(0);
  const tableContent = (index: number) => {
    const content = Buffer.alloc(tableEntries * 4);
    for (let entry = 0; entry < tableEntries && index * tableEntries + entry < grains.length; entry += 1) {
      const grain = index * tableEntries + entry;
      content.writeUInt32LE(grains[grain] === "zeroed" ? 1 : (positions[grain] ?? 0) / SECTOR, entry * 4);
    }
    return content;
  };
  const addTable = (index: number) => {
    if (!grains.slice(index * tableEntries, (index + 1) * tableEntries).some((grain) => grain !== "absent")) return;
    if (markers) file.add(metadataMarker(types.grainTable, counts ? tableBytes / SECTOR : 0));
    tables[index] = file.add(tableContent(index));
  };

  const order = (shape.order ?? grains.map((_, index) => index)).filter((index) => grains[index] === "text" || grains[index] === "noise");
  order.forEach((index, at) => {
    const content = disk.subarray(index * grainSize, (index + 1) * grainSize);
    const whole = Buffer.alloc(shape.shortLast ? content.length : grainSize);
    content.copy(whole);
    const stream = deflateSync(whole, { level: index % 3 === 0 ? 1 : 9 });
    const head = Buffer.alloc(markers ? 12 : 4);
    if (markers) head.writeBigUInt64LE(BigInt((index * grainSize) / SECTOR), 0);
    head.writeUInt32LE(stream.length, head.length - 4);
    positions[index] = file.add(Buffer.concat([head, stream]));
    if (shape.progress && at % 5 === 2) {
      file.add(metadataMarker(types.progress, at % 2));
      if (at % 2 === 1) file.add(noise(at, SECTOR));
    }
    const table = Math.floor(index / tableEntries);
    const last = !order.slice(at + 1).some((later) => Math.floor(later / tableEntries) === table);
    if (place === "interleaved" && last) addTable(table);
  });
  const grainsEnd = file.end;
  if (place === "together") {
    if (markers) file.add(metadataMarker(types.grainTable, counts ? (tableBytes * tableCount) / SECTOR : 0));
    tables.forEach((_, index) => {
      tables[index] = file.add(tableContent(index));
    });
  }
  // Tables of zeroed grains alone have no grain after which they would come.
  for (let index = 0; index < tableCount; index += 1) if (place !== "front" && tables[index] === 0) addTable(index);

  const directoryContent = () => {
    const content = Buffer.alloc(tableCount * 4);
    tables.forEach((table, index) => content.writeUInt32LE(table / SECTOR, 4 * index));
    return content;
  };
  if (place !== "front") {
    if (markers) file.add(metadataMarker(types.grainDirectory, counts ? directoryBytes / SECTOR : 0));
    directory = file.add(directoryContent());
  }
  const header = (directorySector: number | "end") =>
    hostedHeaderBytes({
      version,
      flags: 1 | (zeroed ? 4 : 0) | 0x10000 | (markers ? 0x20000 : 0),
      capacity: disk.length / SECTOR,
      grainSize: grainSize / SECTOR,
      descriptorOffset: 1,
      descriptorSize: DESCRIPTOR_SECTORS,
      tableEntries,
      redundantDirectory: 0,
      directory: directorySector,
      overHead,
      algorithm: 1,
    });
  let footer = 0;
  if (place !== "front" && without !== "footer") {
    if (markers) file.add(metadataMarker(types.footer, counts ? 1 : 0));
    footer = file.add(header(directory / SECTOR));
  }
  if (without === undefined) file.add(Buffer.alloc(SECTOR));

  const image = Buffer.concat([...file.parts, shape.padding ?? Buffer.alloc(0)]);
  header(place === "front" ? directory / SECTOR : "end").copy(image);
  if (place === "front") {
    directoryContent().copy(image, directory);
    tables.forEach((table, index) => tableContent(index).copy(image, table));
  }
  return { image, disk, grainSize, positions, grainsEnd, directory, tables, footer };
}

function streamDisk(grains: readonly StreamGrain[], grainSize: number): Buffer {
  const disk = Buffer.alloc(grains.length * grainSize);
  grains.forEach((grain, index) => {
    if (grain === "text") text(index + 1, grainSize).copy(disk, index * grainSize);
    if (grain === "noise") noise(index + 1, grainSize).copy(disk, index * grainSize);
  });
  return disk;
}
