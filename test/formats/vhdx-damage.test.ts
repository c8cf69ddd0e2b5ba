// Damaged and strange VHDX files: what is refused and how it is told, and what is damaged without hurting anything around it.
import { describe, expect, test } from "vitest";
import type { Layer, Opener } from "../../src/formats/driver.js";
import { vhdx } from "../../src/formats/vhdx/index.js";
import { memorySource } from "../../src/source/memory.js";
import type { ErrorCode } from "../../src/util/errors.js";
import { noise } from "../support/content.js";
import { difference, imageErrorOf, readRange } from "../support/reading.js";
import {
  buildVhdx,
  expectedVhdx,
  guidBytes,
  guidOf,
  guids,
  headerBytes,
  MIB,
  regionTableBytes,
  seal,
  type VhdxShape,
  vhdxImage,
  vhdxSource,
} from "../support/vhdx-builder.js";

const KIB = 1024;
const [FIRST, SECOND] = [64 * KIB, 128 * KIB];
const [TABLE1, TABLE2] = [192 * KIB, 256 * KIB];
const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};
const shape: VhdxShape = { blocks: [noise(1, MIB), noise(2, MIB), { state: 0 }, noise(3, MIB)], seed: 3 };
const built = buildVhdx(shape);
const disk = expectedVhdx(shape);
const intact = vhdxImage(built);
const { positions } = built;

function open(image: Buffer, name = "test.vhdx"): Layer {
  return vhdx.open(memorySource(name, image), nothingElse, {});
}

function changed(change: (image: Buffer) => void): Buffer {
  const image = Buffer.from(intact);
  change(image);
  return image;
}

function expectDisk(image: Buffer): Layer {
  const layer = open(image);
  expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
  return layer;
}

function expectRefusal(image: Buffer, code: ErrorCode, ...parts: readonly string[]): void {
  const error = imageErrorOf(() => open(image));
  expect(error).toMatchObject({ code, file: "test.vhdx" });
  for (const part of parts) expect(error?.message).toContain(part);
}

const header = (more: Partial<Parameters<typeof headerBytes>[0]>) =>
  headerBytes({ sequence: 7n, dataWriteGuid: built.dataWriteGuid, logPosition: positions.log, ...more });

