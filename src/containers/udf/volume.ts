// From the anchors to the root directory of a logical volume.
import type { Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { type Anchor, anchorsElsewhere, anchorsInPlace } from "./anchor.js";
import { type Address, fileSet, type LongAd, tags } from "./layout.js";
import { decodeDstring } from "./names.js";
import { fillPartitions } from "./partitions.js";
import { type Descriptors, type Integrity, readDescriptors, readIntegrity } from "./sequence.js";
import { blockName, damagedUdf, mappedBytes, type Partition, partitionAt, readerNear, type Space, type Volume } from "./space.js";
import { isIntact, tagOf } from "./tag.js";

/** What is unusual is told in so many sentences. */
const NOTE_LIMIT = 20;

/** File set descriptors that follow each other. */
const FILE_SET_LIMIT = 256;

export interface OpenedVolume {
  readonly space: Space;
  readonly root: Address;
  readonly facts: {
    readonly label: string;
    /** Such as `2.01`. */
    readonly revision: string;
    readonly access: string | undefined;
    readonly files: number | undefined;
    readonly directories: number | undefined;
  };
  readonly notes: ReadonlySet<string>;
}

/** Opens the volume that an anchor leads to, the next one where that fails. Throws if none leads to a root directory. */
export function openVolume(disk: Source, starts: readonly number[]): OpenedVolume {
  let failure: ImageError | undefined;
  for (const anchors of [anchorsInPlace(disk, starts), anchorsElsewhere(disk, starts)]) {
    const tried = new Set<string>();
    for (const anchor of anchors) {
      const key = JSON.stringify(anchor);
      if (tried.has(key)) continue;
      tried.add(key);
      try {
        const opened = openAt(disk, anchor);
        if (opened) return opened;
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        failure ??= error;
      }
    }
  }
  throw failure ?? new ImageError("CORRUPT", "there is no anchor of the UDF volume that leads to its descriptors", { file: disk.name });
}

function openAt(disk: Source, anchor: Anchor): OpenedVolume | undefined {
  const { sectorSize, missing } = anchor;
  const notes = new Set<string>();
  const volume: Volume = {
    disk,
    sectorSize,
    missing,
    note: (sentence) => {
      if (notes.size < NOTE_LIMIT) notes.add(sentence);
    },
  };
  const descriptors = readDescriptors(volume, anchor);
  if (!descriptors) return undefined;
  if (missing > 0) volume.note("It is a part of a disc, of which what came before is not there: files that lie in that cannot be read.");
  const { blockSize, fileSet: fileSetAt, label, revision, integrity: integrityAt } = descriptors.logicalVolume;
  if (blockSize < 512 || blockSize > 65_536 || (blockSize & (blockSize - 1)) !== 0) {
    throw damagedUdf(volume, `a logical block of ${blockSize} bytes cannot be`);
  }
  const space = { ...volume, blockSize, partitions: [] as Partition[], near: readerNear(disk) };
  const vat = fillPartitions(space, descriptors);
  const integrity = readIntegrity(volume, integrityAt);
  if (integrity?.open === true && !vat)
    volume.note("The volume was not closed after the last change: what was changed then may be incomplete.");
  const { root, count } = readFileSet(space, fileSetAt);
  if (count > 1) volume.note(`The volume has ${count} file sets: the first one is shown.`);
  return {
    space,
    root,
    notes,
    facts: {
      label: vat?.label ?? decodeDstring(label),
      revision: `${revision >>> 8}.${(revision & 0xff).toString(16).padStart(2, "0")}`,
      access: accessOf(descriptors),
      ...countsOf(vat ?? integrity),
    },
  };
}

function countsOf(found: Pick<Integrity, "files" | "directories"> | undefined): Pick<OpenedVolume["facts"], "files" | "directories"> {
  return { files: found?.files, directories: found?.directories };
}

/** 3/10.5.7 */
const accessKinds = ["pseudo-overwritable", "read-only", "write-once", "rewritable", "overwritable"];

function accessOf({ partitions }: Descriptors): string | undefined {
  for (const { access } of partitions.values()) return accessKinds[access];
  return undefined;
}

/** 4/8.3.1: descriptors follow each other, and those that continue them elsewhere. Of each set the one with the highest number prevails. */
function readFileSet(space: Space, start: LongAd): { readonly root: LongAd; readonly count: number } {
  const sets = new Map<number, { readonly descriptorNumber: number; readonly root: LongAd }>();
  const seen = new Set<string>();
  let { partition, block, length } = start;
  let failure: ImageError | undefined;
  while (length > 0 && seen.size < FILE_SET_LIMIT && !seen.has(`${partition}:${block}`)) {
    seen.add(`${partition}:${block}`);
    const found = fileSetAt(space, { partition, block });
    if (found instanceof ImageError) failure ??= found;
    if (!found || found instanceof ImageError) break;
    const known = sets.get(found.number);
    if (!known || found.descriptorNumber >= known.descriptorNumber) sets.set(found.number, found);
    if (found.next.length > 0) ({ partition, block, length } = found.next);
    else {
      block += 1;
      length -= space.blockSize;
    }
  }
  const first = sets.get(Math.min(...sets.keys()));
  if (!first) throw failure ?? damagedUdf(space, `there is no file set descriptor in ${blockName(start)}`);
  return { root: first.root, count: sets.size };
}

/** Undefined where another descriptor, or none, stands. */
function fileSetAt(space: Space, address: Address): ReturnType<typeof fileSet.decode> | ImageError | undefined {
  const { partition, block } = address;
  let failure: ImageError | undefined;
  for (const mirrored of [false, true]) {
    try {
      const content = mappedBytes(partitionAt(space, partition, mirrored), block * space.blockSize, space.blockSize);
      if (tagOf(content) === tags.fileSet && isIntact(content)) return fileSet.decode(content);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      failure ??= error;
    }
  }
  return failure;
}
