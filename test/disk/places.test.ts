import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { candidatesFor, foldersOf } from "../../src/disk/places.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const directory = tempDirectory();
const places = (image: string, name: string, search?: readonly string[]) =>
  candidatesFor(image, name, search).map(({ path, place }) => `${place} ${path}`);

describe("the folders of an image", () => {
  test("are its own", () => {
    expect(foldersOf("/vm/top.vmdk")).toEqual(["/vm"]);
    expect(foldersOf("top.vmdk")).toEqual(["."]);
  });

  test("are its link's, then that of what the link points at", () => {
    const home = subdirectory(directory);
    mkdirSync(join(home, "real"));
    writeFileSync(join(home, "real", "top.img"), "x");
    symlinkSync("real/top.img", join(home, "link.img"));
    expect(foldersOf(join(home, "link.img"))).toEqual([home, join(home, "real")]);
    expect(places(join(home, "link.img"), "base.img")).toEqual([
      `declared ${join(home, "base.img")}`,
      `declared ${join(home, "real", "base.img")}`,
      `beside ${join(home, "base.img")}`,
      `beside ${join(home, "real", "base.img")}`,
    ]);
  });

  test("are its own where a link leads nowhere or in a circle", () => {
    const home = subdirectory(directory);
    symlinkSync("nothing", join(home, "broken"));
    symlinkSync("circle", join(home, "circle"));
    for (const name of ["broken", "circle"]) expect(foldersOf(join(home, name))).toEqual([home]);
  });
});

describe("where a named file may be", () => {
  test.each<readonly [name: string, expected: readonly string[]]>([
    ["base.vhd", ["declared /vm/a/base.vhd", "beside /vm/a/base.vhd"]],
    ["./x/base.vhd", ["declared /vm/a/x/base.vhd", "beside /vm/a/base.vhd"]],
    ["../b/base.vhd", ["declared /vm/b/base.vhd", "beside /vm/a/base.vhd"]],
    ["/srv/base.vhd", ["declared /srv/base.vhd", "beside /vm/a/base.vhd"]],
    ["/srv/b\\c.vhd", ["declared /srv/b\\c.vhd", "beside /vm/a/b\\c.vhd"]],
  ])("of this system: %s", (name, expected) => {
    expect(places("/vm/a/top.vhd", name)).toEqual(expected);
  });

  test.each<readonly [name: string, expected: readonly string[]]>([
    ["..\\base.vhd", ["declared /vm/a/..\\base.vhd", "declared /vm/base.vhd", "beside /vm/a/base.vhd"]],
    [".\\x\\base.vhd", ["declared /vm/a/.\\x\\base.vhd", "declared /vm/a/x/base.vhd", "beside /vm/a/base.vhd"]],
    ["\\vm\\base.vhd", ["declared /vm/a/\\vm\\base.vhd", "declared /vm/a/vm/base.vhd", "beside /vm/a/base.vhd"]],
    ["C:\\vm\\base.vhd", ["declared /vm/a/C:\\vm\\base.vhd", "beside /vm/a/base.vhd"]],
    ["c:/vm/base.vhd", ["declared /vm/a/c:/vm/base.vhd", "beside /vm/a/base.vhd"]],
    ["C:base.vhd", ["declared /vm/a/C:base.vhd", "beside /vm/a/C:base.vhd"]],
    ["\\\\server\\share\\base.vhd", ["declared /vm/a/\\\\server\\share\\base.vhd", "beside /vm/a/base.vhd"]],
    ["\\\\?\\C:\\vm\\base.vhdx", ["declared /vm/a/\\\\?\\C:\\vm\\base.vhdx", "beside /vm/a/base.vhdx"]],
  ])("of Windows: %s", (name, expected) => {
    expect(places("/vm/a/top.vhd", name)).toEqual(expected);
  });

  test.each<readonly [name: string, expected: readonly string[]]>([
    ["[ds 1] a/base.vmdk", ["declared /vm/a/[ds 1] a/base.vmdk", "declared /vm/a/base.vmdk", "beside /vm/a/base.vmdk"]],
    ["[ds]b/base.vmdk", ["declared /vm/a/[ds]b/base.vmdk", "declared /vm/b/base.vmdk", "beside /vm/a/base.vmdk"]],
    ["[ds] x/b/base.vmdk", ["declared /vm/a/[ds] x/b/base.vmdk", "declared /vm/b/base.vmdk", "beside /vm/a/base.vmdk"]],
  ])("of a datastore: %s", (name, expected) => {
    expect(places("/vm/a/top.vmdk", name)).toEqual(expected);
  });

  test("brackets and backslashes may be part of a name", () => {
    expect(places("/vm/top.img", "[1] base.img")).toEqual(["declared /vm/[1] base.img", "beside /vm/[1] base.img"]);
    expect(places("/vm/top.img", "x/a\\b.img")[0]).toBe("declared /vm/x/a\\b.img");
    expect(places("/vm/top.img", "x/a\\b.img").at(-1)).toBe("beside /vm/a\\b.img");
    expect(places("/vm/top.img", "a\\b.img")[0]).toBe("declared /vm/a\\b.img");
  });

  test("in the folders that were given, last", () => {
    expect(places("/vm/top.vhd", "C:\\vm\\base.vhd", ["/one", "two"]).slice(1)).toEqual([
      "beside /vm/base.vhd",
      "search /one/base.vhd",
      "search two/base.vhd",
    ]);
  });

  test.each([".", "..", "", "/", "x/..", "..\\", ".\\", "\\", "C:\\..", "/.."])(
    "%j is no file's name, and looked for nowhere else",
    (name) => {
      expect(candidatesFor("/vm/top.vhd", name, ["/one"]).map(({ place }) => place)).not.toContain("beside");
      expect(candidatesFor("/vm/top.vhd", name, ["/one"]).map(({ place }) => place)).not.toContain("search");
    },
  );

  test("however long and strange a name is, it is understood at once", () => {
    const start = performance.now();
    for (const filler of [" ", "a", "[", "]", "\\", "/", "/ ", "a/", ".."]) {
      candidatesFor("/vm/top.vmdk", `[x]${filler.repeat(30_000)}`);
      candidatesFor("/vm/top.vmdk", `[x]${filler.repeat(30_000)}/`);
      candidatesFor("/vm/top.vmdk", filler.repeat(30_000));
    }
    expect(performance.now() - start).toBeLessThan(2000);
  });
});
