// AES over sectors of 512 bytes, each by itself. References: NIST SP 800-38A (ECB, CBC, CTR), IEEE 1619 (XTS).
import { createDecipheriv } from "node:crypto";
import { AES_BLOCK, aesDecrypt, aesEncrypt } from "./aes.js";
import type { SectorVectors } from "./sector-numbers.js";

export const SECTOR = 512;
const BLOCK_WORDS = AES_BLOCK / 4;
const SECTOR_WORDS = SECTOR / 4;

/**
 * Decrypts `stored`, which begins with the first byte of sector number `sector`, into `target` of the same length: a multiple of 16, not
 * necessarily of 512. `stored` starts at a multiple of 4 in its buffer; its bytes are not kept.
 */
export type SectorCipher = (stored: Uint8Array, target: Uint8Array, sector: number) => void;

/** No chaining and no sector number: equal blocks stay equal. */
export function ecb(key: Uint8Array): SectorCipher {
  const decrypt = aesDecrypt(key);
  return (stored, target) => target.set(decrypt(stored));
}

export function cbc(key: Uint8Array, vectors: SectorVectors): SectorCipher {
  const decrypt = aesDecrypt(key);
  return (stored, target, sector) => {
    const plain = decrypt(stored);
    const before = wordsOf(stored);
    const words = wordsOf(plain);
    const first = wordsOf(vectors(sector, Math.ceil(stored.length / SECTOR)));
    for (let start = 0, vector = 0; start < words.length; start += SECTOR_WORDS, vector += BLOCK_WORDS) {
      const end = Math.min(start + SECTOR_WORDS, words.length);
      for (let word = 0; word < BLOCK_WORDS; word += 1) words[start + word]! ^= first[vector + word]!;
      for (let word = start + BLOCK_WORDS; word < end; word += 1) words[word]! ^= before[word - BLOCK_WORDS]!;
    }
    target.set(plain);
  };
}

/** `key` is two keys of the same length: the data's, and the one that makes tweaks of the vectors. */
export function xts(key: Uint8Array, vectors: SectorVectors): SectorCipher {
  const decrypt = aesDecrypt(key.subarray(0, key.length / 2));
  const encryptTweak = aesEncrypt(key.subarray(key.length / 2));
  let tweaks = Buffer.alloc(0);
  return (stored, target, sector) => {
    if (tweaks.length < stored.length) tweaks = Buffer.allocUnsafeSlow(stored.length);
    spreadTweaks(encryptTweak(vectors(sector, Math.ceil(stored.length / SECTOR))), tweaks, stored.length);
    const mask = wordsOf(tweaks);
    const words = wordsOf(stored);
    for (let word = 0; word < words.length; word += 1) words[word]! ^= mask[word]!;
    const plain = decrypt(stored);
    const plainWords = wordsOf(plain);
    for (let word = 0; word < plainWords.length; word += 1) plainWords[word]! ^= mask[word]!;
    target.set(plain);
  };
}

/** A tweak for each block, from the first one of each sector: every next one is the one before times x in GF(2^128), IEEE 1619, section 5.2. */
function spreadTweaks(first: Buffer, tweaks: Buffer, length: number): void {
  const from = new DataView(first.buffer, first.byteOffset, first.length);
  const to = new DataView(tweaks.buffer, tweaks.byteOffset, tweaks.length);
  for (let start = 0, at = 0; start < length; start += SECTOR, at += AES_BLOCK) {
    const end = Math.min(start + SECTOR, length);
    let a = from.getUint32(at, true);
    let b = from.getUint32(at + 4, true);
    let c = from.getUint32(at + 8, true);
    let d = from.getUint32(at + 12, true);
    for (let block = start; block < end; block += AES_BLOCK) {
      to.setUint32(block, a, true);
      to.setUint32(block + 4, b, true);
      to.setUint32(block + 8, c, true);
      to.setUint32(block + 12, d, true);
      const carry = d >>> 31;
      d = (d << 1) | (c >>> 31);
      c = (c << 1) | (b >>> 31);
      b = (b << 1) | (a >>> 31);
      a = (a << 1) ^ (carry * 0x87);
    }
  }
}

/** The counter of each sector starts at its vector. Nobody makes such images on purpose, so one cipher object per sector is good enough. */
export function ctr(key: Uint8Array, vectors: SectorVectors): SectorCipher {
  return (stored, target, sector) => {
    for (let start = 0; start < stored.length; start += SECTOR) {
      const cipher = createDecipheriv(`aes-${8 * key.length}-ctr`, key, vectors(sector + start / SECTOR, 1));
      target.set(cipher.update(stored.subarray(start, start + SECTOR)), start);
    }
  };
}

function wordsOf(content: Uint8Array): Uint32Array {
  return new Uint32Array(content.buffer, content.byteOffset, content.length / 4);
}