describe("headers", () => {
  const currentGuid = (image: Buffer) => open(image).facts().details["DataWriteGuid"];

  test.each([
    ["the second one", 4n, 5n, "second"],
    ["the first one", 5n, 4n, "first"],
    ["beyond 2^53", 2n ** 63n + 1n, 2n ** 63n, "first"],
    ["the largest there is", 2n ** 64n - 2n, 2n ** 64n - 1n, "second"],
  ])("the valid one with the larger sequence number counts: %s", (_, one, two, current) => {
    const image = changed((bytes) => {
      header({ sequence: one, dataWriteGuid: guidOf("first") }).copy(bytes, FIRST);
      header({ sequence: two, dataWriteGuid: guidOf("second") }).copy(bytes, SECOND);
    });
    expect(currentGuid(image)).toBe(guidOf(current));
    expect(vhdx.identities?.(memorySource("", image))).toEqual([{ kind: "DataWriteGuid", value: guidOf(current) }]);
  });

  test.each([
    ["its checksum is wrong", (bytes: Buffer) => bytes.writeUInt8(1, SECOND + 4095)],
    ["its signature is wrong", (bytes: Buffer) => seal(bytes.subarray(SECOND, SECOND + 4096).fill("haed", 0, 4, "latin1"))],
    ["it is all zeros", (bytes: Buffer) => bytes.fill(0, SECOND, SECOND + 4096)],
  ])("the older one is used, and that is told, where the newer one is damaged: %s", (_, damage) => {
    const image = changed((bytes) => {
      header({ sequence: 6n, dataWriteGuid: guidOf("first") }).copy(bytes, FIRST);
      damage(bytes);
    });
    expect(currentGuid(image)).toBe(guidOf("first"));
    expect(expectDisk(image).facts().notes).toEqual(["Its second header is damaged; the first one was used."]);
  });

  test("the first one damaged is told, too", () => {
    const layer = expectDisk(changed((bytes) => bytes.writeUInt8(1, FIRST + 100)));
    expect(layer.facts().notes).toEqual(["Its first header is damaged; the second one was used."]);
  });

  test("twice the same header, as Disk2vhd writes it", () => {
    expect(expectDisk(changed((bytes) => bytes.copy(bytes, FIRST, SECOND, SECOND + 4096))).facts().notes).toEqual([]);
  });

  test("two different ones with the same sequence number: refused", () => {
    expectRefusal(
      changed((bytes) => header({ dataWriteGuid: guidOf("x") }).copy(bytes, FIRST)),
      "CORRUPT",
      "same sequence number",
    );
  });

  test("both damaged: refused", () => {
    const image = changed((bytes) => [FIRST, SECOND].forEach((at) => bytes.writeUInt8(1, at + 100)));
    expectRefusal(image, "CORRUPT", "both of its headers");
  });

  test("another version of the format: refused", () => {
    expectRefusal(
      changed((bytes) => header({ version: 2 }).copy(bytes, SECOND)),
      "UNSUPPORTED",
      "version 2",
    );
  });

  test("another version of the log matters only where it has to be replayed", () => {
    expectDisk(changed((bytes) => header({ logVersion: 1 }).copy(bytes, SECOND)));
    expectRefusal(
      changed((bytes) => header({ logVersion: 1, logGuid: guidOf("log") }).copy(bytes, SECOND)),
      "UNSUPPORTED",
      "version 1",
    );
  });

  test("another file altogether: refused", () => {
    expectRefusal(
      changed((bytes) => bytes.write("vhdxfilf", 0, "latin1")),
      "WRONG_FORMAT",
      "vhdxfile",
    );
    expectRefusal(intact.subarray(0, 300), "TRUNCATED", "file type identifier");
  });

  test("a snapshot: refused", () => {
    const error = imageErrorOf(() => vhdx.open(memorySource("test.vhdx", intact), nothingElse, { snapshot: "1" }));
    expect(error).toMatchObject({ code: "UNSUPPORTED", message: "a VHDX image has no snapshots" });
  });

  test("the index of a VHD Set is refused by name, its .avhdx is not", () => {
    expect(imageErrorOf(() => open(intact, "disk.VHDS"))).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("VHD Set") as string,
      hint: expect.stringContaining(".avhdx") as string,
    });
    expect(open(intact, "disk_8A6C.avhdx").size).toBe(disk.length);
  });
});

type Region = Parameters<typeof regionTableBytes>[0][number];

describe("region tables", () => {
  const bat: Region = { guid: guids.bat, position: positions.bat, length: MIB, required: 1 };
  const metadata: Region = { guid: guids.metadata, position: positions.metadata, length: MIB, required: 1 };
  const withTables = (...regions: readonly Region[]) =>
    changed((bytes) => [TABLE1, TABLE2].forEach((at) => regionTableBytes(regions).copy(bytes, at)));

  test("the second one is used, and that is told, where the first is damaged", () => {
    const notes = ["Its first region table is damaged; the second one was used."];
    // Its checksum is over 64 KiB, so the last byte counts, too.
    expect(expectDisk(changed((bytes) => bytes.writeUInt8(1, TABLE1 + 65_535))).facts().notes).toEqual(notes);
    expect(expectDisk(changed((bytes) => bytes.fill(0, TABLE1, TABLE1 + 65_536))).facts().notes).toEqual(notes);
  });

  test("the second one damaged, or another one than the first, is told", () => {
    const damaged = expectDisk(changed((bytes) => bytes.writeUInt8(1, TABLE2 + 500)));
    expect(damaged.facts().notes).toEqual(["Its second region table is damaged; the first one was used."]);
    const other = expectDisk(changed((bytes) => regionTableBytes([bat]).copy(bytes, TABLE2)));
    expect(other.facts().notes).toEqual(["Its two region tables differ; the first one was used."]);
  });

  test("both damaged: refused", () => {
    const image = changed((bytes) => [TABLE1, TABLE2].forEach((at) => bytes.writeUInt8(1, at + 500)));
    expectRefusal(image, "CORRUPT", "both of its region tables");
  });

  test("an unknown required region is refused by its GUID", () => {
    const region = { guid: guidOf("new"), length: MIB, required: 1 };
    expectRefusal(vhdxImage(buildVhdx({ ...shape, regions: [region] })), "UNSUPPORTED", "region", guidOf("new").toUpperCase());
  });

  test("an unknown optional region is ignored", () => {
    expectDisk(vhdxImage(buildVhdx({ ...shape, regions: [{ guid: guidOf("new"), length: MIB, required: 0 }] })));
  });

  test.each([
    ["no BAT", [metadata], "where the BAT is"],
    ["no metadata", [bat], "where the metadata is"],
    ["a BAT twice", [bat, metadata, { ...bat, position: 40 * MIB }], "twice"],
    ["a BAT in the header section", [{ ...bat, position: 0 }, metadata], "whole MiB behind the header section"],
    ["a BAT between two MiB", [{ ...bat, position: positions.bat + 4096 }, metadata], "whole MiB"],
    ["a BAT of half a MiB", [{ ...bat, length: MIB / 2 }, metadata], "whole MiB"],
    ["a BAT without room", [{ ...bat, length: 0 }, metadata], "the disk needs 32"],
    ["a BAT over the metadata", [{ ...bat, position: positions.metadata }, metadata], "overlap"],
    ["a BAT over the log", [{ ...bat, position: positions.log }, metadata], "overlap"],
    ["a BAT beyond 2^53", [{ ...bat, position: 2 ** 60 }, metadata], "2^53"],
  ])("%s: refused", (_, regions, message) => {
    expectRefusal(withTables(...regions), "CORRUPT", message);
  });

  test("more entries than there is room for: refused", () => {
    const image = changed((bytes) =>
      [TABLE1, TABLE2].forEach((at) => {
        bytes.writeUInt32LE(2048, at + 8);
        seal(bytes.subarray(at, at + 64 * KIB));
      }),
    );
    expectRefusal(image, "CORRUPT", "2047 are the limit");
  });
});

