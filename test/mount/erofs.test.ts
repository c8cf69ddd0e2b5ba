// Mounts that the kernel serves alone, compared with those that we serve.
import { spawnSync } from "node:child_process";
import { existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mixed, text } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { describeMounts, isRoot, type Mounts, runUnmount, useMounts } from "../support/mount.js";
import { change, createImage, flat, qemuImg, requireProgram } from "../support/qemu.js";
import { difference } from "../support/reading.js";
import { subdirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const available = requireProgram("qemu-img") && requireProgram("genisoimage") && isRoot;

describeMounts("the erofs transport", () => {
  describe.skipIf(!available)("as root", () => {
    const mounts = useMounts("erofs");
    const served = useMounts("devfuse", ["--no-passthrough"]);

    test("a chain, its partitions, and what info says; no process stays", () => {
      const image = chain(mounts);
      const before = fingerprint(join(image, ".."));
      const record = mounts.start(image);
      expect(record).toMatchObject({ transport: "erofs", pid: 0 });
      expect(difference(readFileSync(join(record.mountpoint, "disk.raw")), flat(image))).toBeUndefined();
      expect(readdirSync(record.mountpoint)).toEqual(["disk.raw", "info.json"]);
      expect(JSON.parse(readFileSync(join(record.mountpoint, "info.json"), "utf8"))).toMatchObject({ format: "qcow2", size: 6 * MIB });
      expect(lstatSync(record.mountpoint).mode & 0o777).toBe(0o500);
      expect(mounts.list()).toMatchObject([{ image, mountpoint: record.mountpoint, transport: "erofs" }]);
      expect(mounts.flatmount(["umount", record.mountpoint])).toMatchObject({ status: 0, stderr: "" });
      expect(mounts.list()).toEqual([]);
      expect(mounts.stateFiles()).toEqual([]);
      expect(fingerprint(join(image, ".."))).toBe(before);
    });

    test("plain umount: nothing is listed any more, and a mount point that was made goes", () => {
      const image = chain(mounts);
      const mountpoint = join(subdirectory(mounts.directory), "made");
      mounts.start(image, mountpoint);
      runUnmount(mountpoint);
      expect(mounts.list()).toEqual([]);
      expect(existsSync(mountpoint)).toBe(false);
    });

    test.each(["disc", "tar"] as const)("the tree of a %s, entry by entry", async (kind) => {
      const home = subdirectory(mounts.directory);
      const image = join(home, kind === "disc" ? "disc.iso" : "files.tar");
      const tree = join(home, "tree");
      makeTree(tree);
      const made =
        kind === "disc" ? spawnSync("genisoimage", ["-R", "-quiet", "-o", image, tree]) : spawnSync("tar", ["-C", tree, "-cf", image, "."]);
      expect(made.status).toBe(0);
      const { mountpoint, leave } = await served.serve(image);
      const expected = walk(join(mountpoint, "files"));
      const record = mounts.start(image);
      expect(walk(join(record.mountpoint, "files"))).toEqual(expected);
      expect(expected.length).toBeGreaterThan(700);
      runUnmount(record.mountpoint);
      await leave();
    });

    test.each([["compressed", ["-c"], /cannot read disk.raw: it is compressed or encrypted\nhint: Without --transport erofs/]] as const)(
      "refuses what is %s, and leaves nothing",
      (_, options, message) => {
        const home = subdirectory(mounts.directory);
        writeFileSync(join(home, "source"), text(1, 3 * MIB));
        qemuImg("convert", "-f", "raw", "-O", "qcow2", ...options, join(home, "source"), join(home, "image.qcow2"));
        const { status, stderr } = mounts.flatmount(["mount", "--transport", "erofs", join(home, "image.qcow2"), join(home, "m")]);
        expect([status, stderr]).toEqual([1, expect.stringMatching(message)]);
        expect(existsSync(join(home, "m"))).toBe(false);
        expect(mounts.list()).toEqual([]);
      },
    );

    test("a damaged part is refused, too: the kernel would not tell", () => {
      const image = chain(mounts);
      const bytes = readFileSync(image);
      // An entry of the table that leads past the end of the file.
      const l1 = Number(bytes.readBigUInt64BE(40));
      bytes.writeBigUInt64BE(0x8000_00ff_0000_0000n, l1);
      writeFileSync(image, bytes);
      const { status, stderr } = mounts.flatmount(["mount", "--transport", "erofs", image, subdirectory(mounts.directory)]);
      expect([status, stderr]).toEqual([1, expect.stringMatching(/a part of it is damaged/)]);
    });

    test("flatmount index: the command that it prints mounts the index without us", () => {
      const image = chain(mounts);
      const out = join(image, "../out.erofs");
      const mountpoint = subdirectory(mounts.directory);
      const { status, stdout } = mounts.flatmount(["index", "--json", image, out]);
      expect(status).toBe(0);
      const { mount, devices } = JSON.parse(stdout) as { mount: string; devices: readonly string[] };
      expect(devices).toHaveLength(3);
      expect(spawnSync("sh", ["-c", mount.replace("MOUNTPOINT", mountpoint)], { encoding: "utf8" })).toMatchObject({ status: 0 });
      expect(difference(readFileSync(join(mountpoint, "disk.raw")), flat(image))).toBeUndefined();
      runUnmount(mountpoint);
      for (const device of devices) {
        const [loop = ""] = spawnSync("losetup", ["-j", device], { encoding: "utf8" }).stdout.split(":");
        expect(spawnSync("losetup", ["-d", loop]).status).toBe(0);
      }
      expect(mounts.flatmount(["index", image, out])).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/such a file already\nhint: --force/) as string,
      });
      expect(mounts.flatmount(["index", "--force", image, out])).toMatchObject({ status: 0 });
    });
  });
});

