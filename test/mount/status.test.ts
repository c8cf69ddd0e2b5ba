// What mounts tell of themselves: `flatmount status`, and stats.json.
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { MountRecord } from "../../src/daemon/state.js";
import type { MountStatus } from "../../src/daemon/status.js";
import type { Stats } from "../../src/fuse/counters.js";
import { workerCount } from "../../src/fuse/pool.js";
import { between, mixed, randomNumbers } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { describeMounts, isRoot, type Mounts, runUnmount, type Served, until, useMounts, within } from "../support/mount.js";
import { parsePrometheus } from "../support/prometheus.js";
import { qemuImg, requireProgram } from "../support/qemu.js";
import { schemaProblems } from "../support/schema.js";
import { subdirectory } from "../support/temp.js";
import { codeOf } from "./refusals.js";
import { sampleDisk } from "./sample.js";

const MIB = 2 ** 20;
const CLUSTER = 65_536;

type Told = Omit<MountStatus, "record"> & Pick<MountRecord, "mountpoint" | "image" | "paths">;

describeMounts("status", () => {
  const available = requireProgram("qemu-img");
  const transports = [
    ["devfuse", ["--no-passthrough"]],
    ["libfuse", []],
  ] as const;
  describe.skipIf(!available).each(transports)("%s", (transport, options) => {
    const mounts = useMounts(transport, options);
    let image: string;
    beforeAll(() => {
      ({ image } = sampleDisk(mounts.directory));
      chmodSync(join(image, ".."), 0o755);
    });

    test("counts every read, and every byte, that the kernel asks for", async () => {
      const before = fingerprint(join(image, ".."));
      const served = await mounts.serve(image);
      const random = randomNumbers(3);
      const disk = openSync(served.disk, constants.O_RDONLY | constants.O_DIRECT);
      const earlier = statsOf(mounts, served);
      const sizes = [...Array<number>(100).fill(4096), ...Array<number>(10).fill(CLUSTER)];
      for (const size of sizes) readSync(disk, Buffer.alloc(size), 0, size, 4096 * between(random, 0, 2000));
      const later = statsOf(mounts, served);
      closeSync(disk);
      expect(later.requests.read - earlier.requests.read).toBe(sizes.length);
      expect(later.readBytes - earlier.readBytes).toBe(100 * 4096 + 10 * CLUSTER);
      expect(later.errors).toEqual(earlier.errors);
      expect(later.cache).toEqual({ hits: 0, misses: 0, decodedBytes: 0 });
      // What is read again is the kernel's.
      readFileSync(served.disk);
      const once = statsOf(mounts, served);
      readFileSync(served.disk);
      expect(statsOf(mounts, served).readBytes).toBe(once.readBytes);
      await served.leave();
      expect(fingerprint(join(image, ".."))).toBe(before);
    });

    test("counts what the cache of decoded blocks had", async () => {
      const packed = join(subdirectory(mounts.directory), "packed.qcow2");
      qemuImg("convert", "-c", "-O", "qcow2", image, packed);
      const served = await mounts.serve(packed);
      const disk = openSync(served.disk, constants.O_RDONLY | constants.O_DIRECT);
      // A cluster of text, of which a partition table has no need.
      for (let page = 0; page < 16; page += 1) readSync(disk, Buffer.alloc(4096), 0, 4096, 5 * MIB + page * 4096);
      closeSync(disk);
      const { hits, misses, decodedBytes } = statsOf(mounts, served).cache;
      expect(hits + misses).toBe(16);
      // Each thread has a cache of its own.
      expect(misses).toBeGreaterThan(0);
      expect(misses).toBeLessThanOrEqual(transport === "libfuse" ? 1 : workerCount());
      expect(decodedBytes).toBe(misses * CLUSTER);
      await served.leave();
    });

    test("counts what could not be read, and what was not there", async () => {
      const cut = join(subdirectory(mounts.directory), "cut.qcow2");
      const content = mixed(9, 4 * MIB);
      writeFileSync(join(cut, "../flat.raw"), content);
      qemuImg("convert", "-f", "raw", "-O", "qcow2", "-S", "0", join(cut, "../flat.raw"), cut);
      truncateSync(cut, 2 * MIB);
      const served = await mounts.serve(cut);
      const disk = openSync(served.disk, constants.O_RDONLY | constants.O_DIRECT);
      const earlier = statsOf(mounts, served);
      for (let count = 0; count < 3; count += 1) expect(codeOf(() => readSync(disk, Buffer.alloc(4096), 0, 4096, 3 * MIB))).toBe("EIO");
      expect(readSync(disk, Buffer.alloc(4096), 0, 4096, 0)).toBe(4096);
      expect(codeOf(() => statSync(join(served.mountpoint, "nothing")))).toBe("ENOENT");
      closeSync(disk);
      const later = statsOf(mounts, served);
      expect(later.errors).toEqual({ ...earlier.errors, io: earlier.errors.io + 3, missing: earlier.errors.missing + 1 });
      expect(later.readBytes - earlier.readBytes).toBe(4096);
      const { stdout } = mounts.flatmount(["status", served.mountpoint]);
      expect(stdout).toMatch(/^errors: +3: I\/O error 3$/m);
      expect(fileOf(served)).toMatchObject({ errors: later.errors });
      await served.leave();
    });

    test("stats.json: what was counted until it is opened, as long as stat says", async () => {
      const served = await mounts.serve(image);
      const path = join(served.mountpoint, "stats.json");
      expect(readdirSync(served.mountpoint)).toContain("stats.json");
      expect(statSync(path).mode).toBe(statSync(join(served.mountpoint, "info.json")).mode);
      expect(schemaProblems(fileOf(served), "stats.schema.json")).toEqual([]);
      const disk = openSync(served.disk, constants.O_RDONLY | constants.O_DIRECT);
      let before = fileOf(served);
      for (let round = 0; round < 30; round += 1) {
        for (let count = 0; count < round; count += 1) readSync(disk, Buffer.alloc(4096), 0, 4096, count * 4096);
        const now = fileOf(served);
        // Reading the file is counted, too.
        expect(now.requests.read - before.requests.read).toBe(round + 1);
        expect(now.readBytes - before.readBytes).toBe(round * 4096 + statSync(path).size);
        before = now;
      }
      closeSync(disk);
      expect(readFileSync(path)).toHaveLength(statSync(path).size);
      await served.leave();
    });

    test("stats.json: by programs that read it in pieces, through mmap, from its end, or hold it open", async () => {
      const served = await mounts.serve(image);
      const path = join(served.mountpoint, "stats.json");
      const outputOf = (program: string, ...words: string[]) => spawnSync(program, words, { encoding: "utf8" }).stdout;
      for (const text of [
        outputOf("cat", path),
        outputOf("dd", `if=${path}`, "bs=7", "status=none"),
        outputOf("dd", `if=${path}`, "bs=4096", "iflag=direct", "status=none"),
        outputOf("tail", "-c", "100000", path),
        outputOf("sh", "-c", 'cp "$1" "$2" && cat "$2"', "sh", path, join(mounts.directory, "copy.json")),
      ]) {
        expect(schemaProblems(JSON.parse(text), "stats.schema.json")).toEqual([]);
      }
      if (requireProgram("python3")) {
        const script =
          "import mmap, sys\nwith open(sys.argv[1], 'rb') as f: print(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[:].decode())";
        expect(schemaProblems(JSON.parse(outputOf("python3", "-c", script, path)), "stats.schema.json")).toEqual([]);
      }
      const held = openSync(path, "r");
      const count = readSync(held, Buffer.alloc(10_000), 0, 10_000, 0);
      expect(count).toBe(statSync(path).size);
      expect(readSync(held, Buffer.alloc(10_000), 0, 10_000, count)).toBe(0);
      closeSync(held);
      await served.leave();
    });

    test("a daemon that was killed: one clear line, and its socket goes with what is left", async () => {
      const served = await mounts.serve(image, { options: ["-o", "no_auto_unmount"] });
      const other = await mounts.serve(image);
      served.child.kill("SIGKILL");
      await within(served.ended, "the daemon to end");
      expect(mounts.stateFiles()).toContain(`${served.pid}.sock`);
      const { status, stderr } = mounts.flatmount(["status", served.mountpoint]);
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr:
          `flatmount: ${served.mountpoint}: its daemon (process ${served.pid}) has ended without unmounting\n` +
          'hint: "flatmount list --clean" clears away what it left.\n',
      });
      // The others are told of all the same, and nothing was cleared away.
      expect(toldBy(mounts, ["status", "--json"], 1).map(({ mountpoint, state }) => [mountpoint, state])).toEqual([
        [served.mountpoint, "gone"],
        [other.mountpoint, "served"],
      ]);
      expect(ups(mounts)).toEqual({ [served.mountpoint]: 0, [other.mountpoint]: 1 });
      expect(mounts.flatmount(["list", "--clean", served.mountpoint]).status).toBe(0);
      await other.leave();
      expect(mounts.stateFiles()).toEqual([]);
    });

    test.runIf(isRoot)("an ordinary user: tells of their own mounts, and root's are none of them", async () => {
      const mine = await mounts.serve(image);
      const served = await mounts.serve(image, { as: "ordinary user" });
      const [told, ...others] = JSON.parse(mounts.flatmount(["status", "--json"], "ordinary user").stdout) as Told[];
      expect(told).toMatchObject({ mountpoint: served.mountpoint, state: "served" });
      expect(others).toEqual([]);
      const refused = mounts.flatmount(["status", mine.mountpoint], "ordinary user");
      expect(refused.status).toBe(1);
      expect(refused.stderr).toMatch(/^flatmount: .*: this mount is not recorded: it is somebody else's.*\nhint: .*stats\.json\.\n$/);
      served.child.kill("SIGTERM");
      await within(served.ended, "the daemon to end");
      expect(mounts.stateFiles("ordinary user")).toEqual([]);
      await mine.leave();
    });
  });

  describe.skipIf(!available)("whatever the transport", () => {
    const mounts = useMounts("devfuse");

    test("a daemon that is stopped: one clear line, and the counters when it goes on", async () => {
      const { image } = sampleDisk(mounts.directory);
      const served = await mounts.serve(image);
      served.child.kill("SIGSTOP");
      // Who asks the mount itself waits for it, and cannot be ended: without this, this test could not either.
      const rescue = spawn("sh", ["-c", `sleep 10; kill -CONT ${served.pid}`], { stdio: "ignore", detached: true });
      const { status, stdout, stderr } = mounts.flatmount(["status", served.mountpoint]);
      served.child.kill("SIGCONT");
      process.kill(-(rescue.pid ?? 0));
      expect(status).toBe(1);
      expect(stderr).toBe(
        `flatmount: ${served.mountpoint}: its daemon (process ${served.pid}) does not answer\nhint: It may be stopped or overloaded. Its log: on its terminal\n`,
      );
      expect(stdout).toMatch(/^counters: +none: its daemon does not answer$/m);
      expect(statsOf(mounts, served).errors.io).toBe(0);
      await served.leave();
    });

    test("two mounts in one text for Prometheus, one of them with an odd name", async () => {
      const home = subdirectory(mounts.directory);
      const { image } = sampleDisk(home);
      const odd = join(home, 'a "quoted" \\ name\nof two lines');
      mkdirSync(odd);
      const [plain, other] = [await mounts.serve(image), await mounts.serve(image, { mountpoint: odd })];
      const { status, stdout } = mounts.flatmount(["status", "--prometheus"]);
      expect(status).toBe(0);
      const metrics = parsePrometheus(stdout);
      expect(metrics.get("flatmount_up")?.samples).toEqual([
        { labels: { mountpoint: plain.mountpoint, image }, value: 1 },
        { labels: { mountpoint: odd, image }, value: 1 },
      ]);
      const reads = metrics.get("flatmount_requests_total")?.samples.filter(({ labels }) => labels["kind"] === "read");
      expect(reads?.map(({ labels }) => labels["mountpoint"])).toEqual([plain.mountpoint, odd]);
      const alone = parsePrometheus(mounts.flatmount(["status", "--prometheus", odd]).stdout);
      expect(alone.get("flatmount_up")?.samples).toEqual([{ labels: { mountpoint: odd, image }, value: 1 }]);
      await plain.leave();
      await other.leave();
      expect(mounts.flatmount(["status", "--prometheus"])).toEqual({ status: 0, stdout: "", stderr: "" });
      expect(mounts.flatmount(["status"])).toEqual({ status: 0, stdout: "", stderr: "" });
    });

    test("on a file: no stats.json, but status", async () => {
      const { image, flat } = sampleDisk(mounts.directory);
      const served = await mounts.serve(image, { mountpoint: flat });
      expect(statsOf(mounts, served).errors.io).toBe(0);
      await served.leave();
    });

    test("where nothing is mounted", () => {
      const { status, stderr } = mounts.flatmount(["status", mounts.directory]);
      expect(status).toBe(1);
      expect(stderr).toBe(
        `flatmount: ${mounts.directory}: nothing of ours is mounted here\nhint: "flatmount list" shows what is mounted where.\n`,
      );
    });

    test("whoever connects and stays does not keep the daemon", async () => {
      const { image } = sampleDisk(mounts.directory);
      const served = await mounts.serve(image);
      const socket = join(mounts.directory, "runtime/flatmount", `${served.pid}.sock`);
      const script = `require("node:net").connect({ path: process.argv[1], allowHalfOpen: true }).on("connect", () => console.log("connected"))`;
      const user = spawn(process.execPath, ["-e", `${script}; setTimeout(() => undefined, 60000)`, socket], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await new Promise((resolve) => user.stdout.once("data", resolve));
      await served.leave();
      user.kill();
      expect(existsSync(socket)).toBe(false);
    });

    test.runIf(isRoot)("what the kernel reads itself is not counted, and that is told", async () => {
      const home = subdirectory(mounts.directory);
      const image = join(home, "plain.raw");
      writeFileSync(image, mixed(4, 3 * MIB));
      const served = await mounts.serve(image);
      await until(() => told(mounts, served).paths !== undefined, "the paths");
      const earlier = statsOf(mounts, served);
      readFileSync(served.disk);
      const later = statsOf(mounts, served);
      expect(later).toMatchObject({ readBytes: earlier.readBytes, passedFiles: 1 });
      expect(later.opens).toEqual({ ...earlier.opens, image: (earlier.opens?.image ?? 0) + 1 });
      const { stdout } = mounts.flatmount(["status", served.mountpoint]);
      expect(stdout).toMatch(/^not counted: +what the kernel reads itself of 1 file$/m);
      expect(stdout).toMatch(/^ {2}disk\.raw {2}by the kernel from the image; counted by the kernel, not here$/m);
      // Here, too, it is what holds when it is opened.
      expect(fileOf(served).requests.read).toBe(fileOf(served).requests.read - 1);
      await served.leave();
    });
  });

  describe.skipIf(!available || !isRoot)("the erofs transport", () => {
    const mounts = useMounts("erofs");

    test("has nobody who counts, and says so", () => {
      const { image } = sampleDisk(mounts.directory);
      const { mountpoint } = mounts.start(image);
      expect(codeOf(() => readFileSync(join(mountpoint, "stats.json")))).toBe("ENOENT");
      const { status, stdout, stderr } = mounts.flatmount(["status", mountpoint]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toMatch(/^counters: +none: the kernel serves this mount, and there is no process that could count$/m);
      expect(toldBy(mounts, ["status", "--json"])).toMatchObject([{ mountpoint, state: "kernel" }]);
      expect(ups(mounts)).toEqual({});
      runUnmount(mountpoint);
      expect(toldBy(mounts, ["status", "--json"])).toEqual([]);
      mounts.list();
    });
  });
});

function toldBy(mounts: Mounts, words: readonly string[], expected = 0): readonly Told[] {
  const { status, stdout } = mounts.flatmount(words);
  expect(status).toBe(expected);
  const told = JSON.parse(stdout) as readonly Told[];
  expect(schemaProblems(told, "status.schema.json")).toEqual([]);
  return told;
}

function told(mounts: Mounts, { mountpoint }: Served): Told {
  const [one, ...others] = toldBy(mounts, ["status", "--json", mountpoint]);
  if (!one || others.length > 0) throw new Error(`not one mount, but ${others.length + 1}`);
  return one;
}

function statsOf(mounts: Mounts, served: Served): Stats {
  const { stats } = told(mounts, served);
  if (!stats) throw new Error("there are no counters");
  return stats;
}

function fileOf({ mountpoint }: Served): Stats {
  return JSON.parse(readFileSync(join(mountpoint, "stats.json"), "utf8")) as Stats;
}

/** `flatmount_up` by mount point. */
function ups(mounts: Mounts): Readonly<Record<string, number>> {
  const { status, stdout } = mounts.flatmount(["status", "--prometheus"]);
  expect(status).toBe(0);
  const samples = parsePrometheus(stdout).get("flatmount_up")?.samples ?? [];
  return Object.fromEntries(samples.map(({ labels, value }) => [labels["mountpoint"], value]));
}
