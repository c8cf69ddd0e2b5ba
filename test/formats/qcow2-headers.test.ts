// qcow2 headers and header extensions, built by hand: what must be ignored, what must be refused.
import { describe, expect, test } from "vitest";
import { builtDisks } from "../support/built.js";
import { noise } from "../support/content.js";
import { deflated } from "../support/packing.js";
import { buildQcow2, type Recipe } from "../support/qcow2-builder.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { featureNames } from "../support/qcow2-header.js";
import { imageErrorOf, refusalOf, withDisk } from "../support/reading.js";

const CLUSTER = 4096;
const { write, expectDisk } = builtDisks();
const stored = (seed: number): Cluster => ({ kind: "data", content: noise(seed, CLUSTER) });
const base: Recipe = {
  size: 12 * CLUSTER,
  seed: 2,
  clusters: new Map([
    [1, stored(1)],
    [4, stored(4)],
    [5, { kind: "zero" }],
    [11, stored(11)],
  ]),
};
const version2: Recipe = {
  ...base,
  version: 2,
  clusters: new Map([
    [1, stored(1)],
    [4, stored(4)],
    [11, stored(11)],
  ]),
};
const parent = noise(77, 12 * CLUSTER);
const backing = { name: "base.bin", format: "raw" };

describe("what a qcow2 header may hold", () => {
  test.each([104, 112, 120, 256])("version 3, %i bytes", (headerLength) => {
    const recipe: Recipe = { ...base, headerLength };
    expectDisk(write({ "disk.qcow2": recipe }), recipe);
  });

  test("fields that are not known yet", () => {
    const recipe: Recipe = { ...base, headerLength: 200, headerTail: Buffer.concat([Buffer.alloc(7), noise(1, 100)]) };
    expectDisk(write({ "disk.qcow2": recipe }), recipe, { judge: "read" });
  });

  test("version 2: what follows its 72 bytes are extensions and never features", () => {
    const junk = [{ type: 0xffff_ffff, data: Buffer.alloc(48, 0xff) }];
    const recipe: Recipe = { ...version2, extensions: junk, backing: { name: "base.bin" } };
    const path = write({ "disk.qcow2": recipe, "base.bin": parent });
    expect(buildQcow2(recipe).bytes.readBigUInt64BE(72)).toBe(0xffff_ffff_0000_0030n);
    expectDisk(path, recipe, { parent, judge: "read" });
  });

  test("version 2: nothing but junk behind it and no backing file", () => {
    const { bytes } = buildQcow2(version2);
    // An end marker, then bytes that a version 3 header would have features in.
    bytes.fill(0xff, 80, 200);
    expectDisk(write({ "disk.qcow2": bytes }), version2);
  });

  test("extensions that are not known, of any length", () => {
    const lengths = [0, 1, 7, 8, 9, 300];
    const recipe: Recipe = {
      ...base,
      backing,
      extensions: lengths.map((length, index) => ({ type: 0x1234_0000 + index, data: noise(index, length) })),
    };
    expectDisk(write({ "disk.qcow2": recipe, "base.bin": parent }), recipe, { parent });
  });

  test("no end marker: the extensions end where the backing file's name begins", () => {
    const recipe: Recipe = { ...base, backing, endMarker: false, extensions: [featureNames({ 0: "dirty bit" })] };
    expectDisk(write({ "disk.qcow2": recipe, "base.bin": parent }), recipe, { parent });
  });

  test("a backing file's name of 8 bytes that would be an extension", () => {
    const recipe: Recipe = { ...base, endMarker: false, backing: { name: "\x44\x41\x54\x41ab.bin" } };
    expectDisk(write({ "disk.qcow2": recipe, "DATAab.bin": parent }), recipe, { parent, judge: "read" });
  });

  test("compatible and autoclear features that are not known", () => {
    const recipe: Recipe = { ...base, compatible: 0xffff_ffff_ffff_fffen, autoclear: 0xffff_ffff_ffff_fff0n };
    expectDisk(write({ "disk.qcow2": recipe }), recipe, { judge: "read" });
  });

  test.each([
    { name: "dirty", incompatible: 1n },
    { name: "corrupt", incompatible: 2n },
  ])("marked $name", ({ incompatible }) => {
    const recipe: Recipe = { ...base, incompatible };
    expectDisk(write({ "disk.qcow2": recipe }), recipe, { judge: "read" });
  });

  test("reference counts that make no sense", () => {
    const { bytes } = buildQcow2(base);
    bytes.fill(0xff, 48, 60);
    expectDisk(write({ "disk.qcow2": bytes }), base, { judge: "none" });
  });
});

