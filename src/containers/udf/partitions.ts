// ECMA-167, 3/10.7 and UDF 2.2.8 to 2.2.13: partition maps, which say how logical blocks become places on the disk.
import { runLength } from "../../formats/runs.js";
import type { Extent } from "../../formats/driver.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { contentOf } from "./extents.js";
import { entryReader } from "./entry.js";
import { fileTypes } from "./layout.js";
import type { Descriptors } from "./sequence.js";
import { type Packets, readSparing } from "./sparing.js";
import { damagedUdf, diskExtent, type Partition, sectorPosition, type Space, type Volume } from "./space.js";
import { findVat, UNUSED, type Vat } from "./vat.js";

/** One map, as it is stored. */
type PartitionMap =
  | { readonly kind: "physical"; readonly volume: number; readonly number: number }
  | { readonly kind: "virtual"; readonly volume: number; readonly number: number }
  | {
      readonly kind: "sparable";
      readonly volume: number;
      readonly number: number;
      readonly packetBlocks: number;
      readonly tables: readonly number[];
    }
  | { readonly kind: "metadata"; readonly volume: number; readonly number: number; readonly file: number; readonly mirrorFile: number };

/** Volumes have one or two. */
const MAP_LIMIT = 16;

const IDENTIFIED = 64;

/** Throws `UNSUPPORTED` for a kind that is not known. */
function decodeMaps(volume: Volume, { maps, mapCount }: Descriptors["logicalVolume"]): readonly PartitionMap[] {
  if (mapCount > MAP_LIMIT) throw damagedUdf(volume, `a volume of ${mapCount} partitions is more than the limit of ${MAP_LIMIT}`);
  const found: PartitionMap[] = [];
  for (let at = 0; found.length < mapCount; at += maps[at + 1] ?? 0) {
    const length = maps[at + 1] ?? 0;
    if (length < 6 || at + length > maps.length)
      throw damagedUdf(volume, `partition map ${found.length} leaves the table of ${maps.length} bytes`);
    found.push(decodeMap(volume, maps.subarray(at, at + length)));
  }
  return found;
}

function decodeMap({ disk }: Volume, map: Buffer): PartitionMap {
  if (map[0] === 1) return { kind: "physical", volume: map.readUInt16LE(2), number: map.readUInt16LE(4) };
  const name = map.length >= IDENTIFIED ? (map.toString("latin1", 5, 28).split("\0")[0] ?? "") : "";
  if (map[0] !== 2 || !name.startsWith("*UDF ")) {
    throw new ImageError("UNSUPPORTED", `a partition map of type ${map[0]}, ${quote(name)}, is not known`, { file: disk.name });
  }
  const base = { volume: map.readUInt16LE(36), number: map.readUInt16LE(38) };
  switch (name) {
    case "*UDF Virtual Partition":
      return { kind: "virtual", ...base };
    case "*UDF Sparable Partition": {
      const count = Math.min(map[42] ?? 0, 4);
      const tables = Array.from({ length: count }, (_, index) => map.readUInt32LE(48 + 4 * index));
      return { kind: "sparable", ...base, packetBlocks: map.readUInt16LE(40), tables };
    }
    case "*UDF Metadata Partition":
      return { kind: "metadata", ...base, file: map.readUInt32LE(40), mirrorFile: map.readUInt32LE(44) };
    default:
      throw new ImageError("UNSUPPORTED", `the partition kind ${quote(name)} is not known`, { file: disk.name });
  }
}

/** Fills `space.partitions`, in the order of the maps. What a virtual partition tells of the whole volume is given back. */
export function fillPartitions(space: Space & { readonly partitions: Partition[] }, descriptors: Descriptors): Vat | undefined {
  const maps = decodeMaps(space, descriptors.logicalVolume);
  let vat: Vat | undefined;
  const directly = maps.map((map) =>
    map.kind === "virtual" || map.kind === "metadata" ? undefined : simplePartition(space, descriptors, map),
  );
  // Those that others stand on come first: while a table is looked for, nothing else is there to be asked.
  for (const [index, map] of maps.entries()) space.partitions.push(directly[index] ?? absent(space, `partition ${index}`, map.kind));
  for (const [index, map] of maps.entries()) {
    if (map.kind !== "virtual" && map.kind !== "metadata") continue;
    const below = maps.findIndex(({ kind, number }) => (kind === "physical" || kind === "sparable") && number === map.number);
    if (below < 0) throw damagedUdf(space, `the ${map.kind} partition stands on partition ${map.number}, which is not there`);
    if (map.kind === "virtual") {
      vat = findVat(space, below);
      space.partitions[index] = virtualPartition(space, vat, space.partitions[below] as Partition);
    } else space.partitions[index] = metadataPartition(space, map, below);
  }
  return vat;
}

