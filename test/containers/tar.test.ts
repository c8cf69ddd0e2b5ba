import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, linkSync, mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { tar } from "../../src/containers/tar/index.js";
import { fileSource, openFile } from "../../src/source/file.js";
import { memorySource } from "../../src/source/memory.js";
import { alone } from "../support/containers.js";
import { noise } from "../support/content.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type Aspect, contentOf, type Listing, listContainer, listFolder, makeTree, treeDifferences } from "../support/trees.js";

const aspects: readonly Aspect[] = ["kind", "mode", "uid", "gid", "modified", "size", "target", "sha256"];

function listTar(archive: string): Listing {
  const source = fileSource(openFile(archive, { devices: false }));
  try {
    return listContainer(tar.open(source, alone), aspects);
  } finally {
    source.close();
  }
}

describe("archives made by GNU tar", () => {
  const directory = tempDirectory();
  const tree = join(directory, "tree");
  beforeAll(() => {
    mkdirSync(tree);
    makeTree(tree, { deep: 30 });
    chmodSync(join(tree, "script.sh"), 0o4755);
    linkSync(join(tree, "odd.bin"), join(tree, "same as odd.bin"));
    utimesSync(join(tree, "empty"), 0, -86_399.5);
    utimesSync(join(tree, "one sector"), 0, 10_000_000_000);
    spawnSync("mkfifo", [join(tree, "fifo")]);
    writeFileSync(join(tree, "holes"), noise(1, 70_000));
    truncateSync(join(tree, "holes"), 5_000_000);
    execFileSync("dd", ["if=/dev/urandom", `of=${join(tree, "holes")}`, "bs=4096", "seek=400", "count=9", "conv=notrunc"], {
      stdio: "ignore",
    });
    for (let index = 0; index < 60; index += 1) {
      execFileSync("dd", ["if=/dev/urandom", `of=${join(tree, "many holes")}`, "bs=4096", `seek=${index * 9}`, "count=2", "conv=notrunc"], {
        stdio: "ignore",
      });
    }
  });

  test.each([
    ["--format=gnu"],
    ["--format=posix"],
    ["--format=oldgnu"],
    ["--format=gnu", "-S"],
    ["--format=posix", "-S", "--sparse-version=0.0"],
    ["--format=posix", "-S", "--sparse-version=0.1"],
    ["--format=posix", "-S", "--sparse-version=1.0"],
    ["--format=gnu", "-b", "1", "--label=a label"],
  ])("%s %s %s", (...options) => {
    const archive = join(directory, "a.tar");
    const before = listFolder(tree, aspects);
    execFileSync("tar", ["-cf", archive, ...options, "-C", tree, "."]);
    expect(treeDifferences(listTar(archive), before)).toEqual([]);
  });

  test("in the ustar format", () => {
    const archive = join(directory, "u.tar");
    // Its names end at 255 bytes.
    execFileSync("tar", ["-cf", archive, "--format=ustar", "-C", tree, "wide directory", "text.txt", "script.sh", "link to text"]);
    const expected = [...listFolder(tree, aspects)].filter(([path]) => /^(wide directory|text.txt|script.sh|link to text)/.test(path));
    expect(treeDifferences(listTar(archive), new Map(expected))).toEqual([]);
  });

  test("appended to: the last member of a name is the one", () => {
    const archive = join(directory, "b.tar");
    writeFileSync(join(directory, "x"), "old");
    execFileSync("tar", ["-cf", archive, "-C", directory, "x"]);
    writeFileSync(join(directory, "x"), "newer");
    execFileSync("tar", ["-rf", archive, "-C", directory, "x"]);
    const container = tar.open(fileSource(openFile(archive, { devices: false })), alone);
    const item = container.list(container.root.id).get("x");
    expect(item && contentOf(container, item.id).toString()).toBe("newer");
  });
});

/** A header from the specification alone, with the fields given. */
function member(name: string, size: number, { type = "0", big = false }: { type?: string; big?: boolean } = {}): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write("0000644\0" + "0001750\0" + "0000144\0", 100);
  if (big) {
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  } else {
    block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  }
  block.write("07346545000\0        ", 136);
  block.write(type, 156);
  block.write("ustar\x0000", 257, "latin1");
  block.write(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
  return block;
}

