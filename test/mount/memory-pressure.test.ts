// Reading where there is hardly any memory for the kernel's pages: a control group for the readers, and caches that are dropped all the time.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mixed } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { describeMounts, isRoot, useMounts, within } from "../support/mount.js";
import { qemuImg, requireProgram } from "../support/qemu.js";
import { subdirectory } from "../support/temp.js";

const MIB = 2 ** 20;

/** Bytes of memory for all readers together, of which the pages that they read count; a quarter of the disk. */
const LIMIT = 24 * MIB;
const SIZE = 96 * MIB;

/** Where a group can be made: version 1 has a hierarchy for memory alone, version 2 one for everything. */
const [folder, limitName] = existsSync("/sys/fs/cgroup/memory/memory.limit_in_bytes")
  ? ["/sys/fs/cgroup/memory", "memory.limit_in_bytes"]
  : ["/sys/fs/cgroup", "memory.max"];
const group = join(folder, `flatmount-test-${process.pid}`);

/** Groups of one's own are not given everywhere, even to root; the dropped caches are enough to have every page read again. */
function limitMemory(): void {
  try {
    mkdirSync(group);
    writeFileSync(join(group, limitName), String(LIMIT));
  } catch (error) {
    console.warn(`no control group for the readers: ${String(error)}`);
    if (existsSync(group)) rmdirSync(group);
  }
}

describeMounts("hardly any memory", () => {
  describe.skipIf(!isRoot || !requireProgram("qemu-img"))("as root", () => {
    beforeAll(limitMemory);
    afterAll(() => {
      if (existsSync(group)) rmdirSync(group);
    });

    const served = useMounts("devfuse", ["--no-passthrough"]);
    const passed = useMounts("devfuse");
    const routes = [
      { route: "answered by the server", mounts: served, options: [] },
      { route: "compressed, answered by the server", mounts: served, options: ["-c"] },
      { route: "through the index", mounts: passed, options: [] },
    ];
    test.each(routes)("$route: every byte is right, and nothing hangs", async ({ mounts, options }) => {
      const home = subdirectory(mounts.directory);
      const flat = join(home, "flat");
      const content = mixed(11, SIZE);
      writeFileSync(flat, content);
      const image = join(home, "image.qcow2");
      qemuImg("convert", "-f", "raw", "-O", "qcow2", ...options, flat, image);
      const before = fingerprint(home);
      const { disk, leave } = await mounts.serve(image);
      const dropping = dropCaches();
      // In four places at once, each of them further than the group has memory for.
      const readers = [0, 1, 2, 3].map((part) => compareInGroup(disk, flat, (part * SIZE) / 4));
      expect(await within(Promise.all(readers), "the readers")).toEqual(["", "", "", ""]);
      dropping.abort();
      expect(readFileSync(disk).equals(content)).toBe(true);
      await leave();
      expect(fingerprint(home)).toBe(before);
    });
  });
});

/** Compares a third of the disk from `from` on, in the group if there is one; what cmp(1) says, nothing if all is equal. */
function compareInGroup(disk: string, flat: string, from: number): Promise<string> {
  const script = '[ ! -d "$1" ] || echo $$ >"$1/cgroup.procs" && exec cmp --ignore-initial="$2" --bytes="$3" "$4" "$5" 2>&1';
  const child = spawn("sh", ["-c", script, "sh", group, String(from), String(SIZE / 3), disk, flat], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  return new Promise((resolve) => child.once("close", (status, signal) => resolve(status === 0 ? "" : `${signal ?? status} ${said}`)));
}

/** Takes the kernel's clean pages away, of all files, until it is told to stop. */
function dropCaches(): AbortController {
  const control = new AbortController();
  void (async () => {
    while (!control.signal.aborted) {
      writeFileSync("/proc/sys/vm/drop_caches", "1");
      await sleep(20);
    }
  })();
  return control;
}
