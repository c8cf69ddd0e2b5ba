import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { isAlive } from "../../src/daemon/process.js";
import type { MountRecord } from "../../src/daemon/state.js";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { isRoot, type Mounts, runUnmount, until, within } from "../support/mount.js";
import { run } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";
import { codeOf } from "./refusals.js";
import { sampleDisk } from "./sample.js";

interface Standing {
  readonly mountpoint: string;
  readonly pid: number;
}

/** However a mount ends: no daemon, no record, no log, and the mount point as it was before. */
export function leaving(mounts: Mounts): void {
  let image: string;
  beforeAll(() => {
    ({ image } = sampleDisk(mounts.directory));
  });

  const succeed = (words: readonly string[]) => {
    const { status, stderr } = mounts.flatmount(words);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  };
  const signal = (name: NodeJS.Signals) => [name, ({ pid }: Standing) => process.kill(pid, name)] as const;
  const ways: readonly (readonly [name: string, leave: (standing: Standing) => unknown])[] = [
    ["flatmount umount", ({ mountpoint }) => succeed(["umount", mountpoint])],
    ["flatmount umount --lazy", ({ mountpoint }) => succeed(["umount", "--lazy", mountpoint])],
    ...(isRoot ? [["umount", ({ mountpoint }: Standing) => runUnmount(mountpoint)] as const] : []),
    ["fusermount3 -u", ({ mountpoint }) => run("fusermount3", ["-u", mountpoint])],
    ...(["SIGTERM", "SIGINT", "SIGHUP"] as const).map(signal),
  ];

  describe.each(ways)("by %s", (_, leave) => {
    test("a mount in the foreground", async () => {
      const served = await mounts.serve(image);
      await leave(served);
      expect(await within(served.ended, "the daemon to end")).toBe(0);
      expect(served.said()).toBe("");
      expectNothingLeft(served.mountpoint);
      expect(readdirSync(served.mountpoint)).toEqual([]);
    });

    test("a mount in the background, whose mount point was made for it", async () => {
      const mountpoint = join(subdirectory(mounts.directory), "made");
      const record = startInBackground(mountpoint);
      expect(mounts.list()).toMatchObject([record]);
      await leave(record);
      await until(() => !isAlive(record), "the daemon to end");
      expectNothingLeft(mountpoint);
      expect(existsSync(mountpoint)).toBe(false);
    });
  });

  test("flatmount umount takes several away, and has waited for the daemons", () => {
    const records = [1, 2, 3].map(() => startInBackground(subdirectory(mounts.directory)));
    succeed(["umount", ...records.map(({ mountpoint }) => mountpoint)]);
    expect(records.filter(isAlive)).toEqual([]);
    expectNothingLeft(records[0]!.mountpoint);
  });

  test("a mount point that is no place of ours is refused", () => {
    const mountpoint = subdirectory(mounts.directory);
    const { status, stderr } = mounts.flatmount(["umount", mountpoint]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/nothing is mounted here\nhint: /)]);
  });

  test("after SIGKILL, list shows nothing and the mount point is free", () => {
    const mountpoint = join(subdirectory(mounts.directory), "made");
    kill(startUnguarded(mountpoint));
    expect(mounts.list()).toEqual([]);
    expectNothingLeft(mountpoint);
    expect(existsSync(mountpoint)).toBe(false);
  });

  test("after SIGKILL, the image can be mounted there again", async () => {
    const mountpoint = subdirectory(mounts.directory);
    kill(startUnguarded(mountpoint));
    const again = await mounts.serve(image, { mountpoint });
    expect(statSync(again.disk).size).toBeGreaterThan(0);
    await again.leave();
    expect(mountAt(mountpoint)).toBeUndefined();
    mounts.list();
    expectNothingLeft(mountpoint);
  });

  test("after SIGKILL, flatmount umount clears away", () => {
    const mountpoint = subdirectory(mounts.directory);
    kill(startUnguarded(mountpoint));
    succeed(["umount", mountpoint]);
    expectNothingLeft(mountpoint);
    expect(readdirSync(mountpoint)).toEqual([]);
  });

  test("a mount that fails leaves nothing", async () => {
    const home = subdirectory(mounts.directory);
    const missing = join(home, "missing.qcow2");
    const mountpoint = join(home, "made");
    const { status, stderr } = mounts.flatmount(["mount", "--transport", mounts.transport, missing, mountpoint]);
    expect([status, stderr]).toEqual([1, expect.stringContaining("missing.qcow2")]);
    await expect(mounts.serve(missing, { mountpoint })).rejects.toThrow("missing.qcow2");
    expectNothingLeft(mountpoint);
    expect(existsSync(mountpoint)).toBe(false);
  });

  /** What its guard would do at once is left to others. */
  function startUnguarded(mountpoint: string): MountRecord {
    return startInBackground(mountpoint, ["--no-auto-unmount"]);
  }

  function startInBackground(mountpoint: string, options: readonly string[] = []): MountRecord {
    const record = mounts.start(image, mountpoint, options);
    expect(record).toMatchObject({ image, mountpoint, format: "qcow2", transport: mounts.transport });
    expect(statSync(join(mountpoint, "disk.raw")).size).toBe(record.size);
    return record;
  }

  function expectNothingLeft(mountpoint: string): void {
    expect(mountAt(mountpoint)).toBeUndefined();
    expect(mounts.stateFiles()).toEqual([]);
  }
}

/** As the kernel does when memory runs out. The mount stays, dead. */
function kill(record: MountRecord): void {
  process.kill(record.pid, "SIGKILL");
  const deadline = Date.now() + 5000;
  while (codeOf(() => readdirSync(record.mountpoint)) !== "ENOTCONN" && Date.now() < deadline);
  expect(codeOf(() => readdirSync(record.mountpoint))).toBe("ENOTCONN");
}
