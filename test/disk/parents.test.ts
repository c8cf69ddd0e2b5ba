// Which file is taken as the parent of an image. What is written in files is told by a fake here; the real drivers have tests of their own.
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { findParent, oneOf, missingLayer, type ParentFiles } from "../../src/disk/parents.js";
import type { Identity, ParentWish } from "../../src/formats/driver.js";
import { ImageError } from "../../src/util/errors.js";
import { imageErrorOf } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const directory = tempDirectory();
const wanted: Identity = { kind: "UUID", value: "1" };
const other: Identity = { kind: "UUID", value: "2" };

/** Empty files; gives the path of the first, the image. */
function filesOf(...names: readonly string[]): string {
  const home = subdirectory(directory);
  for (const name of names) {
    if (name.includes("/")) mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), name);
  }
  return join(home, names[0] ?? "");
}

interface Fake extends ParentFiles {
  /** What was looked into, by name. */
  readonly read: string[];
}

/** Files that have `written` in them, by name. Those of `absent` and `denied` are so. */
function fake(
  written: Readonly<Record<string, Identity>>,
  { absent = [], denied = [] }: { absent?: string[]; denied?: string[] } = {},
): Fake {
  const read: string[] = [];
  return {
    read,
    reach: ({ path, place }) => {
      if (denied.includes(path)) return new ImageError("PART_DENIED", `${path} is denied`);
      // A scan comes with what is there; names are there if something is written in them, or the test says nothing of the kind.
      return place === "identity" || (basename(path) in written && !absent.includes(path));
    },
    identities: (path) => {
      read.push(basename(path));
      const found = written[basename(path)];
      return found ? [{ kind: "CID", value: "1" }, found] : [];
    },
  };
}

const find = (image: string, wish: Partial<ParentWish>, files: ParentFiles, search: readonly string[] = []) =>
  findParent(image, { names: [], ...wish }, search, files);

describe("a parent that is only named", () => {
  test("is where the name says", () => {
    const image = filesOf("top", "base");
    expect(find(image, { names: ["base"] }, fake({ base: other }))).toEqual({
      path: join(dirname(image), "base"),
      place: "declared",
      finding: { place: "declared" },
    });
  });

  test("is beside the image where it is not at its old place, and nothing is looked into", () => {
    const image = filesOf("top", "base");
    const files = fake({ base: other }, { absent: ["/old/base"] });
    expect(find(image, { names: ["/old/base"] }, files).finding).toEqual({ place: "beside" });
    expect(files.read).toEqual([]);
  });

  test("is in a folder of the search where it is nowhere else", () => {
    const image = filesOf("top", "base");
    const [home, folder] = [dirname(image), subdirectory(directory)];
    const files = fake({ base: other }, { absent: [join(home, "base")] });
    expect(find(image, { names: ["base"] }, files, [folder])).toMatchObject({ path: join(folder, "base"), finding: { place: "search" } });
  });

  test("is the first of several names that is there", () => {
    const image = filesOf("top");
    expect(find(image, { names: ["a", "b"] }, fake({ b: other }))).toMatchObject({ path: join(dirname(image), "b") });
  });

  test("is no other file of that name where it is there and denied", () => {
    const image = filesOf("top", "base");
    const files = fake({ base: other }, { denied: ["/old/base"] });
    expect(imageErrorOf(() => find(image, { names: ["/old/base"] }, files))).toMatchObject({ code: "PART_DENIED" });
  });

  test("is missing, and told by the name", () => {
    const error = imageErrorOf(() => find("/vm/top", { names: ["ba\x1bse", "other"] }, fake({})));
    expect(error).toMatchObject({ code: "PART_MISSING", file: "/vm/top", message: 'its parent "ba\\x1bse" is missing' });
    expect(error?.hint).toMatch(/--search.*--parent.*--degraded/);
  });
});

