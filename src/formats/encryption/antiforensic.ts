// The splitter that spreads a key over many times its size, so that it is gone with any part. Reference: LUKS1 On-Disk Format Specification,
// section 2.4 (AFmerge, and the diffusion function H1).
import { type HashName, hashOf, sizeOfHash } from "./hashes.js";

/** The key of `keyBytes` bytes that was split into `stripes` parts of the same length, which `material` begins with. */
export function mergeStripes(material: Uint8Array, keyBytes: number, stripes: number, hash: HashName): Buffer {
  let key: Buffer = Buffer.alloc(keyBytes);
  for (let stripe = 0; stripe < stripes; stripe += 1) {
    if (stripe > 0) key = diffuse(key, hash);
    const start = stripe * keyBytes;
    for (let at = 0; at < keyBytes; at += 1) key[at]! ^= material[start + at]!;
  }
  return key;
}

/** Every piece as long as a hash, the last one maybe shorter, becomes the hash of its number and itself. */
function diffuse(key: Buffer, hash: HashName): Buffer {
  const size = sizeOfHash(hash);
  const result = Buffer.alloc(key.length);
  const number = Buffer.alloc(4);
  for (let start = 0, piece = 0; start < key.length; start += size, piece += 1) {
    number.writeUInt32BE(piece);
    hashOf(hash, number, key.subarray(start, start + size)).copy(result, start);
  }
  return result;
}
