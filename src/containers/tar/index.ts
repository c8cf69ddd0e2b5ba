// tar archives as a tree of files, each of which can be read anywhere.
import type { Extent } from "../../formats/driver.js";
import { storedExtent } from "../../formats/stored.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { Container, ContainerDriver, Content, Item, ItemKind } from "../container.js";
import { pathTree } from "../path-tree.js";
import { BLOCK, decodeHeader, types } from "../../formats/tar-header.js";
import { type Member, readMembers } from "./members.js";
import type { Run } from "./sparse.js";

export const tar: ContainerDriver = {
  name: "tar",
  probe(disk) {
    if (disk.size < BLOCK) return false;
    const header = decodeHeader(readBytes(disk, 0, BLOCK));
    return header !== undefined && header.name !== "" && /^[0-7\0xXgLKSVMD]$/.test(header.type);
  },
  open: openTar,
};

interface TarItem extends Item {
  readonly member: Member;
}

function openTar(disk: Source): Container {
  const { members, notes: walkNotes } = readMembers(disk);
  const notes = [...walkNotes];
  const tree = pathTree<TarItem>();
  for (const member of members) {
    tree.add(member.name, (before) => {
      // Where the bytes are with one of the names, each name may have them.
      const item = member.type === types.hardLink && member.size === 0 ? tree.at(member.link) : itemOf(member, before);
      if (!item) notes.push(`The link ${quote(member.name)} leads to a member that is not there.`);
      return item;
    });
  }
  const memberAt = (id: number): Member | undefined => {
    const item = tree.item(id);
    return item && "member" in item ? item.member : undefined;
  };

  return {
    format: "tar",
    archive: true,
    root: tree.root,
    item: tree.item,
    list(id) {
      const entries = tree.entries(id);
      if (!entries) throw new ImageError("CORRUPT", "there is no such directory", { file: disk.name });
      return entries;
    },
    content(id) {
      const member = memberAt(id);
      if (!member) throw new ImageError("CORRUPT", "there is no such member", { file: disk.name });
      return contentOf(disk, member);
    },
    facts: () => ({ details: { members: members.length }, notes }),
  };
}

function itemOf(member: Member, before: Item | undefined): TarItem {
  const kind = kindOf(member);
  const { mode, uid, gid, modified, nanoseconds, device, link } = member;
  return {
    id: kind === "directory" && before?.kind === "directory" ? before.id : member.position / BLOCK + 2,
    kind,
    mode: mode & 0o7777,
    uid,
    gid,
    modified,
    nanoseconds,
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
  [types.dumpDirectory]: "directory",
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
