import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { mixed, text } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { isRoot } from "../support/mount.js";
import { change, createImage, flat, qemuImg, requireProgram, run } from "../support/qemu.js";
import { difference } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const program = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const available = requireProgram("qemu-img");

function convert(...words: readonly string[]) {
  return spawnSync(process.execPath, [program, "convert", ...words], { encoding: "utf8", maxBuffer: 2 ** 28 });
}

/** 34 MiB, so that threads take part: data that compresses, data that does not, and holes. */
const large = Buffer.alloc(34 * MIB + 512);
const chunk = mixed(1, 3 * MIB + 700);
for (let at = 0; at < large.length; at += 8 * MIB) chunk.copy(large, at);

describe.skipIf(!available)("convert", () => {
  const directory = tempDirectory();
  const home = () => subdirectory(directory);

  const kinds = [
    ["qcow2", []],
    ["qcow2", ["-c"]],
    ["qcow2", ["-c", "-o", "compression_type=zstd,cluster_size=2M"]],
    ["vmdk", ["-o", "subformat=streamOptimized"]],
    ["vmdk", ["-o", "subformat=twoGbMaxExtentSparse"]],
    ["vdi", []],
    ["vpc", []],
    ["vhdx", []],
    ["raw", []],
  ] as const;
  test.each(kinds)("%s %s, by threads", (format, options) => {
    const folder = home();
    writeFileSync(join(folder, "source"), large);
    const image = join(folder, `image.${format}`);
    qemuImg("convert", "-f", "raw", "-O", format, ...options, join(folder, "source"), image);
    const before = fingerprint(folder);
    const out = join(home(), "out.raw");
    expect(convert("--verify", image, out)).toMatchObject({ status: 0, stderr: "" });
    expect(difference(readFileSync(out), flat(image, { format }))).toBeUndefined();
    // Blocks of a VHDX are of many MiB, and stored as a whole.
    if (format !== "vhdx") expect(statSync(out).blocks * 512).toBeLessThan(20 * MIB);
    expect(readdirSync(join(out, ".."))).toEqual(["out.raw"]);
    expect(fingerprint(folder)).toBe(before);
  });

  test("a chain, an odd size, and standard output", () => {
    const folder = home();
    writeFileSync(join(folder, "base.raw"), mixed(4, 2 * MIB));
    createImage(join(folder, "top.qcow2"), 3 * MIB + 512, { backing: "base.raw" });
    change(join(folder, "top.qcow2"), [{ kind: "write", at: MIB, content: text(3, 100_000) }]);
    const out = join(folder, "out");
    expect(convert(join(folder, "top.qcow2"), out).status).toBe(0);
    expect(difference(readFileSync(out), flat(join(folder, "top.qcow2")))).toBeUndefined();
    const piped = spawnSync(process.execPath, [program, "convert", join(folder, "top.qcow2"), "-"], { maxBuffer: 2 ** 26 });
    expect(difference(piped.stdout, readFileSync(out))).toBeUndefined();
  });

  test("a partition", () => {
    const folder = home();
    const image = join(folder, "disk.raw");
    writeFileSync(image, mixed(3, 4 * MIB));
    spawnSync("sfdisk", ["-q", image], { input: "label: dos\nstart=63,size=2001\n" });
    expect(convert("--path", "partitions/1.raw", image, join(folder, "out")).status).toBe(0);
    expect(readFileSync(join(folder, "out")).equals(readFileSync(image).subarray(63 * 512, 2064 * 512))).toBe(true);
    expect(convert("--path", "partitions", image, join(folder, "out2")).stderr).toMatch(/no file of the view/);
  });

  test("standard output is not read again, and never a file of the image", () => {
    const folder = home();
    const image = join(folder, "a.raw");
    writeFileSync(image, mixed(4, MIB));
    for (const option of ["--verify", "--resume", "--keep-going"])
      expect(convert(option, image, "-").stderr).toContain(`${option} is for files`);
    const own = openSync(image, "a");
    const { status, stderr } = spawnSync(process.execPath, [program, "convert", image, "-"], {
      encoding: "utf8",
      stdio: ["ignore", own, "pipe"],
    });
    closeSync(own);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/standard output is a file of the image/)]);
    expect(readFileSync(image).equals(mixed(4, MIB))).toBe(true);
  });

  test("an image that is compressed as a whole", () => {
    const folder = home();
    writeFileSync(join(folder, "source"), large);
    qemuImg("convert", "-f", "raw", "-O", "qcow2", join(folder, "source"), join(folder, "image.qcow2"));
    run("gzip", ["-1", join(folder, "image.qcow2")]);
    expect(convert("--verify", join(folder, "image.qcow2.gz"), join(folder, "out"))).toMatchObject({ status: 0, stderr: "" });
    expect(difference(readFileSync(join(folder, "out")), large)).toBeUndefined();
  });

  test("16 TiB of hole are written and compared at once", () => {
    const folder = home();
    createImage(join(folder, "image.qcow2"), 16 * 2 ** 40 - MIB);
    change(join(folder, "image.qcow2"), [{ kind: "write", at: 9 * 2 ** 40, content: text(3, 100_000) }]);
    const started = Date.now();
    const { status, stderr } = convert("--verify", join(folder, "image.qcow2"), join(folder, "out"));
    expect([status, stderr]).toEqual([0, ""]);
    expect(Date.now() - started).toBeLessThan(10_000);
    expect(statSync(join(folder, "out")).size).toBe(16 * 2 ** 40 - MIB);
  });

  test("an image is never written to, by whatever name, even with --force", () => {
    const folder = home();
    writeFileSync(join(folder, "base.raw"), mixed(4, MIB));
    const image = join(folder, "top.qcow2");
    createImage(image, MIB, { backing: "base.raw" });
    linkSync(image, join(folder, "hard"));
    symlinkSync("top.qcow2", join(folder, "soft"));
    linkSync(image, join(folder, "new.partial"));
    symlinkSync("base.raw", join(folder, "other.partial.json"));
    const before = fingerprint(folder);
    for (const name of ["top.qcow2", "base.raw", "hard", "soft", "new", "other"]) {
      const { status, stderr } = convert("--force", image, join(folder, name));
      expect([status, stderr]).toEqual([1, expect.stringMatching(/a file of the image, which is never written to/)]);
    }
    expect(fingerprint(folder)).toBe(before);
  });

  test("what is there is replaced with --force only, as a whole", () => {
    const folder = home();
    writeFileSync(join(folder, "a.raw"), mixed(4, MIB));
    const out = join(folder, "out");
    writeFileSync(out, "precious");
    expect(convert(join(folder, "a.raw"), out).stderr).toMatch(/such a file already\nhint: --force/);
    expect(readFileSync(out, "utf8")).toBe("precious");
    expect(convert("--force", join(folder, "a.raw"), out).status).toBe(0);
    expect(readFileSync(out).equals(readFileSync(join(folder, "a.raw")))).toBe(true);
    expect(convert(join(folder, "a.raw"), folder).stderr).toMatch(/neither a file nor a block device/);
    expect(convert(join(folder, "a.raw"), join(folder, "no/where")).stderr).toMatch(/no such file/);
  });

  test("what is damaged stops it and leaves nothing; with --keep-going it is told, and the rest is right", () => {
    const folder = home();
    const content = mixed(9, 4 * MIB);
    writeFileSync(join(folder, "source"), content);
    const image = join(folder, "image.qcow2");
    qemuImg("convert", "-f", "raw", "-O", "qcow2", "-S", "0", join(folder, "source"), image);
    truncateSync(image, statSync(image).size - 200_000);
    const out = join(folder, "out");
    const failed = convert(image, out);
    expect([failed.status, failed.stderr]).toEqual([
      1,
      expect.stringMatching(/^flatmount: .*image.qcow2: bytes \d+ to \d+ of disk.raw cannot be read: .*\nhint: .*--keep-going.*\n$/),
    ]);
    expect(readdirSync(folder).toSorted()).toEqual(["image.qcow2", "source"]);
    const { status, stderr } = convert("--keep-going", image, out);
    const [, start = "", end = ""] = /bytes (\d+) to (\d+) of disk.raw are lost: /.exec(stderr) ?? [];
    expect([status, Number(end)]).toEqual([1, content.length - 1]);
    expect(content.length - Number(start)).toBeLessThan(300_000);
    expect(
      readFileSync(out)
        .subarray(0, Number(start))
        .equals(content.subarray(0, Number(start))),
    ).toBe(true);
  });

  test("stopped by SIGINT it leaves nothing; with --resume it goes on where it was", async () => {
    const folder = home();
    writeFileSync(join(folder, "source"), Buffer.concat([large, large, large]));
    const image = join(folder, "image.qcow2");
    qemuImg("convert", "-f", "raw", "-O", "qcow2", "-c", join(folder, "source"), image);
    const out = join(folder, "out/raw");
    mkdirSync(join(folder, "out"));
    const stopped = async (...options: readonly string[]) => {
      const child = spawn(process.execPath, [program, "convert", ...options, image, out], { stdio: "ignore" });
      const ended = new Promise((resolve) => child.once("exit", resolve));
      while (!(existsSync(`${out}.partial`) && statSync(`${out}.partial`).blocks > 8000))
        await new Promise((resolve) => setTimeout(resolve, 2));
      child.kill("SIGINT");
      return ended;
    };
    expect(await stopped()).toBe(130);
    expect(readdirSync(join(folder, "out"))).toEqual([]);
    expect(await stopped("--resume")).toBe(130);
    expect(readdirSync(join(folder, "out")).toSorted()).toEqual(["raw.partial", "raw.partial.json"]);
    // Of another state of the image, or of another one, nothing is gone on with.
    expect(convert("--resume", join(folder, "source"), out).stderr).toMatch(/it is not what the same command has left/);
    expect(convert("--resume", "--verify", image, out)).toMatchObject({ status: 0 });
    expect(readFileSync(out).equals(readFileSync(join(folder, "source")))).toBe(true);
    expect(readdirSync(join(folder, "out"))).toEqual(["raw"]);
  });

  test("what a thread could not decode does not count as done; with --keep-going it is told", () => {
    const folder = home();
    const content = Buffer.alloc(48 * MIB);
    for (let at = 0; at < content.length; at += 4 * MIB) text(at / MIB, 2 * MIB).copy(content, at);
    writeFileSync(join(folder, "source"), content);
    const image = join(folder, "image.qcow2");
    qemuImg("convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd", join(folder, "source"), image);
    const good = readFileSync(image);
    // The magic number of one frame: what is changed further on may decode, to something else.
    const frame = good.indexOf("28b52ffd", Math.floor(good.length / 2), "hex");
    const bad = Buffer.from(good).fill(0xff, frame, frame + 4);
    const write = (bytes: Buffer) => {
      writeFileSync(image, bytes);
      utimesSync(image, 1e9, 1e9);
    };
    const out = join(folder, "out");
    write(bad);
    expect(convert("--resume", image, out).stderr).toMatch(/bytes \d+ to \d+ of disk.raw cannot be read: .*\nhint: .*--keep-going/);
    write(good);
    expect(convert("--resume", image, out)).toMatchObject({ status: 0, stderr: "" });
    expect(difference(readFileSync(out), content)).toBeUndefined();

    write(bad);
    const { status, stderr } = convert("--keep-going", "--verify", "--force", image, out);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^flatmount: .*: bytes \d+ to \d+ of disk.raw are lost: .*\n$/)]);
    const [start = 0, end = 0] = (/bytes (\d+) to (\d+)/.exec(stderr) ?? []).slice(1).map(Number);
    expect(end - start).toBe(65_535);
    content.fill(0, start, end + 1);
    expect(difference(readFileSync(out), content)).toBeUndefined();
  });

  describe.skipIf(!isRoot)("as root", () => {
    test.each([
      ["xfs", ["mkfs.xfs", "-q", "-m", "reflink=1"]],
      ["btrfs", ["mkfs.btrfs", "-q"]],
    ] as const)("blocks are shared on %s", (type, make) => {
      const folder = home();
      const volume = join(folder, "volume");
      writeFileSync(volume, "");
      truncateSync(volume, 400 * MIB);
      const [name, ...options] = make;
      expect(spawnSync(name, [...options, volume], { encoding: "utf8" })).toMatchObject({ status: 0 });
      const mountpoint = home();
      expect(spawnSync("mount", ["-t", type, "-o", "loop", volume, mountpoint])).toMatchObject({ status: 0 });
      try {
        writeFileSync(join(mountpoint, "source"), large);
        const image = join(mountpoint, "image.qcow2");
        qemuImg("convert", "-f", "raw", "-O", "qcow2", join(mountpoint, "source"), image);
        spawnSync("sync", ["-f", mountpoint]);
        const out = join(mountpoint, "out");
        expect(convert("--verify", image, out)).toMatchObject({ status: 0 });
        expect(readFileSync(out).equals(large)).toBe(true);
        expect(spawnSync("filefrag", ["-v", out], { encoding: "utf8" }).stdout).toMatch(/shared/);
      } finally {
        expect(spawnSync("umount", [mountpoint]).status).toBe(0);
      }
    });

    test("no room: one line, and nothing is left", () => {
      const mountpoint = home();
      expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=8m", "none", mountpoint]).status).toBe(0);
      try {
        const folder = home();
        writeFileSync(join(folder, "a.raw"), mixed(1, 20 * MIB));
        const { status, stderr } = convert(join(folder, "a.raw"), join(mountpoint, "out"));
        expect([status, stderr]).toEqual([
          1,
          expect.stringMatching(
            /^flatmount: .*out: up to 20 MiB will be written, and there is room for .* MiB\nflatmount: .*out: there is no room for it: up to .* MiB more are needed\nhint: .*--resume/,
          ),
        ]);
        expect(readdirSync(mountpoint)).toEqual([]);
      } finally {
        spawnSync("umount", [mountpoint]);
      }
    });

    test("a device over the image is the image: as a loop device, a partition of one, and by another name", () => {
      const folder = home();
      const image = join(folder, "disk.raw");
      writeFileSync(image, mixed(3, 4 * MIB));
      spawnSync("sfdisk", ["-q", image], { input: "label: dos\nstart=63,size=2001\n" });
      const before = fingerprint(folder);
      const device = run("losetup", ["--show", "-P", "-f", image]).trim();
      const devices = home();
      const [node, partition] = [join(devices, "node"), join(devices, "partition")];
      try {
        const number = device.replace("/dev/loop", "");
        run("mknod", [node, "b", "7", number]);
        // Where the kernel does not know the table itself.
        spawnSync("addpart", [device, "1", "63", "2001"]);
        const [major = "", minor = ""] = readFileSync(`/sys/block/loop${number}/loop${number}p1/dev`, "utf8").trim().split(":");
        run("mknod", [partition, "b", major, minor]);
        for (const [from, to] of [
          [image, device],
          [image, node],
          [image, partition],
          [device, image],
          [device, node],
          [device, partition],
          [partition, device],
          [partition, image],
        ] as const) {
          const { status, stderr } = convert("--force", from, to);
          expect([from, to, status, stderr]).toEqual([
            from,
            to,
            1,
            expect.stringMatching(/a file of the image, which is never written to/),
          ]);
        }
      } finally {
        run("losetup", ["-d", device]);
      }
      expect(fingerprint(folder)).toBe(before);
    });

    test("to a device: zeros are written, too", () => {
      const folder = home();
      const [image, old] = [join(folder, "image.qcow2"), join(folder, "device")];
      createImage(image, 4 * MIB);
      change(image, [{ kind: "write", at: MIB, content: text(3, 100_000) }]);
      writeFileSync(old, mixed(5, 5 * MIB));
      const device = spawnSync("losetup", ["--show", "-f", old], { encoding: "utf8" }).stdout.trim();
      try {
        expect(convert(image, device).stderr).toMatch(/all that is on it would be lost\nhint: --force/);
        symlinkSync(device, join(folder, "link"));
        expect(convert("--force", "--verify", image, join(folder, "link"))).toMatchObject({ status: 0, stderr: "" });
        spawnSync("sync", [device]);
      } finally {
        expect(spawnSync("losetup", ["-d", device]).status).toBe(0);
      }
      expect(difference(readFileSync(old).subarray(0, 4 * MIB), flat(image))).toBeUndefined();
      expect(
        readFileSync(old)
          .subarray(4 * MIB)
          .equals(mixed(5, 5 * MIB).subarray(4 * MIB)),
      ).toBe(true);
    });
  });
});
