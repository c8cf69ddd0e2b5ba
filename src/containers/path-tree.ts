import type { Item } from "./container.js";
import { legalName } from "./names.js";

interface Folder<T extends Item> {
  readonly item: T | Item;
  readonly entries: Map<string, T | Item>;
}

/** Directories that no member stands for are numbered behind all others. */
const IMPLIED = 2 ** 43;
const ROOT = 1;

/** Names deeper than that are a trap. */
const DEPTH_LIMIT = 256;

/** The tree of an archive whose members have paths. */
export interface PathTree<T extends Item> {
  readonly root: Item;
  item(id: number): T | Item | undefined;
  /** Undefined for what is no directory. */
  entries(id: number): ReadonlyMap<string, T | Item> | undefined;
  /** What stands at a path, links not followed; no directory: a second name of one could lie in itself. */
  at(path: string): T | Item | undefined;
  /**
   * Puts what `make` gives at `path`; the last of a name is the valid one, as when unpacking. `make` is told what is there already: a directory that things were
   * put into before its own member came keeps its number. Undefined from it: nothing is put there.
   */
  add(path: string, make: (before: Item | undefined) => T | Item | undefined): void;
}

/** `files`: numbers of members are from 2 up to 2^43. */
export function pathTree<T extends Item>(): PathTree<T> {
  const items = new Map<number, T | Item>();
  const folders = new Map<number, Folder<T>>();
  let implied = 0;

  const addFolder = (item: T | Item): Folder<T> => {
    const folder: Folder<T> = folders.get(item.id) ?? { item, entries: new Map() };
    folders.set(item.id, { ...folder, item });
    items.set(item.id, item);
    return folder;
  };
  const rootItem: Item = { id: ROOT, kind: "directory", size: 0 };
  const root = addFolder(rootItem);

  /** The folder at `path`, made if no member stands for it yet. */
  function folderAt(path: readonly string[]): Folder<T> {
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

  /** The folder of the member before is nearly always that of this one. */
  let lastKey: string | undefined = "";
  let lastFolder = root;
  function folderOf(path: readonly string[]): Folder<T> {
    const key = path.slice(0, -1).join("/");
    if (key !== lastKey) {
      lastFolder = folderAt(path.slice(0, -1));
      lastKey = key;
    }
    return lastFolder;
  }

  return {
    root: rootItem,
    item: (id) => items.get(id),
    entries: (id) => folders.get(id)?.entries,
    at(path) {
      let item: T | Item | undefined = rootItem;
      for (const name of partsOf(path)) item = item && folders.get(item.id)?.entries.get(name);
      return item?.kind === "directory" ? undefined : item;
    },
    add(whole, make) {
      const path = partsOf(whole);
      const name = path.at(-1);
      if (name === undefined || path.length > DEPTH_LIMIT) return;
      const folder = folderOf(path);
      const before = folder.entries.get(name);
      const item = make(before);
      if (!item) return;
      if (item.kind !== "directory" && before) lastKey = undefined;
      folder.entries.set(name, item);
      if (item.kind === "directory") addFolder(item);
      else items.set(item.id, item);
    },
  };
}

/** `./a//b/../c` → a, c: nothing leads out. */
function partsOf(path: string): readonly string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(legalName(part));
  }
  return parts;
}
