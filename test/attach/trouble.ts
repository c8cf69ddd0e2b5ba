// Whatever happens to the image, the daemon or the one who attaches: no hang, no device and no mount that stays.
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { isAlive } from "../../src/daemon/process.js";
import type { MountRecord } from "../../src/daemon/state.js";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { expectNothingLeft, expectSameTree, loopDevices, succeed } from "../support/attach.js";
import { fileSystemMakers, makeDisk, makeTree } from "../support/file-systems.js";
import { installForAll } from "../support/installed.js";
import { type Mounts, until, within } from "../support/mount.js";
import { qemuImg, run } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";

const { node, program } = installForAll();

/** A disk with an ext4 file system, and what may happen to it, to the daemon or to the one who attaches. */
export function trouble(mounts: Mounts): void {
  const before = loopDevices();
  let home: string;
  let tree: string;
  let original: string;
  beforeAll(() => {
    home = subdirectory(mounts.directory);
    tree = makeTree(join(home, "tree"));
    fileSystemMakers.ext4(join(home, "ext4"), tree);
    const disk = makeDisk(join(home, "disk.raw"), [
      { name: "root", file: join(home, "ext4"), size: 24 },
      { name: "blank", size: 1 },
    ]);
    original = join(home, "original.qcow2");
    qemuImg("convert", "-f", "raw", "-O", "qcow2", disk, original);
  });

  const freshImage = (): string => {
    const image = join(subdirectory(home), "disk.qcow2");
    cpSync(original, image);
    return image;
  };
  const mountFresh = (): { image: string; place: string; record: MountRecord } => {
    const image = freshImage();
    const place = subdirectory(home);
    succeed(mounts, ["attach", image, "--mount", place]);
    const [record] = mounts.list().filter((each) => each.image === image) as [MountRecord];
    return { image, place, record };
  };
  const environment = (more: Record<string, string> = {}) => ({
    ...process.env,
    XDG_RUNTIME_DIR: join(mounts.directory, "runtime"),
    ...more,
  });

  test("the image is deleted while mounted: everything can still be read", () => {
    const { image, place } = mountFresh();
    rmSync(image);
    expectSameTree(tree, place);
    succeed(mounts, ["detach", place]);
    expectNothingLeft(mounts, before);
  });

  test("the image is cut short while mounted: errors, and it can be taken away", () => {
    const { image, place } = mountFresh();
    truncateSync(image, 400_000);
    expect(() => readFileSync(join(place, "deep/large"))).toThrow("EIO");
    succeed(mounts, ["detach", place]);
    expectNothingLeft(mounts, before);
  });

  test.each(["detach", "list"])("the daemon is killed while mounted: %s takes away what it left", async (command) => {
    const { image, place, record } = mountFresh();
    process.kill(record.pid, "SIGKILL");
    await until(() => !isAlive(record), "the daemon to end");
    // Read by the kernel alone: the daemon is not missed.
    expect(readFileSync(join(place, "deep/large")).length).toBeGreaterThan(2 ** 20);
    if (command === "list") {
      expect(mounts.list()).toEqual([]);
    } else {
      const { status, stderr } = mounts.flatmount(["detach", image]);
      expect([status, stderr]).toEqual([
        0,
        expect.stringMatching(/its daemon \(process \d+\) had been killed; what it left is taken away/),
      ]);
    }
    expect(readdirSync(place)).toEqual([]);
    expectNothingLeft(mounts, before);
  });

  test("the daemon is killed while devices are attached", async () => {
    const image = freshImage();
    const record = JSON.parse(succeed(mounts, ["attach", "--json", image])) as MountRecord;
    process.kill(record.pid, "SIGKILL");
    await until(() => !isAlive(record), "the daemon to end");
    expect(readFileSync(record.attached?.device ?? "").length).toBeGreaterThan(2 ** 20);
    expect(mounts.flatmount(["detach", record.attached?.device ?? ""])).toMatchObject({ status: 0 });
    expectNothingLeft(mounts, before);
  });

  test("whoever reads a file is named, and reads on when it is taken away all the same", async () => {
    const { place, record } = mountFresh();
    const file = openSync(join(place, "deep/large"), "r");
    const refused = mounts.flatmount(["detach", place]);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringMatching(new RegExp(`in use by [^\n]*\\(${process.pid}\\)[^\n]*\nhint: .*--lazy`)),
    ]);
    expect(mountAt(place)).toBeDefined();
    succeed(mounts, ["detach", "--lazy", place]);
    expect(mountAt(place)).toBeUndefined();
    const target = Buffer.alloc(2 ** 20);
    expect(readSync(file, target, 0, target.length, 2 ** 21)).toBe(target.length);
    expect(target.equals(readFileSync(join(tree, "deep/large")).subarray(2 ** 21, 3 * 2 ** 20))).toBe(true);
    closeSync(file);
    await until(() => !isAlive(record), "the daemon to end");
    expectNothingLeft(mounts, before);
  });

  test("a device that somebody has mounted is not taken away", async () => {
    const image = freshImage();
    const record = JSON.parse(succeed(mounts, ["attach", "--json", image])) as MountRecord;
    const place = subdirectory(home);
    run("mount", ["-o", "ro,noload", record.attached?.parts[0]?.device ?? "", place]);
    const refused = mounts.flatmount(["detach", image]);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(`in use by what is mounted at ${place}`)]);
    expectSameTree(tree, place);
    succeed(mounts, ["detach", "--lazy", image]);
    expectSameTree(tree, place);
    run("umount", [place]);
    await until(() => !isAlive(record), "the daemon to end");
    expectNothingLeft(mounts, before);
  });

  test("readers do not keep an unmount waiting, nor does it leave anything", async () => {
    const { place, record } = mountFresh();
    const readers = [1, 2, 3].map(() =>
      spawn("sh", ["-c", 'while cat "$1"/deep/* >/dev/null 2>&1; do :; done', "sh", place], { stdio: "ignore" }),
    );
    const allEnded = Promise.all(readers.map(ended));
    await new Promise((resolve) => setTimeout(resolve, 200));
    succeed(mounts, ["detach", "--lazy", place]);
    await within(allEnded, "the readers to end");
    await until(() => !isAlive(record), "the daemon to end");
    expectNothingLeft(mounts, before);
  });

  test.each([5, 60, 120, 200, 300, 400])("SIGINT %d ms after the start: all or nothing", async (delay) => {
    const image = freshImage();
    const place = join(home, `stopped after ${delay}`);
    const child = spawn(node, [program, "attach", image, "--partition", "1", "--mount", place], {
      env: environment(),
      stdio: ["ignore", "pipe", "ignore"],
    });
    let told = "";
    child.stdout.on("data", (data) => (told += String(data)));
    const status = ended(child);
    await new Promise((resolve) => setTimeout(resolve, delay));
    child.kill("SIGINT");
    await within(status, "attach to end");
    // What it told stands, even if the signal came while the process was ending and is its status.
    expect(mountAt(place) !== undefined).toBe(told.includes("is mounted at"));
    if (told !== "") succeed(mounts, ["detach", place]);
    await until(() => mounts.stateFiles().length === 0, "the daemon to end");
    expect(existsSync(place)).toBe(false);
    expectNothingLeft(mounts, before);
  });

  test("little memory for what is cached: still the right bytes", () => {
    const { place } = mountFresh();
    for (const what of ["1", "3"]) {
      run("sh", ["-c", `echo ${what} > /proc/sys/vm/drop_caches`]);
      expectSameTree(tree, place);
    }
    succeed(mounts, ["detach", place]);
    expectNothingLeft(mounts, before);
  });

  test("where neither the kernel nor addpart makes partitions, each has a device of its own", () => {
    const image = freshImage();
    const path = process.env["PATH"];
    const programs = join(subdirectory(home), "bin");
    mkdirSync(programs);
    symlinkSync(node, join(programs, "node"));
    process.env["PATH"] = programs;
    try {
      const { attached } = JSON.parse(succeed(mounts, ["attach", "--json", image])) as Required<MountRecord>;
      const devices = attached.parts.map(({ device = "" }) => device);
      // A kernel that knows partition tables needs none.
      if (devices[0]?.includes("p1")) return;
      expect(new Set([attached.device, ...devices]).size).toBe(3);
      for (const device of devices) expect(statSync(device).isBlockDevice()).toBe(true);
      expect(readFileSync(devices[0] ?? "").equals(readFileSync(join(home, "ext4")))).toBe(true);
    } finally {
      process.env["PATH"] = path;
      succeed(mounts, ["detach", image]);
    }
    expectNothingLeft(mounts, before);
  });

  test("a package with one disk in it, and one with none", () => {
    const folder = subdirectory(home);
    cpSync(original, join(folder, "disk.qcow2"));
    run("tar", ["-cf", join(folder, "one.tar"), "disk.qcow2"], folder);
    run("tar", ["-cf", join(folder, "none.tar"), "-C", tree, "empty"]);
    const place = subdirectory(home);
    succeed(mounts, ["attach", join(folder, "one.tar"), "--mount", place]);
    expectSameTree(tree, place);
    succeed(mounts, ["detach", place]);
    expect(mounts.flatmount(["attach", join(folder, "none.tar")])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("no disk in it") as unknown,
    });
    expectNothingLeft(mounts, before);
  });

  test("what cannot be mounted leaves nothing", () => {
    const folder = subdirectory(home);
    const damaged = join(folder, "damaged.raw");
    cpSync(join(home, "ext4"), damaged);
    // A feature that no kernel knows.
    const file = openSync(damaged, "r+");
    writeSync(file, Buffer.from([0x80]), 0, 1, 1024 + 0x63);
    closeSync(file);
    const place = join(folder, "made");
    const { status, stderr } = mounts.flatmount(["attach", damaged, "--mount", place]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/the kernel cannot mount it as ext4: .*\nhint: .*dmesg/)]);
    expect(existsSync(place)).toBe(false);
    expect(mounts.flatmount(["attach", join(folder, "missing")])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("missing") as unknown,
    });
    expectNothingLeft(mounts, before);
  });
}

function ended(child: ChildProcess): Promise<number | string | null> {
  return new Promise((resolve) => child.once("close", (code, signal) => resolve(signal ?? code)));
}
