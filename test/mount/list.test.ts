// What `flatmount list` tells people: where each mount is in sight, and of what was attached its devices.
import { statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { describeAttached, expectNothingLeft, loopDevices, succeed } from "../support/attach.js";
import { fileSystemMakers, makeDisk, makeTree } from "../support/file-systems.js";
import { describeMounts, type Mounts, useMounts } from "../support/mount.js";
import { requireProgram, run } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";
import { sampleDisk } from "./sample.js";

const titles = ["IMAGE", "FORMAT", "MOUNTPOINT", "DEVICE", "TRANSPORT", "PID", "SINCE (UTC)"];

describeMounts("list", () => {
  describe.skipIf(!requireProgram("qemu-img"))("a mount", () => {
    const mounts = useMounts("devfuse");

    test("where it is, and who serves it", async () => {
      const { image } = sampleDisk(mounts.directory);
      expect(succeed(mounts, ["list"])).toBe("");
      const served = await mounts.serve(image);
      const [head, row, ...more] = tableOf(mounts);
      expect(head).toEqual(titles);
      expect(row).toEqual([
        image,
        "qcow2",
        served.mountpoint,
        "-",
        "devfuse",
        String(served.pid),
        expect.stringMatching(/^[\d-]+ [\d:]+$/),
      ]);
      expect(more).toEqual([]);
      await served.leave();
      expect(succeed(mounts, ["list"])).toBe("");
    });
  });

  describe.skipIf(!["sfdisk", "tar", "mke2fs"].every(requireProgram))("what is attached", () => {
    describeAttached("a disk with one partition", attached);
  });
});

function attached(mounts: Mounts): void {
  const before = loopDevices();
  let home: string;
  let disk: string;
  beforeAll(() => {
    home = subdirectory(mounts.directory);
    fileSystemMakers.ext4(join(home, "ext4"), makeTree(join(home, "tree")));
    disk = makeDisk(join(home, "disk.raw"), [{ name: "root", file: join(home, "ext4"), size: 24 }]);
  });

  test("the whole disk: its device, and no folder that nobody can reach", () => {
    const [device = ""] = succeed(mounts, ["attach", disk]).split(" ");
    expect(placesOf(mounts)).toEqual([["-", device]]);
    succeed(mounts, ["detach", disk]);
    expectNothingLeft(mounts, before);
  });

  test("the whole disk, and a file system on it mounted by flatmount: both devices", () => {
    const [device = ""] = succeed(mounts, ["attach", disk]).split(" ");
    const place = subdirectory(home);
    succeed(mounts, ["attach", disk, "--mount", place]);
    expect(placesOf(mounts)).toEqual([
      ["-", device],
      [place, mountAt(place)?.source],
    ]);
    expect(mountAt(place)?.source).not.toBe(device);
    succeed(mounts, ["detach", disk]);
    expectNothingLeft(mounts, before);
  });

  test("a file system mounted by flatmount: its mount point, and the device below it", () => {
    const place = subdirectory(home);
    succeed(mounts, ["attach", disk, "--mount", place]);
    const [[, device = ""] = []] = placesOf(mounts);
    expect(placesOf(mounts)).toEqual([[place, device]]);
    expect(statSync(device).isBlockDevice()).toBe(true);
    succeed(mounts, ["detach", place]);
    expectNothingLeft(mounts, before);
  });

  test("a device that stays, with two mounts, of which one goes", () => {
    const [device = ""] = succeed(mounts, ["attach", disk, "--partition", "1"]).split(" ");
    expect(placesOf(mounts)).toEqual([["-", device]]);
    const places = [subdirectory(home), subdirectory(home)];
    for (const place of places) succeed(mounts, ["attach", disk, "--mount", place]);
    expect(placesOf(mounts)).toEqual(places.map((place) => [place, device]));
    // By others: the record still has it.
    run("umount", [places[0] ?? ""]);
    expect(placesOf(mounts)).toEqual([[places[1], device]]);
    run("umount", [places[1] ?? ""]);
    expect(placesOf(mounts)).toEqual([["-", device]]);
    succeed(mounts, ["detach", disk]);
    expectNothingLeft(mounts, before);
  });
}

/** Mount point and device, row by row. */
function placesOf(mounts: Mounts): readonly (readonly string[])[] {
  const [head, ...rows] = tableOf(mounts);
  expect(head).toEqual(titles);
  return rows.map((row) => row.slice(2, 4));
}

function tableOf(mounts: Mounts): readonly (readonly string[])[] {
  const lines = succeed(mounts, ["list"]).trimEnd().split("\n");
  return lines.map((line) => line.split(/ {2,}/));
}
