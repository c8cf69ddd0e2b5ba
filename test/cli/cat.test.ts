import fc from "fast-check";
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { catCommand } from "../../src/cli/commands/cat.js";
import type { Io } from "../../src/cli/io.js";
import { OutputClosed } from "../../src/cli/output.js";
import { ImageError, UserError } from "../../src/util/errors.js";
import { builtDisks } from "../support/built.js";
import { mixed, noise } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { bootRecord } from "../support/partition-builder.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import { difference } from "../support/reading.js";
import { failureOf, fakeIo, run } from "./fake-io.js";

const MIB = 2 ** 20;
const disks = builtDisks();

async function bytesOf(...words: readonly string[]): Promise<Buffer> {
  const io = fakeIo();
  await run(catCommand(io), words);
  return io.bytes();
}

/** 3 MiB and a bit, with two partitions, partly from a parent. */
const parent = mixed(1, 3 * MIB + 700);
bootRecord([
  { type: 0x83, start: 100, count: 200 },
  { type: 0x07, start: 1000, count: 3000 },
]).copy(parent);
const clusters = new Map<number, Cluster>([
  [5, { kind: "data", content: noise(2, 4096) }],
  [300, { kind: "zero" }],
  [301, { kind: "data", content: noise(3, 4096) }],
]);
const recipe = { size: parent.length, clusters, backing: { name: "base.raw", format: "raw" } };
const disk = expectedDisk(recipe, parent);

function chain(): string {
  return disks.write({ "top.qcow2": recipe, "base.raw": parent });
}

describe("cat", () => {
  test("the disk, where no path is given", async () => {
    expect(difference(await bytesOf(chain()), disk)).toBeUndefined();
  });

  test("a partition", async () => {
    expect(difference(await bytesOf(chain(), "partitions/2.raw"), disk.subarray(1000 * 512, 4000 * 512))).toBeUndefined();
  });

  test("info.json", async () => {
    expect(JSON.parse((await bytesOf(chain(), "info.json")).toString())).toMatchObject({ format: "qcow2", size: disk.length });
  });

  test.each([
    [["--offset", "4096"], 4096, disk.length],
    [["--offset", "0x1000", "--length", "1M"], 4096, 4096 + MIB],
    [["--offset", "1M", "--length", "1.5M"], MIB, 2.5 * MIB],
    [["--length", "1"], 0, 1],
    [["--length", "0"], 0, 0],
    [["--offset", String(disk.length)], disk.length, disk.length],
    // At most as much as there is.
    [["--offset", "3M", "--length", "1T"], 3 * MIB, disk.length],
  ])("%j", async (words, start, end) => {
    expect(difference(await bytesOf(chain(), ...words), disk.subarray(start, end))).toBeUndefined();
  });

  test("any range", async () => {
    const image = chain();
    const range = fc.tuple(fc.nat(disk.length), fc.oneof(fc.nat(5000), fc.nat(2 * MIB)));
    const property = fc.asyncProperty(range, async ([offset, length]) => {
      const found = await bytesOf(image, "--offset", String(offset), "--length", String(length));
      expect(difference(found, disk.subarray(offset, offset + length))).toBeUndefined();
    });
    await fc.assert(property, { numRuns: 60 });
  });

  test("in pieces of at most 1 MiB, whatever the size", async () => {
    const io = fakeIo();
    const image = disks.write({ "disk.qcow2": { size: 300 * MIB, clusterBits: 21, clusters: new Map() } });
    await run(catCommand(io), [image, "--offset", "4M", "--length", "20M"]);
    expect(io.writes()).toBe(20);
    expect(io.bytes().equals(Buffer.alloc(20 * MIB))).toBe(true);
  });

  test("changes nothing and leaves no file open", async () => {
    const image = chain();
    const before = fingerprint(dirname(image));
    const openBefore = readdirSync("/proc/self/fd").length;
    await bytesOf(image);
    await failureOf(catCommand, image, "nothing");
    expect(readdirSync("/proc/self/fd").length).toBe(openBefore);
    expect(fingerprint(dirname(image))).toBe(before);
  });
});

