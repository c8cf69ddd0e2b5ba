// ISO 9660 (ECMA-119) with Rock Ridge, Joliet, ISO 9660:1999 and High Sierra, as a tree of names.
import { LRUCache } from "lru-cache";
import { mapOfPieces } from "../../formats/pieces.js";
import { readBytes, type Source } from "../../source/source.js";
import { createWindow } from "../../source/window.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Container, ContainerDriver, Content, Item, ItemKind, NameKind } from "../container.js";
import { nameGiver } from "../names.js";
import { checkIso } from "./check.js";
import { readBootImages } from "./el-torito.js";
import { notesOnHybrids } from "./hybrids.js";
import { DirectoryRecord } from "./record.js";
import { noRockRidge, type RockRidge, readRockRidge, type SystemUse } from "./rock-ridge.js";
import { findSessions } from "./sessions.js";
import { missingBefore, readThere, shiftedSource } from "./shifted.js";
import { sectionPiece } from "./sections.js";
import { suspSkip } from "./susp.js";
import { damagedIso, readVolumes, SECTOR, type Volume } from "./volume.js";
import { zisofsContent } from "./zisofs.js";

/** Bytes of one directory: some millions of entries. */
const DIRECTORY_LIMIT = 512 * 2 ** 20;

/** Bytes of a directory that are read at once. */
const WINDOW = 16 * 1024;

/** Directories whose entries are kept in memory, by the number of entries. */
const KEPT_ENTRIES = 400_000;

/** Records that one file may go on over: more than 8 TiB. */
const SECTION_LIMIT = 2048;

/** Which names are shown. */
export type Names = Exclude<NameKind, "udf">;

export const iso9660: ContainerDriver = {
  name: "iso9660",
  probe: (disk, sessions = []) => [0, ...sessions].some((start) => readVolumes(disk, start).length > 0),
  open: (disk, { options, sessions }) => openIso(disk, { ...options, sessions }),
};

/** What is to be shown of a disc. */
export interface IsoOptions {
  /** The best there are, without. */
  readonly names?: NameKind | undefined;
  /** From 1 on; the last, without. */
  readonly session?: number | undefined;
  /** Where sessions begin, in bytes, as the image's own table says. */
  readonly sessions?: readonly number[] | undefined;
}

/** Opens the tree of a disc. Throws `UNSUPPORTED` for names or a session that it does not have. */
export function openIso(file: Source, { names, session, sessions: known }: IsoOptions = {}): Container {
  const sessions = findSessions(file, known, session !== undefined);
  const start = session === undefined ? startOfLast(file, sessions, known) : sessions[session - 1];
  if (start === undefined) {
    throw new ImageError("UNSUPPORTED", `the disc has no session ${session}, it has ${sessions.length}`, { file: file.name });
  }
  const found = readVolumes(file, start);
  const missing = found[0] ? missingBefore(file, found[0]) : 0;
  const disk = missing > 0 ? shiftedSource(file, missing) : file;
  const volumes = missing > 0 ? readVolumes(disk, start + missing) : found;
  const { volume, skip } = chooseVolume(disk, volumes, names === "udf" ? undefined : names);
  const shown = session ?? sessions.length;
  const lost = missing > 0 ? ["It is a later session of a disc without the ones before: files that lie in those cannot be read."] : [];
  return isoContainer(disk, {
    volumes,
    volume,
    skip,
    bootImages: bootImagesOf(disk, start + missing, missing),
    start: start + missing,
    session: sessions.length > 1 ? `${shown} of ${sessions.length}` : undefined,
    notes: [...lost, ...notesOnHybrids(file)],
  });
}

/** Their positions are those in the file. */
function bootImagesOf(disk: Source, start: number, missing: number): ReturnType<typeof readBootImages> {
  return readBootImages(disk, start)
    .filter(({ position }) => position >= missing)
    .map((image) => ({ ...image, position: image.position - missing }));
}

/** What media without sessions begin with is a copy of the last one's descriptors. */
function startOfLast(disk: Source, sessions: readonly number[], known: readonly number[] = []): number {
  const last = sessions.at(-1);
  if (last !== undefined && known.includes(last)) return last;
  return sessions[0] !== 0 && readVolumes(disk).length > 0 ? 0 : (sessions.at(-1) ?? 0);
}

