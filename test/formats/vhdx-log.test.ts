// VHDX files that were not closed: what their log asks for is done in memory, before anything else is read.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Extent, Layer, Opener } from "../../src/formats/driver.js";
import { vhdx } from "../../src/formats/vhdx/index.js";
import { memorySource } from "../../src/source/memory.js";
import type { Source } from "../../src/source/source.js";
import type { ErrorCode } from "../../src/util/errors.js";
import { noise } from "../support/content.js";
import { difference, imageErrorOf, readRange } from "../support/reading.js";
import { buildVhdx, expectedVhdx, guidOf, MIB, type VhdxShape, vhdxImage } from "../support/vhdx-builder.js";
import { entryBytes, type LoggedEntry, type LoggedWrite, logGuid, withHeaders, withLog } from "../support/vhdx-log-builder.js";

const SECTOR = 4096;
const nothingElse: Opener = {
  part: () => expect.fail("no part was expected to be opened"),
  parent: () => expect.fail("no parent was expected to be opened"),
  degraded: false,
};
/** Blocks 0, 1 and 3 are stored; block 2 is not there. */
const shape: VhdxShape = { blocks: [noise(1, MIB), noise(2, MIB), { state: 0 }, noise(3, MIB)], seed: 3 };
const built = buildVhdx(shape);
const intact = vhdxImage(built);
const disk = expectedVhdx(shape);
const { positions, fileSize } = built;
const note = "It was not closed properly. Its log was replayed in memory; the file is unchanged.";

const openSource = (source: Source): Layer => vhdx.open(source, nothingElse, {});
const open = (image: Buffer): Layer => openSource(memorySource("test.vhdx", image));
const whole = (layer: Layer): Buffer => readRange(layer, 0, layer.size);

/** The first sector of the BAT with other entries, such as `{ 2: 1 }`: block 2 is where block 1 was. */
function bat(changes: Readonly<Record<number, number | bigint>>): LoggedWrite {
  const content = Buffer.from(intact.subarray(positions.bat, positions.bat + SECTOR));
  for (const [block, what] of Object.entries(changes)) {
    const entry = typeof what === "bigint" ? what : BigInt(positions.blocks.get(what) ?? 0) | 6n;
    content.writeBigUInt64LE(entry, 8 * Number(block));
  }
  return { at: positions.bat, content };
}

/** The disk whose blocks are the stored ones of these numbers, or zeros. */
function diskOf(...blocks: readonly (number | undefined)[]): Buffer {
  return Buffer.concat(blocks.map((block) => (block === undefined ? Buffer.alloc(MIB) : disk.subarray(block * MIB, (block + 1) * MIB))));
}

function entry(start: number, sequence: bigint, tail: number, ...writes: readonly LoggedWrite[]): LoggedEntry {
  return { start, sequence, tail, writes, flushed: fileSize, last: fileSize };
}

const dirty = (...entries: readonly LoggedEntry[]): Buffer => withLog(intact, built, entries);

function expectDisk(image: Buffer, expected: Buffer, entries: number): void {
  const before = Buffer.from(image);
  const layer = open(image);
  expect(difference(whole(layer), expected)).toBeUndefined();
  expect(layer.facts()).toMatchObject({ details: { "log entries": entries }, notes: [note] });
  expect(difference(image, before), "the file itself").toBeUndefined();
}

function expectRefusal(image: Buffer, code: ErrorCode, ...parts: readonly string[]): void {
  const error = imageErrorOf(() => open(image));
  expect(error).toMatchObject({ code, file: "test.vhdx" });
  for (const part of parts) expect(error?.message).toContain(part);
}

