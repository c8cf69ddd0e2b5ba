// Images in numbered parts: which files belong together, and that they are read as one.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { otherParts } from "../../src/disk/split.js";
import { openDisk } from "../../src/disk/open.js";
import { mixed, noise } from "../support/content.js";
import { buildQcow2, type Recipe } from "../support/qcow2-builder.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import { difference, flatOf, imageErrorOf, type ReadOptions, refusalOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const directory = tempDirectory();

/** A fresh folder with empty files; a name that ends in a slash is a folder. */
function folderOf(names: readonly string[]): string {
  const home = subdirectory(directory);
  for (const name of names) {
    if (name.endsWith("/")) mkdirSync(join(home, name));
    else writeFileSync(join(home, name), "");
  }
  return home;
}

function partsOf(name: string, others: readonly string[], signatureOf: (name: string) => string | undefined = () => undefined) {
  return otherParts(join(folderOf([name, ...others]), name), (path) => signatureOf(basename(path))).map((path) => basename(path));
}

function refusalOfParts(name: string, others: readonly string[]) {
  return imageErrorOf(() => partsOf(name, others));
}

/** Digits or letters, `width` wide. */
const numbers = (first: number, last: number, width: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => String(first + index).padStart(width, "0"));
const letters = (count: number) =>
  Array.from({ length: count }, (_, index) => String.fromCharCode(97 + Math.floor(index / 26), 97 + (index % 26)));

describe("the parts of a file", () => {
  test.each<readonly [first: string, others: readonly string[]]>([
    ["d.001", ["d.002", "d.003"]],
    ["d.000", ["d.001", "d.002"]],
    ["d.01", ["d.02"]],
    ["d.00", ["d.01"]],
    ["d.00001", ["d.00002"]],
    ["d.aa", ["d.ab", "d.ac"]],
    ["d.aaa", ["d.aab"]],
    ["disk.img.001", ["disk.img.002"]],
    [".aa", [".ab"]],
    ["d\n.001", ["d\n.002"]],
  ])("%j has %j", (first, others) => {
    expect(partsOf(first, others)).toEqual(others);
  });

  test.each<readonly [last: string, wider: readonly string[], before: readonly string[]]>([
    ["99", ["100", "101"], numbers(1, 99, 2)],
    ["999", ["1000", "1001"], numbers(1, 999, 3)],
    ["89", ["9000", "9001"], numbers(0, 89, 2)],
    ["yz", ["zaaa", "zaab"], letters(650)],
  ])("numbers become wider behind %s: %j", (_, wider, before) => {
    const all = [...before, ...wider].map((suffix) => `d.${suffix}`);
    const [first = "", ...others] = all;
    const home = folderOf(all);
    expect(otherParts(join(home, first), () => undefined)).toEqual(others.map((name) => join(home, name)));
    const error = imageErrorOf(() => otherParts(join(home, all.at(-1) ?? ""), () => undefined));
    expect(error?.hint).toContain(`"${first}"`);
  });

  test("all that two letters can tell", () => {
    const [first = "", ...others] = letters(676).map((suffix) => `d.${suffix}`);
    expect(partsOf(first, others)).toEqual(others);
  });

  test("as split(1) names them", () => {
    for (const options of [
      ["-n", "700"],
      ["-d", "-n", "120"],
      ["-d", "-a3", "-n", "12"],
      ["-a3", "-n", "30"],
    ]) {
      const home = subdirectory(directory);
      writeFileSync(join(home, "whole"), noise(1, 5000));
      const count = Number(options.at(-1));
      // Suffixes become wider only when the number of parts is not known before.
      execFileSync("split", [...options.slice(0, -2), "-b", String(Math.ceil(5000 / count)), "whole", "d."], { cwd: home });
      const names = readdirSync(home).filter((name) => name !== "whole");
      const first = join(home, names.sort()[0] ?? "");
      const parts = otherParts(first, () => undefined);
      expect(parts.length).toBe(names.length - 1);
      expect(difference(flatOf(first, { format: "raw" }), noise(1, 5000))).toBeUndefined();
    }
  });

  test.each<readonly [name: string, others: readonly string[]]>([
    ["d.001", []],
    ["d.001", ["d.003x", "e.002", "d.02", "d.0002", "d.002.md5", "D.002"]],
    ["d.001", ["d.002/", "002"]],
    ["d.iso", ["d.img", "d.raw", "d.aaz"]],
    ["d.img", ["d.ima", "d.imh"]],
    ["d.aa", ["d.gz", "d.xz", "d.iso", "d.ps"]],
    ["d.ab", ["d.ac"]],
    ["d.02", ["d.03"]],
    ["libfoo.so.10", ["libfoo.so", "libfoo.so.9"]],
    ["libfoo.so.10", ["libfoo.so.01"]],
    ["d.10", ["d.01/", "d.02"]],
    ["d.2024", ["d.2023", "d.2025"]],
    ["d.2024", ["d.01", "d.02"]],
    ["d.1", ["d.2", "d.3"]],
    ["d001", ["d002"]],
    ["d.0000001", ["d.0000002"]],
  ])("%s is whole beside %j", (name, others) => {
    expect(partsOf(name, others)).toEqual([]);
  });

  test.each<readonly [name: string, missing: string, others: readonly string[]]>([
    ["d.001", "d.002", ["d.003"]],
    ["d.001", "d.003", ["d.002", "d.004", "d.005"]],
    ["d.000", "d.002", ["d.001", "d.003"]],
    ["d.aa", "d.ac", ["d.ab", "d.ad"]],
    ["d.01", "d.02", ["d.10"]],
    ["d.001", "d.003", ["d.002", "d.003/", "d.004"]],
  ])("%s without %s is refused", (name, missing, others) => {
    const error = refusalOfParts(name, others);
    expect(error?.code).toBe("PART_MISSING");
    expect(error?.message).toContain(`"${missing}"`);
    expect(error?.file).toContain(name);
  });

  test.each<readonly [later: string, first: string, others: readonly string[]]>([
    ["d.002", "d.001", []],
    ["d.003", "d.001", ["d.002"]],
    ["d.003", "d.000", ["d.001", "d.002"]],
    ["d.001", "d.000", []],
    ["d.01", "d.00", ["d.02"]],
    ["d.ab", "d.aa", []],
    ["d.az", "d.aa", ["d.ab"]],
    ["d.10", "d.01", ["d.02", "d.03"]],
  ])("%s is a later part than %s, which the user is told", (later, first, others) => {
    const error = refusalOfParts(later, [first, ...others]);
    expect(error?.code).toBe("PART_MISSING");
    expect(error?.message).toContain("later part");
    expect(error?.hint).toContain(`"${first}"`);
  });

  test("files that begin with the same signature are images of their own", () => {
    const signatureOf = () => "qcow2";
    expect(partsOf("d.001", ["d.002"], signatureOf)).toEqual([]);
    expect(partsOf("d.002", ["d.001"], signatureOf)).toEqual([]);
    expect(partsOf("d.001", ["d.002"], (name) => (name === "d.001" ? "qcow2" : undefined))).toEqual(["d.002"]);
    expect(partsOf("d.001", ["d.002"], (name) => (name === "d.001" ? "qcow2" : "vhd"))).toEqual(["d.002"]);
  });

  test("of a link are beside it, else beside what it points at", () => {
    const home = folderOf(["d.001", "d.002", "links/", "links/e.002"]);
    symlinkSync("../d.001", join(home, "links", "disk.img"));
    symlinkSync("../d.001", join(home, "links", "e.001"));
    expect(otherParts(join(home, "links", "disk.img"), () => undefined)).toEqual([join(home, "d.002")]);
    expect(otherParts(join(home, "links", "e.001"), () => undefined)).toEqual([join(home, "links", "e.002")]);
  });

  test("of what is not there, or no file, are none", () => {
    const home = folderOf(["d.001/", "d.002"]);
    for (const name of ["d.001", "e.001", "none/e.001", "d.002/e.001"]) expect(otherParts(join(home, name), () => undefined)).toEqual([]);
  });
});

