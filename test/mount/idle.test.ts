// Mounts that go away by themselves: after a time without use, and when their daemon is killed.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, closeSync, existsSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { describeMounts, isRoot, ordinaryUser, useMounts, within } from "../support/mount.js";
import { requireProgram } from "../support/qemu.js";
import { testWhere } from "./capabilities.js";
import { sampleDisk } from "./sample.js";

/** Milliseconds: the timeout, and a time that is well within it. */
// Long enough that a busy machine is not taken for an idle user.
const TIMEOUT = 4000;
const SHORT = 800;
const idle = ["--idle-timeout", `${TIMEOUT}ms`];

describeMounts("idle mounts", () => {
  const available = requireProgram("qemu-img");
  const ways = [
    { transport: "devfuse", title: "devfuse", options: [] },
    { transport: "devfuse", title: "devfuse, every read answered by the server", options: ["--no-passthrough"] },
    { transport: "libfuse", title: "libfuse", options: [] },
  ] as const;
  describe.skipIf(!available).each(ways)("$title", ({ transport, options }) => {
    const mounts = useMounts(transport, options);
    let image: string;
    beforeAll(() => {
      ({ image } = sampleDisk(mounts.directory));
    });

    test.concurrent("gone after that time, and its daemon with it", async () => {
      const begin = performance.now();
      const served = await mounts.serve(image, { options: idle });
      expect(await within(served.ended, "the daemon to end")).toBe(0);
      expect(performance.now() - begin).toBeGreaterThan(TIMEOUT);
      expect(mountAt(served.mountpoint)).toBeUndefined();
      expect(served.said()).toBe("");
    });

    test.concurrent("stays while something is asked from time to time", async () => {
      const served = await mounts.serve(image, { options: idle });
      for (let round = 0; round < 6; round += 1) {
        await sleep(SHORT);
        // What the kernel does not know yet: it has to ask.
        expect(existsSync(join(served.mountpoint, `missing-${round}`))).toBe(false);
        expect(mountAt(served.mountpoint)).toBeDefined();
      }
      expect(await within(served.ended, "the daemon to end")).toBe(0);
    });

    test.concurrent("stays while a file is open, and goes when it is closed", async () => {
      const served = await mounts.serve(image, { options: idle });
      const held = openSync(served.disk, "r");
      await sleep(2.5 * TIMEOUT);
      expect(mountAt(served.mountpoint)).toBeDefined();
      closeSync(held);
      expect(await within(served.ended, "the daemon to end")).toBe(0);
    });

    test.concurrent("stays while it is somebody's current folder", async () => {
      const served = await mounts.serve(image, { options: idle });
      const other = spawn("sleep", ["60"], { cwd: served.mountpoint, stdio: "ignore" });
      await sleep(2.5 * TIMEOUT);
      expect(mountAt(served.mountpoint)).toBeDefined();
      other.kill();
      expect(await within(served.ended, "the daemon to end")).toBe(0);
    });

    // Only the kernel knows of it, and tells root alone.
    testWhere(isRoot && transport === "devfuse")("stays while the kernel answers all by itself", async () => {
      const served = await mounts.serve(image, { options: ["-o", `idle_timeout=${TIMEOUT}ms`, "--no-passthrough"] });
      const read = () => readFileSync(join(served.mountpoint, "info.json")).length + statSync(served.disk).size;
      const first = read();
      for (let round = 0; round < 6; round += 1) {
        await sleep(SHORT);
        expect(read()).toBe(first);
      }
      expect(await within(served.ended, "the daemon to end")).toBe(0);
    });
  });

  describe.skipIf(!available)("an ordinary user's", () => {
    const mounts = useMounts("devfuse");

    test("goes, and stays while a file is open", async () => {
      const { image } = sampleDisk(mounts.directory);
      chmodSync(join(image, ".."), 0o755);
      const served = await mounts.serve(image, { options: idle, as: "ordinary user" });
      const held = holdAsUser(served.mountpoint);
      await sleep(2.5 * TIMEOUT);
      expect(mountAt(served.mountpoint)).toBeDefined();
      held.kill();
      expect(await within(served.ended, "the daemon to end")).toBe(0);
      expect(mountAt(served.mountpoint)).toBeUndefined();
    });
  });

  describe.skipIf(!available)("an ordinary user's, that is asked", () => {
    const mounts = useMounts("devfuse");

    test("stays while something is asked from time to time", async () => {
      const { image } = sampleDisk(mounts.directory);
      chmodSync(join(image, ".."), 0o755);
      const served = await mounts.serve(image, { options: idle, as: "ordinary user" });
      for (let round = 0; round < 6; round += 1) {
        await sleep(SHORT);
        const { stderr } = spawnSync("ls", [join(served.mountpoint, `missing-${round}`)], { ...ordinaryUser, encoding: "utf8" });
        expect(stderr).toMatch(/No such file/);
        expect(mountAt(served.mountpoint)).toBeDefined();
      }
      expect(await within(served.ended, "the daemon to end")).toBe(0);
    });
  });

  describe.skipIf(!available)("erofs", () => {
    const mounts = useMounts("erofs");

    test.runIf(isRoot)("is refused: nobody is there to end it", () => {
      const { image } = sampleDisk(mounts.directory);
      const { status, stderr } = mounts.flatmount(["mount", "--transport", "erofs", ...idle, image, join(mounts.directory, "made")]);
      expect([status, stderr]).toEqual([1, expect.stringMatching(/no process stays with a mount of the erofs transport/)]);
    });
  });
});

function holdAsUser(mountpoint: string) {
  // Not by `cwd`: that would be entered before the user is changed.
  return spawn("sh", ["-c", 'cd "$1" && exec sleep 60', "sh", mountpoint], { ...ordinaryUser, stdio: "ignore" });
}
