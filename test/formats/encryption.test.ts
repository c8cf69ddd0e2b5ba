// Sector ciphers, key splitting and key slots by themselves, against node:crypto and a builder that shares no code with them.
import { createCipheriv } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mergeStripes } from "../../src/formats/encryption/antiforensic.js";
import { hashNamed } from "../../src/formats/encryption/hashes.js";
import { unlockLuks } from "../../src/formats/encryption/luks.js";
import { chooseCipher } from "../../src/formats/encryption/luks-cipher.js";
import type { SectorCipher } from "../../src/formats/encryption/sector-ciphers.js";
import { memorySource } from "../../src/source/memory.js";
import { noise } from "../support/content.js";
import { buildLuks, encryptSectors, type LuksRecipe, splitKey } from "../support/luks-builder.js";
import { difference, imageErrorOf } from "../support/reading.js";

function cipherOf(mode: string, key: Uint8Array): SectorCipher {
  const choice = chooseCipher("aes", mode, key.length);
  if (typeof choice === "string") throw new Error(choice);
  return choice.create(key);
}

function decrypted(cipher: SectorCipher, stored: Uint8Array, sector: number): Buffer {
  const target = Buffer.alloc(stored.length, 0xee);
  cipher(Buffer.from(Uint8Array.from(stored).buffer), target, sector);
  return target;
}

const modes = [
  ...["cbc-plain", "cbc-plain64", "cbc-essiv:sha256", "cbc-essiv:md5", "ecb", "ecb-plain64", "ctr-plain64", "ctr-essiv:sha256"].flatMap(
    (mode) => [16, 24, 32].map((keyBytes) => ({ mode, keyBytes })),
  ),
  ...["xts-plain", "xts-plain64", "xts-essiv:sha256"].flatMap((mode) => [32, 48, 64].map((keyBytes) => ({ mode, keyBytes }))),
];

describe("sector ciphers", () => {
  test.each(modes)("aes, $mode, keys of $keyBytes bytes", ({ mode, keyBytes }) => {
    const key = noise(5, keyBytes);
    const cipher = cipherOf(mode, key);
    // Runs of all lengths one after another: what a cipher keeps between calls must not show.
    for (const [sector, length] of [
      [0, 512],
      [7, 65_536],
      [2 ** 32 - 2, 2048],
      [1, 16],
      [2 ** 44 + 3, 1024 + 48],
      [0, 4096],
      [3, 240],
    ] as const) {
      const content = noise(length, length);
      const stored = encryptSectors(content, sector, mode, key);
      expect(difference(decrypted(cipher, stored, sector), content), `${length} bytes at sector ${sector}`).toBeUndefined();
    }
  });

  test.each([
    {
      key: "00".repeat(32),
      sector: 0,
      content: "00".repeat(32),
      stored: "917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e",
    },
    {
      key: "11".repeat(16) + "22".repeat(16),
      sector: 0x3333333333,
      content: "44".repeat(32),
      stored: "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
    },
    {
      key: "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0" + "22".repeat(16),
      sector: 0x3333333333,
      content: "44".repeat(32),
      stored: "af85336b597afc1a900b2eb21ec949d292df4c047e0b21532186a5971a227a89",
    },
  ])("vector of IEEE 1619: $key", ({ key, sector, content, stored }) => {
    const cipher = cipherOf("xts-plain64", Buffer.from(key, "hex"));
    expect(decrypted(cipher, Buffer.from(stored, "hex"), sector).toString("hex")).toBe(content);
  });

  test("sector numbers over 2^32 wrap in plain, and do not in plain64", () => {
    const key = noise(6, 16);
    const content = noise(7, 512);
    const stored = encryptSectors(content, 3, "cbc-plain64", key);
    expect(difference(decrypted(cipherOf("cbc-plain", key), stored, 2 ** 32 + 3), content)).toBeUndefined();
    expect(difference(decrypted(cipherOf("cbc-plain64", key), stored, 2 ** 32 + 3), content)).toBeDefined();
  });

  test("a target anywhere in its buffer", () => {
    const key = noise(8, 64);
    const content = noise(9, 1024);
    const whole = Buffer.alloc(1027, 0xee);
    cipherOf("xts-plain64", key)(Buffer.from(Uint8Array.from(encryptSectors(content, 4, "xts-plain64", key)).buffer), whole.subarray(3), 4);
    expect(difference(whole.subarray(3), content)).toBeUndefined();
  });

  test.each([
    ["serpent", "xts-plain64", 64, /"serpent"; aes is the only one/],
    ["twofish", "cbc-essiv:sha256", 32, /"twofish"/],
    ["cast5", "cbc-plain64", 16, /"cast5"/],
    ["aes", "lrw-benbi", 48, /"lrw-benbi"; ecb, cbc, xts, ctr/],
    ["aes", "constructor-plain64", 32, /cipher mode/],
    ["aes", "cbc", 32, /plain, plain64 and essiv/],
    ["aes", "cbc-plain64be", 32, /"cbc-plain64be"/],
    ["aes", "cbc-essiv", 32, /"cbc-essiv"/],
    ["aes", "cbc-essiv:sha1", 32, /"cbc-essiv:sha1"/],
    ["aes", "cbc-essiv:whirlpool", 32, /whirlpool/],
    ["aes", "xts-plain64", 16, /the key has 16 bytes/],
    ["aes", "cbc-plain64", 64, /the key has 64 bytes/],
    ["aes", "ecb-plain", 0, /the key has 0 bytes/],
    ["aes\u001b[2J", "ecb", 16, /"aes\\x1b\[2J"/],
  ])("refused: %j, %s, a key of %i bytes", (name, mode, keyBytes, message) => {
    expect(chooseCipher(name, mode, keyBytes)).toMatch(message);
  });
});