function absent(space: Volume, what: string, kind: Partition["kind"]): Partition {
  const error = damagedUdf(space, `${what} cannot be read`);
  return { kind, map: (_offset, length) => ({ kind: "damaged", length, error }) };
}

function simplePartition(
  space: Space,
  { partitions, volumeNumber }: Descriptors,
  map: Extract<PartitionMap, { kind: "physical" | "sparable" }>,
): Partition {
  const descriptor = partitions.get(map.number);
  if (volumeNumber !== undefined && map.volume !== volumeNumber && volumeNumber > 0 && map.volume > 0) {
    return absent(space, `partition ${map.number} is on disc ${map.volume} of a set, this is disc ${volumeNumber}: it`, map.kind);
  }
  if (!descriptor) return absent(space, `partition ${map.number} has no descriptor and`, map.kind);
  const start = sectorPosition(space, descriptor.start);
  if (map.kind === "physical") return { kind: "physical", map: (offset, length) => diskExtent(space, start + offset, length) };
  const packets = readSparing(space, map.tables);
  return sparablePartition(space, start, map.packetBlocks, packets);
}

/** UDF 2.2.9: packets that went bad are somewhere else; the table has partition blocks on the left and sectors on the right. */
function sparablePartition(space: Space, start: number, packetBlocks: number, packets: Packets): Partition {
  if (packetBlocks === 0) throw damagedUdf(space, "the packets of the sparable partition have no length");
  const packetSize = packetBlocks * space.blockSize;
  return {
    kind: "sparable",
    map(offset, length) {
      const packet = Math.floor(offset / packetSize);
      const moved = packets.get(packet * packetBlocks);
      if (moved === undefined) {
        const run = packets.size === 0 ? length : runLength(offset, length, packetSize, (next) => !packets.has(next * packetBlocks));
        return diskExtent(space, start + offset, run);
      }
      const within = offset - packet * packetSize;
      return diskExtent(space, sectorPosition(space, moved) + within, Math.min(length, packetSize - within));
    },
  };
}

/** UDF 2.2.8: a table says where each block is now. */
function virtualPartition(space: Space, { table }: Vat, below: Partition): Partition {
  const { blockSize } = space;
  return {
    kind: "virtual",
    map(offset, length): Extent {
      const first = Math.floor(offset / blockSize);
      const place = table[first];
      if (place === undefined || place === UNUSED) {
        const error = damagedUdf(space, `virtual block ${first} has no place, by the table of ${table.length}`);
        return { kind: "damaged", length: Math.min(length, (first + 1) * blockSize - offset), error };
      }
      const run = runLength(offset, length, blockSize, (block) => table[block] === place + block - first);
      return below.map(place * blockSize + (offset - first * blockSize), run);
    },
  };
}

/** UDF 2.2.10 and 2.2.13: the blocks are those of a file, and again of a second one. */
function metadataPartition(space: Space, { file, mirrorFile }: Extract<PartitionMap, { kind: "metadata" }>, below: number): Partition {
  const fileAt = (block: number, type: number): Partition => {
    const entry = entryReader(space)({ partition: below, block });
    if (entry.fileType !== type) throw damagedUdf(space, `the metadata file has the type ${entry.fileType}, not ${type}`);
    const { map, size } = contentOf(space, entry);
    return {
      kind: "metadata",
      map(offset, length) {
        if (offset >= size)
          return { kind: "damaged", length, error: damagedUdf(space, `byte ${offset} is behind the end of the metadata, ${size} bytes`) };
        const extent = map(offset, Math.min(length, size - offset));
        if (extent.kind !== "zero") return extent;
        return { kind: "damaged", length: extent.length, error: damagedUdf(space, `the metadata at ${offset} was never recorded`) };
      },
    };
  };
  const main = attempt(() => fileAt(file, fileTypes.metadata));
  const mirror = attempt(() => fileAt(mirrorFile, fileTypes.metadataMirror));
  if (main instanceof ImageError) {
    if (mirror instanceof ImageError) throw main;
    space.note("The metadata file is damaged: its mirror was used.");
    return mirror;
  }
  return { ...main, mirror: mirror instanceof ImageError ? undefined : mirror };
}

function attempt<T>(action: () => T): T | ImageError {
  try {
    return action();
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
}
