import { createHash } from "node:crypto";

const sizes = { md5: 16, sha1: 20, sha224: 28, sha256: 32, sha384: 48, sha512: 64, ripemd160: 20 } as const;

/** A hash that keys are derived with, by the name that node:crypto and the headers share. */
export type HashName = keyof typeof sizes;

export const hashNames = Object.keys(sizes) as readonly HashName[];

/** Bytes. */
export function sizeOfHash(name: HashName): number {
  return sizes[name];
}

/** `text` as a hash, if it is one that is known here. Writers do not agree on the case. */
export function hashNamed(text: string): HashName | undefined {
  return hashNames.find((name) => name === text.toLowerCase());
}

export function hashOf(name: HashName, ...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash(name);
  for (const part of parts) hash.update(part);
  return hash.digest();
}
