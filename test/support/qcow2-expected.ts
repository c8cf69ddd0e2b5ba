import type { Clusters } from "./qcow2-builder.js";

interface Expected {
  readonly size: number;
  readonly clusters: Clusters;
  readonly clusterBits?: number;
}

/** What a disk built from the recipe must read as. `parent` is the disk of its backing file. */
export function expectedDisk({ size, clusters, clusterBits = 12 }: Expected, parent: Uint8Array = Buffer.alloc(0)): Buffer {
  const clusterSize = 2 ** clusterBits;
  const disk = Buffer.alloc(size);
  disk.set(parent.subarray(0, size));
  const put = (content: Uint8Array, at: number) => {
    if (at < size) disk.set(content.subarray(0, size - at), at);
  };
  for (const [number, cluster] of clusters) {
    const at = number * clusterSize;
    if (cluster.kind === "data" || cluster.kind === "packed") put(cluster.content, at);
    if (cluster.kind === "zero") put(Buffer.alloc(clusterSize), at);
    if (cluster.kind !== "parts") continue;
    const part = clusterSize / 32;
    for (let index = 0; index < 32; index += 1) {
      if ((cluster.zero >>> index) & 1) put(Buffer.alloc(part), at + index * part);
      else if ((cluster.allocated >>> index) & 1) put(cluster.content.subarray(index * part, (index + 1) * part), at + index * part);
    }
  }
  return disk;
}
