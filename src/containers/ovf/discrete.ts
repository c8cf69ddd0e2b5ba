// A package of several files: the descriptor, and what it names beside it. Reference: DSP0243, "OVF package structure".
import { posix } from "node:path";
import { storedExtent } from "../../formats/stored.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { ContainerContext, ContainerDriver, Item } from "../container.js";
import { DESCRIPTOR_LIMIT, parseDescriptor } from "./descriptor.js";
import { disksOf } from "./disks.js";
import { decodeDocument } from "./encoding.js";
import { detailsOf } from "./facts.js";
import { locateFile, type PackageFiles } from "./located.js";
import type { OvfContainer, OvfPackage } from "./package.js";
import { verifyPackage } from "./verify.js";

export const ovf: ContainerDriver = { name: "ovf", probe: isDescriptor, open: openOvf };

/** Bytes in which the root element must begin. */
const PROBE_LENGTH = 64 * 1024;

/** Each takes a descriptor of the process. */
const OPEN_LIMIT = 512;

function isDescriptor(disk: Source): boolean {
  if (disk.size < 16) return false;
  const start = readBytes(disk, 0, 16).toString("latin1");
  // Every encoding there is has these bytes at the start: a mark, then blanks or a tag.
  if (!/[^\0]/.test(start) || !/^(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*(<|$)/.test(start)) return false;
  return beginsWithEnvelope(readBytes(disk, 0, Math.min(PROBE_LENGTH, disk.size)));
}

/** Whether the first element is an Envelope of OVF; there are others, such as SOAP's. */
function beginsWithEnvelope(head: Uint8Array): boolean {
  let text: string;
  try {
    text = decodeDocument(head);
  } catch {
    return false;
  }
  const before = /(?:\s+|<\?[^>]*>|<!--[^]*?-->|<!DOCTYPE[^>[]*>)/y;
  let at = 0;
  for (before.lastIndex = at; before.test(text); at = before.lastIndex);
  const tag = /<(?:[\w.-]+:)?Envelope(?=[\s>/])[^<]*/y;
  tag.lastIndex = at;
  return /ovf/i.test(tag.exec(text)?.[0] ?? "");
}

/** Throws `CORRUPT` if the descriptor cannot be understood. Files that are missing, or must not be opened, are told in notes. */
export function openOvf(disk: Source, context: ContainerContext): OvfContainer {
  const name = posix.basename(disk.name).replace(/\.(gz|bz2|xz|zst)$/i, "") || "package.ovf";
  if (disk.size > DESCRIPTOR_LIMIT) {
    throw new ImageError("UNSUPPORTED", `the descriptor has ${disk.size} bytes; ${DESCRIPTOR_LIMIT} are the limit`, { file: disk.name });
  }
  const descriptor = parseDescriptor(readBytes(disk, 0, disk.size), disk.name);
  const parts = openParts(context);
  try {
    const folder = createFolder();
    folder.add(name, disk);
    const stem = name.replace(/\.[^.]*$/, "");
    const [manifest, certificate] = [".mf", ".cert"].map((extension) => addIfThere(`${stem}${extension}`));
    const located = descriptor.files.map((reference) => locateFile(reference, parts));
    for (const path of located.flatMap(({ paths }) => paths)) addIfThere(path);
    const { disks, notes } = disksOf(descriptor, located, "");

    function addIfThere(path: string): string | undefined {
      const source = parts.source(path);
      if (source) folder.add(path, source);
      return source && path;
    }

    const ovfPackage: OvfPackage = {
      descriptorName: name,
      descriptor,
      located,
      manifest,
      certificate,
      files: () => folder.paths(),
      // A manifest may tell of more files than the descriptor does.
      open: (path) => (path === name ? disk : parts.source(path)),
    };
    return {
      format: "ovf",
      archive: true,
      root: folder.root,
      item: folder.item,
      list: folder.list,
      content(id) {
        const source = folder.source(id);
        if (!source) throw new ImageError("CORRUPT", "there is no such file", { file: disk.name });
        return { size: source.size, map: (offset, length) => storedExtent(source, offset, length) };
      },
      disks,
      outside: (path) => parts.source(path),
      facts: () => ({
        variant: descriptor.version,
        details: detailsOf(descriptor),
        notes: [...located.flatMap((each) => each.notes), ...parts.notes, ...notes],
      }),
      close: parts.close,
      ovf: ovfPackage,
      check: (progress) => verifyPackage(ovfPackage, { progress }),
    };
  } catch (error) {
    parts.close();
    throw error;
  }
}

/** The files beside the descriptor, opened once each and kept open. */
function openParts(context: ContainerContext): PackageFiles & {
  readonly notes: readonly string[];
  source(path: string): Source | undefined;
  close(): void;
} {
  const opened = new Map<string, Source | undefined>();
  const notes: string[] = [];
  function open(path: string): Source | undefined {
    if (opened.size >= OPEN_LIMIT) {
      throw new ImageError("UNSUPPORTED", `more than ${OPEN_LIMIT} files belong to the package`, { file: path });
    }
    try {
      return context.part(path);
    } catch (error) {
      if (error instanceof ImageError && error.code === "PART_MISSING") return undefined;
      throw error;
    }
  }
  function known(path: string): Source | undefined {
    const found = opened.get(path);
    if (found || opened.has(path)) return found;
    const source = open(path);
    opened.set(path, source);
    return source;
  }
  return {
    notes,
    size: (path) => known(path)?.size,
    head(path, length) {
      const source = known(path);
      return source ? readBytes(source, 0, length) : new Uint8Array();
    },
    source(path) {
      try {
        return known(path);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
        opened.set(path, undefined);
        notes.push(`${quote(path)} is not opened: ${error.message}.`);
        return undefined;
      }
    },
    close() {
      for (const source of opened.values()) source?.close();
      opened.clear();
    },
  };
}

/** Directories of the names that have a slash in them; numbered as they come, which is in the order of the descriptor. */
function createFolder() {
  const root: Item = { id: 1, kind: "directory", size: 0 };
  const items = new Map<number, Item>([[root.id, root]]);
  const lists = new Map<number, Map<string, Item>>([[root.id, new Map()]]);
  const sources = new Map<number, Source>();
  const paths = new Set<string>();
  const listOf = (id: number): Map<string, Item> => {
    const list = lists.get(id);
    if (!list) throw new ImageError("CORRUPT", "there is no such directory");
    return list;
  };

  function enter(parent: Item, name: string): Item | undefined {
    const known = listOf(parent.id).get(name);
    if (known) return known.kind === "directory" ? known : undefined;
    const item: Item = { id: items.size + 1, kind: "directory", size: 0 };
    items.set(item.id, item);
    lists.set(item.id, new Map());
    listOf(parent.id).set(name, item);
    return item;
  }

  return {
    root,
    item: (id: number) => items.get(id),
    list: (id: number): ReadonlyMap<string, Item> => listOf(id),
    source: (id: number) => sources.get(id),
    paths: () => paths,
    /** Once for each path. */
    add(path: string, source: Source): void {
      const parts = path.split("/");
      const name = parts.pop() ?? "";
      let folder: Item | undefined = root;
      for (const part of parts) folder = folder && enter(folder, part);
      if (!folder || listOf(folder.id).has(name)) return;
      const item: Item = { id: items.size + 1, kind: "file", size: source.size, modified: source.modified };
      items.set(item.id, item);
      listOf(folder.id).set(name, item);
      sources.set(item.id, source);
      paths.add(path);
    },
  };
}
