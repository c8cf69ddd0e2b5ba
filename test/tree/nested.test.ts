// Images in containers, shown as if each had been opened alone.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Node, nodeAt, type Tree } from "../../src/tree/node.js";
import { openView, type View } from "../../src/tree/view.js";
import { noise } from "../support/content.js";
import { fingerprint } from "../support/hash.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;
const directory = tempDirectory();
/** A disk of 5 MiB and a sector, with holes. */
let disk: Buffer;
let raw: string;

beforeAll(() => {
  disk = Buffer.alloc(5 * MIB + 512);
  noise(7, 700_000).copy(disk, MIB - 100);
  noise(8, 512).copy(disk, 5 * MIB);
  raw = join(directory, "disk.raw");
  writeFileSync(raw, disk);
});

function opened(image: string): View {
  return openView({ image, options: {}, root: "directory", mode: 0o444, cacheLimit: 4 * MIB });
}

function fileAt(tree: Tree, path: string): Extract<Node, { kind: "file" }> {
  const node = nodeAt(tree, path);
  if (node?.kind !== "file") throw new Error(`${path} is ${node?.kind ?? "not there"}`);
  return node;
}

function bytesAt(tree: Tree, path: string): Buffer {
  const { file } = fileAt(tree, path);
  const content = Buffer.alloc(file.size);
  file.read(content, 0);
  return content;
}

function convert(format: string, target: string, ...options: readonly string[]): void {
  execFileSync("qemu-img", ["convert", "-f", "raw", "-O", format, ...options, raw, target]);
}

/** A tar archive of all that `fill` puts into a folder. */
function archive(fill: (folder: string) => void, ...options: readonly string[]): string {
  const home = subdirectory(directory);
  const folder = join(home, "in");
  mkdirSync(folder);
  fill(folder);
  const path = join(home, "a.tar");
  execFileSync("tar", ["-cf", path, ...options, "-C", folder, "."]);
  return path;
}

/** Names of all that is in the view, `files/` and `info.json` left out. */
function namesIn(node: Node, prefix = ""): readonly string[] {
  if (node.kind !== "directory") return [];
  return [...node.entries()].flatMap(({ name, node: next }) => {
    if (name === "info.json" || name === "files") return [];
    return [`${prefix}${name}`, ...namesIn(next, `${prefix}${name}/`)];
  });
}

