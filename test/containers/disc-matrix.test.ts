// Discs made with every option that changes what a reader meets, against what another program takes out of them.
import { chmodSync, linkSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { openIso } from "../../src/containers/iso9660/index.js";
import { fileSource, openFile } from "../../src/source/file.js";
import { noise } from "../support/content.js";
import { requireProgram, run } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type Aspect, type Listing, listContainer, listFolder, makeTree, treeDifferences } from "../support/trees.js";

const genisoimage = ["genisoimage", "-quiet"];
const xorriso = ["xorriso", "-as", "mkisofs", "-quiet"];

/** With Rock Ridge: names, modes, owners, times, links are those of the tree. */
const rockRidge: readonly (readonly [by: readonly string[], options: string])[] = [
  ...["", "-J", "-J -joliet-long", "-D", "-pad", "-no-pad", "-U", "-iso-level 1", "-iso-level 2", "-iso-level 3", "-l", "-d -N"].map(
    (options) => [genisoimage, `-R ${options}`] as const,
  ),
  ...["-max-iso9660-filenames", "-relaxed-filenames", "-allow-lowercase", "-allow-multidot", "-no-iso-translate", "-ldots"].map(
    (options) => [genisoimage, `-R ${options}`] as const,
  ),
  ...["-iso-level 4 -J -joliet-long", "-udf", "-udf -J", "-T", "-hide-rr-moved", "-ucs-level 1 -J", "-ucs-level 2 -J"].map(
    (options) => [genisoimage, `-R ${options}`] as const,
  ),
  ...["-no-split-symlink-components", "-no-split-symlink-fields", "-cache-inodes", "-no-cache-inodes", "-hfs"].map(
    (options) => [genisoimage, `-R ${options}`] as const,
  ),
  ...["-V VOLUME -A app -p prep -publisher pub -sysid LINUX -volset set", "-g", "-input-charset utf-8 -J"].map(
    (options) => [genisoimage, `-R ${options}`] as const,
  ),
  ...["", "-J", "-J -joliet-long", "-joliet-utf16 -J", "-D", "-U", "-iso-level 1", "-iso-level 2", "-iso-level 3", "-l", "-d -N"].map(
    (options) => [xorriso, `-R ${options}`] as const,
  ),
  ...["-iso-level 4", "-max-iso9660-filenames", "-relaxed-filenames", "-allow-lowercase", "-allow-multidot"].map(
    (options) => [xorriso, `-R ${options}`] as const,
  ),
  ...["-hfsplus", "--old-exclude /nowhere", "-partition_offset 16", "-apm-block-size 2048"].map(
    (options) => [xorriso, `-R ${options}`] as const,
  ),
  ...["--hardlinks", "-hide-rr-moved", "-no-pad"].map((options) => [xorriso, `-R ${options}`] as const),
];

/** Without: names and contents, as 7-Zip takes them out. */
const plain: readonly (readonly [by: readonly string[], options: string])[] = [
  ...["-iso-level 1", "-iso-level 2", "-iso-level 3", "-l", "-relaxed-filenames -l", "-allow-lowercase -l", "-U -l -N", "-T"].map(
    (options) => [genisoimage, `-D ${options}`] as const,
  ),
  ...["-J", "-J -joliet-long", "-J -ucs-level 1", "-J -ucs-level 2", "-J -hide-joliet-trans-tbl -T"].map(
    (options) => [genisoimage, `-D ${options}`] as const,
  ),
  ...["-iso-level 1", "-iso-level 2", "-iso-level 3", "-l", "-J", "-J -joliet-long", "-J -joliet-utf16"].map(
    (options) => [xorriso, `--norock -D ${options}`] as const,
  ),
];

function listDisc(image: string, aspects: readonly Aspect[]): Listing {
  const source = fileSource(openFile(image, { devices: false }));
  try {
    return listContainer(openIso(source), aspects);
  } finally {
    source.close();
  }
}

describe.skipIf(!requireProgram("xorriso") || !requireProgram("genisoimage") || !requireProgram("7z"))(
  "every option of those who make discs",
  () => {
    const directory = tempDirectory();
    const tree = join(directory, "tree");
    beforeAll(() => {
      mkdirSync(tree);
      makeTree(tree, { deep: 9, wide: 40 });
      chmodSync(join(tree, "script.sh"), 0o2750);
      linkSync(join(tree, "odd.bin"), join(tree, "hard link"));
      mkdirSync(join(tree, "a.b.c"));
      writeFileSync(join(tree, "a.b.c", "x.tar.gz"), noise(9, 4097));
      writeFileSync(join(tree, ".hidden"), noise(10, 2049));
    });

    const made = ([name = "", ...first]: readonly string[], options: string): string => {
      const image = join(subdirectory(directory), "disc.iso");
      run(name, [...first, ...options.split(" ").filter((word) => word !== ""), "-o", image, tree]);
      return image;
    };

    test.each(rockRidge)("%s %s", (by, options) => {
      const image = made(by, options);
      const home = subdirectory(directory);
      run("xorriso", ["-osirrox", "on", "-indev", image, "-extract", "/", home]);
      const aspects = ["kind", "mode", "uid", "gid", "modified", "size", "target", "sha256"] as const;
      const found = listDisc(image, aspects);
      expect(treeDifferences(comparable(found), comparable(listFolder(home, aspects)))).toEqual([]);
      expect(found.size).toBeGreaterThan(50);
    });

    test.each(plain)("%s %s", (by, options) => {
      const image = made(by, options);
      const home = subdirectory(directory);
      run("7z", ["x", "-y", "-bd", `-o${home}`, image]);
      const aspects = ["kind", "size", "sha256"] as const;
      const found = listDisc(image, aspects);
      expect(treeDifferences(lowered(found), lowered(listFolder(home, aspects)))).toEqual([]);
      expect(found.size).toBeGreaterThan(50);
    });
  },
);

/** xorriso takes out no times of links, and the folder that deep directories were moved to, empty. Tables are for systems that no longer are. */
function comparable(listing: Listing): Listing {
  return new Map(
    [...listing]
      .filter(([path]) => !/(?:^|\/)(?:TRANS\.TBL|\.?rr_moved)$/i.test(path))
      .map(([path, { modified, ...entry }]) => [path, entry.kind === "symlink" || modified === undefined ? entry : { ...entry, modified }]),
  );
}

/** Plain names are shown in lower case, as Linux does, and as stored by 7-Zip. */
function lowered(listing: Listing): Listing {
  return new Map([...listing].map(([path, entry]) => [path.toLowerCase(), entry]));
}
