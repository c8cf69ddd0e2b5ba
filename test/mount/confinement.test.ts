// What daemons have given up, seen from the outside.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import { isAlive } from "../../src/daemon/process.js";
import type { MountRecord } from "../../src/daemon/state.js";
import { mountAt } from "../../src/fuse/mountinfo.js";
import { landlockVersion } from "../../src/native/confinement.js";
import { sha256 } from "../support/hash.js";
import { describeMounts, isRoot, type Mounts, ordinaryUser, until, useMounts, within } from "../support/mount.js";
import { requireProgram } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type SampleDisk, sampleDisk } from "./sample.js";
import type { Tried } from "./confined-child.js";

const version = landlockVersion();
const files = [...(version > 0 ? ["files"] : []), ...(version >= 4 ? ["network"] : [])];
const all = ["no-new-privileges", "capabilities", ...files];

interface ThreadStatus {
  readonly leader: boolean;
  readonly newPrivileges: boolean;
  readonly permitted: number;
  readonly effective: number;
  readonly bounding: number;
  readonly uids: string;
  readonly groups: string;
}

/** Of all threads. Reference: proc(5), /proc/pid/status. */
function threadsOf(pid: number): readonly ThreadStatus[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8");
    const field = (name: string) => new RegExp(`^${name}:\\s*(.*?)\\s*$`, "m").exec(text)?.[1] ?? "";
    return {
      leader: Number(thread) === pid,
      newPrivileges: field("NoNewPrivs") === "0",
      permitted: Number.parseInt(field("CapPrm"), 16),
      effective: Number.parseInt(field("CapEff"), 16),
      bounding: Number.parseInt(field("CapBnd"), 16),
      uids: field("Uid").replace(/\s+/g, " "),
      groups: field("Groups"),
    };
  });
}

/** Waits until the thread that unmounts has given up what it can, too. */
async function settled({ pid }: { readonly pid: number }): Promise<{ leader: ThreadStatus; others: readonly ThreadStatus[] }> {
  const leaderOf = (threads: readonly ThreadStatus[]) => threads.find(({ leader }) => leader);
  await until(() => leaderOf(threadsOf(pid))?.newPrivileges === false, "the daemon to be confined");
  const threads = threadsOf(pid);
  return { leader: leaderOf(threads)!, others: threads.filter(({ leader }) => !leader) };
}

const nothing = { newPrivileges: false, permitted: 0, effective: 0 } as const;
/** CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE and CAP_SYS_ADMIN: for the end. */
const KEPT = 0x28_0006;

async function confinedRecord(mounts: Mounts, as?: "ordinary user"): Promise<MountRecord> {
  let record: MountRecord | undefined;
  await until(() => (record = mounts.list(as)[0])?.confined !== undefined, "the record to tell of it");
  return record!;
}