/** Rock Ridge says most; then Joliet, then the long names of 1999, then the plain ones. */
function chooseVolume(disk: Source, volumes: readonly Volume[], names: Names | undefined): { volume: Volume; skip: number | undefined } {
  const primary = volumes.find(({ kind }) => kind === "primary" || kind === "high sierra");
  const skip = primary && primary.kind === "primary" ? suspSkip(systemUseOf(rootSelf(disk, primary))) : undefined;
  const joliet = volumes.find(({ kind }) => kind === "joliet");
  const enhanced = volumes.find(({ kind }) => kind === "enhanced");
  const choices: Record<Names, Volume | undefined> = { "rock-ridge": skip === undefined ? undefined : primary, joliet, plain: primary };
  const volume = names ? choices[names] : (choices["rock-ridge"] ?? joliet ?? enhanced ?? primary);
  if (volume) return { volume, skip: volume === primary && names !== "plain" ? skip : undefined };
  throw new ImageError("UNSUPPORTED", names ? `the disc has no ${names} names` : "the disc has no primary volume", { file: disk.name });
}

function systemUseOf({ content, useStart, useEnd }: DirectoryRecord): Uint8Array {
  return content.subarray(useStart, useEnd);
}

/** The "." of the root directory. */
function rootSelf(disk: Source, volume: Volume): DirectoryRecord {
  const root = new DirectoryRecord(readBytes(disk, volume.rootRecord, 34), 0, volume.rootRecord, volume);
  return selfOf(disk, root.section.position, volume) ?? root;
}

/** The "." record that every directory begins with; undefined if nothing of the kind is at `position`. */
function selfOf(disk: Source, position: number, volume: Volume): DirectoryRecord | undefined {
  if (position <= 0 || position + 34 > disk.size) return undefined;
  const sector = readThere(disk, position, Math.min(SECTOR, disk.size - position));
  if (!sector) return undefined;
  const length = sector[0] ?? 0;
  if (length < 34 || length > sector.length) return undefined;
  const record = new DirectoryRecord(sector, 0, position, volume);
  return record.link === "." ? record : undefined;
}

interface Tree {
  readonly volumes: readonly Volume[];
  readonly volume: Volume;
  readonly skip: number | undefined;
  readonly bootImages: ReturnType<typeof readBootImages>;
  /** Where the session begins, in bytes. */
  readonly start: number;
  readonly session: string | undefined;
  readonly notes: readonly string[];
}

