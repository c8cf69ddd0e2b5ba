import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { mixed, text } from "../support/content.js";
import { isRoot, type Mounts, type Served } from "../support/mount.js";
import { qemuImg, requireProgram, run } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const SIZE = 24 * MIB;
const START = MIB;
const FILES = 16 * MIB;

/** A GPT disk: an ext4 file system with files in it, then a partition of bytes, then one with a number that leaves a gap. */
export function partitions(mounts: Mounts): void {
  if (!requireProgram("sgdisk") || !requireProgram("mke2fs")) {
    test.skip("needs sgdisk and mke2fs", () => undefined);
    return;
  }
  let tree: string;
  let served: Served;
  beforeAll(async () => {
    const home = subdirectory(mounts.directory);
    tree = join(home, "tree");
    makeFiles(tree);
    const disk = join(home, "disk.raw");
    makeDisk(disk, tree);
    qemuImg("convert", "-f", "raw", "-O", "qcow2", disk, join(home, "disk.qcow2"));
    served = await mounts.serve(join(home, "disk.qcow2"));
  });

  test("are files beside the disk", () => {
    expect(readdirSync(served.mountpoint).toSorted()).toEqual(["disk.raw", "info.json", "partitions", "stats.json"]);
    expect(readdirSync(join(served.mountpoint, "partitions")).toSorted()).toEqual(["1.raw", "2.raw", "5.raw"]);
  });

  test("each holds its part of the disk", () => {
    const disk = readFileSync(served.disk);
    const info = JSON.parse(readFileSync(join(served.mountpoint, "info.json"), "utf8")) as {
      partitions: { number: number; start: number; size: number }[];
    };
    expect(info.partitions.map(({ number, start, size }) => [number, start, size])).toEqual([
      [1, START, FILES],
      [2, START + FILES, 3 * MIB],
      [5, START + FILES + 3 * MIB, MIB],
    ]);
    for (const { number, start, size } of info.partitions) {
      const content = readFileSync(join(served.mountpoint, "partitions", `${number}.raw`));
      expect(content.equals(disk.subarray(start, start + size))).toBe(true);
    }
  });

  test("a file system in one is sound", () => {
    run("e2fsck", ["-fn", join(served.mountpoint, "partitions", "1.raw")]);
  });

  test.runIf(isRoot && existsSync("/dev/loop-control"))("a file system in one can be mounted, and has all its files", () => {
    const folder = subdirectory(mounts.directory);
    run("mount", ["-o", "loop,ro", join(served.mountpoint, "partitions", "1.raw"), folder]);
    try {
      run("diff", ["-r", "--no-dereference", "-x", "lost+found", tree, folder]);
      expect(readdirSync(folder)).toContain("many");
    } finally {
      run("umount", [folder]);
    }
  });
}

function makeFiles(tree: string): void {
  mkdirSync(join(tree, "many", "deep", "er"), { recursive: true });
  for (let index = 0; index < 60; index += 1) writeFileSync(join(tree, "many", `file ${index}`), text(index, index * 997));
  writeFileSync(join(tree, "many", "deep", "er", "large"), mixed(2, 5 * MIB));
  writeFileSync(join(tree, "empty"), "");
  symlinkSync("many/deep", join(tree, "link"));
}

function makeDisk(disk: string, tree: string): void {
  writeFileSync(disk, "");
  truncateSync(disk, SIZE);
  const bounds = [START, START + FILES, START + FILES + 3 * MIB, START + FILES + 4 * MIB].map((at) => at / 512);
  const ranges = [1, 2, 5].map((number, index) => `--new=${number}:${bounds[index]}:${(bounds[index + 1] ?? 0) - 1}`);
  run("sgdisk", ["--set-alignment=1", ...ranges, disk]);
  const content = readFileSync(disk);
  mixed(9, 4 * MIB).copy(content, START + FILES);
  writeFileSync(disk, content);
  run("mke2fs", ["-q", "-F", "-t", "ext4", "-d", tree, "-E", `offset=${START}`, disk, `${FILES / 1024}k`]);
}
