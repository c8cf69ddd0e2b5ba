// File systems as their own programs make them.
import { closeSync, ftruncateSync, mkdirSync, openSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mixed, text } from "./content.js";
import { run } from "./qemu.js";
import { subdirectory } from "./temp.js";

const MIB = 2 ** 20;

/** Files of all sizes, folders and links; what `diff -r` sees. */
export function makeTree(folder: string): string {
  mkdirSync(join(folder, "deep/deeper/deepest"), { recursive: true });
  writeFileSync(join(folder, "empty"), "");
  writeFileSync(join(folder, "one byte"), "1");
  writeFileSync(join(folder, "größer.txt"), text(1, 70_001));
  writeFileSync(join(folder, "deep/large"), mixed(2, 3 * MIB + 17));
  for (let index = 0; index < 60; index += 1) writeFileSync(join(folder, "deep/deeper", `file ${index}`), text(index, index * 331));
  symlinkSync("../größer.txt", join(folder, "deep/link"));
  return folder;
}

export function blankFile(path: string, size: number): string {
  const file = openSync(path, "w");
  ftruncateSync(file, size);
  closeSync(file);
  return path;
}

export const fileSystemMakers = {
  ext4: (path: string, tree: string) => {
    run("mke2fs", ["-q", "-t", "ext4", "-d", tree, blankFile(path, 24 * MIB)]);
  },
  // The smallest that mkfs.xfs makes.
  xfs: (path: string, tree: string) => {
    run("mkfs.xfs", ["-q", blankFile(path, 300 * MIB)]);
    changeMounted(path, (folder) => run("cp", ["-a", `${tree}/.`, folder]));
  },
  btrfs: (path: string, tree: string) => {
    run("mkfs.btrfs", ["-q", "--rootdir", tree, blankFile(path, 120 * MIB)]);
  },
  squashfs: (path: string, tree: string) => {
    run("mksquashfs", [tree, path, "-quiet", "-no-progress"]);
  },
  erofs: (path: string, tree: string) => {
    run("mkfs.erofs", ["--quiet", path, tree]);
  },
} as const;

/** What it takes to make them all. */
export const fileSystemPrograms = ["mke2fs", "mkfs.xfs", "mkfs.btrfs", "mksquashfs", "mkfs.erofs"] as const;

/** Mounts for writing; what `change` gives, once that is unmounted. */
function changeMounted<T>(path: string, change: (folder: string) => T): T {
  const folder = subdirectory(join(path, ".."));
  run("mount", ["-o", "loop", path, folder]);
  try {
    return change(folder);
  } finally {
    run("umount", [folder]);
  }
}

/** A copy of the file system as it is when the machine dies after `change` was written to stable storage. */
export function copyUnclean(path: string, copy: string, change: (folder: string) => void): void {
  changeMounted(path, (folder) => {
    change(folder);
    run("cp", ["--sparse=always", path, copy]);
  });
}

export interface PartitionContent {
  readonly name: string;
  /** A file that holds it; partitions without one are blank. */
  readonly file?: string;
  /** MiB. */
  readonly size: number;
}

/** A disk with these partitions, one after the other, from the first MiB on. */
export function makeDisk(path: string, partitions: readonly PartitionContent[], label: "gpt" | "dos" = "gpt"): string {
  const total = partitions.reduce((sum, { size }) => sum + size, 2);
  blankFile(path, total * MIB);
  const lines = partitions.map(({ size, name }) => `size=${size}MiB${label === "gpt" ? `, name="${name}"` : ""}`);
  const script = join(subdirectory(join(path, "..")), "script");
  writeFileSync(script, [`label: ${label}`, ...lines].join("\n"));
  run("sh", ["-c", 'sfdisk --quiet "$1" < "$2"', "sh", path, script]);
  let start = 1;
  for (const { file, size } of partitions) {
    if (file !== undefined) run("dd", [`if=${file}`, `of=${path}`, "bs=1M", `seek=${start}`, "conv=notrunc,sparse", "status=none"]);
    start += size;
  }
  return path;
}
