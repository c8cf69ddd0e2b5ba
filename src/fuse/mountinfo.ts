// What is mounted where. Reference: proc(5), /proc/pid/mountinfo.
import { readFileSync } from "node:fs";

/** One mount of this process's namespace. */
export interface Mount {
  readonly id: number;
  /** Id of the mount it stands on. */
  readonly parent: number;
  /** Major and minor number, such as `0:45`. */
  readonly device: string;
  /** The part of the file system that is shown here. */
  readonly root: string;
  readonly mountpoint: string;
  /** Such as `fuse.flatmount`. */
  readonly type: string;
  readonly source: string;
  /** Of the mount and of the file system. */
  readonly options: readonly string[];
}

/** All mounts, in the order in which they were made; none where there is no /proc. */
export function mountsOf(): readonly Mount[] {
  let text: string;
  try {
    text = readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return [];
  }
  return text.split("\n").flatMap(parseLine);
}

/** The mount that stands at exactly this path (absolute, links resolved): the topmost, if there are several. */
export function mountAt(path: string): Mount | undefined {
  return mountsOf().findLast(({ mountpoint }) => mountpoint === path);
}

function parseLine(line: string): readonly Mount[] {
  // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
  const [before = "", after = ""] = line.split(" - ");
  const [id, parent, device, root, mountpoint, options] = before.split(" ");
  const [type, source, superOptions] = after.split(" ");
  if (device === undefined || root === undefined || mountpoint === undefined || type === undefined) return [];
  return [
    {
      id: Number(id),
      parent: Number(parent),
      device,
      root: unescape(root),
      mountpoint: unescape(mountpoint),
      type,
      source: unescape(source ?? ""),
      options: [...(options ?? "").split(","), ...(superOptions ?? "").split(",")],
    },
  ];
}

/** Blanks, tabs, newlines and backslashes are written as three octal digits. Bytes, not characters: UTF-8 is left as it is. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
