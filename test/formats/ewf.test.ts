import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Layer } from "../../src/formats/driver.js";
import { ewf } from "../../src/formats/ewf/index.js";
import { firstNames, segmentName } from "../../src/formats/ewf/names.js";
import { memorySource } from "../../src/source/memory.js";
import { ImageError } from "../../src/util/errors.js";
import { mixed, noise, text } from "../support/content.js";
import { describeDriver } from "../support/contract.js";
import { adler, buildEwf, type EwfShape } from "../support/ewf-builder.js";
import { requireProgram, run } from "../support/qemu.js";
import { difference, flatOf, imageErrorOf, readRange } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const disk = mixed(3, 20 * 4096 + 1536);
const shapes = {
  "chunks of 4 KiB": { disk, sectorsPerChunk: 8 },
  "tables of five chunks": { disk, sectorsPerChunk: 8, tableEntries: 5 },
  "tables with a base": { disk, sectorsPerChunk: 8, tableEntries: 9, base: true },
  "nothing compressed": { disk: noise(2, 30 * 512), sectorsPerChunk: 4, packed: () => false },
  "everything compressed": { disk, sectorsPerChunk: 8, packed: () => true },
  "written by SMART": { disk, sectorsPerChunk: 8, style: "smart", tableEntries: 7 },
} as const satisfies Record<string, EwfShape>;

/** The files of an image by their names. */
function filesOf(shape: EwfShape, first = "image.E01"): Record<string, Buffer> {
  return Object.fromEntries(buildEwf(shape).segments.map((segment, index) => [segmentName(first, index + 1) ?? "", segment]));
}

const inSegments = { disk, sectorsPerChunk: 8, tableEntries: 3, tablesPerSegment: 2 } as const satisfies EwfShape;

describeDriver(ewf, [
  ...Object.entries<EwfShape>(shapes).map(([name, shape]) => ({ name, image: buildEwf(shape).segments[0] as Buffer, disk: shape.disk })),
  { name: "image.E01", image: buildEwf(inSegments).segments[0] as Buffer, disk, parts: filesOf(inSegments) },
]);

function open(files: Readonly<Record<string, Buffer>>, options: { first?: string; degraded?: boolean } = {}): Layer {
  const { first = "image.E01", degraded = false } = options;
  const part = (name: string) => {
    const content = files[name];
    if (!content) throw new ImageError("PART_MISSING", `there is no ${name}`, { file: first });
    return memorySource(name, content);
  };
  return ewf.open(
    memorySource(first, part(first).size > 0 ? (files[first] as Buffer) : Buffer.alloc(0)),
    { part, parent: () => expect.fail(), degraded },
    {},
  );
}

function changed(content: Buffer, at: number, bytes: readonly number[] | Buffer): Buffer {
  const copy = Buffer.from(content);
  copy.set(bytes, at);
  return copy;
}

test.each([
  [1, 512],
  [64, 512],
  [2, 2048],
  [3, 4096],
])("chunks of %i sectors of %i bytes", (sectorsPerChunk, bytesPerSector) => {
  const content = mixed(9, bytesPerSector * 100);
  const layer = open({ "image.E01": buildEwf({ disk: content, sectorsPerChunk, bytesPerSector }).segments[0] as Buffer });
  expect(difference(readRange(layer, 0, layer.size), content)).toBeUndefined();
});

test("chunks within the section of their table, as SMART writes them", () => {
  const layer = open(filesOf({ ...shapes["written by SMART"], tablesPerSegment: 1 }, "disk.s01"), { first: "disk.s01" });
  expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
});

test("tables count from their base", () => {
  const { segments, tables } = buildEwf(shapes["tables with a base"]);
  expect(segments[0]?.readBigUInt64LE((tables[2]?.header ?? 0) + 8)).toBeGreaterThan(0n);
  expect(difference(readRange(open({ "image.E01": segments[0] as Buffer }), 0, disk.length), disk)).toBeUndefined();
});