describe("the active sequence", () => {
  test("a log that changes the BAT is replayed, where libyal, dissect and 7-Zip show the stale disk", () => {
    const image = dirty(entry(0, 1n, 0, bat({ 2: 1, 1: 2n })));
    expectDisk(image, diskOf(0, undefined, 1, 3), 1);
    // The same file with a log that is not to be replayed: this is what they show.
    const clean = withHeaders(Buffer.from(image), { sequence: 99n, dataWriteGuid: built.dataWriteGuid, logPosition: positions.log });
    expect(difference(whole(open(clean)), disk)).toBeUndefined();
    expect(open(clean).facts()).toMatchObject({ notes: [] });
  });

  test("the identity is that of the newest header, as always", () => {
    const image = dirty(entry(0, 1n, 0, bat({})));
    expect(vhdx.identities?.(memorySource("", image))).toEqual([{ kind: "DataWriteGuid", value: built.dataWriteGuid }]);
  });

  test("several entries are replayed in their order", () => {
    const first = entry(0, 7n, 0, bat({ 2: 1 }));
    const second = entry(2 * SECTOR, 8n, 0, bat({ 2: 3, 0: 2n }));
    const third = entry(4 * SECTOR, 9n, 0, { at: positions.blocks.get(1) ?? 0, zeros: MIB });
    expectDisk(dirty(first, second, third), diskOf(undefined, undefined, 3, 3), 3);
  });

  test("an entry and a sequence that go on at the start of the ring", () => {
    const start = MIB - 3 * SECTOR;
    const first = entry(start, 7n, start, bat({ 2: 1 }));
    // Two sectors, the second of them at the start of the ring.
    const second = entry(MIB - SECTOR, 8n, start, bat({ 2: 3, 0: 2n }));
    const third = entry(SECTOR, 9n, start, { at: positions.blocks.get(3) ?? 0, zeros: SECTOR });
    const expected = diskOf(undefined, 1, 3, 3);
    expected.fill(0, 2 * MIB, 2 * MIB + SECTOR).fill(0, 3 * MIB, 3 * MIB + SECTOR);
    expectDisk(dirty(first, second, third), expected, 3);
  });

  test("a ring that is full", () => {
    const writes = Array.from(
      { length: 30 },
      (_, index): LoggedWrite => ({ at: fileSize + index * SECTOR, content: noise(index, SECTOR) }),
    );
    const entries = Array.from({ length: 8 }, (_, index) =>
      entry(index * 32 * SECTOR + 5 * SECTOR, BigInt(index + 1), 5 * SECTOR, ...writes, bat({ 2: 1 })),
    );
    expectDisk(dirty(...entries), diskOf(0, 1, 1, 3), 8);
  });

  test.each([
    ["its checksum is wrong", (bytes: Buffer) => bytes.writeUInt8(0xff, bytes.length - 100)],
    ["it was written only in part", (bytes: Buffer) => bytes.fill(0, SECTOR)],
    ["its signature is another", (bytes: Buffer) => bytes.write("logf", 0, "latin1")],
  ])("a last entry that was torn does not count: %s", (_, spoil) => {
    const first = entry(0, 7n, 0, bat({ 2: 1 }));
    const second = { ...entry(2 * SECTOR, 8n, 0, bat({ 2: 3 })), spoil };
    expectDisk(dirty(first, second), diskOf(0, 1, 1, 3), 1);
  });

  test.each([
    ["the sequence number of a descriptor", (bytes: Buffer) => bytes.writeBigUInt64LE(7n, 64 + 24)],
    ["the upper half of a data sector's sequence number", (bytes: Buffer) => bytes.writeUInt32LE(1, SECTOR + 4)],
    ["the lower half of it", (bytes: Buffer) => bytes.writeUInt32LE(1, 2 * SECTOR - 4)],
    ["the signature of a data sector", (bytes: Buffer) => bytes.write("dada", SECTOR, "latin1")],
    ["the signature of a descriptor", (bytes: Buffer) => bytes.write("dada", 64, "latin1")],
    ["a position that is no sector", (bytes: Buffer) => bytes.writeUInt8(1, 64 + 16)],
    ["a position beyond 2^53", (bytes: Buffer) => bytes.writeBigUInt64LE(2n ** 60n, 64 + 16)],
    ["more descriptors than there is room for", (bytes: Buffer) => bytes.writeUInt32LE(2 ** 31, 24)],
    ["more data descriptors than sectors", (bytes: Buffer) => (bytes.copy(bytes, 96, 64, 96), bytes.writeUInt32LE(2, 24))],
    ["a length that is no sectors", (bytes: Buffer) => bytes.writeUInt32LE(2 * SECTOR + 1, 8)],
    ["no length", (bytes: Buffer) => bytes.writeUInt32LE(0, 8)],
    ["a length beyond the ring", (bytes: Buffer) => bytes.writeUInt32LE(2 * MIB, 8)],
    ["a tail that is no sector", (bytes: Buffer) => bytes.writeUInt32LE(12, 12)],
    ["a tail outside of the ring", (bytes: Buffer) => bytes.writeUInt32LE(MIB, 12)],
  ])("an entry with a right checksum does not count all the same: %s", (_, change) => {
    const first = entry(0, 7n, 0, bat({ 2: 1 }));
    const second = { ...entry(2 * SECTOR, 8n, 0, bat({ 2: 3 })), change };
    expectDisk(dirty(first, second), diskOf(0, 1, 1, 3), 1);
    expectRefusal(dirty({ ...second, start: 0 }), "CORRUPT", "no complete sequence");
  });

  test("entries of older logs and older sequences do not count", () => {
    const old = { ...entry(0, 90n, 0, bat({ 2: 3 })), guid: guidOf("older log") };
    const older = entry(20 * SECTOR, 3n, 20 * SECTOR, bat({ 0: 2n, 2: 3 }));
    const alsoOlder = entry(22 * SECTOR, 4n, 20 * SECTOR, bat({ 1: 2n }));
    const current = entry(40 * SECTOR, 11n, 40 * SECTOR, bat({ 2: 1 }));
    expectDisk(dirty(old, older, alsoOlder, current), diskOf(0, 1, 1, 3), 1);
  });

  test("what was applied before the tail is not replayed again", () => {
    const applied = entry(0, 7n, 0, bat({ 0: 2n }));
    const first = entry(2 * SECTOR, 8n, 0, { at: positions.blocks.get(1) ?? 0, zeros: SECTOR });
    const last = entry(3 * SECTOR, 9n, 2 * SECTOR, bat({ 2: 3 }));
    const expected = diskOf(0, 1, 3, 3);
    expected.fill(0, MIB, MIB + SECTOR);
    expectDisk(dirty(applied, first, last), expected, 2);
  });

  test("a gap in the sequence numbers ends a sequence; one that lost its tail is none", () => {
    const first = entry(0, 7n, 0, bat({ 2: 1 }));
    expectDisk(dirty(first, entry(2 * SECTOR, 9n, 0, bat({ 2: 3 }))), diskOf(0, 1, 1, 3), 1);
    // It is complete in itself, and newer.
    expectDisk(dirty(first, entry(2 * SECTOR, 9n, 2 * SECTOR, bat({ 2: 3 }))), diskOf(0, 1, 3, 3), 1);
    expectRefusal(dirty(entry(2 * SECTOR, 9n, 0, bat({ 2: 3 }))), "CORRUPT", "no complete sequence");
    const older = entry(20 * SECTOR, 3n, 20 * SECTOR, bat({ 0: 2n }));
    expectDisk(dirty(older, first, entry(2 * SECTOR, 9n, 20 * SECTOR, bat({ 2: 3 }))), diskOf(0, 1, 1, 3), 1);
  });

  test("sequence numbers beyond 2^53", () => {
    const first = entry(0, 2n ** 63n, 0, bat({ 2: 1 }));
    expectDisk(dirty(first, entry(2 * SECTOR, 2n ** 63n + 1n, 0, bat({ 2: 3 }))), diskOf(0, 1, 3, 3), 2);
  });

  test("an entry without descriptors asks for nothing", () => {
    expectDisk(dirty(entry(8 * SECTOR, 1n, 8 * SECTOR)), disk, 1);
  });

  test("an entry with more descriptors than its first sector holds, and sectors behind its last", () => {
    // 126 fit into the first, 128 into each that follows.
    for (const count of [126, 127, 254, 255]) {
      const spots = Array.from({ length: count - 1 }, (_, index): LoggedWrite => ({ at: fileSize + index * SECTOR, zeros: SECTOR }));
      const first = { ...entry(0, 7n, 0, ...spots, bat({ 2: 1 })), padding: 3 };
      const next = entry(entryBytes(first).length, 8n, 0, bat({ 2: 3 }));
      expectDisk(dirty(first), diskOf(0, 1, 1, 3), 1);
      expectDisk(dirty(first, next), diskOf(0, 1, 3, 3), 2);
    }
  });
});

