import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { mixed, noise } from "../support/content.js";
import type { Mounts, Served } from "../support/mount.js";
import { bootRecord } from "../support/partition-builder.js";
import { buildQcow2 } from "../support/qcow2-builder.js";
import { change, createImage, flat, qemuImg, run } from "../support/qemu.js";
import { difference } from "../support/reading.js";
import { subdirectory } from "../support/temp.js";
import { codeOf } from "./refusals.js";

const MIB = 2 ** 20;
const COUNT = 40;

/** States of a disk that grew, beside the disk as it is. */
export function snapshots(mounts: Mounts): void {
  let served: Served;
  let image: string;
  const at = (...names: readonly string[]) => join(served.mountpoint, "snapshots", ...names);
  beforeAll(async () => {
    image = join(subdirectory(mounts.directory), "disk.qcow2");
    createImage(image, 4 * MIB);
    const table = Buffer.concat([bootRecord([{ type: 0x83, start: 2048, count: 4096 }]), noise(1, 4096)]);
    change(image, [{ kind: "write", at: 0, content: table }]);
    change(image, [{ kind: "packed", at: MIB, content: mixed(2, 2 * MIB) }]);
    qemuImg("snapshot", "-c", "first/one", image);
    change(image, [{ kind: "zero", at: 0, length: 65_536 }]);
    qemuImg("resize", "-q", image, `${7 * MIB}`);
    change(image, [{ kind: "write", at: 5 * MIB + 512, content: mixed(3, MIB) }]);
    qemuImg("snapshot", "-c", "second", image);
    for (let index = 2; index < COUNT; index += 1) qemuImg("snapshot", "-c", `n${index}`, image);
    change(image, [{ kind: "write", at: 0, content: mixed(4, 3 * MIB) }]);
    served = await mounts.serve(image);
  });

  test("are directories, each with a disk, and its partitions where it has any", () => {
    expect(readdirSync(served.mountpoint).toSorted()).toEqual(["disk.raw", "info.json", "snapshots", "stats.json"]);
    const numbered = Array.from({ length: COUNT - 2 }, (_, index) => `n${index + 2}`);
    expect(readdirSync(at()).toSorted()).toEqual(["first_one", "second", ...numbered].toSorted());
    expect(readdirSync(at("first_one")).toSorted()).toEqual(["disk.raw", "partitions"]);
    expect(readdirSync(at("second"))).toEqual(["disk.raw"]);
    expect(codeOf(() => statSync(at("third")))).toBe("ENOENT");
  });

  test("each reads as QEMU reads it, and so does the disk as it is", () => {
    const first = flat(image, { snapshot: "first/one" });
    expect(difference(readFileSync(at("first_one", "disk.raw")), first)).toBeUndefined();
    expect(readFileSync(at("first_one", "partitions", "1.raw")).equals(first.subarray(MIB, 3 * MIB))).toBe(true);
    const second = flat(image, { snapshot: "second" });
    expect(second).toHaveLength(7 * MIB);
    expect(difference(readFileSync(at("second", "disk.raw")), second)).toBeUndefined();
    expect(difference(readFileSync(served.disk), flat(image))).toBeUndefined();
  });

  test("are read side by side, in every worker", () => {
    const expected = flat(image, { snapshot: "second" });
    const copies = Array.from({ length: COUNT - 2 }, (_, index) => at(`n${index + 2}`, "disk.raw"));
    const sums = run("sh", ["-c", 'for file; do sha256sum "$file" & done; wait', "sh", ...copies]);
    expect(
      new Set(
        sums
          .trim()
          .split("\n")
          .map((line) => line.split(" ")[0]),
      ).size,
    ).toBe(1);
    expect(difference(readFileSync(at(`n${COUNT - 1}`, "disk.raw")), expected)).toBeUndefined();
  });

  test("have the time when they were made", () => {
    const told = JSON.parse(readFileSync(join(served.mountpoint, "info.json"), "utf8")) as {
      snapshots: { created: string; file: string }[];
    };
    expect(told.snapshots).toHaveLength(COUNT);
    for (const { created, file } of told.snapshots.slice(0, 3)) {
      expect(statSync(join(served.mountpoint, file)).mtimeMs).toBe(new Date(created).getTime());
    }
  });

  test("find(1) sees all of them, and no number twice", () => {
    const numbers = run("find", [served.mountpoint, "-printf", "%i\n"]).trim().split("\n");
    expect(numbers).toHaveLength(4 + 1 + COUNT * 2 + 2);
    // libfuse has numbers of its own, and gives them out again.
    if (mounts.transport === "devfuse") expect(new Set(numbers).size).toBe(numbers.length);
  });

  test("one that is damaged fails with EIO; those beside it and the disk do not", async () => {
    const damaged = join(subdirectory(mounts.directory), "damaged.qcow2");
    const disk = { size: 65_536, clusters: new Map([[1, { kind: "data", content: noise(5, 4096) }]] as const) };
    const states = ["bad", "good"].map((name, index) => ({ ...disk, id: `${index + 1}`, name }));
    const { bytes, snapshotTable } = buildQcow2({ ...disk, snapshots: states });
    bytes.writeBigUInt64BE(2n ** 40n, snapshotTable);
    writeFileSync(damaged, bytes);
    const { mountpoint } = await mounts.serve(damaged);
    const bad = openSync(join(mountpoint, "snapshots", "bad", "disk.raw"), "r");
    expect(codeOf(() => readSync(bad, Buffer.alloc(512), 0, 512, 0))).toBe("EIO");
    closeSync(bad);
    expect(statSync(join(mountpoint, "snapshots", "bad", "disk.raw")).size).toBe(65_536);
    const content = readFileSync(join(mountpoint, "snapshots", "good", "disk.raw"));
    expect(content.subarray(4096, 8192).equals(noise(5, 4096))).toBe(true);
    expect(content.equals(readFileSync(join(mountpoint, "disk.raw")))).toBe(true);
  });
}
