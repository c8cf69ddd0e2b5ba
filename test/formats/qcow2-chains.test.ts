// Backing files of qcow2: how they may be named, and which of them are opened at all.
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { buildQcow2, type Recipe } from "../support/qcow2-builder.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import { difference, flatOf, imageErrorOf, refusalOf } from "../support/reading.js";

const CLUSTER = 4096;
const SIZE = 8 * CLUSTER;
const { write, expectDisk } = builtDisks();
const parent = noise(1, SIZE);
const stored = (seed: number): Cluster => ({ kind: "data", content: noise(seed, CLUSTER) });
const base: Recipe = {
  size: SIZE,
  clusters: new Map([
    [0, stored(10)],
    [3, stored(13)],
    [5, { kind: "zero" }],
  ]),
};
const baseDisk = expectedDisk(base);

function over(name: string | Uint8Array, format?: string): Recipe {
  return {
    size: SIZE,
    clusters: new Map([
      [1, stored(20)],
      [2, { kind: "zero" }],
    ]),
    backing: { name, ...(format !== undefined && { format }) },
  };
}

describe("names of backing files", () => {
  test.each([
    { name: "json, nested", backing: '{"driver":"qcow2","file":{"driver":"file","filename":"base.qcow2"}}' },
    { name: "json, flat keys", backing: '{"driver":"qcow2","file.driver":"file","file.filename":"base.qcow2"}' },
    { name: "json, only the file name", backing: '{"driver":"qcow2","file.filename":"base.qcow2"}' },
    { name: "json, no format", backing: '{"file":{"driver":"file","filename":"base.qcow2"}}' },
  ])("$name", ({ backing }) => {
    const top = over(`json:${backing}`, "qcow2");
    // QEMU takes such names relative to where it runs.
    expectDisk(write({ "top.qcow2": top, "base.qcow2": base }), top, { parent: baseDisk, judge: "none" });
  });

  test("json, the driver raw is the bytes of the file", () => {
    const top = over('json:{"driver":"raw","file":{"driver":"file","filename":"base.qcow2"}}');
    expectDisk(write({ "top.qcow2": top, "base.qcow2": base }), top, { parent: buildQcow2(base).bytes, judge: "none" });
  });

  test("json, the driver file is the bytes of the file", () => {
    const home = write({ "base.qcow2": base });
    const top = over(`json:${JSON.stringify({ driver: "file", filename: home })}`);
    const path = join(dirname(home), "top.qcow2");
    writeFileSync(path, buildQcow2(top).bytes);
    expectDisk(path, top, { parent: buildQcow2(base).bytes, judge: "read" });
  });

  test.each(["base.bin", "./base.bin", "sub/../base.bin"])("%s", (name) => {
    const top = over(name, "raw");
    expectDisk(write({ "top.qcow2": top, "base.bin": parent, "sub/x": parent }), top, { parent });
  });

  test("file:base.bin", () => {
    const top = over("file:base.bin", "raw");
    // QEMU takes this one relative to where it runs, too.
    expectDisk(write({ "top.qcow2": top, "base.bin": parent }), top, { parent, judge: "none" });
  });

  test("1023 bytes, the most there may be, at the end of the first cluster", () => {
    const name = `${"./".repeat(507)}/base.bin`;
    expect(name.length).toBe(1023);
    // Header, format extension and end marker leave this much before the name.
    const filler = { type: 0x7777_7777, data: Buffer.alloc(CLUSTER - 1024 - 112 - 16 - 8 - 8) };
    const top: Recipe = { ...over(name, "raw"), extensions: [filler] };
    expect(buildQcow2(top).bytes.readBigUInt64BE(8)).toBe(BigInt(CLUSTER - 1024));
    expectDisk(write({ "top.qcow2": top, "base.bin": parent }), top, { parent });
  });

  test.each([
    "nbd://localhost/disk",
    "nbd+unix:///disk?socket=/tmp/s",
    "https://example.org/disk.qcow2",
    "fd:3",
    "fd:0",
    'json:{"driver":"nbd","server":{"type":"inet","host":"localhost","port":"10809"}}',
    'json:{"driver":"qcow2","file":{"driver":"nbd","path":"/tmp/s"}}',
    'json:{"driver":"qcow2","file":{"driver":"host_device","filename":"/dev/null"}}',
    'json:{"driver":"raw","offset":512,"file":{"driver":"file","filename":"base.bin"}}',
    'json:{"driver":"qcow2","backing":{"driver":"raw","file":{"driver":"file","filename":"other.bin"}},"file":{"driver":"file","filename":"base.bin"}}',
    'json:{"driver":"blkdebug","image":{"driver":"file","filename":"base.bin"}}',
    "json:{",
    "json:7",
    'json:{"file":null}',
    'json:["base.bin"]',
    'json:{"driver":"raw","file":{"driver":"file","filename":7}}',
  ])("%s is refused", (name) => {
    const error = refusalOf(write({ "top.qcow2": over(name, "raw"), "base.bin": parent, "other.bin": parent }));
    expect(error.code).toMatch(/^(UNSUPPORTED|PART_DENIED)$/);
    expect(error.file).toContain("top.qcow2");
  });

  test("bytes that are no UTF-8: read right or refused", () => {
    const name = Buffer.concat([Buffer.from("b"), Buffer.from([0xe4]), Buffer.from("se.bin")]);
    const top = over(name, "raw");
    const path = write({ "top.qcow2": top });
    writeFileSync(Buffer.concat([Buffer.from(`${dirname(path)}/`), name]), parent);
    const error = imageErrorOf(() => expect(difference(flatOf(path), expectedDisk(top, parent))).toBeUndefined());
    if (error) expect(error.code).toMatch(/^(PART_MISSING|UNSUPPORTED)$/);
  });

  test.each(["base.bin\0", "\0", "ba\0se.bin", "\n", "x".repeat(300)])("a name like %j is refused without a crash", (name) => {
    const error = refusalOf(write({ "top.qcow2": over(name, "raw"), "base.bin": parent }));
    expect(error.code).toMatch(/^(PART_MISSING|UNSUPPORTED|CORRUPT|UNREADABLE)$/);
    expect(`${error.message}${error.hint ?? ""}`).not.toMatch(/[\0\n]/);
  });
});