describe("metadata", () => {
  const item = (guid: string) => {
    const at = intact.indexOf(guidBytes(guid), positions.metadata);
    return { at, content: positions.metadata + intact.readUInt32LE(at + 16) };
  };
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };

  test("an unknown required item is refused by its GUID, a user's own one too", () => {
    const content = Buffer.from("?");
    for (const [guid, flags] of [
      [guidOf("new"), 4],
      [guidOf("new"), 5],
      [guids.diskId, 5],
    ] as const) {
      const image = vhdxImage(buildVhdx({ ...shape, items: [{ guid, content, flags }] }));
      expectRefusal(image, "UNSUPPORTED", "metadata item", guid.toUpperCase());
    }
  });

  test("unknown optional items, such as resilient change tracking, are ignored", () => {
    const content = Buffer.from("?");
    const items = [
      { guid: guidOf("new"), content, flags: 0 },
      { guid: guidOf("new"), content, flags: 3 },
      { guid: guids.fileParameters, content, flags: 1 },
    ];
    expectDisk(vhdxImage(buildVhdx({ ...shape, items })));
  });

  test.each([
    ["blocks of 512 KiB", guids.fileParameters, u32(MIB / 2), "524288"],
    ["blocks of 512 MiB", guids.fileParameters, u32(512 * MIB), "536870912"],
    ["blocks of 3 MiB", guids.fileParameters, u32(3 * MIB), "3145728"],
    ["logical sectors of 520 bytes", guids.logicalSector, u32(520), "520"],
    ["logical sectors of 1024 bytes", guids.logicalSector, u32(1024), "1024"],
    ["a disk of half a sector", guids.diskSize, u32(0x100), "256 bytes"],
    ["a disk of more than 64 TiB", guids.diskSize, Buffer.from("0002000000400000", "hex"), "64 TiB"],
    ["a disk beyond 2^53 bytes", guids.diskSize, Buffer.alloc(8, 0xff), "2^53"],
    ["a disk that the BAT is too small for", guids.diskSize, Buffer.from("0000000000010000", "hex"), "the disk needs"],
  ])("%s: refused", (_, guid, bytes, message) => {
    expectRefusal(
      changed((image) => bytes.copy(image, item(guid).content)),
      "CORRUPT",
      message,
    );
  });

  test.each([
    ["an item in the table itself", 16, 1000, "does not lie in"],
    ["an item outside of the region", 16, MIB - 3, "does not lie in"],
    ["an item of more than 1 MiB", 20, MIB + 1, "does not lie in"],
    ["an item that is too short", 20, 3, "has 3 bytes and needs"],
    ["an item of another name", 0, 0, "lacks the VHDX file parameters"],
  ])("%s: refused", (_, at, value, message) => {
    const entry = item(guids.fileParameters).at;
    expectRefusal(
      changed((image) => {
        image.writeUInt32LE(value, entry + at);
        if (at === 0) image.writeUInt32LE(0, entry + 24);
      }),
      "CORRUPT",
      message,
    );
  });

  test("an item twice, a table without its signature or with too many entries: refused", () => {
    const twice = vhdxImage(buildVhdx({ ...shape, items: [{ guid: guids.diskSize, content: Buffer.alloc(8), flags: 6 }] }));
    expectRefusal(twice, "CORRUPT", "twice");
    expectRefusal(
      changed((image) => image.write("M", positions.metadata, "latin1")),
      "CORRUPT",
      '"Metadata"',
    );
    expectRefusal(
      changed((image) => image.writeUInt16LE(2048, positions.metadata + 10)),
      "CORRUPT",
      "2047 are the limit",
    );
  });

  test("metadata behind the end of the file: refused", () => {
    expectRefusal(intact.subarray(0, positions.metadata + 65_560), "TRUNCATED", "behind the end of the file");
  });
});

