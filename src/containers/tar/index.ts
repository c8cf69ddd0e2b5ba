// tar archives as a tree of files, each of which can be read anywhere.
import type { Extent } from "../../formats/driver.js";
import { storedExtent } from "../../formats/stored.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Container, ContainerDriver, Content, Item, ItemKind } from "../container.js";
import { BLOCK, decodeHeader, types } from "./header.js";
import { type Member, readMembers } from "./members.js";
import type { Run } from "./sparse.js";

export const tar: ContainerDriver = {
  name: "tar",
  probe(disk) {
    if (disk.size < BLOCK) return false;
    const header = decodeHeader(readBytes(disk, 0, BLOCK));
    return header !== undefined && header.name !== "" && /^[0-7\0xgLKSVM]$/.test(header.type);
  },
  open: openTar,
};

interface TarItem extends Item {
  readonly member?: Member;
}

interface Folder {
  readonly item: Item;
  readonly entries: Map<string, TarItem>;
}

/** Directories that no member stands for are numbered behind all positions. */
const IMPLIED = 2 ** 43;
const ROOT = 1;

/** Names deeper than that are a trap. */
const DEPTH_LIMIT = 256;

function openTar(disk: Source): Container {
  const { members, notes: walkNotes } = readMembers(disk);
  const notes = [...walkNotes];
  const items = new Map<number, TarItem>();
  const folders = new Map<number, Folder>();
  let implied = 0;

  const addFolder = (item: TarItem): Folder => {
    const folder = folders.get(item.id) ?? { item, entries: new Map<string, TarItem>() };
    folders.set(item.id, { ...folder, item });
    items.set(item.id, item);
    return folder;
  };
  const root = addFolder({ id: ROOT, kind: "directory", size: 0 });

  /** The folder at `path`, made if no member stands for it yet. */
  function folderAt(path: readonly string[]): Folder {
    let folder = root;
    for (const name of path) {
      const known = folder.entries.get(name);
      if (known?.kind === "directory") {
        folder = addFolder(known);
        continue;
      }
      implied += 1;
      const item: Item = { id: IMPLIED + implied, kind: "directory", size: 0 };
      folder.entries.set(name, item);
      folder = addFolder(item);
    }
    return folder;
  }

  /** What a hard link leads to; undefined if that is not there, or a directory: that could lie in itself. */
  function itemAt(path: readonly string[]): TarItem | undefined {
    let item: TarItem | undefined = root.item;
    for (const name of path) item = item && folders.get(item.id)?.entries.get(name);
    return item?.kind === "directory" ? undefined : item;
  }

  /** The folder of the member before is nearly always that of this one. */
  let lastKey: string | undefined = "";
  let lastFolder = root;
  function folderOf(path: readonly string[]): Folder {
    const key = path.slice(0, -1).join("/");
    if (key !== lastKey) {
      lastFolder = folderAt(path.slice(0, -1));
      lastKey = key;
    }
    return lastFolder;
  }

  for (const member of members) {
    const path = partsOf(member.name);
    const name = path.at(-1);
    if (name === undefined || path.length > DEPTH_LIMIT) continue;
    const folder = folderOf(path);
    const item = member.type === types.hardLink ? itemAt(partsOf(member.link)) : itemOf(member, folder.entries.get(name));
    if (!item) {
      notes.push(`The link ${quote(member.name)} leads to a member that is not there.`);
      continue;
    }
    if (item.kind !== "directory" && folder.entries.has(name)) lastKey = undefined;
    // The last member of a name is the valid one, as when unpacking.
    folder.entries.set(name, item);
    if (item.kind === "directory") addFolder(item);
    else items.set(item.id, item);
  }

  return {
    format: "tar",
    archive: true,
    root: root.item,
    item: (id) => items.get(id),
    list(id) {
      const folder = folders.get(id);
      if (!folder) throw new ImageError("CORRUPT", "there is no such directory", { file: disk.name });
      return folder.entries;
    },
    content(id) {
      const member = items.get(id)?.member;
      if (!member) throw new ImageError("CORRUPT", "there is no such member", { file: disk.name });
      return contentOf(disk, member);
    },
    facts: () => ({ details: { members: members.length }, notes }),
  };
}

/** `./a//b/../c` → a, c: nothing leads out. */
function partsOf(name: string): readonly string[] {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}

function itemOf(member: Member, before: Item | undefined): TarItem {
  const kind = kindOf(member);
  const { mode, uid, gid, modified, device, link } = member;
  return {
    // A directory that things were put into before its own member came keeps its number.
    id: kind === "directory" && before?.kind === "directory" ? before.id : member.position / BLOCK + 2,
    kind,
    mode: mode & 0o7777,
    uid,
    gid,
    modified,
    size: kind === "file" ? (member.sparse?.size ?? member.size) : 0,
    target: kind === "symlink" ? link : undefined,
    member,
    device: kind === "character device" || kind === "block device" ? device : undefined,
  };
}

const kinds: Readonly<Record<string, ItemKind>> = {
  [types.symlink]: "symlink",
  [types.characterDevice]: "character device",
  [types.blockDevice]: "block device",
  [types.directory]: "directory",
  [types.fifo]: "fifo",
};

function kindOf({ type, name }: Member): ItemKind {
  // V7 knew directories by their slash alone.
  return kinds[type] ?? (name.endsWith("/") ? "directory" : "file");
}

function contentOf(disk: Source, { name, data, size, sparse }: Member): Content {
  if (!sparse) return { size, map: (offset, length) => storedExtent(disk, data + offset, length) };
  const { runs, skip } = sparse;
  if (!areRuns(runs, sparse.size))
    throw new ImageError("CORRUPT", `the list of the holes of ${quote(name)} makes no sense`, { file: disk.name, position: data });
  const positions: number[] = [];
  let position = data + skip;
  for (const { length } of runs) {
    positions.push(position);
    position += length;
  }
  return {
    size: sparse.size,
    map(offset, length): Extent {
      const index = lastAtOrBefore(runs, offset);
      const run = runs[index];
      if (run && offset < run.offset + run.length) {
        const within = offset - run.offset;
        return storedExtent(disk, (positions[index] ?? 0) + within, Math.min(length, run.length - within));
      }
      const next = runs[index + 1];
      return { kind: "zero", length: next ? Math.min(length, next.offset - offset) : length };
    },
  };
}

/** In order, apart from each other, and inside the file. */
function areRuns(runs: readonly Run[], size: number): boolean {
  let end = 0;
  for (const { offset, length } of runs) {
    if (!(Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= end && length >= 0 && offset + length <= size))
      return false;
    end = offset + length;
  }
  return true;
}

/** The last run that begins at or before `offset`; −1 if there is none. They are in order. */
function lastAtOrBefore(runs: readonly Run[], offset: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle]?.offset ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
