// Encrypted qcow2 images, written by QEMU and by the builder, and read by us and by QEMU.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { createBlockCache } from "../../src/disk/cache.js";
import { readDisk } from "../../src/disk/read.js";
import type { FormatDriver } from "../../src/formats/driver.js";
import { qcow2 } from "../../src/formats/qcow2/index.js";
import { activity } from "../support/activity.js";
import { mixed, noise, text } from "../support/content.js";
import { describeDriver } from "../support/contract.js";
import { withAes, withLuks } from "../support/encrypted-qcow2.js";
import { buildLuks, type LuksRecipe } from "../support/luks-builder.js";
import { deflated } from "../support/packing.js";
import { buildQcow2, type Recipe } from "../support/qcow2-builder.js";
import { expectedDisk } from "../support/qcow2-expected.js";
import type { Cluster } from "../support/qcow2-entries.js";
import { requireProgram } from "../support/qemu.js";
import { changeEncrypted, createEncrypted, type EncryptedFile, flatEncrypted, snapshotEncrypted } from "../support/qemu-encryption.js";
import { difference, flatOf, readRange, type ReadOptions, refusalOf, withDisk } from "../support/reading.js";
import { subdirectory, tempDirectory } from "../support/temp.js";

const qemu = requireProgram("qemu-img") && requireProgram("qemu-io");
const CLUSTER = 4096;
const SECRET = "correct horse battery";
const directory = tempDirectory();

const data = (seed: number, size = CLUSTER): Cluster => ({ kind: "data", content: mixed(seed, size) });
const packed = (seed: number, size = CLUSTER): Cluster => {
  const content = text(seed, size);
  return { kind: "packed", content, stored: deflated(content) };
};
const recipe: Recipe = {
  size: 14 * CLUSTER - 512,
  seed: 3,
  clusters: new Map([
    [0, data(1)],
    [1, data(2)],
    [3, { kind: "zero" }],
    [4, packed(4)],
    [6, { kind: "zero", stale: noise(6, CLUSTER) }],
    [7, data(7)],
    [8, data(8)],
    [9, data(9)],
    [13, data(13)],
  ]),
};
const inOrder: Recipe = { ...recipe, seed: 0 };
const extended: Recipe = {
  size: 3 * 65_536,
  clusterBits: 16,
  extended: true,
  seed: 5,
  clusters: new Map<number, Cluster>([
    [0, { kind: "parts", content: noise(1, 65_536), allocated: 0x8000_ff05, zero: 0x0100_00f8 }],
    [1, packed(2, 65_536)],
    [2, { kind: "parts", content: noise(3, 65_536), allocated: 0xfffe_0000, zero: 0 }],
  ]),
};
const large: Recipe = {
  size: 3 * 2 ** 20 + 512,
  clusterBits: 20,
  clusters: new Map([
    [0, data(1, 2 ** 20)],
    [3, data(3, 2 ** 20)],
  ]),
};
const quick: LuksRecipe = { passwords: [SECRET], stripes: 4, iterations: 2 };

/** A file of its own in the tests' directory. */
function write(bytes: Uint8Array, name = "disk.img"): string {
  const path = join(subdirectory(directory), name);
  writeFileSync(path, bytes);
  return path;
}

const file = (path: string, password = SECRET): EncryptedFile => ({ path, format: "qcow2", password });
const passwords = (...given: readonly string[]): ReadOptions => ({ passwords: given });

/** We read what the builder meant, and so does QEMU. */
function expectDisk(path: string, expected: Uint8Array, password = SECRET): void {
  expect(difference(flatOf(path, passwords(password)), expected)).toBeUndefined();
  if (qemu) expect(difference(flatEncrypted(file(path, password)), expected)).toBeUndefined();
}

/** The driver as a user with the password gets it. */
const withSecret: FormatDriver = {
  ...qcow2,
  open: (source, opener, options) => qcow2.open(source, opener, { ...options, passwords: [SECRET] }),
};

describeDriver(withSecret, [
  { name: "AES", image: withAes(recipe, SECRET).bytes, disk: expectedDisk(recipe) },
  { name: "AES, clusters in order", image: withAes(inOrder, SECRET).bytes, disk: expectedDisk(inOrder) },
  { name: "LUKS", image: withLuks(recipe, buildLuks(quick)).bytes, disk: expectedDisk(recipe) },
  { name: "LUKS, subclusters", image: withLuks(extended, buildLuks(quick)).bytes, disk: expectedDisk(extended) },
]);

