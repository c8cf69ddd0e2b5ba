// Every program of docs/examples does what its first line says. They run as users run them: with what was built, found by the package's name.
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { noise } from "../support/content.js";
import { sha256 } from "../support/hash.js";
import { buildOvf, buildTar } from "../support/ovf-builder.js";
import { requireProgram, run } from "../support/qemu.js";
import { flatOf } from "../support/reading.js";
import { tempDirectory } from "../support/temp.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = join(root, "docs/examples");
const fixture = (name: string) => join(root, "fixtures", name);
const linux = fixture("linux.qcow2");
const files = tempDirectory();

const tested = new Set<string>();

async function outcomeOf(name: string, ...words: readonly string[]): Promise<{ stdout: string; code: number }> {
  tested.add(name);
  try {
    return { ...(await promisify(execFile)(process.execPath, [join(folder, name), ...words], { encoding: "utf8" })), code: 0 };
  } catch (error) {
    const { stdout, stderr, code } = error as { stdout: string; stderr: string; code: number };
    if (stderr !== "") throw new Error(stderr, { cause: error });
    return { stdout, code };
  }
}

const outputOf = async (name: string, ...words: readonly string[]) => (await outcomeOf(name, ...words)).stdout;

describe("the examples", () => {
  const disc = join(files, "disc.iso");
  const content = noise(5, 100_001);
  const hasDiscs = requireProgram("xorriso");
  beforeAll(() => {
    const tree = join(files, "tree/below");
    mkdirSync(tree, { recursive: true });
    writeFileSync(join(tree, "noise.bin"), content);
    if (hasDiscs) run("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-o", disc, join(files, "tree")]);
  });

  test("first-sector.mjs: prints the first sector", async () => {
    const lines = (await outputOf("first-sector.mjs", linux)).trim().split("\n");
    const bytes = Buffer.from(lines.map((line) => line.slice(5)).join(""), "hex");
    expect(bytes).toEqual(flatOf(linux).subarray(0, 512));
  });

  test("hash-partition.mjs: prints the hash of a partition", async () => {
    const partition = flatOf(linux).subarray(17_408, 17_408 + 1_031_168);
    expect(await outputOf("hash-partition.mjs", linux, "1")).toBe(`${sha256(partition)}\n`);
  });

  test.skipIf(!hasDiscs)("list-files.mjs: lists a disc", async () => {
    expect(await outputOf("list-files.mjs", disc)).toBe("below/\nbelow/noise.bin 100001\n");
  });

  test.skipIf(!hasDiscs)("copy-file.mjs: copies a file out of a disc", async () => {
    await outputOf("copy-file.mjs", disc, "below/noise.bin", join(files, "copied"));
    expect(sha256(readFileSync(join(files, "copied")))).toBe(sha256(content));
  });

  test("stream-to-file.mjs: writes the disk, holes left out", async () => {
    const target = join(files, "disk.raw");
    await outputOf("stream-to-file.mjs", linux, target);
    expect(sha256(readFileSync(target))).toBe(sha256(flatOf(linux)));
    expect(statSync(target).blocks * 512).toBeLessThan(statSync(target).size / 2);
  });

  test("data-ranges.mjs: prints where data is", async () => {
    const disk = flatOf(linux);
    const rest = Buffer.from(disk);
    for (const line of (await outputOf("data-ranges.mjs", linux)).trim().split("\n")) {
      const [start = Number.NaN, length = Number.NaN] = line.split(" ").map(Number);
      rest.fill(0, start, start + length);
    }
    expect(disk.some((byte) => byte !== 0)).toBe(true);
    expect(rest.equals(Buffer.alloc(rest.length))).toBe(true);
  });

  test("compare.mjs: finds the first difference, and none", async () => {
    const disk = flatOf(fixture("version2.qcow2"));
    const [same, other] = [join(files, "same.raw"), join(files, "other.raw")];
    writeFileSync(same, disk);
    disk.writeUInt8(disk.readUInt8(700_001) ^ 1, 700_001);
    writeFileSync(other, disk);
    expect(await outcomeOf("compare.mjs", fixture("version1.qcow"), same)).toMatchObject({ stdout: "the disks are alike\n", code: 0 });
    expect(await outcomeOf("compare.mjs", same, other)).toMatchObject({ stdout: "the disks differ at byte 700001\n", code: 1 });
  });

  test("package-disks.mjs: tells of the disks in a package", async () => {
    const disk = noise(9, 4096);
    disk.writeUInt16BE(0x55aa, 510);
    const plain = noise(10, 8192);
    plain.writeUInt16BE(0, 510);
    const descriptor = buildOvf({
      files: [
        { id: "a", href: "first.raw" },
        { id: "b", href: "second.raw" },
      ],
      disks: [
        { id: "d1", file: "a", capacity: "4096" },
        { id: "d2", file: "b", capacity: "8192" },
      ],
    });
    const members = [
      { name: "machine.ovf", content: Buffer.from(descriptor) },
      { name: "first.raw", content: disk },
      { name: "second.raw", content: plain },
    ];
    const path = join(files, "machine.ova");
    writeFileSync(path, buildTar(members));
    const lines = await outputOf("package-disks.mjs", path);
    expect(lines).toMatch(/^first\S*: raw, 4096 bytes, with a boot sector\nsecond\S*: raw, 8192 bytes\n$/);
  });

  test("workers.mjs: hashes every partition", async () => {
    const disk = flatOf(linux);
    const expected = [disk.subarray(17_408, 17_408 + 1_031_168), disk.subarray(2 ** 20, 2 ** 20 + 65_011_712)].map(sha256);
    expect(await outputOf("workers.mjs", linux)).toBe(`1 ${expected[0]}\n2 ${expected[1]}\n`);
  });

  describe("serve-http.mjs", () => {
    tested.add("serve-http.mjs");
    const image = fixture("version2.qcow2");
    let server: ReturnType<typeof spawn>;
    let url = "";
    beforeAll(async () => {
      server = spawn(process.execPath, [join(folder, "serve-http.mjs"), image, "0"], { stdio: ["ignore", "pipe", "inherit"] });
      url = await new Promise((resolve) => server.stdout?.once("data", (line: Buffer) => resolve(line.toString().trim())));
    });
    afterAll(async () => {
      const gone = new Promise((resolve) => server.once("exit", resolve));
      server.kill();
      await gone;
    });

    test("serve-http.mjs: serves the whole disk and any range of it", async () => {
      const disk = flatOf(image);
      const whole = await fetch(url);
      expect(whole.status).toBe(200);
      expect(sha256(new Uint8Array(await whole.arrayBuffer()))).toBe(sha256(disk));
      for (const [range, start, end] of [
        ["0-511", 0, 511],
        ["4000-70000", 4000, 70_000],
        ["-100", disk.length - 100, disk.length - 1],
        [`${disk.length - 5}-`, disk.length - 5, disk.length - 1],
        ["0-99999999999", 0, disk.length - 1],
      ] as const) {
        const part = await fetch(url, { headers: { Range: `bytes=${range}` } });
        expect(part.status).toBe(206);
        expect(part.headers.get("content-range")).toBe(`bytes ${start}-${end}/${disk.length}`);
        expect(sha256(new Uint8Array(await part.arrayBuffer()))).toBe(sha256(disk.subarray(start, end + 1)));
      }
    });

    test("refuses what is behind the end, and what is no GET", async () => {
      expect((await fetch(url, { headers: { Range: "bytes=99999999-" } })).status).toBe(416);
      expect((await fetch(url, { method: "POST" })).status).toBe(405);
      const head = await fetch(url, { method: "HEAD" });
      expect(Number(head.headers.get("content-length"))).toBe(flatOf(image).length);
    });
  });

  test("are all tested, and named in docs/library.md", () => {
    const names = readdirSync(folder).toSorted();
    expect(names).toEqual([...tested].toSorted());
    const text = readFileSync(join(root, "docs/library.md"), "utf8");
    for (const name of names) expect(text).toContain(`examples/${name}`);
    expect(existsSync(join(root, "dist/library/index.js"))).toBe(true);
  });
});