describe("formats of backing files", () => {
  test("declared raw, it is raw even if it looks like qcow2", () => {
    const top = over("base.img", "raw");
    expectDisk(write({ "top.qcow2": top, "base.img": base }), top, { parent: buildQcow2(base).bytes });
  });

  test("declared qcow2 and raw in truth, it is refused", () => {
    expect(refusalOf(write({ "top.qcow2": over("base.img", "qcow2"), "base.img": parent })).code).toMatch(/^(WRONG_FORMAT|CORRUPT)$/);
  });

  test("declared something nobody knows, it is refused", () => {
    const error = refusalOf(write({ "top.qcow2": over("base.img", "frob\x1b[2J"), "base.img": parent }));
    expect(error.code).toMatch(/^(UNSUPPORTED|WRONG_FORMAT)$/);
    expect(error.message).not.toContain("\x1b");
  });

  test.each(["file", "host_device"])("declared as %s, which is how old images say raw", (format) => {
    const top = over("base.img", format);
    const path = write({ "top.qcow2": top, "base.img": parent });
    imageErrorOf(() => expect(difference(flatOf(path), expectedDisk(top, parent))).toBeUndefined());
  });
});

describe("which backing files are opened", () => {
  test("one that is not there is told by its name", () => {
    const error = refusalOf(write({ "top.qcow2": over("absent.bin", "raw") }));
    expect(error.code).toBe("PART_MISSING");
    expect(error.message).toContain("absent.bin");
  });

  test("one outside the image's folder only if that is allowed", () => {
    const outside = write({ "base.bin": parent });
    const top = over(outside, "raw");
    const path = write({ "top.qcow2": top });
    const error = refusalOf(path);
    expect(error.code).toBe("PART_DENIED");
    expect(error.hint).toContain("--allow");
    expectDisk(path, top, { parent, options: { allow: [dirname(outside)] } });
    expect(refusalOf(path, { allow: [dirname(write({ other: parent }))] }).code).toBe("PART_DENIED");
  });

  test.each(["../base.bin", "../deep/../base.bin"])("one that is reached by %s only if that is allowed", (name) => {
    const top = over(name, "raw");
    const path = write({ "deep/top.qcow2": top, "base.bin": parent });
    expect(refusalOf(path).code).toBe("PART_DENIED");
    expectDisk(path, top, { parent, options: { allow: [dirname(dirname(path))] } });
  });

  test("a folder whose name only begins like the image's is another one", () => {
    const path = write({ "disks/top.qcow2": over("../disks-secret/base.bin", "raw"), "disks-secret/base.bin": parent });
    expect(refusalOf(path).code).toBe("PART_DENIED");
  });

  test("a link that leads out of the folder is not followed", () => {
    const outside = write({ "base.bin": parent });
    const path = write({ "top.qcow2": over("base.bin", "raw") });
    symlinkSync(outside, join(dirname(path), "base.bin"));
    expect(refusalOf(path).code).toBe("PART_DENIED");
  });

  test("what the backing file names must be allowed too", () => {
    const outside = write({ "secret.bin": parent });
    const path = write({ "top.qcow2": over("middle.qcow2", "qcow2"), "middle.qcow2": over(outside, "raw") });
    expect(refusalOf(path).code).toBe("PART_DENIED");
  });

  test("a folder, a FIFO and a device are refused at once", () => {
    const path = write({
      "top.qcow2": over("thing", "raw"),
      "other/top.qcow2": over("thing", "raw"),
      "third/top.qcow2": over("/dev/zero", "raw"),
    });
    const home = dirname(path);
    mkdirSync(join(home, "thing"));
    execFileSync("mkfifo", [join(home, "other", "thing")]);
    for (const image of [path, join(home, "other/top.qcow2"), join(home, "third/top.qcow2")]) expect(refusalOf(image)).toBeDefined();
    expect(refusalOf(join(home, "third/top.qcow2"), { allow: ["/dev"] })).toBeDefined();
  });

  test("through a link to the image: next to the link, as QEMU does, or next to the image", () => {
    const top = over("base.bin", "raw");
    const image = write({ "real/top.qcow2": top, "real/base.bin": parent });
    const lonely = join(dirname(dirname(image)), "lonely.qcow2");
    symlinkSync(image, lonely);
    expectDisk(lonely, top, { parent, judge: "none" });

    const home = join(dirname(dirname(image)), "links");
    mkdirSync(home);
    symlinkSync(image, join(home, "top.qcow2"));
    writeFileSync(join(home, "base.bin"), noise(3, SIZE));
    expectDisk(join(home, "top.qcow2"), top, { parent: noise(3, SIZE), judge: "read" });
  });
});

