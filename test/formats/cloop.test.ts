import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cloop } from "../../src/formats/cloop/index.js";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { memorySource } from "../../src/source/memory.js";
import { buildCloop, type CloopShape, UZIP } from "../support/cloop-builder.js";
import { mixed, noise } from "../support/content.js";
import { describeDriver, type Sample } from "../support/contract.js";
import { flat, requireProgram, run } from "../support/qemu.js";
import { difference, imageErrorOf, readRange } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const xz = requireProgram("xz");
const shapes = {
  "version 2": { blocks: ["zlib", "zlib", "zlib"] },
  "blocks of 512 bytes": { blocks: Array.from({ length: 40 }, () => "zlib" as const), blockSize: 512 },
  "blocks of 64 KiB": { blocks: ["zlib", "zlib"], blockSize: 65536 },
} as const satisfies Record<string, CloopShape>;
const four: CloopShape = { version: "V4.0", blocks: ["zlib", "plain", ...(xz ? ["xz" as const] : []), "zlib", "plain"] };
const uzip: CloopShape = { blocks: ["zlib", "empty", "empty", "zlib", "empty"], script: UZIP };

function sampleOf([name, shape]: readonly [string, CloopShape]): Sample {
  const { image, disk } = buildCloop(shape);
  return { name, image, disk };
}

const converted = mixed(6, 5 * 65536);

describeDriver(cloop, [
  ...Object.entries<CloopShape>(shapes).map(sampleOf),
  sampleOf(["version 4", four]),
  sampleOf(["version 4, the header at the end", { ...four, header: "end" }]),
  sampleOf(["version 2, the header at the end", { ...shapes["version 2"], header: "end" }]),
  sampleOf(["FreeBSD's", uzip]),
  {
    name: "create_compressed_fs",
    disk: converted,
    needs: "create_compressed_fs",
    image(directory) {
      const [raw, path] = [join(directory, "raw"), join(directory, "image.cloop")];
      writeFileSync(raw, converted);
      run("create_compressed_fs", ["-q", "-B", "65536", raw, path]);
      return path;
    },
  },
]);

const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};

function openBytes(image: Uint8Array, options = {}): Layer {
  return cloop.open(memorySource("test.cloop", image), nothingElse, options);
}

function changed(image: Buffer, at: number, bytes: readonly number[] | string): Buffer {
  const copy = Buffer.from(image);
  copy.set(typeof bytes === "string" ? Buffer.from(bytes) : bytes, at);
  return copy;
}

const built = buildCloop(shapes["version 2"]);

test.each([
  ["a later version", 11, "V9.0", "UNSUPPORTED", '"V9.0"'],
  ["version 0.68", 11, "V0.6", "UNSUPPORTED", "0.6x"],
  ["version 1.0", 11, "V1.0", "UNSUPPORTED", "cloop 1.0"],
  ["FreeBSD's with LZMA", 11, "L3.0", "UNSUPPORTED", "LZMA"],
  ["FreeBSD's with zstd", 11, "Z4.0", "UNSUPPORTED", "zstd"],
  ["another script", 0, "#!/bin/ksh\n", "WRONG_FORMAT", "no compressed loop image"],
  ["blocks of 0 bytes", 128, [0, 0, 0, 0], "CORRUPT", "block size is 0"],
  ["blocks of 700 bytes", 128, [0, 0, 2, 188], "CORRUPT", "block size is 700"],
  ["blocks of 128 MiB", 128, [8, 0, 0, 0], "CORRUPT", "134217728"],
  ["more blocks than the limit", 132, [1, 0, 0, 0], "CORRUPT", "are the limit"],
  ["a table that leaves the file", 132, [0, 1, 0, 0], "TRUNCATED", "leaves the file"],
])("what cannot be read: %s", (_, at, bytes, code, message) => {
  const error = imageErrorOf(() => openBytes(changed(built.image, at, bytes)));
  expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string, file: "test.cloop" });
});

test("a file shorter than a header", () => {
  expect(imageErrorOf(() => openBytes(built.image.subarray(0, 130)))).toMatchObject({ code: "TRUNCATED" });
});

test("snapshots and disks by name, which there are none of", () => {
  expect(imageErrorOf(() => openBytes(built.image, { snapshot: "1" }))).toMatchObject({ code: "UNSUPPORTED" });
  expect(imageErrorOf(() => openBytes(built.image, { disk: "1" }))).toMatchObject({ code: "UNSUPPORTED" });
});

