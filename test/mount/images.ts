import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { mixed, text } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import type { Mounts, ServeOptions } from "../support/mount.js";
import { change, createImage, flat, qemuImg } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";
import { type Capabilities, testWhere } from "./capabilities.js";
import { sampleDisk } from "./sample.js";

const MIB = 2 ** 20;

export function images(mounts: Mounts, { mountsOnFiles }: Capabilities): void {
  /** Mounts the image, reads the disk, unmounts; what is in the image's folder is the same afterwards. */
  async function throughMount(image: string, options?: ServeOptions): Promise<Buffer> {
    const home = join(image, "..");
    const before = fingerprint(home);
    const times = statSync(image, { bigint: true }).mtimeNs;
    const { disk, leave } = await mounts.serve(image, options);
    const content = readFileSync(disk);
    await leave();
    expect(fingerprint(home)).toBe(before);
    expect(statSync(image, { bigint: true }).mtimeNs).toBe(times);
    return content;
  }

  test("a raw image", async () => {
    const image = join(subdirectory(mounts.directory), "disk.img");
    writeFileSync(image, mixed(8, MIB + 700));
    expect((await throughMount(image)).equals(readFileSync(image))).toBe(true);
  });

  test("a chain of three", async () => {
    const home = subdirectory(mounts.directory);
    const [base, middle, top] = ["base.raw", "middle.qcow2", "top.qcow2"].map((name) => join(home, name)) as [string, string, string];
    writeFileSync(base, mixed(4, 2 * MIB));
    createImage(middle, 3 * MIB, { backing: "base.raw" });
    change(middle, [{ kind: "write", at: 100_000, content: text(1, 300_000) }]);
    createImage(top, 4 * MIB, { backing: "middle.qcow2", backingFormat: "qcow2" });
    change(top, [
      { kind: "write", at: 200_000, content: text(2, 70_000) },
      { kind: "zero", at: 1_000_000, length: 100_000 },
    ]);
    expect((await throughMount(top)).equals(flat(top))).toBe(true);
  });

  test.each(["zlib", "zstd"])("clusters compressed with %s, read by four readers at once", async (type) => {
    const home = subdirectory(mounts.directory);
    const content = Buffer.concat([text(3, 3 * MIB), mixed(5, 3 * MIB), Buffer.alloc(MIB)]);
    writeFileSync(join(home, "flat.raw"), content);
    const image = join(home, "disk.qcow2");
    qemuImg("convert", "-f", "raw", "-O", "qcow2", "-c", "-o", `compression_type=${type}`, join(home, "flat.raw"), image);
    const { disk, leave } = await mounts.serve(image);
    const { readFile } = await import("node:fs/promises");
    for (const read of await Promise.all(Array.from({ length: 4 }, async () => readFile(disk)))) expect(read.equals(content)).toBe(true);
    await leave();
  });

  test("a snapshot, by its name", async () => {
    const image = join(subdirectory(mounts.directory), "disk.qcow2");
    createImage(image, 2 * MIB);
    change(image, [{ kind: "write", at: 50_000, content: mixed(1, 500_000) }]);
    qemuImg("snapshot", "-c", "before the upgrade", image);
    change(image, [{ kind: "write", at: 200_000, content: text(1, 900_000) }]);
    const then = await throughMount(image, { options: ["--snapshot", "before the upgrade"] });
    expect(then.equals(flat(image, { snapshot: "before the upgrade" }))).toBe(true);
    expect((await throughMount(image)).equals(flat(image))).toBe(true);
    expect(then.equals(flat(image))).toBe(false);
  });

  const names = ["with blanks  and\ttabs", "a,comma=b,ro", "back\\slash", "line\nbreak", "über – 磁盘", "-dash", "#(100%) [x]'\"$HOME"];
  test.each(names)("an image and a mount point called %j", async (name) => {
    const home = subdirectory(mounts.directory);
    const image = join(home, `${name}.qcow2`);
    renameSync(sampleDisk(mounts.directory).image, image);
    const mountpoint = join(home, name);
    mkdirSync(mountpoint);
    const { disk, leave } = await mounts.serve(image, { mountpoint });
    expect(readFileSync(disk).equals(flat(image))).toBe(true);
    expect(mountAt(mountpoint)?.source).toBe(image);
    expect(mounts.list().map((record) => [record.image, record.mountpoint])).toEqual([[image, mountpoint]]);
    await leave();
  });

  test("an image with a very long path", async () => {
    const folders = Array.from({ length: 6 }, (_, index) => `${index}`.padEnd(180, ",\\"));
    const home = join(subdirectory(mounts.directory), ...folders);
    mkdirSync(home, { recursive: true });
    const image = join(home, "disk.qcow2");
    const sample = sampleDisk(mounts.directory);
    renameSync(sample.image, image);
    const { mountpoint, disk, leave } = await mounts.serve(image);
    expect(readFileSync(disk).equals(sample.content)).toBe(true);
    // libfuse has no room for all of it.
    expect([image, basename(image)]).toContain(mountAt(mountpoint)?.source);
    await leave();
  });

  describe("on a regular file", () => {
    testWhere(mountsOnFiles)("the file is the disk until it is unmounted", async () => {
      const { image, content } = sampleDisk(mounts.directory);
      const mountpoint = join(subdirectory(mounts.directory), "here");
      writeFileSync(mountpoint, "was here before");
      const { leave } = await mounts.serve(image, { mountpoint });
      expect(statSync(mountpoint).size).toBe(content.length);
      expect(readFileSync(mountpoint).equals(content)).toBe(true);
      await leave();
      expect(readFileSync(mountpoint, "utf8")).toBe("was here before");
    });

    testWhere(!mountsOnFiles)("is refused", async () => {
      const { image } = sampleDisk(mounts.directory);
      const mountpoint = join(subdirectory(mounts.directory), "here");
      writeFileSync(mountpoint, "was here before");
      await expect(mounts.serve(image, { mountpoint })).rejects.toThrow(/cannot show a disk as a file[^]*hint: Choose a directory/);
      expect(readFileSync(mountpoint, "utf8")).toBe("was here before");
    });
  });
}
