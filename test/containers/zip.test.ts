import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { Container } from "../../src/containers/container.js";
import { zip } from "../../src/containers/zip/index.js";
import { createBlockCache } from "../../src/disk/cache.js";
import { readDisk } from "../../src/disk/read.js";
import { fileSource, openFile } from "../../src/source/file.js";
import { memorySource } from "../../src/source/memory.js";
import { openView } from "../../src/tree/view.js";
import { nodeAt } from "../../src/tree/node.js";
import { alone, unpacking } from "../support/containers.js";
import { noise, text } from "../support/content.js";
import { requireProgram } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type Aspect, contentOf, listContainer, listFolder, makeTree, treeDifferences } from "../support/trees.js";
import { buildZip, zipExtra, type ZipRecipe } from "../support/zip-builder.js";

const directory = tempDirectory();
const open = (recipe: ZipRecipe): Container => openBytes(buildZip(recipe));
const openBytes = (content: Uint8Array): Container => zip.open(memorySource("a.zip", content), unpacking());
const namesIn = (container: Container) => [...container.list(container.root.id).keys()];
const only = (container: Container) => [...container.list(container.root.id).values()][0]!;

describe("archives made by other programs", () => {
  const tree = join(directory, "tree");
  beforeAll(() => {
    mkdirSync(tree);
    makeTree(tree, { deep: 12, wide: 30 });
    // More than is decoded as a whole.
    writeFileSync(join(tree, "large.bin"), Buffer.concat([noise(8, 1_500_000), Buffer.alloc(3_000_000), noise(9, 700_001)]));
  });

  function listed(archive: string, aspects: readonly Aspect[]) {
    const source = fileSource(openFile(archive, { devices: false }));
    expect(zip.probe(source)).toBe(true);
    const container = zip.open(source, unpacking());
    try {
      expect(container.check?.(() => undefined)).toEqual([]);
      return listContainer(container, aspects);
    } finally {
      container.close?.();
      source.close();
    }
  }

  const full: readonly Aspect[] = ["kind", "mode", "modified", "size", "target", "sha256"];
  const plain: readonly Aspect[] = ["kind", "size", "sha256"];
  /** 7-Zip follows links unless it is told not to, and cannot store those that lead nowhere otherwise. */
  const sevenZip = (method: string) => ["7z", "a", "-bso0", "-bsp0", "-tzip", "-snl", `-mm=${method}`] as const;
  test.each<{ by: readonly [string, ...string[]]; aspects: readonly Aspect[]; last: string }>([
    { by: ["zip", "-qry", "-9"], aspects: full, last: "." },
    { by: ["zip", "-qry", "-0"], aspects: full, last: "." },
    { by: ["zip", "-qry", "-fz"], aspects: full, last: "." },
    { by: ["zip", "-qry", "-Z", "bzip2"], aspects: full, last: "." },
    { by: ["bsdtar", "--format=zip", "-cf"], aspects: full, last: "." },
    { by: ["bsdtar", "--format=zip", "--options=zip:compression=store", "-cf"], aspects: full, last: "." },
    { by: ["bsdtar", "--format=zip", "--options=zip:zip64", "-cf"], aspects: full, last: "." },
    ...["Deflate", "Deflate64", "LZMA", "BZip2", "xz", "Copy"].map((method) => ({ by: sevenZip(method), aspects: plain, last: "." })),
  ])("$by", ({ by: [program, ...options], aspects, last }) => {
    if (!requireProgram(program)) return;
    const archive = join(subdirectory(directory), "a.zip");
    execFileSync(program, [...options, archive, last], { cwd: tree });
    const expected = listFolder(tree, aspects);
    expect(treeDifferences(listed(archive, aspects), expected)).toEqual([]);
  });

  test.skipIf(!requireProgram("zip"))("written to a pipe: sizes stand behind the members", () => {
    const { stdout } = spawnSync("sh", ["-c", "cat large.bin | zip -q - - | cat"], { cwd: tree, maxBuffer: 2 ** 26 });
    const container = openBytes(stdout);
    expect(contentOf(container, only(container).id).equals(readFileSync(join(tree, "large.bin")))).toBe(true);
  });

  test.skipIf(!requireProgram("unzip"))("what is built for these tests is an archive to unzip too", () => {
    const archive = join(subdirectory(directory), "built.zip");
    const entries = [
      { name: "a", content: noise(1, 700), method: 8 },
      { name: "d/b", content: noise(2, 70), wide: true },
    ];
    for (const wide of [false, true]) {
      writeFileSync(archive, buildZip({ entries, wide, comment: "hello" }));
      expect(execFileSync("unzip", ["-tq", archive]).toString()).toMatch(/No errors/);
    }
  });

  test.skipIf(!requireProgram("7z"))("members that are encrypted, or packed in a way that is not known, are listed and told", () => {
    const archive = join(subdirectory(directory), "a.zip");
    const add = (...options: readonly string[]) => execFileSync("7z", ["a", "-bso0", "-bsp0", "-tzip", ...options], { cwd: tree });
    add("-mm=PPMd", archive, "text.txt");
    add("-pfour words of it", archive, "odd.bin");
    const container = openBytes(readFileSync(archive));
    expect(container.list(container.root.id).get("odd.bin")).toMatchObject({ size: 123_457 });
    for (const [name, why] of [
      ["text.txt", /compression PPMd is not known/],
      ["odd.bin", /encrypted/],
    ] as const) {
      expect(() => container.content(container.list(container.root.id).get(name)?.id ?? 0)).toThrow(why);
      expect(container.facts().notes.join()).toMatch(why);
    }
  });

  test.skipIf(!requireProgram("zip"))("the parts of one in several files are refused by name", () => {
    const folder = subdirectory(directory);
    execFileSync("zip", ["-q", "-s", "64k", join(folder, "a.zip"), "odd.bin"], { cwd: tree });
    for (const part of ["a.zip", "a.z01"]) {
      const view = () => openView({ image: join(folder, part), options: {}, root: "directory", mode: 0o444, cacheLimit: 2 ** 20 });
      expect(view).toThrow(/part of a ZIP archive in several files/);
    }
  });
});