describe("the BAT", () => {
  /** What reading each block ends in. */
  const outcomes = (image: Buffer) => {
    const layer = open(image);
    return [0, 1, 2, 3].map((block) => {
      const error = imageErrorOf(() =>
        expect(difference(readRange(layer, block * MIB, MIB), disk.subarray(block * MIB, (block + 1) * MIB))).toBeUndefined(),
      );
      return error ? `${error.code}: ${error.message}` : "right";
    });
  };
  const entry = (value: bigint) => outcomes(changed((bytes) => bytes.writeBigUInt64LE(value, positions.entry(1))));
  const at1 = BigInt(positions.blocks.get(1) ?? 0);

  test.each([
    ["an unknown state", at1 | 4n, "block 1 has the state 4, which is not known"],
    [
      "a partially present block without a parent",
      at1 | 7n,
      "block 1 is partially present, which only blocks of a differencing disk can be",
    ],
    ["a block at 0", 6n, "would overlap the header section"],
    ["a block over the log", BigInt(positions.log) | 6n, "would overlap the log"],
    ["a block over the BAT", BigInt(positions.bat) | 6n, "would overlap the BAT"],
    ["a block over the metadata", BigInt(positions.metadata) | 6n, "would overlap the metadata"],
  ])("%s damages that block and no other", (_, value, message) => {
    const [before, damaged, ...behind] = entry(value);
    expect([before, ...behind]).toEqual(["right", "right", "right"]);
    expect(damaged).toContain("CORRUPT");
    expect(damaged).toContain(message);
  });

  test.each([2n ** 20n * 1000n, 2n ** 53n, 2n ** 64n - 2n ** 20n])(
    "a block behind the end of the file (%i) is damaged, not zeros",
    (at) => {
      const [before, damaged, ...behind] = entry(at | 6n);
      expect([before, ...behind]).toEqual(["right", "right", "right"]);
      expect(damaged).toContain("TRUNCATED");
    },
  );

  test("a file that ends inside its last block is read up to there, and damaged from there on", () => {
    const cut = built.fileSize - 1000;
    const last = [...positions.blocks].find(([, position]) => position === built.fileSize - MIB)?.[0] ?? 0;
    const layer = open(intact.subarray(0, cut));
    const there = MIB - 1000;
    expect(difference(readRange(layer, last * MIB, there), disk.subarray(last * MIB, last * MIB + there))).toBeUndefined();
    expect(imageErrorOf(() => readRange(layer, last * MIB + there, 1))).toMatchObject({ code: "TRUNCATED", position: cut });
  });

  test("a last block that the file holds as far as the disk needs it is not damaged", () => {
    // QEMU's fixed disks end with the disk, not with the block.
    const size = 3 * MIB + 4096;
    const short = { ...shape, size, seed: 1, lastBlockBytes: 4096, blocks: [{ state: 0 }, { state: 0 }, { state: 0 }, noise(3, MIB)] };
    const layer = open(vhdxImage(buildVhdx(short)));
    expect(difference(readRange(layer, 0, size), expectedVhdx(short))).toBeUndefined();
  });

  test("a BAT behind the end of the file damages what it maps", () => {
    const layer = open(intact.subarray(0, positions.bat + 8));
    expect(layer.map(5, 2 ** 30)).toMatchObject({ kind: "damaged", length: 4 * MIB - 5, error: { code: "TRUNCATED" } });
  });

  test("a sector bitmap that is missing or misplaced damages its partially present blocks and no other", () => {
    const blocks = [noise(1, MIB), { content: noise(2, MIB), here: () => true }, { state: 0 }];
    const child = buildVhdx({ blocks, parent: { disk: Buffer.alloc(0), entries: { parent_linkage: built.dataWriteGuid } } });
    const bitmapEntry = positions.bat + 4096 * 8;
    for (const [value, message] of [
      [0n, "its sector bitmap is missing"],
      [BigInt(child.positions.bitmaps.get(0) ?? 0) | 7n, "its sector bitmap is missing"],
      [6n, "would overlap the header section"],
      [BigInt(positions.bat) | 6n, "would overlap the BAT"],
      [BigInt(MIB * 100) | 6n, "the sector bitmap at 0x6400000 cannot be read"],
    ] as const) {
      const image = vhdxImage(child);
      image.writeBigUInt64LE(value, bitmapEntry);
      const layer = vhdx.open(memorySource("test.vhdx", image), { ...nothingElse, parent: () => open(intact) }, {});
      expect(difference(readRange(layer, 0, MIB), noise(1, MIB))).toBeUndefined();
      const damaged = layer.map(MIB + 10, 2 * MIB);
      expect(damaged).toMatchObject({ kind: "damaged", length: MIB - 10 });
      expect(damaged.kind === "damaged" && damaged.error.message).toContain(message);
      expect(layer.map(2 * MIB, MIB)).toEqual({ kind: "parent", length: MIB, offset: 2 * MIB });
    }
  });
});

