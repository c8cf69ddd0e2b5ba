import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { infoCommand } from "../../src/cli/commands/info.js";
import type { DiskDescription } from "../../src/disk/describe.js";
import { nodeAt } from "../../src/tree/node.js";
import { openView } from "../../src/tree/view.js";
import { ImageError } from "../../src/util/errors.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { bootRecord, gpt, type Piece } from "../support/partition-builder.js";
import { buildQcow2 } from "../support/qcow2-builder.js";
import { tempDirectory } from "../support/temp.js";
import { failureOf, outputOf } from "./fake-io.js";

const MIB = 2 ** 20;
const disks = builtDisks();

function diskWith(size: number, pieces: readonly Piece[]): Buffer {
  const disk = Buffer.alloc(size);
  for (const { at, content } of pieces) disk.set(content, at);
  return disk;
}

/** A disk of 4 MiB with two partitions. */
function partitioned(names: readonly string[] = ["boot", "root"]): Buffer {
  const entries = names.map((name, index) => ({ number: index + 1, first: 2048 + index * 2048, last: 2048 + index * 2048 + 1023, name }));
  return diskWith(4 * MIB, gpt({ diskSize: 4 * MIB, entries }));
}

function described(image: string, ...words: readonly string[]): Promise<DiskDescription> {
  return outputOf(infoCommand, "--json", image, ...words).then((text) => JSON.parse(text) as DiskDescription);
}

describe("info", () => {
  test("of a raw disk with partitions", async () => {
    const image = disks.write({ "disk.raw": partitioned() });
    const text = await outputOf(infoCommand, image);
    expect(text).toContain(`image:        ${image}\nformat:       raw\ndisk size:    4 MiB (4194304 bytes)\nstored size:  `);
    expect(text).toMatch(/\nPartitions \(GPT, sectors of 512 bytes, [0-9A-F-]{36}\):\n/);
    expect(text).toMatch(/^ {2}1 +1048576 +524288 +512 KiB +Linux filesystem +boot$/m);
    expect(text).toMatch(/^ {2}2 +2097152 +524288 +512 KiB +Linux filesystem +root$/m);
    expect(text).not.toContain("Worth knowing");
    expect(text).not.toContain("Chain");
  });

  test("of a disk without partitions", async () => {
    const image = disks.write({ "disk.raw": noise(1, 8192) });
    expect(await outputOf(infoCommand, image)).toContain("partitions:   none\n");
    expect((await described(image)).partitions).toEqual([]);
  });

  test("of a chain with snapshots", async () => {
    const recipe = {
      size: 3 * MIB,
      clusters: new Map(),
      backing: { name: "base.raw", format: "raw" },
      snapshots: [{ id: "1", name: "first state", size: 2 * MIB, clusters: new Map(), stateSize: 4096, seconds: 1_600_000_000 }],
    };
    const image = disks.write({ "top.qcow2": recipe, "base.raw": partitioned() });
    const text = await outputOf(infoCommand, image);
    expect(text).toContain("format:            qcow2, version 3\n");
    expect(text).toContain("cluster size:      4 KiB (4096 bytes)\n");
    expect(text).toContain("backing file:      base.raw\n");
    expect(text).toMatch(/^ {2}0 +qcow2 +3 MiB +\S+top\.qcow2 +-\n {2}1 +raw +4 MiB +\S+base\.raw +where the image says$/m);
    expect(text).toMatch(/^ {2}1 +2020-09-13T12:26:40\.000Z +2 MiB +4 KiB +first state$/m);
  });

  test("of one snapshot has that one's size", async () => {
    const snapshots = [{ id: "7", name: "small", size: MIB, clusters: new Map() }];
    const image = disks.write({ "disk.qcow2": { size: 3 * MIB, clusters: new Map(), snapshots } });
    expect((await described(image, "--snapshot", "small")).size).toBe(MIB);
    expect((await described(image)).size).toBe(3 * MIB);
    expect(await failureOf(infoCommand, image, "--snapshot", "other")).toMatchObject({ code: "PART_MISSING" });
  });

  test("--json is what info.json in a mount holds", async () => {
    const image = disks.write({
      "top.qcow2": { size: 5 * MIB, clusters: new Map(), backing: { name: "base.raw" } },
      "base.raw": partitioned(),
    });
    const view = openView({ image, options: {}, root: "directory", mode: 0o444, cacheLimit: MIB });
    const node = nodeAt(view.tree, "info.json");
    if (node?.kind !== "file") throw new Error("no info.json");
    const content = Buffer.alloc(node.file.size);
    node.file.read(content, 0);
    view.close();
    const found = await described(image);
    expect(found).toEqual(JSON.parse(content.toString("utf8")));
    expect(found.partitions.map(({ file }) => file)).toEqual(["partitions/1.raw", "partitions/2.raw"]);
  });

  test("changes nothing and leaves no file open", async () => {
    const image = disks.write({
      "top.qcow2": { size: MIB, clusters: new Map(), backing: { name: "base.raw" } },
      "base.raw": partitioned(),
    });
    const before = fingerprint(dirname(image));
    const open = () => readdirSync("/proc/self/fd").length;
    const openBefore = open();
    await outputOf(infoCommand, image);
    await failureOf(infoCommand, image, "--snapshot", "none");
    expect(open()).toBe(openBefore);
    expect(fingerprint(dirname(image))).toBe(before);
  });
});