describe("an image in parts", () => {
  const recipe: Recipe = {
    size: 10 * 4096 + 512,
    seed: 3,
    clusters: new Map([
      [0, { kind: "data", content: noise(1, 4096) }],
      [4, { kind: "data", content: noise(2, 4096) }],
      [9, { kind: "data", content: noise(3, 4096) }],
    ]),
  };

  /** `content` in files called `disk.` and a suffix, each as long as told, the last one with the rest; gives their paths. */
  function cut(content: Uint8Array, suffixes: readonly string[], lengths: readonly number[]): string[] {
    const home = subdirectory(directory);
    let at = 0;
    return suffixes.map((suffix, index) => {
      const path = join(home, `disk.${suffix}`);
      const end = index === suffixes.length - 1 ? content.length : at + (lengths[index] ?? 0);
      writeFileSync(path, content.subarray(at, end));
      at = end;
      return path;
    });
  }

  function expectWhole(path: string, expected: Uint8Array, format: string, files: readonly string[], options: ReadOptions = {}): void {
    const disk = openDisk(path, options);
    try {
      expect(disk.layer.format).toBe(format);
      expect(disk.files.map((file) => file.path)).toEqual(files);
    } finally {
      disk.close();
    }
    expect(difference(flatOf(path, options), expected)).toBeUndefined();
  }

  test.each([
    { how: ".001 .002 …", suffixes: ["001", "002", "003"] },
    { how: ".000 .001 …", suffixes: ["000", "001", "002"] },
    { how: ".aa .ab …", suffixes: ["aa", "ab", "ac"] },
  ])("numbered parts are one disk: $how", ({ suffixes }) => {
    const content = mixed(5, 300_000);
    const paths = cut(content, suffixes, [100_000, 77_777]);
    expectWhole(paths[0] ?? "", content, "raw", paths);
  });

  test("cut into 50 parts of odd sizes, some empty", () => {
    const content = mixed(6, 200_000);
    const lengths = Array.from({ length: 50 }, (_, index) => (index % 7 === 3 ? 0 : 1 + index * 71));
    const paths = cut(content, numbers(1, 50, 3), lengths);
    expectWhole(paths[0] ?? "", content, "raw", paths);
  });

  test("whose first part is empty", () => {
    const content = mixed(7, 10_000);
    const paths = cut(content, ["001", "002", "003"], [0, 10_000]);
    expectWhole(paths[0] ?? "", content, "raw", paths);
  });

  test("of which every part is empty is refused", () => {
    const [path = ""] = cut(Buffer.alloc(0), ["001", "002"], [0]);
    expect(refusalOf(path).code).toBe("WRONG_FORMAT");
  });

  test("with holes, which stay holes", () => {
    const home = subdirectory(directory);
    execFileSync("sh", ["-c", "printf x > d.001 && truncate -s 1M d.001 && truncate -s 1M d.002 && printf y >> d.002"], { cwd: home });
    const disk = openDisk(join(home, "d.001"));
    const { layer } = disk;
    expect(layer.map(2 ** 20, 100).kind).toBe("zero");
    expect(layer.map(2 ** 21, 1).kind).toBe("data");
    expect(layer.map(2 ** 19, 2 ** 20)).toMatchObject({ kind: "zero", length: 2 ** 19 });
    disk.close();
  });

  test.each([
    { what: "somewhere", lengths: [5000, 12_345] },
    { what: "inside its header", lengths: [3, 70] },
    { what: "at its clusters", lengths: [4096, 8192] },
  ])("a qcow2 image cut into three $what", ({ lengths }) => {
    const paths = cut(buildQcow2(recipe).bytes, ["001", "002", "003"], lengths);
    expectWhole(paths[0] ?? "", expectedDisk(recipe), "qcow2", paths);
  });

  test("as the parent of another image", () => {
    const paths = cut(buildQcow2(recipe).bytes, ["aa", "ab"], [9000]);
    const top: Recipe = { size: recipe.size, clusters: new Map(), backing: { name: "disk.aa", format: "qcow2" } };
    const path = join(dirname(paths[0] ?? ""), "top.qcow2");
    writeFileSync(path, buildQcow2(top).bytes);
    expectWhole(path, expectedDisk(recipe), "qcow2", [path, ...paths]);
  });

  test("as a parent, with a part that leads out of the folder, is refused", () => {
    const [first = "", second = ""] = cut(mixed(9, 5000), ["001", "002"], [2500]);
    const home = subdirectory(directory);
    const top: Recipe = { size: 8192, clusters: new Map(), backing: { name: "disk.001", format: "raw" } };
    const path = join(home, "top.qcow2");
    writeFileSync(path, buildQcow2(top).bytes);
    execFileSync("cp", [first, home]);
    symlinkSync(second, join(home, "disk.002"));
    expect(refusalOf(path)).toMatchObject({ code: "PART_DENIED" });
    expect(difference(flatOf(path, { allow: [dirname(second)] }).subarray(0, 5000), mixed(9, 5000))).toBeUndefined();
  });

  test("whose parts are listed, whatever they are called", () => {
    const content = mixed(8, 50_000);
    const [first = "", second = "", third = ""] = cut(content, ["start", "z", "b"], [20_000, 5000]);
    expectWhole(first, content, "raw", [first, second, third], { parts: [second, third] });
    expect(refusalOf(first, { parts: [second, join(dirname(first), "absent")] })).toMatchObject({ code: "UNREADABLE" });
    expect(refusalOf(first, { parts: [dirname(first)] })).toMatchObject({ code: "UNREADABLE" });
  });

  test("a part that is no file is refused at once", () => {
    const [first = ""] = cut(mixed(8, 5000), ["001"], []);
    execFileSync("mkfifo", [join(dirname(first), "disk.002")]);
    expect(refusalOf(first)).toMatchObject({ code: "UNREADABLE" });
  });

  test("a disk of its own that only looks like a later part can be had", () => {
    const [, second = ""] = cut(mixed(8, 5000), ["001", "002"], [2500]);
    expect(refusalOf(second).hint).toContain("--offset 0");
    expect(flatOf(second, { window: { offset: 0 } })).toHaveLength(2500);
  });

  test("numbered images that each begin as qcow2 are images of their own", () => {
    const home = subdirectory(directory);
    const base = join(home, "snap.01");
    const top: Recipe = { size: recipe.size, clusters: new Map(), backing: { name: "snap.01", format: "qcow2" } };
    writeFileSync(base, buildQcow2(recipe).bytes);
    writeFileSync(join(home, "snap.02"), buildQcow2(top).bytes);
    expectWhole(base, expectedDisk(recipe), "qcow2", [base]);
    expectWhole(join(home, "snap.02"), expectedDisk(recipe), "qcow2", [join(home, "snap.02"), base]);
  });
});
