import { readBytes, type Source } from "../../source/source.js";
import { quote } from "../../util/text.js";
import type { Item, ItemKind } from "../container.js";
import { decodeText } from "../../util/decode-text.js";
import type { Member } from "./walk.js";

/** A thing in the archives. What later entries say of the same file takes the place of what was said before. */
export interface CpioItem extends Item {
  /** Where the bytes of a file are; undefined for what has none. */
  readonly body: Body | undefined;
}

interface Body {
  readonly source: Source;
  readonly position: number;
  /** Their sum, where the archive has it. */
  readonly sum: number | undefined;
}

interface Folder {
  item: CpioItem;
  readonly entries: Map<string, CpioItem>;
}

/** Names deeper than that are a trap. */
const DEPTH_LIMIT = 256;
const NAME_LIMIT = 255;
/** Links that lead to links that lead on, as in the kernel. */
const LINKS_LIMIT = 40;
/** Links that are followed in one initramfs: work has to have an end. */
const FOLLOWED_LIMIT = 1_000_000;
/** Bytes of a symbolic link, as in the kernel. */
const TARGET_LIMIT = 4096;
const ROOT = 1;

export interface Tree {
  add(member: Member): void;
  /** Names of one file are told by their inode, which means something in one archive only. */
  forgetLinks(): void;
  readonly root: CpioItem;
  item(id: number): CpioItem | undefined;
  entries(id: number): ReadonlyMap<string, CpioItem> | undefined;
  /** Every file once, by one of its paths. */
  files(): Iterable<{ readonly path: string; readonly item: CpioItem }>;
}

/** Puts entries into a tree one after the other, as the kernel unpacks them. `refuse` is told of what has no place in it: a sentence. */
export function createTree(refuse: (sentence: string) => void): Tree {
  // Numbers are given in the order of the archive, which is the same for whoever reads it.
  const items: CpioItem[] = [];
  const folders = new Map<number, Folder>();
  const linked = new Map<string, number>();
  const root: Folder = { item: { id: ROOT, kind: "directory", size: 0, body: undefined }, entries: new Map() };
  items[ROOT] = root.item;
  folders.set(ROOT, root);
  /** Where the names of each file with several are: all of them are to show the same. */
  const places = new Map<number, { readonly folder: Folder; readonly name: string }[]>();
  /** The folder of the entry before is nearly always that of this one. */
  let last: { readonly key: string; readonly folder: Folder | undefined } = { key: "", folder: root };

  let followed = 0;

  function setFolder(item: CpioItem): Folder {
    items[item.id] = item;
    const known = folders.get(item.id);
    if (known) {
      known.item = item;
      return known;
    }
    const folder = { item, entries: new Map<string, CpioItem>() };
    folders.set(item.id, folder);
    return folder;
  }

  /** The folder at `path`, by way of links, made where nothing stands for it; undefined if something else is in the way. */
  function folderAt(path: readonly string[]): Folder | undefined {
    const above: Folder[] = [root];
    const waiting = path.toReversed();
    for (let links = 0, name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const folder = above.at(-1) ?? root;
      if (name === "..") {
        if (above.length > 1) above.pop();
        continue;
      }
      const known = folder.entries.get(name);
      if (known?.kind === "symlink") {
        links += 1;
        const target = known.target ?? "";
        followed += 1;
        if (target.startsWith("/")) above.length = 1;
        waiting.push(...target.split("/").filter(isName).reverse());
        if (links > LINKS_LIMIT || followed > FOLLOWED_LIMIT || waiting.length > DEPTH_LIMIT) return undefined;
        continue;
      }
      if ((known && known.kind !== "directory") || above.length > DEPTH_LIMIT || Buffer.byteLength(name) > NAME_LIMIT) return undefined;
      const item: CpioItem = known ?? { id: items.length, kind: "directory", size: 0, body: undefined };
      if (!known) folder.entries.set(name, item);
      above.push(folders.get(item.id) ?? setFolder(item));
    }
    return above.at(-1);
  }

  function folderOf(path: readonly string[]): Folder | undefined {
    const key = path.join("/");
    if (key !== last.key) last = { key, folder: folderAt(path) };
    return last.folder;
  }

  /** A file with several names: only one of its entries has its bytes, in "newc" the last. Undefined for the first of them. */
  function linkOf(member: Member, key: string): CpioItem | undefined {
    const id = linked.get(key);
    const known = id === undefined ? undefined : items[id];
    if (!known) return undefined;
    const hasBytes = member.size > 0;
    const item: CpioItem = {
      ...itemOf(member, known.id, "file"),
      ...(hasBytes ? {} : { size: known.size, body: known.body }),
    };
    items[known.id] = item;
    for (const { folder, name } of places.get(known.id) ?? []) {
      if (folder.entries.get(name)?.id === known.id) folder.entries.set(name, item);
    }
    return item;
  }

  function add(member: Member): void {
    const path = member.name.split("/").filter(isName);
    const name = path.at(-1);
    const kind = kinds[(member.mode >>> 12) & 15];
    const wrong = placeError(path) ?? (kind ? undefined : "is of no kind that is known");
    if (wrong !== undefined || !kind) {
      refuse(`${quote(member.name)} ${wrong}: it is not shown.`);
      return;
    }
    if (name === undefined) {
      if (kind === "directory") root.item = items[ROOT] = itemOf(member, ROOT, kind);
      return;
    }
    const folder = folderOf(path.slice(0, -1));
    const before = folder?.entries.get(name);
    if (!folder || (before?.kind === "directory" && kind !== "directory" && (folders.get(before.id)?.entries.size ?? 0) > 0)) {
      refuse(
        `${quote(member.name)} is not shown: ${folder ? "a directory that is not empty" : "something that is no directory"} is in its place.`,
      );
      return;
    }
    const target = kind === "symlink" ? targetOf(member) : undefined;
    if (kind === "symlink" && target === undefined) {
      refuse(`${quote(member.name)} is not shown: where the link leads is missing.`);
      return;
    }
    const key = kind === "file" && member.links > 1 ? `${member.device} ${member.inode}` : undefined;
    const link = key === undefined ? undefined : linkOf(member, key);
    const isSame = kind === "directory" && before?.kind === "directory";
    const item = link ?? itemOf(member, isSame ? before.id : items.length, kind, target);
    if (before && !isSame) last = { key: "", folder: root };
    folder.entries.set(name, item);
    if (kind === "directory") setFolder(item);
    else items[item.id] = item;
    if (key === undefined) return;
    if (!link) linked.set(key, item.id);
    const known = places.get(item.id);
    if (known) known.push({ folder, name });
    else places.set(item.id, [{ folder, name }]);
  }

  return {
    add,
    forgetLinks() {
      linked.clear();
      places.clear();
    },
    get root() {
      return root.item;
    },
    item: (id) => items[id],
    entries: (id) => folders.get(id)?.entries,
    *files() {
      const seen = new Set<number>();
      const waiting: { readonly path: string; readonly folder: Folder }[] = [{ path: "", folder: root }];
      for (let next = waiting.pop(); next; next = waiting.pop()) {
        for (const [name, item] of next.folder.entries) {
          const path = next.path === "" ? name : `${next.path}/${name}`;
          const folder = folders.get(item.id);
          if (folder) waiting.push({ path, folder });
          else if (item.kind === "file" && !seen.has(item.id)) yield { path, item };
          seen.add(item.id);
        }
      }
    },
  };
}

