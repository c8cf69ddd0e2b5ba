import { readdirSync, statSync, utimesSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { lsCommand } from "../../src/cli/commands/ls.js";
import { findNode } from "../../src/cli/view-path.js";
import { memoryFile } from "../../src/tree/flat.js";
import type { Entry, Node, Tree } from "../../src/tree/node.js";
import { directoryNode } from "../../src/tree/node.js";
import { indexTree } from "../support/tree.js";
import { UserError } from "../../src/util/errors.js";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { bootRecord } from "../support/partition-builder.js";
import { failureOf, outputOf } from "./fake-io.js";

const disks = builtDisks();

/** 64 sectors with partitions 1 and 2. */
function partitioned(): Buffer {
  const disk = noise(1, 64 * 512);
  const entries = [
    { type: 0x83, start: 8, count: 8 },
    { type: 0x07, start: 16, count: 40 },
  ];
  bootRecord(entries).copy(disk);
  return disk;
}

function partitionedImage(): string {
  const image = disks.write({ "disk.raw": partitioned() });
  utimesSync(image, 1_700_000_000, 1_700_000_000);
  return image;
}

describe("ls", () => {
  test("what a mount shows at its top", async () => {
    expect(await outputOf(lsCommand, partitionedImage())).toBe("disk.raw\ninfo.json\npartitions/\n");
    expect(await outputOf(lsCommand, disks.write({ "disk.raw": noise(1, 4096) }))).toBe("disk.raw\ninfo.json\n");
  });

  test.each(["partitions", "partitions/", "/partitions", "./partitions/.", "partitions/../partitions"])("at %s", async (path) => {
    expect(await outputOf(lsCommand, partitionedImage(), path)).toBe("1.raw\n2.raw\n");
  });

  test("a file lists itself", async () => {
    expect(await outputOf(lsCommand, partitionedImage(), "/partitions//2.raw")).toBe("partitions/2.raw\n");
  });

  test("-R with everything below", async () => {
    expect(await outputOf(lsCommand, "-R", partitionedImage())).toBe(
      "disk.raw\ninfo.json\npartitions/\npartitions/1.raw\npartitions/2.raw\n",
    );
  });

  test("-l with permissions, size and local time", async () => {
    const lines = (await outputOf(lsCommand, "-lR", partitionedImage())).split("\n");
    const at = new Date(1_700_000_000_000);
    const two = (number: number) => String(number).padStart(2, "0");
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const time = `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
    expect(lines[0]).toBe(`-r--r--r--          32768  ${time}  disk.raw`);
    expect(lines[2]).toBe(`dr-xr-xr-x              -  ${time}  partitions/`);
    expect(lines[4]).toBe(`-r--r--r--          20480  ${time}  partitions/2.raw`);
  });

  test("--json", async () => {
    const image = partitionedImage();
    const modified = new Date(statSync(image).mtimeMs).toISOString();
    const found = JSON.parse(await outputOf(lsCommand, "-R", "--json", image)) as { path: string }[];
    expect(found[0]).toEqual({ path: "disk.raw", kind: "file", size: 32_768, mode: 0o444, modified });
    expect(found[2]).toEqual({ path: "partitions", kind: "directory", mode: 0o555, modified });
    expect(found.map(({ path }) => path)).toEqual(["disk.raw", "info.json", "partitions", "partitions/1.raw", "partitions/2.raw"]);
  });

  test.each([
    ["nothing", "There are: disk.raw, info.json, partitions/."],
    ["partitions/3.raw", "There are: 1.raw, 2.raw."],
    ["partitions/1.raw/deeper", undefined],
    ["bad\x1b[2Jname", "There are: disk.raw, info.json, partitions/."],
  ])("%j is not there", async (path, hint) => {
    const shown = path.replace("\x1b", "\\x1b");
    const error = await failureOf(lsCommand, partitionedImage(), path);
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({ message: `there is no "${shown}" in the image's view`, hint });
  });

  test("leaves no file open", async () => {
    const image = partitionedImage();
    const before = readdirSync("/proc/self/fd").length;
    await outputOf(lsCommand, "-lR", image);
    await failureOf(lsCommand, image, "nothing");
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });
});

describe("a path in a view", () => {
  let ids = 1;
  const file = (name: string): Entry => ({
    name,
    node: { kind: "file", id: ++ids, mode: 0o444, modified: 0, file: memoryFile(name, Buffer.from(name)) },
  });
  const folder = (name: string, entries: readonly Entry[]): Entry => ({ name, node: directoryNode(++ids, 0o555, 0, entries) });
  const link = (name: string, target: string): Entry => ({ name, node: { kind: "symlink", id: ++ids, mode: 0o777, modified: 0, target } });
  const treeOf = (entries: readonly Entry[]): Tree => indexTree(directoryNode(1, 0o555, 0, entries));
  const contentOf = (node: Node) => {
    if (node.kind !== "file") return node.kind;
    const content = Buffer.alloc(node.file.size);
    node.file.read(content, 0);
    return content.toString();
  };

  const tree = treeOf([
    folder("disks", [folder("one", [file("disk.raw"), link("up", "../../top.txt")])]),
    file("top.txt"),
    link("disk", "disks/one/disk.raw"),
    link("first", "disks/one"),
    link("again", "first/../one/up"),
    link("circle", "circle"),
    link("outside", "/etc/passwd"),
  ]);

  test.each([
    ["disk", "disk.raw", "disks/one/disk.raw"],
    ["first/disk.raw", "disk.raw", "disks/one/disk.raw"],
    ["first/up", "top.txt", "top.txt"],
    ["again", "top.txt", "top.txt"],
    ["disks/../../../top.txt", "top.txt", "top.txt"],
    ["", "directory", ""],
    ["disks/one/..", "directory", "disks"],
  ])("%j", (path, content, way) => {
    const found = findNode(tree, path);
    expect([contentOf(found.node), found.path]).toEqual([content, way]);
  });

  test("a link in a circle, and one that leads out", () => {
    expect(() => findNode(tree, "circle")).toThrow('"circle" cannot be followed');
    expect(() => findNode(tree, "outside")).toThrow('a link to "/etc/passwd", which leads out of the view');
  });

  test("long directories are not listed in full", () => {
    const many = treeOf(Array.from({ length: 500 }, (_, index) => file(`${index}\n`)));
    let hint = "";
    try {
      findNode(many, "missing");
    } catch (error) {
      hint = (error as UserError).hint ?? "";
    }
    expect(hint).toMatch(/^There are: 0\\x0a, 1\\x0a, .*, 19\\x0a, …\.$/);
  });
});