describe("LUKS in qcow2, by the builder", () => {
  test.each<LuksRecipe & { readonly as?: string; readonly image?: Recipe }>([
    {},
    { keyBytes: 32, hash: "sha1" },
    { keyBytes: 64, hash: "sha512", cipherMode: "xts-plain" },
    { keyBytes: 32, hash: "ripemd160", cipherMode: "xts-essiv:sha256" },
    { keyBytes: 16, cipherMode: "cbc-plain64" },
    { keyBytes: 32, cipherMode: "cbc-plain", hash: "sha224" },
    { keyBytes: 16, cipherMode: "cbc-essiv:sha256", hash: "sha1" },
    { keyBytes: 32, cipherMode: "cbc-essiv:sha256", hash: "sha384" },
    { keyBytes: 32, cipherMode: "ecb-plain64" },
    { keyBytes: 16, cipherMode: "ctr-plain64" },
    { as: "subclusters", image: extended },
    { as: "clusters of 1 MiB", image: large },
    {
      as: "version 2",
      image: { ...recipe, version: 2, clusters: new Map([...recipe.clusters].filter(([, { kind }]) => kind !== "zero")) },
    },
    {
      as: "clusters of 512 bytes",
      image: { ...recipe, clusterBits: 9, size: 7 * 512, clusters: new Map([0, 1, 2, 4, 6].map((each) => [each, data(each, 512)])) },
    },
  ])("$as $cipherMode $keyBytes $hash", ({ image = recipe, ...luks }) => {
    const built = withLuks(image, buildLuks({ passwords: [SECRET], ...luks }));
    expectDisk(write(built.bytes), expectedDisk(image));
  });

  test.each([24, 48])("keys of %i bytes, which QEMU trips over", (keyBytes) => {
    const built = withLuks(recipe, buildLuks({ ...quick, keyBytes, cipherMode: keyBytes === 24 ? "cbc-essiv:sha256" : "xts-plain64" }));
    expect(difference(flatOf(write(built.bytes), passwords(SECRET)), expectedDisk(recipe))).toBeUndefined();
  });

  test("any of several passwords, in any key slot", () => {
    const built = withLuks(
      recipe,
      buildLuks({ passwords: [undefined, "eins", undefined, "zwei", undefined, undefined, undefined, "acht"] }),
    );
    const path = write(built.bytes);
    expectDisk(path, expectedDisk(recipe), "eins");
    expectDisk(path, expectedDisk(recipe), "zwei");
    expect(difference(flatOf(path, passwords("falsch", "acht", "wrong")), expectedDisk(recipe))).toBeUndefined();
  });

  test("the same cluster of the file at two places of the disk", () => {
    const built = withLuks(recipe, buildLuks(quick));
    const table = [...built.l2.values()][0] ?? 0;
    built.bytes.copyWithin(table + 8 * 10, table + 8 * 7, table + 8 * 8);
    const expected = expectedDisk(recipe);
    expected.copyWithin(10 * CLUSTER, 7 * CLUSTER, 8 * CLUSTER);
    expect(difference(flatOf(write(built.bytes), passwords(SECRET)), expected)).toBeUndefined();
  });
});