describe("names of segments", () => {
  test("segments are found by their names: .E99, .EAA and on", () => {
    expect([1, 2, 99, 100, 101, 125, 126, 775, 776].map((number) => segmentName("a.E01", number))).toEqual([
      "a.E01",
      "a.E02",
      "a.E99",
      "a.EAA",
      "a.EAB",
      "a.EAZ",
      "a.EBA",
      "a.EZZ",
      "a.FAA",
    ]);
    expect(segmentName("a.E01", 99 + 22 * 676)).toBe("a.ZZZ");
    expect(segmentName("a.E01", 100 + 22 * 676)).toBeUndefined();
    expect(segmentName("a.s01", 100)).toBe("a.saa");
    expect(segmentName("a.dd", 2)).toBeUndefined();
    expect(firstNames("a.FAB")).toEqual(["a.F01", "a.E01", "a.S01"]);
  });

  test("segments are found by their names: more than 99", () => {
    const content = noise(4, 512 * 120);
    const layer = open(filesOf({ disk: content, sectorsPerChunk: 1, tableEntries: 1, tablesPerSegment: 1 }));
    expect(layer.facts().details["segments"]).toBe(120);
    expect(difference(readRange(layer, 0, layer.size), content)).toBeUndefined();
  });

  test("a later segment leads to the first one", () => {
    const directory = subdirectory(files);
    for (const [name, content] of Object.entries(filesOf(inSegments))) writeFileSync(join(directory, name), content);
    expect(difference(flatOf(join(directory, "image.E03")), disk)).toBeUndefined();
  });
});

describe("damage", () => {
  const whole = filesOf(inSegments);

  test("a missing segment is told, and with --degraded only its range fails", () => {
    const rest = Object.fromEntries(Object.entries(whole).filter(([name]) => name !== "image.E03"));
    expect(imageErrorOf(() => open(rest))).toMatchObject({ code: "PART_MISSING" });
    const layer = open(rest, { degraded: true });
    expect(difference(readRange(layer, 0, 12 * 4096), disk.subarray(0, 12 * 4096))).toBeUndefined();
    expect(layer.map(12 * 4096, 10 ** 6)).toMatchObject({
      kind: "damaged",
      length: disk.length - 12 * 4096,
      error: { code: "PART_MISSING" },
    });
    expect(layer.facts().notes).toEqual([expect.stringContaining("12 of 21 chunks are there")]);
  });

  test("a segment of another image, or in the wrong place, is refused", () => {
    const other = filesOf({ ...inSegments, identifier: 8 });
    expect(imageErrorOf(() => open({ ...whole, "image.E02": other["image.E02"] as Buffer }))).toMatchObject({
      message: expect.stringContaining("another image") as string,
    });
    expect(imageErrorOf(() => open({ ...whole, "image.E02": whole["image.E03"] as Buffer }))).toMatchObject({
      message: expect.stringContaining("segment 3") as string,
    });
  });

  test("the copy of a table is used where the first is damaged", () => {
    const { segments, tables } = buildEwf(shapes["tables of five chunks"]);
    const image = segments[0] as Buffer;
    for (const at of [0, 3, 24, 30]) {
      const layer = open({ "image.E01": changed(image, (tables[2]?.header ?? 0) + at, [0x55]) });
      expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
    }
  });

  test("a table of which both copies are damaged is damage, and shifts nothing", () => {
    const { segments, tables } = buildEwf(shapes["tables of five chunks"]);
    const [first, second] = [tables[2]?.header ?? 0, tables[3]?.header ?? 0];
    const entries = open({ "image.E01": changed(changed(segments[0] as Buffer, first + 28, [0x55]), second + 32, [0x55]) });
    expect(entries.map(5 * 4096, 1)).toMatchObject({
      kind: "damaged",
      error: { message: expect.stringContaining("wrong checksum") as string },
    });
    expect(difference(readRange(entries, 10 * 4096, 10_000), disk.subarray(10 * 4096, 10 * 4096 + 10_000))).toBeUndefined();
    const counts = open({ "image.E01": changed(changed(segments[0] as Buffer, first, [4]), second, [6]) });
    expect(counts.map(5 * 4096, 10 ** 6)).toMatchObject({ kind: "damaged", length: disk.length - 5 * 4096 });
  });

  test("what a cut file still has is read", () => {
    const image = buildEwf(shapes["tables of five chunks"]).segments[0] as Buffer;
    const layer = open({ "image.E01": image.subarray(0, image.length * 0.7) });
    expect(difference(readRange(layer, 0, 10 * 4096), disk.subarray(0, 10 * 4096))).toBeUndefined();
    expect(layer.map(disk.length - 1, 1)).toMatchObject({ kind: "damaged", error: { code: "TRUNCATED" } });
  });

  test.each([
    ["logical evidence", "LVF\x09\x0d\x0a\xff\0", "logical evidence file (L01)"],
    ["logical evidence of version 2", "LEF2\x0d\x0a\x81\0", "Lx01"],
    ["version 2", "EVF2\x0d\x0a\x81\0", "Ex01"],
    ["AD encryption", "ADCRYPT\0", "AD encryption"],
  ])("what cannot be read: %s", (_, signature, message) => {
    const image = Buffer.from(signature.padEnd(600, "\0"), "latin1");
    expect(ewf.probe({ head: image, tail: image.subarray(-512), size: 600 })).toBe(true);
    expect(imageErrorOf(() => open({ "image.E01": image }))).toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining(message) as string,
    });
  });
});