describe("what the log may change", () => {
  test("the region tables and the metadata, of which nothing is read before", () => {
    const image = Buffer.from(intact);
    const writes: LoggedWrite[] = [];
    for (const at of [192 * 1024, 256 * 1024, positions.metadata, positions.metadata + 65_536, positions.bat]) {
      writes.push({ at, content: Buffer.from(image.subarray(at, at + SECTOR)) });
      image.fill(0xcc, at, at + SECTOR);
    }
    expectDisk(withLog(image, built, [entry(0, 1n, 0, ...writes)]), disk, 1);
  });

  test("bytes that look like any other are put back in their places", () => {
    const content = noise(9, SECTOR);
    const at = (positions.blocks.get(1) ?? 0) + 5 * SECTOR;
    const expected = Buffer.from(disk);
    content.copy(expected, MIB + 5 * SECTOR);
    expectDisk(dirty(entry(0, 1n, 0, { at, content })), expected, 1);
  });

  test("runs of zeros of any length, over and under other writes", () => {
    const at = positions.blocks.get(1) ?? 0;
    const content = noise(9, SECTOR);
    const first = entry(0, 7n, 0, { at: at + 2 * SECTOR, content }, { at, zeros: 8 * SECTOR }, { at: at + 4 * SECTOR, content });
    const second = entry(3 * SECTOR, 8n, 0, { at: at + 7 * SECTOR, zeros: 0 }, { at: at + 6 * SECTOR, zeros: 5 * SECTOR });
    const expected = Buffer.from(disk);
    expected.fill(0, MIB, MIB + 11 * SECTOR);
    content.copy(expected, MIB + 4 * SECTOR);
    expectDisk(dirty(first, second), expected, 2);
  });

  test("only what it changes is read from another place than the file", () => {
    const at = positions.blocks.get(1) ?? 0;
    const file = memorySource(
      "test.vhdx",
      dirty(entry(0, 1n, 0, { at: at + SECTOR, content: noise(9, SECTOR) }, { at: at + 3 * SECTOR, zeros: SECTOR })),
    );
    const layer = openSource(file);
    const extents: (string | number)[][] = [];
    for (let offset = MIB; offset < 2 * MIB; ) {
      const extent: Extent = layer.map(offset, 2 * MIB - offset);
      extents.push([extent.kind === "data" ? (extent.source === file ? "file" : "log") : extent.kind, extent.length]);
      offset += extent.length;
    }
    expect(extents).toEqual([
      ["file", SECTOR],
      ["log", SECTOR],
      ["file", SECTOR],
      ["zero", SECTOR],
      ["file", MIB - 4 * SECTOR],
    ]);
    expect(layer.map(0, MIB)).toMatchObject({ kind: "data", length: MIB, source: file });
  });

  test("a file that had no time to grow is as long as the log says, and not longer", () => {
    const place = BigInt(fileSize) | 6n;
    const grown = { ...entry(0, 1n, 0, bat({ 2: place })), last: fileSize + MIB / 2 };
    const layer = open(dirty(grown));
    expect(layer.map(2 * MIB, MIB)).toEqual({ kind: "zero", length: MIB / 2 });
    expect(layer.map(2.5 * MIB, MIB)).toMatchObject({ kind: "damaged", length: MIB / 2, error: { code: "TRUNCATED" } });
    expect(difference(readRange(layer, 0, 2 * MIB), disk.subarray(0, 2 * MIB))).toBeUndefined();
    // Written by the log itself behind the end.
    const written = entry(0, 1n, 0, bat({ 2: place }), { at: fileSize + SECTOR, content: noise(9, SECTOR) });
    const expected = Buffer.concat([Buffer.alloc(SECTOR), noise(9, SECTOR)]);
    expect(difference(readRange(open(dirty(written)), 2 * MIB, 2 * SECTOR), expected)).toBeUndefined();
  });

  test("any writes give the disk of the file that they were made to", () => {
    const blocks = [...positions.blocks.values()];
    const places = fc.oneof(
      fc.constantFrom(...blocks).chain((block) => fc.nat({ max: 12 }).map((sector) => block + sector * SECTOR)),
      fc.constant(fileSize - 3 * SECTOR),
      fc.constant(fileSize + SECTOR),
    );
    const write = fc.oneof(
      fc.record({ at: places, content: fc.nat({ max: 1000 }).map((seed) => noise(seed, SECTOR)) }),
      fc.record({ at: places, zeros: fc.nat({ max: 9 }).map((sectors) => sectors * SECTOR) }),
      fc.dictionary(fc.constantFrom("0", "1", "2", "3"), fc.constantFrom<number | bigint>(0, 1, 3, 2n)).map(bat),
    );
    const sequences = fc.tuple(fc.nat({ max: 255 }), fc.array(fc.array(write, { maxLength: 6 }), { minLength: 1, maxLength: 5 }));
    fc.assert(
      fc.property(sequences, ([sector, lists]) => {
        const applied = Buffer.concat([intact, Buffer.alloc(MIB)]);
        const entries: LoggedEntry[] = [];
        let start = sector * SECTOR;
        for (const writes of lists) {
          const next = entry(start % MIB, BigInt(entries.length + 1), sector * SECTOR, ...writes);
          entries.push({ ...next, last: applied.length });
          start += entryBytes(next).length;
          for (const each of writes) {
            if ("content" in each) each.content.copy(applied, each.at);
            else applied.fill(0, each.at, each.at + each.zeros);
          }
        }
        expect(difference(whole(open(dirty(...entries))), whole(open(applied)))).toBeUndefined();
      }),
      { numRuns: 40 },
    );
  });
});