describe("how VHDX maps", () => {
  test("neighbours in the file are one extent, also over the entry of a sector bitmap", () => {
    // 64 blocks of 64 MiB make a chunk.
    const blockSize = 64 * MIB;
    const blocks = Array.from({ length: 70 }, () => Buffer.from("x"));
    const plan = buildVhdx({ blocks, blockSize });
    const bat = plan.pieces.find(({ position }) => position === plan.positions.bat)?.content;
    for (let block = 0; block < 70; block += 1) {
      bat?.writeBigUInt64LE(BigInt(4 * MIB + block * blockSize) | 6n, plan.positions.entry(block) - plan.positions.bat);
    }
    const layer = vhdx.open(vhdxSource("test.vhdx", plan), nothingElse, {});
    expect(layer.map(10, 2 ** 40)).toMatchObject({ kind: "data", length: 70 * blockSize - 10, position: 4 * MIB + 10 });
    expect(layer.map(10, blockSize)).toMatchObject({ length: blockSize });
  });

  test.each([
    [512, MIB],
    [4096, MIB],
    [512, 256 * MIB],
  ])("a disk of 64 TiB, sectors of %i bytes, blocks of %i bytes: only the part of the BAT that is needed is read", (sector, blockSize) => {
    const size = 64 * 2 ** 40;
    const huge = buildVhdx({ blocks: [], size, sector, blockSize });
    const ratio = (2 ** 23 * sector) / blockSize;
    // The last block of the disk, at a place that no other has.
    const last = size / blockSize - 1;
    const place = Math.ceil(huge.fileSize / MIB) * MIB;
    const content = Buffer.alloc(8);
    content.writeBigUInt64LE(BigInt(place) | 6n);
    const pieces = [...huge.pieces, { position: huge.positions.entry(last), content }];
    const source = vhdxSource("huge.vhdx", { ...huge, pieces, fileSize: place + blockSize });
    const layer = vhdx.open(source, nothingElse, {});
    expect(layer.size).toBe(size);
    const before = source.bytesRead;
    expect(layer.map(size - 7, 7)).toMatchObject({ kind: "data", length: 7, position: place + blockSize - 7 });
    expect(layer.map(size - blockSize - 1, blockSize)).toMatchObject({ kind: "zero", length: 1 });
    expect(source.bytesRead - before).toBeLessThanOrEqual(131_072);
    // A question for everything is answered for the slice at hand.
    const blocksOfSlice = Math.floor(8192 / (ratio + 1)) * ratio + (8192 % (ratio + 1));
    expect(layer.map(0, size)).toEqual({ kind: "zero", length: blocksOfSlice * blockSize });
    expect(source.bytesRead - before).toBeLessThanOrEqual(3 * 65_536);
  });
});
