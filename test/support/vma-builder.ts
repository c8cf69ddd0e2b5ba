// VMA archives from pve-qemu's vma_spec.txt, byte by byte. Knows nothing of the driver.
import { createHash } from "node:crypto";
import { noise, randomNumbers, shuffled } from "./content.js";

/** A cluster of 64 KiB: which of its 4 KiB blocks are stored, or none at all of it in the archive. */
export type VmaCluster = number | "lost";

export interface VmaDisk {
  readonly name: string;
  readonly clusters: readonly VmaCluster[];
  /** Bytes; the last cluster may be filled up. */
  readonly size?: number;
}

export interface VmaShape {
  readonly disks: readonly VmaDisk[];
  /** Clusters of one extent, at most 59. */
  readonly perExtent?: number;
  /** Of the order of the clusters; undefined: disk by disk, in order. */
  readonly shuffle?: number;
  readonly configs?: Readonly<Record<string, string>>;
}

export interface BuiltVma {
  readonly image: Buffer;
  readonly disks: Readonly<Record<string, Buffer>>;
  readonly headerSize: number;
  readonly extents: readonly {
    readonly position: number;
    readonly clusters: readonly { readonly disk: string; readonly cluster: number; readonly position: number }[];
  }[];
}

export const UUID = noise(4711, 16);

export function buildVma({ disks, perExtent = 59, shuffle, configs = { "qemu-server.conf": "name: a machine\n" } }: VmaShape): BuiltVma {
  const contents: Record<string, Buffer> = {};
  const all = disks.flatMap(({ name, clusters, size = clusters.length * 65536 }, which) => {
    const parts = clusters.map((mask, index) => ({
      device: which + 1,
      disk: name,
      cluster: index,
      mask,
      content: clusterOf(mask, which * 1000 + index),
    }));
    const whole = Buffer.concat(parts.map(({ content }) => content));
    contents[name] = whole.subarray(0, size);
    return parts;
  });
  const stored = all.filter(({ mask }) => mask !== "lost");
  const order = shuffle === undefined ? stored : shuffled(stored, randomNumbers(shuffle));

  const header = headerOf(disks, configs);
  const file: Buffer[] = [header];
  const extents: BuiltVma["extents"][number][] = [];
  let position = header.length;
  for (let first = 0; first < order.length; first += perExtent) {
    const part = order.slice(first, first + perExtent);
    const head = Buffer.alloc(512);
    const blocks: Buffer[] = [];
    const found: { disk: string; cluster: number; position: number }[] = [];
    for (const [index, { device, disk, cluster, mask, content }] of part.entries()) {
      head.writeUInt16BE(Number(mask), 40 + index * 8);
      head.writeUInt8(device, 43 + index * 8);
      head.writeUInt32BE(cluster, 44 + index * 8);
      found.push({ disk, cluster, position: position + 512 + blocks.length * 4096 });
      for (let block = 0; block < 16; block += 1) {
        if (((Number(mask) >> block) & 1) === 1) blocks.push(content.subarray(block * 4096, (block + 1) * 4096));
      }
    }
    head.write("VMAE");
    head.writeUInt16BE(blocks.length, 6);
    UUID.copy(head, 8);
    signExtent(head);
    file.push(head, ...blocks);
    extents.push({ position, clusters: found });
    position += 512 + blocks.length * 4096;
  }
  return { image: Buffer.concat(file), disks: contents, headerSize: header.length, extents };
}

/** Puts the right checksum into the header of an extent. */
export function signExtent(head: Buffer): void {
  head.fill(0, 24, 40);
  createHash("md5").update(head.subarray(0, 512)).digest().copy(head, 24);
}

/** Puts the right checksum into the header of an archive. */
export function signHeader(header: Buffer): void {
  header.fill(0, 32, 48);
  createHash("md5")
    .update(header.subarray(0, header.readUInt32BE(56)))
    .digest()
    .copy(header, 32);
}

function clusterOf(mask: VmaCluster, seed: number): Buffer {
  const content = noise(seed, 65536);
  for (let block = 0; block < 16; block += 1)
    if (mask === "lost" || ((mask >> block) & 1) === 0) content.fill(0, block * 4096, (block + 1) * 4096);
  return content;
}

function headerOf(disks: readonly VmaDisk[], configs: Readonly<Record<string, string>>): Buffer {
  // Offset 0 means none, so the first byte is left empty.
  const blobs: Buffer[] = [Buffer.alloc(1)];
  let size = 1;
  const add = (content: Buffer) => {
    const at = size;
    const length = Buffer.alloc(2);
    length.writeUInt16LE(content.length);
    blobs.push(length, content);
    size += 2 + content.length;
    return at;
  };
  const header = Buffer.alloc(12288);
  header.write("VMA\0");
  header.writeUInt32BE(1, 4);
  UUID.copy(header, 8);
  header.writeBigUInt64BE(1_700_000_000n, 24);
  for (const [index, [name, content]] of Object.entries(configs).entries()) {
    header.writeUInt32BE(add(Buffer.from(`${name}\0`)), 2044 + index * 4);
    header.writeUInt32BE(add(Buffer.from(content)), 3068 + index * 4);
  }
  for (const [index, { name, clusters, size: bytes = clusters.length * 65536 }] of disks.entries()) {
    header.writeUInt32BE(add(Buffer.from(`${name}\0`)), 4096 + (index + 1) * 32);
    header.writeBigUInt64BE(BigInt(bytes), 4096 + (index + 1) * 32 + 8);
  }
  const padding = Buffer.alloc((512 - (size % 512)) % 512);
  const whole = Buffer.concat([header, ...blobs, padding]);
  whole.writeUInt32BE(12288, 48);
  whole.writeUInt32BE(size, 52);
  whole.writeUInt32BE(whole.length, 56);
  signHeader(whole);
  return whole;
}
