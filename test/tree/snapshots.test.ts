// snapshots/ in the view: what is in it, what it is called, and what it costs.
import { copyFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { snapshotNames } from "../../src/disk/snapshot-names.js";
import { passingFiles } from "../../src/fuse/passing-files.js";
import { type DirectoryNode, type FileNode, type Node, nodeAt } from "../../src/tree/node.js";
import { openView, type View } from "../../src/tree/view.js";
import { builtDisks } from "../support/built.js";
import { mixed, noise } from "../support/content.js";
import { bootRecord } from "../support/partition-builder.js";
import { type Built, buildQcow2, type Clusters, type Recipe, type SnapshotRecipe } from "../support/qcow2-builder.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import { change, createImage, flat, qemuImg, requireProgram, run } from "../support/qemu.js";
import { difference, imageErrorOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const MIB = 2 ** 20;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Bytes of buffers that something still needs. */
function held(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}
const CLUSTER = 4096;
const { write } = builtDisks();
const directory = tempDirectory();
const qemu = requireProgram("qemu-img") && requireProgram("qemu-io");

function withView<T>(image: string, use: (view: View) => T, options: Parameters<typeof openView>[0]["options"] = {}): T {
  const view = openView({ image, options, root: "directory", mode: 0o444, cacheLimit: 4 * MIB });
  try {
    return use(view);
  } finally {
    view.close();
  }
}

function folderAt({ tree }: View, path: string): DirectoryNode {
  const node = nodeAt(tree, path);
  if (node?.kind !== "directory") throw new Error(`${path} is no directory`);
  return node;
}

function fileAt({ tree }: View, path: string): FileNode {
  const node = nodeAt(tree, path);
  if (node?.kind !== "file") throw new Error(`${path} is no file`);
  return node;
}

const namesIn = (view: View, path: string) => [...folderAt(view, path).entries()].map(({ name }) => name);

function contentOf({ file }: FileNode): Buffer {
  const content = Buffer.alloc(file.size, 0xee);
  for (let at = 0; at < content.length; at += 65_537) file.read(content.subarray(at, at + 65_537), at);
  return content;
}

function stored(seed: number, ...numbers: readonly number[]): Clusters {
  return new Map(numbers.map((number): [number, Cluster] => [number, { kind: "data", content: noise(seed * 100 + number, CLUSTER) }]));
}

function snapshot(id: string, more: Partial<SnapshotRecipe> = {}): SnapshotRecipe {
  return { id, name: `name of ${id}`, size: 20 * CLUSTER, clusters: stored(Number(id) || 77, 0, 3, 9), ...more };
}

const base: Recipe = { size: 20 * CLUSTER, clusters: stored(50, 1, 3, 7), seed: 3 };

/** Every node of a tree, as a worker that has only the numbers sees it. */
function allNodes(root: Node): Node[] {
  return root.kind === "directory" ? [root, ...[...root.entries()].flatMap(({ node }) => allNodes(node))] : [root];
}

describe("snapshots/", () => {
  test("each state beside the current one, with its size and time", () => {
    const snapshots = [
      snapshot("1", { seconds: 1_500_000_000 }),
      snapshot("2", { size: 7 * CLUSTER }),
      snapshot("3", { size: 1500 * CLUSTER }),
    ];
    withView(write({ "disk.qcow2": { ...base, snapshots } }), (view) => {
      expect(namesIn(view, "")).toEqual(["disk.raw", "info.json", "snapshots"]);
      expect(namesIn(view, "snapshots")).toEqual(snapshots.map(({ name }) => name));
      for (const one of snapshots) {
        expect(namesIn(view, `snapshots/${one.name}`)).toEqual(["disk.raw"]);
        const file = fileAt(view, `snapshots/${one.name}/disk.raw`);
        expect(file.file.size).toBe(one.size);
        expect(difference(contentOf(file), expectedDisk(one))).toBeUndefined();
        expect(file.file.allocated()).toBe(Math.min(3, one.size / CLUSTER === 7 ? 2 : 3) * CLUSTER);
      }
      expect(nodeAt(view.tree, "snapshots/name of 1/disk.raw")?.modified).toBe(1_500_000_000_000);
      expect(difference(contentOf(fileAt(view, "disk.raw")), expectedDisk(base))).toBeUndefined();
      expect(view.description.snapshots.map(({ file }) => file)).toEqual(snapshots.map(({ name }) => `snapshots/${name}/disk.raw`));
    });
  });

  test("none, for images that have none", () => {
    withView(write({ "disk.qcow2": base }), (view) => {
      expect(namesIn(view, "")).toEqual(["disk.raw", "info.json"]);
      expect(nodeAt(view.tree, "snapshots")).toBeUndefined();
      expect(view.tree.node(2 ** 45 - 2 ** 30)).toBeUndefined();
    });
  });

  test("the same, where one of them was chosen", () => {
    const snapshots = [snapshot("1"), snapshot("2")];
    withView(
      write({ "disk.qcow2": { ...base, snapshots } }),
      (view) => {
        for (const path of ["disk.raw", "snapshots/name of 2/disk.raw"]) {
          expect(difference(contentOf(fileAt(view, path)), expectedDisk(snapshots[1] as SnapshotRecipe))).toBeUndefined();
        }
        expect(namesIn(view, "snapshots")).toHaveLength(2);
      },
      { snapshot: "2" },
    );
  });

  test("over a backing file, which each of them sees", () => {
    const parent = noise(8, 30 * CLUSTER);
    const snapshots = [snapshot("1"), snapshot("2", { size: 40 * CLUSTER, clusters: new Map() })];
    const recipe: Recipe = { ...base, backing: { name: "base.bin", format: "raw" }, snapshots };
    withView(write({ "disk.qcow2": recipe, "base.bin": parent }), (view) => {
      for (const one of snapshots) {
        const file = fileAt(view, `snapshots/${one.name}/disk.raw`);
        expect(difference(contentOf(file), expectedDisk(one, parent))).toBeUndefined();
      }
    });
  });

  test("partitions of that time, where there is a table", () => {
    const table = (start: number, count: number) => {
      const content = Buffer.alloc(CLUSTER);
      bootRecord([{ type: 0x83, start, count }]).copy(content);
      return new Map<number, Cluster>([[0, { kind: "data", content }], ...stored(4, 1, 2, 3)]);
    };
    const snapshots = [
      snapshot("1", { name: "old", clusters: table(8, 16) }),
      snapshot("2", { name: "none", clusters: stored(4, 1) }),
      // Past the end of the disk: as long as the disk lets it be.
      snapshot("3", { name: "long", clusters: table(16, 1000) }),
    ];
    withView(write({ "disk.qcow2": { ...base, snapshots } }), (view) => {
      expect(namesIn(view, "")).not.toContain("partitions");
      expect(namesIn(view, "snapshots/old")).toEqual(["disk.raw", "partitions"]);
      expect(namesIn(view, "snapshots/none")).toEqual(["disk.raw"]);
      expect(nodeAt(view.tree, "snapshots/none/partitions")).toBeUndefined();
      const old = expectedDisk(snapshots[0] as SnapshotRecipe);
      expect(difference(contentOf(fileAt(view, "snapshots/old/partitions/1.raw")), old.subarray(8 * 512, 24 * 512))).toBeUndefined();
      const long = expectedDisk(snapshots[2] as SnapshotRecipe);
      expect(difference(contentOf(fileAt(view, "snapshots/long/partitions/1.raw")), long.subarray(16 * 512))).toBeUndefined();
    });
  });

  test("numbers of nodes are the same in every view, whatever was looked at before", () => {
    const content = Buffer.alloc(CLUSTER);
    bootRecord([{ type: 0x83, start: 8, count: 16 }]).copy(content);
    const clusters: Clusters = new Map([[0, { kind: "data", content }]]);
    const snapshots = Array.from({ length: 100 }, (_, index) => snapshot(`${index}`, { clusters }));
    const image = write({ "disk.qcow2": { ...base, snapshots } });
    const nodes = withView(image, (view) => allNodes(view.tree.root).map(({ id, kind }) => ({ id, kind })));
    expect(nodes).toHaveLength(4 + 100 * 4);
    expect(new Set(nodes.map(({ id }) => id)).size).toBe(nodes.length);
    expect(nodes.every(({ id }) => Number.isSafeInteger(id))).toBe(true);
    withView(image, ({ tree }) => {
      // The last first: nothing has been listed here.
      for (const { id, kind } of nodes.toReversed()) expect(tree.node(id)).toMatchObject({ id, kind });
      const [{ id: first } = { id: 0 }] = nodes.filter(({ id }) => id > 2 ** 44);
      for (const wrong of [first + 3, first + 1, first + 101 * 8192, first + 8192 + 3, first + 8192 + 17 + 1])
        expect(tree.node(wrong)).toBeUndefined();
    });
  });

  test("one that is damaged is a disk that cannot be read, and nothing else suffers", () => {
    const recipe: Recipe = { ...base, snapshots: [snapshot("1"), snapshot("2"), snapshot("3")] };
    const { bytes, snapshotTable } = buildQcow2(recipe);
    // The L1 table of the first one.
    bytes.writeBigUInt64BE(2n ** 40n, snapshotTable);
    withView(write({ "disk.qcow2": bytes }), (view) => {
      const file = fileAt(view, "snapshots/name of 1/disk.raw");
      expect(file.file.size).toBe(20 * CLUSTER);
      expect(file.file.allocated()).toBe(20 * CLUSTER);
      expect(imageErrorOf(() => contentOf(file))?.message).toContain("leaves the file");
      expect(file.file.locate(0, 1).extent.kind).toBe("damaged");
      expect(namesIn(view, "snapshots/name of 1")).toEqual(["disk.raw"]);
      for (const id of [2, 3]) {
        const one = contentOf(fileAt(view, `snapshots/name of ${id}/disk.raw`));
        expect(difference(one, expectedDisk(recipe.snapshots?.[id - 1] as SnapshotRecipe))).toBeUndefined();
      }
      expect(difference(contentOf(fileAt(view, "disk.raw")), expectedDisk(base))).toBeUndefined();
    });
  });

  test("a table that is damaged in its middle: those before are there, a note tells of the others", () => {
    const recipe: Recipe = { ...base, snapshots: [snapshot("1"), snapshot("2"), snapshot("3")] };
    const { bytes, snapshotTable } = buildQcow2(recipe);
    // Bytes of extra data of the second: the first takes 40 + 16 + 1 + 9, rounded up.
    bytes.writeUInt32BE(100_000, snapshotTable + 72 + 36);
    withView(write({ "disk.qcow2": bytes }), (view) => {
      expect(namesIn(view, "snapshots")).toEqual(["name of 1"]);
      const one = contentOf(fileAt(view, "snapshots/name of 1/disk.raw"));
      expect(difference(one, expectedDisk(recipe.snapshots?.[0] as SnapshotRecipe))).toBeUndefined();
      expect(view.description.notes.join()).toContain("behind the first 1 cannot be listed");
      expect(difference(contentOf(fileAt(view, "disk.raw")), expectedDisk(base))).toBeUndefined();
    });
  });

  test("any byte of the table changed, and the file cut in it: no crash, and the current state is what it was", () => {
    const recipe: Recipe = { ...base, snapshots: [snapshot("1"), snapshot("2")] };
    const { bytes, snapshotTable }: Built = buildQcow2(recipe);
    const image = write({ "disk.qcow2": bytes });
    for (let at = snapshotTable; at < snapshotTable + 144; at += 1) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8((changed.readUInt8(at) ^ (at % 2 === 0 ? 0xff : 0x41)) & 0xff, at);
      writeFileSync(image, changed);
      withView(image, (view) => {
        for (const node of allNodes(view.tree.root)) {
          if (node.kind === "file" && node.file.size < MIB) imageErrorOf(() => contentOf(node));
          if (node.kind === "file" && node.file.size > 0) node.file.locate(0, node.file.size);
        }
        expect(difference(contentOf(fileAt(view, "disk.raw")), expectedDisk(base))).toBeUndefined();
      });
    }
  });
});

describe("what it costs", () => {
  test("none is opened by a mount, by a listing, or by the look for files that pass through", () => {
    // Each with an L1 table of 32 MiB, the largest there is.
    const snapshots = Array.from({ length: 100 }, (_, index) => snapshot(`${index}`, { clusters: new Map() }));
    const { bytes, snapshotTable } = buildQcow2({ ...base, snapshots });
    let at = snapshotTable;
    for (const { id, name } of snapshots) {
      bytes.writeBigUInt64BE(0n, at);
      bytes.writeUInt32BE(2 ** 22, at + 8);
      at += Math.ceil((56 + id.length + name.length) / 8) * 8;
    }
    const image = write({ "disk.qcow2": bytes });
    truncateSync(image, 64 * MIB);
    const before = held();
    withView(image, (view) => {
      expect(namesIn(view, "snapshots")).toHaveLength(100);
      expect(passingFiles(view.tree).map(({ path }) => path)).toEqual(["disk.raw"]);
      for (const { node } of folderAt(view, "snapshots").entries()) expect(view.tree.node(node.id)?.kind).toBe("directory");
      expect(held() - before).toBeLessThan(16 * MIB);
      const node = fileAt(view, "snapshots/name of 7/disk.raw");
      const unopened = held();
      expect(unopened - before).toBeLessThan(16 * MIB);
      node.file.locate(0, 1);
      // It can be seen here when one is.
      expect(held() - unopened).toBeGreaterThan(20 * MIB);
    });
  });
});

describe("names", () => {
  const named = (...names: readonly string[]) => snapshotNames(names.map((name, index) => ({ id: `id${index}`, name })));

  test.each([
    ["plain", "plain"],
    ["with blanks, – ünïcode 💾 and .dots.", "with blanks, – ünïcode 💾 and .dots."],
    ["a/b//c", "a_b__c"],
    ["../../etc/passwd", ".._.._etc_passwd"],
    ["nul\0 and\nline\x1b[31m", "nul_ and_line_[31m"],
    ["\u202egnp", "_gnp"],
    [".", "_."],
    ["..", "_.."],
    ["", "id0"],
    ["\ud800x", "\ufffdx"],
    ["x".repeat(255), "x".repeat(255)],
    ["x".repeat(256), "x".repeat(255)],
    // 85 · 3 = 255; 64 · 4 = 256.
    ["€".repeat(86), "€".repeat(85)],
    ["💾".repeat(64), "💾".repeat(63)],
  ])("%j is shown as %j", (name, expected) => {
    expect(named(name)).toEqual([expected]);
  });

  test("the same ones get numbers, and never more than 255 bytes", () => {
    expect(named("a", "a", "b", "a", "a~2", "a")).toEqual(["a", "a~2", "b", "a~3", "a~2~2", "a~4"]);
    expect(named("", "id0", "")).toEqual(["id0", "id0~2", "id2"]);
    const long = named("€".repeat(100), "€".repeat(99));
    expect(long).toEqual(["€".repeat(85), `${"€".repeat(84)}~2`]);
    expect(long.every((name) => Buffer.byteLength(name) <= 255)).toBe(true);
  });

  test("65536 that are called the same take no time to speak of", () => {
    const names = named(...Array.from({ length: 65_536 }, () => "x".repeat(300)));
    expect(new Set(names).size).toBe(65_536);
    expect(Math.max(...names.map((name) => Buffer.byteLength(name)))).toBe(255);
  });

  test("as an image has them: duplicates, a slash, bytes that are no UTF-8", () => {
    const snapshots = ["a/b", "a_b", "..", "", "zz"].map((name, index) => snapshot(`${index + 1}`, { name }));
    const { bytes, snapshotTable } = buildQcow2({ ...base, snapshots });
    const place = bytes.indexOf("5zz", snapshotTable) + 1;
    bytes.writeUInt16BE(0xff_fe, place);
    withView(write({ "disk.qcow2": bytes }), (view) => {
      const names = namesIn(view, "snapshots");
      expect(names).toEqual(["a_b", "a_b~2", "_..", "4", "\ufffd\ufffd"]);
      for (const [index, name] of names.entries()) {
        const content = contentOf(fileAt(view, `snapshots/${name}/disk.raw`));
        expect(difference(content, expectedDisk(snapshots[index] as SnapshotRecipe))).toBeUndefined();
      }
    });
  });
});

describe.skipIf(!qemu)("made by qemu-img", () => {
  /** Written, snapshotted, written over, made larger: four states. */
  function makeImage(home: string, options: Record<string, string | number>): { image: string; names: readonly string[] } {
    const image = join(home, "disk.qcow2");
    createImage(image, 6 * MIB, { options });
    change(image, [
      { kind: "write", at: 0, content: mixed(1, 3 * MIB) },
      { kind: "packed", at: 4 * MIB, content: mixed(2, MIB) },
    ]);
    qemuImg("snapshot", "-c", "first", image);
    change(image, [
      { kind: "write", at: MIB + 512, content: mixed(3, 300_032) },
      { kind: "zero", at: 2 * MIB, length: 512 * 1024 },
      { kind: "discard", at: 4 * MIB, length: MIB },
    ]);
    qemuImg("snapshot", "-c", "after the change", image);
    if (options["compat"] !== "0.10") {
      qemuImg("resize", "-q", image, `${9 * MIB}`);
      change(image, [{ kind: "write", at: 8 * MIB, content: mixed(4, MIB) }]);
    }
    qemuImg("snapshot", "-c", "larger", image);
    change(image, [{ kind: "write", at: 0, content: mixed(5, 2 * MIB) }]);
    return { image, names: ["first", "after the change", "larger"] };
  }

  test.each([{}, { cluster_size: 4096 }, { extended_l2: "on", cluster_size: 65_536 }, { compat: "0.10" }])(
    "%j: every state is QEMU's",
    (options) => {
      const { image, names } = makeImage(subdirectory(directory), options);
      withView(image, (view) => {
        expect(namesIn(view, "snapshots")).toEqual(names);
        for (const name of names) {
          const content = contentOf(fileAt(view, `snapshots/${name}/disk.raw`));
          expect(difference(content, flat(image, { snapshot: name }))).toBeUndefined();
        }
        expect(difference(contentOf(fileAt(view, "disk.raw")), flat(image))).toBeUndefined();
      });
    },
  );

  test("100 of them", () => {
    const home = subdirectory(directory);
    const image = join(home, "disk.qcow2");
    createImage(image, MIB, { options: { cluster_size: 4096 } });
    change(image, [{ kind: "write", at: 0, content: mixed(9, MIB) }]);
    const states: Buffer[] = [];
    for (let index = 0; index < 100; index += 1) {
      qemuImg("snapshot", "-c", `s${index}`, image);
      if (index % 25 === 0) {
        states.push(flat(image));
        change(image, [{ kind: "write", at: (index * 8192) % MIB, content: mixed(index, 8192) }]);
      }
    }
    withView(image, (view) => {
      expect(namesIn(view, "snapshots")).toHaveLength(100);
      for (const [index, expected] of states.entries()) {
        expect(difference(contentOf(fileAt(view, `snapshots/s${index * 25}/disk.raw`)), expected)).toBeUndefined();
      }
      for (const index of [5, 99]) {
        expect(difference(contentOf(fileAt(view, `snapshots/s${index}/disk.raw`)), flat(image, { snapshot: `s${index}` }))).toBeUndefined();
      }
    });
  });

  test("in a package, as if it had been opened alone", () => {
    const { image } = makeImage(subdirectory(directory), {});
    const folder = subdirectory(directory);
    copyFileSync(image, join(folder, "disk.qcow2"));
    const package_ = join(folder, "all.tar");
    run("tar", ["-C", folder, "-cf", package_, "disk.qcow2"]);
    withView(package_, (view) => {
      expect(namesIn(view, "disks/disk/snapshots")).toEqual(["first", "after the change", "larger"]);
      const file = fileAt(view, "disks/disk/snapshots/first/disk.raw");
      expect(difference(contentOf(file), flat(image, { snapshot: "first" }))).toBeUndefined();
      expect(view.tree.node(file.id)).toMatchObject({ id: file.id });
    });
  });
});