describe("disks in an archive", () => {
  test("of every format, each under its name", () => {
    const path = archive((folder) => {
      convert("qcow2", join(folder, "a.qcow2"), "-c");
      convert("vmdk", join(folder, "b.vmdk"), "-o", "subformat=streamOptimized");
      convert("vpc", join(folder, "c.vhd"), "-o", "force_size=on");
      convert("vhdx", join(folder, "d.vhdx"));
      copyFileSync(raw, join(folder, "e.img"));
      writeFileSync(join(folder, "README"), "nothing");
    });
    const before = fingerprint(dirname(path));
    const view = opened(path);
    const disks = ["a", "b", "c", "d", "e"];
    expect([...namesIn(view.tree.root)].sort()).toEqual(
      ["disks", ...disks.flatMap((name) => [`disks/${name}`, `disks/${name}/disk.raw`])].sort(),
    );
    for (const name of disks) expect(bytesAt(view.tree, `disks/${name}/disk.raw`).subarray(0, disk.length).equals(disk), name).toBe(true);
    expect(bytesAt(view.tree, "files/README").toString()).toBe("nothing");
    expect(view.description.disks?.map(({ name, format }) => [name, format]).sort()).toEqual([
      ["a", "qcow2"],
      ["b", "vmdk"],
      ["c", "vhd"],
      ["d", "vhdx"],
      ["e", "raw"],
    ]);
    view.close();
    expect(fingerprint(dirname(path))).toEqual(before);
  });

  test("one disk is the disk of the view", () => {
    const path = archive((folder) => convert("qcow2", join(folder, "only.qcow2")));
    const view = opened(path);
    const link = nodeAt(view.tree, "disk.raw");
    expect(link?.kind === "symlink" && link.target).toBe("disks/only/disk.raw");
    view.close();
    const alone = openView({ image: path, options: {}, root: "file", mode: 0o444, cacheLimit: MIB });
    const content = Buffer.alloc(disk.length);
    if (alone.tree.root.kind === "file") alone.tree.root.file.read(content, 0);
    expect(content.equals(disk)).toBe(true);
    alone.close();
  });

  test("several cannot stand for one file", () => {
    const path = archive((folder) => {
      convert("qcow2", join(folder, "a.qcow2"));
      convert("qcow2", join(folder, "b.qcow2"));
    });
    expect(() => openView({ image: path, options: {}, root: "file", mode: 0o444, cacheLimit: MIB })).toThrow(/package of files/);
  });

  test("a disk in pieces and one that is a difference find theirs in the archive", () => {
    const path = archive((folder) => {
      mkdirSync(join(folder, "vm"));
      convert("vmdk", join(folder, "vm", "split.vmdk"), "-o", "subformat=twoGbMaxExtentSparse");
      convert("qcow2", join(folder, "vm", "base.qcow2"));
      execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", join(folder, "vm", "top.qcow2")]);
      execFileSync("qemu-io", ["-c", "write -P 9 64k 128k", join(folder, "vm", "top.qcow2")], { stdio: "ignore" });
    });
    const view = opened(path);
    expect(namesIn(view.tree.root)).not.toContain("disks/split-s001");
    expect(bytesAt(view.tree, "disks/split/disk.raw").subarray(0, disk.length).equals(disk)).toBe(true);
    const changed = Buffer.from(disk);
    changed.fill(9, 65_536, 65_536 + 131_072);
    expect(bytesAt(view.tree, "disks/top/disk.raw").equals(changed)).toBe(true);
    view.close();
  });

  test("nothing outside of the archive is opened", () => {
    const path = archive((folder) => {
      execFileSync("qemu-img", ["create", "-q", "-u", "-f", "qcow2", "-b", raw, "-F", "raw", join(folder, "evil.qcow2"), "5M"]);
    });
    const view = opened(path);
    expect(namesIn(view.tree.root)).toEqual([]);
    expect(view.description.notes.join()).toMatch(/evil\.qcow2 is not shown as a disk: .*missing in the container/);
    view.close();
  });

  test("sparse members keep their holes", () => {
    const path = archive((folder) => {
      execFileSync("cp", ["--sparse=always", raw, join(folder, "x.img")]);
    }, "-S");
    const view = opened(path);
    expect(bytesAt(view.tree, "disks/x/disk.raw").equals(disk)).toBe(true);
    expect(fileAt(view.tree, "disks/x/disk.raw").file.locate(0, MIB).extent).toMatchObject({ kind: "zero" });
    view.close();
  });
});

describe("containers in containers", () => {
  test("a disc with partitions in an archive in an archive", () => {
    const path = archive((outer) => {
      const inner = archive((folder) => {
        const tree = subdirectory(directory);
        writeFileSync(join(tree, "hello"), "world");
        execFileSync("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-o", join(folder, "disc.iso"), tree], { stdio: "ignore" });
        convert("qcow2", join(folder, "x.qcow2"));
      });
      copyFileSync(inner, join(outer, "inner.tar"));
    });
    const view = opened(path);
    expect(bytesAt(view.tree, "disks/inner/disks/disc/files/hello").toString()).toBe("world");
    expect(bytesAt(view.tree, "disks/inner/disks/x/disk.raw").equals(disk)).toBe(true);
    view.close();
  });

  test("every node is found again by its number, which no other has", () => {
    const path = archive((outer) => {
      const inner = archive((folder) => convert("qcow2", join(folder, "x.qcow2")));
      copyFileSync(inner, join(outer, "inner.tar"));
      convert("qcow2", join(outer, "x.qcow2"));
    });
    const view = opened(path);
    const seen = new Map<number, string>();
    const walk = (node: Node, way: string) => {
      expect(seen.get(node.id), way).toBeUndefined();
      seen.set(node.id, way);
      expect(view.tree.node(node.id)).toMatchObject({ kind: node.kind, id: node.id, mode: node.mode });
      if (node.kind === "directory") for (const { name, node: next } of node.entries()) walk(next, `${way}/${name}`);
    };
    walk(view.tree.root, "");
    expect(seen.size).toBeGreaterThan(12);
    view.close();
  });

  test("archives in archives end somewhere", () => {
    let path = archive((folder) => convert("qcow2", join(folder, "x.qcow2")));
    for (let depth = 0; depth < 8; depth += 1) {
      const inner = path;
      path = archive((folder) => copyFileSync(inner, join(folder, "inner.tar")));
    }
    const view = opened(path);
    expect(JSON.stringify(view.description)).toMatch(/containers deep/);
    view.close();
  });
});
