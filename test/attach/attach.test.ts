// Partitions as block devices, and the file systems on them, mounted. The kernel that the tests run on need not know partition tables, but these file systems.
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { MountRecord } from "../../src/daemon/state.js";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { describeAttached, expectNothingLeft, expectSameTree, loopDevices, succeed } from "../support/attach.js";
import { copyUnclean, fileSystemMakers, fileSystemPrograms, makeDisk, makeTree } from "../support/file-systems.js";
import { fingerprint } from "../support/hash.js";
import { describeMounts, type Mounts, ordinaryUser } from "../support/mount.js";
import { qemuImg, requireProgram, run } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";
import { disklabel } from "../support/volume-builder.js";
import { trouble } from "./trouble.js";

const available = ["qemu-img", "sfdisk", "losetup", "tar", ...fileSystemPrograms].every(requireProgram);

describeMounts("attach", () => {
  describe.skipIf(!available)("with the programs that make file systems", () => {
    describeAttached("a disk with five file systems", fiveFileSystems);
    describeAttached("a file system that was not unmounted", unclean);
    describeAttached("what to attach", choices);
    describeAttached("attach in trouble", trouble);
  });
});

const kinds = ["ext4", "xfs", "btrfs", "squashfs", "erofs"] as const;

function fiveFileSystems(mounts: Mounts): void {
  let home: string;
  let tree: string;
  let disk: string;
  const before = loopDevices();
  beforeAll(() => {
    home = subdirectory(mounts.directory);
    tree = makeTree(join(home, "tree"));
    const sizes = { ext4: 24, xfs: 300, btrfs: 120, squashfs: 8, erofs: 8 };
    const partitions = kinds.map((name) => {
      const file = join(home, name);
      fileSystemMakers[name](file, tree);
      return { name, file, size: sizes[name] };
    });
    disk = makeDisk(join(home, "disk.raw"), partitions);
  });

  test.each(["qcow2", "vmdk", "vdi", "vhdx", "vpc", "raw"] as const)(
    "in %s: mounted over its devices, all have the same files",
    (format) => {
      const folder = subdirectory(home);
      const image = join(folder, `disk.${format}`);
      qemuImg("convert", "-f", "raw", "-O", format, disk, image);
      const hash = format === "raw" ? "" : fingerprint(folder);

      const { attached } = JSON.parse(succeed(mounts, ["attach", "--json", image])) as Required<MountRecord>;
      expect(attached.parts.map(({ name, fileSystem }) => [name, fileSystem?.type])).toEqual(kinds.map((kind) => [kind, kind]));
      for (const { device = "", fileSystem, name } of attached.parts) {
        const place = subdirectory(folder);
        run("mount", ["-t", fileSystem?.type ?? "", "-o", ["ro", ...(fileSystem?.options ?? [])].join(","), device, place]);
        expectSameTree(tree, place);
        run("umount", [place]);
        if (format === "qcow2") checkSound(name ?? "", device);
      }
      expect(loopDevices().get(attached.device ?? "")).toBe("/disk.raw");
      succeed(mounts, ["detach", image]);
      expectNothingLeft(mounts, before);
      if (format !== "raw") expect(fingerprint(folder)).toBe(hash);
    },
  );

  test.each(kinds.map((kind, index) => [kind, index + 1] as const))(
    "%s: mounted by one command, gone with umount(8)",
    async (kind, number) => {
      const image = join(home, "mounted.qcow2");
      if (!existsSync(image)) qemuImg("convert", "-f", "raw", "-O", "qcow2", disk, image);
      const place = join(home, `made for ${kind}`);
      const said = succeed(mounts, ["attach", image, "--partition", String(number), "--mount", place]);
      expect(said).toContain(`partition ${number}`);
      expect(mountAt(place)).toMatchObject({ type: kind, options: expect.arrayContaining(["ro", "nosuid", "nodev"]) as unknown });
      expectSameTree(tree, place);
      const [{ pid }] = mounts.list() as [MountRecord];
      run("umount", [place]);
      await expect.poll(() => existsSync(`/proc/${pid}/fd/0`), { timeout: 10_000 }).toBe(false);
      expect(existsSync(place)).toBe(false);
      expectNothingLeft(mounts, before);
    },
  );

  test("which is meant has to be said", () => {
    const { status, stderr } = mounts.flatmount(["attach", disk, "--mount", join(home, "nowhere")]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/5 parts .*: 1 \(ext4\), 2 \(XFS\), .*\nhint: .*--partition/)]);
    expect(mounts.flatmount(["attach", disk, "--partition", "7"]).stderr).toMatch(
      /no partition or volume "7"\nhint: There are: 1 \(ext4\)/,
    );
    expect(existsSync(join(home, "nowhere"))).toBe(false);
    expectNothingLeft(mounts, before);
  });

  test("lines for people", () => {
    const [first, ...lines] = succeed(mounts, ["attach", disk]).trimEnd().split("\n");
    expect(first).toMatch(/^\/dev\/loop\d+ {2,}462 MiB {2}- {2,}.*disk\.raw \(raw\)$/);
    expect(lines.slice(0, 5).map((line) => line.replace(/^\S+/, "").replaceAll(/ {2,}/g, " "))).toEqual([
      ' 24 MiB ext4 Linux filesystem, "ext4"',
      ' 300 MiB XFS Linux filesystem, "xfs"',
      ' 120 MiB Btrfs Linux filesystem, "btrfs"',
      ' 8 MiB SquashFS Linux filesystem, "squashfs"',
      ' 8 MiB EROFS Linux filesystem, "erofs"',
    ]);
    expect(lines[5]).toMatch(/^Mount it with "mount -t ext4 -o ro,noload \/dev\/loop\S+ DIR"/);
    // Said again, it is the same device.
    expect(succeed(mounts, ["attach", disk]).split("\n")[0]).toBe(first);
    expect(mounts.list()).toHaveLength(1);
    succeed(mounts, ["detach", /^\S+/.exec(first ?? "")?.[0] ?? ""]);
    expectNothingLeft(mounts, before);
  });
}

