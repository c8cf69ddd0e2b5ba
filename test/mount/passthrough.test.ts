// Reads that the kernel answers itself: from the image, or through an index over it.
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, readSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isRoot, describeMounts, type Mounts, until, useMounts } from "../support/mount.js";
import { mixed, randomNumbers, text } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { change, createImage, flat, qemuImg, requireProgram } from "../support/qemu.js";
import { difference } from "../support/reading.js";
import { subdirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const available = requireProgram("qemu-img") && isRoot;

describeMounts("passthrough", () => {
  describe.skipIf(!available)("as root", () => {
    const mounts = useMounts("devfuse");

    const shapes = [
      { name: "raw", expected: "image", size: 3 * MIB + 700 },
      { name: "qcow2", expected: "index", size: 5 * MIB + 512, options: [] },
      { name: "qcow2", expected: "index", size: 5 * MIB, options: ["-o", "cluster_size=512"] },
      { name: "qcow2", expected: "index", size: 5 * MIB + 1024, options: ["-o", "cluster_size=2M"] },
      { name: "qcow2", expected: "server", size: 5 * MIB, options: ["-c"] },
      { name: "vmdk", expected: "index", size: 5 * MIB },
      { name: "vdi", expected: "index", size: 5 * MIB },
      { name: "vpc", expected: "index", size: 5 * MIB },
      { name: "vpc", expected: "index", size: 5 * MIB, options: ["-o", "subformat=fixed"] },
      { name: "vhdx", expected: "index", size: 5 * MIB },
      { name: "qed", expected: "index", size: 5 * MIB },
      { name: "parallels", expected: "index", size: 5 * MIB },
    ] as const;
    test.each(shapes)("$name $options of $size bytes: $expected", async ({ name, expected, size, ...more }) => {
      const home = subdirectory(mounts.directory);
      const source = join(home, "source");
      const content = mixed(size % 251, size);
      content.fill(0, MIB, 2 * MIB);
      writeFileSync(source, content);
      const image = join(home, "image");
      qemuImg("convert", "-f", "raw", "-O", name, ...("options" in more ? more.options : []), source, image);
      await compare(mounts, image, expected, name === "raw" ? readFileSync(image) : flat(image, { format: name }));
    });

    test("a chain of eight", async () => {
      const home = subdirectory(mounts.directory);
      const images = Array.from({ length: 8 }, (_, index) => join(home, `${index}.qcow2`));
      for (const [index, image] of images.entries()) {
        createImage(image, (4 + index) * MIB, index === 0 ? {} : { backing: `${index - 1}.qcow2`, backingFormat: "qcow2" });
        change(image, [{ kind: "write", at: index * 300_000, content: text(index, 400_000) }]);
      }
      await compare(mounts, images.at(-1) ?? "", "index", flat(images.at(-1) ?? ""));
    });

    test("past the page cache: answered by the server; not while it is open as passed through", async () => {
      const { image, content } = sample(mounts);
      const { disk, mountpoint, leave } = await mounts.serve(image);
      await settled(mounts, mountpoint);
      const direct = () => spawnSync("dd", [`if=${disk}`, "iflag=direct", "bs=64k", "status=none"], { maxBuffer: 2 ** 26 });
      expect(difference(direct().stdout, content)).toBeUndefined();
      const held = openSync(disk, "r");
      expect(direct().stderr.toString()).toMatch(/Invalid argument/);
      expect(difference(readFileSync(disk), content)).toBeUndefined();
      closeSync(held);
      expect(difference(direct().stdout, content)).toBeUndefined();
      await leave();
    });

    test("opened before it is settled, it stays as it is, and later ones are passed on", async () => {
      const { image, content } = sample(mounts);
      for (let round = 0; round < 5; round += 1) {
        const { disk, mountpoint, leave } = await mounts.serve(image);
        const early = openSync(disk, "r");
        await settled(mounts, mountpoint);
        const late = openSync(disk, "r");
        for (const descriptor of [early, late, early]) {
          const part = Buffer.alloc(100_000);
          readSync(descriptor, part, 0, part.length, MIB - 50_000);
          expect(part.equals(content.subarray(MIB - 50_000, MIB + 50_000))).toBe(true);
        }
        closeSync(early);
        expect(difference(readFileSync(disk), content)).toBeUndefined();
        closeSync(late);
        expect(difference(readFileSync(disk), content)).toBeUndefined();
        await leave();
      }
    });

    test("partitions where no block begins are passed on with smaller blocks", async () => {
      const home = subdirectory(mounts.directory);
      const image = join(home, "disk.raw");
      writeFileSync(image, mixed(3, 4 * MIB));
      spawnSync("sfdisk", ["-q", image], { input: "label: dos\nstart=63,size=2000\nstart=2064,size=3000\n" });
      const { disk, mountpoint, leave } = await mounts.serve(image);
      const whole = readFileSync(image);
      expect(await settled(mounts, mountpoint)).toEqual([
        { file: "disk.raw", path: "image" },
        { file: "partitions/1.raw", path: "index" },
        { file: "partitions/2.raw", path: "index" },
      ]);
      const partition = (number: number) => readFileSync(join(disk, `../partitions/${number}.raw`));
      expect(difference(partition(1), whole.subarray(63 * 512, 2063 * 512))).toBeUndefined();
      expect(difference(partition(2), whole.subarray(2064 * 512, 5064 * 512))).toBeUndefined();
      await leave();
    });

    test("an image that was cut is not read as zeros when it is opened again", async () => {
      const { image } = sample(mounts);
      const { disk, mountpoint, leave } = await mounts.serve(image);
      await settled(mounts, mountpoint);
      truncateSync(image, 2 * MIB);
      expect(() => readFileSync(disk)).toThrow(/EIO/);
      await leave();
    });

    test("a damaged part fails, and nothing else", async () => {
      const { image, content } = sample(mounts);
      truncateSync(image, 2 * MIB);
      const { disk, mountpoint, leave } = await mounts.serve(image);
      expect((await settled(mounts, mountpoint)).map(({ path }) => path)).toEqual(["server"]);
      expect(() => readFileSync(disk)).toThrow(/EIO/);
      const part = Buffer.alloc(65_536);
      const descriptor = openSync(disk, "r");
      readSync(descriptor, part, 0, part.length, 0);
      closeSync(descriptor);
      expect(part.equals(content.subarray(0, 65_536))).toBe(true);
      await leave();
    });
  });
});

function sample(mounts: Mounts): { readonly image: string; readonly content: Buffer } {
  const home = subdirectory(mounts.directory);
  const content = mixed(5, 4 * MIB);
  writeFileSync(join(home, "source"), content);
  const image = join(home, "image.qcow2");
  qemuImg("convert", "-f", "raw", "-O", "qcow2", "-S", "0", join(home, "source"), image);
  return { image, content };
}

/** How the disks of a mount are read, once that is settled. */
async function settled(mounts: Mounts, mountpoint: string) {
  const paths = () => mounts.list().find((each) => each.mountpoint === mountpoint)?.paths;
  await until(() => paths() !== undefined, "the index");
  return paths() ?? [];
}

async function compare(mounts: Mounts, image: string, expected: string, content: Buffer): Promise<void> {
  const before = fingerprint(join(image, ".."));
  const { disk, mountpoint, leave } = await mounts.serve(image);
  const [first] = await settled(mounts, mountpoint);
  expect(first).toMatchObject({ file: "disk.raw", path: expected });
  expect(difference(readFileSync(disk), content)).toBeUndefined();
  const random = randomNumbers(content.length);
  const descriptor = openSync(disk, "r");
  for (let round = 0; round < 50; round += 1) {
    const offset = Math.floor(random() * content.length);
    const part = Buffer.alloc(Math.min(1 + Math.floor(random() * 200_000), content.length - offset), 0xee);
    expect(readSync(descriptor, part, 0, part.length, offset)).toBe(part.length);
    expect(part.equals(content.subarray(offset, offset + part.length))).toBe(true);
  }
  closeSync(descriptor);
  await leave();
  expect(fingerprint(join(image, ".."))).toBe(before);
}
