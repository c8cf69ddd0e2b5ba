import { spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { between, randomNumbers } from "../support/content.js";
import { sha256 } from "../support/hash.js";
import { type Mounts, type Served, within } from "../support/mount.js";
import { requireProgram, run } from "../support/qemu.js";
import { type SampleDisk, sampleDisk } from "./sample.js";

export function reading(mounts: Mounts): void {
  let sample: SampleDisk;
  let served: Served;
  beforeAll(async () => {
    sample = sampleDisk(mounts.directory);
    served = await mounts.serve(sample.image);
  });

  test("the whole disk at once", () => {
    expect(readFileSync(served.disk).equals(sample.content)).toBe(true);
  });

  test.each(["512", "4k", "64k", "1M", "777", "3000001"])("dd with bs=%s", (size) => {
    dropCache(served.disk);
    expect(ddHash(served.disk, size, "iflag=fullblock")).toBe(sha256(sample.content));
  });

  test.each(["4k", "1M"])("dd with bs=%s past the page cache", (size) => {
    expect(ddHash(served.disk, size, "iflag=direct")).toBe(sha256(sample.content));
  });

  test("ranges at odd offsets, into a buffer that holds something else", () => {
    dropCache(served.disk);
    const random = randomNumbers(11);
    const descriptor = openSync(served.disk, "r");
    for (let round = 0; round < 500; round += 1) {
      const offset = between(random, 0, sample.content.length - 1);
      const length = between(random, 1, round % 10 === 0 ? 400_000 : 9000);
      const target = Buffer.alloc(length, 0xee);
      const count = readSync(descriptor, target, 0, length, offset);
      const expected = sample.content.subarray(offset, offset + length);
      expect(count).toBe(expected.length);
      expect(target.subarray(0, count).equals(expected)).toBe(true);
    }
    closeSync(descriptor);
  });

  test("at the end less than was asked for, behind it nothing", () => {
    const { length } = sample.content;
    const descriptor = openSync(served.disk, "r");
    const read = (offset: number) => readSync(descriptor, Buffer.alloc(4096), 0, 4096, offset);
    expect([read(length - 4096), read(length - 100), read(length - 1)]).toEqual([4096, 100, 1]);
    expect([read(length), read(length + 1), read(length + 4096), read(2 ** 40)]).toEqual([0, 0, 0, 0]);
    closeSync(descriptor);
  });

  test("16 readers at once, all over the disk", async () => {
    const random = randomNumbers(5);
    for (let round = 0; round < 4; round += 1) {
      dropCache(served.disk);
      const readers = Array.from({ length: 16 }, async () => compareRange(served.disk, sample, random));
      expect(await within(Promise.all(readers), "16 readers")).toEqual(Array(16).fill("the same"));
    }
  });

  test.skipIf(!requireProgram("python3"))("through mmap", () => {
    dropCache(served.disk);
    const script = `
import hashlib, mmap, sys
with open(sys.argv[1], "rb") as disk, mmap.mmap(disk.fileno(), 0, prot=mmap.PROT_READ) as memory:
    backwards = b"".join(memory[at:at + 4096] for at in reversed(range(0, len(memory), 4096)))
    print(hashlib.sha256(memory).hexdigest(), hashlib.sha256(backwards).hexdigest())
`;
    const pages = Array.from({ length: Math.ceil(sample.content.length / 4096) }, (_, page) => {
      return sample.content.subarray(page * 4096, (page + 1) * 4096);
    });
    const expected = [sha256(sample.content), sha256(Buffer.concat(pages.toReversed()))];
    expect(run("python3", ["-c", script, served.disk]).trim().split(" ")).toEqual(expected);
  });

  test("400 descriptors open at once", () => {
    const descriptors = Array.from({ length: 400 }, () => openSync(served.disk, "r"));
    const bytes = descriptors.map((descriptor, index) => {
      const target = Buffer.alloc(1);
      readSync(descriptor, target, 0, 1, index * 1009);
      return target[0];
    });
    expect(bytes).toEqual(descriptors.map((_, index) => sample.content[index * 1009]));
    descriptors.forEach(closeSync);
  });
}

/** Makes the kernel forget the pages it has of a file. */
function dropCache(path: string): void {
  run("dd", [`if=${path}`, "of=/dev/null", "iflag=nocache", "count=0", "status=none"]);
}

function ddHash(path: string, size: string, ...flags: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync("dd", [`if=${path}`, `bs=${size}`, "status=none", ...flags], { maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`dd ${path}: ${stderr.toString()}`);
  return sha256(stdout);
}

/** Has another process compare a range of the disk. */
async function compareRange(path: string, { flat, content }: SampleDisk, random: () => number): Promise<string> {
  const offset = between(random, 0, content.length - 1);
  const length = between(random, 1, 2_000_000);
  const program = spawn("cmp", ["-i", `${offset}:${offset}`, "-n", String(length), path, flat], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [program.stdout, program.stderr]) stream.setEncoding("utf8").on("data", (words: string) => (said += words));
  const status = await new Promise((resolve) => program.once("close", resolve));
  return status === 0 ? "the same" : `${length} bytes at ${offset}: ${said}`;
}
