// Reference counts of a qcow2 image. No reader needs them; they are written so that `qemu-img check` can vouch for what the builder writes.
// Reference: docs/interop/qcow2.rst in the QEMU sources, "Host cluster management".

/** Appends a refcount table and its blocks. `references` are numbers of host clusters, one per use. */
export function writeRefcounts(
  image: Buffer,
  clusterSize: number,
  order: number,
  references: readonly number[],
): { readonly bytes: Buffer; readonly position: number; readonly clusters: number } {
  const bits = 2 ** order;
  const perBlock = (clusterSize * 8) / bits;
  const used = image.length / clusterSize;
  const { blocks, tables } = countClusters(used, perBlock, clusterSize);

  const counts = new Map<number, number>();
  const own = Array.from({ length: tables + blocks }, (_, index) => used + index);
  for (const cluster of [...references, ...own]) counts.set(cluster, (counts.get(cluster) ?? 0) + 1);

  const bytes = Buffer.concat([image, Buffer.alloc((tables + blocks) * clusterSize)]);
  const position = used * clusterSize;
  const firstBlock = position + tables * clusterSize;
  for (let block = 0; block < blocks; block += 1) bytes.writeBigUInt64BE(BigInt(firstBlock + block * clusterSize), position + block * 8);
  for (const [cluster, count] of counts) {
    if (count >= 2 ** Math.min(bits, 32)) throw new Error(`${count} references do not fit into ${bits} bits`);
    writeCount(bytes, firstBlock * 8 + cluster * bits, bits, count);
  }
  return { bytes, position, clusters: tables };
}

/** The table and the blocks count themselves too. */
function countClusters(used: number, perBlock: number, clusterSize: number): { blocks: number; tables: number } {
  let blocks = 1;
  let tables = 1;
  while (blocks * perBlock < used + blocks + tables) {
    blocks += 1;
    tables = Math.ceil((blocks * 8) / clusterSize);
  }
  return { blocks, tables };
}

/** Counts narrower than a byte fill it from its least significant bit on, wider ones are big-endian. */
function writeCount(bytes: Buffer, bit: number, bits: number, count: number): void {
  const at = Math.floor(bit / 8);
  if (bits < 8) bytes[at] = (bytes[at] ?? 0) | (count << (bit % 8));
  else if (bits <= 32) bytes.writeUIntBE(count, at, bits / 8);
  else bytes.writeBigUInt64BE(BigInt(count), at);
}
