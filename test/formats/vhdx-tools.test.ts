// VHDX files and other programs: QEMU and 7-Zip judge what our builder makes, and QEMU makes files of its own, one of them with a log to replay.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { between, noise, randomNumbers } from "../support/content.js";
import { sha256 } from "../support/hash.js";
import { createImage, flat, qemuImg, requireProgram, run } from "../support/qemu.js";
import { difference, flatOf, refusalOf, withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { buildVhdx, expectedVhdx, guidOf, MIB, type VhdxBlock, type VhdxShape, vhdxImage } from "../support/vhdx-builder.js";
import { type LoggedEntry, type LoggedWrite, withLog } from "../support/vhdx-log-builder.js";

const directory = tempDirectory();
const absent = { state: 0 } as const;

/** Writes the images into a fresh folder; gives the path of the first one. */
function write(shapes: Readonly<Record<string, VhdxShape>>): string {
  const home = subdirectory(directory);
  const paths = Object.entries(shapes).map(([name, shape]) => {
    const path = join(home, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, vhdxImage(buildVhdx(shape)));
    return path;
  });
  return paths[0] ?? home;
}

const single: readonly (readonly [string, VhdxShape])[] = [
  ["dynamic", { blocks: [noise(1, MIB), absent, noise(2, MIB), { state: 2 }, noise(3, MIB)], size: 4.5 * MIB, seed: 5 }],
  ["fixed", { blocks: [noise(1, MIB), noise(2, MIB)], fixed: true, seed: 2 }],
  [
    "fixed, no whole block at the end",
    { blocks: [noise(1, MIB), noise(2, MIB / 2)], size: 1.5 * MIB, fixed: true, seed: 2, lastBlockBytes: MIB / 2 },
  ],
  ["blocks of 2 MiB", { blocks: [absent, noise(2, 2 * MIB), noise(3, 2 * MIB)], blockSize: 2 * MIB, seed: 5 }],
];
const large: VhdxShape = { blocks: [absent, noise(2, 32 * MIB)], blockSize: 32 * MIB, size: 32 * MIB + 70_144, seed: 5 };
const sectors4096: VhdxShape = { blocks: [noise(1, MIB), absent, noise(2, MIB)], sector: 4096, seed: 6 };

const baseShape: VhdxShape = { blocks: [noise(1, MIB), noise(7, MIB), absent, noise(2, MIB)], seed: 7 };
function childOf(shape: VhdxShape, path: string, child: VhdxShape): VhdxShape {
  const entries = {
    parent_linkage: `{${buildVhdx(shape).dataWriteGuid}}`,
    relative_path: path,
    absolute_win32_path: "\\\\?\\C:\\nowhere\\else.vhdx",
  };
  return { ...child, parent: { disk: expectedVhdx(shape), entries } };
}
const third: VhdxBlock = { content: noise(3, MIB), here: (sector) => sector % 3 === 0 };
const childShape = childOf(baseShape, ".\\base.vhdx", { blocks: [third, absent, noise(9, MIB), { state: 2 }], seed: 8 });
const grandchildShape = childOf(childShape, "child.avhdx", { blocks: [absent, third, absent, third], seed: 9 });

describe.skipIf(!requireProgram("qemu-img"))("VHDX and QEMU", () => {
  test.each([...single, ["blocks of 32 MiB", large] as const])("QEMU reads what the builder made: %s", (_, shape) => {
    const path = write({ "disk.vhdx": shape });
    expect(difference(flat(path, { format: "vhdx" }), expectedVhdx(shape))).toBeUndefined();
    expect(difference(flatOf(path), expectedVhdx(shape))).toBeUndefined();
  });

  /** Our view of a file with a log against that of QEMU, which has to repair a copy. */
  function expectRepaired(path: string): Buffer {
    const before = sha256(readFileSync(path));
    const ours = flatOf(path);
    expect(sha256(readFileSync(path)), "the file itself").toBe(before);
    const copy = `${path}.repaired`;
    copyFileSync(path, copy);
    expect(qemuImg("check", "-r", "all", "-f", "vhdx", copy)).toContain("corruptions");
    expect(difference(ours, flat(copy, { format: "vhdx" }))).toBeUndefined();
    return ours;
  }

  test("a log that QEMU left behind is replayed as QEMU does it", () => {
    const path = join(subdirectory(directory), "crashed.vhdx");
    createImage(path, 9 * MIB, { format: "vhdx", options: { block_size: MIB } });
    // QEMU has the BAT at 2 MiB. The write of the new entry fails there, once the log holds it; then QEMU dies.
    const failing = { event: "none", iotype: "write", sector: (2 * MIB) / 512, errno: 5 };
    const file = { driver: "blkdebug", image: { driver: "file", filename: path }, "inject-error": [failing] };
    spawnSync("qemu-io", ["-c", "write -P 0x41 3M 64k", "-c", "abort", `json:${JSON.stringify({ driver: "vhdx", file })}`]);
    withDisk(path, {}, (layer) => expect(layer.facts().details["log entries"]).toBe(1));
    expect(expectRepaired(path)[3 * MIB]).toBe(0x41);
    // Who passes over the log sees block 3 as zeros.
    expect(readFileSync(path).readUInt8(2 * MIB + 3 * 8) & 7).toBe(2);
  });

  test.each([1, 2, 3, 4, 5, 6])("a log of several entries is replayed as QEMU does it, %i", (seed) => {
    const shape: VhdxShape = { blocks: [noise(1, MIB), noise(2, MIB), absent, noise(3, MIB)], seed };
    const built = buildVhdx(shape);
    const random = randomNumbers(seed);
    const { positions } = built;
    const blocks = [...positions.blocks.values()];
    const entries: LoggedEntry[] = [];
    const image = vhdxImage(built);
    // QEMU begins to search at the start of the ring, and takes what it finds first.
    for (let start = 0; entries.length < 4; ) {
      const content = Buffer.from(image.subarray(positions.bat, positions.bat + 4096));
      content.writeBigUInt64LE(BigInt(blocks[between(random, 0, 2)] ?? 0) | 6n, 16);
      const at = (blocks[between(random, 0, 2)] ?? 0) + 4096 * between(random, 0, 5);
      const writes: LoggedWrite[] = [
        { at: positions.bat, content },
        random() < 0.5 ? { at, zeros: 4096 * between(random, 1, 9) } : { at, content: noise(entries.length, 4096) },
      ];
      const next = { start, sequence: BigInt(100 + entries.length), tail: 0, writes, flushed: built.fileSize, last: built.fileSize };
      entries.push(next);
      start += 4096 * (1 + writes.filter((each) => "content" in each).length);
    }
    const path = join(subdirectory(directory), "dirty.vhdx");
    writeFileSync(path, withLog(image, built, entries));
    withDisk(path, {}, (layer) => expect(layer.facts().details["log entries"]).toBe(4));
    const ours = expectRepaired(path);
    expect(difference(ours, expectedVhdx(shape))).toBeDefined();
  });

  test("QEMU refuses a file that is shorter than its log says, and so do we", () => {
    const built = buildVhdx({ blocks: [noise(1, MIB), absent] });
    const writes: LoggedWrite[] = [{ at: built.positions.bat, content: Buffer.alloc(4096) }];
    const entry = { start: 0, sequence: 1n, tail: 0, writes, flushed: built.fileSize, last: built.fileSize };
    const path = join(subdirectory(directory), "cut.vhdx");
    writeFileSync(path, withLog(vhdxImage(built), built, [entry]));
    truncateSync(path, built.fileSize - MIB);
    expect(refusalOf(path)).toMatchObject({ code: "TRUNCATED" });
    expect(() => qemuImg("check", "-r", "all", "-f", "vhdx", path)).toThrow();
  });

  test("a log that is larger than usual", () => {
    const path = join(subdirectory(directory), "disk.vhdx");
    createImage(path, 5 * MIB, { format: "vhdx", options: { block_size: MIB, log_size: 3 * MIB } });
    run("qemu-io", ["-f", "vhdx", "-c", "write -P 7 1M 100k", path]);
    expect(difference(flatOf(path), flat(path))).toBeUndefined();
  });
});

describe.skipIf(!requireProgram("7z"))("VHDX and 7-Zip", () => {
  const extracted = (path: string): Buffer => {
    const output = subdirectory(directory);
    run("7z", ["x", "-y", "-tvhdx", `-o${output}`, path]);
    return readFileSync(join(output, readdirSync(output)[0] ?? ""));
  };

  test.each([
    ...single.filter(([, { lastBlockBytes }]) => lastBlockBytes === undefined),
    ["logical sectors of 4096 bytes", sectors4096] as const,
  ])("7-Zip reads what the builder made: %s", (_, shape) => {
    const path = write({ "disk.vhdx": shape });
    expect(difference(extracted(path), expectedVhdx(shape))).toBeUndefined();
    expect(difference(flatOf(path), expectedVhdx(shape))).toBeUndefined();
  });

  test.each([
    ["a child", { "child.avhdx": childShape, "base.vhdx": baseShape }],
    ["a grandchild", { "leaf.avhdx": grandchildShape, "child.avhdx": childShape, "base.vhdx": baseShape }],
    [
      "logical sectors of 4096 bytes",
      {
        "child.vhdx": childOf(sectors4096, ".\\base.vhdx", { blocks: [third, { state: 2 }, absent], sector: 4096, seed: 9 }),
        "base.vhdx": sectors4096,
      },
    ],
  ] as const)("7-Zip reads the same of differencing disks as we do: %s", (_, shapes) => {
    const path = write(shapes);
    const expected = expectedVhdx(Object.values(shapes)[0] ?? baseShape);
    expect(difference(extracted(path), expected)).toBeUndefined();
    expect(difference(flatOf(path), expected)).toBeUndefined();
  });
});

describe("the index of a VHD Set", () => {
  const first = "disk_0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0.avhdx";
  const second = "Disk_11111111-2222-3333-4444-555555555555.avhdx";

  test.each([
    ["its one disk is named", { [first]: baseShape, "other_0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0.avhdx": baseShape }, `Open "${first}"`],
    ["of several the first, and how to tell the latest", { [second]: childShape, [first]: baseShape }, `2 .avhdx files`],
    ["none is here", {}, "Open the .avhdx file beside it"],
  ])("%s", (_, others, hint) => {
    const path = write({ "disk.vhds": baseShape, ...others });
    expect(refusalOf(path)).toMatchObject({
      message: "it is the index of a VHD Set, which holds no disk itself",
      hint: expect.stringContaining(hint) as string,
    });
  });

  test("whatever is in it, it is no raw disk", () => {
    const path = join(subdirectory(directory), "disk.vhds");
    writeFileSync(path, noise(1, 70_000));
    expect(refusalOf(path).message).toContain("index of a VHD Set (.vhds)");
    expect(flatOf(path, { format: "raw" }).length).toBe(70_000);
  });

  test("the disk that it is about is read", () => {
    expect(difference(flatOf(write({ [first]: baseShape, "disk.vhds": baseShape })), expectedVhdx(baseShape))).toBeUndefined();
  });
});

describe("chains of files", () => {
  test("a parent in another folder, named with backslashes", () => {
    const child = childOf(baseShape, "..\\bases\\base.vhdx", { blocks: [third], size: 4 * MIB, seed: 8 });
    const path = write({ "vm/child.vhdx": child, "bases/base.vhdx": baseShape });
    expect(difference(flatOf(path, { allow: [join(path, "../../bases")] }), expectedVhdx(child))).toBeUndefined();
  });

  test("a parent that was renamed is found by its DataWriteGuid, and a stranger of its name is passed over", () => {
    const path = write({
      "child.vhdx": childShape,
      "renamed.vhdx": baseShape,
      "base.vhdx": { ...baseShape, dataWriteGuid: guidOf("stranger") },
    });
    expect(difference(flatOf(path), expectedVhdx(childShape))).toBeUndefined();
  });

  test("a parent that was changed since is no parent", () => {
    const path = write({ "child.vhdx": childShape, "base.vhdx": { ...baseShape, dataWriteGuid: guidOf("changed") } });
    expect(refusalOf(path)).toMatchObject({ code: "PART_MISSING", message: expect.stringContaining("was changed since") as string });
  });

  test("degraded, what a missing parent holds is damaged and the rest is read", () => {
    const path = write({ "child.vhdx": childShape });
    expect(refusalOf(path)).toMatchObject({ code: "PART_MISSING" });
    withDisk(path, { degraded: true }, (layer) => {
      expect(layer.map(0, 512)).toMatchObject({ kind: "data" });
      expect(layer.map(2 * MIB, 2 * MIB)).toMatchObject({ kind: "data", length: MIB });
      expect(layer.map(3 * MIB, MIB)).toEqual({ kind: "zero", length: MIB });
    });
  });

  test("a parent that was not closed either", () => {
    const path = write({ "child.vhdx": childShape });
    const base = buildVhdx(baseShape);
    const bat = Buffer.alloc(4096);
    bat.writeBigUInt64LE(BigInt(base.positions.blocks.get(3) ?? 0) | 6n, 8);
    const writes: LoggedWrite[] = [{ at: base.positions.bat, content: bat }];
    const entry = { start: 0, sequence: 1n, tail: 0, writes, flushed: base.fileSize, last: base.fileSize };
    writeFileSync(join(path, "../base.vhdx"), withLog(vhdxImage(base), base, [entry]));
    expect(difference(flatOf(path).subarray(MIB, 2 * MIB), noise(2, MIB))).toBeUndefined();
  });
});
