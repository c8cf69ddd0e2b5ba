import { between, mixed, randomNumbers, shuffled, text } from "./content.js";
import type { Step } from "./qemu.js";

/** A disk to be used for a while. Sizes in bytes. */
export interface Activity {
  readonly size: number;
  readonly clusterSize: number;
  readonly seed: number;
  /** What happens besides writes. `packed` clusters are written first: QEMU does not compress over what is there. */
  readonly also?: readonly ("packed" | "zero" | "zero-unmap" | "discard")[];
  readonly steps?: number;
}

/**
 * Writes of all lengths at all offsets in a random order, so that clusters lie shuffled in the file and are partly rewritten.
 * No two writes have the same content: a block in the wrong place shows.
 */
export function activity({ size, clusterSize, seed, also = [], steps = 28 }: Activity): Step[] {
  const random = randomNumbers(seed);
  const list: Step[] = also.includes("packed") ? packedSteps(size, clusterSize, seed, random) : [];
  const others = also.filter((kind) => kind !== "packed");
  for (let step = 0; step < steps; step += 1) {
    const longest = Math.min(size, random() < 0.3 ? 2 * clusterSize + 700 : 9000, 140_000);
    const length = between(random, 1, longest);
    const at = between(random, 0, size - length);
    const kind = step > steps / 3 && random() < 0.4 ? others[between(random, 0, others.length - 1)] : undefined;
    if (kind) list.push({ kind, ...clusterRange(at, length, size, clusterSize, random) });
    else list.push({ kind: "write", at, content: mixed(seed * 1000 + step, length) });
  }
  return list;
}

function packedSteps(size: number, clusterSize: number, seed: number, random: () => number): Step[] {
  const clusters = shuffled([...Array(Math.floor(size / clusterSize)).keys()], random);
  return clusters.slice(0, Math.min(20, Math.ceil(clusters.length / 2))).map((cluster, index) => {
    const content = index % 2 === 0 ? text(seed * 1000 + 500 + index, clusterSize) : mixed(seed * 1000 + 500 + index, clusterSize);
    return { kind: "packed", at: cluster * clusterSize, content };
  });
}

/** Half of them as they are, half of them whole clusters: only those become zero clusters or unallocated ones. */
function clusterRange(at: number, length: number, size: number, clusterSize: number, random: () => number): { at: number; length: number } {
  if (random() < 0.5) return { at, length };
  const first = Math.floor(at / clusterSize) * clusterSize;
  const end = Math.min(size, first + clusterSize * Math.ceil(length / clusterSize));
  return { at: first, length: end - first };
}
