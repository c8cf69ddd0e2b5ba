// What a killed daemon leaves behind, and who clears it away: its guard, at once; where there is none, `flatmount list --clean`.
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import type { Leftover } from "../../src/daemon/clean.js";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { describeMounts, isRoot, type Mounts, node, program, type Served, until, useMounts, within } from "../support/mount.js";
import { requireProgram } from "../support/qemu.js";
import { schemaProblems } from "../support/schema.js";
import { subdirectory } from "../support/temp.js";
import { codeOf } from "./refusals.js";
import { sampleDisk } from "./sample.js";

const UNGUARDED = ["-o", "no_auto_unmount"] as const;
const people = [undefined, ...(isRoot ? (["ordinary user"] as const) : [])];

describeMounts("killed daemons", () => {
  const available = requireProgram("qemu-img");
  describe.skipIf(!available).each(["devfuse", "libfuse"] as const)("%s", (transport) => {
    const mounts = useMounts(transport);
    let image: string;
    beforeAll(() => {
      ({ image } = sampleDisk(mounts.directory));
      chmodSync(join(image, ".."), 0o755);
    });

    test.each(people)("the guard unmounts, for %s", async (as) => {
      const served = await mounts.serve(image, { ...(as && { as }) });
      expect(guardsOf(served.pid)).toHaveLength(1);
      await kill(served);
      await until(() => mountAt(served.mountpoint) === undefined, "the guard");
      await until(() => mounts.stateFiles(as).length === 0, "the record to go");
    });

    test("also a mount that is in use; it ends when its last user does", async () => {
      const served = await mounts.serve(image);
      const user = spawn("sleep", ["60"], { cwd: served.mountpoint, stdio: "ignore" });
      await kill(served);
      await until(() => mountAt(served.mountpoint) === undefined, "the guard");
      user.kill();
    });

    test("in the background, the mount point goes too, if it was made for the mount", async () => {
      const mountpoint = join(subdirectory(mounts.directory), "made");
      const record = mounts.start(image, mountpoint);
      process.kill(record.pid, "SIGKILL");
      await until(() => mountAt(mountpoint) === undefined && !existsSync(mountpoint), "the guard");
    });

    test("the guard goes with a mount that is unmounted", async () => {
      const served = await mounts.serve(image);
      const guards = guardsOf(served.pid);
      expect(guards).toHaveLength(1);
      await served.leave();
      const programs = new Set<string>();
      await until(() => {
        const left = guards.filter((pid) => stateOf(pid) !== "Z");
        for (const pid of left) programs.add(programOf(pid));
        return left.length === 0;
      }, "the guard to end");
      // It is dismissed: it does not look for what there is to clear away.
      expect([...programs].filter((name) => name === "node")).toEqual([]);
    });

    test("the guard of one takes nothing else away", async () => {
      const others = [await mounts.serve(image), await mounts.serve(image)];
      const served = await mounts.serve(image);
      await kill(served);
      // Another mount at the same place, before the guard can be done.
      const again = await mounts.serve(image, { mountpoint: served.mountpoint });
      await sleep(1500);
      for (const { disk, mountpoint } of [...others, again]) {
        expect(mountAt(mountpoint)).toBeDefined();
        expect(statSync(disk).size).toBeGreaterThan(0);
      }
      for (const each of [...others, again]) await each.leave();
    });

    test("without a guard, the mount stays, and list --clean tells what it does", async () => {
      const served = await mounts.serve(image, { options: UNGUARDED });
      const alive = await mounts.serve(image);
      expect(guardsOf(served.pid)).toEqual([]);
      await kill(served);
      expect(codeOf(() => readdirSync(served.mountpoint))).toBe("ENOTCONN");
      expect(clean(mounts, [served, alive])).toEqual([{ mountpoint: served.mountpoint, image, done: "unmounted" }]);
      expect(mountAt(served.mountpoint)).toBeUndefined();
      expect(clean(mounts, [served, alive])).toEqual([]);
      expect(mounts.list().map(({ mountpoint }) => mountpoint)).toEqual([alive.mountpoint]);
      await alive.leave();
      expect(mounts.stateFiles()).toEqual([]);
    });

    test("records without a mount are forgotten", async () => {
      const served = await mounts.serve(image, { options: UNGUARDED });
      await kill(served);
      execFileSync(isRoot ? "umount" : "fusermount3", [...(isRoot ? ["-l"] : ["-uz"]), served.mountpoint]);
      const { status, stdout, stderr } = mounts.flatmount(["list", "--clean", served.mountpoint]);
      const told = `${served.mountpoint} (${image}): it was recorded, but its daemon is gone\n`;
      expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: told, stderr: "" });
      expect(mounts.stateFiles()).toEqual([]);
    });

    test.runIf(isRoot)("root clears away what a user left, recorded or not", async () => {
      const served = await mounts.serve(image, { options: UNGUARDED, as: "ordinary user" });
      const alive = await mounts.serve(image, { as: "ordinary user" });
      await kill(served);
      // Everywhere, though in a namespace of its own: what other tests have mounted stays.
      const everywhere = cleanElsewhere(subdirectory(mounts.directory));
      expect(everywhere).toContainEqual({ mountpoint: served.mountpoint, done: "unmounted" });
      expect(everywhere.map(({ mountpoint }) => mountpoint)).not.toContain(alive.mountpoint);
      expect(clean(mounts, [served, alive])).toEqual([{ mountpoint: served.mountpoint, done: "unmounted" }]);
      expect(mountAt(alive.mountpoint)).toBeDefined();
      alive.child.kill("SIGTERM");
      await within(alive.ended, "the daemon to end");
      expect(clean(mounts, [served, alive], "ordinary user")).toEqual([{ mountpoint: served.mountpoint, image, done: "forgotten" }]);
    });
  });

  describe.skipIf(!available)("on a file", () => {
    const mounts = useMounts("devfuse");

    test("the guard unmounts", async () => {
      const { image, flat } = sampleDisk(mounts.directory);
      const served = await mounts.serve(image, { mountpoint: flat });
      await kill(served);
      await until(() => mountAt(flat) === undefined, "the guard");
    });
  });
});