describeMounts("least privilege", () => {
  const available = requireProgram("qemu-img");
  const nobody = `${ordinaryUser.uid} ${ordinaryUser.uid} ${ordinaryUser.uid} ${ordinaryUser.uid}`;

  describe.skipIf(!available).each(["devfuse", "libfuse"] as const)("%s", (transport) => {
    const mounts = useMounts(transport);
    let sample: SampleDisk;
    beforeAll(() => {
      sample = sampleDisk(mounts.directory);
      chmodSync(join(sample.image, ".."), 0o755);
      chmodSync(sample.image, 0o644);
    });

    const expectLeft = (record: MountRecord) => {
      expect(mountAt(record.mountpoint)).toBeUndefined();
      expect(existsSync(record.mountpoint)).toBe(false);
      expect(mounts.stateFiles()).toEqual([]);
    };

    test.runIf(isRoot)("of root: no thread has capabilities, but for one that can take some up again", async () => {
      const mountpoint = join(subdirectory(mounts.directory), "made");
      const record = mounts.start(sample.image, mountpoint);
      const { leader, others } = await settled(record);
      expect(leader).toMatchObject({ newPrivileges: false, effective: 0 });
      expect([leader.permitted & ~KEPT, leader.bounding & ~KEPT]).toEqual([0, 0]);
      expect(others.length).toBeGreaterThan(3);
      for (const thread of others) expect(thread).toMatchObject({ ...nothing, bounding: 0, uids: "0 0 0 0" });
      expect((await confinedRecord(mounts)).confined).toEqual(all);
      expect(sha256(readFileSync(join(mountpoint, "disk.raw")))).toBe(sha256(sample.content));
      process.kill(record.pid, "SIGTERM");
      await until(() => !isAlive(record), "the daemon to end");
      expectLeft(record);
    });

    test("of a user: the thread that unmounts through a setuid program can get its privileges", async () => {
      const served = await mounts.serve(sample.image, { as: "ordinary user" });
      expect((await confinedRecord(mounts, "ordinary user")).confined).toEqual(all);
      const threads = threadsOf(served.pid);
      for (const { leader, newPrivileges } of threads) expect(newPrivileges).toBe(leader);
      served.child.kill("SIGTERM");
      expect(await within(served.ended, "the daemon to end")).toBe(0);
      expect(served.said()).toBe("");
    });

    test.runIf(isRoot)("--no-confine: all stays", async () => {
      const served = await mounts.serve(sample.image, { options: ["-o", "no_confine"] });
      // Long after the others would have been confined: the workers have all answered.
      for (const name of readdirSync(served.mountpoint)) statSync(join(served.mountpoint, name));
      expect(sha256(readFileSync(served.disk))).toBe(sha256(sample.content));
      const [own] = threadsOf(process.pid);
      for (const thread of threadsOf(served.pid)) {
        expect(thread).toMatchObject({ newPrivileges: own?.newPrivileges, permitted: own?.permitted, effective: own?.effective });
      }
      expect(mounts.list()[0]).not.toHaveProperty("confined");
      await served.leave();
    });

    describe.runIf(isRoot)("--run-as", () => {
      const runAs = ["--run-as", `${ordinaryUser.uid}:${ordinaryUser.gid}`];

      test("every thread is that user's, and the mount goes as any other", async () => {
        const mountpoint = join(subdirectory(mounts.directory), "made");
        const record = mounts.start(sample.image, mountpoint, runAs);
        const { leader, others } = await settled(record);
        for (const thread of [leader, ...others]) expect(thread).toMatchObject({ uids: nobody, newPrivileges: false, effective: 0 });
        for (const thread of [leader, ...others]) expect(thread.groups.split(" ")).not.toContain("0");
        for (const thread of others) expect(thread).toMatchObject({ ...nothing, bounding: 0 });
        expect(sha256(readFileSync(join(mountpoint, "disk.raw")))).toBe(sha256(sample.content));
        expect((await confinedRecord(mounts)).confined).toEqual([...all, "user"]);
        const { stdout } = mounts.flatmount(["status", mountpoint, "--json"]);
        expect(JSON.parse(stdout)).toMatchObject([{ state: "served" }]);
        process.kill(record.pid, "SIGTERM");
        await until(() => !isAlive(record), "the daemon to end");
        expectLeft(record);
      });

      test("what a signal says of who is in the way, and the second one", async () => {
        const served = await mounts.serve(sample.image, { options: runAs });
        await settled(served);
        const held = openSync(served.disk, "r");
        served.child.kill("SIGTERM");
        await until(() => served.said().includes("in use by"), "the daemon to explain");
        expect(served.said()).toContain(`(${process.pid})`);
        served.child.kill("SIGTERM");
        await until(() => !mountAt(served.mountpoint), "the mount to go");
        closeSync(held);
        expect(await within(served.ended, "the daemon to end")).toBe(0);
      });

      // The same whatever the transport.
      if (transport !== "devfuse") return;

      test("goes when it is idle", async () => {
        const served = await mounts.serve(sample.image, { options: [...runAs, "--idle-timeout", "1s"] });
        expect(await within(served.ended, "the daemon to end")).toBe(0);
        expect(mountAt(served.mountpoint)).toBeUndefined();
        expect(served.said()).toBe("");
      });

      test("killed, it leaves no dead mount", async () => {
        const mountpoint = join(subdirectory(mounts.directory), "made");
        const record = mounts.start(sample.image, mountpoint, runAs);
        await settled(record);
        process.kill(record.pid, "SIGKILL");
        await until(() => !mountAt(mountpoint) && mounts.stateFiles().length === 0, "the guard");
        expectLeft(record);
      });

      test("root's rights are not lent: what the user cannot read is refused", () => {
        const home = subdirectory(mounts.directory);
        chmodSync(home, 0o755);
        const image = join(home, "secret.raw");
        writeFileSync(image, Buffer.alloc(4096, 1), { mode: 0o600 });
        const words = ["mount", "--transport", transport, ...runAs, image, join(home, "made")];
        expect(mounts.flatmount(words)).toMatchObject({
          status: 1,
          stderr: expect.stringMatching(/secret\.raw: cannot be read: permission denied/i),
        });
        expect(existsSync(join(home, "made"))).toBe(false);
        expect(mounts.stateFiles()).toEqual([]);
      });
    });
  });

  describe("whom --run-as names", () => {
    const mounts = useMounts("devfuse");
    const mountAs = (who: string, as?: "ordinary user") =>
      mounts.flatmount(["mount", "--run-as", who, "/dev/null", join(mounts.directory, "none")], as);

    test.runIf(isRoot).each([
      ["nobody-of-this-name", 'there is no user "nobody-of-this-name"'],
      ["", 'there is no user ""'],
      ["4242424", "hint: Name a group with it, such as 4242424:4242424."],
      ["root:no-such-group", 'there is no group "no-such-group"'],
      ["-u", 'there is no user "-u"'],
    ])("%j is refused", (who, words) => {
      expect(mountAs(who)).toMatchObject({ status: 1, stderr: expect.stringContaining(words) });
    });

    test("nobody but root may", () => {
      const image = join(subdirectory(mounts.directory), "a.raw");
      chmodSync(join(image, ".."), 0o755);
      writeFileSync(image, Buffer.alloc(4096));
      const { status, stderr } = mounts.flatmount(["mount", "--run-as", "root", image, subdirectory(mounts.directory)], "ordinary user");
      expect([status, stderr]).toEqual([1, expect.stringContaining("only root may become another user")]);
    });
  });
});