describe("info of damaged images", () => {
  test("a GPT whose both copies are broken", async () => {
    const [protective, header, ...rest] = gpt({ diskSize: 4 * MIB, entries: [{ number: 1, first: 2048, last: 3000 }] });
    const disk = diskWith(4 * MIB, [protective, header, ...rest]);
    disk.fill(0x55, 512 + 16, 512 + 60);
    disk.fill(0x55, disk.length - 512 + 16, disk.length - 512 + 60);
    const image = disks.write({ "disk.raw": disk });
    const text = await outputOf(infoCommand, image);
    expect(text).toContain("disk size:    4 MiB");
    expect(text).toMatch(/\n {2}none\n\nWorth knowing:\n {2}- /);
  });

  test("an extended partition that leads nowhere", async () => {
    const image = disks.write({ "disk.raw": diskWith(MIB, [{ at: 0, content: bootRecord([{ type: 5, start: 4, count: 100 }]) }]) });
    expect(await outputOf(infoCommand, image)).toContain("Worth knowing:\n  - ");
  });

  test("a first sector that cannot be read", async () => {
    const clusters = new Map([[0, { kind: "entry", entry: 0x8000_0001_0000_0000n }]] as const);
    const image = disks.write({ "disk.qcow2": { size: MIB, clusters } });
    const text = await outputOf(infoCommand, image);
    expect(text).toMatch(/Worth knowing:\n {2}- .*cannot be read/);
  });

  test("snapshots that cannot be listed", async () => {
    const snapshots = [{ id: "1", name: "state", size: MIB, clusters: new Map() }];
    const { bytes } = buildQcow2({ size: MIB, clusters: new Map(), snapshots });
    bytes.writeBigUInt64BE(BigInt(bytes.length + 512), 64);
    const image = disks.write({ "disk.qcow2": bytes });
    const text = await outputOf(infoCommand, image);
    expect(text).toContain("disk size:         1 MiB");
    expect(text).toMatch(/Worth knowing:\n {2}- .*snapshots/);
  });

  test("a parent that is missing is said, with the way out", async () => {
    const image = disks.write({ "top.qcow2": { size: MIB, clusters: new Map(), backing: { name: "gone.raw" } } });
    expect(await failureOf(infoCommand, image)).toMatchObject({
      code: "PART_MISSING",
      file: image,
      hint: "Put it next to the image, or use --search DIR or --parent FILE. With --degraded, what it holds fails to be read.",
    });
  });
});

describe("what comes from an image cannot steer the terminal", () => {
  // A red background, a line that is taken back, text from right to left, and a one-byte CSI.
  const nasty = "a\x1b[41mb\rc\u202ed\u009b2Je";
  const steering = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/;

  test("partition names", async () => {
    const image = disks.write({ "disk.raw": partitioned([nasty]) });
    expect(await outputOf(infoCommand, image)).not.toMatch(steering);
    expect(await outputOf(infoCommand, image)).toContain("a\\x1b[41mb\\x0dc\\u{202e}d\\x9b2Je");
    const json = await outputOf(infoCommand, "--json", image);
    expect(json).not.toMatch(steering);
    expect((JSON.parse(json) as DiskDescription).partitions[0]?.name).toBe(nasty);
  });

  test("snapshots and backing files", async () => {
    const snapshots = [{ id: nasty, name: nasty, size: MIB, clusters: new Map() }];
    const image = disks.write({
      "top.qcow2": { size: MIB, clusters: new Map(), backing: { name: nasty }, snapshots },
      [nasty]: partitioned(),
    });
    expect(await outputOf(infoCommand, image)).not.toMatch(steering);
    expect(await outputOf(infoCommand, "--json", image)).not.toMatch(steering);
  });
});

describe("the options of every reading command", () => {
  const directory = tempDirectory();

  test("--format raw shows the image's own bytes", async () => {
    const image = disks.write({ "disk.qcow2": { size: MIB, clusters: new Map() } });
    expect(await described(image, "--format", "raw")).toMatchObject({ format: "raw", size: readFileSync(image).length });
  });

  test("--allow opens the way to a folder", async () => {
    const base = join(directory, "base.raw");
    writeFileSync(base, noise(1, 4096));
    const image = disks.write({ "top.qcow2": { size: 4096, clusters: new Map(), backing: { name: base, format: "raw" } } });
    expect(await failureOf(infoCommand, image)).toMatchObject({
      code: "PART_DENIED",
      hint: expect.stringContaining(`--allow ${directory}`) as string,
    });
    expect((await described(image, "--allow", dirname(image), "--allow", directory)).chain).toHaveLength(2);
  });

  test.each([["--allow", "/no/such/folder"], ["--format", "floppy"], ["--unknown"]])("wrong usage: %s %s", async (...words) => {
    expect(await failureOf(infoCommand, "image", ...words)).toMatchObject({
      exitCode: 1,
      code: expect.stringMatching(/^commander\./) as string,
    });
  });

  test("what is no image is an ImageError", async () => {
    expect(await failureOf(infoCommand, directory)).toBeInstanceOf(ImageError);
    expect(await failureOf(infoCommand, join(directory, "nothing"))).toMatchObject({ code: "UNREADABLE" });
  });
});
