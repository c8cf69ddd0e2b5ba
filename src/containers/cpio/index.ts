// What a kernel unpacks at its start (initramfs, initrd, ARI): cpio archives, one behind the other, the last one mostly compressed.
import { storedExtent } from "../../formats/stored.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { decodeText } from "../text.js";
import type { Container, ContainerContext, ContainerDriver, Item, ItemKind } from "../container.js";
import { decodeHeader, HEADER_LIMIT } from "./header.js";
import { type Member, readMembers } from "./members.js";

export const initramfs: ContainerDriver = {
  name: "initramfs",
  probe: (disk) => decodeHeader(readBytes(disk, 0, Math.min(HEADER_LIMIT, disk.size))) !== undefined,
  open: openInitramfs,
};

const ROOT = 1;
/** Directories that no entry stands for are numbered behind all others. */
const IMPLIED = 2 ** 43;
/** Numbers of one archive's entries: their positions. */
const SPAN = 2 ** 39;
const LINK_LIMIT = 64 * 1024;
const DEPTH_LIMIT = 256;

interface CpioItem extends Item {
  /** Where its bytes are; of several names of one file, those of the entry that has them. */
  readonly member?: Member;
}

interface Folder {
  readonly item: CpioItem;
  readonly entries: Map<string, CpioItem>;
}

function openInitramfs(disk: Source, { unpack }: ContainerContext): Container {
  const opened: Source[] = [];
  const {
    members,
    segments,
    notes: walkNotes,
  } = readMembers(disk, (source, label) => {
    const inner = unpack(source, label);
    if (inner) opened.push(inner);
    return inner;
  });
  const notes = [...walkNotes];
  const items = new Map<number, CpioItem>();
  const folders = new Map<number, Folder>();
  let implied = 0;

  const addFolder = (item: CpioItem): Folder => {
    const folder = { item, entries: folders.get(item.id)?.entries ?? new Map<string, CpioItem>() };
    folders.set(item.id, folder);
    items.set(item.id, item);
    return folder;
  };
  const root = addFolder({ id: ROOT, kind: "directory", size: 0 });

  function folderAt(path: readonly string[]): Folder {
    let folder = root;
    for (const name of path) {
      const known = folder.entries.get(name);
      if (known?.kind === "directory") {
        folder = folders.get(known.id) ?? addFolder(known);
        continue;
      }
      implied += 1;
      const item: CpioItem = { id: IMPLIED + implied, kind: "directory", size: 0 };
      folder.entries.set(name, item);
      folder = addFolder(item);
    }
    return folder;
  }

  const holders = dataHolders(members);
  for (const member of members) {
    const path = partsOf(member.name);
    if (!path) {
      notes.push(`${member.name} leads out of the archive: it is not shown.`);
      continue;
    }
    const name = path.at(-1);
    if (name === undefined || path.length > DEPTH_LIMIT) continue;
    const folder = folderAt(path.slice(0, -1));
    const before = folder.entries.get(name);
    const item = itemOf(holders.get(keyOf(member)) ?? member, before);
    // As the kernel does: what comes later replaces what was there.
    folder.entries.set(name, item);
    if (item.kind === "directory") addFolder(item);
    else items.set(item.id, item);
  }

  return {
    format: "initramfs",
    root: root.item,
    item: (id) => items.get(id),
    list(id) {
      const folder = folders.get(id);
      if (!folder) throw new ImageError("CORRUPT", "there is no such directory", { file: disk.name });
      return folder.entries;
    },
    content(id) {
      const member = items.get(id)?.member;
      if (!member) throw new ImageError("CORRUPT", "there is no such file", { file: disk.name });
      return { size: member.size, map: (offset, length) => storedExtent(member.source, member.data + offset, length) };
    },
    facts: () => ({
      details: {
        archives: segments.map(({ entries, compressed }) => `${entries} entries${compressed ? " (compressed)" : ""}`).join(", "),
        ...(members.some(({ name }) => /^(?:\.?\/)?kernel\/x86\/microcode\//.test(name)) && { "early microcode": true }),
      },
      notes,
    }),
    close() {
      for (const source of opened) source.close();
    },
  };
}

/** Of the names of one file only one has its bytes: in "newc" the last. By what they have in common. */
function dataHolders(members: readonly Member[]): ReadonlyMap<string, Member> {
  const holders = new Map<string, Member>();
  for (const member of members) {
    if (member.links < 2 || !isFile(member)) continue;
    const known = holders.get(keyOf(member));
    if (!known || known.size === 0) holders.set(keyOf(member), member);
  }
  return holders;
}

function keyOf(member: Member): string {
  return member.links < 2 || !isFile(member) ? `${member.segment} at ${member.position}` : `${member.segment} ${member.inode}`;
}

function isFile({ mode }: Member): boolean {
  return (mode & 0o170000) === 0o100000;
}

const kinds: Readonly<Record<number, ItemKind>> = {
  1: "fifo",
  2: "character device",
  4: "directory",
  6: "block device",
  8: "file",
  10: "symlink",
  12: "socket",
};

function itemOf(member: Member, before: Item | undefined): CpioItem {
  const { mode, uid, gid, links, modified, size, device, segment, position } = member;
  const kind = kinds[(mode >>> 12) & 15] ?? "file";
  return {
    id: kind === "directory" && before?.kind === "directory" ? before.id : segment * SPAN + position + 2,
    kind,
    mode: mode & 0o7777,
    uid,
    gid,
    links: kind === "directory" ? undefined : links,
    modified: modified * 1000,
    size: kind === "file" ? size : 0,
    target: kind === "symlink" ? targetOf(member) : undefined,
    device: kind === "character device" || kind === "block device" ? device : undefined,
    member,
  };
}

function targetOf({ source, data, size }: Member): string {
  return size > LINK_LIMIT || data + size > source.size ? "" : decodeText(readBytes(source, data, size)).replace(/\0.*$/s, "");
}

/** `./a//b` → a, b; undefined for what leads out. */
function partsOf(name: string): readonly string[] | undefined {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  return parts.some((part) => part === ".." || part.includes("\0") || Buffer.byteLength(part) > 255) ? undefined : parts;
}