test("positions that use the bit for compression, behind 2 GiB", () => {
  // The file begins 2 GiB less 3 KiB before its chunks, which is all holes.
  const content = noise(5, 16 * 512);
  const { segments, tables } = buildEwf({ disk: content, sectorsPerChunk: 1, packed: () => false });
  const image = segments[0] as Buffer;
  const [header, copy] = [tables[0]?.header ?? 0, tables[1]?.header ?? 0];
  const data = image.readUInt32LE(header + 24);
  const shift = 2 ** 31 - 3072 - data;
  const far = Buffer.from(image);
  for (const at of [header, copy]) {
    for (let entry = 0; entry < 16; entry += 1) far.writeUInt32LE(image.readUInt32LE(at + 24 + 4 * entry) + shift, at + 24 + 4 * entry);
    far.writeUInt32LE(adler(far.subarray(at + 24, at + 24 + 64)), at + 24 + 64);
  }
  const inner = memorySource("image.E01", far);
  // The sections stay where they are; what is asked of beyond 2 GiB less 3 KiB is the chunks.
  const source = {
    ...inner,
    size: 2 ** 31 + 2 ** 20,
    read: (target: Uint8Array, position: number) => inner.read(target, position >= 2 ** 31 - 3072 ? position - shift : position),
  };
  const sectors = data - 76;
  far.writeBigUInt64LE(BigInt(header - 76), sectors + 16);
  const layer = ewf.open(source, { part: () => expect.fail(), parent: () => expect.fail(), degraded: false }, {});
  // Only the last chunk is bounded by the section's end, which is not moved.
  expect(difference(readRange(layer, 0, 15 * 512), content.subarray(0, 15 * 512))).toBeUndefined();
});

test("a size that was never filled in is that of the chunks", () => {
  for (const packed of [() => true, () => false]) {
    const image = buildEwf({ disk, sectorsPerChunk: 8, sectors: 0, packed }).segments[0] as Buffer;
    const layer = open({ "image.E01": image });
    expect(layer.size).toBe(disk.length);
    expect(layer.facts().notes).toEqual([expect.stringContaining("does not tell the size")]);
    expect(difference(readRange(layer, 0, layer.size), disk)).toBeUndefined();
  }
  const filled = open({
    "image.E01": buildEwf({ disk, sectorsPerChunk: 8, sectors: 0, copySectors: disk.length / 512 }).segments[0] as Buffer,
  });
  expect(filled.size).toBe(disk.length);
  expect(filled.facts().notes).toEqual([]);
});

