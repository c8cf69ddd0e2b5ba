import type { Item, ItemKind } from "../container.js";
import { deviceOf, type Entry } from "./entry.js";
import { contentOf } from "./extents.js";
import { fileTypes } from "./layout.js";
import { decodePath } from "./names.js";
import { blockName, damagedUdf, mappedBytes, type Space } from "./space.js";

/** Of both ids: not recorded (UDF 3.3.3.1). */
const NO_ID = 0xffffffff;

/** Bytes of a symbolic link. */
const LINK_LIMIT = 64 * 1024;

const kinds: Readonly<Record<number, ItemKind>> = {
  [fileTypes.directory]: "directory",
  [fileTypes.streamDirectory]: "directory",
  [fileTypes.blockDevice]: "block device",
  [fileTypes.characterDevice]: "character device",
  [fileTypes.fifo]: "fifo",
  [fileTypes.socket]: "socket",
  [fileTypes.symlink]: "symlink",
};

export function itemOf(id: number, entry: Entry, target: string | undefined): Item {
  const { uid, gid, links, modified, size } = entry;
  const kind = kinds[entry.fileType] ?? "file";
  return {
    id,
    kind,
    mode: modeOf(entry),
    uid: uid === NO_ID ? undefined : uid,
    gid: gid === NO_ID ? undefined : gid,
    // Of directories it counts other things than elsewhere.
    links: kind === "directory" || links === 0 ? undefined : links,
    modified,
    size: kind === "file" || kind === "directory" ? size : 0,
    target,
    device: deviceOf(entry),
  };
}

/** 4/14.9.5: five bits for each class, the low three of which are those of POSIX. None at all are none recorded. */
function modeOf({ permissions, flags }: Entry): number | undefined {
  if (permissions === 0) return undefined;
  const classes = (permissions & 7) | (((permissions >>> 5) & 7) << 3) | (((permissions >>> 10) & 7) << 6);
  // 4/14.6.8: bits 6 to 8 are setuid, setgid and sticky.
  return classes | (flags & 0x40 ? 0o4000 : 0) | (flags & 0x80 ? 0o2000 : 0) | (flags & 0x100 ? 0o1000 : 0);
}

/** Where a symbolic link leads; undefined for all else. Throws what reading it throws. */
export function linkTarget(space: Space, entry: Entry): string | undefined {
  if (entry.fileType !== fileTypes.symlink) return undefined;
  const { size } = entry;
  const target = size <= LINK_LIMIT ? decodePath(mappedBytes(contentOf(space, entry), 0, size)) : undefined;
  if (target === undefined || target === "") throw damagedUdf(space, `the symbolic link of ${blockName(entry.address)} leads nowhere`);
  return target;
}
