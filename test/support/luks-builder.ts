// LUKS headers and sectors encrypted as a LUKS header says, made the slow and plain way: one cipher object of node:crypto per sector.
// Reference: LUKS1 On-Disk Format Specification 1.2.3. Independent of the reader: nothing of src/formats is used here.
import { createCipheriv, createHash, pbkdf2Sync } from "node:crypto";
import { noise } from "./content.js";

const SECTOR = 512;

export interface LuksRecipe {
  readonly cipherName?: string;
  /** `xts-plain64` if not given. */
  readonly cipherMode?: string;
  /** `sha256` if not given. */
  readonly hash?: string;
  /** Bytes of the master key; 64 if not given. */
  readonly keyBytes?: number;
  /** The passwords, by number of their slots; `""` is one, undefined an empty slot. */
  readonly passwords?: readonly (string | undefined)[];
  readonly iterations?: number;
  readonly stripes?: number;
  readonly version?: number;
}

export interface BuiltLuks {
  /** Header and key material. */
  readonly header: Buffer;
  /** Where the key material of each slot is in it. */
  readonly materials: readonly number[];
  /** Encrypts `content`, which begins with sector number `sector`. */
  encrypt(content: Uint8Array, sector: number): Buffer;
}

export function buildLuks(recipe: LuksRecipe = {}): BuiltLuks {
  const { cipherName = "aes", cipherMode = "xts-plain64", hash = "sha256", keyBytes = 64, iterations = 1000, stripes = 4000 } = recipe;
  const passwords = recipe.passwords ?? ["secret"];
  const masterKey = noise(99, keyBytes);
  const digestSalt = noise(98, 32);
  const splitSize = Math.ceil((keyBytes * stripes) / 4096) * 4096;
  const header = Buffer.alloc(4096 + 8 * splitSize);

  header.write("LUKS\xba\xbe", 0, "latin1");
  header.writeUInt16BE(recipe.version ?? 1, 6);
  header.write(cipherName, 8);
  header.write(cipherMode, 40);
  header.write(hash, 72);
  header.writeUInt32BE(header.length / SECTOR, 104);
  header.writeUInt32BE(keyBytes, 108);
  pbkdf2Sync(masterKey, digestSalt, iterations, 20, hash).copy(header, 112);
  digestSalt.copy(header, 132);
  header.writeUInt32BE(iterations, 164);
  header.write("01234567-89ab-cdef-0123-456789abcdef", 168);

  const materials = Array.from({ length: 8 }, (_, slot) => {
    const at = 208 + 48 * slot;
    const position = 4096 + slot * splitSize;
    const password = passwords[slot];
    header.writeUInt32BE(password === undefined ? 0xdead : 0x00ac71f3, at);
    header.writeUInt32BE(position / SECTOR, at + 40);
    header.writeUInt32BE(stripes, at + 44);
    if (password === undefined) return position;
    const salt = noise(200 + slot, 32);
    header.writeUInt32BE(iterations + slot, at + 4);
    salt.copy(header, at + 8);
    const slotKey = pbkdf2Sync(password, salt, iterations + slot, keyBytes, hash);
    const split = splitKey(masterKey, stripes, hash, noise(300 + slot, keyBytes * (stripes - 1)));
    // Whole blocks, the rest of the last one zeros.
    const padded = Buffer.concat([split, Buffer.alloc((16 - (split.length % 16)) % 16)]);
    encryptSectors(padded, 0, cipherMode, slotKey).copy(header, position);
    return position;
  });
  return { header, materials, encrypt: (content, sector) => encryptSectors(Buffer.from(content), sector, cipherMode, masterKey) };
}

/** AFsplit. All stripes but the last are `random`; the last makes the key come out. */
export function splitKey(key: Buffer, stripes: number, hash: string, random: Buffer): Buffer {
  let mixed: Buffer = Buffer.alloc(key.length);
  for (let stripe = 0; stripe < stripes - 1; stripe += 1) {
    mixed = diffused(xor(mixed, random.subarray(stripe * key.length, (stripe + 1) * key.length)), hash);
  }
  return Buffer.concat([random, xor(mixed, key)]);
}

function diffused(block: Buffer, hash: string): Buffer {
  const size = createHash(hash).digest().length;
  const pieces: Buffer[] = [];
  for (let index = 0; index * size < block.length; index += 1) {
    const piece = block.subarray(index * size, (index + 1) * size);
    const number = Buffer.from(index.toString(16).padStart(8, "0"), "hex");
    pieces.push(
      createHash(hash)
        .update(Buffer.concat([number, piece]))
        .digest()
        .subarray(0, piece.length),
    );
  }
  return Buffer.concat(pieces);
}

function xor(one: Uint8Array, other: Uint8Array): Buffer {
  return Buffer.from(one.map((byte, at) => byte ^ (other[at] ?? 0)));
}

/** `sector` counts from the first byte of `content`; the last sector may be shorter. Names are those of a LUKS header. */
export function encryptSectors(content: Buffer, sector: number, cipherMode: string, key: Uint8Array): Buffer {
  const [mode = "", ...vector] = cipherMode.split("-");
  const bits = (mode === "xts" ? key.length / 2 : key.length) * 8;
  const sectors: Buffer[] = [];
  for (let at = 0; at < content.length; at += SECTOR) {
    const iv = mode === "ecb" ? null : vectorOf(vector.join("-"), BigInt(sector + at / SECTOR), key);
    const cipher =
      mode === "xts" ? xtsCipher(bits, key, iv as Buffer) : createCipheriv(`aes-${bits}-${mode}`, key, iv).setAutoPadding(false);
    sectors.push(Buffer.concat([cipher.update(content.subarray(at, at + SECTOR)), cipher.final()]));
  }
  return Buffer.concat(sectors);
}

function vectorOf(name: string, sector: bigint, key: Uint8Array): Buffer {
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(name === "plain" ? sector & 0xffff_ffffn : sector);
  if (!name.startsWith("essiv:")) return vector;
  const hashed = createHash(name.slice(6)).update(key).digest();
  return createCipheriv(`aes-${hashed.length * 8}-ecb`, hashed, null)
    .setAutoPadding(false)
    .update(vector);
}

/** node:crypto has no XTS of 192 bits; it is spelled out for that one. */
function xtsCipher(bits: number, key: Uint8Array, vector: Buffer): { update(content: Uint8Array): Buffer; final(): Buffer } {
  if (bits !== 192) return createCipheriv(`aes-${bits}-xts`, key, vector).setAutoPadding(false);
  const [data, tweaks] = [key.subarray(0, 24), key.subarray(24)].map((half) =>
    createCipheriv("aes-192-ecb", half, null).setAutoPadding(false),
  );
  return {
    update(content) {
      let tweak = BigInt(
        `0x${Buffer.from(tweaks?.update(vector) ?? [])
          .reverse()
          .toString("hex")}`,
      );
      const blocks: Buffer[] = [];
      for (let at = 0; at < content.length; at += 16) {
        const mask = Buffer.from(tweak.toString(16).padStart(32, "0"), "hex").reverse();
        blocks.push(xor(data?.update(xor(content.subarray(at, at + 16), mask)) ?? Buffer.alloc(0), mask));
        tweak = ((tweak << 1n) & ((1n << 128n) - 1n)) ^ (tweak >> 127n === 1n ? 0x87n : 0n);
      }
      return Buffer.concat(blocks);
    },
    final: () => Buffer.alloc(0),
  };
}
