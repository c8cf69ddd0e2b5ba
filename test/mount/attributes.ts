import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statfsSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { isRoot, type Mounts, type Served } from "../support/mount.js";
import { qemuMap, requireProgram, run } from "../support/qemu.js";
import type { Capabilities } from "./capabilities.js";
import { type SampleDisk, sampleDisk } from "./sample.js";

const CHANGED = 981_173_106.789;

export function attributes(mounts: Mounts, { timeStep }: Capabilities): void {
  let sample: SampleDisk;
  let served: Served;
  beforeAll(async () => {
    sample = sampleDisk(mounts.directory);
    utimesSync(sample.image, CHANGED, CHANGED);
    served = await mounts.serve(sample.image);
  });

  test("lists the disk and its description, the same ones each time", () => {
    for (let round = 0; round < 3; round += 1)
      expect(readdirSync(served.mountpoint).toSorted()).toEqual(["disk.raw", "info.json", "stats.json"]);
    const entries = readdirSync(served.mountpoint, { withFileTypes: true });
    expect(entries.every((entry) => entry.isFile())).toBe(true);
    expect(run("ls", ["-a", served.mountpoint]).trim().split("\n").toSorted()).toEqual([".", "..", "disk.raw", "info.json", "stats.json"]);
  });

  test("files can be read by all, the directory entered by all, nothing written", () => {
    const modes = [served.mountpoint, served.disk].map((path) => statSync(path).mode.toString(8));
    expect(modes).toEqual(["40555", "100444"]);
  });

  test("sizes, owner, links", () => {
    const { size, uid, gid, nlink, blksize } = statSync(served.disk);
    expect({ size, uid, gid, nlink, blksize }).toEqual({
      size: sample.content.length,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
      nlink: 1,
      blksize: 4096,
    });
    expect(statSync(served.mountpoint).nlink).toBe(2);
    expect(statSync(join(served.mountpoint, "info.json")).size).toBe(readFileSync(join(served.mountpoint, "info.json")).length);
  });

  test("blocks count what is stored, not the holes", () => {
    const stored = qemuMap(sample.image).reduce((sum, { data, length }) => sum + (data ? length : 0), 0);
    expect(statSync(served.disk).blocks).toBe(stored / 512);
    expect(stored).toBeLessThan(sample.content.length);
  });

  test("the disk was changed when its image was", () => {
    const { mtimeNs } = statSync(sample.image, { bigint: true });
    const step = BigInt(timeStep);
    expect(statSync(served.disk, { bigint: true }).mtimeNs).toBe((mtimeNs / step) * step);
    expect(Math.trunc(statSync(served.mountpoint).mtimeMs)).toBe(Math.trunc(CHANGED * 1000));
  });

  test("info.json is what info prints", () => {
    const info: unknown = JSON.parse(readFileSync(join(served.mountpoint, "info.json"), "utf8"));
    expect(info).toEqual(JSON.parse(mounts.flatmount(["info", "--json", sample.image]).stdout));
    expect(info).toMatchObject({ format: "qcow2", size: sample.content.length });
  });

  test("df shows a full file system", () => {
    const { bsize, blocks, bfree, bavail } = statfsSync(served.mountpoint);
    expect(blocks * bsize).toBeGreaterThanOrEqual(sample.content.length);
    expect([bfree, bavail]).toEqual([0, 0]);
    expect(run("df", ["--output=pcent", served.disk])).toMatch(/100%/);
  });

  test("mount and findmnt show what it is", () => {
    const mount = mountAt(served.mountpoint);
    expect(mount).toMatchObject({ type: "fuse.flatmount", source: sample.image });
    expect(mount?.options).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
  });

  test.skipIf(!requireProgram("getfattr"))("there are no extended attributes, and asking does not hang", () => {
    for (const options of [["-d"], ["-n", "user.comment"], ["-n", "security.capability"], ["-n", "system.posix_acl_access"]]) {
      const { stdout, signal } = spawnSync("getfattr", ["-m", "-", ...options, served.disk], { encoding: "utf8", timeout: 10_000 });
      expect({ stdout, signal }).toEqual({ stdout: "", signal: null });
    }
  });

  describe("with options", () => {
    test("--mode, --uid and --gid", async () => {
      const { mountpoint, disk, leave } = await mounts.serve(sample.image, {
        options: ["--mode", "0440", "--uid", "12345", "--gid", "54321"],
      });
      // Everybody but root has just given the files away.
      if (isRoot) {
        const { mode, uid, gid } = statSync(disk);
        expect([mode.toString(8), uid, gid]).toEqual(["100440", 12_345, 54_321]);
      }
      expect(statSync(mountpoint).mode.toString(8)).toBe("40550");
      await leave();
    });

    test("-o, as mount(8) says it", async () => {
      const { disk, leave } = await mounts.serve(sample.image, { options: ["-o", "ro,nosuid,mode=0400", "-o", "gid=77"] });
      expect([statSync(disk).mode.toString(8), statSync(disk).gid]).toEqual(["100400", 77]);
      await leave();
    });
  });
}