function chain(mounts: Mounts): string {
  const home = subdirectory(mounts.directory);
  writeFileSync(join(home, "base.raw"), mixed(4, 2 * MIB));
  createImage(join(home, "middle.qcow2"), 4 * MIB, { backing: "base.raw" });
  change(join(home, "middle.qcow2"), [{ kind: "write", at: 65_536, content: text(1, 300_000) }]);
  createImage(join(home, "top.qcow2"), 6 * MIB, { backing: "middle.qcow2", backingFormat: "qcow2" });
  change(join(home, "top.qcow2"), [{ kind: "write", at: 5 * MIB, content: text(2, 100_000) }]);
  return join(home, "top.qcow2");
}

function makeTree(root: string): void {
  mkdirSync(join(root, "many"), { recursive: true });
  for (let index = 0; index < 700; index += 1)
    writeFileSync(join(root, "many", `file-${index}-${"x".repeat(index % 90)}`), text(index, (index * 37) % 5000));
  mkdirSync(join(root, "empty"));
  mkdirSync(join(root, "deep/er/and/deeper"), { recursive: true });
  writeFileSync(join(root, "deep/er/and/deeper/large"), mixed(2, 3 * MIB + 17));
  writeFileSync(join(root, "nothing"), "");
  linkSync(join(root, "deep/er/and/deeper/large"), join(root, "second name"));
  for (const length of [1, 100, 447, 448, 449, 900]) symlinkSync("l".repeat(length), join(root, `link-${length}`));
  spawnSync("mkfifo", [join(root, "pipe")]);
  spawnSync("mknod", [join(root, "device"), "b", "8", "1"]);
  spawnSync("chown", ["1234:70000", join(root, "nothing")]);
  spawnSync("chmod", ["4751", join(root, "nothing")]);
  spawnSync("touch", ["-d", "1999-12-31 23:59:58 UTC", join(root, "nothing")]);
}

/** Everything that can be told of what is below `path`, in the order of names. */
function walk(path: string, name = ""): readonly unknown[] {
  const { mode, uid, gid, size, mtimeMs, rdev } = lstatSync(path);
  const stat = lstatSync(path);
  const own = { name, mode, uid, gid, mtimeMs, rdev, ...(stat.isDirectory() ? {} : { size }) };
  if (stat.isSymbolicLink()) return [{ ...own, target: readlinkSync(path) }];
  if (stat.isFile()) return [{ ...own, content: readFileSync(path).toString("base64") }];
  if (!stat.isDirectory()) return [own];
  return [
    own,
    ...readdirSync(path)
      .toSorted()
      .flatMap((each) => walk(join(path, each), `${name}/${each}`)),
  ];
}
