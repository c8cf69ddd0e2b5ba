// ECMA-167, 4/12.1 and 4/14.14: where the bytes of a file are.
import type { Extent } from "../../formats/driver.js";
import { storedExtent } from "../../formats/stored.js";
import type { Content } from "../container.js";
import type { Entry } from "./entry.js";
import { allocationExtent, type Address, EXTENT_LENGTH, tags } from "./layout.js";
import { blockName, damagedUdf, mappedBytes, type Partition, partitionAt, type Space } from "./space.js";
import { coveredLength, isIntact, tagOf } from "./tag.js";

/** Runs of one file. One of 4 GiB in single blocks of 2048 bytes has half of that. */
const RUN_LIMIT = 2 ** 22;

/** Descriptors that continue those of one file. */
const CONTINUATION_LIMIT = 2 ** 16;

/** 4/14.6.8: bits 0 to 2 of the flags. */
const kinds = { short: 0, long: 1, extended: 2, embedded: 3 } as const;

/** 4/14.14.1.1: the two high bits of a length. */
const states = { recorded: 0, allocated: 1, unallocated: 2, continuation: 3 } as const;

interface Descriptor extends Address {
  readonly state: number;
  /** Bytes of the file; of the area, for a continuation. */
  readonly length: number;
}

/**
 * The bytes of the file: runs that were never written are zeros, as the specification says; what the descriptors do not reach is damaged.
 * `mirrored`: by the second copy of what is stored twice. Throws if the descriptors themselves are damaged.
 */
export function contentOf(space: Space, entry: Entry, mirrored = false): Content {
  const { size, allocation, allocationPosition } = entry;
  const inBlock = (entry.flags & 7) === kinds.embedded;
  if (inBlock) return { size, map: embeddedMap(space, entry, allocation.length, allocationPosition) };
  const runs = collectRuns(space, entry, mirrored);
  const { ends, places, owners } = runs;
  const reached = ends.at(-1) ?? 0;
  const partitions = space.partitions.map((_, index) => partitionAt(space, index, mirrored));
  return {
    size,
    map(offset, length): Extent {
      if (offset >= reached) return notThere(space, entry, reached, length);
      let low = 0;
      let high = ends.length - 1;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((ends[middle] ?? 0) > offset) high = middle;
        else low = middle + 1;
      }
      const start = low === 0 ? 0 : (ends[low - 1] ?? 0);
      const run = Math.min(length, (ends[low] ?? 0) - offset);
      const owner = owners[low] ?? UNWRITTEN;
      if (owner === UNWRITTEN) return { kind: "zero", length: run };
      return (partitions[owner] as Partition).map((places[low] ?? 0) + (offset - start), run);
    },
  };
}

function embeddedMap({ disk, ...rest }: Space, entry: Entry, stored: number, position: number): Content["map"] {
  return (offset, length) => {
    if (offset >= stored) return notThere({ ...rest, disk }, entry, stored, length);
    return storedExtent(disk, position + offset, Math.min(length, stored - offset));
  };
}

function notThere(space: Pick<Space, "disk">, { address, size }: Entry, reached: number, length: number): Extent {
  const message = `the file of ${blockName(address)} has ${size} bytes by its entry, and only ${reached} have a place`;
  return { kind: "damaged", length, error: damagedUdf(space, message) };
}

const UNWRITTEN = -1;

/** Parallel arrays, in the order of the file. */
interface Runs {
  /** Where in the file each run ends. */
  readonly ends: number[];
  /** Bytes into the partition. */
  readonly places: number[];
  /** Index of the partition, or UNWRITTEN. */
  readonly owners: number[];
}