function checkSound(kind: string, device: string): void {
  if (kind === "ext4") run("e2fsck", ["-fn", device]);
  if (kind === "xfs") run("xfs_repair", ["-n", device]);
  if (kind === "btrfs") run("btrfs", ["check", "--readonly", device]);
  if (kind === "erofs" && existsSync("/usr/bin/fsck.erofs")) run("fsck.erofs", [device]);
}

/** What was in the file system before it was mounted is there; the machine died while it was. */
function unclean(mounts: Mounts): void {
  const before = loopDevices();
  test.each(["ext4", "xfs", "btrfs"] as const)("%s: its journal stays as it is", (kind) => {
    const home = subdirectory(mounts.directory);
    const tree = makeTree(join(home, "tree"));
    const clean = join(home, "clean");
    fileSystemMakers[kind](clean, tree);
    const image = join(home, "unclean.raw");
    copyUnclean(clean, image, (folder) => {
      run("dd", ["if=/dev/zero", `of=${folder}/newer`, "bs=4096", "count=20", "conv=fsync", "status=none"]);
    });
    const hash = fingerprint(home);

    // It is unclean indeed: without the options it would have to be written to.
    const place = subdirectory(home);
    expect(() => run("mount", ["-t", kind, "-o", "ro,loop", image, place])).toThrow("exit status");
    const { status, stderr } = mounts.flatmount(["attach", image, "--mount", place]);
    expect(status).toBe(0);
    if (kind !== "xfs") expect(stderr).toMatch(/was not replayed: what was written last may be missing/);
    run("diff", ["-r", "--no-dereference", "-x", "lost+found", "-x", "newer", tree, place]);
    succeed(mounts, ["detach", place]);
    expectNothingLeft(mounts, before);
    expect(fingerprint(home)).toBe(hash);
  });
}