describe("long chains and loops", () => {
  /** `depth` images, each with one cluster of its own. */
  function chain(depth: number): { path: string; expected: Buffer } {
    const size = depth * CLUSTER;
    const files: [string, Recipe][] = Array.from({ length: depth }, (_, level) => {
      const backing = level + 1 < depth ? { backing: { name: `level${level + 1}.img`, format: "qcow2" } } : {};
      return [`level${level}.img`, { size, clusters: new Map([[level, stored(level)]]), ...backing }];
    });
    const expected = Buffer.concat(files.map((_, level) => noise(level, CLUSTER)));
    return { path: write(Object.fromEntries(files)), expected };
  }

  test("60 images", () => {
    const { path, expected } = chain(60);
    expect(difference(flatOf(path), expected)).toBeUndefined();
  });

  test("70 images are refused", () => {
    expect(refusalOf(chain(70).path).message).toMatch(/chain/);
  });

  test("an image that backs itself", () => {
    expect(refusalOf(write({ "a.img": over("a.img", "qcow2") })).code).toBe("CORRUPT");
  });

  test("two that back each other, and one by another name", () => {
    expect(refusalOf(write({ "a.img": over("b.img", "qcow2"), "b.img": over("./a.img", "qcow2") })).code).toBe("CORRUPT");

    const path = write({ "a.img": over("b.img", "qcow2") });
    linkSync(path, join(dirname(path), "b.img"));
    expect(refusalOf(path).code).toBe("CORRUPT");
  });
});
