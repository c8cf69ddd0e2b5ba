// UDF 1.02 to 2.60 (OSTA, on ECMA-167) as a tree of names: discs, and disks of any sector size.
import { LRUCache } from "lru-cache";
import type { Source } from "../../source/source.js";
import { sliceSource } from "../../source/slice.js";
import { ImageError } from "../../util/errors.js";
import type { Container, ContainerContext, ContainerDriver, Content, Item } from "../container.js";
import { nameGiver } from "../names.js";
import { anchorsInPlace, hasRecognition } from "./anchor.js";
import { checkLocations, checkVolume } from "./check.js";
import { type Identifier, identifiersOf } from "./directory.js";
import { type Entry, entryReader } from "./entry.js";
import { contentOf } from "./extents.js";
import { itemOf, linkTarget } from "./item.js";
import type { Address } from "./layout.js";
import { readDescriptors } from "./sequence.js";
import { blockName, damagedUdf, type Space } from "./space.js";
import { type OpenedVolume, openVolume } from "./volume.js";

/** Directories whose entries are kept in memory, by the number of entries. */
const KEPT_ENTRIES = 400_000;

/**
 * Named streams stand beside what they belong to, as `name:stream`; those of the root directory are in it, as `:stream`. A Macintosh resource
 * fork is `name.rsrc`. Streams that only systems write for themselves are left out.
 */
export const udf: ContainerDriver = {
  name: "udf",
  probe: (disk, sessions = [0]) => sessions.some((start) => hasRecognition(disk, start)) || hasAnchor(disk),
  open: openUdf,
};

/** Discs without a recognition sequence are read all the same; what an anchor that was left over leads to is not there any more. */
function hasAnchor(disk: Source): boolean {
  for (const { sectorSize, missing, main, reserve } of anchorsInPlace(disk, [0])) {
    const volume = { disk, sectorSize, missing, note: () => undefined };
    if (readDescriptors(volume, { main, reserve })) return true;
  }
  return false;
}

function openUdf(file: Source, { options, sessions = [0] }: ContainerContext): Container {
  const { session } = options;
  if (session === undefined) return container(openVolume(file, sessions));
  const start = sessions[session - 1];
  if (start === undefined) {
    throw new ImageError("UNSUPPORTED", `the disc has no session ${session}, it has ${sessions.length}`, { file: file.name });
  }
  const end = sessions[session] ?? file.size;
  return container(openVolume(end < file.size ? sliceSource(file, 0, end) : file, [start]));
}

