// What an ISO 9660 disc says twice, compared. Clauses are those of ECMA-119.
import { readBytes, type Source } from "../../source/source.js";
import { ImageError } from "../../util/errors.js";
import type { CheckProgress, Finding } from "../../util/finding.js";
import { hex, quote } from "../../util/text.js";
import { checkPathTables, type Tell, type WalkedDirectory } from "./path-tables.js";
import { bootCatalogPosition, SECTOR, type Volume } from "./volume.js";

/** Findings of one kind that are told. */
const EACH_LIMIT = 100;
/** Records of one disc that are looked at. */
const RECORD_LIMIT = 4_000_000;

/** Bytes that a record takes. */
interface Extent {
  readonly start: number;
  readonly end: number;
  readonly name: string;
  readonly isDirectory: boolean;
}

export function checkIso(disk: Source, volumes: readonly Volume[], sessionStart: number, progress: CheckProgress): readonly Finding[] {
  const findings: Finding[] = [];
  const numbers = new Map<string, number>();
  const tell: Tell = (severity, kind, message, position) => {
    const number = (numbers.get(kind) ?? 0) + 1;
    numbers.set(kind, number);
    if (number <= EACH_LIMIT) findings.push({ file: "ISO 9660", kind, severity, message, position });
  };
  const extents = new Map<string, Extent>();
  for (const volume of volumes) {
    // High Sierra has the same things elsewhere, and no writer that is left.
    if (volume.kind === "high sierra") continue;
    try {
      checkDescriptor(disk, volume, tell);
      const directories = walk(disk, volume, extents, tell, (done) =>
        progress({ file: `${disk.name} (${volume.kind})`, done, size: disk.size }),
      );
      checkPathTables(disk, volume, directories, tell);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      tell("error", "structure unreadable", `the ${volume.kind} volume: ${error.message}`, error.position ?? volume.rootRecord);
    }
  }
  tellOverlaps(extents, tell);
  checkBootCatalog(disk, sessionStart, tell);
  for (const [kind, number] of numbers) {
    const severity = findings.find((finding) => finding.kind === kind)?.severity ?? "warning";
    const count = number - EACH_LIMIT;
    if (count > 0) findings.push({ file: "ISO 9660", kind, severity, message: `${count} more of the kind "${kind}"`, count });
  }
  return findings;
}

/** 7.2.3 and 7.3.3: numbers that stand there little-endian and then big-endian. `at` in `content`, which stands at `base`. */
function compareOrders(content: Buffer, at: number, size: 2 | 4, what: string, base: number, tell: Tell): void {
  const little = content.readUIntLE(at, size);
  const big = content.readUIntBE(at + size, size);
  if (little !== big) tell("error", "byte orders differ", `${what} is ${little} in one byte order and ${big} in the other`, base + at);
}

/** 8.4. */
function checkDescriptor(disk: Source, volume: Volume, tell: Tell): void {
  const position = volume.rootRecord - 156;
  const content = readBytes(disk, position, SECTOR);
  const of = (what: string) => `${what} of the ${volume.kind} volume`;
  compareOrders(content, 80, 4, of("the size"), position, tell);
  compareOrders(content, 120, 2, of("the set size"), position, tell);
  compareOrders(content, 124, 2, of("the sequence number"), position, tell);
  compareOrders(content, 128, 2, of("the block size"), position, tell);
  compareOrders(content, 132, 4, of("the path table size"), position, tell);
  if (volume.size > disk.size) {
    tell("warning", "volume cut", `the ${volume.kind} volume has ${volume.size} bytes, and ${disk.size} are there`, position + 80);
  }
}

