// ECMA-167, 4/14.6 to 4/14.10: information control blocks, which say what a file is and where it stands.
import { ImageError } from "../../util/errors.js";
import { type Address, extendedFileEntry, fileEntry, fileTypes, indirectEntry, type LongAd, tags } from "./layout.js";
import { blockName, blockPosition, damagedUdf, type Space } from "./space.js";
import { isIntact, tagOf } from "./tag.js";

/** A file entry, or an extended one. */
export interface Entry {
  /** The logical block that it stands in. */
  readonly address: Address;
  readonly fileType: number;
  readonly flags: number;
  readonly uid: number;
  readonly gid: number;
  readonly permissions: number;
  readonly links: number;
  /** Bytes of the file. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number | undefined;
  /** The directory of its named streams; a length of 0 where there is none. */
  readonly streams?: LongAd;
  /** Extended attributes. */
  readonly attributes: Buffer;
  /** Allocation descriptors, or the file itself. */
  readonly allocation: Buffer;
  /** Where those are on the disk, in bytes. */
  readonly allocationPosition: number;
}

/** Strategy 4096 (UDF 6.6): each version of an entry is followed by one that leads to the next version. */
const STRATEGY_4096 = 4096;
const VERSION_LIMIT = 4096;

/** Where chains of versions end, by where they were entered: no chain is followed twice, however many names lead into it. */
const KEPT_ENDS = 65_536;

export type EntryReader = (icb: Address) => Entry;

/** Reads entries, the mirror's where the one in place is damaged. Throws if there is none that is intact. */
export function entryReader(space: Space): EntryReader {
  const ends = new Map<string, Address>();
  const keyOf = ({ partition, block }: Address): string => `${partition}:${block}`;

  return (icb) => {
    let entry = entryIn(space, ends.get(keyOf(icb)) ?? icb);
    if (entry.strategy !== STRATEGY_4096) return entry;
    const passed = new Set<string>();
    for (;;) {
      const next = nextVersion(space, entry.address);
      if (!next) break;
      passed.add(keyOf(entry.address));
      if (passed.has(keyOf(next)) || passed.size > VERSION_LIMIT) throw damagedUdf(space, `the versions of ${blockName(icb)} have no end`);
      entry = entryIn(space, ends.get(keyOf(next)) ?? next);
    }
    if (ends.size > KEPT_ENDS) ends.clear();
    for (const key of passed) ends.set(key, entry.address);
    return entry;
  };
}

/** The block behind an entry of strategy 4096 leads to the next version; blank, or with a terminal entry, if there is none yet. */
function nextVersion(space: Space, { partition, block }: Address): Address | undefined {
  const content = blockOf(space, { partition, block: block + 1 }, false).content;
  if (tagOf(content) === undefined && content.subarray(0, 16).some((byte) => byte !== 0)) {
    throw damagedUdf(space, `what follows the entry in ${blockName({ partition, block })} is damaged: there may be newer versions of it`);
  }
  if (tagOf(content) !== tags.indirectEntry) return undefined;
  const { next } = indirectEntry.decode(content);
  return next.length > 0 ? next : undefined;
}

function entryIn(space: Space, address: Address): Entry & { readonly strategy: number } {
  try {
    return decodeEntry(space, address, false);
  } catch (error) {
    if (!(error instanceof ImageError) || !space.partitions[address.partition]?.mirror) throw error;
    const entry = decodeEntry(space, address, true);
    space.note("The metadata is damaged: some of it was read from its mirror.");
    return entry;
  }
}

function blockOf(space: Space, address: Address, mirrored: boolean): { readonly content: Buffer; readonly position: number } {
  const position = blockPosition(space, address, mirrored);
  return { content: space.near(position, space.blockSize), position };
}

function decodeEntry(space: Space, address: Address, mirrored: boolean): Entry & { readonly strategy: number } {
  const { content, position } = blockOf(space, address, mirrored);
  const id = tagOf(content);
  if ((id !== tags.fileEntry && id !== tags.extendedFileEntry) || !isIntact(content)) {
    throw damagedUdf(space, `there is no intact file entry in ${blockName(address)}`, position);
  }
  const layout = id === tags.fileEntry ? fileEntry : extendedFileEntry;
  const fields = layout.decode(content);
  const { attributesLength, allocationLength } = fields;
  const start = layout.size + attributesLength;
  if (start + allocationLength > content.length) {
    throw damagedUdf(space, `the file entry in ${blockName(address)} is longer than a block of ${content.length} bytes`, position);
  }
  return {
    ...fields,
    address: { partition: address.partition, block: address.block },
    attributes: content.subarray(layout.size, start),
    allocation: content.subarray(start, start + allocationLength),
    allocationPosition: position + start,
  };
}

/** 4/14.10.7: the numbers of a device, from the extended attributes. */
export function deviceOf({ fileType, attributes }: Entry): { readonly major: number; readonly minor: number } | undefined {
  if (fileType !== fileTypes.blockDevice && fileType !== fileTypes.characterDevice) return undefined;
  // The header (4/14.10.1) has 24 bytes; each attribute begins with its type, and has its length at 8.
  for (let at = 24; at + 24 <= attributes.length; ) {
    if (attributes.readUInt32LE(at) === 12) return { major: attributes.readUInt32LE(at + 16), minor: attributes.readUInt32LE(at + 20) };
    const length = attributes.readUInt32LE(at + 8);
    if (length < 12) return undefined;
    at += length;
  }
  return undefined;
}