function isoContainer(disk: Source, { volumes, volume, skip, bootImages, start, session, notes }: Tree): Container {
  const listings = new LRUCache<number, ReadonlyMap<string, Item>>({ maxSize: KEPT_ENTRIES, sizeCalculation: (list) => list.size + 1 });

  /** For records of single files: those of neighbours are asked for one after another. */
  const readRecord = createWindow(disk, SECTOR);
  const use: SystemUse | undefined = skip === undefined ? undefined : { disk, skip, blockSize: volume.blockSize };
  const rockRidgeOf = (record: DirectoryRecord): RockRidge => (use ? readRockRidge(use, record) : noRockRidge());

  /** Directories are numbered by where they begin: one that is reached twice is one. */
  const directoryItem = (position: number): Item | undefined => {
    const self = selfOf(disk, position, volume);
    if (!self) return undefined;
    const rock = rockRidgeOf(self);
    return { ...attributesOf(self, rock), id: directoryId(position), kind: "directory", size: self.size };
  };

  // Written out: there may be hundreds of thousands, and objects of one shape made in one go cost least.
  const fileItem = (record: DirectoryRecord, rock: RockRidge, size: number): Item => ({
    id: fileId(record.position),
    kind: kindOf(rock.mode),
    mode: rock.mode === undefined ? undefined : rock.mode & 0o7777,
    uid: rock.uid,
    gid: rock.gid,
    links: rock.links,
    modified: rock.modified ?? record.recorded,
    // A size that no file has: reading it fails.
    size: Math.min(rock.packed?.size ?? rock.sparse ?? size, Number.MAX_SAFE_INTEGER),
    target: rock.target,
    device: rock.device,
  });

  function list(id: number): ReadonlyMap<string, Item> {
    const known = listings.get(id);
    if (known) return known;
    if (!isDirectoryId(id))
      throw damagedIso(disk, "there is no directory here", recordsAt(positionOf(id))[0]?.section.position ?? positionOf(id));
    const found = new Map<string, Item>();
    const give = nameGiver();
    for (const group of groupsOf(disk, positionOf(id), volume)) {
      const [record] = group;
      if (!record || record.link) continue;
      const rock = rockRidgeOf(record);
      if (rock.relocated) continue;
      const item = itemOf(record, rock, group);
      const named = rock.name ?? shownName(record, volume, skip !== undefined);
      if (item && !(id === root?.id && holdsRelocated(item))) found.set(give(record.isAssociated ? `${named}.rsrc` : named), item);
    }
    listings.set(id, found);
    return found;
  }

  /** Where directories that lay too deep were moved to: nothing of it belongs there, whatever its name is (RRIP 4.1.5). */
  function holdsRelocated({ id, kind }: Item): boolean {
    if (kind !== "directory" || skip === undefined || !isDirectoryId(id)) return false;
    let relocated = 0;
    try {
      for (const [record] of groupsOf(disk, positionOf(id), volume)) {
        if (!record || record.link) continue;
        if (!rockRidgeOf(record).relocated) return false;
        relocated += 1;
      }
    } catch (error) {
      // It fails when it is listed itself: what stands beside it does not.
      if (error instanceof ImageError) return false;
      throw error;
    }
    return relocated > 0;
  }

  function itemOf(record: DirectoryRecord, rock: RockRidge, group: readonly DirectoryRecord[]): Item | undefined {
    if (rock.childBlock !== undefined) return directoryItem(rock.childBlock * volume.blockSize);
    if (!record.isDirectory) return fileItem(record, rock, sum(group));
    // One that cannot be read is there all the same, numbered by its record, and fails when it is listed.
    const { position, size } = record.section;
    return directoryItem(position) ?? { ...attributesOf(record, rock), id: fileId(record.position), kind: "directory", size };
  }

  /** The records of the file whose first one stands at `position`. */
  function recordsAt(position: number): readonly DirectoryRecord[] {
    for (const group of groupsFrom(disk, position, position + 1, volume, readRecord)) return group;
    return [];
  }

  const root = directoryItem(rootSelf(disk, volume).section.position);
  if (!root) throw damagedIso(disk, "the root directory cannot be read", volume.rootRecord);
  return {
    format: "iso9660",
    root,
    bootImages,
    item(id) {
      if (isDirectoryId(id)) return directoryItem(positionOf(id));
      const group = recordsAt(positionOf(id));
      const [record] = group;
      return record && itemOf(record, rockRidgeOf(record), group);
    },
    list,
    content(id): Content {
      const group = recordsAt(positionOf(id));
      const [record] = group;
      if (!record) throw damagedIso(disk, "there is no directory record", positionOf(id));
      const rock = rockRidgeOf(record);
      const pieces = group.map(({ section }) => sectionPiece(disk, section)).filter(({ size }) => size > 0);
      const stored = { size: sum(group), map: mapOfPieces(pieces) };
      if (rock.sparse !== undefined) {
        const message = `${quote(rock.name ?? record.name)} is stored as a sparse file (Rock Ridge, SF), which no program is known to write: it is not read`;
        throw new ImageError("UNSUPPORTED", message, { file: disk.name, position: record.position });
      }
      if (!rock.packed) return stored;
      const content = zisofsContent(disk, stored, rock.name ?? record.name);
      if (content.size === rock.packed.size) return content;
      const message = `${quote(record.name)} decodes to ${content.size} bytes, its directory says ${rock.packed.size}`;
      throw new ImageError("CORRUPT", message, { file: disk.name, position: record.position });
    },
    check: (progress) => checkIso(disk, volumes, start, progress),
    facts: () => ({
      variant:
        skip !== undefined
          ? "Rock Ridge"
          : { joliet: "Joliet", enhanced: "ISO 9660:1999", primary: "plain names", "high sierra": "High Sierra" }[volume.kind],
      details: {
        "volume name": volume.label,
        "block size": volume.blockSize,
        volumes: volumes.map(({ kind }) => kind).join(", "),
        ...(session !== undefined && { session }),
        ...(bootImages.length > 0 && {
          "boot images": bootImages.map(({ name, emulation }) => `${name} (emulates ${emulation})`).join(", "),
        }),
      },
      notes,
    }),
  };
}

