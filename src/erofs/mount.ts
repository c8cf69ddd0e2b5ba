import { mkdtempSync, openSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { mountDetached } from "../native/mounting.js";
import type { Index } from "./writer.js";

/** Where an index may lie: the kernel reads one only from a file system that keeps its files on a disk, which that of the first folder may not be. */
export const indexFolders: readonly string[] = ["/var/tmp", join(homedir(), ".cache"), tmpdir()];

/** An empty file without a name; gone when it is closed and no mount needs it. */
export function openIndexFile(folder: string): number {
  const directory = mkdtempSync(join(folder, "flatmount-index-"));
  try {
    return openSync(join(directory, "index"), "wx+", 0o600);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Mounts an index where no path leads to: a descriptor of its root. Throws what the kernel says; `ENOTBLK`: not from the file system that it lies on. `source`: another path of the index. */
export function mountIndex(index: number, { devices }: Pick<Index, "devices">, source = pathOf(index)): number {
  const device = (fd: number) => ["device", pathOf(fd)] as const;
  return mountDetached("erofs", [["source", source], ...devices.map(({ fd }) => device(fd)), ["ro", ""]]);
}

/** A file of a mounted index. */
export function openIndexed(root: number, name: string): number {
  return openSync(`${pathOf(root)}/${name}`, "r");
}

/** Leads to an open file, whatever has become of its name. */
export function pathOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}