function container({ space, root: rootAddress, facts, notes }: OpenedVolume): Container {
  const readEntry = entryReader(space);
  const listings = new LRUCache<number, ReadonlyMap<string, Item>>({ maxSize: KEPT_ENTRIES, sizeCalculation: (list) => list.size + 1 });

  interface Read {
    readonly item: Item;
    readonly entry?: Entry;
  }

  function read(icb: Address): Required<Read> {
    const entry = readEntry(icb);
    return { item: itemOf(idOf(icb), entry, linkTarget(space, entry)), entry };
  }

  /** One whose entry cannot be read is there all the same, and fails when it is used: a size of 0 would be a lie nobody notices. */
  function lostItem(address: Address, isDirectory: boolean): Item {
    // Every number is one that leads here again.
    const icb = address.partition < space.partitions.length ? address : nowhere;
    if (isDirectory) return { id: idOf(icb, lost.directory), kind: "directory", size: space.blockSize };
    return { id: idOf(icb, lost.file), kind: "file", size: sizeOfLost(icb) };
  }

  /** A link that leads nowhere is a file of what it holds. */
  function sizeOfLost(icb: Address): number {
    try {
      return readEntry(icb).size;
    } catch (error) {
      if (error instanceof ImageError) return space.blockSize;
      throw error;
    }
  }

  function readOrLost({ icb, isDirectory }: Pick<Identifier, "icb" | "isDirectory">): Read {
    try {
      return read(icb);
    } catch (error) {
      if (error instanceof ImageError) return { item: lostItem(icb, isDirectory) };
      throw error;
    }
  }

  function list(id: number): ReadonlyMap<string, Item> {
    const known = listings.get(id);
    if (known) return known;
    const icb = addressOf(id);
    const entry = readEntry(icb);
    const found = new Map<string, Item>();
    const give = nameGiver();
    if (id === idOf(rootAddress)) addStreams(found, give, "", entry);
    let parent: Address | undefined;
    for (const identifier of identifiersIn(space, entry)) {
      if (identifier.isParent) {
        parent ??= identifier.icb;
        continue;
      }
      if ([icb, parent, rootAddress].some((above) => above && isSame(above, identifier.icb))) {
        space.note("A directory holds itself, or one that it is in: that entry is left out.");
        continue;
      }
      if (id === idOf(rootAddress) && isBadSpace(identifier)) continue;
      const name = give(identifier.name);
      const { item, entry: own } = readOrLost(identifier);
      found.set(name, item);
      if (own) addStreams(found, give, identifier.name, own);
    }
    listings.set(id, found);
    return found;
  }

  function addStreams(found: Map<string, Item>, give: (name: string) => string, owner: string, { streams }: Entry): void {
    if (!streams || streams.length === 0) return;
    let identifiers: readonly Identifier[];
    try {
      identifiers = identifiersIn(space, readEntry(streams));
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      found.set(give(`${owner}:`), lostItem(streams, true));
      return;
    }
    for (const { name, icb, isParent, isMetadata } of identifiers) {
      const shown = isParent ? undefined : streamName(owner, name, isMetadata);
      if (shown !== undefined) found.set(give(shown), readOrLost({ icb, isDirectory: false }).item);
    }
  }

  /** Of everything that has an intact entry. */
  function* addresses(): Generator<Address> {
    const seen = new Set<number>();
    const waiting = [idOf(rootAddress)];
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      if (seen.has(id) || isLost(id)) continue;
      seen.add(id);
      yield addressOf(id);
      try {
        for (const item of list(id).values()) {
          if (item.kind === "directory") waiting.push(item.id);
          else if (!isLost(item.id)) yield addressOf(item.id);
        }
      } catch (error) {
        // Listing it fails the same way for everybody.
        if (!(error instanceof ImageError)) throw error;
      }
    }
  }

  const root = read(rootAddress).item;
  if (root.kind !== "directory") throw damagedUdf(space, `the root directory, in ${blockName(rootAddress)}, is a ${root.kind}`);
  return {
    format: "udf",
    root,
    item(id) {
      if (id < 1 || partitionOf(id) >= space.partitions.length) return undefined;
      if (!isLost(id)) {
        try {
          return read(addressOf(id)).item;
        } catch (error) {
          if (error instanceof ImageError) return undefined;
          throw error;
        }
      }
      return lostItem(addressOf(id), flagsOf(id) === lost.directory);
    },
    list,
    content(id): Content {
      const icb = addressOf(id);
      if (partitionOf(id) >= space.partitions.length) throw damagedUdf(space, `there is no ${blockName(icb)}`);
      return contentOf(space, readEntry(icb));
    },
    check: () => [...checkVolume(space), ...checkLocations(space, addresses())],
    facts: () => ({
      variant: `UDF ${facts.revision}`,
      details: {
        "volume name": facts.label,
        "block size": space.blockSize,
        partitions: space.partitions.map(({ kind }) => kind).join(", "),
        ...(facts.access !== undefined && { access: facts.access }),
        ...(facts.files !== undefined && { files: facts.files }),
        ...(facts.directories !== undefined && { directories: facts.directories }),
      },
      notes: [...notes],
    }),
  };
}

/** All names, by the mirror where the directory is damaged and has one. */
function identifiersIn(space: Space, entry: Entry): readonly Identifier[] {
  try {
    return [...identifiersOf(space, entry, contentOf(space, entry))];
  } catch (error) {
    if (!(error instanceof ImageError) || !space.partitions.some(({ mirror }) => mirror)) throw error;
    const found = [...identifiersOf(space, entry, contentOf(space, entry, true))];
    space.note("The metadata is damaged: some of it was read from its mirror.");
    return found;
  }
}

/** UDF 3.3.7 and 3.3.8: names that begin with "*UDF" are of use to systems only, but for one. */
function streamName(owner: string, name: string, isMetadata: boolean): string | undefined {
  if (name === "*UDF Macintosh Resource Fork") return `${owner}.rsrc`;
  return isMetadata || name.startsWith("*UDF ") ? undefined : `${owner}:${name}`;
}

/** UDF 1.50 2.3.7: a hidden file in the root directory to which all spare and defective blocks belong. */
function isBadSpace({ name, isHidden }: Identifier): boolean {
  return isHidden && name === "Non-Allocatable Space";
}

function isSame(a: Address, b: Address): boolean {
  return a.block === b.block && a.partition === b.partition;
}

/** Of what has no entry that can be read: what its name says that it is. */
const lost = { file: 1, directory: 2 } as const;

/** Stands for places in partitions that the volume does not have: no partition is that long. */
const nowhere: Address = { partition: 0, block: 0xffffffff };

// An id is the logical address of what it stands for, so names of the same file have the same, with two bits of `lost`, and at least 1.
const idOf = ({ partition, block }: Address, flags = 0): number => (partition * 2 ** 32 + block) * 4 + flags + 1;
const flagsOf = (id: number): number => (id - 1) % 4;
const isLost = (id: number): boolean => flagsOf(id) !== 0;
const partitionOf = (id: number): number => Math.floor((id - 1) / 2 ** 34);
const addressOf = (id: number): Address => ({ partition: partitionOf(id), block: Math.floor((id - 1) / 4) % 2 ** 32 });
