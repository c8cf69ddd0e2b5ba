// Images of qcow version 1, byte by byte. Independent of the reader: nothing of src/formats/qcow is used here.
import { deflateRawSync } from "node:zlib";
import { noise, text } from "./content.js";

/** What a cluster is: stored plainly in the slot of that number, compressed, or not at all. */
export type QcowCluster = number | "packed" | "absent";

export interface QcowShape {
  readonly clusters: readonly QcowCluster[];
  /** 9 to 16. */
  readonly clusterBits?: number;
  /** 6 to 13. */
  readonly l2Bits?: number;
  /** Bytes of the disk, if it does not fill its last cluster. */
  readonly size?: number;
  readonly cryptMethod?: number;
  /** The backing file's name and content. */
  readonly backing?: { readonly name: string; readonly disk: Uint8Array };
  /** Bytes between the header and the L1 table, and between the L1 table and what follows, so that nothing is aligned. */
  readonly gap?: number;
}

export interface QcowImage {
  readonly image: Buffer;
  readonly disk: Buffer;
  readonly l1Position: number;
  /** Position of the L2 table of each L1 entry, 0 where there is none. */
  readonly l2Positions: readonly number[];
  /** Where slot 0 is. */
  readonly dataPosition: number;
}

/** Stored clusters hold noise, compressed ones text; both tell one cluster from every other. */
export function buildQcow(shape: QcowShape): QcowImage {
  const { clusters, clusterBits = 9, l2Bits = 6, cryptMethod = 0, backing, gap = 0 } = shape;
  const clusterSize = 2 ** clusterBits;
  const tableEntries = 2 ** l2Bits;
  const size = shape.size ?? clusters.length * clusterSize;
  const name = Buffer.from(backing?.name ?? "", "utf8");

  const l1Entries = Math.ceil(size / (clusterSize * tableEntries));
  const l1Position = 48 + name.length + gap;
  let end = l1Position + l1Entries * 8 + gap;
  const l2Positions = Array.from({ length: l1Entries }, (_, index) => {
    if (clusters.slice(index * tableEntries, (index + 1) * tableEntries).every((cluster) => cluster === "absent")) return 0;
    const position = end;
    end += tableEntries * 8 + gap;
    return position;
  });

  const dataPosition = Math.ceil(end / 512) * 512;
  const slots = Math.max(-1, ...clusters.filter((cluster) => typeof cluster === "number")) + 1;
  const disk = Buffer.alloc(clusters.length * clusterSize);
  backing?.disk.slice(0, disk.length).forEach((byte, at) => (disk[at] = byte));
  const streams: Buffer[] = [];
  let packedPosition = dataPosition + slots * clusterSize;
  const stored = Buffer.alloc(slots * clusterSize);
  const entries = clusters.map((cluster, index): bigint => {
    if (cluster === "absent") return 0n;
    const content = cluster === "packed" ? text(index + 1, clusterSize) : noise(index + 1, clusterSize);
    content.copy(disk, index * clusterSize);
    if (cluster === "packed") {
      const stream = deflateRawSync(content, { windowBits: 12 });
      if (stream.length >= clusterSize) throw new Error("a cluster that compression makes larger cannot be stored compressed");
      const entry = (1n << 63n) | (BigInt(stream.length) << BigInt(63 - clusterBits)) | BigInt(packedPosition);
      streams.push(stream);
      packedPosition += stream.length;
      return entry;
    }
    content.copy(stored, cluster * clusterSize);
    return BigInt(dataPosition + cluster * clusterSize);
  });

  const head = Buffer.alloc(dataPosition);
  head.write("QFI\xfb", 0, "latin1");
  head.writeUInt32BE(1, 4);
  head.writeBigUInt64BE(backing ? 48n : 0n, 8);
  head.writeUInt32BE(name.length, 16);
  head.writeBigUInt64BE(BigInt(size), 24);
  head.writeUInt8(clusterBits, 32);
  head.writeUInt8(l2Bits, 33);
  head.writeUInt32BE(cryptMethod, 36);
  head.writeBigUInt64BE(BigInt(l1Position), 40);
  name.copy(head, 48);
  l2Positions.forEach((position, index) => head.writeBigUInt64BE(BigInt(position), l1Position + index * 8));
  entries.forEach((entry, index) => {
    const table = l2Positions[Math.floor(index / tableEntries)] ?? 0;
    if (table !== 0) head.writeBigUInt64BE(entry, table + (index % tableEntries) * 8);
  });
  return { image: Buffer.concat([head, stored, ...streams]), disk: disk.subarray(0, size), l1Position, l2Positions, dataPosition };
}
