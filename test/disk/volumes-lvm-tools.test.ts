// LVM2 itself, as the maker of volumes and as the judge of what is read from them. It works on loop devices, and without device-mapper.
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, readSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { readPartitions } from "../../src/disk/partitions/read.js";
import { readVolumes, type Volume, type VolumeScan } from "../../src/disk/volumes/read.js";
import { isRoot } from "../support/mount.js";
import { requireProgram, run } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { dashed, type LvShape, lvmUuid, stripes, vgText } from "../support/volume-builder.js";

const MiB = 2 ** 20;

function canLoop(): boolean {
  return isRoot && spawnSync("losetup", ["-f"], { stdio: "ignore" }).status === 0;
}

describe.skipIf(!requireProgram("lvm") || !requireProgram("sfdisk") || !canLoop())("LVM2 agrees about", () => {
  const directory = tempDirectory();
  const loops: { readonly device: string; readonly start: number }[] = [];

  afterEach(() => {
    for (const { device } of loops.splice(0)) run("losetup", ["-d", device]);
  });

  /** A disk of 128 MiB whose parts, `[start, size]` in bytes, are loop devices. */
  function makeDisk(parts: readonly (readonly [start: number, size: number])[]): string {
    const path = join(subdirectory(directory), "disk.raw");
    writeFileSync(path, "");
    truncateSync(path, 128 * MiB);
    const lines = parts.filter(([start]) => start > 0).map(([start, size]) => `start=${start / 512},size=${size / 512},type=8e`);
    if (lines.length > 0) {
      const { status, stderr } = spawnSync("sfdisk", ["-q", path], { input: `label: dos\n${lines.join("\n")}\n`, encoding: "utf8" });
      if (status !== 0) throw new Error(stderr);
    }
    for (const [start, size] of parts) {
      const device = run("losetup", ["-f", "--show", "-o", String(start), "--sizelimit", String(size), path]).trim();
      loops.push({ device, start });
    }
    return path;
  }

  /** Runs one of LVM's commands. It sees the loop devices of the test and nothing else. */
  function lvm(command: string, ...args: readonly string[]): string {
    const home = subdirectory(directory);
    const filter = [...loops.map(({ device }) => `"a|^${device}$|"`), '"r|.*|"'].join(", ");
    const configuration = [
      `global { locking_dir="${home}" wait_for_locks=0 use_lvmpolld=0 }`,
      `devices { use_devicesfile=0 filter=[${filter}] global_filter=[${filter}] obtain_device_list_from_udev=0 }`,
      "backup { backup=0 archive=0 }",
      "activation { monitoring=0 udev_sync=0 udev_rules=0 }",
    ];
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, "lvm.conf"), `${configuration.join("\n")}\n`);
    const result = spawnSync("lvm", [command, "--driverloaded", "n", ...args], {
      encoding: "utf8",
      env: { ...process.env, LVM_SYSTEM_DIR: home, LVM_SUPPRESS_FD_WARNINGS: "1" },
    });
    if (result.status !== 0) throw new Error(`lvm ${command} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  const create = (size: string, name: string, ...more: readonly string[]) =>
    lvm("lvcreate", "-an", "-Zn", "-Wn", "-y", "-L", size, "-n", name, ...more);

  function scanFile(path: string): VolumeScan {
    const fd = openSync(path, "r");
    try {
      const read = (target: Uint8Array, offset: number) => {
        if (readSync(fd, target, 0, target.length, offset) !== target.length) throw new Error("short read");
      };
      const disk = { size: statSync(path).size, read };
      return readVolumes(disk, readPartitions(disk));
    } finally {
      closeSync(fd);
    }
  }

  function readAt(path: string, target: Uint8Array, position: number): void {
    const fd = openSync(path, "r");
    readSync(fd, target, 0, target.length, position);
    closeSync(fd);
  }

  interface Segment {
    readonly lv_name: string;
    readonly lv_uuid: string;
    readonly segtype: string;
    /** Bytes. */
    readonly seg_start: string;
    readonly seg_size: string;
    readonly stripe_size: string;
    /** `/dev/loop0(12),/dev/loop1(0)`: extents. */
    readonly devices: string;
  }

  /** Where LVM says that each byte at a multiple of 4 KiB of the volume is on the disk. */
  function byLvm(group: string, name: string, extentSize: number): number[] {
    const fields = "lv_name,lv_uuid,segtype,seg_start,seg_size,stripe_size,devices";
    const report = lvm("lvs", "--segments", "-a", "--units", "b", "--nosuffix", "--reportformat", "json", "-o", fields, group);
    const segments = (JSON.parse(report) as { report: [{ seg: Segment[] }] }).report[0].seg.filter((each) => each.lv_name === name);
    const reported = lvm("pvs", "--noheadings", "--units", "b", "--nosuffix", "-o", "pv_name,pe_start").trim().split("\n");
    const firstExtents = new Map(reported.map((line) => line.trim().split(/\s+/) as [string, string]));
    const found: number[] = [];
    for (const segment of segments.toSorted((a, b) => Number(a.seg_start) - Number(b.seg_start))) {
      expect(Number(segment.seg_start)).toBe(found.length * 4096);
      const areas = segment.devices.split(",").map((area) => {
        const [, device, extent] = /^(.*)\((\d+)\)$/.exec(area) ?? [];
        return (
          (loops.find((each) => each.device === device)?.start ?? NaN) +
          Number(firstExtents.get(device ?? "")) +
          Number(extent) * extentSize
        );
      });
      const stripe = Number(segment.stripe_size);
      for (let at = 0; at < Number(segment.seg_size); at += 4096) {
        const index = areas.length === 1 ? 0 : Math.floor(at / stripe);
        const inside = areas.length === 1 ? at : Math.floor(index / areas.length) * stripe + (at % stripe);
        found.push((areas[index % areas.length] ?? NaN) + inside);
      }
    }
    return found;
  }

  function byUs({ pieces }: Volume): number[] {
    return pieces.flatMap(({ start, size }) => Array.from({ length: size / 4096 }, (_, index) => start + index * 4096));
  }

  function compare(path: string, group: string, names: readonly string[], extentSize: number): void {
    const { volumes, notes } = scanFile(path);
    expect(notes).toEqual([]);
    expect(volumes.map(({ name }) => name)).toEqual(names.map((name) => `${group}-${name}`));
    for (const [index, name] of names.entries()) {
      const volume = volumes[index];
      const places = byUs(volume as Volume);
      expect(places.length * 4096).toBe(volume?.size);
      expect(places).toEqual(byLvm(group, name, extentSize));
      expect(lvm("lvs", "--noheadings", "-o", "lv_uuid", `${group}/${name}`).trim()).toBe(volume?.uuid);
    }
  }

  test("linear volumes on a bare disk, grown and renamed, after many changes", () => {
    const path = makeDisk([[0, 128 * MiB]]);
    const [{ device } = { device: "" }] = loops;
    lvm("pvcreate", "--metadatasize", "64k", "--dataalignment", "64k", device);
    lvm("vgcreate", "-s", "1m", "vg0", device);
    create("8m", "root", "vg0");
    create("5m", "other", "vg0");
    lvm("lvextend", "-L", "+7m", "vg0/root");
    // Each change is written behind the one before it, and goes on at the start of the area where it reaches the end.
    let around = false;
    for (let round = 0; round < 40 && !around; round += 1) {
      const tags = Array.from({ length: 16 }, (_, index) => ["--addtag", `tag-${round}-${index}-${"x".repeat(100)}`]).flat();
      const old =
        round === 0 ? [] : Array.from({ length: 16 }, (_, index) => ["--deltag", `tag-${round - 1}-${index}-${"x".repeat(100)}`]).flat();
      lvm("lvchange", ...tags, ...old, "vg0/root");
      const header = Buffer.alloc(64);
      readAt(path, header, 4096);
      around = header.readBigUInt64LE(40) + header.readBigUInt64LE(48) > header.readBigUInt64LE(32);
    }
    expect(around).toBe(true);
    compare(path, "vg0", ["root", "other"], MiB);
    lvm("lvrename", "vg0/other", "swap");
    compare(path, "vg0", ["root", "swap"], MiB);
    expect(scanFile(path).volumes[0]?.pieces).toHaveLength(2);
  }, 60_000);

  test("linear and striped volumes over three partitions of a disk", () => {
    const path = makeDisk([
      [MiB, 40 * MiB],
      [41 * MiB, 30 * MiB],
      [80 * MiB, 40 * MiB],
    ]);
    const devices = loops.map(({ device }) => device);
    for (const device of devices) lvm("pvcreate", device);
    lvm("vgcreate", "-s", "64k", "fast", ...devices);
    create("9m", "three", "--type", "striped", "-i", "3", "-I", "16k", "fast");
    create("2m", "two", "--type", "striped", "-i", "2", "-I", "64k", "fast", devices[0] ?? "", devices[2] ?? "");
    lvm("lvextend", "-L", "+4m", "fast/three");
    create("60m", "long", "fast");
    compare(path, "fast", ["three", "two", "long"], 64 * 1024);
  }, 60_000);

  test("what the builder writes, and LVM restores", () => {
    const path = makeDisk([
      [MiB, 40 * MiB],
      [60 * MiB, 40 * MiB],
    ]);
    const uuids = ["AAAA", "BBBB"].map(lvmUuid);
    const linear = (name: string, from: number, extents: number, pv = "pv0"): LvShape => ({
      name,
      extents: [extents],
      segments: [stripes([[pv, from]])],
    });
    const hidden = (volume: LvShape, ...status: readonly string[]): LvShape => ({
      ...volume,
      hidden: true,
      status: ["READ", "WRITE", ...status],
    });
    const text = vgText({
      name: "made",
      pvs: uuids.map((uuid) => ({ uuid, extents: 600 })),
      volumes: [
        linear("plain", 0, 10),
        {
          name: "striped",
          extents: [8, 3],
          segments: [
            stripes(
              [
                ["pv0", 20],
                ["pv1", 30],
              ],
              32,
            ),
            stripes([["pv1", 50]]),
          ],
        },
        {
          name: "mirror",
          extents: [16],
          segments: [
            [
              `type = "raid1"`,
              "device_count = 2",
              "region_size = 2048",
              `raids = [\n"mirror_rmeta_0", "mirror_rimage_0",\n"mirror_rmeta_1", "mirror_rimage_1"\n]`,
            ],
          ],
        },
        linear("snap", 100, 4),
        hidden(linear("mirror_rmeta_0", 60, 1)),
        hidden(linear("mirror_rimage_0", 61, 16)),
        hidden(linear("mirror_rmeta_1", 100, 1, "pv1")),
        hidden(linear("mirror_rimage_1", 101, 16, "pv1")),
        {
          name: "snapshot0",
          hidden: true,
          extents: [10],
          segments: [[`type = "snapshot"`, "chunk_size = 8", `origin = "plain"`, `cow_store = "snap"`]],
        },
      ],
    });
    const file = join(directory, "made.vg");
    writeFileSync(file, text);
    for (const [index, { device }] of loops.entries()) {
      lvm("pvcreate", "--uuid", dashed(uuids[index] ?? ""), "--norestorefile", "--dataalignment", "1m", device);
    }
    lvm("vgcfgrestore", "-f", file, "made");
    const { volumes, notes } = scanFile(path);
    expect(notes).toEqual(["the LVM volume made/snap is not shown: it is a snapshot of plain, which is not supported"]);
    expect(volumes.map(({ name, typeName }) => `${name} ${typeName}`)).toEqual([
      "made-plain linear",
      "made-striped striped, linear",
      "made-mirror raid1",
    ]);
    const named = (name: string) => byUs(volumes.find((each) => each.name === `made-${name}`) as Volume);
    expect(named("plain")).toEqual(byLvm("made", "plain", 65_536));
    expect(named("striped")).toEqual(byLvm("made", "striped", 65_536));
    expect(named("mirror")).toEqual(byLvm("made", "[mirror_rimage_0]", 65_536));
  }, 60_000);
});