/** Looks at every record, and gives the directories. */
function walk(
  disk: Source,
  volume: Volume,
  extents: Map<string, Extent>,
  tell: Tell,
  progress: (done: number) => void,
): ReadonlyMap<number, WalkedDirectory> {
  const { blockSize } = volume;
  const root = readBytes(disk, volume.rootRecord, 34);
  const rootPosition = root.readUInt32LE(2) * blockSize;
  const found = new Map<number, WalkedDirectory>([[rootPosition, { position: rootPosition, parent: rootPosition }]]);
  const waiting = [{ position: rootPosition, size: root.readUInt32LE(10), path: "" }];
  let records = 0;
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { position, size, path } = next;
    progress(position);
    const names = new Set<string>();
    let before = "";
    addExtent(extents, position, size, path === "" ? "/" : path, true);
    for (let sector = 0; sector < size; sector += SECTOR) {
      if (position + sector + SECTOR > disk.size) {
        tell("error", "behind the end", `the directory ${quote(path || "/")} is behind the end of the disc`, position + sector);
        break;
      }
      const content = readBytes(disk, position + sector, SECTOR);
      for (let at = 0; at < SECTOR && sector + at < size; ) {
        const length = content[at] ?? 0;
        if (length === 0) break;
        const base = position + sector;
        if (length < 34 || at + length > SECTOR || 33 + (content[at + 32] ?? 0) > length) {
          tell(
            "error",
            "broken record",
            `a directory record of ${length} bytes in ${quote(path || "/")} leaves its sector or is too short`,
            base + at,
          );
          break;
        }
        records += 1;
        if (records > RECORD_LIMIT) return found;
        const bytes = content.subarray(at + 33, at + 33 + (content[at + 32] ?? 0));
        const identifier = bytes.toString("latin1");
        const name = `${path}${path === "" ? "" : "/"}${shown(bytes, volume)}`;
        const isSelf = identifier === "\0" || identifier === "\x01";
        const flags = content[at + 25] ?? 0;
        const start = (content.readUInt32LE(at + 2) + (content[at + 1] ?? 0)) * blockSize;
        const length32 = content.readUInt32LE(at + 10);
        for (const [field, bytesOf, what] of [
          [2, 4, "place"],
          [10, 4, "size"],
          [28, 2, "volume number"],
        ] as const) {
          compareOrders(content, at + field, bytesOf, `the ${what} of ${quote(isSelf ? path || "/" : name)}`, base, tell);
        }
        if (isSelf) {
          // ".." leads to the directory itself on discs of libisofs, so nobody relies on it.
          if (identifier === "\0" && start !== position) {
            tell("warning", "wrong link", `"." of ${quote(path || "/")} leads to ${hex(start)} instead of ${hex(position)}`, base + at);
          }
        } else {
          // A file of several extents has a record for each; the resource fork of a file has its name.
          const key = `${identifier}${(flags & 4) !== 0 ? " associated" : ""}`;
          if (names.has(key) && key !== before) tell("warning", "duplicate name", `${quote(name)} is there twice`, base + at);
          names.add(key);
          before = (flags & 0x80) !== 0 ? key : "";
          if ((flags & 2) !== 0) {
            if (!found.has(start)) {
              found.set(start, { position: start, parent: position });
              waiting.push({ position: start, size: length32, path: name });
            }
          } else {
            const interleaved = (content[at + 26] ?? 0) !== 0;
            if (start + length32 > disk.size && length32 > 0) {
              tell(
                "error",
                "behind the end",
                `${quote(name)}, ${length32} bytes at ${hex(start)}, is behind the end of the disc`,
                base + at,
              );
            }
            if (!interleaved) addExtent(extents, start, length32, name, false);
          }
        }
        at += length;
      }
    }
  }
  return found;
}

function shown(identifier: Buffer, { kind }: Volume): string {
  return kind === "joliet"
    ? Buffer.from(identifier.subarray(0, identifier.length & ~1))
        .swap16()
        .toString("utf16le")
    : identifier.toString("latin1");
}

/** The same bytes under several names are one thing: links, and the trees of several volumes. */
function addExtent(extents: Map<string, Extent>, start: number, size: number, name: string, isDirectory: boolean): void {
  const key = `${start}+${size}`;
  if (size > 0 && extents.size < RECORD_LIMIT && !extents.has(key)) extents.set(key, { start, end: start + size, name, isDirectory });
}

function tellOverlaps(extents: ReadonlyMap<string, Extent>, tell: Tell): void {
  let last: Extent | undefined;
  for (const extent of [...extents.values()].toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    if (last && extent.start < last.end) {
      const message = `${quote(extent.name)} and ${quote(last.name)} lie over each other at ${hex(extent.start)}`;
      tell(extent.isDirectory !== last.isDirectory ? "error" : "warning", "overlap", message, extent.start);
    }
    if (!last || extent.end > last.end) last = extent;
  }
}

/** El Torito 1.0, section 2.1: 16-bit words that sum to 0. */
function checkBootCatalog(disk: Source, sessionStart: number, tell: Tell): void {
  const position = bootCatalogPosition(disk, sessionStart);
  if (position === undefined) return;
  if (position + SECTOR > disk.size) {
    tell("error", "boot catalogue", "the boot catalogue is behind the end of the disc", position);
    return;
  }
  const entry = readBytes(disk, position, 32);
  let sum = 0;
  for (let at = 0; at < 32; at += 2) sum += entry.readUInt16LE(at);
  if (entry[0] !== 1 || entry[0x1e] !== 0x55 || entry[0x1f] !== 0xaa)
    tell("error", "boot catalogue", "there is no boot catalogue where one should be", position);
  else if ((sum & 0xffff) !== 0) tell("error", "checksum wrong", "the checksum of the boot catalogue is wrong", position + 0x1c);
}
