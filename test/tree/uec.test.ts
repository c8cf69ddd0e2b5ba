// Tarballs of cloud images (UEC): a file system without a partition table, a kernel and a ramdisk.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Node, nodeAt, type Tree } from "../../src/tree/node.js";
import { openView } from "../../src/tree/view.js";
import { noise } from "../support/content.js";
import { requireProgram } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;

function bytesAt(tree: Tree, path: string): Buffer {
  const node = nodeAt(tree, path);
  if (node?.kind !== "file") throw new Error(`${path} is ${node?.kind ?? "not there"}`);
  const content = Buffer.alloc(node.file.size);
  node.file.read(content, 0);
  return content;
}

const targetOf = (node: Node | undefined): string | undefined => (node?.kind === "symlink" ? node.target : undefined);

describe.skipIf(!requireProgram("mke2fs"))("a UEC tarball", () => {
  const directory = tempDirectory();
  const prefix = "lucid-server-uec-amd64";
  let folder: string;
  let image: Buffer;

  beforeAll(() => {
    folder = join(subdirectory(directory), "in");
    const tree = subdirectory(directory);
    mkdirSync(folder);
    mkdirSync(join(tree, "etc"));
    writeFileSync(join(tree, "etc", "hostname"), "uec\n");
    execFileSync("mke2fs", ["-q", "-t", "ext3", "-d", tree, join(folder, `${prefix}.img`), "24M"], { stdio: "ignore" });
    image = readFileSync(join(folder, `${prefix}.img`));
    writeFileSync(join(folder, `${prefix}-vmlinuz-virtual`), noise(1, 900_000));
    writeFileSync(join(folder, `${prefix}-initrd-virtual`), noise(2, 700_000));
    writeFileSync(join(folder, `${prefix}-floppy.img`), noise(3, 40_000));
    writeFileSync(join(folder, "README.files"), "what is what\n");
  });

  test.each([
    ["tar.gz", ["-czf"]],
    ["tar.gz, sparse members", ["-Sczf"]],
    ["tar.xz", ["-cJf"]],
    ["tar.bz2", ["-cjf"]],
    ["tar", ["-cf"]],
  ])("%s: image, kernel and ramdisk by their roles", (_, options) => {
    const archive = join(subdirectory(directory), "uec");
    execFileSync("tar", [...options, archive, "-C", folder, "."]);
    const cacheFolder = subdirectory(directory);
    // The second time with what was found out the first time.
    for (let round = 0; round < 2; round += 1) {
      const view = openView({ image: archive, options: { cacheFolder }, root: "directory", mode: 0o444, cacheLimit: 8 * MIB });
      const { tree, description } = view;
      expect(Object.fromEntries(description.disks?.map(({ name, role }) => [name, role]) ?? [])).toEqual({
        [prefix]: "AMI",
        [`${prefix}-vmlinuz-virtual`]: "AKI",
        [`${prefix}-initrd-virtual`]: "ARI",
        [`${prefix}-floppy`]: undefined,
      });
      expect(targetOf(nodeAt(tree, "kernel"))).toBe(`files/${prefix}-vmlinuz-virtual`);
      expect(targetOf(nodeAt(tree, "ramdisk"))).toBe(`files/${prefix}-initrd-virtual`);
      expect(targetOf(nodeAt(tree, "disk.raw"))).toBe(`disks/${prefix}/disk.raw`);
      expect(bytesAt(tree, `disks/${prefix}/disk.raw`).equals(image)).toBe(true);
      expect(bytesAt(tree, `files/${prefix}-vmlinuz-virtual`).equals(noise(1, 900_000))).toBe(true);
      expect(bytesAt(tree, "files/README.files").toString()).toBe("what is what\n");
      view.close();
    }
  });
});