describe.skipIf(!qemu)("LUKS in qcow2, by QEMU", () => {
  const size = 700 * 1024 + 512;
  let home = "";
  /** Nothing written yet. */
  let empty = "";
  beforeAll(() => {
    home = subdirectory(directory);
    empty = join(home, "empty.img");
    createEncrypted(file(empty), size, { "encrypt.format": "luks", "encrypt.iter-time": 10 });
  }, 60_000);
  const copyOf = (name: string) => {
    const path = join(home, name);
    copyFileSync(empty, path);
    return path;
  };

  test("QEMU's own choice of ciphers, and what it does to a disk", () => {
    const path = copyOf("used.img");
    changeEncrypted(
      file(path),
      activity({ size, clusterSize: 65_536, seed: 1, also: ["packed", "zero", "zero-unmap", "discard"], steps: 40 }),
    );
    const expected = flatEncrypted(file(path));
    expect(expected.length).toBe(size);
    expect(difference(flatOf(path, passwords(SECRET)), expected)).toBeUndefined();

    withDisk(path, passwords(SECRET), (layer) => {
      expect(layer.facts()).toMatchObject({ details: { encryption: "LUKS, aes-256-xts-plain64, sha256" }, notes: [] });
      // Small, so that blocks are dropped and decrypted again.
      const cache = createBlockCache(2 ** 17);
      fc.assert(
        fc.property(fc.nat(size - 1), fc.oneof(fc.nat(3000), fc.nat(200_000)), (offset, length) => {
          const target = Buffer.alloc(Math.min(length, size - offset), 0xee);
          readDisk(layer, target, offset, cache);
          expect(difference(target, expected.subarray(offset, offset + target.length))).toBeUndefined();
        }),
        { numRuns: 200 },
      );
    });
  });

  test.each<LuksRecipe>([
    { cipherMode: "xts-plain", keyBytes: 32, hash: "sha1" },
    { cipherMode: "cbc-essiv:sha256", keyBytes: 16, hash: "ripemd160" },
    { cipherMode: "cbc-plain64", keyBytes: 32, hash: "sha512" },
    { cipherMode: "ecb-plain64", keyBytes: 16 },
    { cipherMode: "ctr-plain64", keyBytes: 32 },
  ])("written with the key slots of the builder: %j", (luks) => {
    const path = copyOf(`${JSON.stringify(luks).replace(/\W+/g, "-")}.img`);
    const bytes = readFileSync(path);
    // The pointer to the LUKS header follows the fixed header.
    expect(bytes.readUInt32BE(112)).toBe(0x0537be77);
    const room = Number(bytes.readBigUInt64BE(128));
    const { header } = buildLuks({ passwords: [undefined, SECRET], ...luks });
    expect(header.length).toBeLessThanOrEqual(room);
    header.copy(bytes, Number(bytes.readBigUInt64BE(120)));
    writeFileSync(path, bytes);
    changeEncrypted(file(path), activity({ size, clusterSize: 65_536, seed: 2, also: ["zero", "discard"] }));
    expect(difference(flatOf(path, passwords(SECRET)), flatEncrypted(file(path)))).toBeUndefined();
  });

  test("subclusters and an external data file", () => {
    const path = join(home, "external.img");
    const options = { data_file: join(home, "external.bin"), extended_l2: "on", cluster_size: 32_768, "encrypt.format": "luks" };
    const cipher = { "encrypt.cipher-alg": "aes-128", "encrypt.cipher-mode": "cbc", "encrypt.ivgen-alg": "essiv" };
    const all = { ...options, ...cipher, "encrypt.ivgen-hash-alg": "sha256", "encrypt.hash-alg": "sha1", "encrypt.iter-time": 10 };
    createEncrypted(file(path), size, all);
    changeEncrypted(file(path), activity({ size, clusterSize: 32_768, seed: 3, also: ["zero", "zero-unmap", "discard"], steps: 40 }));
    expect(difference(flatOf(path, passwords(SECRET)), flatEncrypted(file(path)))).toBeUndefined();
    const facts = withDisk(path, passwords(SECRET), (layer) => layer.facts());
    expect(facts.details["encryption"]).toBe("LUKS, aes-128-cbc-essiv:sha256, sha1");
  }, 60_000);

  test("internal snapshots", () => {
    const path = copyOf("snapshots.img");
    changeEncrypted(file(path), activity({ size, clusterSize: 65_536, seed: 4 }));
    snapshotEncrypted(file(path), "-c", "first");
    changeEncrypted(file(path), activity({ size, clusterSize: 65_536, seed: 5 }));
    const [before, now] = [flatOf(path, { snapshot: "first", passwords: [SECRET] }), flatOf(path, passwords(SECRET))];
    expect(difference(before, now)).toBeDefined();
    expect(difference(now, flatEncrypted(file(path)))).toBeUndefined();
    snapshotEncrypted(file(path), "-a", "first");
    expect(difference(before, flatEncrypted(file(path)))).toBeUndefined();
  });

  test("chains of encrypted and unencrypted images, with two passwords", () => {
    const base = mixed(7, 400_000);
    writeFileSync(join(home, "base.bin"), base);
    const middle = join(home, "middle.img");
    const more = ["-b", "base.bin", "-F", "raw"];
    createEncrypted(file(middle), size, { "encrypt.format": "aes" }, more);
    changeEncrypted(file(middle), [
      { kind: "write", at: 70_000, content: noise(1, 9000) },
      { kind: "zero", at: 131_072, length: 65_536 },
    ]);
    const expected = Buffer.alloc(size);
    base.copy(expected);
    noise(1, 9000).copy(expected, 70_000);
    expected.fill(0, 131_072, 196_608);
    expectDisk(middle, expected);

    const top: Recipe = {
      size: 8 * 65_536,
      clusterBits: 16,
      clusters: new Map([[3, data(3, 65_536)]]),
      backing: { name: "middle.img", format: "qcow2" },
    };
    const bare = join(home, "top.img");
    writeFileSync(bare, buildQcow2(top).bytes);
    const sealed = join(home, "sealed.img");
    writeFileSync(sealed, withLuks(top, buildLuks({ passwords: ["another"] })).bytes);
    const seen = Buffer.from(expected.subarray(0, top.size));
    mixed(3, 65_536).copy(seen, 3 * 65_536);
    for (const given of [
      ["another", SECRET],
      [SECRET, "another"],
    ]) {
      expect(difference(flatOf(bare, passwords(...given)), seen)).toBeUndefined();
      expect(difference(flatOf(sealed, passwords(...given)), seen)).toBeUndefined();
    }
    const backing = { driver: "qcow2", file: { driver: "file", filename: middle }, encrypt: { "key-secret": "below" } };
    const theirs = flatEncrypted({ ...file(sealed, "another"), more: { backing }, secrets: { below: SECRET } });
    expect(difference(theirs, seen)).toBeUndefined();
  });
});

