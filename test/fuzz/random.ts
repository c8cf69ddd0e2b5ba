/** Numbers that look random and are the same for the same seed (sfc32, by Chris Doty-Humphrey). */
export interface Random {
  /** An integer from 0 up to, and without, `limit`; 0 for a limit below 1. */
  below(limit: number): number;
  /** True once in `times`. */
  once(times: number): boolean;
  pick<T>(list: readonly T[]): T;
}

export function createRandom(seed: number): Random {
  let a = 0x9e3779b9 ^ seed;
  let b = Math.imul(seed, 0x85ebca6b) ^ 0x243f6a88;
  let c = 0xb7e15162;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 8; round += 1) next();
  const below = (limit: number): number => {
    if (limit < 2) return 0;
    if (limit <= 2 ** 32) return next() % limit;
    return ((next() & 0x1fffff) * 2 ** 32 + next()) % limit;
  };
  return { below, once: (times) => below(times) === 0, pick: (list) => list[below(list.length)]! };
}

/** A number that tells one content from most others (FNV-1a). */
export function hashOf(content: Uint8Array | string, start = 0x811c9dc5): number {
  let hash = start;
  const { length } = content;
  if (typeof content === "string") {
    for (let at = 0; at < length; at += 1) hash = Math.imul(hash ^ content.charCodeAt(at), 0x01000193);
  } else {
    for (let at = 0; at < length; at += 1) hash = Math.imul(hash ^ content[at]!, 0x01000193);
  }
  return hash >>> 0;
}
