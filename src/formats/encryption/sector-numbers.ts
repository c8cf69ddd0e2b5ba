// What makes two sectors of the same content differ: initialization vectors made of the sector's number.
// Reference: LUKS1 On-Disk Format Specification, section 5.1; Documentation/admin-guide/device-mapper/dm-crypt.rst in the Linux sources.
import { AES_BLOCK, aesEncrypt } from "./aes.js";
import { type HashName, hashOf } from "./hashes.js";

/** 16 bytes for each of `count` sectors from `first` on. Valid until the next call. */
export type SectorVectors = (first: number, count: number) => Uint8Array;

/** The sector's number in little-endian order, of 32 or 64 bits, followed by zeros. */
export function plainVectors(bits: 32 | 64): SectorVectors {
  let vectors = Buffer.alloc(0);
  return (first, count) => {
    if (vectors.length < count * AES_BLOCK) vectors = Buffer.alloc(count * AES_BLOCK);
    for (let index = 0; index < count; index += 1) {
      const sector = first + index;
      vectors.writeUInt32LE(sector % 2 ** 32, index * AES_BLOCK);
      if (bits === 64) vectors.writeUInt32LE(Math.floor(sector / 2 ** 32), index * AES_BLOCK + 4);
    }
    return vectors.subarray(0, count * AES_BLOCK);
  };
}

/** The number of 64 bits, encrypted under a hash of the key. The hash must be of a length that is an AES key. */
export function essivVectors(key: Uint8Array, hash: HashName): SectorVectors {
  const encrypt = aesEncrypt(hashOf(hash, key));
  const numbers = plainVectors(64);
  return (first, count) => encrypt(numbers(first, count));
}