function choices(mounts: Mounts): void {
  const before = loopDevices();
  let home: string;
  let tree: string;
  beforeAll(() => {
    home = subdirectory(mounts.directory);
    tree = makeTree(join(home, "tree"));
    fileSystemMakers.ext4(join(home, "ext4"), tree);
  });

  test("a disk without partitions is mounted as it is", () => {
    const place = subdirectory(home);
    expect(succeed(mounts, ["attach", join(home, "ext4"), "--mount", place])).toMatch(/ext4 \(ext4, 24 MiB\) is mounted at /);
    expectSameTree(tree, place);
    succeed(mounts, ["detach", place]);
    expectNothingLeft(mounts, before);
  });

  test("the only file system of several partitions is the one that is meant", () => {
    const swap = join(home, "swap");
    run("truncate", ["-s", "1M", swap]);
    run("mkswap", [swap]);
    const parts = [
      { name: "a", file: swap, size: 1 },
      { name: "b", size: 1 },
      { name: "c", file: join(home, "ext4"), size: 24 },
    ];
    const disk = makeDisk(join(home, "three.raw"), parts, "dos");
    const place = subdirectory(home);
    expect(succeed(mounts, ["attach", disk, "--mount", place])).toMatch(/three\.raw, partition 3 \(ext4, 24 MiB\) is mounted at /);
    expectSameTree(tree, place);
    succeed(mounts, ["detach", disk]);
    const refused = mounts.flatmount(["attach", disk, "--mount", place, "--partition", "1"]);
    expect(refused.stderr).toMatch(/partition 1: swap cannot be mounted as it is\nhint: It holds no files/);
    expect(mounts.flatmount(["attach", disk, "--mount", place, "--partition", "2"]).stderr).toMatch(
      /partition 2: no file system is recognised/,
    );
    expectNothingLeft(mounts, before);
  });

  test("one partition alone, and what shares its device", () => {
    const disk = makeDisk(join(home, "shared.raw"), [{ name: "root", file: join(home, "ext4"), size: 24 }]);
    const [device = ""] = succeed(mounts, ["attach", disk, "--partition", "1"]).split(" ");
    expect(statSync(device).isBlockDevice()).toBe(true);
    expect(readFileSync(device).equals(readFileSync(join(home, "ext4")))).toBe(true);
    const places = [subdirectory(home), subdirectory(home)];
    for (const place of places) succeed(mounts, ["attach", disk, "--mount", place]);
    for (const place of places) expect(mountAt(place)?.source).toBe(device);
    succeed(mounts, ["detach", places[0] ?? ""]);
    expect(readdirSync(places[0] ?? "")).toEqual([]);
    expectSameTree(tree, places[1] ?? "");
    succeed(mounts, ["detach", disk]);
    expectNothingLeft(mounts, before);
  });

  test("a volume by its name", () => {
    const disk = join(home, "labelled.raw");
    const sectors = statSync(join(home, "ext4")).size / 512;
    const label = disklabel([
      { index: 0, start: 2048, size: sectors, type: 17 },
      { index: 3, start: 2048 + sectors, size: 2048 },
    ]);
    writeFileSync(
      disk,
      Buffer.concat([Buffer.alloc(512), label, Buffer.alloc(2 ** 20 - 512 - label.length), readFileSync(join(home, "ext4"))]),
    );
    truncateSync(disk, (4096 + sectors) * 512);
    expect(succeed(mounts, ["attach", disk])).toMatch(/--partition a +24 MiB +ext4 +BSD disklabel/);
    const place = subdirectory(home);
    expect(succeed(mounts, ["attach", disk, "--partition", "a", "--mount", place])).toMatch(
      /labelled\.raw, volume a \(ext4, 24 MiB\) is mounted at /,
    );
    expectSameTree(tree, place);
    succeed(mounts, ["detach", disk]);
    expectNothingLeft(mounts, before);
  });

  test("told twice, detach does nothing; what is not ours is left alone", () => {
    const disk = join(home, "ext4");
    succeed(mounts, ["attach", disk]);
    succeed(mounts, ["detach", disk]);
    const again = mounts.flatmount(["detach", disk]);
    expect([again.status, again.stderr]).toEqual([0, expect.stringContaining("nothing is attached")]);
    expect(mounts.flatmount(["detach", join(home, "missing")]).status).toBe(1);
    const device = run("losetup", ["--find", "--show", "--read-only", disk]).trim();
    const refused = mounts.flatmount(["detach", device]);
    run("losetup", ["-d", device]);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/is not ours\nhint: .*losetup -d/)]);
  });

  test("an ordinary user is told what to do", () => {
    const { status, stderr } = mounts.flatmount(["attach", join(home, "ext4")], "ordinary user");
    expect(ordinaryUser.uid).not.toBe(0);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/only root .*\nhint: .*fuse2fs/)]);
  });
}
