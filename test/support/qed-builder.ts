// QED images, byte by byte. Independent of the reader: nothing of src/formats/qed is used here.
// Reference: docs/interop/qed_spec.rst in the QEMU sources.
import { noise, randomNumbers, shuffled } from "./content.js";

/** What a cluster is: stored as the n-th data cluster, zeros, or the backing file's. */
export type QedCluster = number | "zero" | "absent";

export interface QedShape {
  /** By number of the cluster of the disk; what is not named is absent. */
  readonly clusters: ReadonlyMap<number, QedCluster> | readonly QedCluster[];
  /** Bytes of the disk; a multiple of 512. */
  readonly size?: number;
  /** 2^12 to 2^26. */
  readonly clusterSize?: number;
  /** Clusters of a table: 1, 2, 4, 8 or 16. */
  readonly tableSize?: number;
  /** Clusters before the first regular one. */
  readonly headerSize?: number;
  readonly backing?: { readonly name: string; readonly disk: Uint8Array; readonly raw?: boolean; readonly at?: number };
  readonly needCheck?: boolean;
  readonly compatFeatures?: bigint;
  readonly autoclearFeatures?: bigint;
  /** Order of the regular clusters in the file. */
  readonly seed?: number;
}

export interface QedImage {
  readonly image: Buffer;
  readonly disk: Buffer;
  readonly l1Position: number;
  /** Position of the L2 table of each L1 entry that has one. */
  readonly l2Positions: ReadonlyMap<number, number>;
  /** Position of each data cluster. */
  readonly dataPositions: ReadonlyMap<number, number>;
}

export function buildQed(shape: QedShape): QedImage {
  const { clusterSize = 4096, tableSize = 1, headerSize = 1, backing, seed = 0 } = shape;
  const named = shape.clusters instanceof Map ? [...shape.clusters] : [...(shape.clusters as readonly QedCluster[]).entries()];
  const clusters = new Map(named.filter(([, cluster]) => cluster !== "absent"));
  const size = shape.size ?? (Math.max(-1, ...named.map(([index]) => index)) + 1) * clusterSize;
  const perTable = (tableSize * clusterSize) / 8;
  const tables = [...new Set([...clusters.keys()].map((index) => Math.floor(index / perTable)))];
  const stored = [...new Set([...clusters.values()].filter((cluster) => typeof cluster === "number"))];

  // The L1 table, the L2 tables and the data clusters lie in any order behind the header.
  const units = [
    { kind: "l1" as const, number: 0, clusters: tableSize },
    ...tables.map((number) => ({ kind: "l2" as const, number, clusters: tableSize })),
    ...stored.map((number) => ({ kind: "data" as const, number, clusters: 1 })),
  ];
  const positions = { l1: new Map<number, number>(), l2: new Map<number, number>(), data: new Map<number, number>() };
  let end = headerSize * clusterSize;
  for (const unit of seed === 0 ? units : shuffled(units, randomNumbers(seed))) {
    positions[unit.kind].set(unit.number, end);
    end += unit.clusters * clusterSize;
  }
  const l1Position = positions.l1.get(0) ?? 0;

  const image = Buffer.alloc(end);
  const disk = Buffer.alloc(Math.ceil(size / clusterSize) * clusterSize);
  disk.set((backing?.disk ?? new Uint8Array()).subarray(0, size));
  for (const [number, position] of positions.l2) image.writeBigUInt64LE(BigInt(position), l1Position + number * 8);
  for (const [index, cluster] of clusters) {
    const table = positions.l2.get(Math.floor(index / perTable)) ?? 0;
    const position = typeof cluster === "number" ? (positions.data.get(cluster) ?? 0) : 1;
    image.writeBigUInt64LE(BigInt(position), table + (index % perTable) * 8);
    const content = typeof cluster === "number" ? noise(cluster + 1, clusterSize) : Buffer.alloc(clusterSize);
    content.copy(disk, index * clusterSize);
    if (typeof cluster === "number") content.copy(image, position);
  }

  const name = Buffer.from(backing?.name ?? "", "utf8");
  const nameAt = backing?.at ?? 64;
  image.write("QED\0", 0, "latin1");
  image.writeUInt32LE(clusterSize, 4);
  image.writeUInt32LE(tableSize, 8);
  image.writeUInt32LE(headerSize, 12);
  image.writeBigUInt64LE((backing ? 1n : 0n) | (shape.needCheck ? 2n : 0n) | (backing?.raw ? 4n : 0n), 16);
  image.writeBigUInt64LE(shape.compatFeatures ?? 0n, 24);
  image.writeBigUInt64LE(shape.autoclearFeatures ?? 0n, 32);
  image.writeBigUInt64LE(BigInt(l1Position), 40);
  image.writeBigUInt64LE(BigInt(size), 48);
  image.writeUInt32LE(backing ? nameAt : 0, 56);
  image.writeUInt32LE(name.length, 60);
  name.copy(image, nameAt);
  return { image, disk: disk.subarray(0, size), l1Position, l2Positions: positions.l2, dataPositions: positions.data };
}