describe("AES in qcow2", () => {
  test.each<{ readonly as: string; readonly image: Recipe; readonly password: string }>([
    { as: "out of order", image: recipe, password: SECRET },
    { as: "in order", image: inOrder, password: "x" },
    {
      as: "version 2",
      image: {
        ...inOrder,
        version: 2,
        clusters: new Map([
          [0, data(1)],
          [1, data(2)],
          [4, packed(4)],
          [9, data(9)],
        ]),
      },
      password: "exactly16letters",
    },
    { as: "subclusters", image: extended, password: SECRET },
    { as: "clusters of 1 MiB", image: large, password: SECRET },
  ])("$as, password $password", ({ image, password }) => {
    expectDisk(write(withAes(image, password).bytes), expectedDisk(image), password);
  });

  test.skipIf(!qemu).each([512, 4096, 65_536, 2 ** 21])("by QEMU, clusters of %i", (clusterSize) => {
    const path = join(subdirectory(directory), "disk.img");
    const size = clusterSize === 512 ? 200 * 1024 + 512 : 2 ** 21 + 512;
    createEncrypted(file(path), size, { "encrypt.format": "aes", cluster_size: clusterSize });
    changeEncrypted(file(path), activity({ size, clusterSize, seed: 6, also: ["packed", "zero", "zero-unmap", "discard"] }));
    snapshotEncrypted(file(path), "-c", "first");
    changeEncrypted(file(path), activity({ size, clusterSize, seed: 7 }));
    expect(difference(flatOf(path, passwords(SECRET)), flatEncrypted(file(path)))).toBeUndefined();
    const before = flatOf(path, { snapshot: "first", passwords: [SECRET] });
    snapshotEncrypted(file(path), "-a", "first");
    expect(difference(before, flatEncrypted(file(path)))).toBeUndefined();
  });

  const path = () => write(withAes(recipe, SECRET).bytes);
  const notesOf = (...given: readonly string[]) => withDisk(path(), passwords(...given), (layer) => layer.facts().notes);

  test("whether the password is right is not known, and said", () => {
    expect(notesOf(SECRET)).toEqual(["Nothing in it tells whether the password is the right one: with a wrong one it reads as noise."]);
    expect(notesOf("wrong")).toEqual([
      expect.stringContaining("Nothing in it tells"),
      "What was looked at does read as noise: the password may be wrong, or it is content that looks like noise.",
    ]);
  });

  test("of several passwords the one is taken that makes sense", () => {
    const expected = expectedDisk(recipe);
    for (const given of [
      ["wrong", SECRET],
      [SECRET, "wrong"],
      ["a", "b", "c", SECRET, "d"],
      [SECRET, SECRET],
    ]) {
      expect(difference(flatOf(path(), passwords(...given)), expected)).toBeUndefined();
    }
    // The first 16 bytes count.
    expect(difference(flatOf(path(), passwords("wrong", `${SECRET.slice(0, 16)} and more`)), expected)).toBeUndefined();
  });

  test("of several passwords the first, if the disk is noise whatever the password", () => {
    const dull: Recipe = { size: 2 * CLUSTER, clusters: new Map([[1, { kind: "data", content: noise(5, CLUSTER) }]]) };
    const image = write(withAes(dull, SECRET).bytes);
    expect(difference(flatOf(image, passwords(SECRET, "wrong")), expectedDisk(dull))).toBeUndefined();
    expect(difference(flatOf(image, passwords("wrong", SECRET)), flatOf(image, passwords("wrong")))).toBeUndefined();
  });
});

