import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { sha256 } from "../support/hash.js";
import { isRoot, type Mounts, ordinaryUser, within } from "../support/mount.js";
import { subdirectory } from "../support/temp.js";
import { testWhere } from "./capabilities.js";
import { codeOf } from "./refusals.js";
import { type SampleDisk, sampleDisk } from "./sample.js";

/** Who may mount, and who sees what others have mounted. Where the tests run as root, the ordinary user is `nobody`. */
export function users(mounts: Mounts): void {
  let sample: SampleDisk;
  beforeAll(() => {
    sample = sampleDisk(mounts.directory);
    chmodSync(join(sample.image, ".."), 0o755);
  });

  describe("an ordinary user", () => {
    test("mounts, reads, and unmounts through fusermount3", async () => {
      const served = await mounts.serve(sample.image, { as: "ordinary user" });
      expect(mountAt(served.mountpoint)?.type).toBe("fuse.flatmount");
      expect(mounts.list("ordinary user").map(({ mountpoint }) => mountpoint)).toEqual([served.mountpoint]);
      expect(hashAsUser(served.disk)).toBe(sha256(sample.content));
      expect(mounts.flatmount(["umount", served.mountpoint], "ordinary user")).toEqual({ status: 0, stdout: "", stderr: "" });
      expect(await within(served.ended, "the daemon to end")).toBe(0);
      expect(mounts.stateFiles("ordinary user")).toEqual([]);
    });

    test.runIf(isRoot)("shows it to nobody else, not even to root", async () => {
      const served = await mounts.serve(sample.image, { as: "ordinary user" });
      expect(codeOf(() => statSync(served.disk))).toBe("EACCES");
      expect(codeOf(() => readFileSync(served.disk))).toBe("EACCES");
      await served.leave();
    });

    test("owns what is shown", async () => {
      const served = await mounts.serve(sample.image, { as: "ordinary user" });
      const { stdout } = spawnSync("stat", ["-c", "%u %g", served.disk], { ...ordinaryUser, encoding: "utf8" });
      expect(stdout.trim()).toBe(`${ordinaryUser.uid} ${ordinaryUser.gid}`);
      await served.leave();
    });

    test.each(["SIGTERM", "SIGINT"] as const)("is obeyed when %s is sent", async (signal) => {
      const served = await mounts.serve(sample.image, { as: "ordinary user" });
      served.child.kill(signal);
      expect(await within(served.ended, "the daemon to end")).toBe(0);
      expect(mountAt(served.mountpoint)).toBeUndefined();
    });

    test("mounts again where a daemon was killed", async () => {
      const killed = await mounts.serve(sample.image, { as: "ordinary user" });
      killed.child.kill("SIGKILL");
      expect(await within(killed.ended, "the daemon to end")).toBe("SIGKILL");
      const again = await mounts.serve(sample.image, { as: "ordinary user", mountpoint: killed.mountpoint });
      expect(hashAsUser(again.disk)).toBe(sha256(sample.content));
      await again.leave();
      mounts.list("ordinary user");
      expect(mounts.stateFiles("ordinary user")).toEqual([]);
    });

    testWhere(!mayAllowOther())("is told what --allow-other needs", async () => {
      const refused = mounts.serve(sample.image, { as: "ordinary user", options: ["--allow-other"] });
      await expect(refused).rejects.toThrow(/hint: .*user_allow_other/);
    });

    test.runIf(isRoot)("does not see what root mounted, unless it was allowed", async () => {
      const mine = await mounts.serve(sample.image);
      expect(hashAsUser(mine.disk)).toBeUndefined();
      await mine.leave();
      const shared = await mounts.serve(sample.image, { options: ["--allow-other"], mountpoint: visible(mounts) });
      expect(hashAsUser(shared.disk)).toBe(sha256(sample.content));
      await shared.leave();
      const secret = await mounts.serve(sample.image, { options: ["--allow-other", "--mode", "0400"], mountpoint: visible(mounts) });
      expect(hashAsUser(secret.disk)).toBeUndefined();
      await secret.leave();
    });
  });
}

function visible(mounts: Mounts): string {
  const folder = subdirectory(mounts.directory);
  chmodSync(folder, 0o755);
  return folder;
}

/** SHA-256 of a file, read by the ordinary user; undefined if that may not be. */
function hashAsUser(path: string): string | undefined {
  const { status, stdout } = spawnSync("sha256sum", [path], { ...ordinaryUser, encoding: "utf8" });
  return status === 0 ? stdout.slice(0, 64) : undefined;
}

function mayAllowOther(): boolean {
  try {
    return /^\s*user_allow_other/m.test(readFileSync("/etc/fuse.conf", "utf8"));
  } catch {
    return false;
  }
}