test.skipIf(!xz)("blocks of version 4 are stored in their own ways", () => {
  const { image, disk } = buildCloop(four);
  const layer = openBytes(image);
  expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
  expect([0, 1, 2].map((block) => layer.map(block * 4096, 1).kind)).toEqual(["packed", "data", "packed"]);
  expect(layer.facts()).toEqual({ variant: "version 4.0", details: { "block size": 4096, blocks: 5 }, notes: [] });
});

test("the header may be at the end", () => {
  const { image, disk } = buildCloop({ ...shapes["version 2"], header: "end" });
  const layer = openBytes(image);
  expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
});

test("an empty block is zeros in FreeBSD's images, and damage in others", () => {
  expect(openBytes(buildCloop(uzip).image).map(4096 + 5, 10_000)).toEqual({ kind: "zero", length: 4096 - 5 });
  expect(openBytes(buildCloop(uzip).image).facts().notes).toEqual([expect.stringContaining("FreeBSD")]);
  expect(openBytes(buildCloop({ blocks: uzip.blocks }).image).map(4096, 10_000)).toMatchObject({
    kind: "damaged",
    length: 4096,
    error: { code: "CORRUPT" },
  });
});

describe("damage", () => {
  const u64 = (value: bigint) => [...Buffer.from(value.toString(16).padStart(16, "0"), "hex")];
  const other = buildCloop({ version: "V4.0", blocks: ["plain", "plain", "plain"] });
  const entry = (block: number) => other.tablePosition + 8 * block;
  const at = (block: number) => BigInt(136 + 32 + block * 4096);

  test.each([
    ["LZ4", entry(1), u64((3n << 60n) | at(1)), "UNSUPPORTED", "LZ4"],
    ["LZO", entry(1), u64((4n << 60n) | at(1)), "UNSUPPORTED", "LZO"],
    ["an unknown method", entry(1), u64((9n << 60n) | at(1)), "UNSUPPORTED", "method 9"],
    ["noise as zlib", entry(1), u64(at(1)), "CORRUPT", "does not decode"],
  ])("a block that cannot be: %s", (_, position, bytes, code, message) => {
    const layer = openBytes(changed(other.image, position, bytes));
    const error = imageErrorOf(() => readRange(layer, 4096, 4096));
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string });
    expect(difference(readRange(layer, 0, 4096), other.disk.subarray(0, 4096))).toBeUndefined();
    expect(difference(readRange(layer, 8192, 4096), other.disk.subarray(8192))).toBeUndefined();
  });

  test.each([
    ["back", u64(0n)],
    ["far ahead", u64(2n ** 50n)],
    ["beyond 2^53", u64(2n ** 59n)],
  ])("a table entry that leads %s damages the blocks beside it", (_, bytes) => {
    const layer = openBytes(changed(other.image, entry(1), bytes));
    for (const block of [0, 1]) expect(imageErrorOf(() => readRange(layer, block * 4096, 1))).toBeInstanceOf(Error);
    expect(difference(readRange(layer, 8192, 4096), other.disk.subarray(8192))).toBeUndefined();
  });

  test("a cut file is read up to the cut", () => {
    const layer = openBytes(built.image.subarray(0, -1));
    expect(difference(readRange(layer, 0, 8192), built.disk.subarray(0, 8192))).toBeUndefined();
    expect(layer.map(8192, 9999)).toMatchObject({ kind: "damaged", length: 4096, error: { code: "TRUNCATED" } });
  });

  test("noise behind a signature", () => {
    expect(
      cloop.probe({ head: Buffer.concat([Buffer.from("#!/bin/sh\necho hello\n"), noise(1, 500)]), tail: Buffer.alloc(512), size: 521 }),
    ).toBe(false);
  });
});

describe.skipIf(!requireProgram("qemu-img"))("images that qemu-img reads too", () => {
  const directory = tempDirectory();
  test.each(Object.entries<CloopShape>(shapes))("qemu-img reads what the builder makes: %s", (_, shape) => {
    const { image, disk } = buildCloop(shape);
    const path = join(subdirectory(directory), "a.cloop");
    writeFileSync(path, image);
    expect(difference(flat(path, { format: "cloop" }), disk)).toBeUndefined();
  });
});