describe("encrypted qcow2 images that are refused", () => {
  const luks = () => withLuks(recipe, buildLuks(quick));

  test.each([
    { name: "AES", image: () => withAes(recipe, SECRET).bytes, given: [], word: /AES.*no password was given/ },
    { name: "LUKS", image: () => luks().bytes, given: [], word: /LUKS.*no password was given/ },
    { name: "LUKS, the wrong passwords", image: () => luks().bytes, given: ["wrong", ""], word: /no password that was given fits/ },
  ])("without the password: $name", ({ image, given, word }) => {
    const error = refusalOf(write(image()), passwords(...given));
    expect(error).toMatchObject({ code: "KEY_NEEDED", message: expect.stringMatching(word) as string });
    expect(error.hint).toContain("--password-file FILE");
  });

  test.each(["serpent", "twofish", "cast5"])("the cipher %s, by name", (cipherName) => {
    const { bytes, luksAt } = luks();
    bytes.write(`${cipherName}\0`, luksAt + 8);
    expect(refusalOf(write(bytes), passwords(SECRET))).toMatchObject({
      code: "UNSUPPORTED",
      message: `the image is encrypted with LUKS, and the cipher is "${cipherName}"; aes is the only one that is read here`,
    });
  });

  test.each([
    {
      name: "no pointer to the LUKS header",
      image: () => withAes(recipe, SECRET).bytes,
      method: 2,
      code: "CORRUPT",
      word: /no header extension/,
    },
    { name: "a pointer in an image that is not encrypted", image: () => luks().bytes, method: 0, code: "CORRUPT", word: /method is 0/ },
    { name: "a pointer in an image with AES", image: () => luks().bytes, method: 1, code: "CORRUPT", word: /method is 1/ },
    { name: "a method that nobody knows", image: () => withAes(recipe, SECRET).bytes, method: 3, code: "UNSUPPORTED", word: /method 3/ },
  ])("$name", ({ image, method, code, word }) => {
    const bytes = image();
    bytes.writeUInt32BE(method, 32);
    expect(refusalOf(write(bytes), passwords(SECRET))).toMatchObject({ code, message: expect.stringMatching(word) as string });
  });

  test.each([
    { name: "of 8 bytes", bytes: Buffer.alloc(8), code: "CORRUPT" },
    { name: "behind the file", bytes: Buffer.from("00000fffffffffff0000000000100000", "hex"), code: "TRUNCATED" },
    { name: "beyond 2^53", bytes: Buffer.from("ffffffffffffffff0000000000100000", "hex"), code: "CORRUPT" },
    { name: "to nothing", bytes: Buffer.alloc(16), code: "CORRUPT" },
  ])("a pointer $name", ({ bytes, code }) => {
    const built = withLuks({ ...recipe, extensions: [] }, buildLuks(quick)).bytes;
    const at = built.indexOf(Buffer.from("0537be77", "hex"));
    built.writeUInt32BE(bytes.length, at + 4);
    built.fill(0, at + 8, at + 40);
    bytes.copy(built, at + 8);
    expect(refusalOf(write(built), passwords(SECRET)).code).toBe(code);
  });

  test("cut inside an encrypted cluster, the rest is damaged and nothing else", () => {
    const alone: Recipe = {
      size: 3 * CLUSTER,
      clusters: new Map([
        [0, data(1)],
        [1, data(2)],
      ]),
    };
    const built = withAes(alone, SECRET);
    const last = built.data.get(1) ?? 0;
    const path = write(built.bytes.subarray(0, last + 1000));
    withDisk(path, passwords(SECRET), (layer) => {
      const expected = expectedDisk(alone);
      const whole = CLUSTER + 992;
      expect(difference(readRange(layer, 0, whole), expected.subarray(0, whole))).toBeUndefined();
      expect(layer.map(whole, 3000)).toMatchObject({ kind: "damaged", length: 3000, error: { code: "TRUNCATED" } });
      expect(difference(readRange(layer, 2 * CLUSTER, CLUSTER), expected.subarray(2 * CLUSTER))).toBeUndefined();
    });
  });
});

test("a block is never larger than 64 KiB, and begins where the cluster or a piece of it does", () => {
  const path = write(withLuks(large, buildLuks(quick)).bytes);
  withDisk(path, passwords(SECRET), (layer) => {
    for (const [offset, length] of [
      [0, 2 ** 20],
      [65_535, 2],
      [70_000, 100],
      [2 ** 20 - 1, 1],
    ] as const) {
      const extent = layer.map(offset, length);
      if (extent.kind !== "packed") throw new Error(`it is ${extent.kind}`);
      expect(extent.block.size).toBe(65_536);
      expect(extent.skip).toBe(offset % 65_536);
      expect(extent.length).toBe(Math.min(length, 65_536 - extent.skip));
    }
  });
});