describe("key splitting", () => {
  test.each(["md5", "sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160"])("a key comes together again, %s", (hash) => {
    const name = hashNamed(hash.toUpperCase());
    if (!name) throw new Error("the hash is not known");
    for (const keyBytes of [16, 24, 32, 48, 64]) {
      for (const stripes of [1, 2, 7, 50]) {
        const key = noise(keyBytes, keyBytes);
        const split = splitKey(key, stripes, hash, noise(stripes, keyBytes * (stripes - 1)));
        expect(difference(mergeStripes(split, keyBytes, stripes, name), key), `${keyBytes} bytes, ${stripes} stripes`).toBeUndefined();
      }
    }
  });
});

const PASSWORD = "sésame ouvre-toi";

/** The header somewhere in a file, as in an image. */
function fileOf(header: Uint8Array, at = 1536): { file: ReturnType<typeof memorySource>; area: { offset: number; length: number } } {
  const content = Buffer.concat([Buffer.alloc(at, 0x55), header]);
  return { file: memorySource("test.img", content), area: { offset: at, length: header.length } };
}

function unlock(header: Uint8Array, ...passwords: readonly string[]): ReturnType<typeof unlockLuks> {
  const { file, area } = fileOf(header);
  return unlockLuks(file, area, passwords);
}