describe("archives from the specification", () => {
  test("any range of a member, small or large", () => {
    const [small, large] = [noise(1, 30_000), Buffer.concat([noise(2, 2_000_000), Buffer.alloc(500_000)])];
    const container = open({
      entries: [
        { name: "small", content: small, method: 8 },
        { name: "large", content: large, method: 8 },
        { name: "stored", content: large },
      ],
    });
    for (const [name, content] of [
      ["small", small],
      ["large", large],
      ["stored", large],
    ] as const) {
      expect(contentOf(container, container.list(container.root.id).get(name)?.id ?? 0).equals(content)).toBe(true);
    }
    const stored = container.content(container.list(container.root.id).get("stored")?.id ?? 0);
    expect(stored.map(5, 100)).toMatchObject({ kind: "data", length: 100, source: { name: "a.zip" } });
    container.close?.();
  });

  test.each<{ what: string; recipe: Omit<ZipRecipe, "entries"> }>([
    { what: "a comment that looks like an end", recipe: { comment: `PK\x05\x06${"\0".repeat(30)}` } },
    { what: "a program in front, which positions do not count", recipe: { front: noise(4, 3000) } },
    { what: "a signature between the directory and its end", recipe: { between: noise(5, 500) } },
    { what: "ends in fields of 64 bits", recipe: { wide: true } },
    { what: "ends in fields of 64 bits, and something in front", recipe: { wide: true, front: noise(6, 1234) } },
  ])("with $what", ({ recipe }) => {
    const content = noise(1, 500);
    const container = open({
      ...recipe,
      entries: [
        { name: "a", content, method: 8 },
        { name: "b", content, wide: recipe.wide ?? false },
      ],
    });
    expect(namesIn(container)).toEqual(["a", "b"]);
    for (const { id } of container.list(container.root.id).values()) expect(contentOf(container, id).equals(content)).toBe(true);
  });

  test("more members than the count has room for", () => {
    const entries = Array.from({ length: 65_540 }, (_, index) => ({ name: `d${index % 100}/${index}` }));
    expect(open({ entries }).facts().details).toMatchObject({ members: 65_540 });
    expect(() => open({ entries: entries.slice(0, 9), count: 8 })).toThrow(/has 9 members, and 8/);
  });

  test("names by their encoding: UTF-8 that is declared or not, a field of their own, and code page 437", () => {
    const old = Buffer.from([0x81, 0x62]);
    const sum = Buffer.alloc(4);
    sum.writeUInt32LE(crc32(old));
    const container = open({
      entries: [
        { name: "ä.img", flags: 0x800 },
        { name: "ö.img" },
        { name: old },
        { name: Buffer.from([0x81, 0x63]), extra: zipExtra(0x7075, Buffer.concat([Buffer.from([1]), sum, Buffer.from("no")])) },
        { name: old, extra: zipExtra(0x7075, Buffer.concat([Buffer.from([1]), sum, Buffer.from("文")])) },
        { name: "folder\\win.img", madeBy: 0, attributes: 0x20 },
        { name: "not\\win", madeBy: 0x031e },
      ],
    });
    expect(namesIn(container)).toEqual(["ä.img", "ö.img", "üb", "üc", "文", "folder", "not\\win"]);
  });

  test("modes, owners and times, as far as they are recorded", () => {
    const ids = zipExtra(0x7875, Buffer.from([1, 4, 0xe8, 3, 0, 0, 2, 0x64, 0]));
    const unix = zipExtra(0x5455, Buffer.from([1, 0, 0x5e, 0xd0, 0xb2]));
    const file = only(open({ entries: [{ name: "f", attributes: 0o104750 * 65_536, extra: Buffer.concat([ids, unix]) }] }));
    expect(file).toMatchObject({ mode: 0o4750, uid: 1000, gid: 100, modified: 0xb2d05e00 * 1000 - 2 ** 32 * 1000 });
    expect(only(open({ entries: [{ name: "f", madeBy: 0x14, attributes: 0x20 }] }))).toMatchObject({
      mode: undefined,
      modified: Date.UTC(2001, 1, 3, 4, 5, 6),
    });
    const ticks = Buffer.alloc(32);
    ticks.writeUInt16LE(1, 4);
    ticks.writeUInt16LE(24, 6);
    ticks.writeBigUInt64LE(126_227_808_000_000_000n, 8);
    expect(only(open({ entries: [{ name: "f", extra: zipExtra(10, ticks) }] })).modified).toBe(Date.UTC(2001, 0, 1));
    ticks.writeBigUInt64LE(ticks.readBigUInt64LE(8) + 1_234_567n, 8);
    const unixTime = (seconds: number) => {
      const data = Buffer.alloc(5, 1);
      data.writeInt32LE(seconds, 1);
      return zipExtra(0x5455, data);
    };
    const second = Date.UTC(2001, 0, 1) / 1000;
    const timeOf = (...extra: readonly Buffer[]) => {
      const { modified, nanoseconds } = only(open({ entries: [{ name: "f", extra: Buffer.concat([zipExtra(10, ticks), ...extra]) }] }));
      return [modified, nanoseconds];
    };
    expect(timeOf()).toEqual([second * 1000 + 123, 123_456_700]);
    expect(timeOf(unixTime(second))).toEqual([second * 1000 + 123, 123_456_700]);
    // Of two clocks, that of Unix.
    expect(timeOf(unixTime(second + 3600))).toEqual([(second + 3600) * 1000, undefined]);
    const link = only(open({ entries: [{ name: "l", content: Buffer.from("a/b"), method: 8, attributes: 0o120777 * 65_536 }] }));
    expect(link).toMatchObject({ kind: "symlink", target: "a/b" });
  });

  test("names that lead out lead nowhere, and the last member of a name is the one", () => {
    const container = open({
      entries: [
        { name: "../../a" },
        { name: "/b" },
        { name: "x", content: Buffer.from("old") },
        { name: "x", content: Buffer.from("new!") },
      ],
    });
    expect(namesIn(container)).toEqual(["a", "b", "x"]);
    expect(contentOf(container, container.list(container.root.id).get("x")?.id ?? 0).toString()).toBe("new!");
  });

  test("damage is an error for the member, found by a check, and no zeros", () => {
    for (const size of [5000, 2_000_000]) {
      const whole = buildZip({
        entries: [
          { name: "bad", content: noise(1, size), method: 8 },
          { name: "good", content: noise(2, 10) },
        ],
      });
      whole[2000] = (whole[2000] ?? 0) ^ 0xff;
      const container = openBytes(whole);
      const bad = container.list(container.root.id).get("bad")!;
      expect(() => contentOf(container, bad.id)).toThrow(/does not decode|check/);
      expect(container.check?.(() => undefined)).toMatchObject([{ file: "bad", severity: "error" }]);
    }
    const stored = open({ entries: [{ name: "a", content: noise(1, 10), crc32: 5 }] });
    expect(stored.check?.(() => undefined)).toMatchObject([{ file: "a", kind: "digest differs" }]);
    const shorter = open({ entries: [{ name: "a", content: noise(1, 2_000_000), method: 8, size: 1_999_999 }] });
    expect(() => shorter.content(only(shorter).id)).toThrow(/decode|size/);
  });

  test("an archive whose end is missing is refused by name, one of several files too", () => {
    const whole = buildZip({ entries: [{ name: "a", content: noise(1, 5000) }] });
    expect(zip.probe(memorySource("a.zip", whole.subarray(0, 3000)))).toBe(false);
    expect(() => open({ entries: [{ name: "a" }], disk: 2 })).toThrow(/last part of a ZIP archive/);
    const path = join(directory, "cut.zip");
    writeFileSync(path, whole.subarray(0, 3000));
    expect(() => openView({ image: path, options: {}, root: "directory", mode: 0o444, cacheLimit: 2 ** 20 })).toThrow(
      /a ZIP archive whose end is missing/,
    );
  });

  test("a disk over 4 GiB behind another one", () => {
    const path = join(directory, "large.zip");
    // The first member is a hole that the test does not have to write.
    const [first, second] = [5 * 2 ** 30, Buffer.from("the second disk")];
    const template = buildZip({
      entries: [
        { name: "hole.img", size: first, wide: true },
        { name: "b.raw", content: second, wide: true },
      ],
      wide: true,
    });
    const local = 30 + "hole.img".length + 4;
    const directoryAt = template.indexOf("PK\x01\x02", 0, "latin1");
    const tail = Buffer.from(template.subarray(directoryAt));
    const shift = (at: number) => tail.writeBigUInt64LE(tail.readBigUInt64LE(at) + BigInt(first), at);
    tail.writeBigUInt64LE(BigInt(first), 46 + "hole.img".length + 4 + 8);
    const secondHeader = tail.indexOf("PK\x01\x02", 4, "latin1");
    shift(secondHeader + 46 + "b.raw".length + 4 + 16);
    const end = tail.indexOf("PK\x06\x06", 0, "latin1");
    shift(end + 48);
    shift(end + 56 + 8);
    const fd = openSync(path, "w");
    writeSync(fd, template, 0, local, 0);
    ftruncateSync(fd, first + local);
    writeSync(fd, template, local, directoryAt - local, first + local);
    writeSync(fd, tail, 0, tail.length, first + directoryAt);
    closeSync(fd);
    const container = zip.open(fileSource(openFile(path, { devices: false })), alone);
    const items = container.list(container.root.id);
    expect(items.get("hole.img")?.size).toBe(first);
    expect(contentOf(container, items.get("b.raw")?.id ?? 0)).toEqual(second);
  });

  test("macOS's archives over 4 GiB, whose numbers are counted modulo that", () => {
    const path = join(directory, "macos.zip");
    const [large, small] = [2 ** 32 + 5000, noise(3, 3000)];
    const template = buildZip({
      entries: [
        { name: "hole.img", size: large % 2 ** 32 },
        { name: "b.raw", content: small, method: 8 },
        { name: "c.img", content: noise(4, 2_000_000), method: 8 },
      ],
    });
    const local = 30 + "hole.img".length + 4;
    const directoryAt = template.indexOf("PK\x01\x02", 0, "latin1");
    const tail = Buffer.from(template.subarray(directoryAt));
    const wrap = (at: number, value: number) => tail.writeUInt32LE((tail.readUInt32LE(at) + value) % 2 ** 32, at);
    wrap(20, large % 2 ** 32);
    for (let at = tail.indexOf("PK\x01\x02", 4, "latin1"); at >= 0; at = tail.indexOf("PK\x01\x02", at + 4, "latin1")) wrap(at + 42, large);
    wrap(tail.indexOf("PK\x05\x06", 0, "latin1") + 16, large);
    const fd = openSync(path, "w");
    writeSync(fd, template, 0, local, 0);
    ftruncateSync(fd, large + local);
    writeSync(fd, template, local, directoryAt - local, large + local);
    writeSync(fd, tail, 0, tail.length, large + directoryAt);
    closeSync(fd);
    const source = fileSource(openFile(path, { devices: false }));
    expect(zip.probe(source)).toBe(true);
    const container = zip.open(source, unpacking());
    const items = container.list(container.root.id);
    expect(items.get("hole.img")?.size).toBe(large);
    expect(container.content(items.get("hole.img")?.id ?? 0).map(large - 1, 1)).toMatchObject({
      kind: "data",
      position: local + large - 1,
    });
    expect(contentOf(container, items.get("b.raw")?.id ?? 0).equals(small)).toBe(true);
    expect(contentOf(container, items.get("c.img")?.id ?? 0).equals(noise(4, 2_000_000))).toBe(true);
    container.close?.();
  });

  test("a decoded size that was counted modulo 4 GiB is corrected once the member was read", () => {
    const content = noise(1, 2_000_000);
    const source = memorySource("a.zip", buildZip({ entries: [{ name: "a.img", content, method: 8, size: content.length }] }));
    const container = zip.open(source, { ...unpacking(), unpack: (inner) => ({ ...inner, size: 2 ** 32 + content.length }) });
    expect(only(container).size).toBe(content.length);
    expect(container.content(only(container).id).size).toBe(2 ** 32 + content.length);
    expect(only(container).size).toBe(2 ** 32 + content.length);
  });

  test("bytes changed anywhere, and cuts, end in a listing or an error", () => {
    const archive = buildZip({
      entries: [
        { name: "a", content: noise(1, 300), method: 8, extra: zipExtra(0x5455, Buffer.from([1, 0, 0, 0, 0])) },
        { name: "d/b", content: noise(2, 30), wide: true },
        { name: "l", content: Buffer.from("a"), attributes: 0o120777 * 65_536 },
      ],
      wide: true,
    });
    const look = (content: Uint8Array) => {
      const source = memorySource("a.zip", content);
      try {
        if (zip.probe(source)) listContainer(zip.open(source, unpacking()), ["kind", "sha256"]);
      } catch (error) {
        expect(error).toMatchObject({ name: "ImageError" });
      }
    };
    for (let at = 0; at < archive.length; at += 1) {
      const changed = Buffer.from(archive);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      look(changed);
      look(archive.subarray(0, at));
      look(archive.subarray(at));
    }
  });
});

