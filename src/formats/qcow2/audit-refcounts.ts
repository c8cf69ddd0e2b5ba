// What the image says how often each of its clusters is used. Reference: docs/interop/qcow2.rst, section "Host cluster management".
import { readBytes, readStruct, type Source } from "../../source/source.js";
import { hex } from "../../util/text.js";
import type { Problem } from "../audit.js";
import { loadTable64 } from "../tables.js";
import { hostOffset } from "./entries.js";
import type { Qcow2Header } from "./header.js";
import { headerV2 } from "./layout.js";

export interface Refcounts {
  /** Where the table is, in bytes. */
  readonly table: { readonly position: number; readonly length: number };
  /** Where each block is, in bytes: 0 where there is none, -1 for one that cannot be used. */
  readonly blocks: Float64Array;
  /** The largest that an entry can tell. */
  readonly most: number;
  /** Of a host cluster; undefined if it cannot be known. */
  get(cluster: number): number | undefined;
}

/** Bytes of the table; QEMU opens no image with more than 8 MiB. */
const TABLE_LIMIT = 64 * 2 ** 20;

/** `tell` is told what is wrong with the table. */
export function readRefcounts(source: Source, header: Qcow2Header, tell: (problem: Problem) => void): Refcounts | undefined {
  const clusterSize = 2 ** header.clusterBits;
  const { refcountTableOffset, refcountTableClusters } = readStruct(source, 0, headerV2);
  const position = Number(refcountTableOffset);
  const length = refcountTableClusters * clusterSize;
  if (position % clusterSize !== 0 || length === 0 || length > TABLE_LIMIT || position + length > source.size) {
    const message = `the refcount table, ${length} bytes at ${hex(position)}, is not one of whole clusters in the file: refcounts were not checked`;
    tell({ kind: "refcount table", severity: "error", message, position: 48 });
    return undefined;
  }
  const words = loadTable64(source, position, length / 8);
  const blocks = new Float64Array(length / 8);
  for (let index = 0; index < blocks.length; index += 1) {
    const [high, low] = [words[2 * index]!, words[2 * index + 1]!];
    blocks[index] = hostOffset(high, low) + (low & 0x1ff) + (high >>> 24) * 2 ** 56;
    if (blocks[index]! % clusterSize === 0 && blocks[index]! < 2 ** 56) continue;
    const message = `entry ${index} of the refcount table, ${hex(blocks[index]!)}, is not the position of a cluster`;
    tell({ kind: "refcount table", severity: "error", message, position: position + 8 * index });
    blocks[index] = -1;
  }
  const bits = header.refcountBits;
  const perBlock = (clusterSize * 8) / bits;
  const padded = paddedSource(source);
  let loaded = 0;
  let content: Uint8Array = new Uint8Array();
  return {
    table: { position, length },
    blocks,
    most: bits >= 53 ? Number.MAX_SAFE_INTEGER : 2 ** bits - 1,
    get(cluster) {
      const block = blocks[Math.floor(cluster / perBlock)] ?? 0;
      if (block === 0) return 0;
      if (block < 0) return undefined;
      // They are asked for in order, most of them.
      if (block !== loaded) [loaded, content] = [block, readBytes(padded, block, clusterSize)];
      return decode(content, cluster % perBlock, bits);
    },
  };
}

/** The file with zeros behind its end, which is how the programs that write such files take it. */
export function paddedSource(source: Source): Source {
  return {
    name: source.name,
    size: Number.MAX_SAFE_INTEGER,
    read(target, position) {
      const there = Math.max(0, Math.min(target.length, source.size - position));
      if (there > 0) source.read(target.subarray(0, there), position);
      target.fill(0, there);
    },
    close: () => undefined,
  };
}

/** Entry `index` of a block: narrower than a byte from its lowest bit on, wider ones big-endian. */
function decode(bytes: Uint8Array, index: number, bits: number): number {
  if (bits < 8) return (bytes[Math.floor((index * bits) / 8)]! >>> ((index * bits) % 8)) & (2 ** bits - 1);
  let value = 0;
  for (let at = (index * bits) / 8; at < ((index + 1) * bits) / 8; at += 1) value = value * 256 + bytes[at]!;
  return value;
}
