import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { isAlive } from "../../src/daemon/process.js";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { type Mounts, until, within } from "../support/mount.js";
import { type SampleDisk, sampleDisk } from "./sample.js";

/** While somebody uses a mount it stays, says who it is, and goes only when told twice. */
export function staying(mounts: Mounts): void {
  let sample: SampleDisk;
  beforeAll(() => {
    sample = sampleDisk(mounts.directory);
  });
  const ourselves = new RegExp(`in use by [^\n]*\\(${process.pid}\\)[^\n]*\nhint: `);

  test("a signal says who holds it, the second detaches it, its reader reads on", async () => {
    const served = await mounts.serve(sample.image);
    const descriptor = openSync(served.disk, "r");
    served.child.kill("SIGTERM");
    await until(() => ourselves.test(served.said()), "the daemon to say who uses the mount");
    expect(mountAt(served.mountpoint)).toBeDefined();

    served.child.kill("SIGTERM");
    await until(() => !mountAt(served.mountpoint), "the mount to be detached");
    expect(mounts.list()).toEqual([]);
    expectReadable(descriptor);
    expect(served.child.exitCode).toBeNull();

    closeSync(descriptor);
    expect(await within(served.ended, "the daemon to end")).toBe(0);
    expect(mounts.stateFiles()).toEqual([]);
  });

  test("after a signal that came too early, the next one unmounts", async () => {
    const served = await mounts.serve(sample.image);
    const descriptor = openSync(served.disk, "r");
    served.child.kill("SIGINT");
    await until(() => ourselves.test(served.said()), "the daemon to say who uses the mount");
    closeSync(descriptor);
    served.child.kill("SIGINT");
    expect(await within(served.ended, "the daemon to end")).toBe(0);
    expect(mountAt(served.mountpoint)).toBeUndefined();
  });

  test("in the background, what a signal says is in the log", async () => {
    const record = mounts.start(sample.image);
    const descriptor = openSync(join(record.mountpoint, "disk.raw"), "r");
    process.kill(record.pid, "SIGTERM");
    await until(() => ourselves.test(readFileSync(record.log ?? "", "utf8")), "the log to say who uses the mount");
    closeSync(descriptor);
    process.kill(record.pid, "SIGTERM");
    await until(() => !isAlive(record), "the daemon to end");
    expect(mounts.stateFiles()).toEqual([]);
  });

  test("flatmount umount says who holds it; with --lazy it goes", async () => {
    const record = mounts.start(sample.image);
    const descriptor = openSync(join(record.mountpoint, "disk.raw"), "r");
    const refused = mounts.flatmount(["umount", record.mountpoint]);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(ourselves)]);
    expectReadable(descriptor);

    expect(mounts.flatmount(["umount", "--lazy", record.mountpoint])).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(mountAt(record.mountpoint)).toBeUndefined();
    expectReadable(descriptor);
    closeSync(descriptor);
    await until(() => !isAlive(record), "the daemon to end");
    expect(mounts.stateFiles()).toEqual([]);
  });

  test("nothing else is mounted over it", async () => {
    const { mountpoint, leave } = await mounts.serve(sample.image);
    const { status, stderr } = mounts.flatmount(["mount", "--transport", mounts.transport, sample.image, mountpoint]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/already mounted here\nhint: /)]);
    await leave();
  });

  /** Looks at what the kernel has not read before. */
  function expectReadable(descriptor: number): void {
    const target = Buffer.alloc(65_536);
    const at = sample.content.indexOf("/usr/lib", 6 * 2 ** 20);
    expect(readSync(descriptor, target, 0, target.length, at)).toBe(target.length);
    expect(target.equals(sample.content.subarray(at, at + target.length))).toBe(true);
  }
}