describe("what was written down", () => {
  const digests = { md5: createHash("md5").update(disk).digest(), sha1: createHash("sha1").update(disk).digest() };
  const header = "3\nmain\na\tc\tn\te\tt\tav\tm\nstick\tcase 1\t17\tM. Muster\t\t7.0\t1142163845\n\n";
  const image = buildEwf({
    disk,
    sectorsPerChunk: 8,
    digests,
    unread: [
      [3, 2],
      [9, 1],
    ],
    header,
  }).segments[0] as Buffer;

  test("is told", () => {
    const { details, notes } = open({ "image.E01": image }).facts();
    expect(details).toMatchObject({
      "case number": "case 1",
      examiner: "M. Muster",
      acquired: "2006-03-12T11:44:05.000Z",
      MD5: digests.md5.toString("hex"),
      SHA1: digests.sha1.toString("hex"),
    });
    expect(notes).toEqual(["3 sectors could not be read when it was made; they are stored as zeros."]);
  });

  test("a chunk that is stored as it is, and does not fit its checksum, is not shown; what is beside it is", () => {
    const at = image.indexOf(disk.subarray(0, 64));
    const layer = open({ "image.E01": changed(image, at + 5, [(image[at + 5] ?? 0) ^ 1]) });
    const chunk = 8 * 512;
    expect(imageErrorOf(() => readRange(layer, chunk - 1, 1))).toMatchObject({
      code: "CORRUPT",
      message: expect.stringContaining("has the checksum") as string,
    });
    expect(difference(readRange(layer, chunk, disk.length - chunk), disk.subarray(chunk))).toBeUndefined();
  });

  test("digests and the checksums of chunks are compared by an audit", () => {
    const found = (content: Buffer) => {
      const kinds: string[] = [];
      open({ "image.E01": content }).audit?.({
        found: ({ kind }) => void kinds.push(kind),
        doubtful: () => undefined,
        progress: () => undefined,
      });
      return kinds;
    };
    expect(found(image)).toEqual([]);
    // The first chunk of mixed content is noise, and so stored as it is.
    const at = image.indexOf(disk.subarray(0, 64));
    expect(found(changed(image, at + 5, [(image[at + 5] ?? 0) ^ 1]))).toEqual(["checksum wrong", "digest differs", "digest differs"]);
  });
});

const files = tempDirectory();

describe.skipIf(!requireProgram("ewfacquirestream") || !requireProgram("ewfexport"))("libewf", () => {
  const content = Buffer.concat([mixed(8, 3 * 2 ** 20), text(1, 512 * 1000), Buffer.alloc(2 ** 20), noise(2, 512 * 33)]);

  test.each([
    ["encase6", "deflate:fast", 64],
    ["encase5", "deflate:best", 128],
    ["encase1", "deflate:fast", 64],
    ["encase2", "none", 64],
    ["ftk", "deflate:empty-block", 64],
    ["linen6", "none", 1024],
    ["smart", "deflate:fast", 64],
    ["ewfx", "deflate:fast", 64],
  ])("what ewfacquire writes: %s, %s, chunks of %i sectors", (format, compression, sectors) => {
    const directory = subdirectory(files);
    const raw = join(directory, "disk.raw");
    writeFileSync(raw, content);
    const options = [
      "-u",
      "-q",
      "-c",
      compression,
      "-f",
      format,
      "-b",
      String(sectors),
      "-S",
      "1MiB",
      "-d",
      "sha1",
      "-D",
      "a disk",
      "-C",
      "case",
    ];
    run("ewfacquire", [...options, "-t", join(directory, "image"), raw]);
    const names = readdirSync(directory)
      .filter((name) => /^image\./.test(name))
      .sort();
    expect(names.length).toBeGreaterThan(1);
    expect(difference(flatOf(join(directory, names[0] ?? "")), content)).toBeUndefined();
  });

  test("ewfexport reads what the builder makes", () => {
    const directory = subdirectory(files);
    for (const [name, bytes] of Object.entries(filesOf(inSegments))) writeFileSync(join(directory, name), bytes);
    run("ewfexport", ["-u", "-q", "-f", "raw", "-t", join(directory, "out"), join(directory, "image.E01")]);
    expect(difference(readFileSync(join(directory, "out.raw")), disk)).toBeUndefined();
  });
});
