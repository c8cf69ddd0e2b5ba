// ZIP archives as a tree of files, each of which can be read anywhere: those that are stored lie there plainly, others get restart points like any compressed file.
import { crc32 } from "node:zlib";
import { type PackedBlock, packedKeys } from "../../formats/driver.js";
import { storedExtent } from "../../formats/stored.js";
import { inflateRaw } from "../../native/unpack.js";
import { sliceSource } from "../../source/slice.js";
import { deflate64Source } from "../../source/packed/deflate64.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import type { CheckProgress, Container, ContainerContext, ContainerDriver, Content, Finding, Item, ItemKind } from "../container.js";
import { pathTree } from "../path-tree.js";
import { decodeText } from "../../util/decode-text.js";
import { damaged, type Directory, type Entry, isZip, readDirectory, WRAP } from "./directory.js";
import { DEFLATE, DEFLATE64, LOCAL, localHeader, methods, STORED } from "./layout.js";
import { packedStream, refusalOf } from "./streams.js";

export const zip: ContainerDriver = { name: "zip", probe: isZip, open: openZip };

interface ZipItem extends Item {
  readonly entry: Entry;
  /** As the directory says it, until the member was read. */
  size: number;
}

/** The number of a member is that of its header's position, and this. */
const FIRST = 2;
/** Bytes of a symbolic link, as in the kernel. */
const TARGET_LIMIT = 4096;
/** What is deflated and no larger is decoded as a whole: restart points would cost more than they save. */
const SMALL = 2 ** 20;
const PIECE = 2 ** 20;

