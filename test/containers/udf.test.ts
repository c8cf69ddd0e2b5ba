// Volumes made by other programs, compared with what those were given and with what another reader finds.
import { spawnSync } from "node:child_process";
import { linkSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Container } from "../../src/containers/container.js";
import { disc } from "../../src/containers/disc.js";
import { udf } from "../../src/containers/udf/index.js";
import { fileSource, openFile } from "../../src/source/file.js";
import { memorySource } from "../../src/source/memory.js";
import { alone } from "../support/containers.js";
import { noise } from "../support/content.js";
import { requireProgram, run } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";
import { type Aspect, type Listing, listContainer, listFolder, makeTree, treeDifferences } from "../support/trees.js";
import { buildUdf, type UdfKind } from "../support/udf-builder.js";

function withUdf<T>(image: string, use: (container: Container) => T): T {
  const source = fileSource(openFile(image, { devices: false }));
  try {
    expect(udf.probe(source)).toBe(true);
    return use(udf.open(source, alone));
  } finally {
    source.close();
  }
}

const has = { genisoimage: requireProgram("genisoimage"), mkudffs: requireProgram("mkudffs"), "7z": requireProgram("7z") };

describe.skipIf(!has.genisoimage || !has["7z"])("bridge discs made by genisoimage", () => {
  const directory = tempDirectory();
  const tree = join(directory, "tree");
  const image = join(directory, "disc.iso");
  beforeAll(() => {
    mkdirSync(tree);
    makeTree(tree, { deep: 7 });
    writeFileSync(join(tree, "large.bin"), noise(9, 3_000_001));
    linkSync(join(tree, "odd.bin"), join(tree, "second name.bin"));
    run("genisoimage", ["-quiet", "-udf", "-R", "-J", "-joliet-long", "-o", image, tree]);
  });
  /** Links are not written, and the names of Joliet are: what is longer is cut. */
  const filesOf = (listing: Listing): Listing =>
    new Map([...listing].filter(([path]) => !path.includes("link") && !path.startsWith("nnn")));
  const aspects: readonly Aspect[] = ["kind", "size", "sha256"];

  test("hold what they were made of", () => {
    const found = withUdf(image, (container) => listContainer(container, aspects));
    expect(treeDifferences(filesOf(found), filesOf(listFolder(tree, aspects)))).toEqual([]);
  });

  test("hold what another reader finds", () => {
    const home = subdirectory(directory);
    run("7z", ["x", "-y", "-bd", "-tudf", `-o${home}`, image]);
    const found = withUdf(image, (container) => listContainer(container, aspects));
    const expected = listFolder(home, aspects);
    expect(filesOf(found).size).toBeGreaterThan(100);
    expect(treeDifferences(filesOf(found), filesOf(expected))).toEqual([]);
  });

  test("whose names of 255 bytes are said to have none", () => {
    const home = subdirectory(directory);
    const disc = join(subdirectory(directory), "long.iso");
    const names = ["a", "o".repeat(255), "p".repeat(254)];
    for (const name of names) writeFileSync(join(home, name), name);
    run("genisoimage", ["-quiet", "-udf", "-o", disc, home]);
    const found = withUdf(disc, (container) => listContainer(container, aspects));
    expect(treeDifferences(found, listFolder(home, aspects))).toEqual([]);
  });

  test("whose side of ISO 9660 has less of a file than it has: the other one is shown, though it has no links", () => {
    const content = readFileSync(image);
    const shown = (bytes: Buffer) => {
      const container = disc.open(memorySource("disc.iso", bytes), alone);
      return [container.format, container.list(container.root.id).get("large.bin")?.size, container.facts().notes.length];
    };
    expect(shown(content)).toEqual(["iso9660", 3_000_001, 0]);
    // The record of Rock Ridge, and that of Joliet: 32 bits little-endian, and again big-endian.
    const size = Buffer.alloc(8);
    size.writeUInt32LE(3_000_001);
    size.writeUInt32BE(3_000_001, 4);
    for (let at = content.indexOf(size); at >= 0; at = content.indexOf(size, at)) {
      content.writeUInt32LE(7, at);
      content.writeUInt32BE(7, at + 4);
    }
    expect(shown(content)).toEqual(["udf", 3_000_001, 1]);
  });

  test("tell what they are", () => {
    const { variant, details, notes } = withUdf(image, (container) => container.facts());
    expect({ variant, notes }).toEqual({ variant: "UDF 1.02", notes: [] });
    expect(details).toMatchObject({ "volume name": "CDROM", "block size": 2048, partitions: "physical", access: "read-only" });
  });
});