function isName(part: string): boolean {
  return part !== "" && part !== ".";
}

/** What is wrong with it as a place in the tree. */
function placeError(path: readonly string[]): string | undefined {
  if (path.includes("..")) return "leads out of the archive";
  if (path.length > DEPTH_LIMIT) return `lies deeper than ${DEPTH_LIMIT} directories`;
  return path.some((part) => Buffer.byteLength(part) > NAME_LIMIT) ? `has a name of more than ${NAME_LIMIT} bytes` : undefined;
}

/** By the upper four bits of st_mode. */
const kinds: Readonly<Record<number, ItemKind>> = {
  // None at all: some programs write only the permissions of files.
  0: "file",
  1: "fifo",
  2: "character device",
  4: "directory",
  6: "block device",
  8: "file",
  10: "symlink",
  12: "socket",
};

function itemOf(member: Member, id: number, kind: ItemKind, target?: string): CpioItem {
  const { mode, uid, gid, links, modified, size, major, minor, source, position, sum } = member;
  const isFile = kind === "file";
  return {
    id,
    kind,
    mode: mode & 0o7777,
    uid,
    gid,
    links: kind === "directory" ? undefined : links,
    modified: modified * 1000,
    size: isFile ? size : 0,
    target,
    device: kind === "character device" || kind === "block device" ? { major, minor } : undefined,
    body: isFile ? { source, position, sum } : undefined,
  };
}

function targetOf({ source, position, size }: Member): string | undefined {
  if (size === 0 || size > TARGET_LIMIT || position + size > source.size) return undefined;
  return decodeText(readBytes(source, position, size)).replace(/\0.*$/s, "");
}
