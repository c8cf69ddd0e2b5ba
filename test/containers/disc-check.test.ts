// Discs by other programs are clean; each thing that a disc says twice is damaged on one side.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Finding } from "../../src/util/finding.js";
import { disc } from "../../src/containers/disc.js";
import { memorySource } from "../../src/source/memory.js";
import { ImageError } from "../../src/util/errors.js";
import { changedBy } from "../support/audit.js";
import { between, noise, randomNumbers } from "../support/content.js";
import { requireProgram, run } from "../support/qemu.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

function findingsOf(image: Buffer): readonly Finding[] {
  const disk = memorySource("disc.iso", image);
  const container = disc.open(disk, { part: () => disk, unpack: () => undefined, options: {} });
  return container.check?.(() => undefined) ?? [];
}
const told = (image: Buffer) => findingsOf(image).map(({ severity, kind }) => `${severity}: ${kind}`);

const needed = ["xorriso", "genisoimage"].every(requireProgram);

describe.skipIf(!needed)("ISO 9660", () => {
  const directory = tempDirectory();
  const tree = join(directory, "tree");
  beforeAll(() => {
    for (const path of ["a/b/c", "d", "e/f"]) mkdirSync(join(tree, path), { recursive: true });
    writeFileSync(join(tree, "a/one"), noise(1, 50_000));
    writeFileSync(join(tree, "d/two"), noise(2, 3000));
    writeFileSync(join(tree, "boot.img"), noise(3, 4096));
    writeFileSync(join(tree, "empty"), "");
    symlinkSync("../a/one", join(tree, "d/link"));
  });
  const made = (program: readonly string[], ...options: readonly string[]): Buffer => {
    const image = join(subdirectory(directory), "disc.iso");
    const [name = "", ...first] = program;
    run(name, [...first, "-quiet", ...options, "-o", image, tree]);
    return readFileSync(image);
  };
  const xorriso = ["xorriso", "-as", "mkisofs"];
  const boot = ["-b", "boot.img", "-no-emul-boot", "-c", "boot.cat"];

  test.each([
    { by: xorriso, options: ["-R", "-J", ...boot] },
    { by: xorriso, options: ["-iso-level", "3"] },
    { by: ["genisoimage"], options: ["-R", "-J", "-udf", ...boot] },
    { by: ["genisoimage"], options: ["-iso-level", "4", "-R"] },
    { by: ["genisoimage"], options: [] },
  ])("nothing is told of what $by.0 makes with $options", ({ by, options }) => {
    expect(findingsOf(made(by, ...options))).toEqual([]);
  });

  const PRIMARY = 16 * 2048;
  /** The record of a file or directory in the primary tree. */
  const recordOf = (image: Buffer, identifier: string) => {
    const root = image.readUInt32LE(PRIMARY + 158) * 2048;
    return image.indexOf(Buffer.concat([Buffer.from([identifier.length]), Buffer.from(identifier)]), root) - 32;
  };
  const place = (image: Buffer, order: "little" | "big") =>
    (order === "little" ? image.readUInt32LE(PRIMARY + 140) : image.readUInt32BE(PRIMARY + 148)) * 2048;
  test.each<[string, (image: Buffer) => unknown, string[]]>([
    ["the size of the volume in one byte order", (image) => void (image[PRIMARY + 87]! ^= 1), ["error: byte orders differ"]],
    ["the block size in one byte order", (image) => void (image[PRIMARY + 131]! ^= 1), ["error: byte orders differ"]],
    ["the place of a file in one byte order", (image) => void (image[recordOf(image, "TWO.;1") + 9]! ^= 1), ["error: byte orders differ"]],
    ["the size of a file in one byte order", (image) => void (image[recordOf(image, "TWO.;1") + 17]! ^= 1), ["error: byte orders differ"]],
    ["the volume is cut", (image) => image.subarray(0, -2048), ["warning: volume cut", "error: behind the end"]],
    ["a record of no length that can be", (image) => void (image[recordOf(image, "TWO.;1")] = 20), ["error: broken record"]],
    [
      "a directory in a path table",
      (image) => void (image[place(image, "little") + 10 + 2]! ^= 1),
      ["error: path table", "error: path table", "error: path table"],
    ],
    ["a parent in the other path table", (image) => void (image[place(image, "big") + 10 + 7] = 3), ["error: path table"]],
    ["the path table is elsewhere", (image) => void image.writeUInt32LE(0xffffff, PRIMARY + 140), ["error: path table"]],
    [
      "a file over a directory",
      (image) => void image.copy(image, recordOf(image, "TWO.;1") + 2, recordOf(image, "D") + 2, recordOf(image, "D") + 10),
      ["error: overlap", "warning: overlap"],
    ],
    [
      "a file that is another's middle",
      (image) => {
        const block = image.readUInt32LE(recordOf(image, "ONE.;1") + 2) + 1;
        image.writeUInt32LE(block, recordOf(image, "TWO.;1") + 2);
        image.writeUInt32BE(block, recordOf(image, "TWO.;1") + 6);
      },
      ["warning: overlap"],
    ],
    ["a name twice", (image) => void image.write("A", recordOf(image, "D") + 33), ["warning: duplicate name"]],
    [
      '"." leads elsewhere',
      (image) => {
        const at = image.readUInt32LE(recordOf(image, "D") + 2) * 2048;
        image.writeUInt32LE(1, at + 2);
        image.writeUInt32BE(1, at + 6);
      },
      ["warning: wrong link"],
    ],
  ])("%s", (_, damage, expected) => {
    const image = made(["genisoimage"], "-no-pad");
    expect(told(changedBy(image, damage(image)))).toEqual(expected);
  });

  test("the checksum of the boot catalogue", () => {
    const image = made(["genisoimage"], "-R", ...boot);
    const catalog = image.readUInt32LE(17 * 2048 + 0x47) * 2048;
    image[catalog + 10]! ^= 1;
    expect(told(image)).toEqual(["error: checksum wrong"]);
    image[catalog] = 7;
    expect(told(image)).toEqual(["error: boot catalogue"]);
  });

  test("whatever bytes are changed, it ends, and quickly", { timeout: 20_000 }, () => {
    const random = randomNumbers(9);
    const image = made(["genisoimage"], "-R", "-J", "-udf", ...boot);
    for (let round = 0; round < 120; round += 1) {
      const copy = Buffer.from(image);
      for (let change = 0; change < 40; change += 1)
        copy[between(random, PRIMARY, Math.min(copy.length - 1, 700_000))] = between(random, 0, 255);
      try {
        findingsOf(round % 3 === 0 ? copy.subarray(0, between(random, 40_000, copy.length)) : copy);
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
      }
    }
  });
});