describe("cat refuses", () => {
  test("an offset behind the end", async () => {
    const error = await failureOf(catCommand, chain(), "--offset", String(disk.length + 1));
    expect(error).toMatchObject({ message: `the offset ${disk.length + 1} is behind the end of disk.raw, which has ${disk.length} bytes` });
  });

  test("directories, and what is not there", async () => {
    expect(await failureOf(catCommand, chain(), "partitions")).toMatchObject({
      message: '"partitions" is a directory',
      hint: "There are in it: 1.raw, 2.raw.",
    });
    expect(await failureOf(catCommand, chain(), "/")).toMatchObject({ message: "the top of the view is a directory" });
    expect(await failureOf(catCommand, chain(), "partitions/9.raw")).toBeInstanceOf(UserError);
  });

  test.each(["--offset", "--length"])("%s that is no size", async (option) => {
    expect(await failureOf(catCommand, chain(), option, "-5")).toMatchObject({ code: "commander.invalidArgument" });
    expect(await failureOf(catCommand, chain(), option, "many")).toMatchObject({ code: "commander.invalidArgument" });
  });

  test("to fill a terminal with a disk, unless forced", async () => {
    const image = chain();
    const terminal = fakeIo({ terminal: true });
    await expect(run(catCommand(terminal), [image])).rejects.toMatchObject({ hint: expect.stringContaining("--force") as string });
    expect(terminal.writes()).toBe(0);
    await run(catCommand(terminal), [image, "--force", "--length", "3"]);
    expect(difference(terminal.bytes(), disk.subarray(0, 3))).toBeUndefined();
  });

  test("text is welcome on a terminal, if it does not steer it", async () => {
    const terminal = fakeIo({ terminal: true });
    await run(catCommand(terminal), [chain(), "info.json"]);
    expect(terminal.text()).toContain('"format": "qcow2"');
    const nasty = disks.write({ "disk.raw": Buffer.from("text, and then \x1b[2J".padEnd(512)) });
    await expect(run(catCommand(fakeIo({ terminal: true })), [nasty, "-f", "raw"])).rejects.toThrow("is not text");
  });
});

describe("cat of what cannot be read", () => {
  // Cluster 1000 is behind the end of the file: the first byte that cannot be read is neither at the start nor at the end of a 1 MiB read.
  const beyond: Cluster = { kind: "entry", entry: 0x8000_0040_0000_0000n };
  const whole = { size: 6 * MIB, clusters: new Map<number, Cluster>([[2, { kind: "data", content: noise(4, 4096) }]]) };
  const damaged = { ...whole, clusters: new Map([...whole.clusters, [1000, beyond] as const]) };
  const start = 1000 * 4096;

  test.each([0, 5000, start - 1])("from %i on: everything before it is written, then it fails", async (offset) => {
    const image = disks.write({ "disk.qcow2": damaged });
    const io = fakeIo();
    const error = await run(catCommand(io), [image, "--offset", String(offset)]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ImageError);
    expect(error).toMatchObject({
      code: "TRUNCATED",
      file: image,
      message: expect.stringContaining(`disk.raw cannot be read at offset ${start}: `) as string,
    });
    expect(difference(io.bytes(), expectedDisk(whole).subarray(offset, start))).toBeUndefined();
  });

  test("starting inside it fails at once, starting behind it does not fail", async () => {
    const image = disks.write({ "disk.qcow2": damaged });
    const io = fakeIo();
    await expect(run(catCommand(io), [image, "--offset", String(start + 7)])).rejects.toThrow(`at offset ${start + 7}: `);
    expect(io.writes()).toBe(0);
    expect(await bytesOf(image, "--offset", String(start + 4096))).toHaveLength(6 * MIB - start - 4096);
  });

  test("stopping before it does not fail", async () => {
    const image = disks.write({ "disk.qcow2": damaged });
    expect(await bytesOf(image, "--length", String(start))).toHaveLength(start);
  });
});

test("when nobody reads any more, cat stops at once and closes the image", async () => {
  const image = chain();
  const before = readdirSync("/proc/self/fd").length;
  let writes = 0;
  const io: Io = {
    ...fakeIo(),
    out() {
      writes += 1;
      throw new OutputClosed(undefined);
    },
  };
  await expect(run(catCommand(io), [image])).rejects.toBeInstanceOf(OutputClosed);
  expect(writes).toBe(1);
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});
