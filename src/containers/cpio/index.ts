// What a kernel unpacks at its start (initramfs, initrd, ARI): cpio archives, one behind the other, the last one mostly compressed.
import { storedExtent } from "../../formats/stored.js";
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { CheckProgress, Container, ContainerContext, ContainerDriver, Finding } from "../container.js";
import { decodeHeader, HEADER_LIMIT } from "./header.js";
import { createTree, type CpioItem, type Tree } from "./tree.js";
import { type Segment, walkArchives } from "./walk.js";

export const initramfs: ContainerDriver = { name: "initramfs", probe: isArchive, open: openInitramfs };

const PIECE = 2 ** 20;
/** Notes of one kind, and archives, that are told one by one. */
const TOLD_LIMIT = 20;
const MICROCODE = /^(?:\.?\/)*kernel\/x86\/microcode\//;

function isArchive(disk: Source): boolean {
  const header = decodeHeader(readBytes(disk, 0, Math.min(HEADER_LIMIT, disk.size)));
  // Two bytes are all that tells the old format: what follows them has to make sense as well.
  return header !== undefined && (header.format !== "binary" || hasName(disk, header));
}

function hasName(disk: Source, { headerSize, nameSize, size, mode, links }: NonNullable<ReturnType<typeof decodeHeader>>): boolean {
  if (nameSize < 2 || nameSize > 4096 || links === 0 || headerSize + nameSize + size > disk.size) return false;
  return mode >>> 12 !== 0 && readBytes(disk, headerSize, nameSize).indexOf(0) === nameSize - 1;
}

function openInitramfs(disk: Source, { unpack }: ContainerContext): Container {
  const opened: Source[] = [];
  const close = () => {
    for (const source of opened) source.close();
  };
  const notes = sentences();
  const damage = sentences();
  const tree = createTree(notes.add);
  let hasMicrocode = false;
  let segments: readonly Segment[];
  try {
    segments = walkArchives(disk, {
      unpack(source, label) {
        const inner = unpack(source, label);
        if (inner) opened.push(inner);
        return inner;
      },
      begin: tree.forgetLinks,
      add(member) {
        hasMicrocode ||= MICROCODE.test(member.name);
        tree.add(member);
      },
      note: notes.add,
      damage: damage.add,
    });
  } catch (error) {
    close();
    throw error;
  }
  tree.forgetLinks();
  return {
    format: "initramfs",
    root: tree.root,
    item: tree.item,
    list(id) {
      const entries = tree.entries(id);
      if (!entries) throw new ImageError("CORRUPT", "there is no such directory", { file: disk.name });
      return entries;
    },
    content(id) {
      const { body, size } = tree.item(id) ?? {};
      if (!body || size === undefined) throw new ImageError("CORRUPT", "there is no such file", { file: disk.name });
      return { size, map: (offset, length) => storedExtent(body.source, body.position + offset, length) };
    },
    facts: () => ({
      variant: `cpio (${[...new Set(segments.map(({ format }) => format))].join(", ")})`,
      details: { archives: segmentsTold(segments), ...(hasMicrocode && { "early microcode": true }) },
      notes: [...damage.told(), ...notes.told()],
    }),
    check: (progress) => [
      ...damage.told().map((sentence): Finding => {
        return { file: "archives", kind: "damaged archive", severity: "error", message: decapitalised(sentence) };
      }),
      ...checkSums(tree, progress),
    ],
    close,
  };
}

/** Keeps a few, and counts the rest. */
function sentences(): { add(sentence: string): void; told(): readonly string[] } {
  const kept: string[] = [];
  let more = 0;
  return {
    add(sentence) {
      if (kept.length < TOLD_LIMIT) kept.push(sentence);
      else more += 1;
    },
    told: () => (more === 0 ? kept : [...kept, `There are ${more} more remarks of this kind.`]),
  };
}

/** `3 entries, 1200 entries (zstd)`. */
function segmentsTold(segments: readonly Segment[]): string {
  const told = segments
    .slice(0, TOLD_LIMIT)
    .map(({ entries, packing }) => `${entries} ${entries === 1 ? "entry" : "entries"}${packing === undefined ? "" : ` (${packing})`}`);
  const more = segments.length - told.length;
  return [...told, ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

/** Compares the sums that "crc" archives have of their files; archives of other kinds have none. */
function checkSums(tree: Tree, progress: CheckProgress): readonly Finding[] {
  const findings: Finding[] = [];
  const all = [...tree.files()].filter(({ item: { body, size } }) => body?.sum !== undefined && size > 0);
  const size = all.reduce((sum, { item }) => sum + item.size, 0);
  let done = 0;
  for (const { path, item } of all) {
    done += item.size;
    const found = sumOf(item);
    progress({ file: path, done, size });
    const wanted = item.body?.sum;
    if (found !== undefined && found !== wanted) {
      const message = `the sum of its bytes is ${found}, and the archive says ${wanted}`;
      findings.push({ file: path, kind: "digest differs", severity: "error", message });
    }
  }
  return findings;
}

/** Undefined for a file that is cut, which is told by other means. */
function sumOf({ body, size }: CpioItem): number | undefined {
  if (!body || body.position + size > body.source.size) return undefined;
  let sum = 0;
  for (let at = 0; at < size; at += PIECE) {
    for (const byte of readBytes(body.source, body.position + at, Math.min(PIECE, size - at))) sum += byte;
  }
  return sum % 2 ** 32;
}

function decapitalised(sentence: string): string {
  return (sentence.charAt(0).toLowerCase() + sentence.slice(1)).replace(/\.$/, "");
}