describe("what is refused, and how", () => {
  function refuse(recipe: Recipe): ReturnType<typeof refusalOf> {
    return refusalOf(write({ "disk.qcow2": recipe }));
  }

  test("an incompatible feature by its name", () => {
    const error = refuse({ ...base, incompatible: 1n << 7n, extensions: [featureNames({ 3: "other", 7: "frobnicate" })] });
    expect(error.code).toBe("UNSUPPORTED");
    expect(error.message).toContain("frobnicate");
    expect(error.message).not.toContain("other");
  });

  test("a name of full length without NUL, and one with control characters", () => {
    const full = refuse({ ...base, incompatible: 1n << 63n, extensions: [featureNames({ 63: "n".repeat(46) })] });
    expect(full.message).toContain("n".repeat(46));
    expect(full.message).not.toContain("n".repeat(47));
    const evil = refuse({ ...base, incompatible: 1n << 8n, extensions: [featureNames({ 8: "\x1b[2Jevil" })] });
    expect(evil.message).not.toContain("\x1b");
  });

  test.each([5, 7, 31, 32, 63])("an incompatible feature without name, bit %i", (bit) => {
    const error = refuse({ ...base, incompatible: 1n << BigInt(bit) });
    expect(error.code).toBe("UNSUPPORTED");
    expect(error.message).toMatch(new RegExp(`\\b${bit}\\b`));
  });

  test.each([
    { method: 1, code: "KEY_NEEDED", word: /AES/ },
    // Without a LUKS header.
    { method: 2, code: "CORRUPT", word: /LUKS/ },
  ])("encryption method $method", ({ method, code, word }) => {
    const error = refuse({ ...base, cryptMethod: method });
    expect(error.code).toBe(code);
    expect(error.message).toMatch(word);
  });

  test("an encryption method nobody knows", () => {
    expect(refuse({ ...base, cryptMethod: 3 }).code).toMatch(/^(CORRUPT|UNSUPPORTED)$/);
  });

  test.each([
    { name: "type 2", recipe: { compressionType: 2 } },
    { name: "a type without its feature bit", recipe: {}, patch: { at: 104, byte: 1 } },
    { name: "the feature bit without a type", recipe: { incompatible: 8n } },
    { name: "the feature bit where the header has no room for a type", recipe: { incompatible: 8n, headerLength: 104 } },
  ])("compression: $name", ({ recipe, patch }) => {
    const content = noise(3, CLUSTER);
    const { bytes } = buildQcow2({ ...base, clusters: new Map([[2, { kind: "packed", content, stored: deflated(content) }]]), ...recipe });
    if (patch) bytes[patch.at] = patch.byte;
    expect(refusalOf(write({ "disk.qcow2": bytes })).code).toMatch(/^(CORRUPT|UNSUPPORTED)$/);
  });

  test.each([4, 5, 2 ** 32 - 1])("version %i", (version) => {
    const { bytes } = buildQcow2(base);
    bytes.writeUInt32BE(version, 4);
    const path = write({ "disk.qcow2": bytes });
    expect(refusalOf(path, { format: "qcow2" }).code).toMatch(/^(UNSUPPORTED|WRONG_FORMAT)$/);
    // Without being told the format it must not be shown as a raw disk either.
    expect(imageErrorOf(() => withDisk(path, {}, () => undefined))?.code).toMatch(/^(UNSUPPORTED|WRONG_FORMAT)$/);
  });

  const numbers: readonly { field: string; at: number; size: 4 | 8; values: readonly (number | bigint)[] }[] = [
    { field: "cluster_bits", at: 20, size: 4, values: [0, 8, 22, 31, 32, 63, 2 ** 32 - 1] },
    { field: "size", at: 24, size: 8, values: [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 50n] },
    { field: "l1_size", at: 36, size: 4, values: [0, 2 ** 22 + 1, 2 ** 31, 2 ** 32 - 1] },
    { field: "l1_table_offset", at: 40, size: 8, values: [0, 8, 512, CLUSTER + 512, 2n ** 40n, 2n ** 63n, 2n ** 64n - 4096n] },
    { field: "header_length", at: 100, size: 4, values: [0, 72, 103, CLUSTER + 8, 2 ** 31, 2 ** 32 - 8] },
  ];

  test.each(numbers.flatMap(({ values, ...field }) => values.map((value) => ({ ...field, value }))))(
    "$field $value",
    ({ at, size, value }) => {
      const { bytes } = buildQcow2(base);
      if (size === 4) bytes.writeUInt32BE(Number(value), at);
      else bytes.writeBigUInt64BE(BigInt(value), at);
      const started = performance.now();

      const error = refusalOf(write({ "disk.qcow2": bytes }), { format: "qcow2" });

      expect(error.code).toMatch(/^(CORRUPT|UNSUPPORTED|TRUNCATED)$/);
      expect(error.file).toContain("disk.qcow2");
      expect(performance.now() - started).toBeLessThan(1000);
    },
  );

  test.each([
    { name: "longer than the rest of the cluster", at: 116, value: CLUSTER },
    { name: "of 4 GiB", at: 116, value: 2 ** 32 - 1 },
  ])("an extension $name", ({ at, value }) => {
    const { bytes } = buildQcow2({ ...base, extensions: [{ type: 0x1111_1111, data: Buffer.alloc(8) }] });
    bytes.writeUInt32BE(value, at);
    expect(refusalOf(write({ "disk.qcow2": bytes })).code).toMatch(/^(CORRUPT|TRUNCATED)$/);
  });

  test.each([1024, 2 ** 32 - 1])("a backing file's name of %i bytes", (length) => {
    const { bytes } = buildQcow2({ ...base, backing });
    bytes.writeUInt32BE(length, 16);
    expect(refusalOf(write({ "disk.qcow2": bytes, "base.bin": parent })).code).toMatch(/^(CORRUPT|UNSUPPORTED|TRUNCATED)$/);
  });

  test.each([2n ** 40n, 2n ** 63n, BigInt(CLUSTER - 3)])("a backing file's name at %i", (position) => {
    const { bytes } = buildQcow2({ ...base, backing });
    bytes.writeBigUInt64BE(position, 8);
    expect(refusalOf(write({ "disk.qcow2": bytes, "base.bin": parent })).code).toMatch(/^(CORRUPT|UNSUPPORTED|TRUNCATED)$/);
  });
});
