import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { Container } from "../../src/containers/container.js";
import { initramfs } from "../../src/containers/cpio/index.js";
import { memorySource } from "../../src/source/memory.js";
import type { Source } from "../../src/source/source.js";
import { alone, unpacking } from "../support/containers.js";
import { noise } from "../support/content.js";
import { cpioArchive, type CpioEntry, cpioEntry, types } from "../support/cpio-builder.js";
import { requireProgram } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type Aspect, contentOf, listContainer, listFolder, makeTree, treeDifferences } from "../support/trees.js";

const aspects: readonly Aspect[] = ["kind", "mode", "uid", "gid", "modified", "size", "target", "sha256"];

function opened(content: Uint8Array): Container {
  return initramfs.open(memorySource("initrd.img", content), unpacking());
}

const packers: Readonly<Record<string, readonly string[]>> = {
  gzip: ["gzip", "-c"],
  xz: ["xz", "-c", "--check=crc32"],
  zstd: ["zstd", "-q", "-c"],
  bzip2: ["bzip2", "-c"],
  "lz4, legacy": ["lz4", "-q", "-l", "-c"],
  lzma: ["xz", "--format=lzma", "-c"],
};

describe.skipIf(!requireProgram("bsdtar"))("archives made by bsdtar", () => {
  const directory = tempDirectory();
  let tree: string;

  beforeAll(() => {
    tree = join(subdirectory(directory), "tree");
    mkdirSync(tree);
    makeTree(tree, { deep: 10, wide: 50 });
    chmodSync(join(tree, "script.sh"), 0o4755);
    linkSync(join(tree, "odd.bin"), join(tree, "second name"));
  });

  const archive = (format: string, folder = tree) =>
    execFileSync("bsdtar", ["-c", "-f", "-", `--format=${format}`, "-C", folder, "."], { maxBuffer: 2 ** 26 });

  test.each(["newc", "odc", "bin"])("%s", (format) => {
    const content = archive(format);
    expect(initramfs.probe(memorySource("x", content))).toBe(true);
    expect(treeDifferences(listContainer(opened(content), aspects), listFolder(tree, aspects))).toEqual([]);
  });

  test.each(Object.entries(packers))("microcode first, then one compressed with %s", (_, [program = "", ...options]) => {
    const early = subdirectory(directory);
    mkdirSync(join(early, "kernel", "x86", "microcode"), { recursive: true });
    writeFileSync(join(early, "kernel", "x86", "microcode", "GenuineIntel.bin"), noise(1, 3000));
    const { stdout } = spawnSync(program, options, { input: archive("newc"), maxBuffer: 2 ** 26 });
    const container = opened(Buffer.concat([archive("newc", early), Buffer.alloc(1000), stdout]));
    const found = new Map([...listContainer(container, aspects)].filter(([path]) => path !== "kernel" && !path.startsWith("kernel/")));
    expect(treeDifferences(found, listFolder(tree, aspects))).toEqual([]);
    expect(container.facts().details).toMatchObject({ "early microcode": true });
    expect(container.facts().notes).toEqual([]);
    container.close?.();
  });

  test("what comes later replaces what was there", () => {
    const folders = [1, 2].map((index) => {
      const folder = subdirectory(directory);
      writeFileSync(join(folder, "init"), `version ${index}`);
      writeFileSync(join(folder, `only ${index}`), "x");
      return folder;
    });
    const container = opened(Buffer.concat(folders.map((folder) => archive("newc", folder))));
    const names = container.list(container.root.id);
    expect([...names.keys()].sort()).toEqual(["init", "only 1", "only 2"]);
    expect(contentOf(container, names.get("init")?.id ?? 0).toString()).toBe("version 2");
  });

  test("the bytes of a file with several names stand with one of them", () => {
    const container = opened(archive("newc"));
    const names = container.list(container.root.id);
    const [first, second] = [names.get("odd.bin"), names.get("second name")];
    expect(first?.id).toBe(second?.id);
    expect(contentOf(container, second?.id ?? 0).equals(readFileSync(join(tree, "odd.bin")))).toBe(true);
  });

  test.each(["newc", "crc", "odc", "little"] as const)("what is built for these tests is an archive to bsdtar too: %s", (kind) => {
    const built = [
      { name: "d", mode: types.directory | 0o755 },
      { name: "d/f", content: noise(1, 333) },
      { name: "g", content: noise(2, 4) },
    ];
    const input = cpioArchive(kind, built);
    expect(execFileSync("bsdtar", ["-t", "-f", "-"], { input }).toString()).toBe("d\nd/f\ng\n");
    expect(execFileSync("bsdtar", ["-x", "-O", "-f", "-"], { input }).equals(Buffer.concat([noise(1, 333), noise(2, 4)]))).toBe(true);
  });

  test("cut anywhere: what is there is shown, the loss is told", () => {
    const content = archive("newc").subarray(0, 60_000);
    for (let size = 200; size < content.length; size += 997) {
      const container = opened(content.subarray(0, size));
      expect(container.facts().notes.join()).toMatch(/cut/);
      container.list(container.root.id);
    }
  });

  test("bytes changed anywhere end in a listing or an error", () => {
    const content = archive("newc");
    for (let at = 0; at < 20_000; at += 41) {
      const changed = Buffer.from(content);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      try {
        if (initramfs.probe(memorySource("x", changed))) listContainer(opened(changed), ["kind", "target"]);
      } catch (error) {
        expect(error).toMatchObject({ name: "ImageError" });
      }
    }
  });
});

