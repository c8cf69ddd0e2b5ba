import { execFileSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { mixed } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import type { Mounts } from "../support/mount.js";
import { buildManifest, buildOvf, buildTar } from "../support/ovf-builder.js";
import { qemuImg } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";
import { type Aspect, listFolder, makeTree, treeDifferences } from "../support/trees.js";

const MIB = 2 ** 20;

/** Packages, discs and compressed images, as other programs see them. */
export function containers(mounts: Mounts): void {
  const content = mixed(9, 4 * MIB);
  let home: string;
  let tree: string;

  beforeAll(() => {
    home = subdirectory(mounts.directory);
    tree = subdirectory(mounts.directory);
    makeTree(tree);
    writeFileSync(join(home, "flat.raw"), content);
    qemuImg("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", join(home, "flat.raw"), join(home, "disk.vmdk"));
    qemuImg("convert", "-f", "raw", "-O", "qcow2", join(home, "flat.raw"), join(home, "disk.qcow2"));
  });

  test("the disks of a package, in a compressed package as well", async () => {
    const disk = { name: "disk.vmdk", content: readFileSync(join(home, "disk.vmdk")) };
    const other = { name: "other.qcow2", content: readFileSync(join(home, "disk.qcow2")) };
    const ovf = buildOvf({
      files: [
        { id: "f1", href: disk.name },
        { id: "f2", href: other.name },
      ],
      disks: [
        { id: "d1", file: "f1", capacity: String(content.length) },
        { id: "d2", file: "f2", capacity: String(content.length) },
      ],
    });
    const members = [{ name: "m.ovf", content: ovf }, disk, other];
    const ova = buildTar([...members, { name: "m.mf", content: buildManifest(members) }]);
    const image = join(subdirectory(mounts.directory), "m.ova");
    writeFileSync(image, ova);
    for (const command of [undefined, ["gzip", "-k"], ["xz", "-k", "-T1"], ["zstd", "-q"], ["bzip2", "-k"]]) {
      if (command) execFileSync(command[0] ?? "", [...command.slice(1), image]);
    }
    const before = fingerprint(dirname(image));
    for (const name of readdirSync(dirname(image))) {
      const served = await mounts.serve(join(dirname(image), name));
      for (const each of ["disk", "other"]) {
        expect(readFileSync(join(served.mountpoint, "disks", each, "disk.raw")).equals(content), `${name} ${each}`).toBe(true);
      }
      expect(readFileSync(join(served.mountpoint, "files", "m.ovf"), "utf8")).toBe(ovf);
      await served.leave();
    }
    expect(fingerprint(dirname(image))).toBe(before);
  });

  test("the disk of a compressed image, from its end to its start and as a whole", async () => {
    const image = join(subdirectory(mounts.directory), "disk.qcow2.gz");
    writeFileSync(image, execFileSync("gzip", ["-c", join(home, "disk.qcow2")], { maxBuffer: 64 * MIB }));
    const served = await mounts.serve(image);
    const descriptor = openSync(served.disk, "r");
    const part = Buffer.alloc(100_001);
    for (let end = content.length; end > 0; end -= MIB) {
      const length = readSync(descriptor, part, 0, Math.min(part.length, end), Math.max(0, end - part.length));
      expect(part.subarray(0, length).equals(content.subarray(Math.max(0, end - part.length), end))).toBe(true);
    }
    closeSync(descriptor);
    expect(readFileSync(served.disk).equals(content)).toBe(true);
    await served.leave();
  });

  test.each(["iso", "tar", "tar.gz"])("the tree in %s, as find and sha256sum see it", async (kind) => {
    const image = join(subdirectory(mounts.directory), `tree.${kind}`);
    if (kind === "iso") execFileSync("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-o", image, tree], { stdio: "ignore" });
    else execFileSync("tar", [kind === "tar" ? "-cf" : "-czf", image, "-C", tree, "."]);
    const served = await mounts.serve(image);
    const aspects: readonly Aspect[] = ["kind", "mode", "modified", "size", "target", "sha256"];
    expect(treeDifferences(listFolder(join(served.mountpoint, "files"), aspects), listFolder(tree, aspects))).toEqual([]);
    expect(readlinkSync(join(served.mountpoint, "files", "link to text"))).toBe("text.txt");
    await served.leave();
  });
}