describe.skipIf(version === 0)("a thread that serves", () => {
  const directory = tempDirectory();
  let tried: { readonly restrictions: readonly string[]; readonly before: Tried; readonly after: Tried };

  beforeAll(() => {
    const root = join(directory, "dist");
    const program = join(root, "test/child.js");
    const define = { "import.meta.url": "moduleUrl" };
    const banner = { js: 'const moduleUrl = require("node:url").pathToFileURL(__filename).href;' };
    const entry = join(import.meta.dirname, "confined-child.ts");
    buildSync({ entryPoints: [entry], outfile: program, bundle: true, format: "cjs", platform: "node", define, banner });
    const addon = join(root, `native/${process.platform}-${process.arch}.node`);
    mkdirSync(join(root, "native"));
    copyFileSync(join(import.meta.dirname, "../../native-bindings/build/Release/flatmount.node"), addon);
    const folder = subdirectory(directory);
    writeFileSync(join(folder, "image"), "data");
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, folder, addon], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    tried = JSON.parse(stdout) as typeof tried;
  });

  test("could do everything before", () => {
    expect(new Set(Object.values(tried.before))).toEqual(new Set(["done"]));
  });

  test("opens no file but its own code, starts no program, reaches nobody; what is open it reads", () => {
    expect(tried.restrictions).toEqual(all);
    expect(tried.after).toEqual({
      "read a file of the machine": "EACCES",
      "read a file beside the image": "EACCES",
      "read it by its descriptor": "done",
      "list a folder": "EACCES",
      "write a file": "EACCES",
      "signal another process": version >= 6 ? "EPERM" : "done",
      "start a program": "EACCES",
      connect: version >= 4 ? "EACCES" : "done",
      "load a library": "done",
    });
  });
});