const typical: readonly CpioEntry[] = [
  { name: ".", mode: types.directory | 0o750 },
  { name: "bin", mode: types.directory | 0o755 },
  { name: "bin/tool", content: noise(1, 777), mode: types.file | 0o4755 },
  { name: "empty" },
  { name: "link", mode: types.symlink | 0o777, content: Buffer.from("bin/tool") },
  { name: "pipe", mode: types.fifo | 0o600 },
  { name: "dev/console", mode: types.character | 0o600, device: [5, 1] },
  { name: "dev/disk", mode: types.block | 0o660, device: [8, 2] },
  { name: "first", links: 2, inode: 7 },
  { name: "second", links: 2, inode: 7, content: noise(2, 1234) },
];

const namesIn = (container: Container, id = container.root.id) => [...container.list(id).keys()];

function at(container: Container, path: string) {
  let item: ReturnType<Container["item"]> = container.root;
  for (const name of path.split("/")) item = item && container.list(item.id).get(name);
  if (!item) throw new Error(`there is no ${path}`);
  return item;
}

const contentAt = (container: Container, path: string) => contentOf(container, at(container, path).id);
const notesOf = (container: Container) => container.facts().notes;
const errorsIn = (container: Container) => (container.check?.(() => undefined) ?? []).filter(({ severity }) => severity === "error");

