import { chmodSync, chownSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Names, openIso } from "../../src/containers/iso9660/index.js";
import { fileSource, openFile } from "../../src/source/file.js";
import { requireProgram, run } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type Aspect, type Listing, listContainer, listFolder, makeTree, treeDifferences } from "../support/trees.js";

const everything: readonly Aspect[] = ["kind", "mode", "uid", "gid", "modified", "size", "target", "sha256"];

function listIso(image: string, aspects: readonly Aspect[], names?: Names): Listing {
  const source = fileSource(openFile(image, { devices: false }));
  try {
    return listContainer(openIso(source, { names }), aspects);
  } finally {
    source.close();
  }
}

describe.skipIf(!requireProgram("xorriso") || !requireProgram("genisoimage"))("discs made by other programs", () => {
  const directory = tempDirectory();
  const tree = join(directory, "tree");
  beforeAll(() => {
    mkdirSync(tree);
    makeTree(tree, { deep: 12 });
    chmodSync(join(tree, "script.sh"), 0o4755);
    if (process.getuid?.() === 0) chownSync(join(tree, "odd.bin"), 1234, 70_000);
  });
  const made = (program: readonly string[], ...options: readonly string[]): string => {
    const image = join(subdirectory(directory), "disc.iso");
    const [name = "", ...first] = program;
    run(name, [...first, ...options, "-o", image, tree]);
    return image;
  };
  const xorriso = ["xorriso", "-as", "mkisofs", "-quiet"];
  const genisoimage = ["genisoimage", "-quiet"];

  test.each([
    { by: xorriso, options: ["-R"] },
    { by: xorriso, options: ["-R", "-J", "-joliet-long"] },
    { by: xorriso, options: ["-R", "-iso-level", "3"] },
    { by: xorriso, options: ["-R", "-D"] },
    { by: xorriso, options: ["-R", "-z"] },
    { by: genisoimage, options: ["-R"] },
    { by: genisoimage, options: ["-R", "-J", "-joliet-long", "-iso-level", "4"] },
    { by: genisoimage, options: ["-R", "-udf"] },
    { by: genisoimage, options: ["-R", "-XA"] },
  ])("$by with $options: Rock Ridge as it was written", ({ by, options }) => {
    const image = made(by, ...options);
    const found = listIso(image, everything);
    expect(treeDifferences(found, listFolder(tree, everything))).toEqual([]);
  });

  /** What another reader takes out of the disc, or a tree of it. */
  const extracted = (image: string, ...tree: readonly string[]): string => {
    const home = subdirectory(directory);
    run("7z", ["x", "-y", "-bd", `-o${home}`, ...tree, image]);
    return home;
  };

  test("a link whose target takes several entries", () => {
    const home = subdirectory(directory);
    const target = `${"component/".repeat(60)}../end`;
    symlinkSync(target, join(home, "link"));
    const image = join(subdirectory(directory), "disc.iso");
    run("xorriso", ["-as", "mkisofs", "-quiet", "-R", "-o", image, home]);
    expect(listIso(image, ["target"]).get("link")).toEqual({ target });
  });

  test("Joliet names, where Rock Ridge is not wanted or not there", () => {
    const aspects = ["kind", "size", "sha256"] as const;
    const image = made(genisoimage, "-J", "-joliet-long");
    const found = listIso(image, aspects);
    expect([...found.keys()]).toContain("Ünïcödé 文字.txt");
    // Without Rock Ridge genisoimage leaves links and deep directories out.
    const beside = listIso(made(genisoimage, "-R", "-J", "-joliet-long"), aspects, "joliet");
    expect([...beside].filter(([path]) => found.has(path))).toEqual([...found]);
    expect(treeDifferences(found, listFolder(extracted(image), aspects))).toEqual([]);
  });

  test.each(["1", "2", "3", "4"])("genisoimage, plain names of level %s", (level) => {
    const image = made(genisoimage, "-iso-level", level, ...(level === "4" ? [] : ["-D"]));
    const found = listIso(image, ["kind", "size", "sha256"]);
    const folder = extracted(image);
    const lower = new Map([...listFolder(folder, ["kind", "size", "sha256"])].map(([path, entry]) => [path.toLowerCase(), entry]));
    expect(treeDifferences(level === "4" ? new Map([...found].map(([path, entry]) => [path.toLowerCase(), entry])) : found, lower)).toEqual(
      [],
    );
  });

  test.each([
    "level=9:block_size=32k",
    "level=9:version_2=on:block_size_v2=64k:susp_z2=off",
    "level=6:version_2=on:block_size_v2=1m:susp_z2=on",
  ])("transparently compressed files (zisofs, %s)", (options) => {
    const packed = subdirectory(directory);
    const image = join(subdirectory(directory), "disc.iso");
    run("xorriso", ["-outdev", image, "-zisofs", options, "-map", tree, "/", "-set_filter_r", "--zisofs", "/", "--"], packed);
    expect(treeDifferences(listIso(image, ["size", "sha256"]), listFolder(tree, ["size", "sha256"]))).toEqual([]);
  });

  test.each<[string, readonly string[], readonly string[], RegExp]>([
    ["HFS", genisoimage, ["-hfs", "-R"], /disk\.raw is an HFS file system, too/],
    ["HFS in a partition", genisoimage, ["-hfs", "-part", "-R"], /partitions\/2\.raw is an HFS file system, too/],
    ["HFS+ in a partition", xorriso, ["-hfsplus", "-R"], /partitions\/3\.raw is an HFS\+ file system, too/],
  ])("hybrids with %s: what is beside is told", (_, program, options, told) => {
    const image = made(program, ...options);
    const source = fileSource(openFile(image, { devices: false }));
    try {
      expect(openIso(source).facts().notes).toEqual([expect.stringMatching(told)]);
    } finally {
      source.close();
    }
    expect(treeDifferences(listIso(image, ["kind", "size", "sha256"]), listFolder(tree, ["kind", "size", "sha256"]))).toEqual([]);
  });
});