function clean(mounts: Mounts, places: readonly Served[], as?: "ordinary user"): readonly Leftover[] {
  const words = ["list", "--clean", "--json", ...places.map(({ mountpoint }) => mountpoint)];
  const { status, stdout, stderr } = mounts.flatmount(words, as);
  expect([status, stderr]).toEqual([0, ""]);
  const leftovers = JSON.parse(stdout) as Leftover[];
  expect(schemaProblems(leftovers, "list-clean.schema.json")).toEqual([]);
  return leftovers;
}

/** What `list --clean` finds everywhere. It has mounts of its own, a copy of ours. */
function cleanElsewhere(runtime: string): readonly Leftover[] {
  const words = ["--mount", node, program, "list", "--clean", "--json"];
  return JSON.parse(execFileSync("unshare", words, { encoding: "utf8", env: { ...process.env, XDG_RUNTIME_DIR: runtime } })) as Leftover[];
}

/** As the kernel does when memory runs out. */
async function kill(served: Served): Promise<void> {
  served.child.kill("SIGKILL");
  expect(await within(served.ended, "the daemon to end")).toBe("SIGKILL");
}

/** The shells that wait for the end of process `pid`. */
function guardsOf(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .trim()
    .split(" ")
    .filter((text) => text !== "");
  return children.map(Number).filter((child) => readFileSync(`/proc/${child}/cmdline`, "utf8").includes("flatmount-guard"));
}

function programOf(pid: number): string {
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`));
  } catch {
    return "";
  }
}

function stateOf(pid: number): string {
  try {
    return /^State:\s*(\w)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "Z";
  } catch {
    return "Z";
  }
}