describe("archives from the specification", () => {
  test.each([
    ["of HP-UX", 0x08_00_30_01, { major: 8, minor: 0x3001 }],
    ["of GNU cpio", 0x1_0a_2c, { major: 266, minor: 44 }],
  ])("device numbers where sizes are: those %s", (_, number, device) => {
    const entry = cpioEntry("odc", { name: "disk", mode: types.block | 0o660, device: [0, 1] });
    entry.write(number.toString(8).padStart(11, "0"), 65);
    const container = opened(Buffer.concat([entry, cpioArchive("odc", [{ name: "next", content: noise(1, 9) }])]));
    expect([...container.list(container.root.id)]).toMatchObject([
      ["disk", { kind: "block device", device }],
      ["next", { kind: "file", size: 9 }],
    ]);
    expect(container.facts().notes).toEqual([]);
  });

  test.each(["newc", "crc", "odc", "little", "big"] as const)("%s", (kind) => {
    const content = cpioArchive(kind, typical);
    expect(initramfs.probe(memorySource("x", content))).toBe(true);
    const container = opened(content);
    expect(namesIn(container)).toEqual(["bin", "empty", "link", "pipe", "dev", "first", "second"]);
    expect(container.root).toMatchObject({ mode: 0o750, uid: 1000, gid: 50, modified: 1_700_000_000_000 });
    expect(at(container, "bin/tool")).toMatchObject({ kind: "file", mode: 0o4755, uid: 1000, gid: 50, size: 777, links: 1 });
    expect(contentAt(container, "bin/tool").equals(noise(1, 777))).toBe(true);
    expect(at(container, "empty").size).toBe(0);
    expect(at(container, "link")).toMatchObject({ kind: "symlink", target: "bin/tool" });
    expect(at(container, "pipe").kind).toBe("fifo");
    expect(at(container, "dev/console")).toMatchObject({ kind: "character device", mode: 0o600, device: { major: 5, minor: 1 } });
    expect(at(container, "dev/disk")).toMatchObject({ kind: "block device", device: { major: 8, minor: 2 } });
    expect(at(container, "first")).toEqual(at(container, "second"));
    expect(contentAt(container, "first").equals(noise(2, 1234))).toBe(true);
    expect(notesOf(container)).toEqual([]);
    expect(errorsIn(container)).toEqual([]);
    expect(container.facts()).toMatchObject({
      variant: `cpio (${kind === "little" || kind === "big" ? "binary" : kind})`,
      details: { archives: "10 entries" },
    });
  });

  test("the bytes of a file with several names may stand with any of them, or with each", () => {
    const names = ["a", "b", "c"];
    for (const holders of [["a"], ["b"], ["c"], names]) {
      const entries = names.map((name) => ({ name, links: 3, inode: 9, ...(holders.includes(name) && { content: noise(5, 99) }) }));
      const container = opened(cpioArchive("newc", entries));
      for (const name of names) expect(contentAt(container, name).equals(noise(5, 99))).toBe(true);
    }
  });

  test("the same inode in another archive is another file", () => {
    const container = opened(
      Buffer.concat([
        cpioArchive("newc", [{ name: "a", links: 2, inode: 9, content: noise(1, 10) }]),
        cpioArchive("newc", [{ name: "b", links: 2, inode: 9, content: noise(2, 20) }]),
      ]),
    );
    expect(contentAt(container, "a").equals(noise(1, 10))).toBe(true);
    expect(contentAt(container, "b").equals(noise(2, 20))).toBe(true);
  });

  test("names that lead out, are too long or too deep are told, and not shown", () => {
    const container = opened(
      cpioArchive("newc", [
        { name: "../evil" },
        { name: "a/../../evil" },
        { name: "/absolute/./x//y", content: noise(2, 6) },
        { name: "n".repeat(256) },
        { name: "d/".repeat(300) },
        { name: "odd", mode: 0o050000 },
        { name: "dangling", mode: types.symlink },
      ]),
    );
    expect(namesIn(container)).toEqual(["absolute"]);
    expect(contentAt(container, "absolute/x/y").equals(noise(2, 6))).toBe(true);
    expect(notesOf(container).map((note) => note.replace(/^"[^"]*" /, ""))).toEqual([
      "leads out of the archive: it is not shown.",
      "leads out of the archive: it is not shown.",
      "has a name of more than 255 bytes: it is not shown.",
      "lies deeper than 256 directories: it is not shown.",
      "is of no kind that is known: it is not shown.",
      "is not shown: where the link leads is missing.",
    ]);
  });

  test("of many remarks a few are told", () => {
    const notes = notesOf(
      opened(
        cpioArchive(
          "newc",
          Array.from({ length: 500 }, (_, index) => ({ name: `../${index}` })),
        ),
      ),
    );
    expect([notes.length, notes.at(-1)]).toEqual([21, "There are 480 more remarks of this kind."]);
  });

  test("what later archives hold goes where links lead, as when it is unpacked", () => {
    const container = opened(
      Buffer.concat([
        cpioArchive("newc", [
          { name: "usr/lib", mode: types.directory | 0o755 },
          { name: "lib", mode: types.symlink | 0o777, content: Buffer.from("usr/lib") },
          { name: "usr/share", mode: types.symlink | 0o777, content: Buffer.from("../lib/./share") },
          { name: "top", mode: types.symlink | 0o777, content: Buffer.from("/../../usr") },
          { name: "loop", mode: types.symlink | 0o777, content: Buffer.from("loop") },
          { name: "file", content: noise(1, 5) },
        ]),
        cpioArchive("newc", [{ name: "lib/a" }, { name: "usr/share/b" }, { name: "top/c" }, { name: "loop/d" }, { name: "file/e" }]),
      ]),
    );
    expect(namesIn(container)).toEqual(["usr", "lib", "top", "loop", "file"]);
    expect(namesIn(container, at(container, "usr").id)).toEqual(["lib", "share", "c"]);
    expect(namesIn(container, at(container, "usr/lib").id)).toEqual(["a", "share"]);
    expect(namesIn(container, at(container, "usr/lib/share").id)).toEqual(["b"]);
    expect(notesOf(container)).toEqual(
      ["loop/d", "file/e"].map((name) => `"${name}" is not shown: something that is no directory is in its place.`),
    );
  });

  test("what comes later replaces what was there, but for directories with something in them", () => {
    const container = opened(
      Buffer.concat([
        cpioArchive("newc", [
          { name: "full/x" },
          { name: "empty", mode: types.directory | 0o755 },
          { name: "file", content: noise(1, 9) },
          { name: "link", mode: types.symlink | 0o777, content: Buffer.from("file") },
          { name: "folder/y" },
        ]),
        cpioArchive("newc", [
          { name: "full", content: noise(2, 3) },
          { name: "empty", content: noise(3, 3) },
          { name: "file", mode: types.directory | 0o700 },
          { name: "link", content: noise(4, 4) },
          { name: "folder", mode: types.directory | 0o711 },
        ]),
      ]),
    );
    expect(namesIn(container, at(container, "full").id)).toEqual(["x"]);
    expect(contentAt(container, "empty").equals(noise(3, 3))).toBe(true);
    expect(at(container, "file")).toMatchObject({ kind: "directory", mode: 0o700 });
    expect(contentAt(container, "link").equals(noise(4, 4))).toBe(true);
    expect(at(container, "folder").mode).toBe(0o711);
    expect(namesIn(container, at(container, "folder").id)).toEqual(["y"]);
    expect(notesOf(container)).toEqual(['"full" is not shown: a directory that is not empty is in its place.']);
  });

  test("names filled up with NUL bytes, so that the data lies where it should", () => {
    const container = opened(
      Buffer.concat([
        cpioEntry("newc", { name: "a", content: noise(1, 50), extraNuls: 3972 }),
        cpioEntry("newc", { name: "TRAILER!!!", extraNuls: 9 }),
      ]),
    );
    expect(namesIn(container)).toEqual(["a"]);
    expect(contentAt(container, "a").equals(noise(1, 50))).toBe(true);
    expect(notesOf(container)).toEqual([]);
  });

  test("an end mark is not needed: zeros, another archive or a compressed one may follow", () => {
    const bare = (name: string) => cpioEntry("newc", { name, content: noise(1, 7) });
    const container = opened(Buffer.concat([bare("a"), Buffer.alloc(508), bare("b"), Buffer.alloc(4), gzipSync(bare("c"))]));
    expect(namesIn(container)).toEqual(["a", "b", "c"]);
    expect(container.facts().details["archives"]).toBe("1 entry, 1 entry, 1 entry (gzip)");
    expect(notesOf(container)).toHaveLength(3);
    expect(notesOf(container)[0]).toMatch(/has no end mark/);
  });

  test("several archives in one that is compressed, and zeros behind it", () => {
    const inner = Buffer.concat([cpioArchive("newc", [{ name: "a" }]), Buffer.alloc(512), cpioArchive("odc", [{ name: "b" }])]);
    for (const packed of [gzipSync(inner), Buffer.concat([gzipSync(inner), gzipSync(cpioArchive("newc", [{ name: "c" }]))])]) {
      const container = opened(Buffer.concat([cpioArchive("crc", [{ name: "early" }]), packed, Buffer.alloc(1024)]));
      expect(namesIn(container).slice(0, 3)).toEqual(["early", "a", "b"]);
      expect(container.facts().variant).toBe("cpio (crc, newc, odc)");
      expect(notesOf(container)).toEqual([]);
    }
  });

  test("what is no archive behind one is told, and found by a check", () => {
    const container = opened(Buffer.concat([cpioArchive("newc", [{ name: "a" }]), Buffer.alloc(512), noise(3, 5000)]));
    expect(notesOf(container).join()).toMatch(/neither an archive nor compressed/);
    expect(namesIn(container)).toEqual(["a"]);
    expect(errorsIn(container)).toHaveLength(1);
  });

  test("a compressed one that is damaged is told, and what is before it shown", () => {
    const packed = gzipSync(cpioArchive("newc", [{ name: "b", content: noise(3, 9000) }]));
    packed[5000] = (packed[5000] ?? 0) ^ 1;
    const container = opened(Buffer.concat([cpioArchive("newc", [{ name: "a" }]), packed]));
    expect(namesIn(container)).toEqual(["a"]);
    expect(notesOf(container).join()).toMatch(/compressed with gzip at byte \d+ cannot be unpacked/);
    expect(errorsIn(container)).toHaveLength(1);
  });

  test("sums of crc archives are compared by a check", () => {
    const entries = [{ name: "good", content: noise(1, 100) }, { name: "folder/bad", content: noise(2, 100), sum: 5 }, { name: "none" }];
    const container = opened(cpioArchive("crc", entries));
    expect(errorsIn(container)).toMatchObject([{ file: "folder/bad", kind: "digest differs" }]);
    expect(contentAt(container, "folder/bad").equals(noise(2, 100))).toBe(true);
  });

  test("the bytes of a file that is cut are an error, those before them are there", () => {
    const content = cpioEntry("newc", { name: "a", content: noise(1, 1000) });
    const container = opened(content.subarray(0, -400));
    const { map } = container.content(at(container, "a").id);
    expect(map(0, 1000)).toMatchObject({ kind: "data", length: 600 });
    expect(map(600, 400)).toMatchObject({ kind: "damaged", length: 400 });
    expect(errorsIn(container)[0]?.message).toBe('the archive is cut inside "a"');
  });

  test("disks that begin with the two bytes of the old format are no archives", () => {
    for (const bytes of [
      [0xc7, 0x71],
      [0x71, 0xc7],
    ]) {
      for (const seed of [1, 2, 3, 4]) {
        const content = noise(seed, 4096);
        content.set(bytes);
        expect(initramfs.probe(memorySource("x", content))).toBe(false);
      }
    }
    expect(initramfs.probe(memorySource("x", Buffer.alloc(4096)))).toBe(false);
    expect(initramfs.probe(memorySource("x", Buffer.alloc(0)))).toBe(false);
  });

  test("files of gigabytes of zeros behind an archive are not read to their end", () => {
    const start = cpioArchive("newc", [{ name: "a" }]);
    let read = 0;
    const source: Source = {
      name: "huge",
      size: 2 ** 43,
      read(target, position) {
        read += target.length;
        target.fill(0);
        if (position < start.length) target.set(start.subarray(position, position + target.length));
      },
      close: () => undefined,
    };
    const container = initramfs.open(source, alone);
    expect(notesOf(container).join()).toMatch(/zeros stand between/);
    expect(read).toBeLessThan(2 ** 27);
  });
});