/** Not "worm" and "mo": mkudffs 2.3 finds no disk large enough for those. */
const medias = ["hd", "dvd", "dvdram", "dvdrw", "dvdr", "cdrw", "cdr", "cd", "bdr"];
const revisions = ["1.02", "1.50", "2.00", "2.01", "2.50", "2.60"];

describe.skipIf(!has.mkudffs)("empty volumes made by mkudffs", () => {
  const directory = tempDirectory();
  let count = 0;

  /** Undefined where the program refuses. */
  function made(...options: readonly string[]): string | undefined {
    count += 1;
    const image = join(directory, `${count}.img`);
    try {
      run("mkudffs", ["--utf8", "--new-file", "--label=Bücher 文", "--mode=0751", "--uid=17", ...options, image, "20000"]);
      return image;
    } catch (error) {
      if (/not currently supported|is needed|Not enough|Invalid|cannot|must/i.test(String(error))) return undefined;
      throw error;
    }
  }

  function expectEmpty(image: string, revision: string): void {
    withUdf(image, (container) => {
      const { variant, details, notes } = container.facts();
      expect({ variant, notes }).toEqual({ variant: `UDF ${revision}`, notes: [] });
      expect(details["volume name"]).toBe("Bücher 文");
      expect(container.root).toMatchObject({ kind: "directory", mode: 0o751, uid: 17 });
      expect([...container.list(container.root.id).keys()].filter((name) => name !== "lost+found")).toEqual([]);
    });
  }

  test.each(medias)("for %s, of every revision that it may have", (media) => {
    const images = revisions.map((revision) => ({ revision, image: made(`--media-type=${media}`, `--udfrev=${revision}`) }));
    const made_ = images.filter(({ image }) => image !== undefined);
    for (const { image, revision } of made_) expectEmpty(image ?? "", revision);
    expect(made_.length).toBeGreaterThan(0);
  });

  test.each([512, 1024, 2048, 4096, 8192, 16_384, 32_768])("on a hard disk with sectors of %i bytes", (size) => {
    for (const ad of ["inicb", "short", "long"]) {
      for (const extra of [[], ["--noefe"], ["--strategy=4096"], ["--bootarea=mbr"]]) {
        expectEmpty(made("--media-type=hd", `--blocksize=${size}`, "--udfrev=2.01", `--ad=${ad}`, ...extra) ?? "", "2.01");
      }
    }
  });

  test("of strategy 4096, as on discs that are written once", () => {
    for (const revision of ["1.02", "1.50", "2.01"]) {
      expectEmpty(made("--media-type=dvdram", "--strategy=4096", `--udfrev=${revision}`) ?? "", revision);
    }
  });

  test.each(["cdr", "dvdr", "bdr"])("closed discs for %s, and later sessions of such", (media) => {
    expectEmpty(made(`--media-type=${media}`, "--udfrev=2.50", "--closed") ?? "", "2.50");
    // Only what is behind the start is written.
    const later = made(`--media-type=${media}`, "--udfrev=2.50", "--startblock=3200") ?? "";
    const { names, notes } = withUdf(later, (container) => ({
      names: [...container.list(container.root.id).keys()],
      notes: container.facts().notes.join(" "),
    }));
    expect(names).toEqual([]);
    expect(notes).toMatch(/part of a disc/);
  });
});

/** What the other reader knows of what the builder makes: so the builder does not only agree with us. */
describe.skipIf(!has["7z"])("built volumes that another reader knows", () => {
  const directory = tempDirectory();
  test.each<{ kind: UdfKind; revision: number; extended?: boolean }>([
    { kind: "physical", revision: 0x0102 },
    { kind: "physical", revision: 0x0201 },
    { kind: "metadata", revision: 0x0250 },
  ])("%o", ({ kind, revision }) => {
    const home = subdirectory(directory);
    const image = join(home, "built.udf");
    const { disc } = buildUdf({
      kind,
      revision,
      simple: true,
      root: [
        { name: "file", content: noise(1, 100_000), pieces: [2, 5] },
        { name: "small ü", content: noise(2, 10) },
        { name: "文", children: [{ name: "x", content: noise(3, 5000) }], pieces: [1] },
      ],
    });
    writeFileSync(image, disc);
    // Its exit status tells that it did not look for the mirror of the metadata.
    spawnSync("7z", ["x", "-y", "-bd", "-tudf", `-o${join(home, "out")}`, image]);
    const aspects = ["kind", "size", "sha256"] as const;
    const found = listContainer(udf.open(memorySource("x", disc), alone), aspects);
    expect(found.size).toBe(4);
    expect(treeDifferences(found, listFolder(join(home, "out"), aspects))).toEqual([]);
  });
});