// Directories have even numbers, all else, and directories that cannot be read, have odd ones.
const directoryId = (position: number): number => position * 2;
const fileId = (recordPosition: number): number => recordPosition * 2 + 1;
const isDirectoryId = (id: number): boolean => id % 2 === 0;
const positionOf = (id: number): number => Math.floor(id / 2);

function sum(group: readonly DirectoryRecord[]): number {
  return group.reduce((total, { size }) => total + size, 0);
}

function attributesOf(record: DirectoryRecord, rock: RockRidge): Pick<Item, "mode" | "uid" | "gid" | "links" | "modified"> {
  return {
    ...(rock.mode !== undefined && { mode: rock.mode & 0o7777, links: rock.links, uid: rock.uid, gid: rock.gid }),
    modified: rock.modified ?? record.recorded,
  };
}

/** From the file type in st_mode (RRIP 4.1.1). */
const kinds: Record<number, ItemKind> = {
  1: "fifo",
  2: "character device",
  4: "directory",
  6: "block device",
  8: "file",
  10: "symlink",
  12: "socket",
};

function kindOf(mode: number | undefined): ItemKind {
  return mode === undefined ? "file" : (kinds[(mode >>> 12) & 15] ?? "file");
}

/** Plain names are in upper case by rule, and were meant in lower case: as Linux shows them. */
function shownName({ name }: DirectoryRecord, { kind }: Volume, rockRidge: boolean): string {
  return (kind === "primary" || kind === "high sierra") && !rockRidge ? name.toLowerCase() : name;
}

/** The records of the directory at `position`, those of one file together. */
function groupsOf(disk: Source, position: number, volume: Volume): Generator<readonly DirectoryRecord[]> {
  const self = selfOf(disk, position, volume);
  if (!self) throw damagedIso(disk, "there is no directory here", position);
  const { size } = self;
  if (size > DIRECTORY_LIMIT) throw damagedIso(disk, `a directory of ${size} bytes is more than the limit of ${DIRECTORY_LIMIT}`, position);
  return groupsFrom(disk, position, position + size, volume);
}

/**
 * Records from `start` on, sector by sector: none crosses into the next one, and a length of 0 means that the next one goes on (6.8.1.1). Those of one file
 * have one name (6.5.1). Which they are depends on the first of them alone, and not on where the directory ends: a file is the same by its number.
 */
function* groupsFrom(
  disk: Source,
  start: number,
  end: number,
  volume: Volume,
  read = createWindow(disk, Math.min(WINDOW, Math.ceil((end - start) / SECTOR) * SECTOR)),
): Generator<readonly DirectoryRecord[]> {
  let group: DirectoryRecord[] = [];
  for (let sector = start - (start % SECTOR); sector < end || group.length > 0; sector += SECTOR) {
    if (sector + SECTOR > disk.size) {
      if (group.length > 0) yield group;
      if (sector < end) throw damagedIso(disk, "the directory goes on behind the end of the file", sector);
      return;
    }
    // The window is overwritten by the next one, and the records of a file that goes on are still wanted.
    const content = group.length > 0 ? readBytes(disk, sector, SECTOR) : read(sector, SECTOR);
    for (let at = Math.max(0, start - sector); at < SECTOR && (sector + at < end || group.length > 0); ) {
      const length = content[at] ?? 0;
      if (length === 0) break;
      const possible = length >= 34 && at + length <= SECTOR;
      const record = possible ? new DirectoryRecord(content, at, sector, volume) : undefined;
      if (group.length > 0 && record?.name !== group[0]?.name) {
        yield group;
        group = [];
        if (sector + at >= end) return;
      }
      if (!record) throw damagedIso(disk, `a directory record of ${length} bytes cannot be`, sector + at);
      at += length;
      if (record.goesOn && group.length + 1 < SECTION_LIMIT) {
        group.push(record);
      } else if (group.length > 0) {
        yield [...group, record];
        group = [];
      } else {
        yield [record];
      }
    }
  }
}