describe.skipIf(!requireProgram("mkudffs"))("UDF", () => {
  const directory = tempDirectory();
  const made = (...options: readonly string[]): Buffer => {
    const image = join(subdirectory(directory), "disc.udf");
    writeFileSync(image, "");
    run(
      "mkudffs",
      ["-q", "-n", ...options, image, String(4096)].filter((option) => option !== "-q" && option !== "-n"),
    );
    return readFileSync(image);
  };
  const sector = (image: Buffer, which: "main" | "reserve", index: number) =>
    (image.readUInt32LE(256 * 2048 + (which === "main" ? 20 : 28)) + index) * 2048;
  const blank = () => made("--new-file", "-b", "2048", "--media-type=dvdrw");
  const hard = () => made("--new-file", "-b", "2048", "--media-type=hd");

  test("nothing is told of what mkudffs makes", () => {
    expect(findingsOf(hard())).toEqual([]);
    expect(told(blank()).filter((finding) => finding.startsWith("error"))).toEqual([]);
  });

  test("a disc that can be written on has one anchor, and nothing is told of that", () => {
    const image = join(subdirectory(directory), "open.udf");
    writeFileSync(image, "");
    const said = execFileSync("mkudffs", ["--new-file", "-b", "2048", "--media-type=cdr", image, "4096"], { encoding: "utf8" });
    const end = (Number(/^vatblock=(\d+)$/m.exec(said)?.[1]) + 1) * 2048;
    const recorded = readFileSync(image).subarray(0, end);
    expect(findingsOf(recorded)).toEqual([]);
    recorded[512 * 2048] = 0;
    recorded[256 * 2048] = 0;
    expect(() => findingsOf(recorded)).toThrow(/anchor/);
  });
  test.each<[string, (image: Buffer) => unknown, string[]]>([
    ["a byte of an anchor", (image) => void (image[256 * 2048 + 100]! ^= 1), ["error: tag"]],
    [
      "the location of an anchor",
      (image) => {
        relocate(image, image.length - 2048, 7);
      },
      ["warning: tag location"],
    ],
    [
      "the first descriptor of the main sequence",
      (image) => void (image[sector(image, "main", 0) + 300]! ^= 1),
      ["error: tag", "error: copies differ"],
    ],
    [
      "the tag of the first descriptor of the reserve sequence",
      (image) => void (image[sector(image, "reserve", 0) + 1]! ^= 1),
      ["error: tag", "error: copies differ"],
    ],
    [
      "a location in the main sequence",
      (image) => {
        relocate(image, sector(image, "main", 1), 7);
      },
      ["warning: tag location"],
    ],
  ])("%s", (_, damage, expected) => {
    const image = hard();
    damage(image);
    expect(told(image)).toEqual(expect.arrayContaining(expected));
    expect(told(image).length).toBeLessThanOrEqual(expected.length + 1);
  });

  /** Changes the location of a tag, which has a checksum and no CRC of its own. */
  function relocate(image: Buffer, at: number, location: number): void {
    image.writeUInt32LE(location, at + 12);
    let sum = 0;
    for (let index = 0; index < 16; index += 1) if (index !== 4) sum += image[at + index] ?? 0;
    image[at + 4] = sum & 0xff;
  }
});
