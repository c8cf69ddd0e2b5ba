// ECMA-167, 3/8.4.2 and 3/10: the volume descriptor sequences, and the integrity sequence of a logical volume.
import { readBytes } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { Anchor } from "./anchor.js";
import { integrity, integrityUse, logicalVolume, partition, pointer, primary, type SectorExtent, tags } from "./layout.js";
import { sectorPosition, type Volume } from "./space.js";
import { coveredLength, isIntact, tagOf } from "./tag.js";

/** Sectors of one extent of a sequence, and extents of one: real ones have 16 sectors in one. */
const SEQUENCE_LIMIT = 256;
const EXTENT_LIMIT = 64;

/** Integrity descriptors of rewritten discs follow each other in chains. */
const INTEGRITY_LIMIT = 4096;

/** What the volume descriptors say. */
export interface Descriptors {
  readonly logicalVolume: Found<typeof logicalVolume> & { readonly maps: Buffer };
  /** By partition number. */
  readonly partitions: ReadonlyMap<number, Found<typeof partition>>;
  /** Of this disc, in a set of discs. */
  readonly volumeNumber: number | undefined;
}

type Found<S> = S extends { decode(data: Uint8Array): infer T } ? T : never;

interface Collected {
  logicalVolume?: Descriptors["logicalVolume"];
  partitions: Map<number, Found<typeof partition>>;
  primary?: Found<typeof primary>;
  /** Some sectors were damaged. */
  damaged: boolean;
}

/** The descriptors of the sequence that the anchor tells of, those of the reserve one where the main one fails. Undefined if both fail. */
export function readDescriptors(volume: Volume, { main, reserve }: Pick<Anchor, "main" | "reserve">): Descriptors | undefined {
  const found: Collected = { partitions: new Map(), damaged: false };
  collect(volume, main, found);
  if (found.damaged || !found.logicalVolume || found.partitions.size === 0) {
    collect(volume, reserve, found);
    if (found.logicalVolume) volume.note("The main volume descriptor sequence is damaged: the reserve one was used.");
  }
  if (!found.logicalVolume) return undefined;
  return { logicalVolume: found.logicalVolume, partitions: found.partitions, volumeNumber: found.primary?.volume };
}

/** Adds what stands in the extent and those that follow it; of two of a kind, that with the higher number prevails (3/8.4.3). */
function collect(volume: Volume, extent: SectorExtent, found: Collected): void {
  let next: SectorExtent | undefined = extent;
  for (let count = 0; next && count < EXTENT_LIMIT; count += 1) {
    const { sector, length }: SectorExtent = next;
    next = undefined;
    const sectors = Math.min(SEQUENCE_LIMIT, Math.floor(length / volume.sectorSize));
    for (let index = 0; index < sectors; ) {
      const content = descriptorAt(volume, sector + index);
      if (content === "blank") break;
      index += typeof content === "string" ? 1 : Math.ceil(content.length / volume.sectorSize);
      if (content === "damaged") {
        found.damaged = true;
        continue;
      }
      const id = tagOf(content);
      if (id === tags.terminating) break;
      if (id === tags.pointer) next = pointer.decode(content).next;
      else add(content, id, found);
    }
  }
}

function add(content: Buffer, id: number | undefined, found: Collected): void {
  if (id === tags.primary) {
    const one = primary.decode(content);
    if (one.sequence >= (found.primary?.sequence ?? 0)) found.primary = one;
  } else if (id === tags.partition) {
    const one = partition.decode(content);
    if (one.sequence >= (found.partitions.get(one.number)?.sequence ?? 0)) found.partitions.set(one.number, one);
  } else if (id === tags.logicalVolume) {
    const one = logicalVolume.decode(content);
    const maps = content.subarray(logicalVolume.size, logicalVolume.size + one.mapsLength);
    if (one.sequence >= (found.logicalVolume?.sequence ?? 0) && maps.length === one.mapsLength) {
      found.logicalVolume = { ...one, maps: Buffer.from(maps) };
    }
  }
}

/** All that the descriptor's tag speaks for, and at least 512 bytes. A blank sector ends a sequence. */
function descriptorAt(volume: Volume, sector: number): Buffer | "blank" | "damaged" {
  const { disk, sectorSize } = volume;
  const position = sectorPosition(volume, sector);
  if (position < 0 || position + sectorSize > disk.size) return "damaged";
  try {
    const content = readBytes(disk, position, sectorSize);
    if (tagOf(content) === undefined) return content.subarray(0, 16).every((byte) => byte === 0) ? "blank" : "damaged";
    // A logical volume descriptor with several partition maps is longer than a sector of 512 bytes.
    const length = Math.max(512, coveredLength(content));
    if (position + length > disk.size) return "damaged";
    const whole = length > sectorSize ? readBytes(disk, position, length) : content;
    return isIntact(whole) ? whole : "damaged";
  } catch (error) {
    if (error instanceof ImageError) return "damaged";
    throw error;
  }
}

/** What is known of the volume as a whole. */
export interface Integrity {
  /** It was not closed after the last change. */
  readonly open: boolean;
  readonly files?: number | undefined;
  readonly directories?: number | undefined;
}

/** The integrity descriptor that was written last (3/8.8.2); undefined if there is none. */
export function readIntegrity(volume: Volume, extent: SectorExtent): Integrity | undefined {
  let prevailing: Integrity | undefined;
  let { sector, length } = extent;
  const seen = new Set<number>();
  while (length >= 512 && !seen.has(sector) && seen.size < INTEGRITY_LIMIT) {
    seen.add(sector);
    const content = descriptorAt(volume, sector);
    if (typeof content === "string" || tagOf(content) !== tags.integrity) break;
    const found = integrity.decode(content);
    prevailing = { open: found.kind === 0, ...countsOf(content, found) };
    if (found.next.length > 0) ({ sector, length } = found.next);
    else {
      sector += 1;
      length -= volume.sectorSize;
    }
  }
  return prevailing;
}

/** UDF 2.2.6.4, behind the two tables of 32-bit numbers. */
function countsOf(content: Buffer, found: Found<typeof integrity>): Pick<Integrity, "files" | "directories"> {
  const at = integrity.size + found.partitions * 8;
  if (found.implementationLength < integrityUse.size || at + integrityUse.size > content.length) return {};
  const { files, directories } = integrityUse.decode(content, at);
  return { files, directories };
}
