// AES as one call for many blocks. What chains the blocks is done around it: a cipher object per sector of 512 bytes would cost more than its work.
import { createCipheriv, createDecipheriv } from "node:crypto";

export const AES_BLOCK = 16;

/** Each block of 16 bytes by itself; a fresh buffer of the same length, which is a multiple of 16. */
export type AesBlocks = (blocks: Uint8Array) => Buffer;

export function aesEncrypt(key: Uint8Array): AesBlocks {
  const cipher = createCipheriv(`aes-${8 * key.length}-ecb`, key, null).setAutoPadding(false);
  return (blocks) => cipher.update(blocks);
}

export function aesDecrypt(key: Uint8Array): AesBlocks {
  const cipher = createDecipheriv(`aes-${8 * key.length}-ecb`, key, null).setAutoPadding(false);
  return (blocks) => cipher.update(blocks);
}