describe("a parent whose identity is recorded", () => {
  test("is where the name says, if it is the right one", () => {
    const image = filesOf("top", "base", "copy");
    const files = fake({ base: wanted, copy: wanted });
    expect(find(image, { names: ["base"], identities: [wanted] }, files)).toEqual({
      path: join(dirname(image), "base"),
      place: "declared",
      finding: { place: "declared", identity: wanted, matches: true },
    });
    expect(files.read).toEqual(["base"]);
  });

  test("is beside the image where the declared one is another", () => {
    const image = filesOf("top", "base");
    let asked = 0;
    const files: ParentFiles = { reach: () => true, identities: () => [(asked += 1) === 1 ? other : wanted] };
    expect(find(image, { names: ["/old/base"], identities: [wanted] }, files)).toMatchObject({
      finding: { place: "beside", matches: true },
    });
  });

  test("is another file of the folder, if only that has it", () => {
    const image = filesOf("top", "a", "base", "z");
    const files = fake({ a: other, base: other, z: wanted, top: wanted });
    expect(find(image, { names: ["base"], identities: [wanted] }, files)).toEqual({
      path: join(dirname(image), "z"),
      place: "identity",
      finding: { place: "identity", identity: wanted, matches: true },
    });
    // Never the image itself.
    expect(files.read).not.toContain("top");
  });

  test("is found without any name", () => {
    const image = filesOf("top", "a", "b");
    expect(find(image, { identities: [wanted] }, fake({ b: wanted }))).toMatchObject({
      path: join(dirname(image), "b"),
      place: "identity",
    });
  });

  test("is found though another of the right name is denied", () => {
    const image = filesOf("top", "z");
    const files = fake({ z: wanted }, { denied: ["/old/base"] });
    expect(find(image, { names: ["/old/base"], identities: [wanted] }, files)).toMatchObject({ place: "identity" });
    const without = fake({ z: other }, { denied: ["/old/base"] });
    expect(imageErrorOf(() => find(image, { names: ["/old/base"], identities: [wanted] }, without))?.code).toBe("PART_DENIED");
  });

  test("is in a folder of the search, by name or not", () => {
    const image = filesOf("top");
    const folder = dirname(filesOf("base", "renamed"));
    expect(
      find(image, { names: ["base"], identities: [wanted] }, fake({ base: wanted }, { absent: [join(dirname(image), "base")] }), [folder]),
    ).toMatchObject({
      path: join(folder, "base"),
      place: "search",
    });
    expect(find(image, { names: ["base"], identities: [wanted] }, fake({ renamed: wanted }), [folder])).toMatchObject({
      path: join(folder, "renamed"),
      place: "identity",
    });
  });

  test("is nearer in the image's folder than in those of the search", () => {
    const image = filesOf("top", "x");
    const folder = dirname(filesOf("y"));
    expect(find(image, { identities: [wanted] }, fake({ x: wanted, y: wanted }), [folder])).toMatchObject({
      path: join(dirname(image), "x"),
    });
  });

  test("is not chosen from two, which are both told", () => {
    const image = filesOf("top", "a", "b", "c");
    const error = imageErrorOf(() => find(image, { names: ["base"], identities: [wanted] }, fake({ a: wanted, b: other, c: wanted })));
    expect(error).toMatchObject({ code: "PART_MISSING", file: image });
    expect(error?.message).toContain("UUID 1");
    for (const name of ["a", "c"]) expect(error?.message).toContain(JSON.stringify(join(dirname(image), name)));
    expect(error?.hint).toContain("--parent");
  });

  test("is one, whatever number of names it has", () => {
    const image = filesOf("top", "a");
    const home = dirname(image);
    symlinkSync("a", join(home, "b"));
    linkSync(join(home, "a"), join(home, "c"));
    const files = fake({ a: wanted, b: wanted, c: wanted });
    expect(find(image, { identities: [wanted] }, files, [join(home, "../", basename(home))])).toMatchObject({ path: join(home, "a") });
    expect(files.read).toEqual(["a"]);
  });

  test("is never the image by another name", () => {
    const image = filesOf("top", "a");
    const home = dirname(image);
    symlinkSync("top", join(home, "link"));
    linkSync(image, join(home, "hard"));
    const files = fake({ link: wanted, hard: wanted, top: wanted });
    expect(imageErrorOf(() => find(image, { identities: [wanted] }, files))?.code).toBe("PART_MISSING");
    expect(imageErrorOf(() => find(join(home, "link"), { identities: [wanted] }, files))?.code).toBe("PART_MISSING");
    expect(imageErrorOf(() => find(`${home}/./top`, { identities: [wanted] }, files))?.code).toBe("PART_MISSING");
  });

  test("is looked for where a link to the image points, too", () => {
    const image = filesOf("real/top", "real/a", "link/b");
    const link = join(dirname(dirname(image)), "link", "top");
    symlinkSync(image, link);
    expect(find(link, { identities: [wanted] }, fake({ a: wanted }))).toMatchObject({ path: join(dirname(image), "a") });
  });

  test("is no folder, FIFO, device or broken link, which are not even opened", () => {
    const image = filesOf("top", "folder/x", "z");
    const home = dirname(image);
    execFileSync("mkfifo", [join(home, "fifo")]);
    for (const [name, target] of [
      ["null", "/dev/null"],
      ["broken", "none"],
      ["circle", "circle"],
      ["dir", "folder"],
      ["pipe", "fifo"],
    ] as const) {
      symlinkSync(target, join(home, name));
    }
    const files = fake({ z: other });
    expect(imageErrorOf(() => find(image, { identities: [wanted] }, files))?.code).toBe("PART_MISSING");
    expect(files.read).toEqual(["z"]);
  });

  test("is not looked for in a folder that is not there", () => {
    const error = imageErrorOf(() => find("/nowhere/top", { identities: [wanted] }, fake({}), ["/nowhere/else"]));
    expect(error?.message).toBe("its parent (UUID 1) is missing");
  });

  test("is looked for in 4096 files at most", () => {
    const image = filesOf(...Array.from({ length: 4200 }, (_, index) => `f${index}`));
    const files = fake({});
    expect(imageErrorOf(() => find(image, { identities: [wanted] }, files))?.code).toBe("PART_MISSING");
    expect(files.read.length).toBeGreaterThanOrEqual(4095);
    expect(files.read.length).toBeLessThanOrEqual(4096);
  });

  test("is missing, and told by what it is called and is", () => {
    const image = filesOf("top", "a");
    expect(imageErrorOf(() => find(image, { names: ["base"], identities: [wanted] }, fake({ a: other })))?.message).toBe(
      'its parent "base" (UUID 1) is missing',
    );
  });

  test("is another one, and that is told", () => {
    const image = filesOf("top", "base");
    const error = imageErrorOf(() => find(image, { names: ["base"], identities: [wanted] }, fake({ base: other })));
    expect(error).toMatchObject({ code: "PART_MISSING", file: image });
    expect(error?.message).toContain(`"${join(dirname(image), "base")}" is another image, or was changed since (not UUID 1)`);
    expect(error?.hint).toContain("--parent");
  });

  test("is told by kind and value", () => {
    expect(oneOf([wanted], [other, wanted])).toBe(wanted);
    expect(oneOf([wanted], [{ kind: "CID", value: "1" }])).toBeUndefined();
    expect(oneOf([wanted], [other])).toBeUndefined();
    expect(oneOf([wanted, other], [other])).toBe(other);
    expect(oneOf([wanted], [])).toBeUndefined();
  });
});

test("what stands for a missing parent is damaged wherever it is read, and says whose it is", () => {
  const error = new ImageError("PART_MISSING", 'its parent "b" is missing', { file: "a.img" });
  const layer = missingLayer("b", error);
  expect(layer.map(0, 5)).toEqual({ kind: "damaged", length: 5, error });
  expect(layer.map(2 ** 50, 2 ** 40)).toEqual({ kind: "damaged", length: 2 ** 40, error });
  expect(layer.facts().notes).toEqual(['Degraded: a.img: its parent "b" is missing. What it holds cannot be read.']);
  layer.close();
});