/** With the checksum that it should have. */
function withSum(block: Buffer): Buffer {
  block.write("        ", 148);
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

const archiveOf = (...parts: readonly Buffer[]) => memorySource("a.tar", Buffer.concat([...parts, Buffer.alloc(1024)]));

describe("archives from the specification", () => {
  const directory = tempDirectory();

  test("sizes in base 256", () => {
    const container = tar.open(archiveOf(member("a", 700, { big: true }), noise(1, 1024), member("b", 5), noise(2, 512)), alone);
    expect([...container.list(container.root.id)].map(([name, { size }]) => [name, size])).toEqual([
      ["a", 700],
      ["b", 5],
    ]);
  });

  /** The field of the link's target. */
  const linked = (name: string, target: string, size: number, type = "1"): Buffer => {
    const block = member(name, size, { type });
    block.write(target, 157);
    return withSum(block);
  };
  const pax = (text: string): Buffer =>
    Buffer.concat([
      member("pax", Buffer.byteLength(text), { type: "x" }),
      Buffer.concat([Buffer.from(text), Buffer.alloc(512)]).subarray(0, 512),
    ]);

  test("links, directories and devices with a size and no data, as V7, star and Solaris wrote them", () => {
    const archive = archiveOf(
      ...[member("a", 700), noise(1, 1024)],
      ...[linked("hard", "a", 700), linked("soft", "a", 9, "2"), member("d/", 4096, { type: "5" })],
      ...[member("tty", 5, { type: "3" }), member("pipe", 5, { type: "6" }), linked("last", "a", 700), member("b", 5), noise(2, 512)],
      linked("at the end", "b", 5),
    );
    const container = tar.open(archive, alone);
    const found = [...container.list(container.root.id)].map(([name, { kind, size }]) => [name, kind, size]);
    expect(found).toEqual([
      ["a", "file", 700],
      ["hard", "file", 700],
      ["soft", "symlink", 0],
      ["d", "directory", 0],
      ["tty", "character device", 0],
      ["pipe", "fifo", 0],
      ["last", "file", 700],
      ["b", "file", 5],
      ["at the end", "file", 5],
    ]);
    expect(container.facts().notes).toEqual([]);
  });

  test("links with data, as pax has them", () => {
    for (const extension of [[], [pax("13 mtime=1.5\n")]]) {
      const data = extension.length > 0 ? [member("inner", 5), noise(3, 512)] : [noise(4, 1024)];
      const archive = archiveOf(
        member("a", 1024),
        noise(1, 1024),
        ...extension,
        linked("hard", "a", 1024),
        ...data,
        member("b", 5),
        noise(2, 512),
      );
      const container = tar.open(archive, alone);
      expect([...container.list(container.root.id)].map(([name, { size }]) => [name, size])).toEqual([
        ["a", 1024],
        ["hard", 1024],
        ["b", 5],
      ]);
      const hard = container.list(container.root.id).get("hard");
      expect(hard && contentOf(container, hard.id).equals(Buffer.concat(data).subarray(0, 1024))).toBe(true);
    }
  });

  test("extensions of Solaris, lists of dump directories, and what is no member", () => {
    const archive = archiveOf(
      ...[member("x", 18, { type: "X" }), Buffer.from("18 path=long name\n".padEnd(512, "\0")), member("short", 5), noise(1, 512)],
      ...[member("acl", 5, { type: "A" }), noise(2, 512), member("dump/", 5, { type: "D" }), noise(3, 512)],
      ...[member("rest of a volume", 5, { type: "M" }), noise(4, 512), member("z", 5), noise(5, 512)],
    );
    const container = tar.open(archive, alone);
    expect([...container.list(container.root.id)].map(([name, { kind }]) => [name, kind])).toEqual([
      ["long name", "file"],
      ["dump", "directory"],
      ["z", "file"],
    ]);
    expect(container.facts().notes).toEqual([expect.stringMatching(/"rest of a volume" began in another volume/)]);
  });

  test("records that are taken back, names too long for Linux, and extensions that cannot be", () => {
    const container = tar.open(
      archiveOf(
        pax("8 path=\n8 size=\n"),
        member("own", 5),
        noise(1, 512),
        pax(`310 path=${"é".repeat(150)}\n`),
        member("s", 5),
        noise(2, 512),
      ),
      alone,
    );
    const names = [...container.list(container.root.id).keys()];
    expect(names).toEqual(["own", "é".repeat(127)]);
    const cut = tar.open(archiveOf(member("a", 5), noise(1, 512), member("p", 2 ** 32, { type: "x" })), alone);
    expect([...cut.list(cut.root.id).keys()]).toEqual(["a"]);
    expect(cut.facts().notes.join()).toMatch(/extension of 4294967296 bytes .*not shown/);
  });

  test("times before 1970, and to the nanosecond", () => {
    const times = ["1700000000.123456789", "1600000000.9999999999", "-1.25", "-86400", "1e3", "99999999999999999999"];
    const parts = times.flatMap((time, index) => {
      const record = `mtime=${time}\n`;
      const length = record.length + 3;
      return [pax(`${length} ${record}`), member(`f${index}`, 5), noise(1, 512)];
    });
    const container = tar.open(archiveOf(...parts), alone);
    const found = [...container.list(container.root.id).values()].map(({ modified, nanoseconds }) => [modified, nanoseconds]);
    expect(found).toEqual([
      [1_700_000_000_123, 123_456_789],
      [1_600_000_000_999, 999_999_999],
      [-1250, 750_000_000],
      [-86_400_000, 0],
      // No such number: the header's own.
      [1_000_000_000_000, undefined],
      [8_640_000_000_000_000, 0],
    ]);
  });

  test("a size below zero is no header", () => {
    const block = member("a", 0);
    block.fill(0xff, 124, 136);
    expect(tar.probe(archiveOf(withSum(block)))).toBe(false);
  });

  test.each([3, 30, 50])("sparse members of star, of %i runs, as GNU tar unpacks them", (count) => {
    const content = noise(1, count * 1024);
    const runs = Array.from({ length: count }, (_, index) => [index * 5120 + 512, 1024] as const);
    const octal = (number: number) => `${number.toString(8).padStart(11, "0")} `;
    // The last one tells where the hole behind the data ends.
    const entries = [...runs, [count * 5120 + 777, 0] as const].map(([offset, length]) => octal(offset) + octal(length));
    const block = member("sparse", content.length, { type: "S" });
    block.write(entries.slice(0, 4).join(""), 356, "latin1");
    block[355] = entries.length > 4 ? 1 : 0;
    block.write(octal(count * 5120 + 777), 452, "latin1");
    block.write(octal(1e9) + octal(1e9), 476, "latin1");
    block.write("tar\0", 508, "latin1");
    const more = [4, 25, 46].flatMap((first) => {
      const list = entries.slice(first, first + 21);
      const extra = Buffer.alloc(512);
      extra.write(list.join(""), "latin1");
      extra[504] = entries.length > first + 21 ? 1 : 0;
      return list.length > 0 ? [extra] : [];
    });
    const stored = Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
    const archive = Buffer.concat([withSum(block), ...more, stored, member("next", 5), noise(2, 512), Buffer.alloc(1024)]);

    const home = subdirectory(directory);
    execFileSync("tar", ["-xf", "-", "-C", home], { input: archive });
    const expected = Buffer.alloc(count * 5120 + 777);
    runs.forEach(([offset, length], index) => content.copy(expected, offset, index * length, (index + 1) * length));
    expect(readFileSync(join(home, "sparse")).equals(expected)).toBe(true);
    const container = tar.open(memorySource("a.tar", archive), alone);
    const found = container.list(container.root.id);
    expect([...found].map(([name, { size }]) => [name, size])).toEqual([
      ["sparse", expected.length],
      ["next", 5],
    ]);
    expect(contentOf(container, found.get("sparse")?.id ?? 0).equals(expected)).toBe(true);
  });

  test("names that lead out lead nowhere", () => {
    const container = tar.open(
      archiveOf(member("../../a", 5), noise(1, 512), member("/b", 5), noise(2, 512), member("c/../../d", 5), noise(3, 512)),
      alone,
    );
    expect([...container.list(container.root.id).keys()]).toEqual(["a", "b", "d"]);
  });

  test("cut inside a member: the rest of it is an error, the others are there", () => {
    const whole = Buffer.concat([member("a", 512), noise(1, 512), member("b", 5000), noise(2, 700)]);
    const container = tar.open(memorySource("a.tar", whole), alone);
    expect([...container.list(container.root.id).keys()]).toEqual(["a", "b"]);
    const b = container.list(container.root.id).get("b");
    expect(b && container.content(b.id).map(600, 1000)).toMatchObject({ kind: "data", length: 100 });
    expect(b && container.content(b.id).map(700, 1000)).toMatchObject({ kind: "damaged" });
    expect(container.facts().notes.join()).toMatch(/cut/);
  });

  test("a header that is none ends it, and is told", () => {
    const container = tar.open(archiveOf(member("a", 5), noise(1, 512), noise(9, 512), member("b", 5), noise(2, 512)), alone);
    expect([...container.list(container.root.id).keys()]).toEqual(["a"]);
    expect(container.facts().notes.join()).toMatch(/no tar header/);
  });

  test("bytes changed anywhere end in a listing or an error", () => {
    const disc = Buffer.concat([
      member("a/b", 700),
      noise(1, 1024),
      member("././@LongLink", 200, { type: "L" }),
      Buffer.alloc(512, "x"),
      member("c", 9),
      noise(2, 512),
    ]);
    for (let at = 0; at < disc.length; at += 1) {
      const changed = Buffer.from(disc);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      const source = memorySource("a.tar", changed);
      try {
        if (tar.probe(source)) listContainer(tar.open(source, alone), ["kind"]);
      } catch (error) {
        expect(error).toMatchObject({ name: "ImageError" });
      }
    }
  });
});