describe("a LUKS header", () => {
  const small: LuksRecipe = { passwords: [PASSWORD], stripes: 5, iterations: 3 };

  test.each([
    ...["md5", "sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160"].map((hash) => ({ hash })),
    ...modes.map(({ mode, keyBytes }) => ({ cipherMode: mode, keyBytes })),
    { stripes: 4000, hash: "sha512", keyBytes: 48 },
    { stripes: 4000, hash: "sha1", keyBytes: 24, cipherMode: "cbc-essiv:sha256" },
    { stripes: 1 },
  ] satisfies LuksRecipe[])("%j", (recipe) => {
    const luks = buildLuks({ ...small, ...recipe });
    const { cipher } = unlock(luks.header, PASSWORD);
    const content = noise(3, 3 * 512);
    expect(difference(decrypted(cipher, luks.encrypt(content, 12_345), 12_345), content)).toBeUndefined();
  });

  test("each password is tried on each key slot", () => {
    const luks = buildLuks({ ...small, passwords: [undefined, "one", undefined, "", undefined, undefined, undefined, "eight"] });
    const content = noise(3, 512);
    const stored = luks.encrypt(content, 9);
    for (const passwords of [["one"], ["eight"], [""], ["wrong", "eight"], ["eight", "wrong"], ["wrong", "one", "eight"]]) {
      expect(difference(decrypted(unlock(luks.header, ...passwords).cipher, stored, 9), content), passwords.join()).toBeUndefined();
    }
  });

  test("tells what it is", () => {
    expect(unlock(buildLuks({ ...small, hash: "sha1", keyBytes: 32 }).header, PASSWORD).name).toBe("LUKS, aes-128-xts-plain64, sha1");
    expect(unlock(buildLuks({ ...small, cipherMode: "ecb-plain", keyBytes: 32 }).header, PASSWORD).name).toBe("LUKS, aes-256-ecb, sha256");
  });

  const header = () => Buffer.from(buildLuks(small).header);
  const changed = (change: (header: Buffer) => void) => {
    const content = header();
    change(content);
    return content;
  };

  test.each([
    ["no password", header(), [], "KEY_NEEDED", /no password was given/, /--password-file FILE/],
    ["a wrong password", header(), ["sesame"], "KEY_NEEDED", /no password that was given fits$/, /--password-file FILE/],
    ["another normal form of the same letters", header(), [PASSWORD.normalize("NFD")], "KEY_NEEDED", /fits$/, /./],
    ["no key slot", changed((bytes) => bytes.writeUInt32BE(0xdead, 208)), [PASSWORD], "KEY_NEEDED", /erased/, /^$/],
    ["something else", changed((bytes) => bytes.write("X", 0)), [PASSWORD], "CORRUPT", /no LUKS header/, /^$/],
    ["version 2", changed((bytes) => bytes.writeUInt16BE(2, 6)), [PASSWORD], "UNSUPPORTED", /version is 2/, /^$/],
    ["an unknown hash", changed((bytes) => bytes.write("whirlpool\0", 72)), [PASSWORD], "UNSUPPORTED", /"whirlpool"; md5, sha1/, /^$/],
    [
      "an unknown cipher",
      changed((bytes) => bytes.write("serpent\0", 8)),
      [PASSWORD],
      "UNSUPPORTED",
      /LUKS, and the cipher is "serpent"/,
      /^$/,
    ],
    ["an unknown cipher, no password", changed((bytes) => bytes.write("cast5\0", 8)), [], "UNSUPPORTED", /cast5/, /^$/],
    ["a key of 2^32 - 1 bytes", changed((bytes) => bytes.fill(0xff, 108, 112)), [PASSWORD], "UNSUPPORTED", /4294967295 bytes/, /^$/],
    ["a digest of 0 iterations", changed((bytes) => bytes.fill(0, 164, 168)), [PASSWORD], "CORRUPT", /0 iterations/, /^$/],
    [
      "a digest of 2^32 - 1 iterations",
      changed((bytes) => bytes.fill(0xff, 164, 168)),
      [PASSWORD],
      "UNSUPPORTED",
      /rounds of PBKDF2/,
      /^$/,
    ],
    ["a slot of 0 iterations", changed((bytes) => bytes.fill(0, 212, 216)), [PASSWORD], "CORRUPT", /slot 0.*0 iterations/, /^$/],
    [
      "a slot of 2^26 iterations",
      changed((bytes) => bytes.writeUInt32BE(2 ** 26, 212)),
      [PASSWORD],
      "UNSUPPORTED",
      /134217731 rounds/,
      /^$/,
    ],
    ["a slot of 4001 stripes", changed((bytes) => bytes.writeUInt32BE(4001, 252)), [PASSWORD], "CORRUPT", /4001 stripes; 4000/, /^$/],
    ["a slot of no stripes", changed((bytes) => bytes.writeUInt32BE(0, 252)), [PASSWORD], "CORRUPT", /0 stripes/, /^$/],
    ["a slot that leaves the header", changed((bytes) => bytes.fill(0xff, 248, 252)), [PASSWORD], "CORRUPT", /leaves the header/, /^$/],
    ["a slot in no state", changed((bytes) => bytes.writeUInt32BE(1, 208)), [PASSWORD], "CORRUPT", /neither enabled nor disabled/, /^$/],
  ] as const)("refused: %s", (_, bytes, passwords, code, message, hint) => {
    const error = imageErrorOf(() => unlock(bytes, ...passwords));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string, file: "test.img" });
    expect(error?.position).toBeGreaterThanOrEqual(1536);
    expect(error?.hint ?? "").toMatch(hint);
  });

  test("a damaged slot does not keep another from opening, and is told if none does", () => {
    const luks = buildLuks({ ...small, passwords: ["first", "second"] });
    luks.header.writeUInt32BE(99_999, 252);
    expect(unlock(luks.header, "second").name).toContain("LUKS");
    expect(imageErrorOf(() => unlock(luks.header, "first"))).toMatchObject({
      code: "KEY_NEEDED",
      message: expect.stringMatching(/fits; key slot 0 of the LUKS header: its key is split into 99999 stripes/) as string,
    });
  });

  test("a slot that costs too much does not keep a cheap one from opening", () => {
    const luks = buildLuks({ ...small, passwords: ["first", "second", "third"], hash: "sha512" });
    luks.header.writeUInt32BE(2 ** 26, 212);
    expect(unlock(luks.header, "wrong", "third").name).toContain("LUKS");
  });

  test("a key that is remembered is not derived again, and is that image's alone", () => {
    const kept = new Map<string, Uint8Array>();
    const keys = { get: (name: string) => kept.get(name), put: (name: string, key: Uint8Array) => void kept.set(name, key) };
    const { file, area } = fileOf(buildLuks({ ...small, passwords: ["first"] }).header);
    unlockLuks(file, area, ["first"], keys);
    expect(kept.size).toBe(1);
    // No round of PBKDF2 is allowed.
    expect(() => unlockLuks(file, area, ["first"], keys, 0)).not.toThrow();
    const other = fileOf(buildLuks({ ...small, passwords: ["first"], hash: "sha1" }).header);
    expect(imageErrorOf(() => unlockLuks(other.file, other.area, ["first"], keys, 0))).toBeDefined();
  });

  test("all tries together are bounded", () => {
    // Each try: 2 hashes make the 64 bytes of a key, 1 the digest; the slots take 3, 4 and 5 iterations.
    const { header: bytes } = buildLuks({ ...small, passwords: ["first", "second", "third"] });
    const { file, area } = fileOf(bytes);
    const tries = (limit: number, ...passwords: string[]) => imageErrorOf(() => unlockLuks(file, area, passwords, undefined, limit));
    expect(tries(9 + 11 + 13, "third")).toBeUndefined();
    expect(tries(9 + 11 + 12, "third")?.message).toContain("key slot 2 of the LUKS header: trying it takes 13 rounds");
    expect(tries(9 + 9 + 11 + 11 + 13 + 13, "wrong", "third")).toBeUndefined();
    expect(tries(8, "first")).toMatchObject({ code: "UNSUPPORTED" });
  });

  test("key material behind the area, though in the file", () => {
    const { header: bytes, materials } = buildLuks(small);
    const { file, area } = fileOf(bytes);
    const length = (materials[0] ?? 0) + 5 * 64;
    expect(unlockLuks(file, { ...area, length }, [PASSWORD]).name).toContain("LUKS");
    expect(imageErrorOf(() => unlockLuks(file, { ...area, length: length - 1 }, [PASSWORD]))?.message).toContain("leaves the header");
  });

  test("cut anywhere, ends in the right cipher or an ImageError", () => {
    const luks = buildLuks(small);
    const content = noise(3, 512);
    const stored = luks.encrypt(content, 9);
    const whole = Buffer.concat([Buffer.alloc(512), luks.header]);
    fc.assert(
      fc.property(fc.nat(luks.header.length), (kept) => {
        const file = memorySource("cut.img", whole.subarray(0, 512 + kept));
        imageErrorOf(() => {
          const { cipher } = unlockLuks(file, { offset: 512, length: luks.header.length }, [PASSWORD]);
          expect(difference(decrypted(cipher, stored, 9), content)).toBeUndefined();
        });
      }),
      { numRuns: 200 },
    );
  });

  test("with any byte changed, ends in a cipher or an ImageError", () => {
    const { header: bytes, materials } = buildLuks({ ...small, passwords: [PASSWORD, "other"] });
    const end = (materials[1] ?? 0) + 5 * 64;
    fc.assert(
      fc.property(fc.oneof(fc.nat(303), fc.nat(end)), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const copy = Buffer.from(bytes);
        copy[at] = (copy[at] ?? 0) ^ mask;
        // Iterations in the millions are legal, and take their seconds.
        if ([164, 212, 260].some((field) => at >= field && at < field + 2)) return;
        imageErrorOf(() => unlock(copy, "wrong", PASSWORD));
      }),
      { numRuns: 300 },
    );
  });

  test("an area shorter than a header", () => {
    const { file } = fileOf(header());
    expect(imageErrorOf(() => unlockLuks(file, { offset: 1536, length: 591 }, [PASSWORD]))?.code).toBe("CORRUPT");
    expect(imageErrorOf(() => unlockLuks(file, { offset: 2 ** 52, length: 2 ** 52 }, [PASSWORD]))?.code).toBe("TRUNCATED");
  });
});

test("the builder's ciphers are node:crypto's", () => {
  const key = noise(1, 32);
  const cipher = createCipheriv("aes-128-xts", key, Buffer.from("05000000000000000000000000000000", "hex")).setAutoPadding(false);
  const content = noise(2, 512);
  expect(encryptSectors(content, 5, "xts-plain64", key).equals(cipher.update(content))).toBe(true);
});
