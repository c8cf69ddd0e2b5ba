// What else stands on a disc: HFS and HFS+ beside ISO 9660, over the same bytes. Reference: "Inside Macintosh: Files", chapter 2 (master directory blocks,
// partition maps), and Apple's Technical Note TN1150 (HFS Plus).
import { readBytes, type Source } from "../../source/source.js";

const SECTOR = 512;
/** Entries of a partition map that are looked at. */
const MAP_LIMIT = 64;

const kinds: Readonly<Record<string, string>> = { BD: "HFS", "H+": "HFS+", HX: "HFS+" };

/** The Macintosh file systems of a disc: which, and in which partition of the map, from 1 on; 0 where there is none. */
function macintoshVolumes(disk: Source): readonly { readonly kind: string; readonly partition: number }[] {
  const whole = kindAt(disk, 0);
  if (whole !== undefined) return [{ kind: whole, partition: 0 }];
  const found: { kind: string; partition: number }[] = [];
  const unit = unitOf(disk);
  let count = 1;
  for (let number = 1; number <= Math.min(count, MAP_LIMIT); number += 1) {
    const at = number * unit;
    if (at + 60 > disk.size) break;
    const entry = readBytes(disk, at, 60);
    if (!isEntry(entry)) break;
    count = entry.readUInt32BE(4);
    const kind = kindAt(disk, entry.readUInt32BE(8) * unit);
    if (kind !== undefined && /^Apple_HFSX?\0/.test(entry.toString("latin1", 48))) found.push({ kind, partition: number });
  }
  return found;
}

function isEntry(content: Buffer): boolean {
  return content.toString("latin1", 0, 2) === "PM";
}

/** Bytes that the map counts in: those of its sectors, or of the disc's. */
function unitOf(disk: Source): number {
  return [SECTOR, 2048].find((unit) => unit + 2 <= disk.size && isEntry(readBytes(disk, unit, 2))) ?? SECTOR;
}

/** By the signature of the block behind the two boot blocks. */
function kindAt(disk: Source, start: number): string | undefined {
  const at = start + 2 * SECTOR;
  return at + 2 > disk.size ? undefined : kinds[readBytes(disk, at, 2).toString("latin1")];
}

/** What a user should know of them, a sentence each. */
export function notesOnHybrids(disk: Source): readonly string[] {
  return macintoshVolumes(disk).map(({ kind, partition }) => {
    const place = partition === 0 ? "disk.raw" : `partitions/${partition}.raw`;
    const type = kind === "HFS" ? "hfs" : "hfsplus";
    return `It is a hybrid disc: ${place} is an ${kind} file system, too, with Macintosh names and resource forks (mount -t ${type}). Its files are not shown here.`;
  });
}
