import { readBytes, type Source } from "../../source/source.js";
import { createWindow } from "../../source/window.js";
import { ImageError } from "../../util/errors.js";
import { quote } from "../../util/text.js";
import { decodeText } from "../../util/decode-text.js";
import { BLOCK, decodeHeader, decodePax, idOf, paxTime, type TarHeader, types } from "../../formats/tar-header.js";
import { oldSparse, paxSparse, type SparseMap } from "./sparse.js";

/** One member of an archive. */
export interface Member extends TarHeader {
  /** Of its header: what it is known by. */
  readonly position: number;
  /** Of its data. */
  readonly data: number;
  /** Of the second that it was modified in, where the archive tells. */
  readonly nanoseconds?: number;
  /** Where it has holes. */
  readonly sparse?: SparseMap;
}

/** More members than that are no disk image's container. */
const MEMBER_LIMIT = 4_000_000;

/** Read at once: headers of small members lie in it together, and next to a big one it costs little. */
const WINDOW = 64 * 1024;

/** Bytes of a long name, or of pax records: those of old sparse members list every run. */
const EXTENSION_LIMIT = 64 * 2 ** 20;

export interface Members {
  readonly members: readonly Member[];
  readonly notes: readonly string[];
}

/** All members of the archive, by a walk over its headers. An archive that is cut gives those that are there, and a note. */
export function readMembers(disk: Source): Members {
  const members: Member[] = [];
  const notes: string[] = [];
  const global = new Map<string, string>();
  let next = new Map<string, string>();
  let position = 0;
  const read = createWindow(disk, WINDOW);
  while (position + BLOCK <= disk.size) {
    if (members.length >= MEMBER_LIMIT)
      throw new ImageError("UNSUPPORTED", `it has more than ${MEMBER_LIMIT} members`, { file: disk.name });
    const block = read(position, BLOCK);
    if (block[0] === 0 && isZero(block)) break;
    const header = decodeHeader(block);
    if (!header) {
      notes.push(`What follows byte ${position} is no tar header: members behind it are not shown.`);
      break;
    }
    const data = position + BLOCK;
    const stored = Math.ceil(header.size / BLOCK) * BLOCK;
    if (isExtension(header.type)) {
      if (header.size > EXTENSION_LIMIT || data + header.size > disk.size) {
        notes.push(`A header extension of ${header.size} bytes at byte ${position} cannot be: members behind it are not shown.`);
        break;
      }
      takeExtension(header, readBytes(disk, data, header.size), global, next);
      position = data + stored;
      continue;
    }
    const pax = merged(global, next);
    const member = memberOf(disk, { header, block, position, data }, pax);
    if (next.size > 0) next = new Map();
    const length = isStored(disk, member, pax.size > 0) ? member.size : 0;
    if (member.data + length > disk.size) notes.push(`The archive is cut inside the member ${quote(member.name)}.`);
    if (member.type === types.multiVolume) notes.push(`${quote(member.name)} began in another volume of the archive: it is not shown.`);
    else if (!notMembers.includes(member.type)) members.push(length === member.size ? member : { ...member, size: length });
    position = member.data + Math.ceil(length / BLOCK) * BLOCK;
  }
  if (position >= disk.size && members.length > 0 && position !== disk.size) notes.push("The archive has no end mark: it may be cut.");
  return { members, notes };
}

function merged(global: ReadonlyMap<string, string>, next: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return global.size === 0 ? next : new Map([...global, ...next]);
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

const extensions: readonly string[] = [types.paxNext, types.paxSolaris, types.paxGlobal, types.longName, types.longLink];

function isExtension(type: string): boolean {
  return extensions.includes(type);
}

/** What says something of the archive, or of a member, and is none. */
const notMembers: readonly string[] = [types.volumeLabel, types.accessList];

/** POSIX.1-2001, "ustar Interchange Format": whatever stands in their size, nothing follows their headers. */
const withoutData: readonly string[] = [types.symlink, types.characterDevice, types.blockDevice, types.directory, types.fifo];

/**
 * Whether the bytes of a member follow its header. Those of hard links do so by pax alone; V7, star and others wrote the size of the file, and no bytes.
 */
function isStored(disk: Source, { type, size, data }: Member, isPax: boolean): boolean {
  if (size === 0 || withoutData.includes(type)) return size === 0;
  if (type !== types.hardLink) return true;
  return (isPax || !headerFollows(disk, data)) && headerFollows(disk, data + Math.ceil(size / BLOCK) * BLOCK);
}

/** Whether a header stands at `position`, or what ends an archive. */
function headerFollows(disk: Source, position: number): boolean {
  if (position + BLOCK > disk.size) return position === disk.size;
  const block = readBytes(disk, position, BLOCK);
  return isZero(block) || decodeHeader(block) !== undefined;
}

function takeExtension({ type }: TarHeader, content: Buffer, global: Map<string, string>, next: Map<string, string>): void {
  const end = content.indexOf(0);
  const text = () => decodeText(end < 0 ? content : content.subarray(0, end));
  if (type === types.longName) next.set("path", text());
  else if (type === types.longLink) next.set("linkpath", text());
  else for (const [key, value] of decodePax(content)) (type === types.paxGlobal ? global : next).set(key, value);
}

function memberOf(
  disk: Source,
  { header, block, position, data }: { header: TarHeader; block: Buffer; position: number; data: number },
  pax: ReadonlyMap<string, string>,
): Member {
  if (pax.size === 0 && header.type !== types.gnuSparse) return Object.assign(header, { position, data });
  const number = (key: string, own: number): number => {
    const value = Number(pax.get(key) || Number.NaN);
    return value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : own;
  };
  const plain: Member = {
    ...header,
    // An empty value takes back what was said before (POSIX.1-2001, "pax Extended Header").
    name: pax.get("GNU.sparse.name") || pax.get("path") || header.name,
    link: pax.get("linkpath") || header.link,
    size: Math.floor(number("size", header.size)),
    uid: idOf(number("uid", header.uid)),
    gid: idOf(number("gid", header.gid)),
    ...(paxTime(pax.get("mtime")) ?? { modified: header.modified }),
    position,
    data,
  };
  if (header.type === types.gnuSparse) {
    const sparse = oldSparse(disk, block, data);
    if (!sparse)
      throw new ImageError("CORRUPT", `the list of holes of ${quote(plain.name)} leaves the file`, { file: disk.name, position });
    return { ...plain, type: types.file, data: data + sparse.extraBlocks * BLOCK, sparse };
  }
  const sparse = paxSparse(disk, pax, data, plain);
  return sparse ? { ...plain, sparse } : plain;
}
