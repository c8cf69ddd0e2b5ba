// Loop devices and file systems over them: only root has them.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { mountsOf } from "../../src/fuse/mountinfo.js";
import { isRoot, type Mounts, useMounts } from "./mount.js";
import { run } from "./qemu.js";

/** A `describe` that is skipped, and says why, where nothing can be attached; with `CI` it fails instead. To be called inside `describeMounts`. */
export function describeAttached(title: string, body: (mounts: Mounts) => void): void {
  const reason = isRoot ? (existsSync("/dev/loop-control") ? undefined : "there is no /dev/loop-control") : "only root has loop devices";
  if (reason !== undefined && process.env["CI"]) throw new Error(`loop devices cannot be tested: ${reason}`);
  if (reason !== undefined) {
    console.warn(`${title}: skipped, for ${reason}`);
    describe.skip(title, () => test("what needs loop devices", () => undefined));
    return;
  }
  describe(title, () => {
    const mounts = useMounts("devfuse");
    // Before the mounts themselves are taken away: these hold them.
    afterAll(() => {
      for (const { image } of mounts.list()) mounts.flatmount(["detach", "--lazy", image]);
    });
    body(mounts);
  });
}

/** What `losetup` would show: the device and what the kernel says it stands for. */
export function loopDevices(): ReadonlyMap<string, string> {
  const names = readdirSync("/sys/block").filter((name) => /^loop\d+$/.test(name));
  const found = names.flatMap((name): readonly (readonly [string, string])[] => {
    const path = `/sys/block/${name}/loop/backing_file`;
    return existsSync(path) ? [[`/dev/${name}`, readFileSync(path, "utf8").trim()]] : [];
  });
  return new Map(found);
}

/** What the command prints; it has nothing to complain of. */
export function succeed(mounts: Mounts, words: readonly string[]): string {
  const { status, stdout, stderr } = mounts.flatmount(words);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

export function expectSameTree(tree: string, folder: string): void {
  run("diff", ["-r", "--no-dereference", "-x", "lost+found", tree, folder]);
}

/** No device, no mount, no record, and no folder but those of the test. */
export function expectNothingLeft(mounts: Mounts, before: ReadonlyMap<string, string>): void {
  const ours = [...loopDevices()].filter(([device]) => !before.has(device));
  // Other tests may take devices at the same time; those over files of a mount that is out of sight are ours.
  expect(
    ours.filter(([, file]) => /^\/(?:disk|partitions\/\d+|volumes\/.*)(?:\.raw)?$/.test(file) || file.startsWith(mounts.directory)),
  ).toEqual([]);
  expect(mountsOf().filter(({ mountpoint }) => mountpoint.startsWith(mounts.directory))).toEqual([]);
  expect(mounts.stateFiles()).toEqual([]);
}