function openZip(disk: Source, context: ContainerContext): Container {
  const directory = readDirectory(disk);
  const { entries } = directory;
  const tree = pathTree<ZipItem>();
  const opened = new Map<number, Content & { readonly source?: Source }>();
  const keys = packedKeys();
  for (const entry of entries) tree.add(entry.name, (before) => itemOf(entry, before));

  /** Opened once: what it took to find the restart points of a member is not to be done again. */
  function contentOf(entry: Entry): Content {
    const known = opened.get(entry.position);
    if (known) return known;
    const position = placeOf(disk, directory, entry);
    const stored: Source = { ...sliceSource(disk, position, entry.packedSize), close: () => undefined };
    const isSmall = entry.method === DEFLATE && entry.size <= SMALL && entry.packedSize <= SMALL;
    const content =
      entry.method === STORED
        ? plainContent(disk, position, entry)
        : isSmall
          ? smallContent(stored, entry, keys)
          : sourceContent(decodedMember(stored, entry, directory, context));
    opened.set(entry.position, content);
    const item = tree.item(entry.position + FIRST);
    if (item && "entry" in item && item.kind === "file") item.size = content.size;
    return content;
  }

  function itemOf(entry: Entry, before: Item | undefined): ZipItem {
    const kind = kindOf(entry);
    const item: ZipItem = {
      id: kind === "directory" && before?.kind === "directory" ? before.id : entry.position + FIRST,
      kind,
      mode: entry.mode === undefined ? undefined : entry.mode & 0o7777,
      uid: entry.uid,
      gid: entry.gid,
      modified: entry.modified,
      nanoseconds: entry.nanoseconds,
      // Sizes that no file has: reading it fails.
      size: kind === "file" ? Math.min(entry.size, Number.MAX_SAFE_INTEGER) : 0,
      entry,
    };
    return kind === "symlink" ? withTarget(item) : item;
  }

  /** One that leads nowhere is a file of what it holds. */
  function withTarget(item: ZipItem): ZipItem {
    const { entry } = item;
    try {
      if (entry.size > 0 && entry.size <= TARGET_LIMIT) return { ...item, target: decodeText(bytesOf(contentOf(entry), 0, entry.size)) };
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
    return { ...item, kind: "file", size: Math.min(entry.size, Number.MAX_SAFE_INTEGER) };
  }

  const entryAt = (id: number): Entry => {
    const item = tree.item(id);
    if (item && "entry" in item && item.kind === "file") return item.entry;
    throw new ImageError("CORRUPT", "there is no such file", { file: disk.name });
  };

  return {
    format: "zip",
    archive: true,
    root: tree.root,
    item: tree.item,
    list(id) {
      const found = tree.entries(id);
      if (!found) throw new ImageError("CORRUPT", "there is no such directory", { file: disk.name });
      return found;
    },
    content: (id) => contentOf(entryAt(id)),
    isQuick: (id) => entryAt(id).method === 0,
    facts: () => ({
      ...(directory.isZip64 && { variant: "zip64" }),
      details: { members: entries.length, compression: compressionsOf(entries) },
      notes: notesOf(entries),
    }),
    check: (progress) => checkMembers(entries, contentOf, progress),
    close() {
      for (const { source } of opened.values()) source?.close();
    },
  };
}

/** The file system in st_mode; without it, directories are told by their slash. */
const kinds: Readonly<Record<number, ItemKind>> = {
  1: "fifo",
  2: "character device",
  4: "directory",
  6: "block device",
  10: "symlink",
  12: "socket",
};

/** What was read from a pipe has the mode of the pipe, and bytes all the same. */
function kindOf({ mode = 0, isDirectory, size }: Entry): ItemKind {
  const kind = isDirectory ? "directory" : (kinds[mode >>> 12] ?? "file");
  return size > 0 && kind !== "directory" && kind !== "symlink" ? "file" : kind;
}

function compressionsOf(entries: readonly Entry[]): string {
  const names = new Set(entries.filter(({ isDirectory }) => !isDirectory).map(({ method }) => methods[method] ?? `method ${method}`));
  return [...names].toSorted().join(", ") || "none";
}

/** Members that are listed and cannot be read, by why. */
function notesOf(entries: readonly Entry[]): readonly string[] {
  const reasons = new Map<string, Entry[]>();
  for (const entry of entries) {
    const reason = refusalOf(entry);
    if (reason !== undefined) reasons.set(reason, [...(reasons.get(reason) ?? []), entry]);
  }
  return [...reasons].map(([reason, [first, ...others]]) => {
    const more = others.length === 0 ? "" : ` and ${others.length} more`;
    return `${quote(first?.name ?? "")}${more} cannot be read: ${reason}.`;
  });
}

/** Where the bytes of a member begin; throws what keeps them from being read. */
function placeOf(disk: Source, { start: end }: Directory, entry: Entry): number {
  const { name, start, packedSize } = entry;
  const refusal = refusalOf(entry);
  if (refusal !== undefined) throw new ImageError("UNSUPPORTED", `${quote(name)}: ${refusal}`, { file: disk.name, position: start });
  if (start + localHeader.size > end) throw damaged(disk, `${quote(name)} is said to begin behind the members`, start);
  const local = localHeader.decode(readBytes(disk, start, localHeader.size));
  if (local.signature !== LOCAL) throw damaged(disk, `${quote(name)} does not begin where the directory says`, start);
  const position = start + localHeader.size + local.nameLength + local.extraLength;
  if (position + packedSize > end) throw damaged(disk, `${quote(name)}, ${packedSize} bytes, leaves the archive`, position);
  return position;
}

function plainContent(disk: Source, position: number, { name, packedSize, size }: Entry): Content {
  if (packedSize !== size) throw damaged(disk, `${quote(name)} is stored in ${packedSize} bytes, and has ${size}`, position);
  return { size, map: (offset, length) => storedExtent(disk, position + offset, length) };
}

/** The bytes of a member, by restart points where it is compressed. */
function decodedMember(stored: Source, entry: Entry, { isZip64 }: Directory, { unpack }: ContainerContext): Source {
  const { name, method, size } = entry;
  if (method === DEFLATE64) return deflate64Source({ ...stored, name: `${stored.name}, ${name}` }, size, entry.crc32);
  const source = unpack(packedStream({ ...stored, name: `${stored.name}, ${name}` }, entry), `member ${entry.position}`);
  if (!source) throw damaged(stored, `${quote(name)} does not begin like ${methods[method] ?? "compressed data"}`, entry.start);
  if (source.size === size || (!isZip64 && source.size % WRAP === size)) return source;
  source.close();
  throw damaged(stored, `${quote(name)} decodes to ${source.size} bytes, and the directory says ${size}`, entry.position);
}

function sourceContent(source: Source): Content & { readonly source: Source } {
  return { source, size: source.size, map: (offset, length) => storedExtent(source, offset, length) };
}

/** A member that is deflated, and decoded as a whole. */
function smallContent(stored: Source, { name, position, size, crc32: wanted }: Entry, keys: string): Content {
  const block: PackedBlock = {
    key: `${keys}${position}`,
    size,
    source: stored,
    position: 0,
    unpack(target) {
      if (inflateRaw(readBytes(stored, 0, stored.size), target) && crc32(target) === wanted) return;
      throw damaged(stored, `${quote(name)} does not decode, or fails its check`, position);
    },
  };
  return { size, map: (offset, length) => ({ kind: "packed", length: Math.min(length, size - offset), block, skip: offset }) };
}

/** Bytes of a member, a few. */
function bytesOf({ map }: Content, offset: number, length: number): Buffer {
  const target = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const extent = map(offset + done, length - done);
    if (extent.kind === "damaged") throw extent.error;
    if (extent.kind === "data") extent.source.read(target.subarray(done, done + extent.length), extent.position);
    else if (extent.kind === "packed") {
      const whole = Buffer.alloc(extent.block.size);
      extent.block.unpack(whole);
      whole.copy(target, done, extent.skip, extent.skip + extent.length);
    }
    done += extent.length;
  }
  return target;
}

/** Every member that can be read, by its CRC-32. */
function checkMembers(entries: readonly Entry[], contentOf: (entry: Entry) => Content, progress: CheckProgress): readonly Finding[] {
  const findings: Finding[] = [];
  const files = entries.filter((entry) => !entry.isDirectory && refusalOf(entry) === undefined);
  const size = files.reduce((sum, entry) => sum + entry.size, 0);
  let done = 0;
  for (const entry of files) {
    const fail = (message: string) => findings.push({ file: entry.name, kind: "digest differs", severity: "error", message });
    try {
      const content = contentOf(entry);
      let found = 0;
      for (let at = 0; at < content.size; at += PIECE) {
        found = crc32(bytesOf(content, at, Math.min(PIECE, content.size - at)), found);
        progress({ file: entry.name, done: done + at, size });
      }
      if (found !== entry.crc32) fail(`its CRC-32 is ${found.toString(16)}, and the archive says ${entry.crc32.toString(16)}`);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      fail(error.message);
    }
    done += entry.size;
  }
  return findings;
}