function collectRuns(space: Space, entry: Entry, mirrored: boolean): Runs {
  const { blockSize } = space;
  const runs: Runs = { ends: [], places: [], owners: [] };
  let offset = 0;
  for (const { state, length, block, partition } of descriptorsOf(space, entry, mirrored)) {
    if (offset >= entry.size) break;
    const owner = state === states.recorded ? partition : UNWRITTEN;
    if (owner >= space.partitions.length)
      throw damagedUdf(space, `the file of ${blockName(entry.address)} lies in partition ${owner}, which is not there`);
    const place = owner === UNWRITTEN ? 0 : block * blockSize;
    const last = runs.ends.length - 1;
    const lastStart = last > 0 ? (runs.ends[last - 1] ?? 0) : 0;
    const follows =
      last >= 0 && runs.owners[last] === owner && (owner === UNWRITTEN || (runs.places[last] ?? 0) + (offset - lastStart) === place);
    offset = Math.min(offset + length, entry.size);
    if (follows) runs.ends[last] = offset;
    else {
      if (last + 1 >= RUN_LIMIT) throw damagedUdf(space, `the file of ${blockName(entry.address)} has more than ${RUN_LIMIT} pieces`);
      runs.ends.push(offset);
      runs.places.push(place);
      runs.owners.push(owner);
    }
  }
  return runs;
}

/** All descriptors of the file, those of continuation areas in their places. */
function* descriptorsOf(space: Space, { address, flags, allocation }: Entry, mirrored: boolean): Generator<Descriptor> {
  const kind = flags & 7;
  const seen = new Set<string>();
  let area = allocation;
  for (;;) {
    let next: Descriptor | undefined;
    for (const descriptor of decodeArea(space, area, kind, address.partition)) {
      if (descriptor.length === 0) break;
      if (descriptor.state === states.continuation) {
        next = descriptor;
        break;
      }
      yield descriptor;
    }
    if (!next) return;
    const key = `${next.partition}:${next.block}`;
    if (seen.has(key) || seen.size === CONTINUATION_LIMIT)
      throw damagedUdf(space, `the pieces of the file of ${blockName(address)} have no end`);
    seen.add(key);
    area = continuation(space, next, mirrored);
  }
}

/** The descriptors of 8, 16 or 20 bytes that an area is divided into. What is left over at its end is none. */
function* decodeArea(space: Space, area: Buffer, kind: number, own: number): Generator<Descriptor> {
  const size = { [kinds.short]: 8, [kinds.long]: 16, [kinds.extended]: 20 }[kind];
  if (size === undefined) throw damagedUdf(space, `allocation descriptors of kind ${kind} are not known`);
  for (let at = 0; at + size <= area.length; at += size) {
    const word = area.readUInt32LE(at);
    const state = word >>> 30;
    const stored = word & EXTENT_LENGTH;
    if (kind === kinds.short) yield { state, length: stored, block: area.readUInt32LE(at + 4), partition: own };
    else if (kind === kinds.long) yield { state, length: stored, block: area.readUInt32LE(at + 4), partition: area.readUInt16LE(at + 8) };
    else {
      const length = state === states.continuation ? stored : area.readUInt32LE(at + 8);
      if (state === states.recorded && (area.readUInt32LE(at + 4) !== length || length > stored)) {
        throw damagedUdf(
          space,
          "an extent is recorded in another length than that of its information: such (compressed) extents are not read",
        );
      }
      yield { state, length, block: area.readUInt32LE(at + 12), partition: area.readUInt16LE(at + 16) };
    }
  }
}

/** 4/14.5. The area has as many bytes as its descriptor says, at most those of the extent that leads to it. */
function continuation(space: Space, { partition, block, length }: Descriptor, mirrored: boolean): Buffer {
  const { blockSize } = space;
  const owner = partitionAt(space, partition, mirrored);
  const position = block * blockSize;
  const head = mappedBytes(owner, position, blockSize);
  const isOne = tagOf(head) === tags.allocationExtent;
  const used = isOne ? allocationExtent.size + allocationExtent.decode(head).length : 0;
  // The extent's length is its bytes, or its whole blocks; 16 MiB hold a million descriptors.
  if (!isOne || used > Math.max(length, blockSize) || used > 2 ** 24)
    throw damagedUdf(space, `${blockName({ partition, block })} holds no list of the pieces of a file`);
  const needed = Math.max(used, coveredLength(head));
  const whole = needed > blockSize ? mappedBytes(owner, position, needed) : head;
  if (!isIntact(whole)) throw damagedUdf(space, `the list of the pieces of a file in ${blockName({ partition, block })} is damaged`);
  return whole.subarray(allocationExtent.size, used);
}