describe.skipIf(!requireProgram("7z"))("Deflate64, as Windows has it for archives over 2 GiB", () => {
  /** Long runs, far matches, noise that is stored, and codes of all lengths. */
  const content = Buffer.concat([
    ...[text(1, 90_000), noise(2, 70_000), Buffer.alloc(400_000), text(1, 90_000), noise(3, 200_000)],
    ...[Buffer.from(Array.from({ length: 50_000 }, (_, index) => (index * index) % 251)), text(4, 300_000), noise(2, 70_000)],
  ]);
  function archived(...options: readonly string[]): Buffer {
    const folder = subdirectory(directory);
    writeFileSync(join(folder, "a.bin"), content);
    execFileSync("7z", ["a", "-bso0", "-bsp0", "-tzip", "-mm=Deflate64", ...options, "a.zip", "a.bin"], { cwd: folder });
    return readFileSync(join(folder, "a.zip"));
  }

  test.each([["-mx=1"], ["-mx=5"], ["-mx=9"]])("%s: any range", (option) => {
    const container = openBytes(archived(option));
    const file = container.content(only(container).id);
    for (const [offset, length] of [
      [0, content.length],
      [1_000_000, 5000],
      [500, 70_000],
      [content.length - 1, 1],
    ] as const) {
      const target = Buffer.alloc(length, 0xee);
      readDisk(file, target, offset, createBlockCache(0));
      expect(target.equals(content.subarray(offset, offset + length))).toBe(true);
    }
    container.close?.();
  });

  test("what is damaged or cut is an error, and no data", () => {
    const whole = archived("-mx=5");
    for (let at = 40; at < whole.length - 200; at += 40_001) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 0x55;
      const container = openBytes(changed);
      expect(() => contentOf(container, only(container).id)).toThrow(/Deflate64/);
    }
  });
});