describe("logs that cannot be replayed", () => {
  const mark = (more: Partial<Parameters<typeof withHeaders>[1]>, image = intact) =>
    withHeaders(Buffer.from(image), { sequence: 90n, dataWriteGuid: built.dataWriteGuid, logGuid, logPosition: positions.log, ...more });

  test("one that holds nothing: refused", () => {
    expectRefusal(mark({}), "CORRUPT", "it was not closed properly", "no complete sequence");
    expectRefusal(mark({ logLength: 0 }), "CORRUPT", "no complete sequence");
  });

  test("a file that is shorter than its log says: refused", () => {
    const cut = { ...entry(0, 1n, 0, bat({ 2: 1 })), flushed: fileSize + MIB };
    expectRefusal(dirty(cut), "TRUNCATED", "the file was cut", `${fileSize + MIB}`);
    // Only the newest entry tells.
    expectDisk(dirty(cut, entry(2 * SECTOR, 2n, 0, bat({ 2: 3 }))), diskOf(0, 1, 3, 3), 2);
  });

  test.each([
    ["a log in the header section", { logPosition: 0 }, "CORRUPT", "behind the header section"],
    ["a log between two MiB", { logPosition: positions.log + SECTOR }, "CORRUPT", "whole MiB"],
    ["a log of half a MiB", { logLength: MIB / 2 }, "CORRUPT", "whole MiB"],
    ["a log behind the end of the file", { logPosition: 500 * MIB }, "TRUNCATED", "behind the end of the file"],
    ["a log of 4 GiB", { logLength: 4095 * MIB }, "UNSUPPORTED", "64 MiB are the limit"],
    ["a log beyond 2^53", { logPosition: 2 ** 60 }, "CORRUPT", "2^53"],
  ] as const)("%s: refused", (_, more, code, message) => {
    expectRefusal(mark(more), code, message);
  });

  test("a log that asks for a file beyond 2^53 bytes: refused", () => {
    expectRefusal(dirty({ ...entry(0, 1n, 0), last: 2 ** 60 }), "CORRUPT", "asks for a file");
  });

  test("entries that all claim the whole ring are not checked for ever", () => {
    const image = mark({});
    for (let at = 0; at < MIB; at += SECTOR) {
      entryBytes({ ...entry(0, 1n, 0), change: (bytes) => bytes.writeUInt32LE(MIB, 8) }).copy(image, positions.log + at, 0, SECTOR);
    }
    expectRefusal(image, "CORRUPT", "overlap");
  });

  test("zero descriptors by the ten thousand are sorted out at once", () => {
    const writes = Array.from(
      { length: 20_000 },
      (_, index): LoggedWrite => ({ at: fileSize + ((index * 7919) % 20_000) * SECTOR, zeros: (1 + (index % 50)) * SECTOR }),
    );
    expectDisk(dirty(entry(0, 1n, 0, ...writes, bat({ 2: 1 }))), diskOf(0, 1, 1, 3), 1);
  });
});