describe("disks in archives", () => {
  const options = { root: "directory", mode: 0o444, cacheLimit: 2 ** 20 } as const;

  test.skipIf(!requireProgram("qemu-img") || !requireProgram("zip"))(
    "are shown as disks, packed and stored, also in archives in archives",
    () => {
      const folder = subdirectory(directory);
      const disk = Buffer.concat([noise(1, 3 * 2 ** 20), Buffer.alloc(2 ** 20)]);
      writeFileSync(join(folder, "disk.raw"), disk);
      execFileSync("qemu-img", ["convert", "-O", "vmdk", "-o", "subformat=streamOptimized", "disk.raw", "vm.vmdk"], { cwd: folder });
      execFileSync("zip", ["-q", "one.zip", "vm.vmdk"], { cwd: folder });
      execFileSync("zip", ["-q", "-0", "inner.zip", "disk.raw"], { cwd: folder });
      execFileSync("zip", ["-q", "two.zip", "inner.zip"], { cwd: folder });
      renameSync(join(folder, "disk.raw"), join(folder, "original"));
      for (const image of ["one.zip", "two.zip"]) {
        const view = openView({ ...options, image: join(folder, image), options: {} });
        const node = nodeAt(view.tree, "disks");
        expect(node?.kind).toBe("directory");
        const { disk: flat } = view.shown;
        const found = Buffer.alloc(flat?.size ?? 0, 0xee);
        flat?.read(found, 0);
        expect(found.equals(disk)).toBe(true);
        view.close();
      }
    },
  );

  test.skipIf(!requireProgram("xz"))("that are compressed are disks however small they are", () => {
    const path = join(subdirectory(directory), "small.zip");
    const content = execFileSync("xz", ["-c"], { input: Buffer.alloc(2 ** 20) });
    expect(content.length).toBeLessThan(16_384);
    writeFileSync(path, buildZip({ entries: [{ name: "disk.img.xz", content }] }));
    const view = openView({ ...options, image: path, options: {} });
    expect(view.shown.disk?.size).toBe(2 ** 20);
    view.close();
  });

  test("that cannot be read do not hide the others", () => {
    const path = join(subdirectory(directory), "mixed.zip");
    writeFileSync(
      path,
      buildZip({
        entries: [
          { name: "bad.img", content: noise(1, 20_000), method: 98 },
          { name: "good.img", content: noise(2, 20_000) },
        ],
      }),
    );
    const view = openView({ ...options, image: path, options: {} });
    expect(view.description.disks?.map(({ name }) => name)).toEqual(["good"]);
    expect(view.description.notes.join()).toMatch(/bad.img is not shown as a disk: .*PPMd/);
    view.close();
  });
});
